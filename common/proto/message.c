/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to bodies and back, by tables of their fields. */
#include "common/proto/message.h"

#include <string.h>

#include "common/proto/tlv.h"

enum kind { U64, TEXT };

/* One field: where it lies in its struct.  size is that of a text. */
struct field {
	uint16_t tag;
	enum kind kind;
	size_t offset;
	size_t size;
};

#define FIELD_U64(tag, type, name) \
	{ \
		tag, U64, offsetof(struct type, name), 0 \
	}
#define FIELD_TEXT(tag, type, name) \
	{ \
		tag, TEXT, offsetof(struct type, name), \
		    sizeof(((struct type *)0)->name) \
	}
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* Tags are those of docs/protocol.md and are never used again for others. */
#define TAG_DISK 32
#define TAG_FILESYSTEM 33
#define TAG_WRITER 34
#define TAG_META 16 /* Inside a writer. */

static const struct field fields[] = {
	FIELD_U64(1, message, version_min),
	FIELD_U64(2, message, version_max),
	FIELD_TEXT(3, message, instance),
	FIELD_TEXT(4, message, boot_id),
	FIELD_TEXT(5, message, program),
	FIELD_TEXT(6, message, state),
	FIELD_TEXT(7, message, session),
	FIELD_U64(8, message, lease_ms),
	FIELD_U64(9, message, lease_left_ms),
	FIELD_U64(10, message, level),
	FIELD_U64(11, message, sync_ms),
	FIELD_U64(12, message, freeze_begin_ns),
	FIELD_U64(13, message, freeze_end_ns),
	FIELD_U64(14, message, thaw_ns),
	FIELD_U64(15, message, held_ms),
	FIELD_U64(16, message, unbroken),
	FIELD_U64(17, message, lease_expired),
	FIELD_TEXT(18, message, point),
	FIELD_U64(19, message, repeated),
	FIELD_TEXT(20, message, note),
	FIELD_TEXT(21, message, error_class),
	FIELD_TEXT(22, message, error_text),
	FIELD_U64(23, message, prepare_ms),
	FIELD_U64(24, message, freeze_ms),
	FIELD_U64(25, message, forecast_ms),
};

static const struct field disk_fields[] = {
	FIELD_TEXT(1, message_disk, target),
	FIELD_TEXT(2, message_disk, serial),
	FIELD_TEXT(3, message_disk, wwn),
	FIELD_TEXT(4, message_disk, pci),
};

static const struct field filesystem_fields[] = {
	FIELD_TEXT(1, message_filesystem, mount_point),
	FIELD_TEXT(2, message_filesystem, type),
	FIELD_TEXT(3, message_filesystem, disk),
	FIELD_U64(4, message_filesystem, state),
	FIELD_TEXT(5, message_filesystem, reason),
	FIELD_U64(6, message_filesystem, thawed),
};

static const struct field writer_fields[] = {
	FIELD_TEXT(1, message_writer, name),
	FIELD_U64(2, message_writer, state),
	FIELD_U64(3, message_writer, required),
	FIELD_TEXT(4, message_writer, reason),
	FIELD_U64(5, message_writer, age_ms),
	FIELD_U64(6, message_writer, failure_age_ms),
	FIELD_U64(7, message_writer, prepare_ms),
	FIELD_U64(8, message_writer, freeze_ms),
	FIELD_U64(9, message_writer, thaw_ms),
};

static const struct field meta_fields[] = {
	FIELD_TEXT(1, message_meta, key),
	FIELD_TEXT(2, message_meta, value),
};

/* The lists are most of a message, and mostly unused: they are left. */
void
message_clear(struct message *m)
{
	memset(m, 0, offsetof(struct message, disks));
	m->disk_count = 0;
	m->filesystem_count = 0;
	m->writer_count = 0;
}

struct message_disk *
message_add_disk(struct message *m)
{
	if (m->disk_count == MESSAGE_DISKS_MAX)
		return NULL;
	return memset(
	    &m->disks[m->disk_count++], 0, sizeof(struct message_disk));
}

struct message_filesystem *
message_add_filesystem(struct message *m)
{
	if (m->filesystem_count == MESSAGE_FILESYSTEMS_MAX)
		return NULL;
	return memset(&m->filesystems[m->filesystem_count++], 0,
	    sizeof(struct message_filesystem));
}

