/* SPDX-License-Identifier: Apache-2.0 */
/* The LMDB environment of a local index: opened, shared, grown. */
#include "store/localindex_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/hexid.h"
#include "common/io.h"

/* Changes with the layout: another one is thrown away. */
#define FORMAT "holdstill local index 3"
#define MAP_FIRST_BYTES (16u << 20)
#define READERS_MAX 512
/* An index makes less than 2^24 runs. */
#define RUNS_BITS 24
#define RUNS_SHIFT 32
/* Beside LMDB's codes and those of errno. */
#define WAS_SEALED (-1)
#define IS_USED (-2)

/*
 * One environment a folder and process: LMDB's locks do not survive a second
 * open of the same file in one process.
 */
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static struct localindex *open_list; /* Guarded by open_lock. */

static bool
worth_a_new_one(int code)
{
	return code == MDB_CORRUPTED || code == MDB_INVALID ||
	       code == MDB_VERSION_MISMATCH || code == MDB_PAGE_NOTFOUND ||
	       code == MDB_PANIC || code == MDB_INCOMPATIBLE ||
	       code == MDB_NOTFOUND || code == EINVAL || code == MDB_BAD_TXN ||
	       code == MDB_BAD_VALSIZE || code == MDB_BAD_DBI ||
	       code == MDB_CURSOR_FULL || code == MDB_PAGE_FULL;
}

int
localindex_error(struct localindex *li, int code, struct err *err)
{
	if (code == ENOMEM)
		return err_no_memory(err);
	err_set(err, code == ENOSPC ? ERR_NO_SPACE : ERR_IO,
	    "local index '%s': %s", li->dir, mdb_strerror(code));
	if (code == ENOSPC)
		return err_hint(err, "free space for the state folder");
	if (!worth_a_new_one(code))
		return err_hint(err, "remove that folder, it is only a cache");
	localindex_note_broken(li);
	return err_hint(err, "try again: it is only a cache, and is made anew");
}

/* LMDB gives up on some pages that make no sense, and the process with it. */
static void
gives_up(MDB_env *env, const char *text)
{
	(void)text;
	localindex_note_broken(mdb_env_get_userctx(env));
}

/* More file than there is would be SIGBUS at the first look. */
static bool
file_whole(MDB_env *env, const char *path)
{
	MDB_envinfo info;
	MDB_stat stat_db;
	struct stat st;

	return mdb_env_info(env, &info) == 0 &&
	       mdb_env_stat(env, &stat_db) == 0 && stat(path, &st) == 0 &&
	       (uint64_t)st.st_size >=
		   ((uint64_t)info.me_last_pgno + 1) * stat_db.ms_psize;
}

/* Of this layout and a key: its name is an id.  Damage does not make one. */
static bool
is_of_a_key(const MDB_val *format)
{
	const size_t own = strlen(FORMAT " ");
	char marker[HEXID_SIZE];

	if (format->mv_size != own + HEXID_LENGTH ||
	    memcmp(format->mv_data, FORMAT " ", own) != 0)
		return false;
	memcpy(marker, (const char *)format->mv_data + own, HEXID_LENGTH);
	marker[HEXID_LENGTH] = '\0';
	return hexid_valid(marker);
}

static bool
is_plain(const struct localindex *li)
{
	return strcmp(li->format, FORMAT " " LOCALINDEX_PLAIN) == 0;
}

static int
check_format(const struct localindex *li, const MDB_val *is)
{
	if (is->mv_size == strlen(li->format) &&
	    memcmp(is->mv_data, li->format, is->mv_size) == 0)
		return 0;
	if (is_plain(li) && is_of_a_key(is))
		return WAS_SEALED;
	return MDB_VERSION_MISMATCH;
}

/* Runs are numbered from some number of its own, so that no two indexes of a
 * folder, one after the other, ever have files of one name. */
static int
begin_meta(struct localindex *li, MDB_txn *txn, MDB_val *key)
{
	MDB_val value = { .mv_size = strlen(li->format),
		.mv_data = li->format };
	struct err ignored = ERR_INIT;
	uint64_t first;
	int code;

	if (hexid_random(&first, sizeof(first), &ignored) == -1)
		return EIO;
	code = localindex_counter_put(
	    li, txn, LOCALINDEX_NEXT_RUN, first >> RUNS_SHIFT << RUNS_BITS);
	return code != 0 ? code : mdb_put(txn, li->meta, key, &value, 0);
}

