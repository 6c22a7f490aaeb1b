#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Chaos: writers, prunes and all else on one repository, and one who kills.

    chaos.py --actor CHAOS_ACTOR --program HOLDSTILL [--kills N] [--seed S]
             [--kills-each N]

Starts processes of three hosts that back up, prune, verify, repair, forget,
un-forget, list and restore all at once, and kills them (kill -9), stops them
for a while, gives them backends that fail, and a disk that is full. What was
reported done must be there in the end. Each --kills-each kills (125; 0: a half)
a new repository is begun, plain and encrypted in turn. All choices but those of
time come from the seed.
"""

import argparse
import collections
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
from chaos_world import (FORGOTTEN, GONE, GUESTS, HOSTS, KEPT, MAYBE, Failure,
                         World, die_with_parent)

JOBS_AT_ONCE = 4
POINTS_WANTED = 20
SIGNS = re.compile(r"WRONG BYTES|Sanitizer|runtime error|\((bug|no-memory)\)|"
                   r"our own mistake")
NO_POINT = re.compile(r"is gone|no( forgotten)? point|was forgotten|object 'points.* does not")
DAMAGE = re.compile(r"^damaged:|^marked:|^hurt:|^lost:|[1-9]\d* (packs? taken "
                    r"out|points? marked|objects? that cannot)", re.M)
WEIGHTS = {"backup": 40, "prune": 12, "actor-prune": 10, "verify": 5,
           "repair": 3, "actor-repair": 4, "forget": 14, "unforget": 7,
           "restore": 9, "actor-restore": 9, "list": 5}
# Milliseconds that each takes, to begin with; learned then.
FIRST_MS = 300


def remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


class Job:
    """One process at work, and what is to happen to it."""

    def __init__(self, number, kind, host):
        self.number, self.kind, self.host = number, kind, host
        self.guests = []
        self.point = None
        self.undelete = 0
        self.fails = False        # Its backend makes trouble.
        self.at_call = False      # It stops itself, to be killed or not.
        self.own = None           # A local index that only it uses.
        self.killed = self.stopped = False
        self.kill_at = self.stop_at = self.go_at = None
        self.excused = False      # Something else kept it from its work.
        self.process = None
        self.began = 0
        self.log = ""
        self.known = {}

    def __str__(self):
        return f"#{self.number} {self.kind} of host {self.host}"


class Chaos:
    def __init__(self, args, world, chance, count, kills):
        self.args, self.world, self.chance = args, world, chance
        self.count, self.kills = count, kills
        self.jobs = {}
        self.number = 0
        self.took = collections.defaultdict(lambda: FIRST_MS / 1000)
        self.full_next = time.monotonic() + 1

    # ---- starting ----

    def actor(self, job, name, *words):
        w, c = self.world, self.chance
        job.fails = c.random() < (0.8 if name == "restore" else 0.5)
        job.at_call = c.random() < 0.4
        options = {"repo": w.repo, "state": w.state(job.host),
                   "ledger": w.ledger, "seed": c.getrandbits(60),
                   "beat": 100, "silence": c.choice([300, 1000]),
                   "undelete-days": job.undelete,
                   "slow": c.choice([0, 50, 300])}
        if name in ("backup", "prune") and c.random() < 0.3:
            # A local index that believes in it is nobody else's.
            options["lag"] = c.choice([50, 300])
            options["cache"] = job.own = os.path.join(
                w.folder, f"index-{job.number}")
        if w.sealed:
            options["key"] = w.key
        if job.fails:
            options["fail"] = c.choice([2, 10, 40])
        if job.fails and name == "restore":
            # All else is well: it would only end before it reads a block.
            options.update(fail=0, flip=c.choice([100, 500]))
        elif job.fails and name != "repair":
            options["flip"] = c.choice([0, 5, 30, 200])
        if job.at_call:
            options["stop-at"] = int(2 ** c.uniform(0, 8))
        return [self.args.actor, name, *words] + [
            f"--{key}={value}" for key, value in options.items()] + (
                ["--only-writes"] if name == "repair" else [])

    def one_of(self, *wishes):
        points = self.world.of_wish(*wishes)
        return self.chance.choice(points) if points else None

    def plan_backup(self, job):
        busy = {g for j in self.jobs.values() for g in j.guests}
        free = [g for g in GUESTS if g not in busy
                and GUESTS.index(g) % HOSTS == job.host]
        if not free:
            return None
        job.guests = free[:self.chance.choice([1, 1, 2])]
        return self.actor(job, "backup", *job.guests)

    def plan_prune(self, job):
        job.undelete = self.chance.choice([0, 1])
        if job.kind == "actor-prune":
            return self.actor(job, "prune")
        return self.world.command(
            self.world.state(job.host), "prune", "--silence", "1",
            "--undelete-days", str(job.undelete), "--max-repack",
            self.chance.choice(["0%", "20%", "100%"]))

    def plan_word(self, job):
        """forget, unforget"""
        if job.kind == "forget":
            if len(self.world.of_wish(KEPT)) < POINTS_WANTED / 2 and \
                    self.chance.random() < 0.7:
                return None
            job.point = self.one_of(KEPT, MAYBE)
        else:
            job.point = self.one_of(FORGOTTEN, MAYBE)
        if job.point is None:
            return None
        job.point.busy = True
        job.point.touched += 1
        if self.chance.random() < 0.5:
            return self.actor(job, job.kind, job.point.name)
        return self.world.command(self.world.state(job.host), job.kind,
                                  job.point.name)

    def plan_restore(self, job):
        job.point = self.one_of(KEPT, KEPT, MAYBE, FORGOTTEN)
        if job.point is None:
            return None
        if job.kind == "actor-restore":
            return self.actor(job, "restore", job.point.name,
                              job.point.digest)
        return self.world.command(
            self.world.state(job.host), "restore", job.point.name, "--disk",
            "vda=" + self.restored(job))

    def restored(self, job):
        return os.path.join(self.world.folder, f"restored-{job.number}.raw")

    def plan_plain(self, job):
        words = ["list", "--json"] if job.kind == "list" else [job.kind]
        return self.world.command(self.world.state(job.host), *words)

    def fate(self, job):
        """When it is killed, or stopped and then goes on or is killed."""
        c, now = self.chance, time.monotonic()
        takes = self.took[job.kind]
        if job.at_call or c.random() < 0.35:
            return
        at = now + c.uniform(0, 1.1) * takes
        if c.random() < 0.75:
            job.kill_at = at
            return
        job.stop_at = at
        until = at + 3 ** c.uniform(-2, 1.8)
        if c.random() < 0.4:
            job.kill_at = until
        else:
            job.go_at = until

    def start(self):
        kind = self.chance.choices(list(WEIGHTS), WEIGHTS.values())[0]
        job = Job(self.number, kind, self.chance.randrange(HOSTS))
        plan = {"backup": self.plan_backup, "prune": self.plan_prune,
                "actor-prune": self.plan_prune, "forget": self.plan_word,
                "actor-repair": lambda job: self.actor(job, "repair"),
                "unforget": self.plan_word, "restore": self.plan_restore,
                "actor-restore": self.plan_restore}
        command = plan.get(kind, self.plan_plain)(job)
        if command is None:
            return
        self.maybe_lose_state(job.host)
        self.number += 1
        job.excused = self.world.full
        job.log = os.path.join(self.world.folder, f"job-{job.number}")
        job.known = {p.name: (p.wish, p.touched)
                     for p in self.world.points.values()
                     if p.made == "done" and not p.busy}
        job.began = time.monotonic()
        self.fate(job)
        with open(job.log, "wb") as log:
            job.process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                preexec_fn=die_with_parent)
        self.jobs[job.process.pid] = job
        self.world.say(f"{job} is {job.process.pid}: {' '.join(command)}")

    def maybe_lose_state(self, host):
        """A local index may be deleted at any time, or be an old one; here:
        between two jobs of its host, as one at work would go on in files
        without names."""
        if self.chance.random() > 0.08 or \
                any(j.host == host for j in self.jobs.values()):
            return
        state = self.world.state(host)
        old = os.path.join(self.world.folder, f"old-{host}")
        what = self.chance.choice(["lost", "kept", "as it was"])
        if what != "lost" and not os.path.exists(old):
            what = "kept"
            if not self.world.full:
                shutil.copytree(state, old)
        else:
            what = "as it was" if what != "lost" else what
            for name in os.listdir(state):
                if not name.startswith("guest-"):
                    remove(os.path.join(state, name))
            if what == "as it was":
                for name in os.listdir(old):
                    if not name.startswith("guest-"):
                        shutil.move(os.path.join(old, name), state)
                remove(old)
            self.count[f"local indexes and catalogs {what}"] += 1
        self.world.say(f"the state of host {host} is {what}")

    # ---- signals ----

    def signal(self, job, number, word):
        os.kill(job.process.pid, number)
        self.world.say(f"{word} {job}")

    def kill(self, job):
        if not job.killed:
            self.signal(job, signal.SIGKILL, "kill")
            job.killed = True

    def stop_fate(self, job):
        """It stopped itself, at a call of the backend."""
        self.count["stops at a call of the backend"] += 1
        self.world.say(f"{job} has stopped itself")
        if self.chance.random() < 0.7:
            self.kill(job)
        else:
            job.stopped = True
            job.go_at = time.monotonic() + 3 ** self.chance.uniform(-2, 1.8)

    def deal(self):
        """What is due."""
        now = time.monotonic()
        for job in self.jobs.values():
            if job.stop_at is not None and now >= job.stop_at:
                job.stop_at = None
                job.stopped = True
                self.count["stops at any time"] += 1
                self.signal(job, signal.SIGSTOP, "stop")
            if job.kill_at is not None and now >= job.kill_at:
                self.kill(job)
            if job.go_at is not None and now >= job.go_at:
                job.go_at = None
                self.signal(job, signal.SIGCONT, "go on:")
        if now >= self.full_next:
            self.world.set_full(not self.world.full)
            self.full_next = now + self.chance.uniform(0.2, 1.5) * (
                1 if self.world.full else 3)
        if self.world.full:
            for job in self.jobs.values():
                job.excused = True

    # ---- the ends ----

    def reap(self):
        for pid, job in list(self.jobs.items()):
            done, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
            if done == 0:
                continue
            if os.WIFSTOPPED(status):
                if job.at_call and not job.stopped and not job.killed:
                    self.stop_fate(job)
                continue
            del self.jobs[pid]
            job.process.returncode = status
            self.world.read_ledger()
            self.ended(job, status)

    def ended(self, job, status):
        with open(job.log, encoding="utf-8", errors="replace") as f:
            text = f.read()
        by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        code = os.WEXITSTATUS(status) if by == 0 else None
        self.world.say(f"{job} ended: " +
                       (f"signal {by}" if by else f"status {code}") +
                       (f": {text[-300:].strip()}" if code else ""))
        self.count["faults of backends"] += text.count("fault: ")
        try:
            if SIGNS.search(text) or by not in (0, signal.SIGKILL) or (
                    by == signal.SIGKILL and not job.killed):
                raise Failure("a sign of a mistake")
            if by == signal.SIGKILL:
                self.kills[0] += 1
                self.count[f"kills of {job.kind}"] += 1
                self.count["kills at a call of the backend"] += job.at_call
            else:
                self.took[job.kind] += 0.2 * (
                    min(time.monotonic() - job.began, 5) -
                    self.took[job.kind])
            self.judge(job, code, text)
        except Failure as e:
            raise Failure(f"{job}: {e}; it said:\n{text[-6000:]}") from e
        finally:
            if job.point is not None:
                job.point.busy = False
            if job.own is not None:
                remove(job.own)
        if not os.environ.get("HOLDSTILL_TEST_KEEP"):
            os.unlink(job.log)

    def judge(self, job, code, text):
        excused = code is None or job.excused or job.own or "fault: " in text
        kind = job.kind.replace("actor-", "")
        if kind in ("forget", "unforget"):
            self.judge_word(job, code, text, excused)
        elif kind == "restore":
            self.judge_restore(job, code, text, excused)
        elif kind == "list" and code == 0:
            self.judge_list(job, text)
        if DAMAGE.search(text) and "wrong at" not in text:
            raise Failure("there should be no damage")
        if code == 0:
            self.count[f"{kind}: done"] += 1
        elif code is not None:
            self.count[f"{kind}: ended with an error"] += 1
        given_up = kind == "backup" and "given up" in text
        self.count["backup: given up by a prune"] += given_up
        if not excused and code != 0 and not given_up and \
                kind not in ("restore", "forget", "unforget"):
            raise Failure(f"it failed ({code}) and nothing was in its way")

    def judge_word(self, job, code, text, excused):
        p = job.point
        if code == 0:
            p.wish = FORGOTTEN if job.kind == "forget" else KEPT
            self.count["points forgotten" if job.kind == "forget" else
                       "points kept after all"] += 1
        elif p.wish != KEPT and NO_POINT.search(text):
            # It is not listed, so somebody forgot it; or not as forgotten:
            # it is gone, or an earlier forget was killed too early.
            if job.kind == "forget":
                p.wish = FORGOTTEN
            elif p.wish == FORGOTTEN:
                p.wish = GONE
        elif excused:
            p.wish = MAYBE
        else:
            raise Failure(f"{job.kind} failed and nothing was in its way")

    def judge_restore(self, job, code, text, excused):
        p, path = job.point, self.restored(job)
        if code == 0 and job.kind == "restore":
            done = subprocess.run(["sha256sum", path], check=True,
                                  stdout=subprocess.PIPE, text=True)
            if done.stdout.split()[0] != p.digest:
                raise Failure("the restore gave WRONG BYTES")
        for name in os.listdir(self.world.folder):
            if name.startswith(os.path.basename(path)):
                os.unlink(os.path.join(self.world.folder, name))
        if code == 0:
            self.count["restores with the right bytes"] += 1
        elif code is not None and not excused and \
                self.stayed(p, job, (KEPT,)):
            raise Failure(f"point {p.name} is to be there and was not "
                          "restored")
        if code == 1 and "wrong at" in text:
            self.count["restores that refused wrong bytes"] += 1

    @staticmethod
    def stayed(point, job, wishes):
        """Was this said of the point from the job's begin to its end?"""
        then = job.known.get(point.name)
        return then is not None and then[0] in wishes and \
            then[1] == point.touched

    def judge_list(self, job, text):
        listed = set(re.findall(r'"id": "([0-9a-f]{32})"', text))
        for p in self.world.points.values():
            if self.stayed(p, job, (KEPT,)) and p.name not in listed:
                raise Failure(f"point {p.name} is not listed")
            if self.stayed(p, job, (FORGOTTEN, GONE)) and p.name in listed:
                raise Failure(f"forgotten point {p.name} is listed")

    # ---- all of it ----

    def tick(self):
        signal.sigtimedwait({signal.SIGCHLD}, 0.005)
        self.reap()
        self.deal()
        self.world.read_ledger()

    def run(self, kills):
        end = self.kills[0] + kills
        while self.kills[0] < end:
            if len(self.jobs) < JOBS_AT_ONCE:
                self.start()
            self.tick()
        # The rest dies at one blow, or may end.
        if self.chance.random() < 0.5:
            for job in self.jobs.values():
                self.kill(job)
        for job in self.jobs.values():
            job.kill_at = None if job.killed else job.kill_at
        while self.jobs:
            self.tick()
        self.world.set_full(False)
        self.count["times that the disk got full"] += self.world.full_turns

    def end(self):
        for job in self.jobs.values():
            os.kill(job.process.pid, signal.SIGKILL)
            os.waitpid(job.process.pid, 0)
        self.jobs = {}


