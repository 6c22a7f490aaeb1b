# SPDX-License-Identifier: Apache-2.0
add_library(hs_guest_fixture STATIC guest_fixture.c)
target_link_libraries(hs_guest_fixture PUBLIC hs_guest PkgConfig::CMOCKA)
hs_unit_test(test_guest hs_guest_fixture hs_quiesce_client)
hs_unit_test(test_wire hs_proto)
hs_unit_test(test_mounts hs_guest)
hs_unit_test(test_conf hs_guest)
target_compile_definitions(test_conf PRIVATE
  EXAMPLE_PATH="${CMAKE_SOURCE_DIR}/packaging/guest.conf.example")
hs_unit_test(test_confine hs_guest_fixture)
add_library(hs_writer_scripts STATIC writer_scripts.c)
target_link_libraries(hs_writer_scripts PUBLIC hs_guest PkgConfig::CMOCKA)
hs_unit_test(test_spawner hs_writer_scripts)
hs_unit_test(test_check hs_guest)
