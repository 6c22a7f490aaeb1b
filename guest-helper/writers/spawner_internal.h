/* SPDX-License-Identifier: Apache-2.0 */
/* What helper and spawner say to each other: one struct a packet. */
#ifndef HOLDSTILL_GUEST_SPAWNER_INTERNAL_H
#define HOLDSTILL_GUEST_SPAWNER_INTERNAL_H

#include <stdint.h>

#include "common/hexid.h"
#include "common/proto/message.h"

/* Descriptors that come with SPAWNER_STARTED: output, errors, and for a
 * writer its input. */
#define SPAWNER_FDS_MAX 3

enum spawner_kind {
	/* Commands: */
	SPAWNER_RUN = 1,
	SPAWNER_KILL,
	SPAWNER_KILL_SIBLING,
	/* Reports: */
	SPAWNER_STARTED,
	SPAWNER_REFUSED,
	SPAWNER_EXITED,
};

struct spawner_command {
	uint32_t kind;
	uint32_t id; /* Echoed by the report. */
	uint32_t dir;
	int32_t pid;
	int32_t signum;
	char name[MESSAGE_NAME_SIZE];
	char argument[16]; /* "": none. */
	char session[HEXID_SIZE];
};

struct spawner_report {
	uint32_t kind;
	uint32_t id;
	int32_t pid;
	int32_t status;
	uint32_t error_class;
	char text[320];
};

/* The process itself; never returns. */
_Noreturn void spawner_process_run(
    int fd, const char *writers_dir, const char *hooks_dir);

#endif
