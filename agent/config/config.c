/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration as a whole: loading, freeing, asking. */
#include "agent/config/config_internal.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/ini/ini_file.h"
#include "common/words.h"

static int
load_file(struct config *config, struct err *err)
{
	char *text = NULL;
	int rc;

	if (ini_file_load(&text, config->path, err) == -1)
		return -1;
	rc = config_parse(config, text, err);
	free(text);
	return rc;
}

int
config_load(struct config **out, const char *path, struct err *err)
{
	struct config *config = calloc(1, sizeof(*config));
	int rc = -1;

	if (config == NULL)
		return err_no_memory(err);
	config->path = strdup(path == NULL ? CONFIG_PATH : path);
	if (config->path == NULL) {
		err_no_memory(err);
		goto out;
	}
	if (load_file(config, err) == -1) {
		if (path != NULL || err->sys_errno != ENOENT)
			goto out;
		err_clear(err);
	}
	*out = config;
	config = NULL;
	rc = 0;
out:
	config_free(config);
	return rc;
}

static void
list_fini(struct config_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		free(list->word[i]);
	free(list->word);
}

void
config_free(struct config *config)
{
	size_t i;

	if (config == NULL)
		return;
	for (i = 0; i < config->repository_count; i++) {
		free(config->repositories[i]->name);
		free(config->repositories[i]->url);
		free(config->repositories[i]->passphrase_file);
		free(config->repositories[i]->key_file);
		free(config->repositories[i]);
	}
	for (i = 0; i < config->job_count; i++) {
		list_fini(&config->jobs[i]->domains);
		list_fini(&config->jobs[i]->exclude_domains);
		list_fini(&config->jobs[i]->exclude_disks);
		free(config->jobs[i]->scratch_dir);
		free(config->jobs[i]->name);
		free(config->jobs[i]);
	}
	free(config->repositories);
	free(config->jobs);
	free(config->connect);
	free(config->state_dir);
	free(config->path);
	free(config);
}

/* ---- questions ---- */

struct config_job *
config_get_job(const struct config *config, const char *name)
{
	size_t i;

	for (i = 0; i < config->job_count; i++)
		if (strcmp(config->jobs[i]->name, name) == 0)
			return config->jobs[i];
	return NULL;
}

int
config_find_job(const struct config_job **out, const struct config *config,
    const char *name, struct err *err)
{
	const char *names[32] = { NULL };
	char all[256];
	size_t i;

	if ((*out = config_get_job(config, name)) != NULL)
		return 0;
	for (i = 0; i < config->job_count && i < 32; i++)
		names[i] = config->jobs[i]->name;
	words_join(all, sizeof(all), names, i, sizeof(names[0]));
	err_set(
	    err, ERR_NOT_FOUND, "no job '%.100s' in '%s'", name, config->path);
	if (i == 0)
		return err_hint(err, "add a section [job %.64s]", name);
	return err_hint(err, "there are: %s", all);
}

const struct config_repository *
config_find_repository(const struct config *config, const char *name)
{
	size_t i;

	for (i = 0; i < config->repository_count; i++)
		if (strcmp(config->repositories[i]->name, name) == 0)
			return config->repositories[i];
	return NULL;
}

static bool
list_matches(const struct config_list *list, const char *domain)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (fnmatch(list->word[i], domain, 0) == 0)
			return true;
	return false;
}

bool
config_job_wants(const struct config_job *job, const char *domain)
{
	return list_matches(&job->domains, domain) &&
	       !list_matches(&job->exclude_domains, domain);
}

bool
config_is_glob(const char *word)
{
	return strpbrk(word, "*?[") != NULL;
}
