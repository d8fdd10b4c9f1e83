#!/usr/bin/env python3
"""Tables and plots of docs/algorithms.md from what `balancing-simulation` prints: `make simulation`.

    .build/release/balancing-simulation | Benchmarks/algorithm_tables.py docs

Standard library only. The same input writes the same bytes.
"""
import csv
import html
import math
import pathlib
import re
import sys

# Short heads of the columns; the titles are below the tables.
HEADS = {
    "equal": "equal", "slow": "slow", "errors": "errors", "black_hole": "black hole", "flapping": "flapping",
    "flapping_checked": "… checked", "cold": "cold", "cold_slow_start": "… slow start", "mixed": "mixed",
    "mixed_weighted": "… weighted",
}
STYLE = """
  text { font: 11px system-ui, sans-serif; fill: #24292f }
  .paper { fill: #ffffff } .title { font-weight: 600 } .small { font-size: 9px; fill: #57606a } .grid { stroke: #d0d7de }
  .row { stroke: #eaeef2 } .span { stroke: #54aeff; stroke-width: 5 } .p50 { fill: #0969da } .p99 { fill: #0969da }
  .share { fill: #54aeff } .errors { fill: #d1242f }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .paper { fill: #0d1117 } .small { fill: #9198a1 } .grid { stroke: #3d444d } .row { stroke: #21262d }
    .span { stroke: #1f6feb } .p50, .p99 { fill: #79c0ff } .share { fill: #1f6feb } .errors { fill: #f85149 }
  }
"""


def replace_block(path, name, text):
    """What is between the markers `<!-- name -->` and `<!-- /name -->` of a file becomes `text`."""
    old = path.read_text()
    first, last = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    if old.count(first) != 1 or old.count(last) != 1:
        raise SystemExit(f"{path}: no place between {first.strip()} and {last}")
    path.write_text(old[:old.index(first) + len(first)] + "\n" + text.strip() + "\n\n" + old[old.index(last):])


class Figures:
    """Rows by scenario and algorithm; algorithms whose figures are alike everywhere are one row."""

    def __init__(self, lines):
        rows = list(csv.DictReader(lines))
        if not rows:
            raise SystemExit("no figures")
        self.scenarios = list(dict.fromkeys(r["scenario"] for r in rows))
        self.titles = {r["scenario"]: r["title"] for r in rows}
        self.odd = {r["scenario"]: r["odd"] for r in rows}
        self.of = {(r["scenario"], r["algorithm"]): {k: float(v) for k, v in list(r.items())[4:]} for r in rows}
        alike = {}
        for name in dict.fromkeys(r["algorithm"] for r in rows):
            alike.setdefault(tuple(tuple(self.of[s, name].items()) for s in self.scenarios), []).append(name)
        self.algorithms = [names[0] for names in alike.values()]
        self.names = {names[0]: names for names in alike.values()}


def number(value):
    """Three digits are more than these are worth."""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")


def table(figures, cell):
    lines = ["| | " + " | ".join(HEADS.get(s, s) for s in figures.scenarios) + " |",
             "|---|" + "---|" * len(figures.scenarios)]
    for algorithm in figures.algorithms:
        name = ", ".join(f"`{n}`" for n in figures.names[algorithm])
        lines.append(f"| {name} | " + " | ".join(cell(figures.of[s, algorithm]) for s in figures.scenarios) + " |")
    return "\n".join(lines)


def times(row):
    return f"{number(row['p50_ms'])} / {number(row['p99_ms'])}"


def shares(row):
    return number(row["share_percent"]) + (f" ({number(row['errors_percent'])})" if row["errors_percent"] else "")


def document(figures):
    legend = "\n".join(f"- **{HEADS.get(s, s)}**: {figures.titles[s]}" for s in figures.scenarios)
    requests = round(min(row["requests"] for row in figures.of.values()), -3)
    return f"""{legend}

p50 / p99 in ms; a timeout counts with its 2 s, an error at once does not count:

{table(figures, times)}

![p50 and p99 of each algorithm in each scenario](algorithms-times.svg)

Share of the odd target in percent (the first of the equal ones, the smallest of the mixed ones), and in parentheses errors
and timeouts in percent of all requests:

{table(figures, shares)}

![share of the odd target and errors of each algorithm in each scenario](algorithms-shares.svg)

Each figure is of {requests:,.0f} requests or more."""


