#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Goal: whatever is killed, stopped or failing, and whenever, each point that
# was reported done restores to its bytes, and dead runs cost no space.
# HOLDSTILL_ROUNDS kills; HOLDSTILL_SEED repeats their choices.
set -eu

build=${HOLDSTILL_BUILD:?the build to be tested}
# Debian's Python.
exec /usr/bin/python3 -B "$(dirname "$0")/chaos.py" \
    --actor "$build/tests/chaos/chaos_actor" \
    --program "$build/agent/holdstill" \
    --kills "${HOLDSTILL_ROUNDS:-12}" ${HOLDSTILL_SEED:+--seed "$HOLDSTILL_SEED"}
