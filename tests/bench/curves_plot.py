#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws what curves.sh has recorded, and holds it to the goals.

    curves_plot.py CSV [SVG]

Without SVG only the verdict is printed; the status is 1 if a goal is missed.
"""
import csv
import math
import sys

RATIO_MAX = 1.3  # An incremental on 8 TiB against 64 GiB.
PEAK_MAX = 256 << 20  # Of any backup or restore.
BACKUPS = ("full", "read", "incremental-by-", "scattered-by-", "index-rebuilt-")

# Title, unit of x, curves with their words; y is seconds.
PANELS = [
    ("A full, and its restore, by size", "MiB",
     [("full", "full"), ("read", "restore")]),
    ("An incremental by the size of the disk", "GiB",
     [("incremental-by-disk", "256 MiB in pieces of 1 MiB"),
      ("scattered-by-disk", "32 MiB in pieces of 64 KiB")]),
    ("An incremental by what changed, disk of 1 TiB", "MiB",
     [("incremental-by-change", "pieces of 1 MiB")]),
    ("By points in the repository", "points",
     [("list-bare-by-points", "list without catalog"),
      ("list-by-points", "list"), ("show-by-points", "show"),
      ("prune-by-points", "prune, nothing to do"),
      ("prune-forgotten-by-points", "prune of all but 5"),
      ("incremental-by-points", "incremental, 1 MiB")]),
    ("By blocks in the repository", "blocks",
     [("list-by-blocks", "list"), ("show-by-blocks", "show"),
      ("prune-dry-by-blocks", "prune --dry-run"),
      ("index-rebuilt-by-blocks", "local index read anew"),
      ("incremental-by-blocks", "incremental, 16 MiB")]),
]
PEAKS = ("Largest resident memory by blocks", "blocks",
         [("prune-dry-by-blocks", "prune --dry-run"),
          ("index-rebuilt-by-blocks", "local index read anew"),
          ("incremental-by-blocks", "incremental, 16 MiB")])
COLORS = ["#1f6fb4", "#d1495b", "#2e8b57", "#8a5fb0", "#b8860b",
          "#555555"]
WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 34, 92


def read(path):
    """curve -> [(x, row)], rising."""
    curves = {}
    with open(path, encoding="ascii") as f:
        lines = [line for line in f if not line.startswith("#")]
    for row in csv.DictReader(lines):
        curves.setdefault(row["curve"], []).append((float(row["x"]), row))
    return {name: sorted(rows, key=lambda r: r[0])
            for name, rows in curves.items()}


def short(value):
    """A number for an axis; binary units are left as they are."""
    if value % 1024 == 0:
        return f"{value:.0f}"
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def decades(low, high):
    """Powers of ten around a range."""
    return range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)


class Panel:
    """One plot, both axes logarithmic."""

    def __init__(self, left, top, lines, unit, y_unit):
        self.left, self.top = left, top
        xs = [x for _, points in lines for x, _ in points]
        ys = [y for _, points in lines for _, y in points]
        self.ticks_x = sorted(set(xs))
        if len(self.ticks_x) > 6 or unit in ("points", "blocks"):
            self.ticks_x = [10.0 ** d for d in decades(min(xs), max(xs))]
        self.ticks_y = [10.0 ** d for d in decades(min(ys), max(ys))]
        if len(self.ticks_y) < 2:
            self.ticks_y.append(self.ticks_y[0] * 10)
        self.unit, self.y_unit, self.lines = unit, y_unit, lines

    def at(self, x, y):
        """Where a point lies in the drawing."""
        def part(value, ticks):
            low, high = math.log(ticks[0]), math.log(ticks[-1])
            return (math.log(value) - low) / (high - low or 1)
        wide = WIDTH - LEFT - RIGHT
        high = HEIGHT - TOP - BOTTOM
        return (self.left + LEFT + part(x, self.ticks_x) * wide,
                self.top + TOP + (1 - part(y, self.ticks_y)) * high)

    def axes(self, title):
        """Grid, numbers, words."""
        out = [f'<text x="{self.left + LEFT}" y="{self.top + 18}" '
               f'class="title">{title}</text>']
        x0, y0 = self.at(self.ticks_x[0], self.ticks_y[0])
        x1, y1 = self.at(self.ticks_x[-1], self.ticks_y[-1])
        for tick in self.ticks_x:
            x = self.at(tick, self.ticks_y[0])[0]
            out.append(f'<path class="grid" d="M{x:.1f} {y0:.1f}V{y1:.1f}"/>'
                       f'<text x="{x:.1f}" y="{y0 + 14:.1f}" '
                       f'class="x">{short(tick)}</text>')
        for tick in self.ticks_y:
            y = self.at(self.ticks_x[0], tick)[1]
            out.append(f'<path class="grid" d="M{x0:.1f} {y:.1f}H{x1:.1f}"/>'
                       f'<text x="{x0 - 5:.1f}" y="{y + 4:.1f}" '
                       f'class="y">{short(tick)} {self.y_unit}</text>')
        out.append(f'<text x="{(x0 + x1) / 2:.1f}" y="{y0 + 28:.1f}" '
                   f'class="x">{self.unit}</text>')
        return out

    def curves(self):
        """Lines, marks and the words below."""
        out = []
        for i, (words, points) in enumerate(self.lines):
            color = COLORS[i % len(COLORS)]
            places = [self.at(x, y) for x, y in points]
            out.append('<polyline fill="none" stroke-width="1.8" stroke="'
                       f'{color}" points="'
                       + " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
                       + '"/>')
            out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" '
                    f'fill="{color}"/>' for x, y in places]
            x = self.left + LEFT + i % 2 * 190
            y = self.top + HEIGHT - BOTTOM + 46 + i // 2 * 16
            out.append(f'<rect x="{x}" y="{y - 8}" width="14" height="4" '
                       f'fill="{color}"/><text x="{x + 20}" y="{y}" '
                       f'class="key">{words}</text>')
        return out


def draw(curves):
    """The whole drawing."""
    panels = [(*p, "seconds", "s", 1.0) for p in PANELS]
    panels.append((*PEAKS, "peak_bytes", "MiB", 1 / (1 << 20)))
    rows = (len(panels) + 1) // 2
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" '
           f'height="{rows * HEIGHT}" font-family="sans-serif" '
           'font-size="11">',
           "<style>.title{font-size:13px;font-weight:bold}.grid{stroke:#ddd}"
           ".x{text-anchor:middle}.y{text-anchor:end}</style>",
           f'<rect width="{2 * WIDTH}" height="{rows * HEIGHT}" '
           'fill="white"/>']
    for i, (title, unit, names, field, y_unit, factor) in enumerate(panels):
        lines = [(words, [(x, max(float(row[field]) * factor, 1e-3))
                          for x, row in curves[name]])
                 for name, words in names if name in curves]
        if not lines:
            continue
        panel = Panel(i % 2 * WIDTH, i // 2 * HEIGHT, lines, unit, y_unit)
        out += panel.axes(title) + panel.curves()
    return "\n".join(out + ["</svg>"]) + "\n"


def verdict(curves):
    """Prints the goals and what came of them; the number missed."""
    missed = 0

    def goal(words, value, most, form):
        nonlocal missed
        missed += value > most
        print(f"{words}: {form(value)}, goal {form(most)}: "
              f"{'missed' if value > most else 'met'}")

    for name in ("incremental-by-disk", "scattered-by-disk"):
        rows = curves.get(name, [])
        if len(rows) > 1:
            goal(f"{name}, largest against smallest",
                 float(rows[-1][1]["seconds"]) / float(rows[0][1]["seconds"]),
                 RATIO_MAX, lambda v: f"{v:.2f}")
    peaks = [(int(row["peak_bytes"]), name) for name, rows in curves.items()
             if name.startswith(BACKUPS) for _, row in rows]
    if peaks:
        peak, name = max(peaks)
        goal(f"largest peak of a backup or restore ({name})", peak, PEAK_MAX,
             lambda v: f"{v / (1 << 20):.0f} MiB")
    return missed


def main():
    """The command."""
    curves = read(sys.argv[1])
    if len(sys.argv) > 2:
        with open(sys.argv[2], "w", encoding="ascii") as f:
            f.write(draw(curves))
    sys.exit(verdict(curves) > 0)


if __name__ == "__main__":
    main()
