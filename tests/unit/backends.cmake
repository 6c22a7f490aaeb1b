# SPDX-License-Identifier: Apache-2.0
add_library(hs_backend_suite STATIC
  ${CMAKE_CURRENT_LIST_DIR}/../conformance/backend_suite.c)
target_link_libraries(hs_backend_suite PUBLIC hs_backends PkgConfig::CMOCKA)
hs_unit_test(test_backend hs_backend_suite)
