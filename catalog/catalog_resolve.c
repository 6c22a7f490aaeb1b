/* SPDX-License-Identifier: Apache-2.0 */
/* A POINT as a person writes it -> the id of a point. */
#include "catalog/catalog_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"

#define SYNTAX_HINT \
	"a point is DOMAIN@latest, DOMAIN@TIME, DOMAIN@-N, or at least 4 " \
	"digits of an id; see 'holdstill list'"

/* Appends to a text that is cut when full. */
static void
append(char *text, size_t size, const char *separator, const char *word)
{
	size_t used = strlen(text);

	snprintf(text + used, size - used, "%s%.60s",
	    used == 0 ? "" : separator, word);
}

/* ---- DOMAIN@WHICH ---- */

static int
no_such_domain(struct catalog *c, const char *repository_id, const char *domain,
    struct err *err)
{
	sqlite3_stmt *rows = db_statement(c->db, CATALOG_SQL_DOMAINS, err);
	char names[256] = "";
	int more, n = 0;

	if (rows == NULL ||
	    db_bind_text(c->db, rows, 1, repository_id, err) == -1)
		return -1;
	while ((more = db_next(c->db, rows, err)) == 1)
		append(names, sizeof(names), ", ",
		    n++ < 5 ? db_text(rows, 0) : "...");
	if (more == -1)
		return -1;
	err_set(err, ERR_NOT_FOUND, "domain '%.200s' has no points", domain);
	if (n == 0)
		return err_hint(err, "the repository has no points yet; make "
				     "one with 'holdstill backup'");
	return err_hint(
	    err, "there are points of: %s; see 'holdstill list'", names);
}

/* -N: the Nth before the latest. */
static int
pick_before_latest(const struct catalog_node **out,
    const struct catalog_nodes *nodes, const char *domain, const char *which,
    struct err *err)
{
	unsigned long n;
	char *end;

	if (!isdigit((unsigned char)which[1])) {
		err_set(err, ERR_ARG, "'%.64s' names no point", which);
		return err_hint(err, SYNTAX_HINT);
	}
	n = strtoul(which + 1, &end, 10);
	if (*end != '\0') {
		err_set(err, ERR_ARG, "'%.64s' names no point", which);
		return err_hint(err, SYNTAX_HINT);
	}
	if (n >= nodes->count) {
		err_set(err, ERR_NOT_FOUND,
		    "domain '%.200s' has %zu point%s, none is %lu before the "
		    "latest",
		    domain, nodes->count, nodes->count == 1 ? "" : "s", n);
		return err_hint(err, "see 'holdstill list %.200s'", domain);
	}
	*out = &nodes->node[nodes->count - 1 - n];
	return 0;
}

/* What is written stands for its whole second, minute or day: `list` shows
 * seconds, and a point of that second must be found by them. */
static int64_t
end_of_written(int64_t time_ms, const char *text)
{
	size_t date = strcspn(text, "Tt ");
	const char *clock = text + date, *p;
	int colons = 0;

	if (*clock == '\0')
		return time_ms + INT64_C(86400000) - 1;
	if (strchr(clock, '.') != NULL)
		return time_ms;
	/* Colons of the clock only, not of a zone behind it. */
	for (p = clock; *p != '\0' && *p != '+' && *p != '-'; p++)
		colons += *p == ':';
	return time_ms + (colons > 1 ? 999 : 59999);
}

static int
pick_by_time(const struct catalog_node **out, const struct catalog_nodes *nodes,
    const char *domain, const char *which, struct err *err)
{
	char oldest[CLOCK_RFC3339_SIZE];
	int64_t time_ms;
	size_t i;

	if (clock_parse_rfc3339(&time_ms, which) == -1) {
		err_set(err, ERR_ARG, "'%.64s' is no time", which);
		return err_hint(err,
		    "write it like 2026-11-21T05:21:37Z, or "
		    "'latest', or -1 for the one before the latest");
	}
	time_ms = end_of_written(time_ms, which);
	for (i = nodes->count; i > 0; i--) {
		if (nodes->node[i - 1].time_ms > time_ms)
			continue;
		*out = &nodes->node[i - 1];
		return 0;
	}
	clock_format_rfc3339(oldest, nodes->node[0].time_ms);
	err_set(err, ERR_NOT_FOUND,
	    "domain '%.200s' has no point at or before %.64s", domain, which);
	return err_hint(err,
	    "its oldest is of %s; see 'holdstill list "
	    "%.150s'",
	    oldest, domain);
}

