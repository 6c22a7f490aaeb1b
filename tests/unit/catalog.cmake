# SPDX-License-Identifier: Apache-2.0
hs_unit_test(test_catalog hs_catalog)
# Its store_* functions take the place of the library's.
target_sources(test_catalog PRIVATE fake_store.c)
hs_unit_test(test_journal hs_catalog)
