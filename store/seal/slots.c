/* SPDX-License-Identifier: Apache-2.0 */
/* The slots of a repository: put, listed, tried, removed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/words.h"
#include "store/envelope.h"
#include "store/idset.h"
#include "store/seal/secret.h"
#include "store/seal/slot_internal.h"

#define SLOT_BODY_MAX 4096u

int
slot_get(struct slot *out, struct backend *b, const uint8_t id[SEAL_ID_BYTES],
    struct err *err)
{
	char key[OBJECT_KEY_SIZE], *text;
	json_t *json = NULL;
	size_t size;
	int rc = -1;

	object_key(key, OBJECT_KEY_SLOT, id);
	if (envelope_get(b, NULL, key, OBJECT_KEY_SLOT, id, NULL, SLOT_BODY_MAX,
		&text, &size, err) == -1)
		return -1;
	if (json_parse(&json, text, size, err) == 0)
		rc = slot_from_json(out, json, err);
	json_decref(json);
	free(text);
	if (rc == -1)
		return err_prefix(err, "object '%s'", key);
	memcpy(out->id, id, SEAL_ID_BYTES);
	return 0;
}

int
slot_put(struct backend *b, const struct slot *slot, struct err *err)
{
	char key[OBJECT_KEY_SIZE], *text = NULL;
	struct idset all;
	json_t *json;
	size_t count;
	int rc = -1;

	if (idset_list(&all, b, OBJECT_KEY_SLOT, err) == -1)
		return -1;
	count = all.count;
	idset_fini(&all);
	if (count >= SLOTS_MAX) {
		err_set(err, ERR_BUSY,
		    "the repository has %zu key slots already", count);
		return err_hint(err, "'holdstill key remove' makes room");
	}
	json = slot_to_json(slot);
	if (json == NULL || (text = json_text(json, false)) == NULL)
		err_no_memory(err);
	else
		rc = envelope_put(b, NULL,
		    object_key(key, OBJECT_KEY_SLOT, slot->id), OBJECT_KEY_SLOT,
		    slot->id, text, strlen(text), false, err);
	free(text);
	json_decref(json);
	return rc;
}

/* One of keys/; -1 only for what is no property of the slot. */
static int
take_one(struct slot_list *list, struct backend *b, const uint8_t *repository,
    const uint8_t *id, struct err *err)
{
	struct slot *slot = &list->slots[list->count];

	if (slot_get(slot, b, id, err) == 0) {
		if (memcmp(slot->repository, repository, SEAL_ID_BYTES) == 0)
			list->count++;
		else
			list->foreign_count++;
		return 0;
	}
	if (err->class == ERR_CORRUPT || err->class == ERR_UNSUPPORTED)
		memcpy(list->damaged[list->damaged_count++], id, SEAL_ID_BYTES);
	else if (err->class != ERR_NOT_FOUND) /* Removed meanwhile. */
		return -1;
	err_clear(err);
	return 0;
}

int
slot_list(struct slot_list *out, struct backend *b,
    const uint8_t repository[SEAL_ID_BYTES], struct err *err)
{
	struct idset all;
	size_t i;
	int rc = 0;

	memset(out, 0, sizeof(*out));
	if (idset_list(&all, b, OBJECT_KEY_SLOT, err) == -1)
		return -1;
	out->slots = calloc(all.count + 1, sizeof(*out->slots));
	out->damaged = calloc(all.count + 1, sizeof(*out->damaged));
	if (out->slots == NULL || out->damaged == NULL)
		rc = err_no_memory(err);
	for (i = 0; rc == 0 && i < all.count; i++)
		rc = take_one(out, b, repository, all.ids[i], err);
	idset_fini(&all);
	if (rc == -1)
		slot_list_fini(out);
	return rc;
}

void
slot_list_fini(struct slot_list *list)
{
	free(list->slots);
	free(list->damaged);
	memset(list, 0, sizeof(*list));
}

static int
none_of_kind(const struct slot_list *list, enum slot_kind kind, struct err *err)
{
	static const char *const ways[] = {
		[SLOT_PASSPHRASE] = "a passphrase (--passphrase-file)",
		[SLOT_FILE] = "a key file (--key-file)",
		[SLOT_RECOVERY] = "a recovery key (--passphrase-file)",
	};
	bool has[SLOT_RECOVERY + 1] = { false };
	const char *names[SLOT_RECOVERY + 1];
	char all[128];
	size_t n = 0;
	const char *words = slot_kind_words(kind);
	size_t i;

	if (list->damaged_count > 0)
		return err_set(err, ERR_CORRUPT,
		    "no key slot for a %s can be read: %zu of %zu slots are "
		    "damaged",
		    words, list->damaged_count,
		    list->damaged_count + list->count);
	err_set(err, ERR_NOT_FOUND, "there is no key slot for a %s", words);
	for (i = 0; i < list->count; i++)
		has[list->slots[i].kind] = true;
	if (list->count == 0)
		return err_hint(err,
		    list->foreign_count > 0
			? "those under keys/ are another repository's"
			: "bring the objects under keys/ back from a copy");
	for (i = 0; i <= SLOT_RECOVERY; i++)
		if (has[i])
			names[n++] = ways[i];
	words_join(all, sizeof(all), names, n, sizeof(names[0]));
	return err_hint(err, "it opens with %s", all);
}