static int
resolve_in_domain(char out_id[HEXID_SIZE], struct catalog *c,
    const char *repository_id, const char *domain, const char *which,
    struct err *err)
{
	struct catalog_nodes nodes;
	const struct catalog_node *node = NULL;
	int rc;

	if (catalog_nodes_read(&nodes, c, repository_id, domain, err) == -1)
		return -1;
	if (nodes.count == 0) {
		rc = no_such_domain(c, repository_id, domain, err);
	} else if (strcmp(which, "latest") == 0) {
		node = &nodes.node[nodes.count - 1];
		rc = 0;
	} else if (which[0] == '-') {
		rc = pick_before_latest(&node, &nodes, domain, which, err);
	} else {
		rc = pick_by_time(&node, &nodes, domain, which, err);
	}
	if (rc == 0)
		memcpy(out_id, node->id, HEXID_SIZE);
	catalog_nodes_fini(&nodes);
	return rc;
}

/* ---- the start of an id ---- */

static int
no_such_id(struct catalog *c, const char *repository_id, const char *text,
    struct err *err)
{
	struct catalog_nodes nodes;
	size_t count;

	/* A domain without "@latest" is the likeliest slip. */
	if (catalog_nodes_read(&nodes, c, repository_id, text, err) == -1)
		return -1;
	count = nodes.count;
	catalog_nodes_fini(&nodes);
	if (count > 0) {
		err_set(
		    err, ERR_ARG, "'%.200s' is a domain, not a point", text);
		return err_hint(
		    err, "write %.200s@latest for its newest", text);
	}
	err_set(err, ERR_NOT_FOUND, "no point '%.200s'", text);
	return err_hint(err, SYNTAX_HINT);
}

static int
ambiguous(const char *text, const char *candidates, struct err *err)
{
	err_set(err, ERR_ARG, "'%s' is the start of several points", text);
	return err_hint(err, "give more digits: %s", candidates);
}

static int
resolve_prefix(char out_id[HEXID_SIZE], struct catalog *c,
    const char *repository_id, const char *text, struct err *err)
{
	char prefix[HEXID_SIZE], candidates[256] = "", one[128];
	char time[CLOCK_RFC3339_SIZE];
	sqlite3_stmt *rows;
	int more, n = 0;

	if (hexid_start(prefix, text) == -1)
		return no_such_id(c, repository_id, text, err);
	if ((rows = db_statement(c->db, CATALOG_SQL_PREFIX, err)) == NULL ||
	    db_bind_text(c->db, rows, 1, repository_id, err) == -1 ||
	    db_bind_text(c->db, rows, 2, prefix, err) == -1)
		return -1;
	while ((more = db_next(c->db, rows, err)) == 1) {
		if (n++ == 0)
			snprintf(out_id, HEXID_SIZE, "%s", db_text(rows, 0));
		clock_format_rfc3339(time, sqlite3_column_int64(rows, 2));
		snprintf(one, sizeof(one), "%.12s (%.24s, %s)",
		    db_text(rows, 0), db_text(rows, 1), time);
		append(candidates, sizeof(candidates), ", ", one);
	}
	if (more == -1)
		return -1;
	if (n == 0)
		return no_such_id(c, repository_id, text, err);
	return n == 1 ? 0 : ambiguous(prefix, candidates, err);
}

int
catalog_resolve(char out_id[HEXID_SIZE], struct catalog *c,
    const char *repository_id, const char *point, struct err *err)
{
	const char *at = strrchr(point, '@');
	char *domain;
	int rc;

	if (at == NULL)
		return resolve_prefix(out_id, c, repository_id, point, err);
	if (at == point || at[1] == '\0') {
		err_set(err, ERR_ARG, "'%.200s' names no point", point);
		return err_hint(err, SYNTAX_HINT);
	}
	if ((domain = strndup(point, (size_t)(at - point))) == NULL)
		return err_no_memory(err);
	rc = resolve_in_domain(out_id, c, repository_id, domain, at + 1, err);
	free(domain);
	return rc;
}