def live(args, sealed, seed, kills, total, count):
    """One repository, from its begin to its end."""
    chance = random.Random(seed)
    folder = tempfile.mkdtemp(prefix="holdstill-chaos.")
    world = chaos = None
    try:
        world = World(args, folder, sealed, chance)
        chaos = Chaos(args, world, chance, count, total)
        chaos.run(kills)
        world.check(count)
    except Failure as e:
        print(f"FAILED: {e}\n\nthe last of what happened:")
        with open(os.path.join(folder, "events"), encoding="utf-8") as f:
            print("".join(f.readlines()[-120:]), end="")
        print(f"seed {args.seed}, repository's seed {seed}, "
              f"{'encrypted' if sealed else 'plain'}")
        if os.environ.get("HOLDSTILL_TEST_KEEP"):
            chaos.end()
            shutil.copytree(folder, folder + ".failed")
            print(f"all of it: {folder}.failed")
        return False
    finally:
        if chaos is not None:
            chaos.end()
        if world is not None:
            world.close()
        shutil.rmtree(folder, ignore_errors=True)
    return True


def own_mounts():
    """Begins anew where mounts are this process's own, and go with it."""
    if os.environ.get("CHAOS_MOUNTS"):
        return os.environ["CHAOS_MOUNTS"] == "yes"
    unshare = ["unshare", "--mount", "--propagation", "private"]
    can = os.geteuid() == 0 and subprocess.run(
        [*unshare, "mount", "-t", "tmpfs", "none", "/mnt"], check=False,
        stderr=subprocess.DEVNULL).returncode == 0
    os.environ["CHAOS_MOUNTS"] = "yes" if can else "no"
    command = unshare if can else ["env"]
    os.execvp(command[0], [*command, sys.executable, "-B",
                           *sys.argv])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--actor", required=True, type=os.path.abspath)
    parser.add_argument("--program", required=True, type=os.path.abspath)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--kills-each", type=int, default=125)
    parser.add_argument("--seed", type=int)
    args = parser.parse_args()
    args.mount = own_mounts()
    if args.seed is None:
        args.seed = random.SystemRandom().getrandbits(40)
    print(f"seed {args.seed}", flush=True)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda n, _: sys.exit(128 + n))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    os.environ["LC_ALL"] = "C"
    chance = random.Random(args.seed)
    count = collections.Counter()
    each = min(args.kills_each, (args.kills + 1) // 2)
    total = [0]
    turn = 0
    good = True
    while good and total[0] < args.kills:
        good = live(args, turn % 2 == 1, chance.getrandbits(60),
                    min(each, args.kills - total[0]), total, count)
        count[f"{'encrypted' if turn % 2 else 'plain'} repositories"] += 1
        turn += 1
    print(f"count: seed {args.seed}\ncount: kills {total[0]}")
    for key in sorted(count):
        print(f"count: {key}: {count[key]}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
