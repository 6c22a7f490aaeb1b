/* SPDX-License-Identifier: Apache-2.0 */
/* Key files, recovery keys, host keys, and a host's chain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/endian.h"
#include "common/err.h"
#include "common/hexid.h"
#include "common/io.h"
#include "store/seal/chain_internal.h"
#include "store/seal/keyfile.h"
#include "store/seal/recovery.h"
#include "tests/unit/seal_rig.h"
#include "tests/unit/temp_dir.h"

static char *
in_dir(void **state, const char *name)
{
	char *path = io_path(*state, name);

	assert_non_null(path);
	unlink(path);
	return path;
}

static void
write_text(const char *path, const char *text, unsigned int mode)
{
	struct err err = ERR_INIT;

	unlink(path);
	assert_int_equal(
	    io_replace_file(path, text, strlen(text), mode, &err), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void
test_keyfile_comes_back(void **state)
{
	char *path = in_dir(state, "key");
	uint8_t made[32], got[32], again[32];
	struct err err = ERR_INIT;
	struct stat st;

	assert_int_equal(keyfile_make(made, path, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(keyfile_read(got, path, &err), 0);
	assert_memory_equal(got, made, sizeof(made));
	assert_int_equal(keyfile_make(again, path, &err), -1);
	assert_int_equal(err.class, ERR_EXISTS);
	assert_int_equal(keyfile_read(got, path, &err), 0);
	assert_memory_equal(got, made, sizeof(made));
	free(path);
}

#define HEX62 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e"
#define HEX64 HEX62 "1f"

static void
test_keyfile_only_one_line_serves(void **state)
{
	static const char *const bad[] = { "", "\n", "holdstill-key-1 ",
		"holdstill-key-2 " HEX64 "\n", "holdstill-key-1 " HEX64 "0\n",
		"holdstill-key-1 " HEX64 "\nmore\n", HEX64 "\n",
		"holdstill-key-1 " HEX62 "zz\n" };
	char *path = in_dir(state, "key");
	struct err err = ERR_INIT;
	uint8_t got[32];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_text(path, bad[i], 0600);
		err_clear(&err);
		assert_int_equal(keyfile_read(got, path, &err), -1);
		assert_true(err.class == ERR_CORRUPT || err.class == ERR_ARG);
		assert_null(strstr(err.text, "0102"));
	}
	write_text(path, "holdstill-key-1 " HEX64 "\r\n", 0600);
	assert_int_equal(keyfile_read(got, path, &err), 0);
	assert_memory_equal(got, rig_master, sizeof(got));
	free(path);
}

static void
test_keyfile_others_may_not_read(void **state)
{
	static const unsigned int refused[] = { 0640, 0660, 0604, 0644, 0602,
		0620, 0610, 0601 };
	char *path = in_dir(state, "key");
	struct err err = ERR_INIT;
	uint8_t got[32];
	size_t i;

	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		write_text(path, "holdstill-key-1 " HEX64 "\n", refused[i]);
		err_clear(&err);
		assert_int_equal(keyfile_read(got, path, &err), -1);
		assert_int_equal(err.class, ERR_AUTH);
		rig_expect_part(err.hint, "chmod 600");
	}
	write_text(path, "holdstill-key-1 " HEX64 "\n", 0400);
	assert_int_equal(keyfile_read(got, path, &err), 0);
	/* Another user's file may be its group's to read, and no more. */
	if (geteuid() == 0) {
		write_text(path, "holdstill-key-1 " HEX64 "\n", 0640);
		assert_int_equal(chown(path, 1, 1), 0);
		assert_int_equal(keyfile_read(got, path, &err), 0);
		assert_int_equal(chmod(path, 0660), 0);
		assert_int_equal(keyfile_read(got, path, &err), -1);
		assert_int_equal(chmod(path, 0644), 0);
		assert_int_equal(keyfile_read(got, path, &err), -1);
	}
	assert_int_equal(keyfile_read(got, *state, &err), -1);
	assert_int_equal(err.class, ERR_ARG);
	free(path);
}