/* Its metas are a list of their own. */
struct message_writer *
message_add_writer(struct message *m)
{
	struct message_writer *w;

	if (m->writer_count == MESSAGE_WRITERS_MAX)
		return NULL;
	w = &m->writers[m->writer_count++];
	memset(w, 0, offsetof(struct message_writer, metas));
	w->meta_count = 0;
	return w;
}

struct message_meta *
message_add_meta(struct message_writer *w)
{
	if (w->meta_count == MESSAGE_META_MAX)
		return NULL;
	return memset(
	    &w->metas[w->meta_count++], 0, sizeof(struct message_meta));
}

static void
encode_fields(struct tlv_writer *w, const struct field *table, size_t count,
    const void *from)
{
	const char *place;
	size_t i;
	uint64_t value;

	for (i = 0; i < count; i++) {
		place = (const char *)from + table[i].offset;
		if (table[i].kind == TEXT) {
			if (*place != '\0')
				tlv_put_text(w, table[i].tag, place);
			continue;
		}
		memcpy(&value, place, sizeof(value));
		if (value != 0)
			tlv_put_u64(w, table[i].tag, value);
	}
}

static void
encode_group(struct tlv_writer *w, uint16_t tag, const struct field *table,
    size_t count, const void *from)
{
	size_t begin = tlv_group_begin(w, tag);

	encode_fields(w, table, count, from);
	tlv_group_end(w, begin);
}

static void
encode_writer(struct tlv_writer *w, const struct message_writer *from)
{
	size_t begin = tlv_group_begin(w, TAG_WRITER), i;

	encode_fields(w, writer_fields, COUNT(writer_fields), from);
	for (i = 0; i < from->meta_count; i++)
		encode_group(w, TAG_META, meta_fields, COUNT(meta_fields),
		    &from->metas[i]);
	tlv_group_end(w, begin);
}

int
message_encode(uint8_t *buf, size_t size, size_t *out_used,
    const struct message *m, struct err *err)
{
	struct tlv_writer w;
	size_t i;

	tlv_writer_init(&w, buf, size);
	encode_fields(&w, fields, COUNT(fields), m);
	for (i = 0; i < m->disk_count; i++)
		encode_group(&w, TAG_DISK, disk_fields, COUNT(disk_fields),
		    &m->disks[i]);
	for (i = 0; i < m->filesystem_count; i++)
		encode_group(&w, TAG_FILESYSTEM, filesystem_fields,
		    COUNT(filesystem_fields), &m->filesystems[i]);
	for (i = 0; i < m->writer_count; i++)
		encode_writer(&w, &m->writers[i]);
	if (w.overflow)
		return err_set(err, ERR_ARG,
		    "the message does not fit in a frame of %zu bytes", size);
	*out_used = w.used;
	return 0;
}

static int
decode_field(
    void *to, const struct field *table, size_t count, const struct tlv *tlv)
{
	char *place;
	size_t i;
	uint64_t value;

	for (i = 0; i < count && table[i].tag != tlv->tag; i++)
		;
	if (i == count)
		return 0;
	place = (char *)to + table[i].offset;
	if (table[i].kind == TEXT)
		return tlv_get_text(place, table[i].size, tlv);
	if (tlv_get_u64(&value, tlv) == -1)
		return -1;
	memcpy(place, &value, sizeof(value));
	return 0;
}

static int
decode_group(
    void *to, const struct field *table, size_t count, const struct tlv *group)
{
	struct tlv_reader r;
	struct tlv tlv;
	int rc;

	tlv_reader_init(&r, group->value, group->size);
	while ((rc = tlv_next(&r, &tlv)) == 1)
		if (decode_field(to, table, count, &tlv) == -1)
			return -1;
	return rc;
}

static int
decode_disk(struct message *m, const struct tlv *tlv)
{
	struct message_disk *disk = message_add_disk(m);

	if (disk == NULL)
		return -1;
	return decode_group(disk, disk_fields, COUNT(disk_fields), tlv);
}

static int
decode_filesystem(struct message *m, const struct tlv *tlv)
{
	struct message_filesystem *fs = message_add_filesystem(m);

	if (fs == NULL || decode_group(fs, filesystem_fields,
			      COUNT(filesystem_fields), tlv) == -1)
		return -1;
	return fs->state < MESSAGE_FS_STATES ? 0 : -1;
}

