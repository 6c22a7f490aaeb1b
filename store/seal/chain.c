/* SPDX-License-Identifier: Apache-2.0 */
/* A host's chain: its state on disk, and marks made with it. */
#include "store/seal/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/endian.h"
#include "common/err.h"
#include "common/hexid.h"
#include "common/io.h"
#include "store/digest.h"
#include "store/seal/chain_internal.h"
#include "store/seal/keyfile.h"
#include "store/seal/lines.h"
#include "store/seal/secret.h"

#define STATE_TEXT_SIZE 512

static const char title[] = "holdstill-host-chain-1";

struct chain {
	uint8_t repository[SEAL_ID_BYTES];
	uint8_t host[SEAL_ID_BYTES];
	char *path;
	char *lock_path; /* The state itself is replaced: not to be locked. */
	char *key_path;
};

struct state {
	uint8_t repository[SEAL_ID_BYTES];
	uint8_t host[SEAL_ID_BYTES];
	uint64_t epoch; /* The newest that was seen. */
	struct chain_link link;
};

static int
print_state(
    char out[STATE_TEXT_SIZE], const struct state *state, struct err *err)
{
	char repository[2 * SEAL_ID_BYTES + 1], host[2 * SEAL_ID_BYTES + 1];
	char key[2 * SEAL_KEY_BYTES + 1], check[2 * DIGEST_BYTES + 1];
	uint8_t hash[DIGEST_BYTES];
	int n, rc;

	hex_encode(repository, state->repository, SEAL_ID_BYTES);
	hex_encode(host, state->host, SEAL_ID_BYTES);
	hex_encode(key, state->link.key, SEAL_KEY_BYTES);
	n = snprintf(out, STATE_TEXT_SIZE,
	    "%s\nrepository %s\nhost %s\nepoch %" PRIu64 "\nn %" PRIu64
	    "\nchain %s\n",
	    title, repository, host, state->epoch, state->link.n, key);
	rc = digest_once(hash, out, (size_t)n, err);
	hex_encode(check, hash, sizeof(hash));
	n +=
	    snprintf(out + n, STATE_TEXT_SIZE - (size_t)n, "check %s\n", check);
	secret_wipe(key, sizeof(key));
	return rc == -1 ? -1 : n;
}

static int
parse_state(struct state *out, const char *text, struct err *err)
{
	uint8_t check[DIGEST_BYTES], hash[DIGEST_BYTES];
	const char *at = text;
	size_t size;

	if (lines_title(&at, title, err) == -1 ||
	    lines_hex(out->repository, SEAL_ID_BYTES, &at, "repository", err) ==
		-1 ||
	    lines_hex(out->host, SEAL_ID_BYTES, &at, "host", err) == -1 ||
	    lines_u64(&out->epoch, &at, "epoch", err) == -1 ||
	    lines_u64(&out->link.n, &at, "n", err) == -1 ||
	    lines_hex(out->link.key, SEAL_KEY_BYTES, &at, "chain", err) == -1)
		return -1;
	size = (size_t)(at - text);
	if (lines_hex(check, sizeof(check), &at, "check", err) == -1 ||
	    lines_end(at, err) == -1 ||
	    digest_once(hash, text, size, err) == -1)
		return -1;
	if (memcmp(check, hash, sizeof(hash)) != 0)
		return err_set(err, ERR_CORRUPT, "its check is wrong");
	return 0;
}

static int
read_state(struct state *out, const struct chain *c, struct err *err)
{
	char text[STATE_TEXT_SIZE];
	size_t size;
	int rc;

	if (keyfile_load(text, sizeof(text), &size, c->path, err) == -1)
		return -1;
	rc = parse_state(out, text, err);
	secret_wipe(text, sizeof(text));
	if (rc == -1) {
		err_prefix(err, "the state of the host's chain, '%s'", c->path);
		return err_hint(
		    err, "'holdstill key host' makes a new host key");
	}
	if (memcmp(out->repository, c->repository, SEAL_ID_BYTES) == 0 &&
	    memcmp(out->host, c->host, SEAL_ID_BYTES) == 0)
		return 0;
	return err_set(err, ERR_AUTH,
	    "'%s' is the state of another host's chain", c->path);
}

/* Best effort: a file system that writes in place forgets the old key. */
static void
overwrite(int fd)
{
	static const char zeros[STATE_TEXT_SIZE];

	if (fd == -1)
		return;
	if (io_pwrite_full(fd, zeros, sizeof(zeros), 0) == 0)
		fdatasync(fd);
	close(fd);
}

