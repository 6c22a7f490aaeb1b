# SPDX-License-Identifier: Apache-2.0
foreach(test test_restore test_restore_target)
  hs_unit_test(${test} hs_restore)
  target_sources(${test} PRIVATE restore_fixture.c)
endforeach()
hs_unit_test(test_restore_queue hs_restore)
hs_unit_test(test_restore_tool hs_restore)
hs_unit_test(test_retention hs_retention)
hs_unit_test(test_extents hs_source)
hs_unit_test(test_definition hs_domain)
hs_unit_test(test_config hs_config)
target_compile_definitions(test_config PRIVATE
  EXAMPLE_PATH="${CMAKE_SOURCE_DIR}/packaging/holdstill.conf.example")
hs_unit_test(test_quiesce hs_quiesce hs_guest_fixture hs_store)
