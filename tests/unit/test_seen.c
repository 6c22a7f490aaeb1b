/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An epoch that is seen and lost in a power cut of the storage, before it was
 * settled: nobody has written down that it was there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/err.h"
#include "store/ownpacks.h"
#include "store/store_internal.h"
#include "tests/unit/public_rig.h"

static void
let_settle(bool works)
{
	struct wrap_fault_plan plan = { .ops = WRAP_FAULT_SETTLE,
		.fail_at = works ? 0 : 1,
		.class = ERR_IO };

	wrap_fault_set(&public_rig.fault, &plan);
}

/* As by a prune that is not yet sure of it. */
static uint64_t
put_epoch(void)
{
	struct err err = ERR_INIT;
	struct epoch e;
	uint64_t number;

	assert_int_equal(epochs_newest(&e, public_rig.store, &err), 0);
	number = ++e.number;
	if (epochs_put(public_rig.store, &e, &err) == -1)
		fail_msg("epoch: %s", err.text);
	epoch_fini(&e);
	return number;
}

static void
lose_epoch(uint64_t number)
{
	char key[64];

	snprintf(key, sizeof(key), "epochs/%llu", (unsigned long long)number);
	public_place(key, NULL, 0);
}

static void
test_seen_by_a_host_once_it_is_settled(void **state)
{
	struct manifest *m = public_backup(public_host, &public_im, NULL, NULL);
	struct err err = ERR_INIT;
	uint64_t number;

	(void)state;
	manifest_free(m);
	number = put_epoch();
	let_settle(false);
	assert_int_equal(rig_backup(&public_rig, public_host, &m, &public_im,
			     NULL, NULL, &err),
	    -1);
	let_settle(true);
	lose_epoch(number);
	manifest_free(public_backup(public_host, &public_im, NULL, NULL));
	/* One that was settled is missed. */
	number = put_epoch();
	manifest_free(public_backup(public_host, &public_im, NULL, NULL));
	lose_epoch(number);
	assert_int_equal(rig_backup(&public_rig, public_host, &m, &public_im,
			     NULL, NULL, &err),
	    -1);
	public_expect_words(&err, ERR_CORRUPT, "was set back");
}

/* Or the lists of another epoch of that number would be passed over. */
static void
test_seen_by_a_prune_once_it_is_settled(void **state)
{
	const struct own_pack pack = { .id = { 1 } };
	const struct epoch known = { .number = 0 };
	struct store_prune_result result;
	struct err err = ERR_INIT;
	struct ownpacks own;

	(void)state;
	assert_int_equal(ownpacks_add(public_rig.store, 0, &pack, &err), 0);
	put_epoch();
	let_settle(false);
	assert_int_equal(rig_prune(public_rig.store, &result, &err), -1);
	let_settle(true);
	assert_int_equal(
	    ownpacks_load(&own, public_rig.store, &known, true, &err), 0);
	assert_int_equal(own.count, 1);
	ownpacks_fini(&own);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_seen_by_a_host_once_it_is_settled, public_setup,
		    public_teardown),
		cmocka_unit_test_setup_teardown(
		    test_seen_by_a_prune_once_it_is_settled, public_setup,
		    public_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
