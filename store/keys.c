/* SPDX-License-Identifier: Apache-2.0 */
/* The key slots of an open repository. */
#include <string.h>

#include "common/err.h"
#include "store/host.h"
#include "store/seal/hostkey.h"
#include "store/seal/secret.h"
#include "store/seal/slot.h"
#include "store/store_internal.h"

static int
need_sealed(const struct store *s, struct err *err)
{
	if (s->seal != NULL)
		return 0;
	err_set(
	    err, ERR_ARG, "the repository is not encrypted: it has no keys");
	return err_hint(
	    err, "'holdstill init --encrypt' makes a new one that is");
}

static int
refuse_twin(struct store *s, const struct slot_secret *secret, struct err *err)
{
	char id[HEXID_SIZE];
	int rc = store_key_find(s, id, secret, NULL, err);

	if (rc != 1)
		return rc;
	err_set(err, ERR_EXISTS, "key %.8s opens with it already", id);
	return err_hint(err, "choose another one: who removes one of two such "
			     "keys shuts nobody out");
}

int
store_key_find(struct store *s, char id[HEXID_SIZE],
    const struct slot_secret *secret, const char *but, struct err *err)
{
	uint8_t found[SEAL_ID_BYTES], other[SEAL_ID_BYTES];
	int rc;

	if (need_sealed(s, err) == -1)
		return -1;
	if (but != NULL && hex_decode(other, sizeof(other), but) == -1)
		return err_set(err, ERR_ARG, "'%.40s' is no id of a key", but);
	rc = slot_find(found, s->backend, seal_repository(s->seal), secret,
	    but != NULL ? other : NULL, err);
	if (rc == 1)
		hex_encode(id, found, sizeof(found));
	return rc;
}

int
store_key_add(struct store *s, char id[HEXID_SIZE],
    const struct slot_secret *secret, const char *label,
    const struct slot_cost *cost, struct err *err)
{
	uint8_t *master;
	struct slot slot;
	int rc = -1;

	if (need_sealed(s, err) == -1)
		return -1;
	if ((master = secret_alloc(SEAL_KEY_BYTES)) == NULL)
		return err_no_memory(err);
	if (seal_copy_master(s->seal, master, err) == 0 &&
	    refuse_twin(s, secret, err) == 0 &&
	    slot_make(&slot, seal_repository(s->seal), master, secret, label,
		cost, err) == 0)
		rc = slot_put(s->backend, &slot, err);
	secret_free(master, SEAL_KEY_BYTES);
	if (rc == 0)
		hex_encode(id, slot.id, sizeof(slot.id));
	return rc;
}

int
store_key_list(struct slot_list *out, struct store *s, struct err *err)
{
	if (need_sealed(s, err) == -1)
		return -1;
	return slot_list(out, s->backend, seal_repository(s->seal), err);
}

int
store_key_remove(struct store *s, const char *id, struct err *err)
{
	uint8_t binary[SEAL_ID_BYTES];

	if (need_sealed(s, err) == -1)
		return -1;
	if (host_refuse(s, "no key can be removed", err) == -1)
		return -1;
	if (!hexid_valid(id) || hex_decode(binary, sizeof(binary), id) == -1)
		return err_set(err, ERR_ARG, "'%.40s' is no id of a key", id);
	return slot_remove(s->backend, seal_repository(s->seal), binary, err);
}

void
store_key_opened(char id[HEXID_SIZE], const struct store *s)
{
	hex_encode(id, s->slot, sizeof(s->slot));
}

int
store_key_host(
    struct store *s, char id[HEXID_SIZE], const char *path, struct err *err)
{
	struct hostkey key;
	int rc;

	if (need_sealed(s, err) == -1 ||
	    host_refuse(s, "no host key can be made", err) == -1 ||
	    hostkey_make(&key, s->seal, err) == -1)
		return -1;
	hex_encode(id, key.host, sizeof(key.host));
	rc = hostkey_write_new(path, &key, err);
	hostkey_wipe(&key);
	return rc;
}
