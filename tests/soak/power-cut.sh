#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: what was promised before the power fails holds after it.
# Runs the unit test, which reads HOLDSTILL_ROUNDS, with long counts.
exec "${HOLDSTILL_BUILD:?}/tests/unit/test_power_cut"
