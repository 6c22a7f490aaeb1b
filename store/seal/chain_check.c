/* SPDX-License-Identifier: Apache-2.0 */
/* Links of a chain, and marks checked from its first key. */
#include <stdlib.h>
#include <string.h>

#include "common/ckd.h"
#include "common/endian.h"
#include "common/err.h"
#include "store/seal/chain_internal.h"
#include "store/seal/kdf.h"
#include "store/seal/mac.h"
#include "store/seal/secret.h"

struct chain_checker {
	const struct seal *seal;
	bool started; /* The members below are of a host. */
	uint8_t host[SEAL_ID_BYTES];
	struct chain_link link;
};

static int
derive(uint8_t out[SEAL_KEY_BYTES], const uint8_t key[SEAL_KEY_BYTES],
    const char *text, struct err *err)
{
	return kdf_hkdf(out, SEAL_KEY_BYTES,
	    (struct kdf_bytes){ key, SEAL_KEY_BYTES },
	    (struct kdf_bytes){ NULL, 0 },
	    (struct kdf_bytes){ text, strlen(text) }, err);
}

int
chain_link_next(struct chain_link *link, struct err *err)
{
	uint8_t next[SEAL_KEY_BYTES];

	if (derive(next, link->key, "holdstill next", err) == -1)
		return -1;
	memcpy(link->key, next, sizeof(next));
	link->n++;
	secret_wipe(next, sizeof(next));
	return 0;
}

int
chain_link_mac(uint8_t out[SEAL_KEY_BYTES], const struct chain_link *link,
    const void *object, size_t size, const uint8_t name[CHAIN_NAME_BYTES],
    struct err *err)
{
	uint8_t key[SEAL_KEY_BYTES], *all = NULL;
	size_t all_size;
	int rc = -1;

	if (ckd_add(&all_size, size, (size_t)CHAIN_NAME_BYTES) ||
	    (all = malloc(all_size)) == NULL)
		return err_no_memory(err);
	memcpy(all, object, size);
	memcpy(all + size, name, CHAIN_NAME_BYTES);
	if (derive(key, link->key, "holdstill mac", err) == 0)
		rc = mac_once(out, key, sizeof(key), all, all_size, err);
	secret_wipe(key, sizeof(key));
	free(all);
	return rc;
}

int
chain_checker_new(
    struct chain_checker **out, const struct seal *s, struct err *err)
{
	struct chain_checker *k;

	if (seal_mode(s) != SEAL_PUBLIC || !seal_can_open(s))
		return err_set(err, ERR_AUTH,
		    "a host's chain can be checked with the master key only");
	if ((k = secret_alloc(sizeof(*k))) == NULL)
		return err_no_memory(err);
	k->seal = s;
	*out = k;
	return 0;
}

void
chain_checker_free(struct chain_checker *k)
{
	secret_free(k, sizeof(*k));
}

/* The host's link n, from the last one asked for if that is before it. */
static int
go_to(struct chain_checker *k, const uint8_t *host, uint64_t n, struct err *err)
{
	if (!k->started || memcmp(k->host, host, SEAL_ID_BYTES) != 0 ||
	    k->link.n > n) {
		k->started = false;
		if (seal_chain_start(k->seal, k->link.key, host, err) == -1)
			return -1;
		memcpy(k->host, host, SEAL_ID_BYTES);
		k->link.n = 0;
		k->started = true;
	}
	while (k->link.n < n) {
		if (chain_link_next(&k->link, err) == -1) {
			k->started = false;
			return -1;
		}
	}
	return 0;
}

bool
chain_is_owner(const uint8_t host[SEAL_ID_BYTES])
{
	static const uint8_t none[SEAL_ID_BYTES];

	return memcmp(host, none, sizeof(none)) == 0;
}

int
chain_mark_owner(struct chain_checker *k, uint8_t out[CHAIN_MARK_BYTES],
    const void *object, size_t size, struct err *err)
{
	memset(out, 0, CHAIN_NAME_BYTES);
	if (go_to(k, out, 0, err) == -1)
		return -1;
	return chain_link_mac(
	    out + CHAIN_NAME_BYTES, &k->link, object, size, out, err);
}

int
chain_check(struct chain_checker *k, uint8_t host[SEAL_ID_BYTES], uint64_t *n,
    const void *object, size_t size, struct err *err)
{
	uint8_t mac[MAC_BYTES];
	const uint8_t *mark;
	uint64_t found;

	if (size < CHAIN_MARK_BYTES)
		return err_set(err, ERR_CORRUPT, "it is too short for a mark");
	mark = (const uint8_t *)object + size - CHAIN_MARK_BYTES;
	found = be64_get(mark + SEAL_ID_BYTES);
	if (found >= CHAIN_LINKS_MAX)
		return err_set(err, ERR_CORRUPT,
		    "its number in the host's chain is out of bounds");
	if (go_to(k, mark, found, err) == -1 ||
	    chain_link_mac(mac, &k->link, object, size - CHAIN_MARK_BYTES, mark,
		err) == -1)
		return -1;
	if (!secret_equal(mac, mark + CHAIN_NAME_BYTES, sizeof(mac)))
		return err_set(err, ERR_CORRUPT,
		    "it was tampered with, or no host of this repository "
		    "made it: its mark does not fit");
	memcpy(host, mark, SEAL_ID_BYTES);
	*n = found;
	return 0;
}
