/* SPDX-License-Identifier: Apache-2.0 */
/* The SQL files of catalog/schema, embedded when the program is built. */
#ifndef HOLDSTILL_CATALOG_SCHEMA_H
#define HOLDSTILL_CATALOG_SCHEMA_H

extern const char schema_catalog_0001[];
extern const char schema_catalog_0002[];
extern const char schema_journal_0001[];

#endif
