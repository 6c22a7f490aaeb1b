#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The table of table.sh and its goals.

    table_print.py TOOK DIRTY-SIZES TOOLS CORES [quick]

TOOK is a folder of files ROW, a line of JSON a run (measure.py), and
ROW.bytes, what each stored. Incrementals are shown by their median. Exit
status 1: a goal is missed.
"""
import json
import os
import statistics
import sys

ROWS = [
    ("full", "full"),
    ("inc", "incremental"),
    ("restore-full", "restore of the full"),
    ("restore-last", "restore of the last"),
    ("verify", "verify"),
]
NAMES = {"vnb": "virtnbdbackup", "vnb-z": "virtnbdbackup -z",
         "qemu-img": "qemu-img zstd"}
MIB = 1 << 20


class Took:
    """What was measured, and nothing where nothing was."""

    def __init__(self, folder):
        self.folder = folder

    def lines(self, name):
        """The lines of a file of the folder."""
        try:
            path = os.path.join(self.folder, name)
            with open(path, encoding="ascii") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def median(self, row, what):
        """Of all runs of a row; None if there is none."""
        values = [json.loads(line)[what] for line in self.lines(row)]
        return statistics.median(values) if values else None

    def most(self, row, what):
        """The largest of a row; None if there is none."""
        values = [json.loads(line)[what] for line in self.lines(row)]
        return max(values) if values else None

    def stored(self, row):
        """Bytes, the median; None if none were counted."""
        values = [int(line) for line in self.lines(row + ".bytes")]
        return statistics.median(values) if values else None


def limit_parts(took):
    """CPU seconds of each part; reading is counted once."""
    return {
        "read": took.median("limit-read", "cpu"),
        "SHA-256": took.median("limit-hash", "user"),
        "zstd -1": took.median("limit-zstd", "user"),
        "write": took.median("limit-write", "cpu"),
    }


def cell(value, digits=1):
    """A number for the table, a dash for None."""
    return "-" if value is None else f"{value:.{digits}f}"


def print_row(name, values):
    """A line of the table."""
    print(f"| {name} | " + " | ".join(values) + " |")


def print_table(took, tools, cores):
    """All rows, tool beside tool, the limit at the end."""
    parts = limit_parts(took)
    limit = sum(parts.values())
    print_row("", [NAMES.get(t, t) for t in tools] + ["limit"])
    print("|---" * (len(tools) + 2) + "|")
    for row, name in ROWS:
        full = row == "full"
        ends = {"wall": cell(limit / cores, 2) if full else "",
                "cpu": cell(limit, 2) if full else ""}
        for what, title, digits in (("wall", "wall s", 2), ("cpu", "CPU s", 2),
                                    ("other_cpu", "QEMU's CPU s", 2)):
            values = [took.median(f"{t}-{row}", what) for t in tools]
            if what == "other_cpu":
                if row not in ("full", "inc"):
                    continue
                values = [v if t in ("holdstill", "vnb", "vnb-z") else None
                          for t, v in zip(tools, values)]
            print_row(f"{name}, {title}", [cell(v, digits) for v in values] +
                      [ends.get(what, "")])
        peaks = [took.most(f"{t}-{row}", "peak_bytes") for t in tools]
        print_row(f"{name}, peak MiB",
                  [cell(p and p / MIB, 0) for p in peaks] + [""])
        if row in ("full", "inc"):
            sizes = [took.stored(f"{t}-{row}") for t in tools]
            end = cell(took.stored("limit-zstd") / MIB) if full else ""
            print_row(f"{name}, stored MiB",
                      [cell(s and s / MIB, 2) for s in sizes] + [end])
    print()
    print("The limit: CPU seconds of " + ", ".join(
        f"{name} {cell(value, 2)}" for name, value in parts.items()) +
        f"; by {cores} cores.")


class Verdicts:
    """Goals met and missed."""

    def __init__(self):
        self.missed = 0

    def at_least(self, goal, got, least):
        """got must be least or more; None is not judged."""
        self.say(goal, got, got is not None and got >= least, f"≥ {least}")

    def at_most(self, goal, got, most):
        """got must be most or less; None is not judged."""
        self.say(goal, got, got is not None and got <= most, f"≤ {most}")

    def say(self, goal, got, met, want):
        """A line."""
        if got is None:
            print(f"- {goal}: not measured")
            return
        self.missed += not met
        word = "met" if met else "MISSED"
        print(f"- {goal}: **{word}** ({got:.2f}, goal {want})")


def ratio(a, b):
    """a / b, None without either."""
    return None if a is None or not b else a / b


def print_goals(took, dirty, cores):
    """Those of the design that this bench can judge; the number missed."""
    v = Verdicts()
    wall = {r: took.median(f"holdstill-{r}", "wall") for r, _ in ROWS}
    for tool, least in (("vnb-z", 2.5), ("borg", 1.5), ("restic", 3.0)):
        v.at_least(f"full: times as fast as {NAMES.get(tool, tool)}",
                   ratio(took.median(f"{tool}-full", "wall"), wall["full"]),
                   least)
    v.at_most("full: wall by the limit",
              ratio(wall["full"], sum(limit_parts(took).values()) / cores),
              1.25)
    v.at_most("full: stored by zstd -1 of the same bytes",
              ratio(took.stored("holdstill-full"), took.stored("limit-zstd")),
              1.05)
    v.at_most("incremental: stored by the changed blocks with zstd -1",
              ratio(took.stored("holdstill-inc"), dirty), 1.1)
    for tool in ("vnb", "vnb-z"):
        v.at_most(f"incremental: wall by {NAMES[tool]} -l inc",
                  ratio(wall["inc"], took.median(f"{tool}-inc", "wall")), 1.0)
    v.at_most("restore of the last by restore of the full",
              ratio(wall["restore-last"], wall["restore-full"]), 1.1)
    for tool in ("vnb", "vnb-z"):
        v.at_least(f"restore of the last: times as fast as {NAMES[tool]}",
                   ratio(took.median(f"{tool}-restore-last", "wall"),
                         wall["restore-last"]), 2.0)
    peaks = [took.most(f"holdstill-{r}", "peak_bytes") for r, _ in ROWS]
    peaks = [p / MIB for p in peaks if p is not None]
    v.at_most("memory, MiB", max(peaks) if peaks else None, 256)
    return v.missed


def main():
    took, tools = Took(sys.argv[1]), sys.argv[3].split(",")
    cores = int(sys.argv[4])
    with open(sys.argv[2], encoding="ascii") as file:
        dirty = statistics.median(int(line) for line in file)
    print_table(took, tools, cores)
    print()
    if sys.argv[5:] == ["quick"]:
        print("A quick run: no figure of it is to be quoted.\n")
    missed = print_goals(took, dirty, cores)
    return 1 if missed and sys.argv[5:] != ["quick"] else 0


if __name__ == "__main__":
    sys.exit(main())
