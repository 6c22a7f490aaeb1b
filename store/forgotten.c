/* SPDX-License-Identifier: Apache-2.0 */
/* Words on points. */
#include "store/forgotten.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/json/json.h"
#include "store/aside.h"
#include "store/numbered.h"
#include "store/store_internal.h"

static const char *const words[] = {
	[FORGOTTEN_NONE] = "",
	[FORGOTTEN_FORGOTTEN] = "forgotten",
	[FORGOTTEN_KEPT] = "kept",
	[FORGOTTEN_GONE] = "gone",
};

static char *
prefix_of(char out[OBJECT_KEY_SIZE], const uint8_t id[OBJECT_ID_BYTES])
{
	char hex[HEXID_SIZE];

	hex_encode(hex, id, OBJECT_ID_BYTES);
	snprintf(out, OBJECT_KEY_SIZE, "forgotten/%s/", hex);
	return out;
}

static char *
key_of(char out[OBJECT_KEY_SIZE], const uint8_t id[OBJECT_ID_BYTES],
    uint64_t number)
{
	char prefix[OBJECT_KEY_SIZE];

	snprintf(out, OBJECT_KEY_SIZE, "%.60s%" PRIu64, prefix_of(prefix, id),
	    number);
	return out;
}

static int
parse(struct forgotten *f, const json_t *json, struct err *err)
{
	char *word = NULL, *time = NULL;
	unsigned int i;
	int rc = -1;

	if (json_get_string(&word, json, "word", 16, err) == 0 &&
	    json_get_string(&time, json, "time", 64, err) == 0) {
		for (i = FORGOTTEN_FORGOTTEN; i <= FORGOTTEN_GONE; i++) {
			if (strcmp(word, words[i]) == 0)
				break;
		}
		f->word = i;
		if (i > FORGOTTEN_GONE ||
		    clock_parse_rfc3339(&f->time_ms, time) == -1)
			err_set(err, ERR_CORRUPT, "its word or time is wrong");
		else
			rc = 0;
	}
	free(word);
	free(time);
	return rc;
}

int
forgotten_get(struct forgotten *out, struct store *s,
    const uint8_t id[OBJECT_ID_BYTES], struct err *err)
{
	char key[OBJECT_KEY_SIZE];
	json_t *json;
	int rc;

	*out = (struct forgotten){ .word = FORGOTTEN_NONE };
	if (numbered_free(
		&out->count, s->backend, prefix_of(key, id), 0, err) == -1)
		return -1;
	if (out->count == 0)
		return 0;
	key_of(key, id, out->count - 1);
	rc = numbered_get(&json, s->backend, s->seal, key, OBJECT_WORD, err);
	if (rc == 0) {
		if ((rc = parse(out, json, err)) == -1)
			err_prefix(err, "object '%s'", key);
		json_decref(json);
	}
	if (rc == 0)
		return 0;
	/* Whatever it said: what is there is kept. */
	out->word = FORGOTTEN_KEPT;
	out->time_ms = 0;
	return aside_passes(s->backend, key, err) == 1 ? 0 : -1;
}

int
forgotten_say(struct store *s, const uint8_t id[OBJECT_ID_BYTES],
    uint64_t number, enum forgotten_word word, struct err *err)
{
	char key[OBJECT_KEY_SIZE], time[CLOCK_RFC3339_SIZE];

	return numbered_put(s->backend, s->seal, key_of(key, id, number),
	    OBJECT_WORD,
	    json_pack("{s:s, s:s}", "word", words[word], "time",
		clock_format_rfc3339(time, clock_wall_ms())),
	    err);
}

/* ---- all ---- */

struct listing {
	struct idset *set;
	struct err *err;
	int rc;
};

static int
visit(void *arg, const char *key, uint64_t size_bytes)
{
	struct listing *l = arg;
	uint8_t id[OBJECT_ID_BYTES];
	char hex[HEXID_SIZE];

	(void)size_bytes;
	key += strlen("forgotten/");
	if (strnlen(key, HEXID_LENGTH + 1) <= HEXID_LENGTH ||
	    key[HEXID_LENGTH] != '/')
		return 0;
	memcpy(hex, key, HEXID_LENGTH);
	hex[HEXID_LENGTH] = '\0';
	/* The first word of each; all others are numbered after it. */
	if (strcmp(key + HEXID_LENGTH, "/0") != 0 || !hexid_valid(hex) ||
	    hex_decode(id, sizeof(id), hex) == -1)
		return 0;
	l->rc = idset_add(l->set, id, l->err);
	return l->rc;
}

int
forgotten_list(struct idset *out, struct store *s, struct err *err)
{
	struct listing l = { .set = out, .err = err };

	*out = (struct idset){ .ids = NULL };
	if (backend_list(s->backend, "forgotten/", visit, &l, err) == -1 ||
	    l.rc == -1) {
		idset_fini(out);
		return -1;
	}
	idset_sort(out);
	return 0;
}
