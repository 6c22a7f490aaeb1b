# SPDX-License-Identifier: Apache-2.0
hs_unit_test(test_catalog hs_catalog)
# Its store_* functions take the place of the library's.
target_sources(test_catalog PRIVATE fake_store.c)
hs_unit_test(test_journal hs_catalog)
# Its calls take the place of the C library's in all libraries.
hs_unit_test(test_power_cut hs_catalog hs_store_rig)
target_sources(test_power_cut PRIVATE cut_recorder.c cut_disk.c cut_work.c
  cut_world.c)
set_target_properties(test_power_cut PROPERTIES ENABLE_EXPORTS ON)
