#!/usr/bin/env python3
"""Draws cost against number of operators, from the CSV of the bench `bls`, as SVG.

usage: plot.py INPUT.csv OUTPUT.svg
"""

import csv
import math
import sys
from html import escape

WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 80, 20, 50, 60
COLORS = {"bn254": "#1f5fbf", "bls12-381": "#c2571a"}
DASHES = {"certificate proved": "", "each share proved": "6 4"}


def read(path):
    """Lines by (curve, mode), each a list of (operators, microseconds)."""
    lines = {}
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            line = lines.setdefault((row["curve"], row["mode"]), [])
            line.append((int(row["operators"]), float(row["microseconds"])))
    return lines


def label(microseconds):
    if microseconds < 1_000:
        return f"{microseconds:g} µs"
    if microseconds < 1_000_000:
        return f"{microseconds / 1_000:g} ms"
    return f"{microseconds / 1_000_000:g} s"


def draw(lines):
    points = [point for line in lines.values() for point in line]
    decades = [
        (math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))))
        for values in zip(*points)
    ]
    (x_low, x_high), (y_low, y_high) = decades

    def x(operators):
        part = (math.log10(operators) - x_low) / (x_high - x_low)
        return LEFT + part * (WIDTH - LEFT - RIGHT)

    def y(microseconds):
        part = (math.log10(microseconds) - y_low) / (y_high - y_low)
        return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="15">'
        "From decoded points to a certificate, one thread</text>",
    ]
    for power in range(x_low, x_high + 1):
        at = x(10**power)
        out.append(
            f'<line x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{HEIGHT - BOTTOM}" stroke="#ddd"/>'
            f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{10**power:,}</text>'
        )
    for power in range(y_low, y_high + 1):
        at = y(10**power)
        out.append(
            f'<line x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - RIGHT}" y2="{at:.1f}" stroke="#ddd"/>'
            f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{label(10**power)}</text>'
        )
    out.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 18}" text-anchor="middle">'
        "operators</text>"
    )
    for number, ((curve, mode), line) in enumerate(sorted(lines.items())):
        color, dash = COLORS.get(curve, "#444"), DASHES.get(mode, "2 3")
        stroke = f'stroke="{color}" stroke-width="2" stroke-dasharray="{dash}"'
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in sorted(line))
        out.append(f'<polyline points="{path}" fill="none" {stroke}/>')
        for a, b in line:
            out.append(f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="{color}"/>')
        at = TOP + 14 + 18 * number
        out.append(
            f'<line x1="{LEFT + 14}" y1="{at}" x2="{LEFT + 50}" y2="{at}" {stroke}/>'
            f'<text x="{LEFT + 58}" y="{at + 4}">{escape(f"{curve.upper()}, {mode}")}</text>'
        )
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[2], "w") as file:
        file.write(draw(read(sys.argv[1])))


if __name__ == "__main__":
    main()
