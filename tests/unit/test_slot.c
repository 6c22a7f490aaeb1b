/* SPDX-License-Identifier: Apache-2.0 */
/* Key slots: opened by what they are for, and by nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/hexid.h"
#include "store/config.h"
#include "store/envelope.h"
#include "store/seal/slot.h"
#include "store/seal/slot_internal.h"
#include "store/store.h"
#include "tests/unit/seal_rig.h"

static const struct slot_cost cheap = { 64, 1, 2 };
static const uint8_t file_bytes[32] = { 0x60, 0x61, 0x62, 0x63, 0x64, 0x65,
	0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f, 0x70, 0x71,
	0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x7b, 0x7c, 0x7d,
	0x7e, 0x7f };
static const struct slot_secret good = { SLOT_PASSPHRASE, "correct horse", 13 };
static const struct slot_secret wrong = { SLOT_PASSPHRASE, "correct horsf",
	13 };
static const struct slot_secret file = { SLOT_FILE, file_bytes, 32 };
static const struct slot_secret paper = { SLOT_RECOVERY, file_bytes, 32 };

static int
setup(void **state)
{
	static unsigned int serial;
	struct err err = ERR_INIT;
	struct backend *b;
	char url[32];

	snprintf(url, sizeof(url), "mem:slot%u", ++serial);
	if (backend_open(&b, url, BACKEND_CREATE, &err) == -1)
		return -1;
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	backend_close(*state);
	return 0;
}

static struct slot
make(const struct slot_secret *secret)
{
	struct err err = ERR_INIT;
	struct slot slot;

	if (slot_make(&slot, rig_repository, rig_master, secret, "a label",
		&cheap, &err) == -1)
		fail_msg("%s", err.text);
	return slot;
}

static struct slot
add(struct backend *b, const struct slot_secret *secret)
{
	struct slot slot = make(secret);
	struct err err = ERR_INIT;

	if (slot_put(b, &slot, &err) == -1)
		fail_msg("%s", err.text);
	return slot;
}

/* Puts a slot as it is, were it wrong. */
static void
put_json(struct backend *b, const uint8_t *id, json_t *json)
{
	char key[OBJECT_KEY_SIZE], *text = json_text(json, false);
	struct err err = ERR_INIT;

	assert_int_equal(
	    envelope_put(b, NULL, object_key(key, OBJECT_KEY_SLOT, id),
		OBJECT_KEY_SLOT, id, text, strlen(text), false, &err),
	    0);
	free(text);
	json_decref(json);
}

static void
damage(struct backend *b, const struct slot *slot)
{
	char key[OBJECT_KEY_SIZE];
	struct err err = ERR_INIT;
	uint8_t *object;
	size_t size;

	object_key(key, OBJECT_KEY_SLOT, slot->id);
	assert_int_equal(
	    backend_get_all(b, key, 8192, (void **)&object, &size, &err), 0);
	object[60] ^= 1;
	assert_int_equal(backend_remove(b, key, &err), 0);
	assert_int_equal(backend_put(b, key, object, size, &err), 0);
	free(object);
}

static enum err_class
try_open(struct backend *b, const struct slot_secret *secret, struct err *err)
{
	uint8_t master[SEAL_KEY_BYTES];

	err_clear(err);
	if (slot_open(master, NULL, b, rig_repository, secret, err) == 0)
		assert_memory_equal(master, rig_master, sizeof(master));
	return err->class;
}

