#!/usr/bin/env python3
"""Draws the table of `cargo bench --bench scale` as an SVG: log axes, readable on light and dark.

    cargo bench --bench scale -- 1000000 10000 100000 | python3 benches/plot.py docs/performance/scale.svg

In: lines `what<tab>over<tab>size<tab>p50_ns<tab>p99_ns`; others are passed by. Out: one panel over
users, one over rules; a line a kind of work, p50 drawn through, p99 dashed.
"""

import math
import sys
from pathlib import Path

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM, GAP = 900, 420, 62, 16, 64, 52, 70
NAMES = {
    "update": "learn one event",
    "look_up": "look a profile up",
    "rank": "rank 20 hits",
    "compile": "read the rules anew",
}
# Told apart without red and green, on white and on black.
COLOURS = {"update": "#d97706", "look_up": "#0d9488", "rank": "#3b82f6", "compile": "#a855f7"}


def read(lines):
    """{over: {what: [(size, p50, p99)]}}"""
    table = {}
    for line in lines:
        cells = line.rstrip("\n").split("\t")
        if len(cells) != 5 or not cells[2].isdigit():
            continue
        what, over, size, p50, p99 = cells
        points = table.setdefault(over, {}).setdefault(what, [])
        points.append((int(size), max(int(p50), 1), max(int(p99), 1)))
    return table


def decades(values):
    low = math.floor(math.log10(min(values)))
    return low, max(math.ceil(math.log10(max(values))), low + 1)


def duration(exponent):
    for unit, name in ((9, "s"), (6, "ms"), (3, "µs"), (0, "ns")):
        if exponent >= unit:
            return f"{10 ** (exponent - unit)} {name}"
    return "1 ns"


def count(exponent):
    return {3: "1 k", 4: "10 k", 5: "100 k", 6: "1 M", 7: "10 M"}.get(exponent, str(10**exponent))


def panel(out, box, over, kinds, rows):
    left, right, top, bottom = box
    columns = decades([size for points in kinds.values() for size, _, _ in points])

    def x(size):
        return left + (math.log10(size) - columns[0]) / (columns[1] - columns[0]) * (right - left)

    def y(ns):
        return bottom - (math.log10(ns) - rows[0]) / (rows[1] - rows[0]) * (bottom - top)

    for exponent in range(rows[0], rows[1] + 1):
        at = y(10**exponent)
        out.append(f'<path class="grid" d="M{left} {at:.1f}H{right}"/>')
        out.append(f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{duration(exponent)}</text>')
    for exponent in range(columns[0], columns[1] + 1):
        at = x(10**exponent)
        out.append(f'<path class="grid" d="M{at:.1f} {top}V{bottom}"/>')
        out.append(f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">{count(exponent)}</text>')
    out.append(f'<text class="name" x="{(left + right) / 2}" y="{bottom + 40}" text-anchor="middle">{over}</text>')
    for what, points in kinds.items():
        colour = COLOURS.get(what, "#888888")
        points = sorted(points)
        for column, dash in ((1, ""), (2, ' stroke-dasharray="3 4" stroke-opacity=".7"')):
            way = "L".join(f"{x(p[0]):.1f} {y(p[column]):.1f}" for p in points)
            out.append(f'<path d="M{way}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        out.extend(f'<circle cx="{x(p[0]):.1f}" cy="{y(p[1]):.1f}" r="3" fill="{colour}"/>' for p in points)


def draw(table):
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-label="Time of an update, a look-up and a ranking over the number of users and of rules">',
        "<style>text{font:12px system-ui,sans-serif;fill:#57606a}.name{font-weight:600}"
        ".grid{stroke:#8b949e;stroke-opacity:.3;fill:none}"
        "@media(prefers-color-scheme:dark){text{fill:#c9d1d9}}</style>",
    ]
    values = [ns for kinds in table.values() for points in kinds.values() for p in points for ns in p[1:]]
    rows = decades(values)
    overs = [over for over in ("users", "rules") if over in table]
    width = (WIDTH - LEFT - RIGHT - GAP * (len(overs) - 1)) / len(overs)
    for number, over in enumerate(overs):
        left = LEFT + number * (width + GAP)
        panel(out, (left, left + width, TOP, HEIGHT - BOTTOM), over, table[over], rows)
    at = LEFT
    kinds = [what for what in NAMES if any(what in table[over] for over in overs)]
    for what in kinds:
        out.append(f'<path d="M{at} 24h22" stroke="{COLOURS[what]}" stroke-width="3"/>')
        out.append(f'<text x="{at + 28}" y="28">{NAMES[what]}</text>')
        at += 44 + 7 * len(NAMES[what])
    out.append(f'<text x="{WIDTH - RIGHT}" y="28" text-anchor="end">median, dashed p99</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    table = read(sys.stdin)
    if not table:
        sys.exit("no line of the table on stdin")
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(draw(table), encoding="utf-8")


if __name__ == "__main__":
    main()
