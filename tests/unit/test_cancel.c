/* SPDX-License-Identifier: Apache-2.0 */
/* Ctrl-C does not wait for a pack to be put. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdlib.h>
#include <cmocka.h>

#include "common/cancel.h"
#include "common/err.h"
#include "store/manifest.h"
#include "tests/unit/store_rig.h"

/* The wish to stop stays with the process: one case. */
static void
test_cancel_ends_a_put(void **state)
{
	struct manifest *m = NULL;
	struct err err = ERR_INIT;
	struct keys packs;
	struct image im;
	struct rig rig;

	(void)state;
	assert_int_equal(cancel_init(&err), 0);
	rig_init(&rig, "dir");
	image_init(&im, 1 << 20);
	image_fill(&im, 0, 1 << 20, 1, false);
	cancel_request(SIGINT);
	assert_int_equal(
	    rig_backup(&rig, rig.store, &m, &im, NULL, NULL, &err), -1);
	assert_int_equal(err.class, ERR_CANCELLED);
	rig_keys(&rig, &packs, "packs/");
	assert_int_equal(packs.count, 0);
	manifest_free(m);
	image_fini(&im);
	rig_fini(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cancel_ends_a_put),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
