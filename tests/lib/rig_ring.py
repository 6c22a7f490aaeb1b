#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Passes lines round a ring of sockets: FIRST SOCKET...

Sends FIRST to the first socket, and what a socket says to the next one; what
the last says goes to the first. Ends when one of them closes.
"""

import select
import socket
import sys


def main():
    first, paths = sys.argv[1], sys.argv[2:]
    ring = []
    for path in paths:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        ring.append(sock)
    after = {s: ring[(i + 1) % len(ring)] for i, s in enumerate(ring)}
    ring[0].sendall(first.encode() + b"\n")
    while True:
        for sock in select.select(ring, [], [])[0]:
            data = sock.recv(4096)
            if not data:
                return 1
            after[sock].sendall(data)


sys.exit(main())
