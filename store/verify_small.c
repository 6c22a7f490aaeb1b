/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small objects: settings, and what sessions and prunes tell one another
 * (docs/prune.md).
 */
#include <stdlib.h>
#include <string.h>

#include "common/json/json.h"
#include "store/aside.h"
#include "store/numbered.h"
#include "store/seal/slot.h"
#include "store/sessions.h"
#include "store/strays.h"
#include "store/unread.h"
#include "store/verify_internal.h"

#define CONFIG_BODY_MAX 65536u

struct keys {
	char (*key)[OBJECT_KEY_SIZE];
	size_t count, capacity;
	bool failed;
};

static int
note_key(void *arg, const char *key, uint64_t size_bytes)
{
	struct keys *k = arg;
	void *grown;

	(void)size_bytes;
	if (strlen(key) >= OBJECT_KEY_SIZE)
		return 0; /* None of ours. */
	grown = grow_array(k->key, k->count, &k->capacity, sizeof(*k->key));
	if (grown == NULL) {
		k->failed = true;
		return 1;
	}
	k->key = grown;
	memcpy(k->key[k->count++], key, strlen(key) + 1);
	return 0;
}

static int
note_bad(struct verify *v, const char *key, struct err *err)
{
	void *grown = grow_array(v->bad_small, v->bad_small_count,
	    &v->bad_small_capacity, sizeof(*v->bad_small));

	if (grown == NULL)
		return err_no_memory(err);
	v->bad_small = grown;
	memcpy(v->bad_small[v->bad_small_count++], key, strlen(key) + 1);
	return 0;
}

static int
check_key(
    struct verify *v, enum object_type type, const char *key, struct err *err)
{
	json_t *json;

	v->result->objects_checked++;
	if (numbered_get(&json, v->store->backend, v->store->seal, key, type,
		err) == 0) {
		json_decref(json);
		return 0;
	}
	/* Beats go when their session ends. */
	if (err->class == ERR_NOT_FOUND) {
		err_clear(err);
		return 0;
	}
	/* What a repair has set aside is told of no more. */
	if (aside_passes(v->store->backend, key, err) == 1)
		return 0;
	if (verify_tell_or_fail(v, key, err) == -1)
		return -1;
	return note_bad(v, key, err);
}

static int
check_type(struct verify *v, enum object_type type, struct err *err)
{
	struct keys k = { .key = NULL };
	int rc = -1;
	size_t i;

	if (backend_list(
		v->store->backend, object_prefix(type), note_key, &k, err) == 0)
		rc = k.failed ? err_no_memory(err) : 0;
	for (i = 0; rc == 0 && i < k.count; i++)
		rc = check_key(v, type, k.key[i], err);
	free(k.key);
	return rc;
}

static int
check_config(struct verify *v, struct err *err)
{
	uint8_t id[OBJECT_ID_BYTES];
	char *body;
	size_t size;

	hex_decode(id, sizeof(id), v->store->id);
	v->result->objects_checked++;
	if (envelope_get(v->store->backend, NULL, "config", OBJECT_CONFIG, id,
		NULL, CONFIG_BODY_MAX, &body, &size, err) == -1)
		return verify_tell_or_fail(v, "config", err);
	v->result->bytes_checked += size;
	free(body);
	return 0;
}

static int
check_slot(struct verify *v, const uint8_t *id, struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	struct slot slot;

	v->result->objects_checked++;
	if (slot_get(&slot, v->store->backend, id, err) == 0)
		return 0;
	if (err->class == ERR_NOT_FOUND) {
		err_clear(err); /* Removed meanwhile. */
		return 0;
	}
	return verify_tell_or_fail(
	    v, object_key(key, OBJECT_KEY_SLOT, id), err);
}

static int
check_slots(struct verify *v, struct err *err)
{
	struct idset slots;
	size_t i;
	int rc = 0;

	if (idset_list(&slots, v->store->backend, OBJECT_KEY_SLOT, err) == -1)
		return -1;
	for (i = 0; rc == 0 && i < slots.count; i++)
		rc = check_slot(v, slots.ids[i], err);
	idset_fini(&slots);
	return rc;
}

/* The newest of the chain of epochs whole, with its roll, and not sealed:
 * without it nobody may write. */
static int
check_newest(struct verify *v, bool told, struct err *err)
{
	struct epoch e;
	int rc;

	if (epochs_newest(&e, v->store, err) == 0) {
		rc = sessions_open(v->store, e.number, err);
		epoch_fini(&e);
		if (rc == 0)
			return 0;
	}
	if (!verify_is_damage(v, err))
		return -1;
	v->bad_chain = unread_is_damaged(err);
	/* Each damaged object is told of once. */
	if (!told)
		verify_tell_object(v, "epochs/", err->text);
	err_clear(err);
	return 0;
}

/* Points that a prune finds only because it lists them. */
static int
check_strays(struct verify *v, struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	size_t i;

	if (v->bad_chain || v->unsupported)
		return 0;
	if (strays_find(&v->strays, v->store, &v->points, err) == -1) {
		if (!verify_is_damage(v, err))
			return -1;
		err_clear(err); /* Of a session, and told of. */
		return 0;
	}
	for (i = 0; i < v->strays.count; i++)
		verify_tell_object(v,
		    object_key(key, OBJECT_MANIFEST, v->strays.ids[i]),
		    "no session and no epoch names it: objects of those are missing");
	return 0;
}

int
verify_small(struct verify *v, struct err *err)
{
	static const enum object_type types[] = { OBJECT_EPOCH, OBJECT_SESSION,
		OBJECT_BEAT, OBJECT_WORD };
	uint64_t damaged;
	size_t i;

	if (check_config(v, err) == -1 || check_slots(v, err) == -1)
		return -1;
	damaged = v->result->damaged_objects;
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (check_type(v, types[i], err) == -1)
			return -1;
	}
	if (check_newest(v, v->result->damaged_objects != damaged, err) == -1)
		return -1;
	return check_strays(v, err);
}
