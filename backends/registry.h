/* SPDX-License-Identifier: Apache-2.0 */
/* The backends of this build; only registry.c and the backends use this. */
#ifndef HOLDSTILL_BACKENDS_REGISTRY_H
#define HOLDSTILL_BACKENDS_REGISTRY_H

#include "backends/backend.h"

/* url is a path, or "file://" and a path. */
extern const struct backend_ops dir_backend_ops;
/* url is "mem:NAME"; stores live as long as the process. */
extern const struct backend_ops mem_backend_ops;

#endif
