/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of a test's own. */
#include "tests/unit/temp_dir.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/io.h"

int
temp_dir_setup(void **state)
{
	char template[] = "/tmp/holdstill-test.XXXXXX";

	if (mkdtemp(template) == NULL)
		return -1;
	*state = strdup(template);
	return *state == NULL ? -1 : 0;
}

int
temp_dir_teardown(void **state)
{
	struct err err = ERR_INIT;
	int rc = io_remove_tree(*state, &err);

	free(*state);
	return rc;
}