/* What is worse than a wrong secret is what the person is told. */
static void
keep_worse(struct err *kept, const struct err *err)
{
	if (kept->class == ERR_NONE || kept->class == ERR_AUTH)
		*kept = *err;
}

static int
try_all(uint8_t master[SEAL_KEY_BYTES], uint8_t *opened,
    const struct slot_list *list, const struct slot_secret *secret,
    struct err *err)
{
	struct err kept = ERR_INIT, one = ERR_INIT;
	char key[OBJECT_KEY_SIZE];
	const struct slot *slot;
	size_t i;

	for (i = 0; i < list->count && i < SLOTS_MAX; i++) {
		slot = &list->slots[i];
		if (slot->kind != secret->kind)
			continue;
		if (slot_unwrap(master, slot, secret, &one) == 0) {
			if (opened != NULL)
				memcpy(opened, slot->id, SEAL_ID_BYTES);
			return 0;
		}
		if (one.class == ERR_ARG || one.class == ERR_NO_MEMORY) {
			*err = one;
			return -1;
		}
		if (one.class != ERR_AUTH)
			err_prefix(&one, "object '%s'",
			    object_key(key, OBJECT_KEY_SLOT, slot->id));
		keep_worse(&kept, &one);
	}
	if (kept.class == ERR_NONE)
		return none_of_kind(list, secret->kind, err);
	*err = kept;
	if (err->class == ERR_AUTH && list->damaged_count > 0)
		err_hint(err,
		    "%zu key slots are damaged: it may be right for "
		    "one of those",
		    list->damaged_count);
	return -1;
}

int
slot_open(uint8_t master[SEAL_KEY_BYTES], uint8_t opened[SEAL_ID_BYTES],
    struct backend *b, const uint8_t repository[SEAL_ID_BYTES],
    const struct slot_secret *secret, struct err *err)
{
	struct slot_list list;
	int rc;

	if (slot_list(&list, b, repository, err) == -1)
		return -1;
	rc = try_all(master, opened, &list, secret, err);
	slot_list_fini(&list);
	return rc;
}

int
slot_find(uint8_t out[SEAL_ID_BYTES], struct backend *b,
    const uint8_t repository[SEAL_ID_BYTES], const struct slot_secret *secret,
    const uint8_t *but, struct err *err)
{
	uint8_t *master = secret_alloc(SEAL_KEY_BYTES);
	struct slot_list list = { .slots = NULL };
	const struct slot *slot;
	int rc = -1, found = 0;
	size_t i;

	if (master == NULL)
		return err_no_memory(err);
	if (slot_list(&list, b, repository, err) == -1)
		goto out;
	for (i = 0; found == 0 && i < list.count && i < SLOTS_MAX; i++) {
		slot = &list.slots[i];
		if (slot->kind != secret->kind ||
		    (but != NULL && memcmp(slot->id, but, SEAL_ID_BYTES) == 0))
			continue;
		if (slot_unwrap(master, slot, secret, err) == 0) {
			memcpy(out, slot->id, SEAL_ID_BYTES);
			found = 1;
		} else if (err->class == ERR_NO_MEMORY) {
			goto out;
		}
		err_clear(err);
	}
	rc = found;
out:
	slot_list_fini(&list);
	secret_free(master, SEAL_KEY_BYTES);
	return rc;
}

/* Whole slots but that one. */
static int
count_others(size_t *out, struct backend *b, const uint8_t *repository,
    const uint8_t *id, struct err *err)
{
	struct slot_list list;
	size_t i;

	if (slot_list(&list, b, repository, err) == -1)
		return -1;
	*out = 0;
	for (i = 0; i < list.count; i++)
		*out += memcmp(list.slots[i].id, id, SEAL_ID_BYTES) != 0;
	slot_list_fini(&list);
	return 0;
}

static int
last_one(struct err *err)
{
	err_set(err, ERR_BUSY,
	    "it is the last key slot: without it nobody opens the repository");
	return err_hint(err, "'holdstill key add' makes another one first");
}

int
slot_remove(struct backend *b, const uint8_t repository[SEAL_ID_BYTES],
    const uint8_t id[SEAL_ID_BYTES], struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	void *copy = NULL;
	size_t others, size;
	int rc = -1;

	object_key(key, OBJECT_KEY_SLOT, id);
	if (count_others(&others, b, repository, id, err) == -1 ||
	    backend_get_all(b, key, 2 * SLOT_BODY_MAX, &copy, &size, err) == -1)
		return -1;
	if (others == 0)
		last_one(err);
	else if (backend_remove(b, key, err) == 0)
		rc = count_others(&others, b, repository, id, err);
	/* Two at once may each have left the other's: both come back. */
	if (rc == 0 && others == 0 &&
	    (rc = backend_put(b, key, copy, size, err)) == 0)
		rc = last_one(err);
	free(copy);
	return rc;
}
