# SPDX-License-Identifier: Apache-2.0
"""What chaos.py works on: a repository on a small file system, the hosts that
share it, and what is known of its points; and the checks when all is over."""

import ctypes
import hashlib
import json
import os
import shutil
import subprocess
import time

BLOCK = 65536
GUESTS = ["g1", "g2", "g3", "g4", "g5", "g6"]
HOSTS = 3
FS_BYTES = 3 << 30
# After a prune: bytes that points need, of bytes that there are. By default
# packs are written anew of which less than 75 % is used; each point has map
# pieces besides, and the smallest packs are mostly head.
LIVE_PERCENT = 70
SLACK_BYTES = 1 << 20
PRUNES = 3

KEPT, MAYBE, FORGOTTEN, GONE = "kept", "maybe", "forgotten", "gone"


class Failure(Exception):
    """What the product did wrong; the text says it."""


def die_with_parent():
    """For a child: it ends (SIGKILL) with the one who started it."""
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)


class Point:
    def __init__(self, name, digest, guest):
        self.name, self.digest, self.guest = name, digest, guest
        self.made = "try"
        self.wish = KEPT
        self.busy = False  # Somebody forgets or keeps it just now.
        self.touched = 0   # Number of times that somebody did.

    def must_be_there(self):
        return self.made == "done" and self.wish == KEPT


