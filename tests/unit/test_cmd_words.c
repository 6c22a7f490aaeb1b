/* SPDX-License-Identifier: Apache-2.0 */
/* What a person is told: the cause, where it came from, and what helps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "tests/unit/cli_rig.h"
#include "tests/unit/store_rig.h"

#define OTHER "holdstill --state-dir @/other --config @/conf --repo @/repo "

static bool refused; /* Storage takes no words on points. */

int __real_store_point_forget(struct store *s, const char *id, struct err *err);
int __wrap_store_point_forget(struct store *s, const char *id, struct err *err);

int
__wrap_store_point_forget(struct store *s, const char *id, struct err *err)
{
	if (refused)
		return err_set(err, ERR_AUTH, "Read-only file system");
	return __real_store_point_forget(s, id, err);
}

static char *
in_root(char path[128], const char *name)
{
	snprintf(path, 128, "%s/%s", cli_rig_root, name);
	return path;
}

/* A repository with one point of the domain "vm"; id: its first 8 digits. */
static void
with_a_point(char id[9])
{
	struct manifest *m;
	struct image im;
	struct rig rig;

	unsetenv(RIG_SEAL);
	rig_init_in(&rig, cli_rig_root);
	image_init(&im, 1 << 20);
	image_fill(&im, 0, 1 << 20, 1, false);
	m = rig_point(&rig, &im, NULL, NULL);
	snprintf(id, 9, "%.8s", m->id);
	manifest_free(m);
	image_fini(&im);
	store_close(rig.store); /* Its folder is the command line's now. */
}

/* ---- where it failed ---- */

static void
test_words_of_a_state_folder(void **state)
{
	(void)state;
	cli_rig_file("conf", "");
	cli_rig_expect(0, CLI_RIG_HS "init", "made repository");
	cli_rig_expect(1,
	    "holdstill --config @/conf --repo @/repo --state-dir "
	    "/proc/holdstill list",
	    "state directory");
	assert_non_null(strstr(cli_rig_out, "--state-dir"));
	cli_rig_unsaid("init");
	cli_rig_unsaid("repository '");
	cli_rig_expect(1,
	    "holdstill --config @/conf --repo @/repo --state-dir @/conf list",
	    "state directory");
}

static void
test_words_of_lost_settings(void **state)
{
	char path[128], id[9];

	(void)state;
	cli_rig_file("conf", "");
	with_a_point(id);
	assert_int_equal(unlink(in_root(path, "repo/config")), 0);
	cli_rig_expect(1, CLI_RIG_HS "list", "'config' is missing");
	assert_non_null(strstr(cli_rig_out, "from a copy"));
	cli_rig_unsaid("init");
	/* Nothing but what an init has left: it may go on. */
	cli_rig_expect(1,
	    "holdstill --config @/conf --state-dir @/state --repo @/none list",
	    "makes a new, empty one");
	assert_int_equal(mkdir(in_root(path, "none"), 0700), 0);
	cli_rig_expect(1,
	    "holdstill --config @/conf --state-dir @/state --repo @/none list",
	    "makes a new, empty one");
	assert_int_equal(mkdir(in_root(path, "none/more"), 0700), 0);
	cli_rig_file("none/more/file", "");
	cli_rig_expect(1,
	    "holdstill --config @/conf --state-dir @/state --repo @/none list",
	    "such as 'more/file'");
	cli_rig_unsaid("init");
}

static void
test_words_of_a_key_that_is_not_needed(void **state)
{
	char path[128];

	(void)state;
	cli_rig_file("conf", "");
	cli_rig_expect(0, CLI_RIG_HS "init", "made repository");
	cli_rig_file("one", "secret\n");
	setenv("HOLDSTILL_PASSPHRASE_FILE", in_root(path, "one"), 1);
	cli_rig_expect(1, CLI_RIG_HS "list", "HOLDSTILL_PASSPHRASE_FILE");
	unsetenv("HOLDSTILL_PASSPHRASE_FILE");
	cli_rig_expect(
	    1, CLI_RIG_HS "--passphrase-file @/one list", "--passphrase-file");
	setenv("HOLDSTILL_KEY_FILE", in_root(path, "lost"), 1);
	cli_rig_expect(1, CLI_RIG_HS "list", "HOLDSTILL_KEY_FILE");
	unsetenv("HOLDSTILL_KEY_FILE");
}

static void
test_words_of_an_encrypted_repository(void **state)
{
	(void)state;
	cli_rig_file("conf", "");
	cli_rig_expect(
	    0, CLI_RIG_HS "init --encrypt public-key --key-file @/one", "made");
	cli_rig_expect(1, CLI_RIG_HS "list", "--passphrase-file");
	cli_rig_unsaid("(public,");
	cli_rig_expect(
	    1, CLI_RIG_HS "--key-file @/one key add", "--new-passphrase-file");
}

/* ---- a host ---- */