static int
open_tables(struct localindex *li)
{
	MDB_val key = { .mv_size = 6, .mv_data = (void *)(uintptr_t) "format" };
	MDB_val value;
	MDB_txn *txn;
	int rc;

	if ((rc = mdb_txn_begin(li->env, NULL, 0, &txn)) != 0)
		return rc;
	if ((rc = mdb_dbi_open(txn, "meta", MDB_CREATE, &li->meta)) == 0 &&
	    (rc = mdb_dbi_open(txn, "blobs", MDB_CREATE, &li->blobs)) == 0 &&
	    (rc = mdb_dbi_open(txn, "packs", MDB_CREATE, &li->packs)) == 0 &&
	    (rc = mdb_dbi_open(txn, "numbers", MDB_CREATE, &li->numbers)) ==
		0 &&
	    (rc = mdb_dbi_open(txn, "indexes", MDB_CREATE, &li->indexes)) ==
		0 &&
	    (rc = mdb_dbi_open(txn, "pieces", MDB_CREATE, &li->pieces)) == 0 &&
	    (rc = mdb_dbi_open(txn, "points", MDB_CREATE, &li->points)) == 0) {
		rc = mdb_get(txn, li->meta, &key, &value);
		if (rc == MDB_NOTFOUND) {
			rc = begin_meta(li, txn, &key);
		} else if (rc == 0) {
			rc = check_format(li, &value);
		}
	}
	if (rc != 0) {
		mdb_txn_abort(txn);
		return rc;
	}
	return mdb_txn_commit(txn);
}

static int
open_env(struct localindex *li, const char *data)
{
	int dead, rc;

	if ((rc = mdb_env_create(&li->env)) != 0) {
		li->env = NULL;
		return rc;
	}
	if ((rc = mdb_env_set_userctx(li->env, li)) != 0 ||
	    (rc = mdb_env_set_assert(li->env, gives_up)) != 0 ||
	    (rc = mdb_env_set_maxdbs(li->env, 7)) != 0 ||
	    (rc = mdb_env_set_maxreaders(li->env, READERS_MAX)) != 0 ||
	    (rc = mdb_env_set_mapsize(li->env, MAP_FIRST_BYTES)) != 0 ||
	    (rc = mdb_env_open(li->env, li->dir,
		 MDB_NOTLS | MDB_NOMETASYNC | MDB_NORDAHEAD, 0600)) != 0)
		return rc;
	if (!file_whole(li->env, data))
		return MDB_CORRUPTED;
	mdb_reader_check(li->env, &dead);
	return open_tables(li);
}

static void
was_sealed(const struct localindex *li, struct err *err)
{
	err_set(err, ERR_AUTH,
	    "this host knows the repository as encrypted, and now it says that "
	    "it is not: somebody may have replaced its settings");
	err_hint(err, "if that is meant to be so, remove '%s'", li->dir);
}

/* What it is made of, but for the guard. */
static void
throw_away(struct localindex *li)
{
	static const char *const files[] = { "data.mdb", "lock.mdb", "broken" };
	char *path;
	size_t i;

	for (i = 0; i < sizeof(files) / sizeof(*files); i++) {
		if ((path = io_path(li->dir, files[i])) != NULL)
			unlink(path);
		free(path);
	}
	localindex_runs_sweep(li, UINT64_MAX, NULL, 0);
	localindex_forget_damage(li);
}

static void
in_use(const struct localindex *li, struct err *err)
{
	err_set(err, ERR_BUSY,
	    "local index '%s' is damaged, or of another version, and other "
	    "commands of this host use it",
	    li->dir);
	err_hint(err,
	    "try again when they have ended: it is only a cache, and is made "
	    "anew");
}

/* Those who have it open would go on with the old file, and with runs under
 * the names of the new ones. */
static int
try_throw_away(struct localindex *li)
{
	if (!localindex_alive_alone(li))
		return IS_USED;
	throw_away(li);
	return 0;
}

/* A code. */
static int
open_or_new(struct localindex *li, const char *data)
{
	int code = localindex_broken(li) ? try_throw_away(li) : 0;

	if (code != 0)
		return code;
	if (localindex_key_known(li) && is_plain(li))
		return WAS_SEALED;
	code = open_env(li, data);
	if (code == 0 || !worth_a_new_one(code))
		return code;
	mdb_env_close(li->env);
	li->env = NULL;
	code = try_throw_away(li);
	return code != 0 ? code : open_env(li, data);
}

/* Called with the folder's guard held. */
static int
open_or_replace(struct localindex *li, struct err *err)
{
	char *data = io_path(li->dir, "data.mdb");
	int code, rc = -1;

	if (data == NULL)
		return err_no_memory(err);
	code = open_or_new(li, data);
	if (code == WAS_SEALED)
		was_sealed(li, err);
	else if (code == IS_USED)
		in_use(li, err);
	else if (code != 0)
		localindex_error(li, code, err);
	else
		rc = 0;
	if (rc == 0 && !is_plain(li))
		localindex_note_key(li);
	free(data);
	return rc;
}

/* -1: errno tells. */
static int
lock_guard(const struct localindex *li)
{
	char *guard = io_path(li->dir, "guard");
	int fd = -1;

	if (guard != NULL)
		fd = open(guard, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd != -1 && flock(fd, LOCK_EX) == -1) {
		close(fd);
		fd = -1;
	}
	free(guard);
	return fd;
}