class World:
    """One repository's life."""

    def __init__(self, args, folder, sealed, chance):
        self.args, self.folder, self.sealed = args, folder, sealed
        self.chance = chance
        self.points = {}
        self.began = time.monotonic()
        self.fs = os.path.join(folder, "fs")
        self.repo = os.path.join(self.fs, "repo")
        self.ledger = os.path.join(folder, "ledger")
        self.key = os.path.join(folder, "key") if sealed else None
        self.config = os.path.join(folder, "holdstill.conf")
        os.makedirs(self.fs)
        for path in (self.config, self.ledger):
            os.close(os.open(path, os.O_CREAT, 0o600))
        self.read_to = 0
        self.events = open(os.path.join(folder, "events"), "w", buffering=1,
                           encoding="utf-8")
        self.full = False
        self.full_turns = 0
        if args.mount:
            subprocess.run(["mount", "-t", "tmpfs", "-o",
                            f"size={FS_BYTES},mode=700", "none", self.fs],
                           check=True)
        for host in range(HOSTS):
            os.mkdir(self.state(host))
        init = ["init"]
        if sealed:
            init += ["--encrypt", "keyfile"]
        self.must(self.state(0), *init)

    def close(self):
        self.events.close()
        if self.args.mount:
            subprocess.run(["umount", self.fs], check=True)
        if not os.environ.get("HOLDSTILL_TEST_KEEP"):
            shutil.rmtree(self.folder)

    def say(self, text):
        self.events.write(f"{time.monotonic() - self.began:9.3f} {text}\n")

    def state(self, host):
        """The last host's lies where the disk may be full."""
        return os.path.join(self.fs if host == HOSTS - 1 else self.folder,
                            f"state{host}")

    def command(self, state, *words):
        keys = ["--key-file", self.key] if self.sealed else []
        return [self.args.program, *words, "--config", self.config, "--repo",
                self.repo, "--state-dir", state, "--no-progress", *keys]

    def must(self, state, *words):
        """Runs the program in peace: it has to succeed."""
        done = subprocess.run(
            self.command(state, *words), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, timeout=600, check=False,
            preexec_fn=die_with_parent)
        self.say(f"in peace: {' '.join(words)}: {done.returncode}")
        if done.returncode != 0:
            raise Failure(f"in peace '{' '.join(words)}' exits with "
                          f"{done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    # ---- the disk gets full, and has room again ----

    def set_full(self, full):
        if not self.args.mount or full == self.full:
            return
        size = FS_BYTES
        if full:
            st = os.statvfs(self.fs)
            used = (st.f_blocks - st.f_bfree) * st.f_frsize
            size = used + self.chance.randrange(64 << 10, 4 << 20)
        done = subprocess.run(
            ["mount", "-o", f"remount,size={size}", self.fs], check=False,
            stderr=subprocess.DEVNULL)
        # Somebody wrote meanwhile: no harm, the next turn will do.
        if done.returncode == 0:
            self.full = full
            self.full_turns += full
            self.say("full" if full else "room again")
        elif not full:
            raise RuntimeError("the file system cannot be made larger")

    # ---- what is known of the points ----

    def read_ledger(self):
        with open(self.ledger, encoding="ascii") as f:
            f.seek(self.read_to)
            text = f.read()
        whole = text.rfind("\n") + 1
        self.read_to += whole
        for line in text[:whole].splitlines():
            self.say("ledger: " + line)
            word, name, *more = line.split()
            if word == "try":
                self.points[name] = Point(name, more[0], more[1])
            else:
                self.points[name].made = word

    def of_wish(self, *wishes):
        return [p for p in self.points.values() if p.made == "done" and
                p.wish in wishes and not p.busy]

    # ---- when all is over ----

    def restore(self, point, state):
        """The bytes of the point's disk."""
        path = os.path.join(self.folder, "restored.raw")
        self.must(state, "restore", point, "--disk", "vda=" + path)
        with open(path, "rb") as f:
            data = f.read()
        os.unlink(path)
        return data

    def listed(self, state, *options):
        found = json.loads(self.must(state, "list", "--json", *options))
        return {p["id"] for p in found["points"]}

    def check_points(self, fresh):
        """Each that was reported restores, by a new host or an old one; all
        that are there are right. Returns the hashes of their blocks."""
        live = {}
        listed = self.listed(fresh)
        for p in self.points.values():
            there = p.name in listed
            if p.must_be_there() and not there:
                raise Failure(f"point {p.name} was reported done and is gone")
            if there and p.made == "no":
                raise Failure(f"point {p.name} was reported as failed for "
                              "good and is there")
            if there and p.wish in (FORGOTTEN, GONE):
                raise Failure(f"point {p.name} was forgotten and is there")
        for name in sorted(listed):
            if name not in self.points:
                raise Failure(f"nobody has made point {name}")
            host = self.chance.randrange(HOSTS + 1)
            data = self.restore(name, fresh if host == HOSTS
                                else self.state(host))
            if hashlib.sha256(data).hexdigest() != self.points[name].digest:
                raise Failure(f"point {name} restores to WRONG BYTES")
            for at in range(0, len(data), BLOCK):
                block = data[at:at + BLOCK]
                if block.count(0) != len(block):
                    live[hashlib.sha256(block).digest()] = BLOCK
        return listed, sum(live.values())

    def bytes_of(self, prefix):
        total = count = 0
        for at, _, names in os.walk(os.path.join(self.repo, prefix)):
            for name in names:
                total += os.path.getsize(os.path.join(at, name))
                count += 1
        return count, total

    def check_nothing_left(self, *more):
        for prefix in ("tmp", "damage", "aside", *more):
            count, total = self.bytes_of(prefix)
            if count != 0:
                raise Failure(f"{count} files ({total} bytes) are left in "
                              f"'{prefix}'")

    def prune(self, state, count):
        """Mostly one is enough; what it has copied may make another pack, with
        the same blocks, wasteful."""
        words = ["prune", "--silence", "1", "--undelete-days", "0",
                 "--max-repack", "100%"]
        for _ in range(PRUNES):
            self.must(state, *words)
            left = json.loads(self.must(
                state, *words, "--dry-run", "--json"))["prune"]
            todo = {key: left[key] for key in (
                "packs_removed", "packs_rewritten", "bytes_freed",
                "bytes_waiting", "sessions_alive", "sessions_dead",
                "points_removed") if left[key] != 0}
            if not todo:
                return
            if not left["packs_rewritten"]:
                break
            count["prunes in peace that left something to copy"] += 1
        raise Failure(f"after a prune in peace another one has to do: {todo}")

    def check_verify(self, state):
        found = json.loads(self.must(state, "verify", "--json"))["verify"]
        if found["damaged_objects"] or found["damaged_points"] or \
                found["marked_packs"]:
            raise Failure(f"verify: {found}")

    def check(self, count):
        """All that the end has to show; adds to the counts."""
        fresh = os.path.join(self.folder, "fresh")
        before = self.bytes_of("packs")[1]
        self.prune(self.state(0), count)
        self.check_verify(fresh)
        listed, live = self.check_points(fresh)
        packs, stored = self.bytes_of("packs")
        count["points restored at the end"] += len(listed)
        count["MiB of packs before the last prune"] += before >> 20
        count["MiB of packs after it"] += stored >> 20
        count["MiB of blocks that points need"] += live >> 20
        if (stored - SLACK_BYTES) * LIVE_PERCENT > live * 100:
            raise Failure(f"{packs} packs of {stored} bytes are left, of "
                          f"which points need at most {live}")
        # Beats of who died after its last point go with the next prune.
        self.check_nothing_left()
        # And without points nothing is needed.
        if listed:
            self.must(fresh, "forget", *sorted(listed))
        self.prune(fresh, count)
        self.check_nothing_left("beats")
        for prefix in ("packs", "index"):
            if self.bytes_of(prefix)[0] != 0:
                raise Failure(f"no points, and yet '{prefix}' has objects")
        if self.listed(fresh) or self.listed(fresh, "--forgotten"):
            raise Failure("forgotten points are listed")
        self.check_verify(fresh)
