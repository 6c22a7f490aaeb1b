/* SPDX-License-Identifier: Apache-2.0 */
/* A point as a person reads it says what it does not have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/cli/report.h"
#include "agent/job/backup.h"
#include "store/manifest.h"

#define DISK(target, more) \
	"<disk type='file' device='disk'><source file='/" target "'/>" \
	"<target dev='" target "'/>" more "</disk>"

static char text[8192];

static void
say_backup(const struct manifest *m)
{
	struct backup_result result = { .manifest = (struct manifest *)m };

	report_backup(&result);
}

static void
say_point(const struct manifest *m)
{
	report_point(m, NULL);
}

/* What say prints, in text. */
static const char *
said(void (*say)(const struct manifest *m), const struct manifest *m)
{
	FILE *f = tmpfile();
	int out;

	assert_non_null(f);
	fflush(stdout);
	assert_true((out = dup(1)) >= 0);
	assert_int_equal(dup2(fileno(f), 1), 1);
	say(m);
	fflush(stdout);
	assert_int_equal(dup2(out, 1), 1);
	close(out);
	rewind(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return text;
}

static void
set(char **out, const char *value)
{
	free(*out);
	assert_non_null(*out = strdup(value));
}

/* A point of vda alone. */
static struct manifest *
new_point(const char *definition)
{
	struct manifest *m = manifest_new();

	assert_non_null(m);
	set(&m->domain, "db1");
	set(&m->uuid, "u");
	set(&m->host, "h");
	set(&m->consistency_reason, "");
	set(&m->checkpoint, "");
	set(&m->definition_xml, definition);
	assert_non_null(m->disks = calloc(1, sizeof(*m->disks)));
	m->disk_count = 1;
	set(&m->disks[0].target, "vda");
	set(&m->disks[0].format, "qcow2");
	set(&m->disks[0].path, "/vda");
	set(&m->disks[0].reason, "");
	return m;
}

static void
test_report_names_disks_that_are_left_out(void **state)
{
	struct manifest *m = new_point("<domain><devices>" DISK("vda", "") DISK(
	    "vdb", "<shareable/>") DISK("vdc", "<transient/>") DISK("vdd",
	    "") DISK("vde",
	    "<readonly/>") "<disk type='file' device='cdrom'><target dev='sda'/>"
			   "</disk></devices></domain>");
	void (*const says[])(
	    const struct manifest *) = { say_backup, say_point };
	const char *out;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		out = said(says[i], m);
		assert_non_null(strstr(out, "\n  vda  "));
		assert_null(strstr(out, "  vda    left out"));
		assert_non_null(strstr(
		    out, "\n  vdb    left out: shareable or transient\n"));
		assert_non_null(strstr(
		    out, "\n  vdc    left out: shareable or transient\n"));
		assert_non_null(strstr(out, "\n  vdd    left out: excluded\n"));
		assert_null(strstr(out, "vde"));
		assert_null(strstr(out, "sda"));
	}
	manifest_free(m);
}

/* What a repository says is of others: no definition, no word of it. */
static void
test_report_survives_a_bad_definition(void **state)
{
	static const char *const bad[] = { "", "<domain", "<domain/>" };
	struct manifest *m;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		m = new_point(bad[i]);
		assert_non_null(strstr(said(say_point, m), "\n  vda  "));
		assert_null(strstr(text, "left out"));
		manifest_free(m);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report_names_disks_that_are_left_out),
		cmocka_unit_test(test_report_survives_a_bad_definition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