static void
test_slot_opens_with_its_secret(void **state)
{
	const struct slot_secret *all[] = { &good, &file, &paper };
	uint8_t master[SEAL_KEY_BYTES], opened[SEAL_ID_BYTES];
	struct backend *b = *state;
	struct err err = ERR_INIT;
	struct slot slots[3], got;
	size_t i;

	for (i = 0; i < 3; i++)
		slots[i] = add(b, all[i]);
	for (i = 0; i < 3; i++) {
		memset(master, 0, sizeof(master));
		assert_int_equal(
		    slot_open(master, opened, b, rig_repository, all[i], &err),
		    0);
		assert_memory_equal(master, rig_master, sizeof(master));
		assert_memory_equal(opened, slots[i].id, sizeof(opened));
		assert_int_equal(slot_get(&got, b, slots[i].id, &err), 0);
		assert_memory_equal(&got, &slots[i], sizeof(got));
	}
	assert_string_equal(slots[0].label, "a label");
	assert_int_equal(slots[0].cost.memory_kib, 64);
	assert_int_equal(slots[1].cost.memory_kib, 0);
	/* The same secret never seals twice under one key. */
	assert_memory_not_equal(slots[1].proof, slots[2].proof, 32);
}

/* Figures of another program that follows docs/seal.md. */
static void
test_slot_is_as_the_format_says(void **state)
{
	uint8_t master[SEAL_KEY_BYTES];
	struct err err = ERR_INIT;
	struct slot slot = make(&file);
	size_t i;

	(void)state;
	memcpy(slot.id, rig_object, sizeof(slot.id));
	for (i = 0; i < sizeof(slot.salt); i++)
		slot.salt[i] = (uint8_t)(0x80 + i);
	hex_decode(slot.proof, sizeof(slot.proof),
	    "3dba4ae2d845ceaff9c10e50b110b0c8cbeca35b39dd6651a98f57c2a33e9e0d");
	hex_decode(slot.wrapped, sizeof(slot.wrapped),
	    "73a8db3c0772d0562aa5c83b5b28230af0b174fac1f3718d4dda024dd53e87e3"
	    "bfa5d6f2100af3440417c3f0f9186146");
	if (slot_unwrap(master, &slot, &file, &err) == -1)
		fail_msg("%s", err.text);
	assert_memory_equal(master, rig_master, sizeof(master));
}

static void
test_slot_wrong_secrets_are_named(void **state)
{
	static const uint8_t other_bytes[32] = { 1 };
	const struct slot_secret other_file = { SLOT_FILE, other_bytes, 32 };
	const struct slot_secret empty = { SLOT_PASSPHRASE, "", 0 };
	struct backend *b = *state;
	struct err err = ERR_INIT;

	assert_int_equal(try_open(b, &good, &err), ERR_NOT_FOUND);
	rig_expect_part(err.hint, "from a copy");
	add(b, &good);
	assert_int_equal(try_open(b, &wrong, &err), ERR_AUTH);
	assert_string_equal(err.text, "wrong passphrase");
	assert_int_equal(try_open(b, &file, &err), ERR_NOT_FOUND);
	assert_string_equal(err.text, "there is no key slot for a key file");
	rig_expect_part(err.hint, "a passphrase");
	add(b, &file);
	assert_int_equal(try_open(b, &other_file, &err), ERR_AUTH);
	assert_string_equal(err.text, "wrong key file");
	assert_int_equal(try_open(b, &paper, &err), ERR_NOT_FOUND);
	assert_int_equal(try_open(b, &empty, &err), ERR_ARG);
	assert_int_equal(try_open(b, &good, &err), ERR_NONE);
}

