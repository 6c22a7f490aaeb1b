/* SPDX-License-Identifier: Apache-2.0 */
/* The point is durable: its checkpoint is the one to build on now. */
#include "agent/job/promote.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "agent/domain/domain.h"
#include "common/err.h"
#include "common/log.h"

/* Checkpoints of ours and of this repository, but not the new one. */
struct old_checkpoints {
	const char *keep;
	bool has_keep;
	size_t prefix_length;
	char **names;
	size_t count;
};

static int
collect(void *arg, const char *name)
{
	struct old_checkpoints *old = arg;
	char **names;

	if (strcmp(name, old->keep) == 0) {
		old->has_keep = true;
		return 0;
	}
	if (strncmp(name, old->keep, old->prefix_length) != 0)
		return 0;
	names = realloc(old->names, (old->count + 1) * sizeof(*names));
	if (names == NULL)
		return 0; /* The next backup deletes it. */
	old->names = names;
	if ((names[old->count] = strdup(name)) != NULL)
		old->count++;
	return 0;
}

/* Its metadata may be gone (somebody deleted it) while QEMU goes on tracking
 * for it; the sweep finds only what has reached the image. */
static void
add_before(struct old_checkpoints *old, const char *before)
{
	size_t i;

	for (i = 0; i < old->count; i++)
		if (strcmp(old->names[i], before) == 0)
			return;
	collect(old, before);
}

static void
delete_old(struct domain *domain, const char *name)
{
	struct err err = ERR_INIT;

	if (domain_checkpoint_delete(domain, name, &err) == -1)
		log_line(LOG_WARNING, "old checkpoint '%s' stays: %s", name,
		    err.text);
}

void
job_promote(struct domain *domain, const char *checkpoint, const char *before)
{
	struct old_checkpoints old = {
		.keep = checkpoint,
		/* "holdstill-", the repository's digits and the dash. */
		.prefix_length = strlen(DOMAIN_CHECKPOINT_PREFIX) + 9,
	};
	struct err err = ERR_INIT;
	size_t i;

	if (domain_checkpoints(domain, collect, &old, &err) == -1)
		log_line(LOG_WARNING, "old checkpoints stay: %s", err.text);
	if (before != NULL)
		add_before(&old, before);
	for (i = 0; i < old.count; i++) {
		if (old.has_keep)
			delete_old(domain, old.names[i]);
		free(old.names[i]);
	}
	free(old.names);
	if (old.has_keep)
		domain_checkpoint_sweep(domain);
}
