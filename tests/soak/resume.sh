#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: an interrupted first full goes on where its last pack ended.
# Runs the unit test, which reads HOLDSTILL_ROUNDS, with long counts.
exec "${HOLDSTILL_BUILD:?}/tests/unit/test_resume"
