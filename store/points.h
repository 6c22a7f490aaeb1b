/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests as objects. */
#ifndef HOLDSTILL_STORE_POINTS_H
#define HOLDSTILL_STORE_POINTS_H

#include "store/store_internal.h"

/* Gives m an id if it has none and puts it: the point exists then. */
int points_put(struct store *s, struct manifest *m, struct err *err);

#endif
