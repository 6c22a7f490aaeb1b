/* SPDX-License-Identifier: Apache-2.0 */
/* A real qemu-nbd over a small image in a folder of its own. */
#ifndef HOLDSTILL_TESTS_UNIT_NBD_FIXTURE_H
#define HOLDSTILL_TESTS_UNIT_NBD_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct nbd_fixture {
	char dir[64], image[96], socket[96];
	pid_t server;
};

/* Makes the folder and a qcow2 image; skips the test without qemu-nbd. */
void nbd_fixture_init(struct nbd_fixture *f, uint64_t size_bytes);
/* Runs one command of qemu-io on the image, while no server runs. */
void nbd_fixture_io(struct nbd_fixture *f, const char *command);
/* Adds a bitmap that records from now on. */
void nbd_fixture_bitmap(struct nbd_fixture *f, const char *name);
/* Serves the image as export "vda"; bitmap may be NULL. */
void nbd_fixture_serve(
    struct nbd_fixture *f, const char *bitmap, bool writable);
/* Ends the server at once. */
void nbd_fixture_kill(struct nbd_fixture *f);
void nbd_fixture_fini(struct nbd_fixture *f);

#endif
