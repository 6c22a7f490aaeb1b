# SPDX-License-Identifier: Apache-2.0
hs_unit_test(test_retention hs_retention)
