/* SPDX-License-Identifier: Apache-2.0 */
/* Which process owns a row. */
#include "catalog/owner.h"

#include <string.h>

#include "common/err.h"
#include "common/procid.h"

int
owner_self(struct owner *out, struct err *err)
{
	struct procid self;

	if (procid_self(&self, err) == -1)
		return -1;
	memcpy(out->boot, self.boot_id, sizeof(out->boot));
	out->pid = self.pid;
	out->started = (int64_t)self.start_ticks;
	return 0;
}

bool
owner_alive(const struct owner *owner)
{
	struct err ignored = ERR_INIT;
	struct procid id;

	if (procid_self(&id, &ignored) == -1)
		return true;
	memcpy(id.boot_id, owner->boot, sizeof(id.boot_id));
	id.pid = owner->pid;
	id.start_ticks = (uint64_t)owner->started;
	return procid_probe(&id) != PROCID_DEAD;
}
