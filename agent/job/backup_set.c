/* SPDX-License-Identifier: Apache-2.0 */
/* A phase for each domain of a backup, and which of them failed. */
#include <stdio.h>
#include <string.h>

#include "agent/job/backup_internal.h"

static bool
names_a_member(const struct backup_set *set, const char *text)
{
	char quoted[256];
	size_t i;

	for (i = 0; i < set->count; i++) {
		snprintf(quoted, sizeof(quoted), "'%s'", set->members[i].name);
		if (strstr(text, quoted) != NULL)
			return true;
	}
	return false;
}

int
backup_blame(
    const struct backup_set *set, const struct backup *b, struct err *err)
{
	if (set->group[0] == '\0' || err->class == ERR_CANCELLED ||
	    names_a_member(set, err->text))
		return -1;
	return err_prefix(err, "domain '%s'", b->name);
}

int
backup_each(struct backup_set *set, backup_phase *phase, struct err *err)
{
	size_t i;

	for (i = 0; i < set->count; i++)
		if (phase(&set->members[i], err) == -1)
			return backup_blame(set, &set->members[i], err);
	return 0;
}
