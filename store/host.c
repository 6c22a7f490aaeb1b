/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts that may only add: opened, their sessions, the marks of points. */
#include "store/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/err.h"
#include "common/io.h"
#include "store/host_sweep.h"
#include "store/seal/chain.h"
#include "store/seal/hostkey.h"

/* ---- opened ---- */

static char *
dir_of(const char *cache_dir, const struct hostkey *key)
{
	char hex[HEXID_SIZE], *dir;

	hex_encode(hex, key->host, sizeof(key->host));
	if (asprintf(&dir, "%s/hosts/%s", cache_dir, hex) == -1)
		return NULL;
	return dir;
}

static int
begin(struct store *s, const char *path, struct hostkey *key, struct err *err)
{
	char *state = io_path(s->host_dir, "chain");
	int rc;

	if (state == NULL)
		return err_no_memory(err);
	rc = chain_open(&s->chain, state, path, key, err);
	free(state);
	return rc == -1 ? err_prefix(err, "host key '%s'", path) : 0;
}

int
host_open(struct store *s, char **dir, const char *cache_dir,
    const struct seal_settings *settings, const char *path, struct err *err)
{
	struct hostkey key;
	int rc = -1;

	if (hostkey_read(&key, path, err) == -1)
		return -1;
	if (seal_open_host(&s->seal, settings, &key, err) == -1)
		err_prefix(err, "host key '%s'", path);
	else if ((s->host_dir = dir_of(cache_dir, &key)) == NULL ||
		 (*dir = io_path(s->host_dir, "index")) == NULL)
		err_no_memory(err);
	else if (io_make_dirs(s->host_dir, 0700, err) == 0)
		rc = begin(s, path, &key, err);
	hostkey_wipe(&key);
	return rc;
}

int
host_open_owner(struct store *s, struct err *err)
{
	if (seal_mode(s->seal) != SEAL_PUBLIC)
		return 0;
	return chain_checker_new(&s->checker, s->seal, err);
}

void
host_close(struct store *s)
{
	chain_close(s->chain);
	chain_checker_free(s->checker);
	free(s->host_dir);
}

bool
store_is_host(const struct store *s)
{
	return s->chain != NULL;
}

int
host_refuse(const struct store *s, const char *what, struct err *err)
{
	if (!store_is_host(s))
		return 0;
	err_set(err, ERR_AUTH,
	    "%s: the key given is a host key, which adds points and opens "
	    "nothing",
	    what);
	return err_hint(err,
	    "give the owner's key, where that is kept: --passphrase-file or "
	    "--key-file");
}

int
store_need_owner(const struct store *s, const char *what, struct err *err)
{
	return host_refuse(s, what, err);
}

/* ---- marks ---- */

static int
make_mark(
    void *arg, uint8_t *out, const void *object, size_t size, struct err *err)
{
	struct store *s = arg;
	int rc;

	if (s->chain != NULL)
		return chain_mark(s->chain, out, object, size, err);
	pthread_mutex_lock(&s->mark_lock);
	rc = chain_mark_owner(s->checker, out, object, size, err);
	pthread_mutex_unlock(&s->mark_lock);
	return rc;
}

/* With the lock held. */
static int
take_down(struct store *s, const uint8_t *host, uint64_t n,
    const uint8_t *object, struct err *err)
{
	struct host_links *l = s->links;
	struct host_link *grown;

	if (l == NULL)
		return 0;
	if (l->count == l->capacity) {
		grown =
		    reallocarray(l->link, l->capacity * 2 + 64, sizeof(*grown));
		if (grown == NULL)
			return err_no_memory(err);
		l->link = grown;
		l->capacity = l->capacity * 2 + 64;
	}
	memcpy(l->link[l->count].host, host, SEAL_ID_BYTES);
	memcpy(l->link[l->count].point, object + 16, OBJECT_ID_BYTES);
	l->link[l->count++].n = n;
	return 0;
}

void
host_take_down(struct store *s, struct host_links *links)
{
	pthread_mutex_lock(&s->mark_lock);
	s->links = links;
	pthread_mutex_unlock(&s->mark_lock);
}

static int
check_mark(void *arg, const void *object, size_t size, struct err *err)
{
	struct store *s = arg;
	uint8_t host[SEAL_ID_BYTES];
	uint64_t n;
	int rc;

	if (host_refuse(s, "a mark cannot be checked", err) == -1)
		return -1;
	pthread_mutex_lock(&s->mark_lock);
	rc = chain_check(s->checker, host, &n, object, size, err);
	if (rc == 0)
		rc = take_down(s, host, n, object, err);
	pthread_mutex_unlock(&s->mark_lock);
	return rc;
}

struct envelope_marks
host_marks(struct store *s)
{
	return (struct envelope_marks){
		.arg = s, .make = make_mark, .check = check_mark
	};
}

/* ---- sessions ---- */

static int
lock_sessions(int *fd_out, struct store *s, struct err *err)
{
	char *path = io_path(s->host_dir, "sessions");
	int fd, rc = -1;

	if (path == NULL)
		return err_no_memory(err);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd == -1) {
		err_errno(err, errno, "cannot open '%s'", path);
		goto out;
	}
	/* Alone: what no point needs may go. */
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && host_sweep(s, err) == -1)
		goto out;
	while ((rc = flock(fd, LOCK_SH)) == -1 && errno == EINTR)
		;
	if (rc == -1)
		err_errno(err, errno, "cannot lock '%s'", path);
out:
	free(path);
	if (rc == -1 && fd != -1)
		close(fd);
	*fd_out = rc == -1 ? -1 : fd;
	return rc;
}

int
host_session_begin(int *fd_out, struct store *s, struct err *err)
{
	*fd_out = -1;
	if (!store_is_host(s))
		return 0;
	return chain_begin(s->chain, err) == -1 ? -1
						: lock_sessions(fd_out, s, err);
}

void
host_session_end(int fd)
{
	if (fd != -1)
		close(fd);
}

int
host_saw_epoch(struct store *s, uint64_t number, struct err *err)
{
	return store_is_host(s) ? chain_saw_epoch(s->chain, number, err) : 0;
}

int
host_check_epoch(struct store *s, uint64_t newest, struct err *err)
{
	uint64_t known;

	if (!store_is_host(s))
		return 0;
	if (chain_epoch(&known, s->chain, err) == -1)
		return -1;
	if (newest >= known)
		return 0;
	err_set(err, ERR_CORRUPT,
	    "the repository was set back: this host has seen its epoch %llu, "
	    "and now the newest is %llu",
	    (unsigned long long)known, (unsigned long long)newest);
	return err_hint(err,
	    "if that is meant to be so, use a new host key, of "
	    "'holdstill key host'");
}
