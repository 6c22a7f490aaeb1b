/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, known and given. */
#include "common/ini/ini_keys.h"

#include <string.h>

#include "common/err.h"
#include "common/ini/ini_file.h"
#include "common/words.h"

unsigned int
ini_keys_near(const char *word)
{
	return (unsigned int)strlen(word) / 3 + 1;
}

int
ini_keys_find(size_t *out, const char *name, const char *section,
    const void *table, size_t count, size_t stride, struct err *err)
{
	const char *near;
	char all[256];

	if (words_find(out, name, strlen(name), table, count, stride))
		return 0;
	err_set(err, ERR_ARG, "unknown key '%.100s' in [%s]", name, section);
	near = words_nearest(name, ini_keys_near(name), table, count, stride);
	if (near != NULL)
		return err_hint(err, "did you mean '%s'?", near);
	words_join(all, sizeof(all), table, count, stride);
	return err_hint(err, "allowed: %s", all);
}

int
ini_keys_give(struct ini_keys *keys, size_t number, const char *name,
    bool is_list, const char *value, const struct ini_file_place *place,
    struct err *err)
{
	bool more = place->indented && keys->last == number + 1;

	if (more && !is_list)
		return err_set(err, ERR_ARG,
		    "'%s' is no list and cannot go on in an indented line",
		    name);
	if (!more && keys->lines[number] != 0)
		return err_set(err, ERR_ARG,
		    "'%s' is given twice, first in line %u", name,
		    keys->lines[number]);
	if (value[0] == '\0')
		return err_set(err, ERR_ARG, "'%s' has no value", name);
	if (!more)
		keys->lines[number] = place->line;
	keys->last = number + 1;
	return 0;
}
