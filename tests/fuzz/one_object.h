/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend that holds one object, for what parses stored bytes, and objects
 * around a fuzzer's bytes, with checksums that are right: else no input would
 * come past them.  One at a time, one thread.
 */
#ifndef HOLDSTILL_TESTS_FUZZ_ONE_OBJECT_H
#define HOLDSTILL_TESTS_FUZZ_ONE_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/backend.h"
#include "store/envelope.h"

/* The id of each object here. */
extern const uint8_t one_object_id[OBJECT_ID_BYTES];

/* Aborts with what a fuzzer calls a finding. */
void require(bool holds);

/*
 * The backend that has data (copied) under the key of type and one_object_id,
 * and takes and forgets all that is put.  Valid until the next call.
 */
struct backend *one_object(
    enum object_type type, const uint8_t *data, size_t size);

/* The same: head, body and SHA-256 made.  coding and raw_size as they come. */
struct backend *one_object_around(enum object_type type, unsigned int coding,
    uint64_t raw_size, const uint8_t *body, size_t size);

/* The same of bytes that have all but the right SHA-256 at their end. */
struct backend *one_object_signed(
    enum object_type type, const uint8_t *data, size_t size);

#endif
