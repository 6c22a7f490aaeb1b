#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command and says what it took, all of its descendants included.

    measure.py OUT [--pid PID] -- COMMAND...

Appends to OUT one line of JSON: wall seconds; cpu, user and system seconds of
the whole tree, also of those that became daemons; other_cpu, those of the
process PID meanwhile; peak_bytes, the largest sum of resident sizes of the
tree seen at one time, or of one process if that is more. The exit status is
the command's.
"""
import ctypes
import json
import os
import resource
import select
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
SAMPLE_SECONDS = 0.05
PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")


def cpu_of(pid):
    """User and system seconds of a live process, 0 of none."""
    if pid is None:
        return 0.0
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def tree_of(pid):
    """The processes below pid."""
    found, todo = [], [pid]
    while todo:
        at = todo.pop()
        try:
            for thread in os.listdir(f"/proc/{at}/task"):
                path = f"/proc/{at}/task/{thread}/children"
                with open(path, encoding="ascii") as f:
                    below = [int(word) for word in f.read().split()]
                found += below
                todo += below
        except OSError:
            pass
    return found


def resident(pids):
    """Sum of their resident sizes, in bytes."""
    pages = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/statm", encoding="ascii") as f:
                pages += int(f.read().split()[1])
        except OSError:
            pass
    return pages * PAGE


def reap(child):
    """Waits for what has ended; the child's status, or None."""
    status = None
    while True:
        try:
            pid, code = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == child:
            status = code


def run(command):
    """Wall seconds, peak bytes, exit status."""
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            os.execvp(command[0], command)
        except OSError as error:
            print(f"{command[0]}: {error.strerror}", file=sys.stderr)
            os._exit(127)
    peak, status = 0, None
    pidfd = os.pidfd_open(child)
    while status is None:
        peak = max(peak, resident(tree_of(os.getpid())))
        select.select([pidfd], [], [], SAMPLE_SECONDS)
        status = reap(child)
    wall = time.monotonic() - start
    os.close(pidfd)
    # What it left behind is given a moment to end, and then counted.
    until = time.monotonic() + 5
    while tree_of(os.getpid()) and time.monotonic() < until:
        reap(-1)
        time.sleep(SAMPLE_SECONDS)
    reap(-1)
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return wall, max(peak, largest), os.waitstatus_to_exitcode(status)


def main():
    words = sys.argv[1:]
    split = words.index("--")
    out, other = words[0], None
    if words[1:2] == ["--pid"]:
        other = int(words[2])
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = cpu_of(other)
    wall, peak, status = run(words[split + 1:])
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(out, "a", encoding="ascii") as f:
        json.dump({
            "wall": wall,
            "cpu": used.ru_utime + used.ru_stime,
            "user": used.ru_utime,
            "other_cpu": cpu_of(other) - before,
            "peak_bytes": peak,
        }, f)
        f.write("\n")
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
