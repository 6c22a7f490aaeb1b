/* SPDX-License-Identifier: Apache-2.0 */
/* Slots as JSON; nobody but the slots' own files includes this. */
#ifndef HOLDSTILL_STORE_SEAL_SLOT_INTERNAL_H
#define HOLDSTILL_STORE_SEAL_SLOT_INTERNAL_H

#include "common/json/json.h"
#include "store/seal/slot.h"

/* UTF-8 of at most SLOT_LABEL_MAX bytes, without control characters? */
bool slot_label_valid(const char *label);

/* NULL without memory. */
json_t *slot_to_json(const struct slot *slot);
/* All but the id.  Bounds of the cost are slot_unwrap()'s matter, so that a
 * slot with others can be listed and removed. */
int slot_from_json(struct slot *out, const json_t *json, struct err *err);

#endif
