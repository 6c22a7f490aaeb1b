/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the text of a configuration, strictly. */
#include "agent/config/config_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/ini/ini_file.h"
#include "common/ini/ini_keys.h"
#include "common/words.h"

struct parser {
	struct config *config;
	unsigned int line;
	const struct config_kind *kind; /* Of the section, or NULL. */
	void *section;
	const char *section_name;
	unsigned int section_line;
	bool global_seen;
	struct ini_keys keys;
	/* Names of repositories are looked up at the end. */
	struct reference *references;
	size_t reference_count;
	struct err *err;
};

struct reference {
	const struct config_repository **to;
	char *name;
	unsigned int line;
};

/* ---- sections ---- */

/* A job's name is part of file names, of units and of lines in a log. */
static bool
name_valid(const char *name)
{
	return name[0] != '\0' && name[0] != '-' && name[0] != '.' &&
	       strlen(name) <= 64 &&
	       strspn(name,
		   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		   "0123456789._-") == strlen(name);
}

static int
grow(void *array, size_t count, struct err *err)
{
	void **old = *(void ***)array;
	void **grown = reallocarray(old, count + 1, sizeof(void *));

	if (grown == NULL)
		return err_no_memory(err);
	*(void ***)array = grown;
	return 0;
}

static int
add_repository(struct parser *p, const char *name)
{
	struct config *config = p->config;
	struct config_repository *repository;

	if (config_find_repository(config, name) != NULL)
		return err_set(
		    p->err, ERR_ARG, "a second section [repository %s]", name);
	if (grow(&config->repositories, config->repository_count, p->err) == -1)
		return -1;
	if ((repository = calloc(1, sizeof(*repository))) == NULL)
		return err_no_memory(p->err);
	config->repositories[config->repository_count++] = repository;
	repository->line = p->line;
	p->section = repository;
	repository->name = strdup(name);
	return repository->name == NULL ? err_no_memory(p->err) : 0;
}

static int
add_job(struct parser *p, const char *name)
{
	struct config *config = p->config;
	struct config_job *job;

	if (config_get_job(config, name) != NULL)
		return err_set(
		    p->err, ERR_ARG, "a second section [job %s]", name);
	if (grow(&config->jobs, config->job_count, p->err) == -1)
		return -1;
	if ((job = calloc(1, sizeof(*job))) == NULL)
		return err_no_memory(p->err);
	config->jobs[config->job_count++] = job;
	job->line = p->line;
	job->lease_seconds = CONFIG_LEASE_DEFAULT_SECONDS;
	job->spread_ms = CONFIG_SPREAD_DEFAULT_MS;
	p->section = job;
	job->name = strdup(name);
	return job->name == NULL ? err_no_memory(p->err) : 0;
}

/* The section that ends here has all that it must have. */
static int
end_section(const struct parser *p)
{
	size_t i;

	for (i = 0; p->kind != NULL && i < p->kind->key_count; i++) {
		if (!p->kind->keys[i].required || p->keys.lines[i] != 0)
			continue;
		return err_set(p->err, ERR_ARG, "[%s %s] has no '%s'",
		    p->kind->name, p->section_name, p->kind->keys[i].name);
	}
	return 0;
}

static int
unknown_section(struct parser *p, const char *text)
{
	err_set(p->err, ERR_ARG, "unknown section [%.100s]", text);
	return err_hint(p->err, "there are [global], [repository NAME] and "
				"[job NAME]");
}

static int
open_section(struct parser *p, const char *text)
{
	size_t size = strcspn(text, " \t");
	const char *name = text + size + strspn(text + size, " \t");
	const struct config_kind *kind;
	size_t number;

	if (!words_find(&number, text, size, config_kinds, config_kind_count,
		sizeof(config_kinds[0])))
		return unknown_section(p, text);
	kind = &config_kinds[number];
	if (!kind->named && *name != '\0')
		return unknown_section(p, text);
	if (kind->named && !name_valid(name)) {
		err_set(p->err, ERR_ARG, "[%.100s] needs a name", text);
		return err_hint(p->err,
		    "write [%s NAME]; a name has letters, "
		    "digits, '.', '_', '-'",
		    kind->name);
	}
	if (kind == &config_kinds[CONFIG_REPOSITORY]) {
		if (add_repository(p, name) == -1)
			return -1;
		p->section_name =
		    p->config->repositories[p->config->repository_count - 1]
			->name;
	} else if (kind == &config_kinds[CONFIG_JOB]) {
		if (add_job(p, name) == -1)
			return -1;
		p->section_name =
		    p->config->jobs[p->config->job_count - 1]->name;
	} else if (p->global_seen) {
		return err_set(p->err, ERR_ARG, "a second section [global]");
	} else {
		p->global_seen = true;
		p->section = p->config;
		p->section_name = "";
	}
	p->kind = kind;
	return 0;
}

static int
begin_section(
    void *arg, const char *text, struct ini_file_place *place, struct err *err)
{
	struct parser *p = arg;

	(void)err; /* It is p->err. */
	if (end_section(p) == -1) {
		place->line = p->section_line;
		return -1;
	}
	memset(&p->keys, 0, sizeof(p->keys));
	p->line = place->line;
	p->section_line = place->line;
	return open_section(p, text);
}

/* ---- keys ---- */

