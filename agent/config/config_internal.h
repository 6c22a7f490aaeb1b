/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the configuration share.  Internal to agent/config/. */
#ifndef HOLDSTILL_AGENT_CONFIG_CONFIG_INTERNAL_H
#define HOLDSTILL_AGENT_CONFIG_CONFIG_INTERNAL_H

#include "agent/config/config.h"

/* A key of a kind of section. */
struct config_key {
	const char *name;
	/* Reads value into section (a struct config, _repository or _job).
	 * -1 with the text of what is wrong, without file and line.  NULL:
	 * the value is a repository's name, known when all is read. */
	int (*set)(void *section, const char *value, struct err *err);
	bool list; /* May go on in indented lines. */
	bool required;
};

/* A kind of section. */
struct config_kind {
	const char *name; /* "job" */
	bool named;       /* [job NAME] */
	const struct config_key *keys;
	size_t key_count;
};

extern const struct config_kind config_kinds[];
extern const size_t config_kind_count;
enum { CONFIG_GLOBAL, CONFIG_REPOSITORY, CONFIG_JOB };

/* Reads a whole file, a terminated text, into an empty config. */
int config_parse(struct config *config, const char *text, struct err *err);

/* NULL if there is none of that name. */
struct config_job *config_get_job(
    const struct config *config, const char *name);

#endif