class Panels:
    """Small multiples: a panel per scenario, a line per algorithm."""
    columns, names, width, line, head, foot = 2, 196, 320, 14, 34, 26

    def __init__(self, figures):
        self.figures = figures
        self.parts = []
        self.panel_height = self.head + self.line * len(figures.algorithms) + self.foot
        rows = math.ceil(len(figures.scenarios) / self.columns)
        self.size = (self.names + self.columns * self.width + 12, rows * self.panel_height + 26)

    def draw(self, description, ticks, position, mark):
        """`ticks`: values and texts of the axis; `position`: of a value, 0 to 1; `mark(x, y, row)` draws one algorithm."""
        for index, scenario in enumerate(self.figures.scenarios):
            row, column = divmod(index, self.columns)
            left, top = self.names + column * self.width, row * self.panel_height
            inner = self.width - 76
            bottom = top + self.head + self.line * len(self.figures.algorithms)

            def x(value, left=left, inner=inner):
                return left + inner * min(1, max(0, position(value)))
            self.text(left, top + 20, HEADS.get(scenario, scenario), "title")
            for value, label in ticks:
                self.parts.append(f'<path class="grid" d="M{x(value):.1f} {top + self.head - 4}V{bottom}"/>')
                self.text(x(value), bottom + 11, label, "small", "middle")
            for place, algorithm in enumerate(self.figures.algorithms):
                y = top + self.head + self.line * place + self.line / 2
                if column == 0:
                    self.text(left - 8, y + 4, algorithm, anchor="end")
                self.parts.append(f'<path class="row" d="M{left} {y + self.line / 2}h{self.width - 16}"/>')
                mark(x, y, self.figures.of[scenario, algorithm])
        width, height = self.size
        self.text(self.names, height - 8, description, "small")
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
                f'role="img" aria-label="{html.escape(description)}">\n<style>{STYLE}</style>\n'
                f'<rect class="paper" width="{width}" height="{height}"/>\n' + "\n".join(self.parts) + "\n</svg>\n")

    def text(self, x, y, text, style=None, anchor="start"):
        style = f' class="{style}"' if style else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}"{style} text-anchor="{anchor}">{html.escape(text)}</text>')


def times_plot(figures):
    panels = Panels(figures)

    def mark(x, y, row):
        panels.parts.append(f'<path class="span" d="M{x(row["p50_ms"]):.1f} {y}H{x(row["p99_ms"]):.1f}"/>')
        for key in ("p50_ms", "p99_ms"):
            panels.parts.append(f'<circle class="{key[:3]}" cx="{x(row[key]):.1f}" cy="{y}" r="3.5"/>')
        panels.text(x(row["p99_ms"]) + 6, y + 3, number(row["p99_ms"]), "small")
    return panels.draw("milliseconds from p50 to p99 (the number), on a logarithmic scale; 2000 is the timeout",
                       [(v, str(v)) for v in (30, 100, 300, 1000, 2000)],
                       lambda v: math.log(max(v, 25) / 25) / math.log(2000 / 25), mark)


def shares_plot(figures):
    panels = Panels(figures)

    def mark(x, y, row):
        for key, above in (("share", -5), ("errors", 0)):
            value = row[f"{key}_percent"]
            panels.parts.append(f'<rect class="{key}" x="{x(0):.1f}" y="{y + above}" width="{x(value) - x(0):.1f}" height="5"/>')
        end = x(max(row["share_percent"], row["errors_percent"]))
        panels.text(end + 4, y + 3, shares(row), "small")
    return panels.draw("percent: above the share of the odd target, below (red, in parentheses) errors",
                       [(v, str(v)) for v in (0, 25, 50, 75, 100)], lambda v: v / 100, mark)


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__.strip())
    docs = pathlib.Path(sys.argv[1])
    figures = Figures(sys.stdin)
    replace_block(docs / "algorithms.md", "simulation", document(figures))
    (docs / "algorithms-times.svg").write_text(times_plot(figures))
    (docs / "algorithms-shares.svg").write_text(shares_plot(figures))


if __name__ == "__main__":
    main()
