# SPDX-License-Identifier: Apache-2.0
foreach(test test_restore test_restore_target)
  hs_unit_test(${test} hs_restore)
  target_sources(${test} PRIVATE restore_fixture.c)
endforeach()
hs_unit_test(test_restore_store hs_restore hs_store_rig)
hs_sealed_test(test_restore_store aes-256-gcm)
hs_unit_test(test_restore_queue hs_restore)
hs_unit_test(test_restore_tool hs_restore)
hs_unit_test(test_retention hs_retention)
hs_unit_test(test_extents hs_source)
hs_unit_test(test_definition hs_domain)
hs_unit_test(test_config hs_config)
target_sources(test_config PRIVATE ini_fixture.c)
target_compile_definitions(test_config PRIVATE
  EXAMPLE_PATH="${CMAKE_SOURCE_DIR}/packaging/holdstill.conf.example")
hs_unit_test(test_quiesce hs_quiesce hs_guest_fixture hs_store)
target_sources(test_quiesce PRIVATE fake_domain.c)
foreach(test test_quiesce_writers test_quiesce_times test_quiesce_hostile)
  hs_unit_test(${test} hs_quiesce hs_store)
  target_sources(${test} PRIVATE fake_domain.c fake_guest.c quiesce_rig.c)
endforeach()
add_library(hs_nbd_fixture STATIC nbd_fixture.c)
target_link_libraries(hs_nbd_fixture PUBLIC hs_common PkgConfig::CMOCKA)
hs_unit_test(test_nbd hs_nbd hs_nbd_fixture)
hs_unit_test(test_source hs_source hs_nbd_fixture)
hs_unit_test(test_cli hs_cli)
target_sources(test_cli PRIVATE temp_dir.c)
target_link_options(test_cli PRIVATE -Wl,--wrap=job_run)
hs_unit_test(test_unlock hs_cli)
hs_unit_test(test_cmd_key hs_cli)
target_sources(test_cmd_key PRIVATE cli_rig.c)
target_link_options(test_cmd_key PRIVATE -Wl,--wrap=slot_find)
hs_unit_test(test_cmd_words hs_cli hs_store_rig)
target_sources(test_cmd_words PRIVATE cli_rig.c)
target_link_options(test_cmd_words PRIVATE -Wl,--wrap=store_point_forget)
hs_unit_test(test_report hs_cli)
hs_unit_test(test_job_lock hs_job)
target_sources(test_job_lock PRIVATE temp_dir.c)
# Compiled in: the test answers for libvirt, the catalog and the store.
hs_unit_test(test_backup_plan hs_store)
target_sources(test_backup_plan PRIVATE
  ${CMAKE_SOURCE_DIR}/agent/job/backup_plan.c)
hs_unit_test(test_backup_stream hs_store)
target_sources(test_backup_stream PRIVATE fake_job.c
  ${CMAKE_SOURCE_DIR}/agent/job/backup_audit.c
  ${CMAKE_SOURCE_DIR}/agent/job/backup_set.c
  ${CMAKE_SOURCE_DIR}/agent/job/backup_stream.c)
# The hold alone, between a fake guest and a fake QEMU.
hs_unit_test(test_group hs_store)
target_sources(test_group PRIVATE fake_job.c
  ${CMAKE_SOURCE_DIR}/agent/job/backup_picture.c
  ${CMAKE_SOURCE_DIR}/agent/job/backup_set.c
  ${CMAKE_SOURCE_DIR}/agent/job/group.c)
# What a dead run left: a real journal, and fakes of all that is undone.
hs_unit_test(test_recover hs_catalog hs_proto)
target_sources(test_recover PRIVATE fake_job.c temp_dir.c
  ${CMAKE_SOURCE_DIR}/agent/job/owed.c
  ${CMAKE_SOURCE_DIR}/agent/job/recover.c
  ${CMAKE_SOURCE_DIR}/agent/quiesce/quiesce_held.c)
target_link_options(test_recover PRIVATE -Wl,--wrap=clock_monotonic_ms)
# A point back, between a fake store and a fake libvirt.
hs_unit_test(test_restore_point hs_store)
target_sources(test_restore_point PRIVATE fake_job.c temp_dir.c
  ${CMAKE_SOURCE_DIR}/agent/job/lost_ranges.c
  ${CMAKE_SOURCE_DIR}/agent/job/restore_point.c)
# A job's domains, with backups that only have an outcome.
hs_unit_test(test_run hs_config hs_retention)
target_sources(test_run PRIVATE fake_job.c
  ${CMAKE_SOURCE_DIR}/agent/job/run.c)
hs_unit_test(test_find_point hs_catalog)
target_sources(test_find_point PRIVATE fake_store.c temp_dir.c
  ${CMAKE_SOURCE_DIR}/agent/job/find_point.c)
hs_unit_test(test_verify_memory hs_catalog)
target_sources(test_verify_memory PRIVATE temp_dir.c
  ${CMAKE_SOURCE_DIR}/agent/job/verify_memory.c)
hs_unit_test(test_lost_ranges hs_common)
target_sources(test_lost_ranges PRIVATE
  ${CMAKE_SOURCE_DIR}/agent/job/lost_ranges.c)
