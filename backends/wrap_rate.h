/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend with a limit on the bytes that objects bring and take, both ways
 * together: the same ops around any other.  Objects move in small pieces, so
 * that the limit holds within each second.  Names, sizes and removals are
 * not counted.
 */
#ifndef HOLDSTILL_BACKENDS_WRAP_RATE_H
#define HOLDSTILL_BACKENDS_WRAP_RATE_H

#include <stdint.h>

#include "backends/backend.h"

/* On success *out owns inner; on failure the caller still does.
 * bytes_per_second: at least RATE_MIN (common/rate.h). */
int wrap_rate_open(struct backend **out, struct backend *inner,
    uint64_t bytes_per_second, struct err *err);

#endif
