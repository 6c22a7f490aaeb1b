/* SPDX-License-Identifier: Apache-2.0 */
/* Locks of a repository: who excludes whom, and whose are removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "store/envelope.h"
#include "tests/unit/store_rig.h"

static struct rig rig;
static struct keys keys;

static int
setup(void **state)
{
	(void)state;
	rig_init(&rig, "dir");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_fini(&rig);
	return 0;
}

static void
expect_busy(enum store_lock_kind kind)
{
	struct err err = ERR_INIT;
	struct store_lock *lock;

	assert_int_equal(store_lock_take(&lock, rig.store, kind, &err), -1);
	assert_int_equal(err.class, ERR_BUSY);
	assert_true(err.hint[0] != '\0');
}

static void
test_lock_shared_ones_go_together(void **state)
{
	struct err err = ERR_INIT;
	struct store_lock *a, *b;

	(void)state;
	assert_int_equal(
	    store_lock_take(&a, rig.store, STORE_LOCK_SHARED, &err), 0);
	assert_int_equal(
	    store_lock_take(&b, rig.store, STORE_LOCK_SHARED, &err), 0);
	expect_busy(STORE_LOCK_EXCLUSIVE);
	store_lock_release(a);
	expect_busy(STORE_LOCK_EXCLUSIVE);
	store_lock_release(b);
	assert_int_equal(
	    store_lock_take(&a, rig.store, STORE_LOCK_EXCLUSIVE, &err), 0);
	expect_busy(STORE_LOCK_SHARED);
	expect_busy(STORE_LOCK_EXCLUSIVE);
	store_lock_release(a);
	/* Nothing stays of those that lost. */
	rig_keys(&rig, &keys, "locks/");
	assert_int_equal(keys.count, 0);
}

static void
test_lock_of_a_dead_process_is_removed(void **state)
{
	struct err err = ERR_INIT;
	struct store_lock *lock;
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(store_lock_take(
			  &lock, rig.store, STORE_LOCK_EXCLUSIVE, &err) == 0
			  ? 0
			  : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	rig_keys(&rig, &keys, "locks/");
	assert_int_equal(keys.count, 1);
	if (store_lock_take(&lock, rig.store, STORE_LOCK_EXCLUSIVE, &err) == -1)
		fail_msg("%s", err.text);
	store_lock_release(lock);
	rig_keys(&rig, &keys, "locks/");
	assert_int_equal(keys.count, 0);
}

static void
put_lock(const char *body)
{
	static const uint8_t id[OBJECT_ID_BYTES] = { 1, 2, 3 };
	struct backend *b = rig_backend(&rig);
	struct err err = ERR_INIT;
	char key[OBJECT_KEY_SIZE];

	object_key(key, OBJECT_LOCK, id);
	assert_int_equal(backend_remove(b, key, &err), 0);
	assert_int_equal(envelope_put(b, NULL, key, OBJECT_LOCK, id, body,
			     strlen(body), false, &err),
	    0);
	backend_close(b);
}

static void
test_lock_of_another_host_is_respected_and_named(void **state)
{
	struct err err = ERR_INIT;
	struct store_lock *lock;

	(void)state;
	put_lock("{\"host\":\"elsewhere\",\"boot_id\":"
		 "\"00000000000000000000000000000000\",\"pid_namespace\":1,"
		 "\"pid\":4242,\"start_ticks\":1,\"kind\":\"exclusive\","
		 "\"time\":\"2026-01-01T00:00:00Z\"}");
	assert_int_equal(
	    store_lock_take(&lock, rig.store, STORE_LOCK_SHARED, &err), -1);
	assert_int_equal(err.class, ERR_BUSY);
	assert_non_null(strstr(err.text, "elsewhere"));
	assert_non_null(strstr(err.text, "4242"));
	assert_non_null(strstr(err.text, "2026-01-01T00:00:00Z"));
	/* Unreadable: nobody knows, so nobody goes on. */
	put_lock("{\"host\":7}");
	expect_busy(STORE_LOCK_SHARED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_lock_shared_ones_go_together, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_lock_of_a_dead_process_is_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_lock_of_another_host_is_respected_and_named, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
