/* SPDX-License-Identifier: Apache-2.0 */
/* Hurt disks as lines and as JSON. */
#include "agent/cli/hurt.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/err.h"
#include "common/json/json.h"

json_t *
hurt_to_json(const struct store_hurt *hurt, bool ranges)
{
	json_t *json = json_pack(
	    "{s:s, s:I}", "disk", hurt->disk, "bytes", (json_int_t)hurt->bytes);
	json_t *array;
	size_t i;

	if (!ranges)
		return json;
	array = json_array();
	for (i = 0; i < hurt->range_count; i++)
		json_array_append_new(
		    array, json_pack("{s:I, s:I}", "offset",
			       (json_int_t)hurt->ranges[i].offset, "bytes",
			       (json_int_t)hurt->ranges[i].bytes));
	json_object_set_new(json, "ranges", array);
	json_object_set_new(json, "more_ranges", json_boolean(hurt->more));
	return json;
}

void
hurt_print_ranges(const struct store_hurt *hurt, const char *indent)
{
	hurt_print_ranges_to(stdout, hurt, indent);
}

void
hurt_print_ranges_to(
    FILE *out, const struct store_hurt *hurt, const char *indent)
{
	size_t i;

	for (i = 0; i < hurt->range_count; i++)
		fprintf(out, "%sbytes %" PRIu64 " to %" PRIu64 "\n", indent,
		    hurt->ranges[i].offset,
		    hurt->ranges[i].offset + hurt->ranges[i].bytes - 1);
	if (hurt->more)
		fprintf(out, "%sand further ranges\n", indent);
}

static void
add_mark(void *arg, const struct store_hurt *hurt)
{
	json_t *points = arg, *disks = json_object_get(points, hurt->point);

	if (disks == NULL) {
		disks = json_array();
		json_object_set_new(points, hurt->point, disks);
	}
	json_array_append_new(disks, hurt_to_json(hurt, true));
}

int
hurt_read_marks(json_t **out, struct store *s, struct err *err)
{
	json_t *points = json_object();

	if (points == NULL)
		return err_no_memory(err);
	if (store_marks(s, add_mark, points, err) == -1) {
		json_decref(points);
		return -1;
	}
	*out = points;
	return 0;
}
