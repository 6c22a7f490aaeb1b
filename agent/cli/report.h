/* SPDX-License-Identifier: Apache-2.0 */
/* Points as people read them, shared by the commands that show them. */
#ifndef HOLDSTILL_AGENT_CLI_REPORT_H
#define HOLDSTILL_AGENT_CLI_REPORT_H

#include <stdbool.h>

struct backup_result;
struct manifest;
struct manifest_group;

/* A few lines about a point that was just made. */
void report_backup(const struct backup_result *result);

/* One line about a group that was just made. */
void report_group(const struct manifest_group *group);

/* The heading and one row of `list`. */
void report_list_heading(void);
void report_list_row(const struct manifest *m, bool damaged);

/* One point whole; is_there has an element for each member of its group. */
void report_point(const struct manifest *m, const bool *is_there);

#endif
