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

/* Points are met in any order: each link of so many is kept. */
#define ANCHOR_EVERY 256u
#define ANCHORS_MAX (CHAIN_LINKS_MAX / ANCHOR_EVERY)
/* Hosts whose anchors are kept; whoever makes up more costs time only. */
#define HOSTS_MAX 64u

struct anchors {
	uint8_t host[SEAL_ID_BYTES];
	uint8_t (*key)[SEAL_KEY_BYTES]; /* Of links 0, 256, 512... */
	size_t count, capacity;         /* 0: nobody's. */
};

struct chain_checker {
	const struct seal *seal;
	struct anchors *hosts; /* HOSTS_MAX. */
	unsigned int next;     /* To be given up for another host. */
	struct anchors *at;    /* Of link; NULL: of nobody. */
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
	if ((k->hosts = calloc(HOSTS_MAX, sizeof(*k->hosts))) == NULL) {
		chain_checker_free(k);
		return err_no_memory(err);
	}
	*out = k;
	return 0;
}

static void
anchors_fini(struct anchors *a)
{
	if (a->key != NULL)
		secret_wipe(a->key, a->capacity * sizeof(*a->key));
	free(a->key);
	*a = (struct anchors){ .key = NULL };
}

void
chain_checker_free(struct chain_checker *k)
{
	unsigned int i;

	if (k == NULL)
		return;
	for (i = 0; k->hosts != NULL && i < HOSTS_MAX; i++)
		anchors_fini(&k->hosts[i]);
	free(k->hosts);
	secret_free(k, sizeof(*k));
}

/* Keeps the link that was reached, if it is the next one to be kept. */
static int
keep_anchor(struct anchors *a, const struct chain_link *link, struct err *err)
{
	uint8_t(*grown)[SEAL_KEY_BYTES];
	size_t capacity;

	if (link->n != (uint64_t)a->count * ANCHOR_EVERY ||
	    a->count == ANCHORS_MAX)
		return 0;
	if (a->count == a->capacity) {
		capacity = a->capacity * 2 + 8;
		/* Not realloc(), which leaves keys behind. */
		if ((grown = calloc(capacity, sizeof(*grown))) == NULL)
			return err_no_memory(err);
		if (a->count > 0)
			memcpy(grown, a->key, a->count * sizeof(*grown));
		if (a->key != NULL)
			secret_wipe(a->key, a->count * sizeof(*a->key));
		free(a->key);
		a->key = grown;
		a->capacity = capacity;
	}
	memcpy(a->key[a->count++], link->key, SEAL_KEY_BYTES);
	return 0;
}

static int
find_host(struct anchors **out, struct chain_checker *k, const uint8_t *host,
    struct err *err)
{
	struct chain_link first = { .n = 0 };
	struct anchors *a;
	unsigned int i;
	int rc;

	for (i = 0; i < HOSTS_MAX; i++) {
		a = *out = &k->hosts[i];
		if (a->count > 0 && memcmp(a->host, host, SEAL_ID_BYTES) == 0)
			return 0;
	}
	a = *out = &k->hosts[k->next++ % HOSTS_MAX];
	if (k->at == a)
		k->at = NULL;
	anchors_fini(a);
	memcpy(a->host, host, SEAL_ID_BYTES);
	rc = seal_chain_start(k->seal, first.key, host, err);
	if (rc == 0)
		rc = keep_anchor(a, &first, err);
	secret_wipe(&first, sizeof(first));
	return rc;
}

/* The host's link n, from the nearest one before it that is known. */
static int
go_to(struct chain_checker *k, const uint8_t *host, uint64_t n, struct err *err)
{
	struct anchors *a;
	size_t near;

	if (find_host(&a, k, host, err) == -1)
		return -1;
	near = (size_t)(n / ANCHOR_EVERY);
	if (near >= a->count)
		near = a->count - 1;
	if (k->at != a || k->link.n > n ||
	    k->link.n < (uint64_t)near * ANCHOR_EVERY) {
		k->link.n = (uint64_t)near * ANCHOR_EVERY;
		memcpy(k->link.key, a->key[near], SEAL_KEY_BYTES);
	}
	k->at = NULL;
	while (k->link.n < n) {
		if (chain_link_next(&k->link, err) == -1 ||
		    keep_anchor(a, &k->link, err) == -1)
			return -1;
	}
	k->at = a;
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
