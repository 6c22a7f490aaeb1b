/* SPDX-License-Identifier: Apache-2.0 */
/* The point is durable: its checkpoint is the one to build on now. */
#include <stdlib.h>
#include <string.h>

#include "agent/job/backup_internal.h"
#include "agent/job/context.h"
#include "common/err.h"
#include "common/log.h"

/* Checkpoints of ours and of this repository, but not the new one. */
struct old_checkpoints {
	const char *keep;
	size_t prefix_length;
	char **names;
	size_t count;
};

static int
collect(void *arg, const char *name)
{
	struct old_checkpoints *old = arg;
	char **names;

	if (strcmp(name, old->keep) == 0 ||
	    strncmp(name, old->keep, old->prefix_length) != 0)
		return 0;
	names = realloc(old->names, (old->count + 1) * sizeof(*names));
	if (names == NULL)
		return 0; /* The next backup deletes it. */
	old->names = names;
	if ((names[old->count] = strdup(name)) != NULL)
		old->count++;
	return 0;
}

void
backup_promote(struct backup *b)
{
	struct old_checkpoints old = {
		.keep = b->checkpoint,
		/* "holdstill-", the repository's digits and the dash. */
		.prefix_length = strlen(DOMAIN_CHECKPOINT_PREFIX) + 9,
	};
	struct err err = ERR_INIT;
	size_t i;

	backup_strike(b, &b->checkpoint_effect);
	if (b->checkpoint[0] == '\0')
		return;
	if (domain_checkpoints(b->domain, collect, &old, &err) == -1)
		log_line(LOG_WARNING, "old checkpoints stay: %s", err.text);
	for (i = 0; i < old.count; i++) {
		if (domain_checkpoint_delete(b->domain, old.names[i], &err) ==
		    -1)
			log_line(LOG_WARNING,
			    "old checkpoint '%s' stays: %s", old.names[i],
			    err.text);
		free(old.names[i]);
	}
	free(old.names);
	domain_checkpoint_sweep(b->domain);
}