static int
write_state(const struct chain *c, const struct state *state, struct err *err)
{
	int old = open(c->path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	char text[STATE_TEXT_SIZE];
	int size = print_state(text, state, err), rc = -1;

	if (size != -1)
		rc = io_replace_file(c->path, text, (size_t)size, 0600, err);
	secret_wipe(text, sizeof(text));
	if (rc == 0)
		overwrite(old);
	else if (old != -1)
		close(old);
	return rc;
}

/* -1, or a descriptor whose close() gives the lock back. */
static int
lock_state(const struct chain *c, struct err *err)
{
	int fd = open(c->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd == -1)
		return err_errno(err, errno, "cannot open '%s'", c->lock_path);
	while (flock(fd, LOCK_EX) == -1) {
		if (errno == EINTR)
			continue;
		err_errno(err, errno, "cannot lock '%s'", c->lock_path);
		close(fd);
		return -1;
	}
	return fd;
}

static int
no_state(const struct chain *c, struct err *err)
{
	err_set(err, ERR_NOT_FOUND,
	    "the state of the host's chain, '%s', is not there: the key was "
	    "begun with another state directory, or the state is lost",
	    c->path);
	return err_hint(err,
	    "give the --state-dir that it was begun with, or a new host key, "
	    "of 'holdstill key host'");
}

/* The first key is in the state: nowhere else. */
static int
strike_out(const struct chain *c, struct hostkey *key, struct err *err)
{
	if (!key->has_chain)
		return 0;
	key->has_chain = false;
	secret_wipe(key->chain, SEAL_KEY_BYTES);
	return hostkey_write(c->key_path, key, err);
}

/* Called with the lock held.  begin: make a state if there is none. */
static int
look(const struct chain *c, struct hostkey *key, bool begin, struct err *err)
{
	struct state state;
	int rc = read_state(&state, c, err);

	if (rc == -1 && err->class == ERR_NOT_FOUND) {
		if (!key->has_chain)
			return no_state(c, err);
		err_clear(err);
		if (!begin)
			return 0;
		memcpy(state.repository, c->repository, SEAL_ID_BYTES);
		memcpy(state.host, c->host, SEAL_ID_BYTES);
		state.link.n = state.epoch = 0;
		memcpy(state.link.key, key->chain, SEAL_KEY_BYTES);
		/* State first: the first key is never nowhere. */
		rc = write_state(c, &state, err);
	}
	secret_wipe(&state, sizeof(state));
	return rc == -1 ? -1 : strike_out(c, key, err);
}

static int
look_locked(
    const struct chain *c, struct hostkey *key, bool begin, struct err *err)
{
	int fd = lock_state(c, err), rc;

	if (fd == -1)
		return -1;
	rc = look(c, key, begin, err);
	close(fd);
	return rc;
}

int
chain_open(struct chain **out, const char *state_path, const char *key_path,
    struct hostkey *key, struct err *err)
{
	struct chain *c = calloc(1, sizeof(*c));
	int rc = -1;

	if (c == NULL)
		return err_no_memory(err);
	memcpy(c->repository, key->repository, SEAL_ID_BYTES);
	memcpy(c->host, key->host, SEAL_ID_BYTES);
	c->path = strdup(state_path);
	c->key_path = strdup(key_path);
	if (asprintf(&c->lock_path, "%s.lock", state_path) == -1)
		c->lock_path = NULL;
	if (c->path == NULL || c->lock_path == NULL || c->key_path == NULL)
		err_no_memory(err);
	else
		rc = look_locked(c, key, false, err);
	if (rc == -1) {
		chain_close(c);
		return -1;
	}
	*out = c;
	return 0;
}

int
chain_begin(struct chain *c, struct err *err)
{
	struct hostkey key;
	int rc = -1;

	if (access(c->path, F_OK) == 0)
		return 0;
	/* As it is now: another process may have begun elsewhere. */
	if (hostkey_read(&key, c->key_path, err) == -1)
		return -1;
	if (memcmp(key.repository, c->repository, SEAL_ID_BYTES) == 0 &&
	    memcmp(key.host, c->host, SEAL_ID_BYTES) == 0)
		rc = look_locked(c, &key, true, err);
	else
		err_set(err, ERR_AUTH, "it was replaced meanwhile");
	hostkey_wipe(&key);
	return rc == -1 ? err_prefix(err, "host key '%s'", c->key_path) : 0;
}

void
chain_close(struct chain *c)
{
	if (c == NULL)
		return;
	free(c->path);
	free(c->lock_path);
	free(c->key_path);
	free(c);
}

/* The link that is to be used; the state is behind it, durably. */
static int
take_link(const struct chain *c, struct chain_link *out, struct err *err)
{
	int fd = lock_state(c, err), rc = -1;
	struct state state;

	if (fd == -1)
		return -1;
	if (read_state(&state, c, err) == -1)
		goto out;
	*out = state.link;
	if (out->n >= CHAIN_LINKS_MAX) {
		err_set(err, ERR_NO_SPACE, "the host's chain is at its end");
		err_hint(err, "'holdstill key host' makes a new host key");
	} else if (chain_link_next(&state.link, err) == 0) {
		rc = write_state(c, &state, err);
	}
out:
	if (rc == -1)
		secret_wipe(out, sizeof(*out));
	secret_wipe(&state, sizeof(state));
	close(fd);
	return rc;
}

int
chain_mark(struct chain *c, uint8_t out[CHAIN_MARK_BYTES], const void *object,
    size_t size, struct err *err)
{
	struct chain_link link;
	int rc;

	if (take_link(c, &link, err) == -1)
		return -1;
	memcpy(out, c->host, SEAL_ID_BYTES);
	be64_put(out + SEAL_ID_BYTES, link.n);
	rc = chain_link_mac(
	    out + CHAIN_NAME_BYTES, &link, object, size, out, err);
	secret_wipe(&link, sizeof(link));
	return rc;
}

/* ---- the newest epoch ---- */

int
chain_epoch(uint64_t *out, struct chain *c, struct err *err)
{
	int fd = lock_state(c, err), rc;
	struct state state;

	if (fd == -1)
		return -1;
	if ((rc = read_state(&state, c, err)) == 0)
		*out = state.epoch;
	secret_wipe(&state, sizeof(state));
	close(fd);
	return rc;
}

int
chain_saw_epoch(struct chain *c, uint64_t epoch, struct err *err)
{
	int fd = lock_state(c, err), rc;
	struct state state;

	if (fd == -1)
		return -1;
	rc = read_state(&state, c, err);
	if (rc == 0 && state.epoch < epoch) {
		state.epoch = epoch;
		rc = write_state(c, &state, err);
	}
	secret_wipe(&state, sizeof(state));
	close(fd);
	return rc;
}
