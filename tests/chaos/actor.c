/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process among those that chaos.py starts and kills: a backup of guests
 * that are not there, or other work on a repository, over a backend that makes
 * trouble.
 *
 *	chaos_actor JOB --repo DIR --state DIR [--key FILE] --seed N ...
 *
 * JOB: backup GUEST..., restore ID HASH, prune, repair, forget ID, unforget ID.
 * Exits with 0: done, 1: failed, 3: a restore gave wrong bytes.
 *
 * A backup tells the ledger, each in one line that is there before it goes on:
 *	try ID HASH GUEST     before the commit
 *	done ID               after it
 *	no ID                 the commit has failed for good
 *	unknown ID            nobody knows
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/backend.h"
#include "common/err.h"
#include "common/io.h"
#include "common/log.h"
#include "store/digest.h"
#include "store/seal/keyfile.h"
#include "store/seal/slot.h"
#include "store/store.h"
#include "tests/chaos/disk.h"
#include "tests/chaos/trouble.h"
#include "tests/unit/plain_manifest.h"

#define GUESTS_MAX 4
#define PATH_SIZE 512
#define DAY_MS INT64_C(86400000)

struct actor {
	const char *repo, *state, *key, *ledger;
	const char *cache; /* NULL: state; where the local index is. */
	struct trouble_plan trouble;
	int64_t beat_ms, silence_ms;
	unsigned int undelete_days;
	uint64_t chance;
	struct store *store;
};

static int
open_store(struct actor *a, struct err *err)
{
	uint8_t secret[KEYFILE_SECRET_BYTES];
	const struct slot_secret slot = { SLOT_FILE, secret, sizeof(secret) };
	struct store_open_options options = { .secret = NULL };
	struct backend *b;

	if (a->key != NULL) {
		if (keyfile_read(secret, a->key, err) == -1)
			return -1;
		options.secret = &slot;
	}
	if (trouble_open(&b, a->repo, &a->trouble, err) == -1)
		return -1;
	if (store_open(&a->store, b, a->cache != NULL ? a->cache : a->state,
		&options, err) == 0)
		return 0;
	backend_close(b);
	return -1;
}

/* ---- the ledger ---- */

