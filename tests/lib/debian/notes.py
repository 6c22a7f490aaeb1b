#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An application on SQLite that is careless: run|check FILE.

It writes each number to a database and, in a later step, to a plain file
beside it; both agree only while it is stopped. SIGTERM ends it between two
rounds. "check" says the number, or fails if they differ.
"""

import os
import signal
import sqlite3
import sys
import time

ending = False


def end(_number, _frame):
    global ending
    ending = True


def check(path):
    db = sqlite3.connect(path)
    n = db.execute("select max(n) from notes").fetchone()[0]
    with open(path + ".count", encoding="ascii") as f:
        count = int(f.read())
    if n != count:
        sys.exit("the database says %d, the file %d" % (n, count))
    print(n)


def run(path):
    signal.signal(signal.SIGTERM, end)
    db = sqlite3.connect(path)
    db.execute("create table if not exists notes (n integer primary key)")
    db.commit()
    n = db.execute("select coalesce(max(n), 0) from notes").fetchone()[0]
    while not ending:
        n += 1
        db.execute("insert into notes values (?)", (n,))
        db.commit()
        time.sleep(0.2)
        with open(path + ".count", "w", encoding="ascii") as f:
            f.write("%d\n" % n)
            f.flush()
            os.fsync(f.fileno())
    db.close()


if sys.argv[1] == "check":
    check(sys.argv[2])
else:
    run(sys.argv[2])
