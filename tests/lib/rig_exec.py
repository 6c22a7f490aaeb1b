#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one command in a test guest: SOCKET TIMEOUT_SECONDS COMMAND [again].

Prints what the command printed and exits as it did; 124 when no answer came
in time, 125 when the guest's port cannot be reached.
With "again" the command is sent once a second until it is answered.
"""

import base64
import os
import socket
import sys
import time


def main():
    path, timeout, command = sys.argv[1], float(sys.argv[2]), sys.argv[3]
    every = 1.0 if sys.argv[4:] == ["again"] else timeout
    end = time.monotonic() + timeout
    ident = ("%x%x" % (os.getpid(), time.time_ns())).encode()
    # The newline first ends a line that a killed caller left half sent.
    line = b"\n%s %s\n" % (ident, base64.b64encode(command.encode()))
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(max(timeout, 0.1))
    try:
        sock.connect(path)
        return answer(sock, ident, line, every, end)
    except socket.timeout:
        print("rig: no answer from the guest in %gs" % timeout,
              file=sys.stderr)
        return 124
    except OSError as e:
        print("rig: guest port: %s" % e, file=sys.stderr)
        return 125


def answer(sock, ident, request, every, end):
    data = b""
    due = 0
    while True:
        now = time.monotonic()
        if now >= end:
            raise socket.timeout()
        if now >= due:
            sock.settimeout(end - now)
            sock.sendall(request)
            due = now + every
        sock.settimeout(min(end, due) - now if min(end, due) > now else 0.01)
        try:
            got = sock.recv(1 << 16)
        except socket.timeout:
            continue
        if not got:
            raise OSError("closed by the other end")
        data += got
        # Lines of other ids answer callers that gave up.
        while b"\n" in data:
            line, data = data.split(b"\n", 1)
            word = line.split(b" ")
            if len(word) == 4 and word[0] == ident:
                sys.stdout.buffer.write(base64.b64decode(word[2]))
                sys.stdout.flush()
                sys.stderr.buffer.write(base64.b64decode(word[3]))
                return int(word[1])


sys.exit(main())