static void
tell(const struct actor *a, const char *word, const char *id, const char *more)
{
	char line[256];
	int fd =
	    open(a->ledger, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	int n = snprintf(line, sizeof(line), "%s %s%s%s\n", word, id,
	    more[0] != '\0' ? " " : "", more);

	/* One write: whole, or not there. */
	if (fd == -1 || write(fd, line, (size_t)n) != n ||
	    fdatasync(fd) == -1 || close(fd) == -1) {
		perror("the ledger");
		abort();
	}
}

/* ---- a backup ---- */

struct turn { /* One guest's part in it. */
	const char *name;
	char path[PATH_SIZE];
	struct guest guest; /* As it was at its last point. */
	struct disk now;
	struct manifest *m;
	char hash[DISK_HASH_SIZE];
};

static int
turn_begin(struct turn *t, struct actor *a, const char *name, struct err *err)
{
	uint32_t own = (uint32_t)strtoul(name + 1, NULL, 10);

	*t = (struct turn){ .name = name };
	snprintf(
	    t->path, sizeof(t->path), "%.400s/guest-%.32s", a->state, name);
	if (guest_load(&t->guest, t->path, err) == -1)
		return -1;
	if (t->guest.point[0] == '\0') {
		disk_make(&t->now, &a->chance, own);
	} else {
		disk_copy(&t->now, &t->guest.disk);
		disk_change(&t->now, &a->chance, own);
	}
	return disk_hash(&t->now, t->hash, err);
}

static void
turn_end(struct turn *t)
{
	disk_fini(&t->guest.disk);
	disk_fini(&t->now);
	manifest_free(t->m);
}

/* As the program does it: what is there and may be built on, or NULL. */
static int
find_base(struct manifest **out, struct actor *a, struct store_session *session,
    const struct turn *t, struct err *err)
{
	int rc;

	*out = NULL;
	/* A full one now and then, as `backup --full` makes. */
	if (t->guest.point[0] == '\0' || chance_below(&a->chance, 8) == 0)
		return 0;
	if (store_manifest_read(out, a->store, t->guest.point, err) == -1) {
		if (err->class != ERR_NOT_FOUND)
			return -1;
		err_clear(err);
		return 0;
	}
	rc = store_session_base(session, *out, err);
	if (rc == 1)
		return 0;
	manifest_free(*out);
	*out = NULL;
	return rc;
}

static int
put_block(struct store_disk *disk, struct store_chunk **chunk,
    const struct disk *d, size_t i, struct err *err)
{
	struct store_chunk *c = *chunk;

	if (c == NULL && store_chunk_get(&c, disk, err) == -1)
		return -1;
	c->offset[c->count] = (uint64_t)i * STORE_BLOCK_BYTES;
	disk_block(d, i, c->data + (size_t)c->count * STORE_BLOCK_BYTES);
	*chunk = c;
	if (++c->count < STORE_CHUNK_BLOCKS)
		return 0;
	*chunk = NULL;
	return store_chunk_submit(disk, c, err);
}

static int
put_blocks(struct store_disk *disk, const struct disk *d,
    const struct disk *base, struct err *err)
{
	struct store_chunk *chunk = NULL;
	size_t i;

	for (i = 0; i < d->count; i++) {
		if (base != NULL ? !disk_differs(d, base, i)
				 : d->blocks[i] == 0)
			continue;
		if (put_block(disk, &chunk, d, i, err) == -1)
			return -1;
	}
	return chunk == NULL ? 0 : store_chunk_submit(disk, chunk, err);
}

static int
store_turn(struct actor *a, struct store_session *session, struct turn *t,
    struct err *err)
{
	struct manifest *base;
	struct store_disk *disk;
	int rc = -1;

	if (find_base(&base, a, session, t, err) == -1)
		return -1;
	t->m = plain_manifest(t->name, t->name, "chaos", 1, base);
	t->m->disks[0].size_bytes = t->now.size_bytes;
	if (store_disk_begin(&disk, session, t->now.size_bytes,
		base == NULL ? NULL : base->disks[0].root,
		base == NULL ? 0 : base->disks[0].size_bytes, err) == -1)
		goto out;
	if (put_blocks(
		disk, &t->now, base == NULL ? NULL : &t->guest.disk, err) == -1)
		store_disk_abort(disk);
	else
		rc = store_disk_end(disk, &t->m->disks[0], err);
out:
	manifest_free(base);
	return rc;
}

static int
commit_turn(struct actor *a, struct store_session *session, unsigned int n,
    struct turn *t, struct err *err)
{
	char more[128];

	store_session_point(session, n, t->m->id);
	snprintf(more, sizeof(more), "%s %s", t->hash, t->name);
	tell(a, "try", t->m->id, more);
	if (store_session_commit(session, t->m, err) == -1) {
		tell(a,
		    strstr(err->text, "not known") != NULL ? "unknown" : "no",
		    t->m->id, "");
		return -1;
	}
	tell(a, "done", t->m->id, "");
	memcpy(t->guest.point, t->m->id, sizeof(t->guest.point));
	disk_fini(&t->guest.disk);
	disk_copy(&t->guest.disk, &t->now);
	return guest_save(&t->guest, t->path, err);
}

static int
backup_turns(struct actor *a, struct store_session *session, struct turn *turns,
    unsigned int count, struct err *err)
{
	/* All disks and then all commits, or guest by guest. */
	const bool together = chance_below(&a->chance, 2) == 0;
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (store_turn(a, session, &turns[i], err) == -1 ||
		    (!together &&
			commit_turn(a, session, i, &turns[i], err) == -1))
			return -1;
	}
	for (i = 0; together && i < count; i++) {
		if (commit_turn(a, session, i, &turns[i], err) == -1)
			return -1;
	}
	return 0;
}

static int
backup(struct actor *a, char **names, int count, struct err *err)
{
	const struct store_session_options options = {
		.threads = 2,
		.points = (unsigned int)count,
		.beat_ms = a->beat_ms,
	};
	struct store_session *session = NULL;
	struct turn turns[GUESTS_MAX];
	int i, begun = 0, rc = 0;

	for (i = 0; rc == 0 && i < count && i < GUESTS_MAX; i++, begun++)
		rc = turn_begin(&turns[i], a, names[i], err);
	if (rc == 0)
		rc = store_session_begin(&session, a->store, &options, err);
	if (rc == 0)
		rc = backup_turns(a, session, turns, (unsigned int)begun, err);
	store_session_end(session);
	for (i = 0; i < begun; i++)
		turn_end(&turns[i]);
	return rc;
}

/* ---- a restore ---- */

struct sink {
	uint8_t *bytes;
	uint64_t size;
};

static int
take(void *arg, uint64_t offset, const void *buf, size_t size, struct err *err)
{
	struct sink *k = arg;

	if (offset > k->size || size > k->size - offset)
		return err_set(err, ERR_BUG, "a range outside the disk");
	memcpy(k->bytes + offset, buf, size);
	return 0;
}

static int
restore_disk(struct actor *a, const struct manifest *m, const char *want,
    struct err *err)
{
	struct sink k = { .size = m->disks[0].size_bytes };
	struct store_reader *r = NULL;
	char got[DISK_HASH_SIZE];
	uint8_t hash[DISK_HASH_SIZE / 2];
	int rc = -1;

	if ((k.bytes = calloc(1, k.size + 1)) == NULL)
		return err_no_memory(err);
	if (store_reader_open(&r, a->store, &m->disks[0], err) == 0 &&
	    store_reader_stream(r, 2, take, &k, err) == 0 &&
	    digest_once(hash, k.bytes, k.size, err) == 0)
		rc = 0;
	store_reader_close(r);
	free(k.bytes);
	if (rc == -1)
		return -1;
	hex_encode(got, hash, sizeof(hash));
	if (strcmp(got, want) == 0)
		return 0;
	fprintf(
	    stderr, "WRONG BYTES: point %s has %s, not %s\n", m->id, got, want);
	return 3;
}