static void
test_slot_damage_is_told_from_wrong(void **state)
{
	struct backend *b = *state;
	struct slot slot = add(b, &good);
	struct err err = ERR_INIT;

	damage(b, &slot);
	assert_int_equal(try_open(b, &good, &err), ERR_CORRUPT);
	rig_expect_part(err.text, "1 of 1 slots are damaged");
	assert_int_equal(slot_get(&slot, b, slot.id, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
	rig_expect_part(err.text, "keys/");
	/* With a whole one beside it, it may still have been the other. */
	add(b, &good);
	assert_int_equal(try_open(b, &wrong, &err), ERR_AUTH);
	rig_expect_part(err.hint, "damaged");
	assert_int_equal(try_open(b, &good, &err), ERR_NONE);
}

static void
tamper(struct backend *b, const char *member, const char *value)
{
	struct slot slot = make(&file);
	json_t *json = slot_to_json(&slot);

	json_object_set_new(json, member, json_string(value));
	put_json(b, slot.id, json);
}

/* Whoever can write checksums: the right secret tells that it was them. */
static void
test_slot_tampering_is_found(void **state)
{
	struct backend *b = *state;
	struct slot slot = add(b, &file), moved = slot;
	struct err err = ERR_INIT;

	tamper(b, "wrapped",
	    "000000000000000000000000000000000000000000000000000000000000000000"
	    "000000000000000000000000000000");
	assert_int_equal(try_open(b, &file, &err), ERR_NONE);
	/* Alone, it is the one that the person is told of. */
	slot.wrapped[0] ^= 1;
	assert_int_equal(slot_unwrap(moved.wrapped, &slot, &file, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
	rig_expect_part(err.text, "tampered");
	slot.wrapped[0] ^= 1;
	/* Under another name, of another repository. */
	slot.id[0] ^= 1;
	assert_int_equal(slot_unwrap(moved.wrapped, &slot, &file, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
	slot.id[0] ^= 1;
	slot.repository[0] ^= 1;
	assert_int_equal(slot_unwrap(moved.wrapped, &slot, &file, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
	slot.repository[0] ^= 1;
	/* Another salt cannot be told from another secret. */
	slot.salt[0] ^= 1;
	assert_int_equal(slot_unwrap(moved.wrapped, &slot, &file, &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	slot.salt[0] ^= 1;
	slot.kind = SLOT_RECOVERY;
	assert_int_equal(slot_unwrap(moved.wrapped, &slot, &paper, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
}

static void
test_slot_tampered_alone_is_named(void **state)
{
	struct backend *b = *state;
	struct err err = ERR_INIT;

	tamper(b, "wrapped",
	    "000000000000000000000000000000000000000000000000000000000000000000"
	    "000000000000000000000000000000");
	assert_int_equal(try_open(b, &file, &err), ERR_CORRUPT);
	rig_expect_part(err.text, "tampered");
	rig_expect_part(err.text, "keys/");
}

/* Whether it is tried before or after one of another secret. */
static void
test_slot_tampering_outweighs_wrong(void **state)
{
	static const uint8_t other_bytes[32] = { 1 };
	const struct slot_secret other = { SLOT_FILE, other_bytes, 32 };
	struct backend *b = *state;
	struct slot slot = make(&other);
	struct err err = ERR_INIT;

	tamper(b, "wrapped",
	    "000000000000000000000000000000000000000000000000000000000000000000"
	    "000000000000000000000000000000");
	memset(slot.id, 0, sizeof(slot.id));
	assert_int_equal(slot_put(b, &slot, &err), 0);
	assert_int_equal(try_open(b, &file, &err), ERR_CORRUPT);
	memset(slot.id, 0xff, sizeof(slot.id));
	assert_int_equal(slot_put(b, &slot, &err), 0);
	assert_int_equal(try_open(b, &file, &err), ERR_CORRUPT);
	rig_expect_part(err.text, "tampered");
}

static void
test_slot_cost_has_bounds(void **state)
{
	const struct slot_cost bad[] = { { 7, 1, 1 }, { 64, 0, 1 },
		{ 64, 1, 0 }, { 64, 1, 9 }, { 64, 65, 1 }, { 1024, 1, 17 },
		{ (UINT64_C(4) << 20) + 1, 1, 1 },
		{ UINT64_C(0x100000040), 1, 2 } };
	struct backend *b = *state;
	struct slot slot = make(&good);
	struct err err = ERR_INIT;
	json_t *json;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(slot_make(&slot, rig_repository, rig_master,
				     &good, "", &bad[i], &err),
		    -1);
		assert_int_equal(err.class, ERR_ARG);
		slot = make(&good);
		slot.cost = bad[i];
		err_clear(&err);
		assert_int_equal(
		    slot_unwrap(slot.wrapped, &slot, &good, &err), -1);
		assert_int_equal(err.class, ERR_UNSUPPORTED);
	}
	json = slot_to_json(&slot);
	put_json(b, slot.id, json);
	assert_int_equal(try_open(b, &good, &err), ERR_UNSUPPORTED);
	rig_expect_part(err.text, "out of bounds");
	/* It does not shut out those who have another. */
	add(b, &good);
	assert_int_equal(try_open(b, &good, &err), ERR_NONE);
}

static void
test_slot_hostile_json_is_corrupt(void **state)
{
	static const char *const members[] = { "kind", "label", "created",
		"repository", "salt", "proof", "wrapped", "memory_kib",
		"passes", "lanes" };
	struct slot slot = make(&good), got;
	struct err err = ERR_INIT;
	json_t *json;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		json = slot_to_json(&slot);
		assert_int_equal(slot_from_json(&got, json, &err), 0);
		json_object_del(json, members[i]);
		assert_int_equal(slot_from_json(&got, json, &err), -1);
		assert_int_equal(err.class, ERR_CORRUPT);
		rig_expect_part(err.text, members[i]);
		json_object_set_new(json, members[i], json_string("zz"));
		err_clear(&err);
		if (strcmp(members[i], "label") != 0 &&
		    strcmp(members[i], "created") != 0) {
			assert_int_equal(slot_from_json(&got, json, &err), -1);
			assert_int_equal(err.class, ERR_CORRUPT);
		}
		json_decref(json);
	}
	json = slot_to_json(&slot);
	json_object_set_new(json, "label",
	    json_string(
		"0123456789012345678901234567890123456789012345678901234"
		"5678901234"));
	assert_int_equal(slot_from_json(&got, json, &err), -1);
	json_decref(json);
}

/* Labels go to terminals. */
static void
test_slot_labels_are_plain_text(void **state)
{
	char too_long[SLOT_LABEL_MAX + 2] = "";
	const char *const bad[] = { "a\nb", "\x1b[2J", "\xff", too_long };
	struct slot slot = make(&file), got;
	struct err err = ERR_INIT;
	json_t *json;
	size_t i;

	(void)state;
	memset(too_long, 'x', sizeof(too_long) - 1);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err_clear(&err);
		assert_int_equal(slot_make(&slot, rig_repository, rig_master,
				     &file, bad[i], NULL, &err),
		    -1);
		assert_int_equal(err.class, ERR_ARG);
	}
	json = slot_to_json(&slot);
	json_object_set_new(json, "label", json_string("\x1b[2Jgone"));
	assert_int_equal(slot_from_json(&got, json, &err), 0);
	assert_string_equal(got.label, "?[2Jgone");
	json_decref(json);
}

static void
test_slot_of_another_repository_is_no_slot(void **state)
{
	struct backend *b = *state;
	struct slot slot;
	struct err err = ERR_INIT;

	assert_int_equal(
	    slot_make(&slot, rig_object, rig_master, &good, "", &cheap, &err),
	    0);
	assert_int_equal(slot_put(b, &slot, &err), 0);
	assert_int_equal(try_open(b, &good, &err), ERR_NOT_FOUND);
	rig_expect_part(err.hint, "another repository's");
}

static void
test_slot_the_last_is_not_removed(void **state)
{
	struct backend *b = *state;
	struct slot one = add(b, &good), two = add(b, &file), bad;
	struct slot_list list;
	struct err err = ERR_INIT;

	bad = add(b, &paper);
	damage(b, &bad);
	assert_int_equal(slot_list(&list, b, rig_repository, &err), 0);
	assert_int_equal(list.count, 2);
	assert_int_equal(list.damaged_count, 1);
	assert_memory_equal(list.damaged[0], bad.id, SEAL_ID_BYTES);
	slot_list_fini(&list);
	assert_int_equal(slot_remove(b, rig_repository, one.id, &err), 0);
	/* The damaged one might be what the passphrase is for. */
	assert_int_equal(try_open(b, &good, &err), ERR_CORRUPT);
	/* The damaged one does not count. */
	assert_int_equal(slot_remove(b, rig_repository, two.id, &err), -1);
	assert_int_equal(err.class, ERR_BUSY);
	rig_expect_part(err.text, "last key slot");
	assert_int_equal(slot_remove(b, rig_repository, bad.id, &err), 0);
	assert_int_equal(slot_remove(b, rig_repository, bad.id, &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
	assert_int_equal(try_open(b, &file, &err), ERR_NONE);
}

/* A backend on which somebody removes another slot at the same moment. */
struct racing {
	struct backend b;
	struct backend_ops ops;
	struct backend *inner;
	unsigned int removes;
	char other[OBJECT_KEY_SIZE];
};

static int
racing_put(struct backend *b, const char *key, const void *buf, size_t size,
    struct err *err)
{
	return backend_put(((struct racing *)b)->inner, key, buf, size, err);
}

static int
racing_get(struct backend *b, const char *key, uint64_t offset, void *buf,
    size_t size, struct err *err)
{
	return backend_get(
	    ((struct racing *)b)->inner, key, offset, buf, size, err);
}

static int
racing_stat(
    struct backend *b, const char *key, uint64_t *out_size, struct err *err)
{
	return backend_stat(((struct racing *)b)->inner, key, out_size, err);
}

static int
racing_remove(struct backend *b, const char *key, struct err *err)
{
	struct racing *r = (struct racing *)b;

	r->removes++;
	return backend_remove(r->inner, r->other, err) == -1
		   ? -1
		   : backend_remove(r->inner, key, err);
}

static int
racing_list(struct backend *b, const char *prefix, backend_visit_fn *fn,
    void *arg, struct err *err)
{
	return backend_list(((struct racing *)b)->inner, prefix, fn, arg, err);
}

static void
test_slot_two_that_remove_leave_one(void **state)
{
	struct racing r = { .inner = *state,
		.ops = { .put = racing_put,
		    .get = racing_get,
		    .stat = racing_stat,
		    .remove = racing_remove,
		    .list = racing_list } };
	struct slot one = add(r.inner, &good), two = add(r.inner, &file);
	struct err err = ERR_INIT;

	r.b.ops = &r.ops;
	object_key(r.other, OBJECT_KEY_SLOT, two.id);
	assert_int_equal(slot_remove(&r.b, rig_repository, one.id, &err), -1);
	assert_int_equal(err.class, ERR_BUSY);
	rig_expect_part(err.text, "last key slot");
	assert_int_equal(r.removes, 1);
	assert_int_equal(try_open(r.inner, &good, &err), ERR_NONE);
	/* Known to be the last, it is never gone, not for a moment. */
	assert_int_equal(slot_remove(&r.b, rig_repository, one.id, &err), -1);
	assert_int_equal(err.class, ERR_BUSY);
	assert_int_equal(r.removes, 1);
}

static void
test_slot_there_are_only_so_many(void **state)
{
	struct backend *b = *state;
	struct slot slot;
	struct err err = ERR_INIT;
	unsigned int i;

	for (i = 0; i < SLOTS_MAX; i++)
		add(b, &file);
	slot = make(&file);
	assert_int_equal(slot_put(b, &slot, &err), -1);
	assert_int_equal(err.class, ERR_BUSY);
}

static void
test_slot_init_makes_what_the_secret_opens(void **state)
{
	struct store_init_options options = { .mode = SEAL_PUBLIC,
		.secret = &good,
		.label = "first",
		.cost = &cheap };
	uint8_t master[SEAL_KEY_BYTES];
	struct backend *b = *state;
	struct err err = ERR_INIT;
	struct store *store;
	struct config c;
	struct seal *s;

	/* What an interrupted init has left is in nobody's way. */
	add(b, &file);
	assert_int_equal(store_init(b, &options, &err), 0);
	assert_int_equal(store_init(b, &options, &err), -1);
	assert_int_equal(err.class, ERR_EXISTS);
	assert_int_equal(config_get(&c, b, &err), 0);
	assert_int_equal(c.seal.mode, SEAL_PUBLIC);
	assert_int_equal(c.seal.block_bytes, 65536);
	assert_int_equal(
	    slot_open(master, NULL, b, c.seal.repository, &good, &err), 0);
	assert_int_equal(seal_open_master(&s, &c.seal, master, &err), 0);
	assert_memory_equal(
	    seal_repository(s), c.seal.repository, SEAL_ID_BYTES);
	seal_free(s);
	/* Without a key nothing is written to it as plain. */
	assert_int_equal(
	    store_open(&store, b, "/dev/null/none", NULL, &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	rig_expect_part(err.text, "is encrypted (public-key, ");
}

static void
test_slot_init_plain_is_as_it_was(void **state)
{
	struct backend *b = *state;
	struct err err = ERR_INIT;
	struct config c;
	char *text;
	size_t size;

	assert_int_equal(store_init(b, NULL, &err), 0);
	assert_int_equal(config_get(&c, b, &err), 0);
	assert_int_equal(c.seal.mode, SEAL_NONE);
	assert_int_equal(envelope_get(b, NULL, "config", OBJECT_CONFIG, NULL,
			     NULL, 4096, &text, &size, &err),
	    0);
	assert_null(strstr(text, "encryption"));
	free(text);
}

static void
refuses_encryption(const char *mode, const char *cipher, const char *check,
    enum err_class class)
{
	json_t *json = json_pack("{s:s, s:i, s:s, s:s, s:i, s:{s:s, s:s, s:s}}",
	    "format", "holdstill repository", "version", 1, "id",
	    "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf", "created", "x", "block_bytes",
	    65536, "encryption", "mode", mode, "cipher", cipher, "check",
	    check);
	char *text = json_text(json, false);
	struct err err = ERR_INIT;
	struct config c;
	void *state;

	assert_int_equal(setup(&state), 0);
	assert_int_equal(envelope_put(state, NULL, "config", OBJECT_CONFIG,
			     rig_repository, text, strlen(text), false, &err),
	    0);
	assert_int_equal(
	    config_get(&c, state, &err), class == ERR_NONE ? 0 : -1);
	assert_int_equal(err.class, class);
	teardown(&state);
	free(text);
	json_decref(json);
}

static void
test_slot_config_of_unknown_kind_is_refused(void **state)
{
	static const char check[] =
	    "ab74c9fe8210b8b6bbe4ac23352eb5568888c3f878a58e785a294075eb195d81";

	(void)state;
	refuses_encryption("secret", "aes-256-gcm", check, ERR_NONE);
	refuses_encryption("none", "aes-256-gcm", check, ERR_UNSUPPORTED);
	refuses_encryption("rot13", "aes-256-gcm", check, ERR_UNSUPPORTED);
	refuses_encryption("secret", "aes-128-gcm", check, ERR_UNSUPPORTED);
	refuses_encryption("secret", "aes-256-gcm", check + 2, ERR_CORRUPT);
	refuses_encryption("secret", "aes-256-gcm", "", ERR_CORRUPT);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_slot_opens_with_its_secret),
		CASE(test_slot_is_as_the_format_says),
		CASE(test_slot_wrong_secrets_are_named),
		CASE(test_slot_damage_is_told_from_wrong),
		CASE(test_slot_tampering_is_found),
		CASE(test_slot_tampered_alone_is_named),
		CASE(test_slot_tampering_outweighs_wrong),
		CASE(test_slot_cost_has_bounds),
		CASE(test_slot_hostile_json_is_corrupt),
		CASE(test_slot_labels_are_plain_text),
		CASE(test_slot_of_another_repository_is_no_slot),
		CASE(test_slot_the_last_is_not_removed),
		CASE(test_slot_two_that_remove_leave_one),
		CASE(test_slot_there_are_only_so_many),
		CASE(test_slot_init_makes_what_the_secret_opens),
		CASE(test_slot_init_plain_is_as_it_was),
		CASE(test_slot_config_of_unknown_kind_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
