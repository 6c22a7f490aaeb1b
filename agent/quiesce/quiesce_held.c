/* SPDX-License-Identifier: Apache-2.0 */
/* Which writers a point may rely on, by its manifest alone. */
#include <string.h>

#include "agent/quiesce/quiesce.h"
#include "common/proto/message.h"
#include "store/manifest.h"

bool
quiesce_writer_held(
    const struct manifest_freeze *freeze, const struct manifest_writer *w)
{
	return freeze->proved && freeze->source == MANIFEST_QUIESCE_HOLDSTILL &&
	       strcmp(w->state,
		   message_writer_state_name(MESSAGE_WRITER_THAWED)) == 0;
}

bool
quiesce_any_held(const struct manifest_freeze *freeze)
{
	size_t i;

	for (i = 0; i < freeze->writer_count; i++)
		if (quiesce_writer_held(freeze, &freeze->writers[i]))
			return true;
	return false;
}
