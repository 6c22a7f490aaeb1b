#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A bank whose money stays the same, in PostgreSQL or MariaDB.

    bank.py init SERVER            accounts, on an empty database "bank"
    bank.py run SERVER CLIENTS ACKS
                                   transfers until killed; for each whose
                                   commit returned a line "ID BEGIN END" in
                                   the file ACKS: CLOCK_MONOTONIC, ns
    bank.py check SERVER           the identifiers of all transfers; fails
                                   if a balance is not what they make it
"""

import os
import random
import sys
import threading
import time

ACCOUNTS = 200
BALANCE = 1000
STRIDE = 10 ** 9
# Between two transfers: some of a guest without KVM is left to others.
PAUSE_SECONDS = 0.1


def connect(server):
    if server == "postgresql":
        import psycopg2
        return psycopg2.connect("dbname=bank")
    import pymysql
    return pymysql.connect(unix_socket="/run/mysqld/mysqld.sock",
                           user="bank", database="bank")


def init(server):
    db = connect(server)
    cur = db.cursor()
    cur.execute("create table accounts (id bigint primary key, "
                "balance bigint not null)")
    cur.execute("create table transfers (id bigint primary key, "
                "source bigint not null, target bigint not null, "
                "amount bigint not null)")
    cur.executemany("insert into accounts values (%s, %s)",
                    [(i, BALANCE) for i in range(ACCOUNTS)])
    db.commit()


def transfer(cur, ident):
    source, target = random.sample(range(ACCOUNTS), 2)
    amount = random.randrange(1, 50)
    moves = sorted([(source, -amount), (target, amount)])
    # In the order of the accounts, so that no two wait for each other.
    for account, change in moves:
        cur.execute("update accounts set balance = balance + %s "
                    "where id = %s", (change, account))
    cur.execute("insert into transfers values (%s, %s, %s, %s)",
                (ident, source, target, amount))


def client(server, number, acks):
    db = connect(server)
    cur = db.cursor()
    cur.execute("select coalesce(max(id), %s) from transfers "
                "where id between %s and %s",
                (number * STRIDE, number * STRIDE, (number + 1) * STRIDE - 1))
    ident = cur.fetchone()[0]
    db.commit()
    while True:
        ident += 1
        begin = time.monotonic_ns()
        transfer(cur, ident)
        db.commit()
        end = time.monotonic_ns()
        os.write(acks, b"%d %d %d\n" % (ident, begin, end))
        time.sleep(PAUSE_SECONDS)


def run(server, clients, path):
    acks = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    failed = []

    def work(number):
        try:
            client(server, number, acks)
        except Exception as e:
            failed.append("client %d: %r" % (number, e))

    threads = [threading.Thread(target=work, args=(n,), daemon=True)
               for n in range(1, clients + 1)]
    for t in threads:
        t.start()
    while not failed:
        time.sleep(0.2)
    sys.exit(failed[0])


def check(server):
    db = connect(server)
    cur = db.cursor()
    cur.execute("select id, balance from accounts")
    balances = dict(cur.fetchall())
    if sum(balances.values()) != ACCOUNTS * BALANCE:
        sys.exit("the sum is %d" % sum(balances.values()))
    cur.execute("select id, source, target, amount from transfers")
    made = dict.fromkeys(range(ACCOUNTS), BALANCE)
    for ident, source, target, amount in cur.fetchall():
        made[source] -= amount
        made[target] += amount
        print(ident)
    if made != balances:
        sys.exit("balances are not what the transfers make them")


def main():
    command, server = sys.argv[1:3]
    if command == "init":
        init(server)
    elif command == "run":
        run(server, int(sys.argv[3]), sys.argv[4])
    else:
        check(server)


main()
