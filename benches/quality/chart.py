"""Charts as SVG, readable on light and dark, of numbers between two ends.

In: series of points. Out: the text of an SVG file. The same points give the same bytes.
"""

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 420, 62, 24, 64, 52
# Told apart without red and green, on white and on black.
COLOURS = ["#3b82f6", "#d97706", "#0d9488", "#a855f7"]
STYLE = (
    "<style>text{font:12px system-ui,sans-serif;fill:#57606a}.name{font-weight:600}"
    ".grid{stroke:#8b949e;stroke-opacity:.3;fill:none}"
    "@media(prefers-color-scheme:dark){text{fill:#c9d1d9}}</style>"
)


def head(height, title):
    return [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{title}">', STYLE]


def ends(values, step):
    """The multiples of `step` around all values."""
    low = int(min(values) / step) * step
    high = (int(max(values) / step - 1e-9) + 1) * step
    return low, high


def ticks(low, high, step):
    return [low + n * step for n in range(round((high - low) / step) + 1)]


def curves(title, names, series, steps):
    """Points joined in order: `series` is {name: [(x, y, label)]}, `steps` the two grids."""
    points = [p for line in series.values() for p in line]
    xs, ys = ends([p[0] for p in points], steps[0]), ends([p[1] for p in points], steps[1])
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def x(value):
        return LEFT + (value - xs[0]) / (xs[1] - xs[0]) * (right - LEFT)

    def y(value):
        return bottom - (value - ys[0]) / (ys[1] - ys[0]) * (bottom - TOP)

    out = head(HEIGHT, title)
    for tick in ticks(*ys, steps[1]):
        out.append(f'<path class="grid" d="M{LEFT} {y(tick):.1f}H{right}"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{short(tick, 2)}</text>')
    for tick in ticks(*xs, steps[0]):
        out.append(f'<path class="grid" d="M{x(tick):.1f} {TOP}V{bottom}"/>')
        out.append(f'<text x="{x(tick):.1f}" y="{bottom + 18}" text-anchor="middle">{short(tick, 2)}</text>')
    out.append(f'<text class="name" x="{(LEFT + right) / 2}" y="{bottom + 40}" text-anchor="middle">{names[0]}</text>')
    out.append(f'<text class="name" x="{LEFT}" y="{TOP - 12}">{names[1]}</text>')
    at = LEFT
    for colour, (name, line) in zip(COLOURS, series.items()):
        way = "L".join(f"{x(p[0]):.1f} {y(p[1]):.1f}" for p in line)
        out.append(f'<path d="M{way}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for px, py, label in line:
            out.append(f'<circle cx="{x(px):.1f}" cy="{y(py):.1f}" r="4" fill="{colour}"/>')
            out.append(f'<text x="{x(px) + 7:.1f}" y="{y(py) - 6:.1f}">{label}</text>')
        out.append(f'<path d="M{at} 24h22" stroke="{colour}" stroke-width="3"/>')
        out.append(f'<text x="{at + 28}" y="28">{name}</text>')
        at += 48 + 7 * len(name)
    return "\n".join([*out, "</svg>"]) + "\n"


def intervals(title, name, rows, step):
    """A dot and its interval a row: `rows` is [(group, label, (mean, low, high))]."""
    left, row_height = 240, 26
    xs = ends([value for _, _, three in rows for value in three], step)
    bottom = TOP + row_height * len(rows)
    right = WIDTH - RIGHT - 40

    def x(value):
        return left + (value - xs[0]) / (xs[1] - xs[0]) * (right - left)

    out = head(bottom + BOTTOM, title)
    for tick in ticks(*xs, step):
        out.append(f'<path class="grid" d="M{x(tick):.1f} {TOP - 8}V{bottom}"/>')
        out.append(f'<text x="{x(tick):.1f}" y="{bottom + 18}" text-anchor="middle">{short(tick, 2)}</text>')
    out.append(f'<text class="name" x="{(left + right) / 2}" y="{bottom + 40}" text-anchor="middle">{name}</text>')
    groups = list(dict.fromkeys(group for group, _, _ in rows))
    for number, (group, label, (mean, low, high)) in enumerate(rows):
        y = TOP + row_height * number + 8
        colour = COLOURS[groups.index(group) % len(COLOURS)]
        out.append(f'<text x="{left - 12}" y="{y + 4}" text-anchor="end">{label}</text>')
        out.append(f'<path d="M{x(low):.1f} {y}H{x(high):.1f}" stroke="{colour}" stroke-width="3" stroke-opacity=".45"/>')
        out.append(f'<circle cx="{x(mean):.1f}" cy="{y}" r="4.5" fill="{colour}"/>')
        out.append(f'<text x="{x(high) + 8:.1f}" y="{y + 4}">{short(mean)}</text>')
    at = LEFT
    for group in groups:
        colour = COLOURS[groups.index(group) % len(COLOURS)]
        out.append(f'<circle cx="{at}" cy="24" r="4.5" fill="{colour}"/><text x="{at + 12}" y="28">{group}</text>')
        at += 40 + 7 * len(group)
    return "\n".join([*out, "</svg>"]) + "\n"


def short(value, digits=4):
    """`.6217`"""
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text
