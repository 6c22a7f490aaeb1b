/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration file, holdstill.conf(5): repositories and jobs.  Reading
 * is strict: what is not understood is an error that names file and line.
 * The only place that includes inih.
 *
 * A struct config is read-only after config_load(); any thread may read it.
 */
#ifndef HOLDSTILL_AGENT_CONFIG_CONFIG_H
#define HOLDSTILL_AGENT_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/manifest.h"

#define CONFIG_PATH "/etc/holdstill/holdstill.conf"
#define CONFIG_LEASE_DEFAULT_SECONDS 10
#define CONFIG_LEASE_MAX_SECONDS 60
#define CONFIG_SPREAD_DEFAULT_MS 1000

struct err;

/* Words of a list, in the order of the file. */
struct config_list {
	char **word;
	size_t count;
};

struct config_repository {
	char *name;
	char *url;
	/* What opens it, absolute paths, or NULL. */
	char *passphrase_file, *key_file;
	unsigned int line; /* Where its section begins. */
};

struct config_job {
	char *name;
	unsigned int line;
	const struct config_repository *repository; /* Never NULL. */
	struct config_list domains; /* Names or fnmatch(3) globs; not empty. */
	struct config_list exclude_domains; /* The same. */
	struct config_list exclude_disks;   /* Targets: "vdb". */
	bool has_require, has_prefer;
	enum manifest_consistency require, prefer;
	bool group; /* All domains as one instant. */
	/* Of a group, from its first picture to its last; fits the lease. */
	bool has_spread;
	unsigned int spread_ms;
	unsigned int lease_seconds; /* 1 to CONFIG_LEASE_MAX_SECONDS. */
	/* Of what is called unchanged, read to see; 0: the default. */
	unsigned int audit_permille;
	bool no_audit;
	char *scratch_dir; /* An absolute path, or NULL. */
	/* Retention; all zero: the job forgets nothing. */
	unsigned int keep_last, keep_hourly, keep_daily;
	unsigned int keep_weekly, keep_monthly, keep_yearly;
	/* Of the verify after the backup; both 0: there is none. */
	unsigned int verify_percent;
	uint64_t verify_budget_ms;
	/* Bytes a second, as of the options of 'backup'; 0: no limit. */
	uint64_t limit_rate, limit_read;
};

struct config {
	char *path;      /* The file, for messages. */
	char *connect;   /* libvirt's URI, or NULL. */
	char *state_dir; /* An absolute path, or NULL. */
	/* The default: [global] repository, else the only one, else NULL. */
	const struct config_repository *repository;
	struct config_repository **repositories;
	size_t repository_count;
	struct config_job **jobs;
	size_t job_count;
};

/*
 * Reads path; NULL means CONFIG_PATH, which may be absent: the configuration
 * is then empty.  The caller owns *out.  ERR_NOT_FOUND: path is absent;
 * ERR_AUTH: not readable, or writable by everybody; ERR_ARG: its content is
 * wrong ("FILE:LINE: what", with a hint of what is allowed).
 */
int config_load(struct config **out, const char *path, struct err *err);
void config_free(struct config *config); /* NULL is allowed. */

/* ERR_NOT_FOUND names the jobs that there are.  *out belongs to config. */
int config_find_job(const struct config_job **out, const struct config *config,
    const char *name, struct err *err);

/* NULL if there is none of that name.  It belongs to config. */
const struct config_repository *config_find_repository(
    const struct config *config, const char *name);

/* Does the job back up this domain: in domains, not in exclude-domains? */
bool config_job_wants(const struct config_job *job, const char *domain);

/* Is the word a glob (so that it may match no domain without being wrong)? */
bool config_is_glob(const char *word);

#endif
