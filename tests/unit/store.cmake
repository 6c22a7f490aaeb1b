# SPDX-License-Identifier: Apache-2.0
add_library(hs_store_rig STATIC ${CMAKE_CURRENT_LIST_DIR}/store_rig.c)
target_link_libraries(hs_store_rig PUBLIC hs_store PkgConfig::CMOCKA)
hs_unit_test(test_session hs_store_rig)
hs_unit_test(test_care hs_store_rig)
hs_unit_test(test_repair hs_store_rig)
hs_unit_test(test_verify hs_store_rig)
hs_unit_test(test_lock hs_store_rig)
hs_unit_test(test_localindex hs_store_rig)
hs_unit_test(test_manifest hs_store_rig)
hs_unit_test(test_claims hs_store_rig)
# Not a test: figures, by hand.
add_executable(bench_store ${CMAKE_CURRENT_LIST_DIR}/../bench/bench_store.c)
target_link_libraries(bench_store PRIVATE hs_store)
