/* SPDX-License-Identifier: Apache-2.0 */
/* The known word nearest to a misspelt one. */
#ifndef HOLDSTILL_AGENT_CLI_SUGGEST_H
#define HOLDSTILL_AGENT_CLI_SUGGEST_H

#include <stddef.h>

/* One of known, or NULL when none is near. */
const char *suggest_nearest(
    const char *word, const char *const *known, size_t count);

#endif
