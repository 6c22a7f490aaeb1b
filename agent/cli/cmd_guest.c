/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill guest: talks to the helper in a domain. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/cli.h"
#include "agent/domain/domain.h"
#include "agent/job/freeze_test.h"
#include "agent/job/recover.h"
#include "agent/quiesce/quiesce.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/json/json.h"
#include "store/manifest.h"

#define HOLD_DEFAULT_MS 100

enum { KEY_HOLD = 256, KEY_LEASE };

static const struct cli_option options[] = {
	{ "hold", KEY_HOLD, "MS", false,
	    "freeze-test: stay frozen so long (100)" },
	{ "lease", KEY_LEASE, "SECONDS", false,
	    "freeze-test: the guest thaws itself after this" },
	{ NULL, 0, NULL, false, NULL },
};

struct request {
	struct freeze_test_options test;
	const char *test_only; /* The last such option; NULL: none. */
};

static int
set(void *state, int key, const char *value, struct err *err)
{
	struct request *request = state;

	if (key == KEY_HOLD) {
		request->test_only = "--hold";
		return cli_number(&request->test.hold_ms, "hold", value, 0,
		    QUIESCE_LEASE_MAX_MS / 2, err);
	}
	request->test_only = "--lease";
	return cli_lease(&request->test.lease_ms, value, err);
}

/* ---- file systems and writers, in words ---- */

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

static const char *
state_words(const char *state)
{
	if (strcmp(state, "planned") == 0)
		return "would be frozen";
	if (strcmp(state, "skipped") == 0)
		return "left alone";
	if (strcmp(state, "failed") == 0)
		return "cannot be frozen";
	return state;
}

static void
print_filesystems(const struct manifest_filesystem *fs, size_t count)
{
	size_t i;

	puts("file systems:");
	for (i = 0; i < count; i++)
		printf("  %-24s %-6s %-6s %s%s%s\n", fs[i].mount_point,
		    fs[i].type, fs[i].disk, state_words(fs[i].state),
		    fs[i].reason[0] != '\0' ? ": " : "", fs[i].reason);
	if (count == 0)
		puts("  none");
}

static void
print_writer(
    const char *name, bool required, const char *state, const char *reason)
{
	printf("  %-24s %-8s %s%s%s\n", name,
	    required ? "required" : "optional", state,
	    reason[0] != '\0' ? ": " : "", reason);
}

/* ---- status ---- */

/* Of what it is in now, not of what it once was in. */
static const char *
current_reason(const struct quiesce_writer *w)
{
	return strcmp(w->state, "failed") == 0 ? w->reason : "";
}

static json_t *
status_writers_json(const struct quiesce_status *s)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < s->writer_count; i++)
		json_array_append_new(
		    list, json_pack("{s:s, s:s, s:b, s:s}", "name",
			      s->writers[i].name, "state", s->writers[i].state,
			      "required", (int)s->writers[i].required, "reason",
			      s->writers[i].reason));
	return list;
}

static int
print_status_json(
    const char *domain, const struct quiesce_status *s, struct err *err)
{
	return cli_print_json(
	    json_pack("{s:{s:s, s:s, s:s, s:s, s:I, s:o, s:o}}", "guest",
		"domain", domain, "version", s->version, "state", s->state,
		"note", s->note, "lease_left_ms", (json_int_t)s->lease_left_ms,
		"filesystems",
		filesystems_json(s->filesystems, s->filesystem_count),
		"writers", status_writers_json(s)),
	    err);
}

static void
print_status(const char *domain, const struct quiesce_status *s)
{
	size_t i;

	printf("%s: helper %s, %s\n", domain, s->version, s->state);
	if (s->lease_left_ms > 0)
		printf("it thaws by itself in %lld ms\n",
		    (long long)s->lease_left_ms);
	if (s->note[0] != '\0')
		printf("last failure: %s\n", s->note);
	print_filesystems(s->filesystems, s->filesystem_count);
	puts("writers:");
	for (i = 0; i < s->writer_count; i++)
		print_writer(s->writers[i].name, s->writers[i].required,
		    s->writers[i].state, current_reason(&s->writers[i]));
	if (s->writer_count == 0)
		puts("  none");
}

/* ---- writers ---- */

static json_t *
time_json(int64_t now_ms, int64_t age_ms)
{
	char text[CLOCK_RFC3339_SIZE];

	return json_string(clock_format_rfc3339(text, now_ms - age_ms));
}