static void
test_words_of_a_host_on_points(void **state)
{
	(void)state;
	cli_rig_file("conf", "");
	cli_rig_expect(
	    0, CLI_RIG_HS "init --encrypt public-key --key-file @/one", "made");
	cli_rig_expect(0, CLI_RIG_HS "--key-file @/one key host @/host", "");
	cli_rig_expect(1,
	    CLI_RIG_HS "--key-file @/host restore vm@latest --to @/to",
	    "a host key");
	cli_rig_expect(
	    1, CLI_RIG_HS "--key-file @/host show vm@latest", "a host key");
	cli_rig_expect(
	    1, CLI_RIG_HS "--key-file @/host forget vm@latest", "a host key");
	cli_rig_expect(1,
	    CLI_RIG_HS "--key-file @/host forget vm --keep-last 1",
	    "a host key");
	cli_rig_expect(
	    1, CLI_RIG_HS "--key-file @/host unforget 0123", "a host key");
	cli_rig_unsaid("no points");
}

/* Reading takes nothing: the chain begins with what is first added. */
static void
test_words_of_a_host_key_that_is_tried(void **state)
{
	(void)state;
	cli_rig_file("conf", "");
	cli_rig_expect(
	    0, CLI_RIG_HS "init --encrypt public-key --key-file @/one", "made");
	cli_rig_expect(0, CLI_RIG_HS "--key-file @/one key host @/host", "");
	cli_rig_expect(
	    0, CLI_RIG_HS "--key-file @/host list", "shows no others");
	cli_rig_expect(0, OTHER "--key-file @/host list", "shows no others");
}

/* ---- points ---- */

static void
test_words_of_forget_only_what_is_durable(void **state)
{
	char id[9], line[128];

	(void)state;
	cli_rig_file("conf", "");
	with_a_point(id);
	refused = true;
	cli_rig_expect(1, CLI_RIG_HS "forget vm@latest", "Read-only");
	cli_rig_unsaid("forget ");
	refused = false;
	cli_rig_expect(0, CLI_RIG_HS "list", id);
	snprintf(line, sizeof(line), CLI_RIG_HS "forget %s --dry-run", id);
	cli_rig_expect(0, line, "would go");
	snprintf(line, sizeof(line), CLI_RIG_HS "forget %.4s", id);
	cli_rig_expect(0, line, "forget  vm");
	cli_rig_expect(0, CLI_RIG_HS "list", "no points yet");
}

static void
test_words_of_unforget_take_four_digits(void **state)
{
	char id[9], line[128];

	(void)state;
	cli_rig_file("conf", "");
	with_a_point(id);
	cli_rig_expect(0, CLI_RIG_HS "forget vm@latest", "for 7 days");
	cli_rig_expect(0, CLI_RIG_HS "list --forgotten", "KEPT UNTIL");
	cli_rig_expect(
	    0, CLI_RIG_HS "list --forgotten --json", "\"forgotten_until\"");
	snprintf(line, sizeof(line), CLI_RIG_HS "unforget %.3s", id);
	cli_rig_expect(2, line, "at least 4");
	cli_rig_expect(2, CLI_RIG_HS "unforget vm@latest", "at least 4");
	snprintf(line, sizeof(line), CLI_RIG_HS "show %s", id);
	cli_rig_expect(1, line, "was forgotten");
	snprintf(line, sizeof(line), CLI_RIG_HS "unforget %.4s", id);
	cli_rig_expect(0, line, "keep    vm");
	cli_rig_expect(1, line, "no forgotten point");
}

/* It has put something, whatever no point has lost. */
static void
test_words_of_a_repair_that_begins_an_epoch(void **state)
{
	char path[128], id[9];

	(void)state;
	cli_rig_file("conf", "");
	with_a_point(id);
	assert_int_equal(unlink(in_root(path, "repo/epochs/0")), 0);
	cli_rig_expect(1, CLI_RIG_HS "repair --dry-run", "would be begun");
	cli_rig_unsaid("nothing to repair");
	cli_rig_expect(0, CLI_RIG_HS "repair", "a new epoch has begun");
	cli_rig_unsaid("nothing to repair");
	cli_rig_expect(0, CLI_RIG_HS "repair", "nothing to repair");
	cli_rig_expect(0, CLI_RIG_HS "repair --json", "\"epoch_begun\": false");
}

#define CASE(name) \
	cmocka_unit_test_setup_teardown(name, cli_rig_setup, cli_rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_words_of_a_state_folder),
		CASE(test_words_of_lost_settings),
		CASE(test_words_of_a_key_that_is_not_needed),
		CASE(test_words_of_an_encrypted_repository),
		CASE(test_words_of_a_host_on_points),
		CASE(test_words_of_a_host_key_that_is_tried),
		CASE(test_words_of_forget_only_what_is_durable),
		CASE(test_words_of_unforget_take_four_digits),
		CASE(test_words_of_a_repair_that_begins_an_epoch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
