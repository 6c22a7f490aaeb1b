/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill guest: talks to the helper in a domain. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/domain/domain.h"
#include "agent/job/freeze_test.h"
#include "agent/quiesce/quiesce.h"
#include "common/err.h"
#include "common/json/json.h"
#include "store/manifest.h"

#define HOLD_DEFAULT_MS 100

enum { KEY_HOLD = 256 };

static const struct cli_option options[] = {
	{ "hold", KEY_HOLD, "MS", false,
	    "freeze-test: stay frozen so long (100)" },
	{ NULL, 0, NULL, false, NULL },
};

static int
set(void *state, int key, const char *value, struct err *err)
{
	(void)key;
	return cli_number(
	    state, "hold", value, 0, QUIESCE_LEASE_MAX_MS / 2, err);
}

static json_t *
filesystems_json(const struct manifest_filesystem *fs, size_t count)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < count; i++)
		json_array_append_new(
		    list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "mount_point",
			      fs[i].mount_point, "type", fs[i].type, "disk",
			      fs[i].disk, "state", fs[i].state, "reason",
			      fs[i].reason));
	return list;
}

static void
print_filesystems(const struct manifest_filesystem *fs, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		printf("  %-24s %-6s %-6s %s%s%s\n", fs[i].mount_point,
		    fs[i].type, fs[i].disk, fs[i].state,
		    fs[i].reason[0] != '\0' ? ": " : "", fs[i].reason);
}

static int
status(struct cli *cli, struct domain *domain, struct err *err)
{
	struct quiesce_status s;
	int rc = 0;

	if (quiesce_status(&s, domain, err) == -1)
		return -1;
	if (cli->json) {
		rc = cli_print_json(
		    json_pack("{s:{s:s, s:s, s:s, s:I, s:o}}", "guest",
			"domain", domain_name(domain), "version", s.version,
			"state", s.state, "lease_left_ms",
			(json_int_t)s.lease_left_ms, "filesystems",
			filesystems_json(s.filesystems, s.filesystem_count)),
		    err);
	} else {
		printf("%s: helper %s, %s; would freeze:\n",
		    domain_name(domain), s.version, s.state);
		print_filesystems(s.filesystems, s.filesystem_count);
	}
	quiesce_status_fini(&s);
	return rc;
}

/* ---- freeze-test ---- */

static int
print_test_json(struct domain *domain, const struct freeze_test_result *test,
    struct err *err)
{
	const struct manifest_freeze *freeze = &test->freeze;

	return cli_print_json(
	    json_pack("{s:{s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, "
		      "s:o}}",
		"freeze_test", "domain", domain_name(domain), "consistency",
		manifest_consistency_name(test->level), "consistency_reason",
		test->reason, "source", manifest_quiesce_name(freeze->source),
		"proved", freeze->proved, "held_ms",
		(json_int_t)freeze->held_ms, "begin_ns",
		(json_int_t)freeze->begin_ns, "end_ns",
		(json_int_t)freeze->end_ns, "thaw_ns",
		(json_int_t)freeze->thaw_ns, "filesystems",
		filesystems_json(
		    freeze->filesystems, freeze->filesystem_count)),
	    err);
}

static void
print_test(struct domain *domain, const struct freeze_test_result *test)
{
	const struct manifest_freeze *freeze = &test->freeze;

	printf("%s: %s, held for %lld ms by %s, %s%s%s\n", domain_name(domain),
	    manifest_consistency_name(test->level), (long long)freeze->held_ms,
	    manifest_quiesce_name(freeze->source),
	    freeze->proved ? "proved" : "not proved",
	    test->reason[0] != '\0' ? ": " : "", test->reason);
	print_filesystems(freeze->filesystems, freeze->filesystem_count);
}

static int
freeze_test(struct cli *cli, struct domain *domain, unsigned int hold_ms,
    struct err *err)
{
	struct freeze_test_result test;
	int rc = 0;

	if (job_freeze_test(&cli->ctx, domain, hold_ms, &test, err) == -1)
		return -1;
	if (cli->json)
		rc = print_test_json(domain, &test, err);
	else
		print_test(domain, &test);
	if (rc == 0)
		rc = test.level > MANIFEST_CRASH ? CLI_DONE : CLI_FAILED;
	freeze_test_result_fini(&test);
	return rc;
}

static int
check_running(struct domain *domain, struct err *err)
{
	enum domain_state state;

	if (domain_state(domain, &state, err) == -1)
		return -1;
	if (state == DOMAIN_RUNNING)
		return 0;
	return err_set(err, ERR_NOT_FOUND,
	    "domain '%s' does not run, so nobody in it can answer",
	    domain_name(domain));
}

static bool
is_freeze_test(const struct cli_arguments *arguments)
{
	return strcmp(arguments->word[0], "freeze-test") == 0;
}

static int
check(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	(void)state;
	if (is_freeze_test(arguments) ||
	    strcmp(arguments->word[0], "status") == 0)
		return 0;
	return cli_usage(cli, err,
	    "'guest' takes status or freeze-test, not '%s'",
	    arguments->word[0]);
}

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	struct domain *domain = NULL;
	int rc;

	if (job_connect(&cli->ctx, err) == -1 ||
	    domain_open(
		&domain, cli->ctx.connection, arguments->word[1], err) == -1)
		return -1;
	rc = check_running(domain, err);
	if (rc == 0 && is_freeze_test(arguments))
		rc = freeze_test(cli, domain, *(unsigned int *)state, err);
	else if (rc == 0)
		rc = status(cli, domain, err);
	domain_close(domain);
	return rc;
}

static const unsigned int default_hold_ms = HOLD_DEFAULT_MS;

const struct cli_command cmd_guest = {
	.name = "guest",
	.arguments = "status DOMAIN | freeze-test DOMAIN [--hold MS]",
	.summary = "Ask the helper in a domain, or try a freeze",
	.example = "  holdstill guest status web1\n"
		   "  holdstill guest freeze-test web1 --hold 500\n",
	.options = options,
	.min = 2,
	.max = 2,
	.state_size = sizeof(default_hold_ms),
	.defaults = &default_hold_ms,
	.set = set,
	.check = check,
	.work = work,
};
