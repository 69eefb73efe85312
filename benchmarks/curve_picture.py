"""Learning curves of ``active.py`` as one picture: a panel a set, a line an order.

    python benchmarks/curve_picture.py FILE.json ... --out docs/pictures/learning-curves.svg
        [--order random --order mixed ...]

The band is the 95 % interval of the mean over seeds; the axis of labels is logarithmic.
"""

from __future__ import annotations

import argparse
import json
import math
from html import escape
from pathlib import Path
from typing import Any

COLOURS = {
    "random": "#6b7280", "margin": "#b45309", "information": "#1d4ed8", "mixed": "#047857",
    "cluster": "#7c3aed", "badge": "#be185d", "balanced": "#0e7490", "weighted": "#4d7c0f",
    "entropy": "#92400e", "diverse": "#334155", "disagreement": "#9f1239",
}  # fmt: skip
WIDE, HIGH, LEFT, TOP, GAP = 300, 210, 46, 34, 26


def panel(name: str, body: dict[str, Any], orders: list[str], x0: float, y0: float) -> list[str]:
    """Return the marks of one set."""
    found = [o for o in orders if o in body["orders"]]
    labels = body["orders"]["random"]["labels"]
    seeds = body["seeds"]
    means = [body["full"]]
    for order in found:
        row = body["orders"][order]
        for m, sd in zip(row["mean"], row["sd"], strict=True):
            means += [m - 2.1 * sd / math.sqrt(seeds), m + 2.1 * sd / math.sqrt(seeds)]
    low, high = min(means) - 0.005, max(means) + 0.005

    def at(n: float, f1: float) -> tuple[float, float]:
        across = math.log(n / labels[0]) / math.log(labels[-1] / labels[0])
        return x0 + across * WIDE, y0 + HIGH * (1 - (f1 - low) / (high - low))

    marks = [
        f'<text x="{x0}" y="{y0 - 12}" class="title">{escape(name)}</text>',
        f'<text x="{x0 + WIDE}" y="{y0 - 12}" class="y">macro-F1 against labels (log)</text>',
        f'<rect x="{x0}" y="{y0}" width="{WIDE}" height="{HIGH}" class="frame"/>',
    ]
    step = 0.02 if high - low < 0.16 else 0.05
    tick = math.ceil(low / step) * step
    while tick <= high:
        _, y = at(labels[0], tick)
        marks.append(f'<line x1="{x0}" x2="{x0 + WIDE}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        marks.append(f'<text x="{x0 - 6}" y="{y + 3:.1f}" class="y">{tick:.2f}</text>')
        tick += step
    for n in (20, 50, 100, 200, 500, 1_000, 2_000):
        if labels[0] <= n <= labels[-1]:
            x, _ = at(n, low)
            marks.append(f'<text x="{x:.1f}" y="{y0 + HIGH + 14}" class="x">{n}</text>')
    (x1, y), (x2, _) = at(labels[0], body["full"]), at(labels[-1], body["full"])
    marks.append(f'<line x1="{x1}" x2="{x2}" y1="{y:.1f}" y2="{y:.1f}" class="full"/>')
    for order in found:
        row, colour = body["orders"][order], COLOURS[order]
        half = [2.1 * sd / math.sqrt(seeds) for sd in row["sd"]]
        top = [at(n, m + h) for n, m, h in zip(row["labels"], row["mean"], half, strict=True)]
        down = [at(n, m - h) for n, m, h in zip(row["labels"], row["mean"], half, strict=True)]
        line = [at(n, m) for n, m in zip(row["labels"], row["mean"], strict=True)]
        area = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*top, *reversed(down)])
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in line)
        marks.append(f'<polygon points="{area}" fill="{colour}" opacity="0.12"/>')
        marks.append(f'<polyline points="{path}" stroke="{colour}" class="line"/>')
    return marks


def picture(sets: dict[str, dict[str, Any]], orders: list[str]) -> str:
    """Return the whole picture."""
    columns = min(2, len(sets))
    rows = -(-len(sets) // columns)
    width = columns * (WIDE + LEFT + GAP)
    height = rows * (HIGH + TOP + GAP + 16) + 34
    marks = []
    for number, (name, body) in enumerate(sets.items()):
        x0 = LEFT + (number % columns) * (WIDE + LEFT + GAP)
        y0 = TOP + (number // columns) * (HIGH + TOP + GAP + 16)
        marks += panel(name, body, orders, x0, y0)
    x = float(LEFT)
    for order in orders:
        marks.append(f'<rect x="{x}" y="{height - 20}" width="12" height="4" '
                     f'fill="{COLOURS[order]}"/>')  # fmt: skip
        marks.append(f'<text x="{x + 16}" y="{height - 14}" class="key">{order}</text>')
        x += 34 + 6.5 * len(order)
    marks.append(
        f'<text x="{x}" y="{height - 14}" class="key">'
        "dashed: all labels; bands: 95 % of the mean over seeds</text>"
    )
    style = (
        "text{font:11px sans-serif;fill:#374151}.title{font-weight:bold}.y{text-anchor:end}"
        ".x{text-anchor:middle}.frame{fill:none;stroke:#9ca3af}.grid{stroke:#e5e7eb}"
        ".full{stroke:#111827;stroke-dasharray:4 3}.line{fill:none;stroke-width:1.8}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'width="{width}" height="{height}"><title>Macro-F1 against number of labels</title>'
        f'<style>{style}</style><rect width="{width}" height="{height}" fill="#ffffff"/>'
        + "".join(marks) + "</svg>\n"
    )  # fmt: skip


def main() -> None:
    """Read the results, write the picture and beside it the curves in one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--order", nargs="*", default=["random", "margin", "information", "mixed"])
    given = parser.parse_args()
    sets: dict[str, dict[str, Any]] = {}
    for path in given.files:
        told = json.loads(path.read_text(encoding="utf-8"))
        for name, body in told["sets"].items():
            sets[name] = body | {"seeds": told["asked"]["seeds"], "asked": told["asked"]}
    given.out.write_text(picture(sets, given.order), encoding="utf-8")
    for body in sets.values():
        for row in body["orders"].values():
            row.pop("saved_at_labels", None)
    kept = json.dumps(sets, separators=(",", ":")) + "\n"
    given.out.with_suffix(".json").write_text(kept, encoding="utf-8")


if __name__ == "__main__":
    main()