static void
destroy(struct localindex *li)
{
	int guard = li->alive_fd == -1 ? -1 : lock_guard(li);

	if (li->env != NULL)
		mdb_env_close(li->env);
	localindex_alive_end(li);
	if (guard != -1)
		close(guard);
	localindex_runs_put(li, li->runs);
	pthread_mutex_destroy(&li->runs_lock);
	pthread_rwlock_destroy(&li->resize);
	free(li->dir);
	free(li);
}

static int
open_guarded(struct localindex *li, struct err *err)
{
	int fd = lock_guard(li), rc;

	if (fd == -1)
		return err_errno(err, errno, "cannot lock '%s'", li->dir);
	localindex_alive_begin(li);
	rc = open_or_replace(li, err);
	close(fd);
	return rc;
}

static int
open_new(struct localindex **out, const char *dir, const char *marker,
    struct err *err)
{
	struct localindex *li;

	if (io_make_dirs(dir, 0700, err) == -1)
		return -1;
	if ((li = calloc(1, sizeof(*li))) == NULL)
		return err_no_memory(err);
	pthread_rwlock_init(&li->resize, NULL);
	pthread_mutex_init(&li->runs_lock, NULL);
	li->users = 1;
	li->alive_fd = -1;
	snprintf(li->format, sizeof(li->format), FORMAT " %s", marker);
	if ((li->dir = realpath(dir, NULL)) == NULL) {
		err_errno(err, errno, "cannot open '%s'", dir);
		destroy(li);
		return -1;
	}
	if (open_guarded(li, err) == -1) {
		destroy(li);
		return -1;
	}
	li->next = open_list;
	open_list = li;
	*out = li;
	return 0;
}

int
localindex_open(struct localindex **out, const char *dir, const char *marker,
    struct err *err)
{
	char *real = realpath(dir, NULL);
	struct localindex *li;
	int rc = 0;

	/* It may be open: without its name it would be opened once more. */
	if (real == NULL && errno == ENOMEM)
		return err_no_memory(err);

	pthread_mutex_lock(&open_lock);
	for (li = open_list; li != NULL; li = li->next) {
		if (real != NULL && strcmp(li->dir, real) == 0)
			break;
	}
	if (li != NULL &&
	    strcmp(li->format + strlen(FORMAT " "), marker) != 0) {
		rc = err_set(err, ERR_BUG,
		    "local index '%s' is open with another key", dir);
	} else if (li != NULL) {
		li->users++;
		*out = li;
	} else {
		rc = open_new(out, dir, marker, err);
	}
	pthread_mutex_unlock(&open_lock);
	free(real);
	return rc;
}

void
localindex_close(struct localindex *li)
{
	struct localindex **link;

	if (li == NULL)
		return;
	pthread_mutex_lock(&open_lock);
	if (--li->users == 0) {
		for (link = &open_list; *link != li; link = &(*link)->next)
			;
		*link = li->next;
		destroy(li);
	}
	pthread_mutex_unlock(&open_lock);
}

/* Another process made the file larger: take its size over. */
static int
adopt_size(struct localindex *li)
{
	int code;

	pthread_rwlock_wrlock(&li->resize);
	code = mdb_env_set_mapsize(li->env, 0);
	pthread_rwlock_unlock(&li->resize);
	return code;
}

/* Leaves the resize lock held for reading when it returns 0. */
int
localindex_txn_begin(struct localindex *li, unsigned int flags, MDB_txn **txn)
{
	int code;

	for (;;) {
		pthread_rwlock_rdlock(&li->resize);
		code = mdb_txn_begin(li->env, NULL, flags, txn);
		if (code == 0)
			return 0;
		pthread_rwlock_unlock(&li->resize);
		if (code != MDB_MAP_RESIZED)
			return code;
		if ((code = adopt_size(li)) != 0)
			return code;
	}
}

int
localindex_grow(struct localindex *li)
{
	MDB_envinfo info;
	int code;

	pthread_rwlock_wrlock(&li->resize);
	code = mdb_env_info(li->env, &info);
	if (code == 0)
		code = mdb_env_set_mapsize(li->env, info.me_mapsize * 2);
	pthread_rwlock_unlock(&li->resize);
	return code;
}

int
localindex_change(struct localindex *li, localindex_change_fn *fn, void *arg)
{
	MDB_txn *txn;
	int code;

	for (;;) {
		if ((code = localindex_txn_begin(li, 0, &txn)) != 0)
			return code;
		if ((code = fn(li, txn, arg)) == 0)
			code = mdb_txn_commit(txn);
		else
			mdb_txn_abort(txn);
		pthread_rwlock_unlock(&li->resize);
		if (code != MDB_MAP_FULL || (code = localindex_grow(li)) != 0)
			return code;
	}
}
