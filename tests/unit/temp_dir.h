/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of a test's own, as setup and teardown of it or of a group. */
#ifndef HOLDSTILL_TESTS_UNIT_TEMP_DIR_H
#define HOLDSTILL_TESTS_UNIT_TEMP_DIR_H

/* *state is the folder's path, a char *, until temp_dir_teardown. */
int temp_dir_setup(void **state);
int temp_dir_teardown(void **state);

#endif
