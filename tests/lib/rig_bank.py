#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares a bank's transfers in a restored point with what its clients saw.

    rig_bank.py ACKS IDS BEGIN_NS END_NS

ACKS has "ID BEGIN END" for each transfer whose commit returned (bank.py), IDS
those of the point; the freeze began at BEGIN_NS and was complete at END_NS of
the same clock. Those that had returned by BEGIN_NS must be there, those begun
at END_NS or later must not. Prints how many there were of both.
"""

import sys


def main():
    acks, ids, frozen_from, frozen_by = sys.argv[1:5]
    with open(ids, encoding="ascii") as f:
        got = {int(line) for line in f}
    before, after, known = set(), set(), set()
    with open(acks, encoding="ascii") as f:
        for line in f:
            ident, begin, end = map(int, line.split())
            known.add(ident)
            if end < int(frozen_from):
                before.add(ident)
            if begin >= int(frozen_by):
                after.add(ident)
    if before - got:
        sys.exit("lost: %s" % sorted(before - got)[:10])
    if after & got:
        sys.exit("of the future: %s" % sorted(after & got)[:10])
    if got - known:
        sys.exit("that nobody made: %s" % sorted(got - known)[:10])
    if not before or not after:
        sys.exit("%d before, %d after: no test" % (len(before), len(after)))
    print("%d before, %d between, %d after" % (
        len(before), len(known) - len(before) - len(after), len(after)))


main()