static const char paper[] = "C1GP-4RV4-CNK6-ET39-D9NP-RVBE-DXR7-2WKK-EHTQ-"
			    "CXVR-F5X7-PZ3X-FSZM-V397";

static void
test_recovery_comes_back(void **state)
{
	static const char typed[] = " c1gp4rv4cnk6 et39d9nprvbedxr72wkkehtq\n"
				    "cxvrf5x7pz3xfszm-v397 ";
	char text[RECOVERY_TEXT_SIZE];
	uint8_t secret[32], got[32], zeros[32] = { 0 };
	struct err err = ERR_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)(0x60 + i);
	assert_int_equal(recovery_print(text, secret, &err), 0);
	assert_string_equal(text, paper);
	assert_int_equal(recovery_parse(got, typed, &err), 0);
	assert_memory_equal(got, secret, sizeof(secret));
	/* Letters that look like digits. */
	assert_int_equal(recovery_print(text, zeros, &err), 0);
	for (i = 0; text[i] != '\0'; i++) {
		if (text[i] == '0')
			text[i] = i % 2 ? 'o' : 'O';
		if (text[i] == '1')
			text[i] = i % 2 ? 'i' : 'L';
	}
	assert_int_equal(recovery_parse(got, text, &err), 0);
	assert_memory_equal(got, zeros, sizeof(zeros));
}

static void
test_recovery_typing_errors_are_found(void **state)
{
	char text[RECOVERY_TEXT_SIZE + 8];
	struct err err = ERR_INIT;
	uint8_t got[32];
	size_t i;

	(void)state;
	for (i = 0; i < strlen(paper); i++) {
		strcpy(text, paper);
		if (text[i] == '-')
			continue;
		text[i] = text[i] == 'X' ? 'Y' : 'X';
		assert_int_equal(recovery_parse(got, text, &err), -1);
		assert_int_equal(err.class, ERR_ARG);
		rig_expect_part(err.text, "mistyped");
	}
	strcpy(text, paper);
	text[strlen(text) - 1] = '\0';
	assert_int_equal(recovery_parse(got, text, &err), -1);
	rig_expect_part(err.text, "55 characters instead of 56");
	snprintf(text, sizeof(text), "%s0", paper);
	assert_int_equal(recovery_parse(got, text, &err), -1);
	rig_expect_part(err.text, "57 characters");
	strcpy(text, paper);
	text[5] = 'U';
	assert_int_equal(recovery_parse(got, text, &err), -1);
	rig_expect_part(err.text, "behind its first 4");
}

