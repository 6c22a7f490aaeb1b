# SPDX-License-Identifier: Apache-2.0
hs_unit_test(test_restore_queue hs_restore)
hs_unit_test(test_restore_tool hs_restore)
hs_unit_test(test_retention hs_retention)
hs_unit_test(test_extents hs_source)
hs_unit_test(test_definition hs_domain)
