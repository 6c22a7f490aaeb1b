/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest says, in the manifest's form: cleaned and bounded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/quiesce/client.h"
#include "agent/quiesce/quiesce_internal.h"
#include "common/err.h"
#include "common/proto/message.h"

static char *
clean_copy(const char *text)
{
	char *copy = strdup(text);

	if (copy != NULL)
		client_clean(copy);
	return copy;
}

/* What has to have a name has one. */
static char *
clean_name(const char *text)
{
	return clean_copy(text[0] != '\0' ? text : "?");
}

static int
filesystems_from(
    struct manifest_freeze *f, const struct message *m, struct err *err)
{
	const struct message_filesystem *from;
	struct manifest_filesystem *to;
	size_t i;

	f->filesystems =
	    calloc(m->filesystem_count + 1, sizeof(*f->filesystems));
	if (f->filesystems == NULL)
		return err_no_memory(err);
	for (i = 0; i < m->filesystem_count; i++) {
		from = &m->filesystems[i];
		to = &f->filesystems[f->filesystem_count++];
		to->mount_point = clean_name(from->mount_point);
		to->type = clean_name(from->type);
		to->disk = clean_copy(from->disk);
		to->state = strdup(message_fs_state_name(from->state));
		to->reason = clean_copy(from->reason);
		if (to->mount_point == NULL || to->type == NULL ||
		    to->disk == NULL || to->state == NULL || to->reason == NULL)
			return err_no_memory(err);
	}
	return 0;
}

static int
metas_from(struct manifest_writer *w, const struct message_writer *from,
    struct err *err)
{
	struct manifest_meta *to;
	size_t i;

	w->meta = calloc(from->meta_count + 1, sizeof(*w->meta));
	if (w->meta == NULL)
		return err_no_memory(err);
	for (i = 0; i < from->meta_count; i++) {
		if (from->metas[i].key[0] == '\0')
			continue;
		to = &w->meta[w->meta_count++];
		to->key = clean_copy(from->metas[i].key);
		to->value = clean_copy(from->metas[i].value);
		if (to->key == NULL || to->value == NULL)
			return err_no_memory(err);
	}
	return 0;
}

static int
writers_from(
    struct manifest_freeze *f, const struct message *m, struct err *err)
{
	const struct message_writer *from;
	struct manifest_writer *to;
	size_t i;

	f->writers = calloc(m->writer_count + 1, sizeof(*f->writers));
	if (f->writers == NULL)
		return err_no_memory(err);
	for (i = 0; i < m->writer_count; i++) {
		from = &m->writers[i];
		to = &f->writers[f->writer_count++];
		to->name = clean_name(from->name);
		to->state = strdup(message_writer_state_name(from->state));
		/* The last failure, which may be of another session. */
		to->reason = clean_copy(
		    from->state == MESSAGE_WRITER_FAILED ? from->reason : "");
		to->required = from->required != 0;
		if (to->name == NULL || to->state == NULL || to->reason == NULL)
			return err_no_memory(err);
		if (metas_from(to, from, err) == -1)
			return -1;
	}
	return 0;
}

int
quiesce_convert(
    struct manifest_freeze *out, const struct message *m, struct err *err)
{
	memset(out, 0, sizeof(*out));
	if (filesystems_from(out, m, err) == 0 &&
	    writers_from(out, m, err) == 0)
		return 0;
	manifest_freeze_fini(out);
	memset(out, 0, sizeof(*out));
	return -1;
}
