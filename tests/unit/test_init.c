/* SPDX-License-Identifier: Apache-2.0 */
/* An init that is killed: the next begins anew, or there is a repository. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "store/seal/slot.h"
#include "tests/unit/store_rig.h"

static const struct slot_secret first = { .kind = SLOT_FILE,
	.bytes = "the key of who was killed at it.",
	.size = SLOT_SECRET_BYTES };

static int
init_with(struct backend *b, const struct slot_secret *secret, struct err *err)
{
	struct store_init_options options = { .label = "first",
		.secret = secret,
		.mode = secret == NULL ? SEAL_NONE : SEAL_SECRET };

	return store_init(b, &options, err);
}

/* Does an init that ends at the n-th put: 1 if it did not come so far. */
static int
killed_at(const char *url, uint64_t n, bool after, bool sealed)
{
	const struct wrap_fault_plan plan = { .ops = WRAP_FAULT_PUT,
		.fail_at = n,
		.after = after,
		.class = ERR_IO };
	struct err err = ERR_INIT;
	struct backend *inner, *b;
	struct wrap_fault fault;
	int rc;

	wrap_fault_init(&fault);
	wrap_fault_set(&fault, &plan);
	assert_int_equal(backend_open(&inner, url, BACKEND_CREATE, &err), 0);
	assert_int_equal(wrap_fault_open(&b, inner, &fault, &err), 0);
	rc = init_with(b, sealed ? &first : NULL, &err);
	backend_close(b);
	wrap_fault_fini(&fault);
	return rc == 0;
}

/* Somebody backs up, restores, prunes and verifies in it. */
static void
use(struct rig *rig, const char *url, const struct slot_secret *secret)
{
	const struct store_open_options options = { .secret = secret };
	struct err err = ERR_INIT;
	struct backend *b;
	struct manifest *m;
	struct store *s;
	struct image im;

	assert_int_equal(backend_open(&b, url, BACKEND_OPEN, &err), 0);
	if (store_open(&s, b, rig->cache, &options, &err) == -1)
		fail_msg("%s", err.text);
	assert_int_equal(rig_verify(s, NULL), 0);
	image_init(&im, 10 * STORE_BLOCK_BYTES);
	image_fill(&im, 0, im.size, 1, false);
	if (rig_backup(rig, s, &m, &im, NULL, NULL, &err) == -1)
		fail_msg("%s", err.text);
	rig_expect(s, m, &im);
	rig_pruned(s);
	assert_int_equal(rig_verify(s, NULL), 0);
	manifest_free(m);
	image_fini(&im);
	store_close(s);
}

static void
try_all(bool sealed)
{
	const struct slot_secret *own = sealed ? &rig_key : NULL;
	unsigned int n, after, made = 0;
	struct err err = ERR_INIT;
	struct backend *b;
	struct rig rig;
	char url[300];
	bool ended = false;

	rig_init(&rig, "dir");
	for (n = 1; !ended; n++) {
		for (after = 0; after < 2; after++) {
			snprintf(
			    url, sizeof(url), "%s/%u-%u", rig.root, n, after);
			ended = killed_at(url, n, after, sealed);
			err_clear(&err);
			assert_int_equal(
			    backend_open(&b, url, BACKEND_CREATE, &err), 0);
			if (init_with(b, own, &err) == 0) {
				use(&rig, url, own);
			} else {
				/* It was: only the word of it was lost. */
				assert_int_equal(err.class, ERR_EXISTS);
				assert_non_null(
				    strstr(err.text, "there is a repository"));
				use(&rig, url, sealed ? &first : NULL);
				made++;
			}
			backend_close(b);
		}
	}
	assert_true(n > (sealed ? 3 : 2));
	assert_true(made > 2);
	rig_fini(&rig);
}

static void
test_init_killed_anywhere_is_begun_anew(void **state)
{
	(void)state;
	try_all(true);
}

static void
test_init_of_a_plain_one_as_well(void **state)
{
	(void)state;
	try_all(false);
}

/* What has been worked in and lacks its epochs is not taken for new. */
static void
test_init_lost_epochs_are_not_begun_anew(void **state)
{
	struct err err = ERR_INIT;
	struct manifest *m;
	struct backend *b;
	struct image im;
	struct rig rig;

	(void)state;
	rig_init(&rig, "mem");
	image_init(&im, STORE_BLOCK_BYTES);
	image_fill(&im, 0, im.size, 1, false);
	assert_int_equal(
	    rig_backup(&rig, rig.store, &m, &im, NULL, NULL, &err), 0);
	manifest_free(m);
	b = rig_backend(&rig);
	assert_int_equal(backend_remove(b, "epochs/0", &err), 0);
	rig_reopen(&rig);
	assert_int_equal(
	    rig_backup(&rig, rig.store, &m, &im, NULL, NULL, &err), -1);
	assert_int_equal(err.class, ERR_CORRUPT);
	assert_non_null(strstr(err.text, "has no epoch"));
	backend_close(b);
	image_fini(&im);
	rig_fini(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init_killed_anywhere_is_begun_anew),
		cmocka_unit_test(test_init_of_a_plain_one_as_well),
		cmocka_unit_test(test_init_lost_epochs_are_not_begun_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