static int
decode_meta(struct message_writer *w, const struct tlv *tlv)
{
	struct message_meta *meta = message_add_meta(w);

	if (meta == NULL)
		return -1;
	return decode_group(meta, meta_fields, COUNT(meta_fields), tlv);
}

static int
decode_writer(struct message *m, const struct tlv *group)
{
	struct message_writer *w = message_add_writer(m);
	struct tlv_reader r;
	struct tlv tlv;
	int rc, next;

	if (w == NULL)
		return -1;
	tlv_reader_init(&r, group->value, group->size);
	while ((next = tlv_next(&r, &tlv)) == 1) {
		if (tlv.tag == TAG_META)
			rc = decode_meta(w, &tlv);
		else
			rc = decode_field(
			    w, writer_fields, COUNT(writer_fields), &tlv);
		if (rc == -1)
			return -1;
	}
	return next == 0 && w->state < MESSAGE_WRITER_STATES ? 0 : -1;
}

int
message_decode(
    struct message *m, const uint8_t *body, size_t size, struct err *err)
{
	struct tlv_reader r;
	struct tlv tlv;
	int rc, next;

	message_clear(m);
	tlv_reader_init(&r, body, size);
	while ((next = tlv_next(&r, &tlv)) == 1) {
		if (tlv.tag == TAG_DISK)
			rc = decode_disk(m, &tlv);
		else if (tlv.tag == TAG_FILESYSTEM)
			rc = decode_filesystem(m, &tlv);
		else if (tlv.tag == TAG_WRITER)
			rc = decode_writer(m, &tlv);
		else
			rc = decode_field(m, fields, COUNT(fields), &tlv);
		if (rc == -1)
			return err_set(err, ERR_CORRUPT,
			    "field %u of the message is malformed", tlv.tag);
	}
	if (next == -1)
		return err_set(err, ERR_CORRUPT, "the message is cut off");
	return 0;
}

enum err_class
message_error_class(const struct message *m)
{
	/* The rest is ours to find: a guest may not say that somebody asked
	 * us to stop. */
	static const enum err_class believed[] = { ERR_ARG, ERR_BUSY,
		ERR_NOT_FOUND, ERR_TIMEOUT, ERR_UNSUPPORTED };
	size_t i;

	for (i = 0; i < COUNT(believed); i++)
		if (strcmp(m->error_class, err_class_name(believed[i])) == 0)
			return believed[i];
	return ERR_IO;
}

const char *
message_fs_state_name(uint64_t state)
{
	static const char *const names[MESSAGE_FS_STATES] = { "planned",
		"skipped", "frozen", "failed" };

	return state < MESSAGE_FS_STATES ? names[state] : "unknown";
}

const char *
message_writer_state_name(uint64_t state)
{
	static const char *const names[MESSAGE_WRITER_STATES] = { "stable",
		"preparing", "prepared", "freezing", "frozen", "thawed",
		"committed", "failed" };

	return state < MESSAGE_WRITER_STATES ? names[state] : "unknown";
}

bool
message_writer_heard(const struct message *m, const char *name)
{
	size_t i;

	if (strncmp(name, MESSAGE_HOOK_PREFIX, strlen(MESSAGE_HOOK_PREFIX)) ==
	    0)
		return true;
	for (i = 0; i < m->writer_count; i++)
		if (strcmp(m->writers[i].name, name) == 0)
			return m->writers[i].state == MESSAGE_WRITER_COMMITTED;
	return false;
}

const char *
message_type_name(uint8_t type)
{
	switch (type) {
	case MESSAGE_HELLO:
		return "hello";
	case MESSAGE_PING:
		return "ping";
	case MESSAGE_STATUS:
		return "status";
	case MESSAGE_PREPARE:
		return "prepare";
	case MESSAGE_FREEZE:
		return "freeze";
	case MESSAGE_THAW:
		return "thaw";
	case MESSAGE_COMMITTED:
		return "committed";
	case MESSAGE_ABORT:
		return "abort";
	case MESSAGE_ERROR:
		return "error";
	default:
		return "unknown";
	}
}
