# SPDX-License-Identifier: Apache-2.0
hs_unit_test(test_clock hs_common)
hs_unit_test(test_err hs_common)
hs_unit_test(test_rate hs_common)
hs_unit_test(test_io hs_common)
target_sources(test_io PRIVATE temp_dir.c)
