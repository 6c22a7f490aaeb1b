/* SPDX-License-Identifier: Apache-2.0 */
/* Locks as objects that say who holds them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/json/json.h"
#include "common/procid.h"
#include "store/store_internal.h"

#define LOCK_BODY_MAX 4096u

struct store_lock {
	struct store *store;
	uint8_t id[OBJECT_ID_BYTES];
};

struct holder { /* What a lock object says. */
	struct procid process;
	bool exclusive;
	int64_t time_ms;
};

static json_t *
holder_to_json(const struct holder *h)
{
	char time[CLOCK_RFC3339_SIZE];

	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:s}", "host",
	    h->process.host, "boot_id", h->process.boot_id, "pid_namespace",
	    (json_int_t)h->process.pid_namespace, "pid",
	    (json_int_t)h->process.pid, "start_ticks",
	    (json_int_t)h->process.start_ticks, "kind",
	    h->exclusive ? "exclusive" : "shared", "time",
	    clock_format_rfc3339(time, h->time_ms));
}

static int
copy_text(char *out, size_t size, const json_t *json, const char *key,
    struct err *err)
{
	char *text;

	if (json_get_string(&text, json, key, size - 1, err) == -1)
		return -1;
	memcpy(out, text, strlen(text) + 1);
	free(text);
	return 0;
}

static int
holder_from_json(struct holder *h, const json_t *json, struct err *err)
{
	char kind[16], time[64];

	if (copy_text(h->process.host, sizeof(h->process.host), json, "host",
		err) == -1 ||
	    copy_text(h->process.boot_id, sizeof(h->process.boot_id), json,
		"boot_id", err) == -1 ||
	    json_get_u64(
		&h->process.pid_namespace, json, "pid_namespace", err) == -1 ||
	    json_get_i64(&h->process.pid, json, "pid", err) == -1 ||
	    json_get_u64(&h->process.start_ticks, json, "start_ticks", err) ==
		-1 ||
	    copy_text(kind, sizeof(kind), json, "kind", err) == -1 ||
	    copy_text(time, sizeof(time), json, "time", err) == -1)
		return -1;
	h->exclusive = strcmp(kind, "shared") != 0;
	if (h->process.pid <= 0 || clock_parse_rfc3339(&h->time_ms, time) == -1)
		return err_set(err, ERR_CORRUPT, "it names no process or time");
	return 0;
}

static int
holder_read(struct holder *out, struct store *s,
    const uint8_t id[OBJECT_ID_BYTES], struct err *err)
{
	char key[OBJECT_KEY_SIZE], *text;
	json_t *json = NULL;
	size_t size;
	int rc = -1;

	object_key(key, OBJECT_LOCK, id);
	if (envelope_get(s->backend, s->seal, key, OBJECT_LOCK, id, NULL,
		LOCK_BODY_MAX, &text, &size, err) == -1)
		return -1;
	if (json_parse(&json, text, size, err) == 0)
		rc = holder_from_json(out, json, err);
	json_decref(json);
	free(text);
	return rc == -1 ? err_prefix(err, "object '%s'", key) : 0;
}

static int
put_own(struct store_lock *lock, bool exclusive, struct err *err)
{
	struct holder own = { .exclusive = exclusive,
		.time_ms = clock_wall_ms() };
	char key[OBJECT_KEY_SIZE], *text = NULL;
	json_t *json = NULL;
	int rc = -1;

	if (procid_self(&own.process, err) == -1 ||
	    hexid_random(lock->id, sizeof(lock->id), err) == -1)
		return -1;
	json = holder_to_json(&own);
	if (json == NULL || (text = json_text(json, false)) == NULL)
		err_no_memory(err);
	else
		rc = envelope_put(lock->store->backend, lock->store->seal,
		    object_key(key, OBJECT_LOCK, lock->id), OBJECT_LOCK,
		    lock->id, text, strlen(text), false, err);
	free(text);
	json_decref(json);
	return rc;
}

static int
report_busy(const struct holder *h, const char *key, struct err *err)
{
	char since[CLOCK_RFC3339_SIZE];

	err_set(err, ERR_BUSY,
	    "the repository is locked (%s) by process "
	    "%" PRId64 " on host '%s' since %s",
	    h->exclusive ? "exclusive" : "shared", h->process.pid,
	    h->process.host, clock_format_rfc3339(since, h->time_ms));
	return err_hint(err,
	    "wait for it to end; if that host is gone for "
	    "good, remove the object '%s'",
	    key);
}

/* 0: it does not stand in the way (any more). */
static int
check_other(struct store *s, const uint8_t id[OBJECT_ID_BYTES], bool exclusive,
    struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	struct holder other = { .time_ms = 0 };

	object_key(key, OBJECT_LOCK, id);
	if (holder_read(&other, s, id, err) == -1) {
		if (err->class == ERR_NOT_FOUND) { /* Released meanwhile. */
			err_clear(err);
			return 0;
		}
		if (err->class == ERR_CORRUPT) {
			err->class = ERR_BUSY;
			err_hint(err,
			    "nobody can tell whose lock this is: "
			    "remove the object '%s' if no holdstill runs",
			    key);
		}
		return -1;
	}
	if (procid_probe(&other.process) == PROCID_DEAD)
		return backend_remove(s->backend, key, err);
	if (exclusive || other.exclusive)
		return report_busy(&other, key, err);
	return 0;
}

/* Own lock first, then the look around: of two at once both see the other. */
static int
check_others(struct store_lock *lock, bool exclusive, struct err *err)
{
	struct idset locks;
	size_t i;
	int rc = 0;

	if (idset_list(&locks, lock->store->backend, OBJECT_LOCK, err) == -1)
		return -1;
	for (i = 0; rc == 0 && i < locks.count; i++) {
		if (memcmp(locks.ids[i], lock->id, OBJECT_ID_BYTES) != 0)
			rc = check_other(
			    lock->store, locks.ids[i], exclusive, err);
	}
	idset_fini(&locks);
	return rc;
}

int
store_lock_take(struct store_lock **out, struct store *s,
    enum store_lock_kind kind, struct err *err)
{
	struct store_lock *lock = calloc(1, sizeof(*lock));
	bool exclusive = kind == STORE_LOCK_EXCLUSIVE;

	if (lock == NULL)
		return err_no_memory(err);
	lock->store = s;
	if (put_own(lock, exclusive, err) == -1) {
		free(lock);
		return -1;
	}
	if (check_others(lock, exclusive, err) == -1) {
		store_lock_release(lock);
		return -1;
	}
	*out = lock;
	return 0;
}

void
store_lock_release(struct store_lock *lock)
{
	struct err ignored = ERR_INIT;
	char key[OBJECT_KEY_SIZE];

	if (lock == NULL)
		return;
	/* What stays is a dead process's lock, and is removed as such. */
	backend_remove(lock->store->backend,
	    object_key(key, OBJECT_LOCK, lock->id), &ignored);
	free(lock);
}