static int
restore(struct actor *a, char **words, struct err *err)
{
	struct manifest *m;
	int rc;

	if (store_manifest_read(&m, a->store, words[0], err) == -1)
		return -1;
	rc = restore_disk(a, m, words[1], err);
	manifest_free(m);
	return rc;
}

/* ---- a prune ---- */

static int
prune(struct actor *a, struct err *err)
{
	const struct store_prune_options options = {
		.undelete_ms = a->undelete_days * DAY_MS,
		.silence_ms = a->silence_ms,
		.live_percent = 50 + chance_below(&a->chance, 50),
	};
	struct store_prune_result result;

	return store_prune(a->store, &options, &result, err);
}

/* ---- a repair ---- */

static void
tell_damage(void *arg, const struct store_damage *damage)
{
	(void)arg;
	fprintf(stderr, "damaged: %s: %s\n", damage->object, damage->what);
}

static int
repair(struct actor *a, struct err *err)
{
	const struct store_repair_options options = { .threads = 2 };
	struct store_repair_result result;

	return store_repair(
	    a->store, &options, tell_damage, NULL, &result, err);
}

/* ---- */

static int
work(struct actor *a, const char *job, char **words, int count, struct err *err)
{
	if (strcmp(job, "backup") == 0 && count > 0)
		return backup(a, words, count, err);
	if (strcmp(job, "restore") == 0 && count == 2)
		return restore(a, words, err);
	if (strcmp(job, "prune") == 0 && count == 0)
		return prune(a, err);
	if (strcmp(job, "repair") == 0 && count == 0)
		return repair(a, err);
	if (strcmp(job, "forget") == 0 && count == 1)
		return store_point_forget(a->store, words[0], err);
	if (strcmp(job, "unforget") == 0 && count == 1)
		return store_point_unforget(a->store, words[0], err);
	return err_set(err, ERR_ARG, "no such job: %s", job);
}

static const struct option options[] = {
	{ "repo", required_argument, NULL, 'r' },
	{ "state", required_argument, NULL, 's' },
	{ "cache", required_argument, NULL, 'c' },
	{ "only-writes", no_argument, NULL, 'o' },
	{ "key", required_argument, NULL, 'k' },
	{ "ledger", required_argument, NULL, 'l' },
	{ "seed", required_argument, NULL, 'n' },
	{ "fail", required_argument, NULL, 'f' },
	{ "flip", required_argument, NULL, 'b' },
	{ "lag", required_argument, NULL, 'g' },
	{ "slow", required_argument, NULL, 'w' },
	{ "stop-at", required_argument, NULL, 't' },
	{ "beat", required_argument, NULL, 'e' },
	{ "silence", required_argument, NULL, 'i' },
	{ "undelete-days", required_argument, NULL, 'u' },
	{ NULL, 0, NULL, 0 },
};

static void
set(struct actor *a, int option)
{
	const char *value = optarg;
	uint64_t number = value == NULL ? 0 : strtoull(value, NULL, 10);

	switch (option) {
	case 'r':
		a->repo = value;
		break;
	case 's':
		a->state = value;
		break;
	case 'c':
		a->cache = value;
		break;
	case 'o':
		a->trouble.only_writes = true;
		break;
	case 'k':
		a->key = value;
		break;
	case 'l':
		a->ledger = value;
		break;
	case 'n':
		a->trouble.seed = number;
		break;
	case 'f':
		a->trouble.fail_permille = (unsigned int)number;
		break;
	case 'b':
		a->trouble.flip_permille = (unsigned int)number;
		break;
	case 'g':
		a->trouble.lag_permille = (unsigned int)number;
		break;
	case 'w':
		a->trouble.slow_permille = (unsigned int)number;
		break;
	case 't':
		a->trouble.stop_at = number;
		break;
	case 'e':
		a->beat_ms = (int64_t)number;
		break;
	case 'i':
		a->silence_ms = (int64_t)number;
		break;
	case 'u':
		a->undelete_days = (unsigned int)number;
		break;
	default:
		exit(2);
	}
}

int
main(int argc, char **argv)
{
	struct actor a = { .ledger = "/dev/null" };
	struct err err = ERR_INIT;
	int option, rc;

	log_set_level(LOG_WARNING);
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		set(&a, option);
	if (optind == argc || a.repo == NULL || a.state == NULL) {
		fprintf(stderr, "usage: see %s\n", __FILE__);
		return 2;
	}
	a.chance = a.trouble.seed ^ 1;
	rc = open_store(&a, &err);
	if (rc == 0)
		rc = work(&a, argv[optind], argv + optind + 1,
		    argc - optind - 1, &err);
	if (rc == -1)
		fprintf(stderr, "failed (%s): %s\n", err_class_name(err.class),
		    err.text);
	store_close(a.store);
	return rc == -1 ? 1 : rc;
}
