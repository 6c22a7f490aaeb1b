/* SPDX-License-Identifier: Apache-2.0 */
/* A repository made and opened: its settings object. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/io.h"
#include "common/json/json.h"
#include "store/epochs.h"
#include "store/store_internal.h"

#define CONFIG_BODY_MAX 65536u
#define FORMAT_NAME "holdstill repository"

static int
note_any(void *arg, const char *key, uint64_t size_bytes)
{
	(void)size_bytes;
	/* All that an init has left that died before its last step. */
	if (strcmp(key, "epochs/0") == 0)
		return 0;
	*(bool *)arg = true;
	return 1;
}

static int
check_empty(struct backend *b, struct err *err)
{
	bool any = false;
	uint64_t size;

	if (backend_stat(b, "config", &size, err) == 0)
		return err_set(err, ERR_EXISTS,
		    "there is a repository "
		    "already");
	if (err->class != ERR_NOT_FOUND)
		return -1;
	err_clear(err);
	if (backend_list(b, "", note_any, &any, err) == -1)
		return -1;
	if (!any)
		return 0;
	err_set(err, ERR_EXISTS, "the place holds other files");
	return err_hint(err, "choose an empty one");
}

int
store_init(struct backend *b, const struct store_init_options *options,
    struct err *err)
{
	unsigned int days = options != NULL && options->has_undelete_days
				? options->undelete_days
				: STORE_UNDELETE_DAYS;
	char created[CLOCK_RFC3339_SIZE], hex[HEXID_SIZE], *text = NULL;
	uint8_t id[OBJECT_ID_BYTES];
	json_t *json = NULL;
	int rc = -1;

	if (check_empty(b, err) == -1 ||
	    hexid_random(id, sizeof(id), err) == -1)
		return -1;
	hex_encode(hex, id, sizeof(id));
	json = json_pack("{s:s, s:i, s:s, s:s, s:i, s:i}", "format",
	    FORMAT_NAME, "version", 1, "id", hex, "created",
	    clock_format_rfc3339(created, clock_wall_ms()), "block_bytes",
	    (int)STORE_BLOCK_BYTES, "undelete_days", (int)days);
	if (json == NULL || (text = json_text(json, false)) == NULL)
		err_no_memory(err);
	else if (epochs_init(b, err) == 0)
		rc = envelope_put(b, "config", OBJECT_CONFIG, id, text,
		    strlen(text), false, err);
	free(text);
	json_decref(json);
	return rc;
}

static int
check_config(const json_t *json, const char *hex, struct err *err)
{
	char *format = NULL, *id = NULL;
	uint64_t version, block_bytes;
	int rc = -1;

	if (json_get_string(&format, json, "format", 64, err) == -1 ||
	    json_get_string(&id, json, "id", HEXID_LENGTH, err) == -1 ||
	    json_get_u64(&version, json, "version", err) == -1 ||
	    json_get_u64(&block_bytes, json, "block_bytes", err) == -1)
		goto out;
	if (strcmp(format, FORMAT_NAME) != 0 || strcmp(id, hex) != 0) {
		err_set(err, ERR_CORRUPT, "it contradicts itself");
	} else if (version != 1 || block_bytes != STORE_BLOCK_BYTES) {
		err_set(err, ERR_UNSUPPORTED,
		    "format version %llu with blocks "
		    "of %llu bytes is not known here",
		    (unsigned long long)version,
		    (unsigned long long)block_bytes);
		err_hint(err, "use a newer holdstill");
	} else {
		rc = 0;
	}
out:
	free(format);
	free(id);
	return rc;
}

static int
read_days(struct store *s, const json_t *json, struct err *err)
{
	uint64_t days;

	if (json_get_u64(&days, json, "undelete_days", err) == -1)
		return -1;
	if (days > STORE_UNDELETE_DAYS_MAX)
		return err_set(err, ERR_CORRUPT, "its undelete_days are wrong");
	s->undelete_days = (unsigned int)days;
	return 0;
}

static int
read_config(struct store *s, struct err *err)
{
	uint8_t id[OBJECT_ID_BYTES];
	json_t *json = NULL;
	char *text;
	size_t size;
	int rc = -1;

	if (envelope_get(s->backend, "config", OBJECT_CONFIG, NULL, id,
		CONFIG_BODY_MAX, &text, &size, err) == -1) {
		if (err->class != ERR_NOT_FOUND)
			return -1;
		return err_set(
		    err, ERR_NOT_FOUND, "this is no holdstill repository");
	}
	hex_encode(s->id, id, sizeof(id));
	if (json_parse(&json, text, size, err) == 0 &&
	    (rc = check_config(json, s->id, err)) == 0)
		rc = read_days(s, json, err);
	json_decref(json);
	free(text);
	return rc == -1 ? err_prefix(err, "object 'config'") : 0;
}

int
store_open(struct store **out, struct backend *b, const char *cache_dir,
    struct err *err)
{
	struct store *s = calloc(1, sizeof(*s));
	char *dir = NULL;
	int rc = -1;

	if (s == NULL)
		return err_no_memory(err);
	pthread_mutex_init(&s->sync_lock, NULL);
	s->backend = b;
	if (read_config(s, err) == -1)
		goto out;
	if ((dir = io_path(cache_dir, s->id)) == NULL) {
		err_no_memory(err);
		goto out;
	}
	if (localindex_open(&s->index, dir, err) == -1)
		goto out;
	s->cache_dir = dir;
	dir = NULL;
	*out = s;
	s = NULL;
	rc = 0;
out:
	free(dir);
	if (s != NULL) {
		s->backend = NULL; /* Still the caller's. */
		store_close(s);
	}
	return rc;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	localindex_close(s->index);
	backend_close(s->backend);
	pthread_mutex_destroy(&s->sync_lock);
	free(s->cache_dir);
	free(s);
}

const char *
store_id(const struct store *s)
{
	return s->id;
}

unsigned int
store_undelete_days(const struct store *s)
{
	return s->undelete_days;
}
