/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store of mode public, as a host that may only add has it, and the marks
 * of its points as both sides see them (docs/seal.md).
 */
#ifndef HOLDSTILL_STORE_HOST_H
#define HOLDSTILL_STORE_HOST_H

#include "store/envelope.h"
#include "store/store_internal.h"

/*
 * Opens with the host key at path: the store's keys, its chain, and a folder
 * of the host's own in cache_dir.  *dir, malloc, is where its local index
 * goes.  ERR_AUTH: the key is of another repository, mode or cipher.
 */
int host_open(struct store *s, char **dir, const char *cache_dir,
    const struct seal_settings *settings, const char *path, struct err *err);
/* The owner of a repository of mode public: to check marks. */
int host_open_owner(struct store *s, struct err *err);
void host_close(struct store *s);

/* Of s; to be given to envelope_make() and envelope_get_marked(). */
struct envelope_marks host_marks(struct store *s);

/* The marks of points that were read. */
struct host_link {
	uint8_t host[SEAL_ID_BYTES];
	uint64_t n;
	uint8_t point[OBJECT_ID_BYTES];
};
struct host_links { /* Zeroed is empty. */
	struct host_link *link;
	size_t count, capacity;
};
/* From now on, until NULL, marks that are found genuine are added to links. */
void host_take_down(struct store *s, struct host_links *links);

/* 0, or ERR_AUTH on a host: what says in a few words what is asked for. */
int host_refuse(const struct store *s, const char *what, struct err *err);

/*
 * A host's session holds this while it works: the memory of other sessions is
 * swept only while there are none.  -1: *fd_out is -1.
 */
int host_session_begin(int *fd_out, struct store *s, struct err *err);
void host_session_end(int fd);

/* ERR_CORRUPT: this host has seen a later epoch. */
int host_check_epoch(struct store *s, uint64_t newest, struct err *err);

/* For next time: an epoch that was read and found genuine. */
int host_saw_epoch(struct store *s, uint64_t number, struct err *err);

#endif
