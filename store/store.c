/* SPDX-License-Identifier: Apache-2.0 */
/* A repository made and opened: its settings object. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/io.h"
#include "store/config.h"
#include "store/epochs.h"
#include "store/host.h"
#include "store/seal/secret.h"
#include "store/seal/slot.h"
#include "store/store_internal.h"
#include "store/unseal.h"

/* Key slots without settings: an interrupted init has left them. */
static int
note_any(void *arg, const char *key, uint64_t size_bytes)
{
	const char *slots = object_prefix(OBJECT_KEY_SLOT);

	(void)size_bytes;
	*(bool *)arg = strncmp(key, slots, strlen(slots)) != 0;
	return *(bool *)arg;
}

static int
check_empty(struct backend *b, struct err *err)
{
	bool any = false;
	int rc = backend_has(b, "config", NULL, err);

	if (rc == 1)
		return err_set(err, ERR_EXISTS,
		    "there is a repository "
		    "already");
	if (rc == -1 || backend_list(b, "", note_any, &any, err) == -1)
		return -1;
	if (!any)
		return 0;
	err_set(err, ERR_EXISTS, "the place holds other files");
	return err_hint(err, "choose an empty one with --repo");
}

/*
 * The settings are the commit.  The first key slot is durable before there is
 * a repository that needs it; of another repository it is in nobody's way.
 * Epoch 0 would be, sealed with a lost key, and so comes after.
 */
static int
init_sealed(struct backend *b, struct config *c,
    const struct store_init_options *options, struct err *err)
{
	uint8_t *master = secret_alloc(SEAL_KEY_BYTES);
	struct seal *seal = NULL;
	struct slot slot;
	int rc = -1;

	if (master == NULL)
		return err_no_memory(err);
	c->seal.mode = options->mode;
	if (options->cipher != NULL)
		c->seal.cipher = *options->cipher;
	else if (aead_fastest(&c->seal.cipher, err) == -1)
		goto out;
	if (hexid_random(master, SEAL_KEY_BYTES, err) == -1 ||
	    config_sign(c, master, err) == -1 ||
	    slot_make(&slot, c->seal.repository, master, options->secret,
		options->label, options->cost, err) == -1 ||
	    slot_put(b, &slot, err) == -1 ||
	    seal_open_master(&seal, &c->seal, master, err) == -1 ||
	    config_put(b, c, err) == -1)
		goto out;
	rc = epochs_init(b, seal, err);
out:
	seal_free(seal);
	secret_free(master, SEAL_KEY_BYTES);
	return rc;
}

int
store_init(struct backend *b, const struct store_init_options *options,
    struct err *err)
{
	struct config c = { .seal.mode = SEAL_NONE,
		.seal.block_bytes = STORE_BLOCK_BYTES,
		.compression = store_compression_default,
		.undelete_days = STORE_UNDELETE_DAYS };

	if (check_empty(b, err) == -1 ||
	    hexid_random(c.seal.repository, OBJECT_ID_BYTES, err) == -1)
		return -1;
	clock_format_rfc3339(c.created, clock_wall_ms());
	/* Level 0: the caller has set nothing of it. */
	if (options != NULL &&
	    (options->compression.mode != STORE_COMPRESSION_ZSTD ||
		options->compression.level != 0))
		c.compression = options->compression;
	if (options != NULL && options->has_undelete_days)
		c.undelete_days = options->undelete_days;
	if (options != NULL && options->mode != SEAL_NONE)
		return init_sealed(b, &c, options, err);
	if (config_put(b, &c, err) == -1)
		return -1;
	return epochs_init(b, NULL, err);
}

/* What is to be said depends on what could be given. */
static int
no_key(const struct seal_settings *seal, struct err *err)
{
	err_set(err, ERR_AUTH, "it is encrypted (%s, %s), and no key is given",
	    seal_mode_words(seal->mode), aead_cipher_name(seal->cipher));
	return err_hint(err,
	    "give its passphrase or key file: --passphrase-file or --key-file");
}

static int
open_slot(struct store *s, const struct seal_settings *seal,
    const struct slot_secret *secret, struct err *err)
{
	uint8_t *master = secret_alloc(SEAL_KEY_BYTES);
	int rc = -1;

	if (master == NULL)
		return err_no_memory(err);
	if (slot_open(master, s->slot, s->backend, seal->repository, secret,
		err) == 0)
		rc = seal_open_master(&s->seal, seal, master, err);
	secret_free(master, SEAL_KEY_BYTES);
	return rc == -1 ? -1 : host_open_owner(s, err);
}

/* What a host has of its own lies in another folder: nothing that the owner
 * reads on the same machine is taken for known. */
static int
unlock_with(struct store *s, const char *cache_dir,
    const struct seal_settings *seal, const struct slot_secret *secret,
    struct err *err)
{
	if ((secret->kind == SLOT_HOST ? host_open(s, &s->cache_dir, cache_dir,
					     seal, secret->bytes, err)
				       : open_slot(s, seal, secret, err)) == -1)
		return -1;
	if ((s->salts = salts_new()) == NULL)
		return err_no_memory(err);
	return 0;
}

