/* SPDX-License-Identifier: Apache-2.0 */
/* What of a point's disks cannot be read back, told to people and scripts. */
#ifndef HOLDSTILL_AGENT_CLI_HURT_H
#define HOLDSTILL_AGENT_CLI_HURT_H

#include <stdbool.h>
#include <stdio.h>

#include "store/store.h"

struct err;
struct json_t;

/* {"disk","bytes"} and, if asked for, "ranges" and "more_ranges". */
struct json_t *hurt_to_json(const struct store_hurt *hurt, bool ranges);

/* A line for each range behind indent, and one if there are more. */
void hurt_print_ranges(const struct store_hurt *hurt, const char *indent);
void hurt_print_ranges_to(
    FILE *out, const struct store_hurt *hurt, const char *indent);

/*
 * What marks say, by point: an object of arrays of hurt_to_json() with
 * ranges.  The caller owns *out.
 */
int hurt_read_marks(struct json_t **out, struct store *s, struct err *err);

#endif
