#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a program whose standard error is a terminal: STEP PROGRAM...

What the terminal got goes to standard output, the program's own standard
output is thrown away. Once the program says STEP it is slowed down: stopped
for 250 ms after every few that it runs. Exits as the program did.
"""

import os
import pty
import select
import signal
import subprocess
import sys

RUN_S = 0.004
STOP_S = 0.25
STOPS = 6


def main():
    step, program = sys.argv[1].encode(), sys.argv[2:]
    terminal, inside = pty.openpty()
    child = subprocess.Popen(program, stdout=subprocess.DEVNULL,
                             stderr=inside)
    os.close(inside)
    got = b""
    stopped = False
    turns = 2 * STOPS
    while True:
        slow = step in got and turns > 0
        if slow:
            turns -= 1
            stopped = not stopped
            child.send_signal(signal.SIGSTOP if stopped else signal.SIGCONT)
        data = read(terminal, (STOP_S if stopped else RUN_S) if slow else 60)
        if data is None:
            break
        got += data
    sys.stdout.buffer.write(got)
    return child.wait()


def read(terminal, seconds):
    """What the terminal got, b"" if nothing in time, None at its end."""
    if not select.select([terminal], [], [], seconds)[0]:
        return b""
    try:
        return os.read(terminal, 65536) or None
    except OSError:
        return None


sys.exit(main())