static json_t *
writers_json(const struct quiesce_status *s)
{
	const struct quiesce_writer *w;
	json_t *list = json_array();
	int64_t now_ms = clock_wall_ms();
	size_t i;

	for (i = 0; i < s->writer_count; i++) {
		w = &s->writers[i];
		json_array_append_new(list,
		    json_pack("{s:s, s:s, s:b, s:o, s:s, s:o, s:I, s:I, s:I}",
			"name", w->name, "state", w->state, "required",
			(int)w->required, "since", time_json(now_ms, w->age_ms),
			"last_error", w->reason, "last_error_time",
			w->reason[0] != '\0'
			    ? time_json(now_ms, w->failure_age_ms)
			    : json_null(),
			"prepare_ms", (json_int_t)w->prepare_ms, "freeze_ms",
			(json_int_t)w->freeze_ms, "thaw_ms",
			(json_int_t)w->thaw_ms));
	}
	return list;
}

static void
print_writer_whole(const struct quiesce_writer *w)
{
	char time[CLOCK_RFC3339_SIZE];
	int64_t now_ms = clock_wall_ms();

	printf("\nwriter '%s' (%s)\n", w->name,
	    w->required ? "required" : "optional");
	printf("  state       %s since %s\n", w->state,
	    clock_format_rfc3339(time, now_ms - w->age_ms));
	if (w->reason[0] == '\0')
		puts("  last error  none");
	else
		printf("  last error  %s (%s)\n", w->reason,
		    clock_format_rfc3339(time, now_ms - w->failure_age_ms));
	printf("  last took   prepare %lld ms, freeze %lld ms, thaw %lld ms\n",
	    (long long)w->prepare_ms, (long long)w->freeze_ms,
	    (long long)w->thaw_ms);
}

static void
print_writers(const char *domain, const struct quiesce_status *s, uint64_t owed)
{
	size_t i;

	printf("%s: %zu writer%s\n", domain, s->writer_count,
	    s->writer_count == 1 ? "" : "s");
	for (i = 0; i < s->writer_count; i++)
		print_writer_whole(&s->writers[i]);
	if (owed > 0)
		printf("\n%llu point%s of which they are still to be told\n",
		    (unsigned long long)owed, owed == 1 ? "" : "s");
}

static int
writers(struct cli *cli, struct domain *domain, const struct quiesce_status *s,
    struct err *err)
{
	uint64_t owed;

	if (job_owed(&cli->ctx, domain_uuid(domain), &owed, err) == -1)
		return -1;
	if (cli->json)
		return cli_print_json(
		    json_pack("{s:{s:s, s:o, s:I}}", "guest_writers", "domain",
			domain_name(domain), "writers", writers_json(s), "owed",
			(json_int_t)owed),
		    err);
	print_writers(domain_name(domain), s, owed);
	return 0;
}

static int
ask(struct cli *cli, const char *what, struct domain *domain, struct err *err)
{
	struct quiesce_status s;
	int rc = 0;

	if (quiesce_status(&s, domain, err) == -1)
		return -1;
	if (strcmp(what, "writers") == 0)
		rc = writers(cli, domain, &s, err);
	else if (cli->json)
		rc = print_status_json(domain_name(domain), &s, err);
	else
		print_status(domain_name(domain), &s);
	quiesce_status_fini(&s);
	return rc;
}

/* ---- freeze-test ---- */

static json_t *
meta_json(const struct manifest_writer *w)
{
	json_t *meta = json_object();
	size_t i;

	for (i = 0; i < w->meta_count; i++)
		json_object_set_new(
		    meta, w->meta[i].key, json_string(w->meta[i].value));
	return meta;
}

static json_t *
test_writers_json(const struct manifest_freeze *freeze)
{
	const struct manifest_writer *w;
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < freeze->writer_count; i++) {
		w = &freeze->writers[i];
		json_array_append_new(list,
		    json_pack("{s:s, s:s, s:s, s:b, s:o}", "name", w->name,
			"state", w->state, "reason", w->reason, "required",
			(int)w->required, "meta", meta_json(w)));
	}
	return list;
}

static int
print_test_json(struct domain *domain, const struct freeze_test_result *test,
    struct err *err)
{
	const struct manifest_freeze *freeze = &test->freeze;