static int
add_reference(struct parser *p, const char *name)
{
	const struct config_repository **to = &p->config->repository;
	struct reference *grown;

	if (p->kind == &config_kinds[CONFIG_JOB])
		to = &((struct config_job *)p->section)->repository;
	grown =
	    reallocarray(p->references, p->reference_count + 1, sizeof(*grown));
	if (grown == NULL)
		return err_no_memory(p->err);
	p->references = grown;
	grown += p->reference_count;
	grown->to = to;
	grown->line = p->line;
	if ((grown->name = strdup(name)) == NULL)
		return err_no_memory(p->err);
	p->reference_count++;
	return 0;
}

static int
set_key(struct parser *p, const struct config_key *key, const char *value)
{
	if (key->set == NULL)
		return add_reference(p, value);
	if (key->set(p->section, value, p->err) == -1)
		return err_prefix(p->err, "%s", key->name);
	return 0;
}

static int
handle_key(void *arg, const char *name, const char *value,
    struct ini_file_place *place, struct err *err)
{
	struct parser *p = arg;
	const struct config_kind *kind = p->kind;
	char section[128];
	size_t i;

	p->line = place->line;
	if (kind == NULL) {
		err_set(err, ERR_ARG,
		    "'%.100s' stands before the first "
		    "section",
		    name);
		return err_hint(err, "begin with [global], [repository NAME] "
				     "or [job NAME]");
	}
	snprintf(section, sizeof(section), "%s%s%s", kind->name,
	    kind->named ? " " : "", p->section_name);
	if (ini_keys_find(&i, name, section, kind->keys, kind->key_count,
		sizeof(*kind->keys), err) == -1 ||
	    ini_keys_give(
		&p->keys, i, name, kind->keys[i].list, value, place, err) == -1)
		return -1;
	return set_key(p, &kind->keys[i], value);
}

/* ---- the whole ---- */

static int
no_such_repository(struct parser *p, const struct reference *reference)
{
	const struct config *config = p->config;
	const char *names[32] = { NULL };
	char all[256];
	size_t i, n = config->repository_count;

	for (i = 0; i < n && i < 32; i++)
		names[i] = config->repositories[i]->name;
	words_join(all, sizeof(all), names, i, sizeof(names[0]));
	err_set(p->err, ERR_ARG, "there is no [repository %.100s]",
	    reference->name);
	if (n == 0)
		err_hint(p->err, "add a section [repository %.64s] with a url",
		    reference->name);
	else
		err_hint(p->err, "there are: %s", all);
	return ini_file_fail_at(p->err, p->config->path, reference->line);
}

static int
resolve_references(struct parser *p)
{
	const struct reference *reference;
	size_t i;

	for (i = 0; i < p->reference_count; i++) {
		reference = &p->references[i];
		*reference->to =
		    config_find_repository(p->config, reference->name);
		if (*reference->to == NULL)
			return no_such_repository(p, reference);
	}
	if (p->config->repository == NULL && p->config->repository_count == 1)
		p->config->repository = p->config->repositories[0];
	return 0;
}

/* As of the options of 'backup'. */
static int
check_spread(struct parser *p, const struct config_job *job)
{
	if (!job->has_spread)
		return 0;
	if (!job->group)
		err_set(p->err, ERR_ARG,
		    "[job %s]: 'spread' goes with 'group = yes'", job->name);
	else if (job->spread_ms > job->lease_seconds * 1000)
		err_set(p->err, ERR_ARG,
		    "[job %s]: 'spread' is %u ms, and the lease %u s: the "
		    "guests would thaw before",
		    job->name, job->spread_ms, job->lease_seconds);
	else
		return 0;
	return ini_file_fail_at(p->err, p->config->path, job->line);
}

static int
check_job(struct parser *p, struct config_job *job)
{
	if (job->repository == NULL)
		job->repository = p->config->repository;
	if (job->repository == NULL) {
		err_set(
		    p->err, ERR_ARG, "[job %s] has no 'repository'", job->name);
		err_hint(p->err, "name one here, or the default in [global]");
		return ini_file_fail_at(p->err, p->config->path, job->line);
	}
	if (job->has_require && job->has_prefer && job->prefer < job->require) {
		err_set(p->err, ERR_ARG,
		    "[job %s] prefers less (%s) than it "
		    "requires (%s)",
		    job->name, manifest_consistency_name(job->prefer),
		    manifest_consistency_name(job->require));
		return ini_file_fail_at(p->err, p->config->path, job->line);
	}
	return check_spread(p, job);
}

static int
parse_whole(struct parser *p, const char *text)
{
	static const struct ini_file_events events = {
		begin_section,
		handle_key,
	};
	size_t i;

	if (ini_file_parse(text, p->config->path, &events, p, p->err) == -1)
		return -1;
	if (end_section(p) == -1)
		return ini_file_fail_at(
		    p->err, p->config->path, p->section_line);
	if (resolve_references(p) == -1)
		return -1;
	for (i = 0; i < p->config->job_count; i++)
		if (check_job(p, p->config->jobs[i]) == -1)
			return -1;
	return 0;
}

int
config_parse(struct config *config, const char *text, struct err *err)
{
	struct parser p = { .config = config, .err = err };
	size_t i;
	int rc = parse_whole(&p, text);

	for (i = 0; i < p.reference_count; i++)
		free(p.references[i].name);
	free(p.references);
	return rc;
}