static void
test_hostkey_comes_back(void **state)
{
	char text[HOSTKEY_TEXT_SIZE], *path = in_dir(state, "host");
	struct hostkey key = rig_hostkey(), got;
	struct seal *s = rig_seal(SEAL_SECRET), *p = rig_seal(SEAL_PUBLIC);
	struct err err = ERR_INIT;

	rig_expect_hex(key.x25519, 32,
	    "b32260062002b4ced18c63282c9bfa37c901fb3747b50c858ad87f58631e3706");
	rig_expect_hex(key.ed25519, 32,
	    "9f4ed96223e4b951a73c7b6a251d4b16497aec18adcb0bb11808ef5be2b1b7d7");
	rig_expect_hex(key.chain, 32,
	    "b9352f98a47fbba0d9d55d7b9462cab51be4bac5e31c2fb844d27837a7c76be4");
	assert_true(hostkey_print(text, &key, &err) > 0);
	assert_int_equal(hostkey_parse(&got, text, &err), 0);
	assert_memory_equal(&got, &key, sizeof(key));
	assert_int_equal(hostkey_write(path, &key, &err), 0);
	assert_int_equal(hostkey_read(&got, path, &err), 0);
	assert_memory_equal(&got, &key, sizeof(key));
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(hostkey_read(&got, path, &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	assert_int_equal(hostkey_make(&got, s, &err), -1);
	assert_int_equal(err.class, ERR_ARG);
	assert_int_equal(hostkey_make(&got, p, &err), 0);
	assert_memory_not_equal(got.host, key.host, sizeof(key.host));
	assert_memory_not_equal(got.chain, key.chain, sizeof(key.chain));
	seal_free(p);
	p = rig_host_seal();
	assert_int_equal(hostkey_make(&got, p, &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	seal_free(p);
	seal_free(s);
	free(path);
}

/* Any byte changed, any line lost: refused. */
static void
test_hostkey_changes_are_found(void **state)
{
	char text[HOSTKEY_TEXT_SIZE], bad[HOSTKEY_TEXT_SIZE + 8];
	struct hostkey key = rig_hostkey(), got;
	struct err err = ERR_INIT;
	size_t size, i;

	(void)state;
	size = (size_t)hostkey_print(text, &key, &err);
	for (i = 0; i < size; i++) {
		memcpy(bad, text, size + 1);
		bad[i] ^= 1;
		assert_int_equal(hostkey_parse(&got, bad, &err), -1);
		assert_true(
		    err.class == ERR_CORRUPT || err.class == ERR_UNSUPPORTED);
		memcpy(bad, text, size + 1);
		bad[i] = '\0';
		assert_int_equal(hostkey_parse(&got, bad, &err), -1);
	}
	snprintf(bad, sizeof(bad), "%smore\n", text);
	assert_int_equal(hostkey_parse(&got, bad, &err), -1);
}

struct chain_rig {
	char *state, *file;
	struct chain *chain;
};

static void
chain_rig_open(struct chain_rig *rig, void **state)
{
	struct hostkey key = rig_hostkey();
	struct err err = ERR_INIT;

	rig->state = in_dir(state, "chain");
	rig->file = in_dir(state, "host");
	assert_int_equal(hostkey_write(rig->file, &key, &err), 0);
	if (chain_open(&rig->chain, rig->state, rig->file, &key, &err) == -1)
		fail_msg("%s", err.text);
	/* Nothing is taken before there is something to be marked. */
	assert_true(key.has_chain);
	assert_int_equal(access(rig->state, F_OK), -1);
	if (chain_begin(rig->chain, &err) == -1)
		fail_msg("%s", err.text);
	assert_int_equal(hostkey_read(&key, rig->file, &err), 0);
	assert_false(key.has_chain);
}

static void
chain_rig_close(struct chain_rig *rig)
{
	chain_close(rig->chain);
	free(rig->state);
	free(rig->file);
}

/* Figures of another program that follows docs/seal.md. */
static void
test_chain_marks_are_as_the_format_says(void **state)
{
	char object[6 + CHAIN_MARK_BYTES] = "object";
	struct seal *s = rig_seal(SEAL_PUBLIC);
	uint8_t host[SEAL_ID_BYTES];
	struct chain_checker *k;
	struct err err = ERR_INIT;
	struct chain_rig rig;
	uint64_t n, i;

	chain_rig_open(&rig, state);
	assert_int_equal(chain_checker_new(&k, s, &err), 0);
	for (i = 0; i < 4; i++) {
		assert_int_equal(chain_mark(rig.chain, (uint8_t *)object + 6,
				     object, 6, &err),
		    0);
		assert_int_equal(
		    chain_check(k, host, &n, object, sizeof(object), &err), 0);
		assert_int_equal(n, i);
		assert_memory_equal(host, rig_host, sizeof(host));
	}
	rig_expect_hex(object + 6, CHAIN_MARK_BYTES,
	    "101112131415161718191a1b1c1d1e1f0000000000000003"
	    "38d21fd18280bf21bc8e6b72b3d87fae4b2b248cd01c1a733e6d5568334296c7");
	chain_checker_free(k);
	chain_rig_close(&rig);
	seal_free(s);
}

static void
test_chain_forged_marks_are_found(void **state)
{
	uint8_t object[6 + CHAIN_MARK_BYTES] = "object", host[SEAL_ID_BYTES];
	struct seal *s = rig_seal(SEAL_PUBLIC), *h = rig_host_seal();
	struct chain_checker *k;
	struct err err = ERR_INIT;
	struct chain_rig rig;
	uint64_t n;
	size_t i;

	chain_rig_open(&rig, state);
	assert_int_equal(chain_checker_new(&k, h, &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	assert_int_equal(chain_checker_new(&k, s, &err), 0);
	assert_int_equal(chain_mark(rig.chain, object + 6, object, 6, &err), 0);
	for (i = 0; i < sizeof(object); i++) {
		/* That would be n = 65536: found as well, but slowly. */
		if (i == 6 + SEAL_ID_BYTES + 5)
			continue;
		object[i] ^= 1;
		assert_int_equal(
		    chain_check(k, host, &n, object, sizeof(object), &err), -1);
		assert_int_equal(err.class, ERR_CORRUPT);
		object[i] ^= 1;
	}
	/* A number that would take years to count to. */
	object[6 + SEAL_ID_BYTES] = 0x7f;
	assert_int_equal(
	    chain_check(k, host, &n, object, sizeof(object), &err), -1);
	rig_expect_part(err.text, "out of bounds");
	object[6 + SEAL_ID_BYTES] = 0;
	assert_int_equal(
	    chain_check(k, host, &n, object, CHAIN_MARK_BYTES - 1, &err), -1);
	/* Backwards, after all that. */
	assert_int_equal(
	    chain_check(k, host, &n, object, sizeof(object), &err), 0);
	assert_int_equal(n, 0);
	chain_checker_free(k);
	chain_rig_close(&rig);
	seal_free(h);
	seal_free(s);
}

/* Behind six bytes of an object, the mark n of a host. */
static void
put_mark(uint8_t object[6 + CHAIN_MARK_BYTES],
    const uint8_t host[SEAL_ID_BYTES], const struct chain_link *link,
    uint64_t n)
{
	struct err err = ERR_INIT;

	memcpy(object + 6, host, SEAL_ID_BYTES);
	be64_put(object + 6 + SEAL_ID_BYTES, n);
	assert_int_equal(chain_link_mac(object + 6 + CHAIN_NAME_BYTES, link,
			     object, 6, object + 6, &err),
	    0);
}

/* Each mark is right, up to the last, and of that object alone. */
static void
expect_marks(struct chain_checker *k, const uint8_t host[SEAL_ID_BYTES],
    const struct chain_link *links, uint64_t last)
{
	static const uint64_t order[] = { 1500, 3, 256, 255, 511, 0, 1024, 700,
		257, 2047, 1499, 1501, 1 };
	uint8_t object[6 + CHAIN_MARK_BYTES] = "object", found[SEAL_ID_BYTES];
	struct err err = ERR_INIT;
	uint64_t n;
	size_t i;

	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (order[i] > last)
			continue;
		put_mark(object, host, &links[order[i]], order[i]);
		assert_int_equal(
		    chain_check(k, found, &n, object, sizeof(object), &err), 0);
		assert_int_equal(n, order[i]);
		object[0] ^= 1;
		assert_int_equal(
		    chain_check(k, found, &n, object, sizeof(object), &err),
		    -1);
		object[0] ^= 1;
	}
}

/* Of many points, met by their ids. */
static void
test_chain_checks_in_any_order(void **state)
{
	uint8_t object[6 + CHAIN_MARK_BYTES] = "object", host[SEAL_ID_BYTES];
	struct seal *s = rig_seal(SEAL_PUBLIC);
	static struct chain_link links[2048];
	struct chain_checker *k;
	struct err err = ERR_INIT;
	unsigned int i, last, other;
	uint64_t n;

	(void)state;
	assert_int_equal(chain_checker_new(&k, s, &err), 0);
	/* More hosts than are remembered. */
	for (other = 0; other < 70; other++) {
		memset(host, (int)other + 1, sizeof(host));
		last = other % 8 == 0 ? 2047 : 3;
		links[0].n = 0;
		assert_int_equal(
		    seal_chain_start(s, links[0].key, host, &err), 0);
		for (i = 1; i <= last; i++) {
			links[i] = links[i - 1];
			assert_int_equal(chain_link_next(&links[i], &err), 0);
		}
		expect_marks(k, host, links, last);
	}
	/* The host that is asked for makes room for the next. */
	for (other = 7; other < 100; other += 92) {
		memset(host, (int)other, sizeof(host));
		assert_int_equal(
		    seal_chain_start(s, links[0].key, host, &err), 0);
		put_mark(object, host, &links[0], 0);
		assert_int_equal(
		    chain_check(k, host, &n, object, sizeof(object), &err), 0);
	}
	assert_int_equal(chain_mark_owner(k, object + 6, object, 6, &err), 0);
	assert_int_equal(
	    chain_check(k, host, &n, object, sizeof(object), &err), 0);
	assert_true(chain_is_owner(host));
	object[6 + SEAL_ID_BYTES + 7] = 1;
	assert_int_equal(
	    chain_check(k, host, &n, object, sizeof(object), &err), -1);
	chain_checker_free(k);
	seal_free(s);
}

static char *
slurp(const char *path)
{
	struct err err = ERR_INIT;
	size_t size;
	char *text;

	assert_int_equal(io_read_file(&text, &size, path, 4096, &err), 0);
	return text;
}

static void
test_chain_forgets_its_keys(void **state)
{
	static const char first[] =
	    "b9352f98a47fbba0d9d55d7b9462cab51be4bac5e31c2fb844d27837a7c76be4";
	uint8_t mark[CHAIN_MARK_BYTES];
	struct err err = ERR_INIT;
	struct chain_rig rig;
	char old[4096] = "", *text;
	int fd;

	chain_rig_open(&rig, state);
	text = slurp(rig.file);
	assert_null(strstr(text, first));
	rig_expect_part(text, "chain begun\n");
	free(text);
	text = slurp(rig.state);
	rig_expect_part(text, first);
	free(text);
	fd = open(rig.state, O_RDONLY);
	assert_int_equal(chain_mark(rig.chain, mark, "x", 1, &err), 0);
	text = slurp(rig.state);
	assert_null(strstr(text, first));
	rig_expect_part(text, "n 1\n");
	free(text);
	/* The file that was replaced holds it no longer, either. */
	assert_true(pread(fd, old, sizeof(old) - 1, 0) > 100);
	assert_int_equal(old[0], '\0');
	assert_int_equal(old[120], '\0');
	close(fd);
	chain_rig_close(&rig);
}

static void
test_chain_goes_on_where_it_was(void **state)
{
	uint8_t mark[CHAIN_MARK_BYTES];
	struct hostkey key = rig_hostkey(), fresh = rig_hostkey();
	struct err err = ERR_INIT;
	struct chain_rig rig;

	chain_rig_open(&rig, state);
	assert_int_equal(chain_mark(rig.chain, mark, "x", 1, &err), 0);
	chain_close(rig.chain);
	/* The host's file as it was once: the state is what counts. */
	assert_int_equal(hostkey_write(rig.file, &fresh, &err), 0);
	assert_int_equal(
	    chain_open(&rig.chain, rig.state, rig.file, &fresh, &err), 0);
	assert_false(fresh.has_chain);
	assert_int_equal(hostkey_read(&fresh, rig.file, &err), 0);
	assert_false(fresh.has_chain);
	assert_int_equal(chain_mark(rig.chain, mark, "x", 1, &err), 0);
	assert_int_equal(mark[SEAL_ID_BYTES + 7], 1);
	chain_close(rig.chain);
	rig.chain = NULL;
	/* Another host's state, no state at all. */
	key.host[0] ^= 1;
	assert_int_equal(
	    chain_open(&rig.chain, rig.state, rig.file, &key, &err), -1);
	assert_int_equal(err.class, ERR_AUTH);
	unlink(rig.state);
	assert_int_equal(
	    chain_open(&rig.chain, rig.state, rig.file, &fresh, &err), -1);
	assert_int_equal(err.class, ERR_NOT_FOUND);
	rig_expect_part(err.text, "is not there");
	chain_rig_close(&rig);
}

static void
test_chain_damaged_state_is_refused(void **state)
{
	uint8_t mark[CHAIN_MARK_BYTES];
	struct err err = ERR_INIT;
	struct chain_rig rig;
	size_t i, size;
	char *text;

	chain_rig_open(&rig, state);
	text = slurp(rig.state);
	size = strlen(text);
	for (i = 0; i < size; i += 7) {
		text[i] ^= 1;
		write_text(rig.state, text, 0600);
		text[i] ^= 1;
		assert_int_equal(chain_mark(rig.chain, mark, "x", 1, &err), -1);
		assert_int_equal(err.class, ERR_CORRUPT);
		rig_expect_part(err.hint, "new host key");
	}
	free(text);
	chain_rig_close(&rig);
}

#define RACERS 3
#define MARKS 5

static void
race(struct chain *c, int fd)
{
	uint8_t mark[CHAIN_MARK_BYTES];
	struct err err = ERR_INIT;
	int i;

	for (i = 0; i < MARKS; i++) {
		if (chain_mark(c, mark, "x", 1, &err) == -1 ||
		    io_write_full(fd, mark + SEAL_ID_BYTES + 7, 1) == -1)
			_exit(1);
	}
	_exit(0);
}

/* No two processes are given the same link. */
static void
test_chain_processes_take_turns(void **state)
{
	bool seen[RACERS * MARKS] = { false };
	struct chain_rig rig;
	int ends[2], i, status;
	uint8_t n;
	pid_t pid;

	chain_rig_open(&rig, state);
	assert_int_equal(pipe(ends), 0);
	for (i = 0; i < RACERS; i++) {
		assert_true((pid = fork()) != -1);
		if (pid == 0)
			race(rig.chain, ends[1]);
	}
	for (i = 0; i < RACERS; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	for (i = 0; i < RACERS * MARKS; i++) {
		assert_int_equal(io_read_full(ends[0], &n, 1), 1);
		assert_true(n < RACERS * MARKS && !seen[n]);
		seen[n] = true;
	}
	close(ends[0]);
	close(ends[1]);
	chain_rig_close(&rig);
}

/* No state behind the mark, no mark: the link would be used twice. */
static void
test_chain_marks_only_what_is_durable(void **state)
{
	uint8_t mark[CHAIN_MARK_BYTES] = { 0 }, zeros[CHAIN_MARK_BYTES] = { 0 };
	struct err err = ERR_INIT;
	struct chain_rig rig;
	char *blocked;

	chain_rig_open(&rig, state);
	/* Where the new state would be written there is a folder. */
	blocked = in_dir(state, "chain.new");
	assert_int_equal(mkdir(blocked, 0700), 0);
	assert_int_equal(chain_mark(rig.chain, mark, "x", 1, &err), -1);
	assert_memory_equal(mark, zeros, sizeof(mark));
	assert_int_equal(rmdir(blocked), 0);
	assert_int_equal(chain_mark(rig.chain, mark, "x", 1, &err), 0);
	assert_int_equal(mark[SEAL_ID_BYTES + 7], 0);
	free(blocked);
	chain_rig_close(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keyfile_comes_back),
		cmocka_unit_test(test_keyfile_only_one_line_serves),
		cmocka_unit_test(test_keyfile_others_may_not_read),
		cmocka_unit_test(test_recovery_comes_back),
		cmocka_unit_test(test_recovery_typing_errors_are_found),
		cmocka_unit_test(test_hostkey_comes_back),
		cmocka_unit_test(test_hostkey_changes_are_found),
		cmocka_unit_test(test_chain_marks_are_as_the_format_says),
		cmocka_unit_test(test_chain_forged_marks_are_found),
		cmocka_unit_test(test_chain_checks_in_any_order),
		cmocka_unit_test(test_chain_forgets_its_keys),
		cmocka_unit_test(test_chain_goes_on_where_it_was),
		cmocka_unit_test(test_chain_damaged_state_is_refused),
		cmocka_unit_test(test_chain_processes_take_turns),
		cmocka_unit_test(test_chain_marks_only_what_is_durable),
	};

	return cmocka_run_group_tests(tests, temp_dir_setup, temp_dir_teardown);
}
