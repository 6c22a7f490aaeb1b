#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Picks real files of the machine for a disk.

    pick_files.py BYTES FOLDER...

Prints paths, each ended by a NUL, of regular files below the folders whose
sizes come to BYTES, or of all if there are fewer. Whole folders are taken, in
an order that is random and the same each time, so that a small disk is a
sample of a large one. No file is taken twice, whatever names it has, and no
other file system is entered. Exit status 1: there were fewer.
"""
import os
import random
import stat
import sys


def folders(top):
    """Each folder below top with its files and their sizes."""
    device = os.lstat(top).st_dev
    for path, names, files in os.walk(top):
        names[:] = [n for n in sorted(names)
                    if os.lstat(os.path.join(path, n)).st_dev == device]
        sized = []
        for name in sorted(files):
            try:
                st = os.lstat(os.path.join(path, name))
            except OSError:
                continue
            if stat.S_ISREG(st.st_mode) and st.st_size > 0:
                sized.append((name, st))
        if sized:
            yield path, sized


def main():
    want = int(sys.argv[1])
    known, seen, taken = [], set(), 0
    for top in sorted({os.path.realpath(t) for t in sys.argv[2:]}):
        if os.path.isdir(top):
            known += folders(top)
    random.Random(1).shuffle(known)
    for path, files in known:
        for name, st in files:
            if taken >= want:
                return 0
            if (st.st_dev, st.st_ino) in seen or st.st_size > want // 8:
                continue
            seen.add((st.st_dev, st.st_ino))
            # As it lies on the disk.
            taken += (st.st_size + 4095) // 4096 * 4096
            sys.stdout.buffer.write(os.fsencode(os.path.join(path, name)))
            sys.stdout.buffer.write(b"\0")
    return 0 if taken >= want else 1


if __name__ == "__main__":
    sys.exit(main())