static int
unlock(struct store *s, const char *cache_dir, const struct seal_settings *seal,
    const struct store_open_options *options, struct err *err)
{
	static const uint8_t none[SEAL_KEY_BYTES];
	struct slot_secret asked;

	if (seal->mode == SEAL_NONE) {
		if (options == NULL || options->secret == NULL)
			return 0;
		/* Says what a key means here. */
		return seal_open_master(&s->seal, seal, none, err);
	}
	if (options != NULL && options->secret != NULL)
		return unlock_with(s, cache_dir, seal, options->secret, err);
	if (options == NULL || options->ask == NULL)
		return no_key(seal, err);
	if (options->ask(options->arg, &asked, err) == -1)
		return -1;
	return unlock_with(s, cache_dir, seal, &asked, err);
}

static int
note_key(void *arg, const char *key, uint64_t size_bytes)
{
	(void)size_bytes;
	snprintf(arg, BACKEND_KEY_MAX + 1, "%s", key);
	return 1;
}

/* Of no repository, but perhaps of something else. */
static int
no_repository(struct backend *b, const struct err *why, struct err *err)
{
	const char *slots = object_prefix(OBJECT_KEY_SLOT);
	char key[BACKEND_KEY_MAX + 1] = "";
	struct err ignored = ERR_INIT;

	backend_list(b, "", note_key, key, &ignored);
	*err = *why;
	/* An init that was cut short goes on. */
	if (key[0] == '\0' || strncmp(key, slots, strlen(slots)) == 0)
		return -1;
	return err_hint(err,
	    "it holds other things, such as '%s': is --repo the one that you "
	    "mean?",
	    key);
}

/* Without settings: of a repository that lost them, or of none? */
static int
no_settings(struct backend *b, struct err *err)
{
	static const enum object_type kinds[] = { OBJECT_MANIFEST, OBJECT_PACK,
		OBJECT_INDEX };
	struct err why = *err, ignored = ERR_INIT;
	char key[BACKEND_KEY_MAX + 1] = "";
	size_t i;

	for (i = 0; key[0] == '\0' && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (backend_list(b, object_prefix(kinds[i]), note_key, key,
			&ignored) == -1)
			err_clear(&ignored);
	if (key[0] == '\0')
		return no_repository(b, &why, err);
	err_set(err, ERR_CORRUPT,
	    "its object 'config' is missing, though others are there, such as "
	    "'%s'",
	    key);
	return err_hint(err,
	    "bring 'config' back from a copy of this repository, and remove "
	    "nothing: without it the others cannot be read");
}

static int
read_config(struct store *s, const char *cache_dir,
    const struct store_open_options *options, struct err *err)
{
	struct config c;

	if (config_get(&c, s->backend, err) == -1)
		return err->class == ERR_NOT_FOUND
			   ? no_settings(s->backend, err)
			   : -1;
	hex_encode(s->id, c.seal.repository, OBJECT_ID_BYTES);
	s->compression = c.compression;
	s->undelete_days = c.undelete_days;
	return unlock(s, cache_dir, &c.seal, options, err);
}

/* Whose names the blobs of the local index have: a name tells nothing of the
 * key that made it. */
int
store_index_marker(
    char out[LOCALINDEX_MARKER_SIZE], const struct store *s, struct err *err)
{
	static const char text[] = "holdstill local index";
	uint8_t name[DIGEST_BYTES];
	struct digest *d;
	int rc;

	snprintf(out, LOCALINDEX_MARKER_SIZE, LOCALINDEX_PLAIN);
	if (s->seal == NULL)
		return 0;
	if (digest_new(&d, s->seal, err) == -1)
		return -1;
	rc = digest_of(d, name, text, sizeof(text), err);
	digest_free(d);
	hex_encode(out, name, OBJECT_ID_BYTES);
	return rc;
}

static int
open_index(struct store *s, const char *cache_dir, struct err *err)
{
	char marker[LOCALINDEX_MARKER_SIZE];

	if (store_index_marker(marker, s, err) == -1)
		return -1;
	if (s->cache_dir == NULL)
		s->cache_dir = io_path(cache_dir, s->id);
	if (s->cache_dir == NULL)
		return err_no_memory(err);
	return localindex_open(&s->index, s->cache_dir, marker, err);
}

int
store_open(struct store **out, struct backend *b, const char *cache_dir,
    const struct store_open_options *options, struct err *err)
{
	struct store *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return err_no_memory(err);
	pthread_mutex_init(&s->sync_lock, NULL);
	pthread_mutex_init(&s->mark_lock, NULL);
	s->backend = b;
	if (copies_new(&s->copies, err) == -1 ||
	    read_config(s, cache_dir, options, err) == -1 ||
	    open_index(s, cache_dir, err) == -1) {
		s->backend = NULL; /* Still the caller's. */
		store_close(s);
		return -1;
	}
	*out = s;
	return 0;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	localindex_close(s->index);
	copies_free(s->copies);
	backend_close(s->backend);
	host_close(s);
	seal_free(s->seal);
	salts_free(s->salts);
	pthread_mutex_destroy(&s->mark_lock);
	pthread_mutex_destroy(&s->sync_lock);
	free(s->cache_dir);
	free(s);
}

const char *
store_id(const struct store *s)
{
	return s->id;
}

enum seal_mode
store_seal_mode(const struct store *s)
{
	return seal_mode(s->seal);
}

const struct store_compression *
store_compression(const struct store *s)
{
	return &s->compression;
}

unsigned int
store_undelete_days(const struct store *s)
{
	return s->undelete_days;
}
