/* SPDX-License-Identifier: Apache-2.0 */
/* A repository of mode public, its owner, and a host. */
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
#include "common/io.h"
#include "common/log.h"
#include "store/envelope.h"
#include "store/host_sweep.h"
#include "store/hostmemory.h"
#include "store/store_internal.h"
#include "store/points.h"
#include "store/seal/hostkey.h"
#include "store/seal/slot.h"
#include "tests/unit/public_rig.h"

struct rig public_rig;
struct keys public_keys;
struct image public_im;
struct store *public_host;

struct slot_secret
public_secret_of(const char *path)
{
	return (struct slot_secret){ SLOT_HOST, path, strlen(path) };
}

char *
public_path_of(char out[300], const char *name)
{
	snprintf(out, 300, "%.200s/%.60s", public_rig.root, name);
	return out;
}

void
public_make_host(const char *name)
{
	char path[300], id[HEXID_SIZE];
	struct err err = ERR_INIT;

	assert_int_equal(store_key_host(public_rig.store, id,
			     public_path_of(path, name), &err),
	    0);
}

int
public_try_host(
    struct store **out, const char *name, const char *state, struct err *err)
{
	char path[300], dir[300];
	struct slot_secret secret =
	    public_secret_of(public_path_of(path, name));

	return rig_open_with(
	    &public_rig, out, public_path_of(dir, state), &secret, err);
}

struct store *
public_open_host(const char *name)
{
	struct err err = ERR_INIT;
	struct store *s;

	if (public_try_host(
		&s, name, name[0] == 'a' ? "state-a" : "state-b", &err) == -1)
		fail_msg("host: %s", err.text);
	return s;
}

int
public_setup(void **state)
{
	(void)state;
	rig_init_public(&public_rig);
	public_make_host("a");
	public_host = public_open_host("a");
	image_init(&public_im, 200 * BLOCK);
	image_fill(&public_im, 0, 30 * BLOCK, 1, false);
	image_fill(&public_im, 150 * BLOCK, 10 * BLOCK, 2, true);
	return 0;
}

int
public_teardown(void **state)
{
	(void)state;
	store_close(public_host);
	image_fini(&public_im);
	rig_fini(&public_rig);
	return 0;
}

struct manifest *
public_backup(struct store *s, const struct image *now,
    const struct manifest *parent, const struct image *base)
{
	struct err err = ERR_INIT;
	struct manifest *m;

	if (rig_backup(&public_rig, s, &m, now, parent, base, &err) == -1)
		fail_msg("backup: %s", err.text);
	return m;
}

/* As the owner has it, from the repository alone. */
void
public_expect(const char *id, const struct image *now)
{
	struct err err = ERR_INIT;
	struct manifest *m;

	if (store_manifest_read(&m, public_rig.store, id, &err) == -1)
		fail_msg("%s", err.text);
	rig_expect(public_rig.store, m, now);
	manifest_free(m);
}

/* Puts bytes under a key, NULL removes what is there. */
void
public_place(const char *key, const void *bytes, size_t size)
{
	struct backend *b = rig_backend(&public_rig);
	struct err err = ERR_INIT;

	backend_remove(b, key, &err);
	err_clear(&err);
	if (bytes != NULL)
		assert_int_equal(backend_put(b, key, bytes, size, &err), 0);
	backend_close(b);
}

/* As somebody would who knows the format, but no key. */
void
public_mend(uint8_t *bytes, size_t size)
{
	struct err err = ERR_INIT;

	digest_once(
	    bytes + size - DIGEST_BYTES, bytes, size - DIGEST_BYTES, &err);
}

void
public_expect_words(
    const struct err *err, enum err_class class, const char *words)
{
	assert_int_equal(err->class, class);
	if (strstr(err->text, words) == NULL)
		fail_msg("'%s' does not say '%s'", err->text, words);
}

void
public_put_liar(const uint8_t pack_id[OBJECT_ID_BYTES])
{
	struct index_set *set = calloc(1, sizeof(*set));
	char key[OBJECT_KEY_SIZE];
	uint8_t id[OBJECT_ID_BYTES], *junk = calloc(1, BLOCK);
	struct backend *b = rig_backend(&public_rig);
	struct err err = ERR_INIT;
	struct pack_blob blob = { .type = BLOB_DATA, .size = BLOCK };
	struct digest *d;
	struct pack *p;
	unsigned int i;

	assert_int_equal(digest_new(&d, public_host->seal, &err), 0);
	assert_int_equal(pack_new(&p, public_host->seal, &err), 0);
	memcpy(p->id, pack_id, OBJECT_ID_BYTES);
	for (i = 0; i < 30; i++) {
		digest_of(
		    d, blob.hash, public_im.bytes + i * BLOCK, BLOCK, &err);
		assert_int_equal(pack_add_frame(p, FRAME_RAW, junk, BLOCK,
				     BLOCK, &blob, 1, &err),
		    0);
	}
	assert_int_equal(pack_finish(p, &err), 0);
	assert_int_equal(backend_put(b, object_key(key, OBJECT_PACK, p->id),
			     p->data, p->size, &err),
	    0);
	index_set_add(set, p->id, p->size, &p->table);
	assert_int_equal(index_put(b, public_host->seal, set, id, &err), 0);
	index_set_free(set);
	pack_free(p);
	digest_free(d);
	backend_close(b);
	free(junk);
}

/* An index that says of each pack that there is nothing in it. */
static void
put_lying_index(void)
{
	struct index_set *set = calloc(1, sizeof(*set));
	struct backend *b = rig_backend(&public_rig);
	struct pack_table table;
	struct err err = ERR_INIT;
	uint8_t id[OBJECT_ID_BYTES];
	unsigned int i;

	rig_keys(&public_rig, &public_keys, "packs/");
	for (i = 0; i < public_keys.count; i++) {
		table = (struct pack_table){ .frames = NULL };
		assert_int_equal(
		    object_key_parse(id, OBJECT_PACK, public_keys.key[i]), 0);
		index_set_add(set, id, 1 << 20, &table);
	}
	assert_int_equal(index_put(b, public_host->seal, set, id, &err), 0);
	index_set_free(set);
	backend_close(b);
}

void
public_put_lying_indexes(unsigned int count)
{
	while (count-- > 0)
		put_lying_index();
}