	return cli_print_json(
	    json_pack("{s:{s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, "
		      "s:o, s:o}}",
		"freeze_test", "domain", domain_name(domain), "consistency",
		manifest_consistency_name(test->level), "consistency_reason",
		test->reason, "source", manifest_quiesce_name(freeze->source),
		"proved", freeze->proved, "held_ms",
		(json_int_t)freeze->held_ms, "begin_ns",
		(json_int_t)freeze->begin_ns, "end_ns",
		(json_int_t)freeze->end_ns, "thaw_ns",
		(json_int_t)freeze->thaw_ns, "filesystems",
		filesystems_json(freeze->filesystems, freeze->filesystem_count),
		"writers", test_writers_json(freeze)),
	    err);
}

static void
print_test(struct domain *domain, const struct freeze_test_result *test)
{
	const struct manifest_freeze *freeze = &test->freeze;
	const struct manifest_writer *w;
	size_t i, k;

	printf("%s: %s, held for %lld ms by %s, %s%s%s\n", domain_name(domain),
	    manifest_consistency_name(test->level), (long long)freeze->held_ms,
	    manifest_quiesce_name(freeze->source),
	    freeze->proved ? "proved" : "not proved",
	    test->reason[0] != '\0' ? ": " : "", test->reason);
	if (freeze->filesystem_count > 0)
		print_filesystems(
		    freeze->filesystems, freeze->filesystem_count);
	if (freeze->writer_count > 0)
		puts("writers:");
	for (i = 0; i < freeze->writer_count; i++) {
		w = &freeze->writers[i];
		print_writer(w->name, w->required, w->state, w->reason);
		for (k = 0; k < w->meta_count; k++)
			printf("    %s %s\n", w->meta[k].key, w->meta[k].value);
	}
}

static int
test_exit_code(const struct freeze_test_result *test)
{
	if (test->level == MANIFEST_CRASH)
		return CLI_FAILED;
	return test->level < test->offered ? CLI_DEMOTED : CLI_DONE;
}

static int
freeze_test(struct cli *cli, struct domain *domain,
    const struct freeze_test_options *how, struct err *err)
{
	struct freeze_test_result test;
	int rc = 0;

	if (job_freeze_test(&cli->ctx, domain, how, &test, err) == -1)
		return -1;
	if (cli->json)
		rc = print_test_json(domain, &test, err);
	else
		print_test(domain, &test);
	if (rc == 0)
		rc = test_exit_code(&test);
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
	const struct request *request = state;
	const struct freeze_test_options *test = &request->test;
	const char *what = arguments->word[0];

	if (!is_freeze_test(arguments) && strcmp(what, "status") != 0 &&
	    strcmp(what, "writers") != 0)
		return cli_usage(cli, err,
		    "'guest' takes status, writers or freeze-test, not '%s'",
		    what);
	if (!is_freeze_test(arguments) && request->test_only != NULL)
		return cli_usage(cli, err,
		    "'%s' goes with 'guest freeze-test', not with 'guest %s'",
		    request->test_only, what);
	if (test->lease_ms != 0 && test->hold_ms >= test->lease_ms)
		return cli_usage(cli, err,
		    "'--hold' is %u ms, and the lease %u ms: the guest would "
		    "thaw before",
		    test->hold_ms, test->lease_ms);
	return 0;
}

static int
work(struct cli *cli, void *state, const struct cli_arguments *arguments,
    struct err *err)
{
	const struct request *request = state;
	struct domain *domain = NULL;
	int rc;

	if (job_connect(&cli->ctx, err) == -1 ||
	    domain_open(
		&domain, cli->ctx.connection, arguments->word[1], err) == -1)
		return -1;
	rc = check_running(domain, err);
	if (rc == 0 && is_freeze_test(arguments))
		rc = freeze_test(cli, domain, &request->test, err);
	else if (rc == 0)
		rc = ask(cli, arguments->word[0], domain, err);
	domain_close(domain);
	return rc;
}

static const struct request defaults = { .test = {
					     .hold_ms = HOLD_DEFAULT_MS } };

const struct cli_command cmd_guest = {
	.name = "guest",
	.arguments = "status DOMAIN | writers DOMAIN | "
		     "freeze-test DOMAIN [--hold MS] [--lease SECONDS]",
	.summary = "Ask the helper in a domain, or try a freeze",
	.example = "  holdstill guest status web1\n"
		   "  holdstill guest writers web1\n"
		   "  holdstill guest freeze-test web1 --hold 500\n",
	.options = options,
	.min = 2,
	.max = 2,
	.state_size = sizeof(defaults),
	.defaults = &defaults,
	.set = set,
	.check = check,
	.work = work,
};
