"""What rules that stop runs miss, and what they save."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from grokmap.plot.figure import (
    Figure,
    blank,
    entitle,
    finished,
    legend_above,
    panels_of,
)
from grokmap.plot.names import by_number, quantity_words, system_words
from grokmap.plot.style import COLOURS, PAPER, Look, styled
from grokmap.plot.ticks import label_linear

SMALLEST = 26.0  # width of a panel in letters
LEVEL = "level of "
# What is drawn of each rule: words, colour, marker, and what fills it.
SHARES = {
    "saved": ("steps saved", COLOURS["grok"], "o", COLOURS["grok"]),
    "missed": (
        "grokking runs stopped too early",
        COLOURS["memorize-only"],
        "s",
        "none",
    ),
}


def stopping_rules(
    scored: pd.DataFrame, look: Look = PAPER, caption: str = ""
) -> Figure:
    """A row for each rule, a panel for each system.

    scored: `stopping_rules.scored`.
    """
    parts = {name: rows for name, rows in scored.groupby("system", sort=False)}
    names = sorted(parts, key=lambda name: ("=" in str(name), *by_number(str(name))))
    rules = list(dict.fromkeys(scored["rule"]))
    columns = min(len(names), look.columns(SMALLEST))
    rows, ems = -(-len(names) // columns), look.ems / columns
    with styled(look):
        figure = blank(look, rows * (1.5 * len(rules) + 5.0) + 4.0)
        panels = panels_of(figure, len(names), columns, sharex=True, sharey=True)
        for axes, name in zip(panels, names, strict=True):
            _draw(axes, parts[name], rules)
        for axes in panels[-columns:]:
            axes.set_xlabel("share")
            axes.tick_params(labelbottom=True)
        label_linear(panels[0].xaxis, 5)
        entitle(panels, [_title(parts[n], str(n)) for n in names], ems - 9.0)
        legend_above(figure, look, _handles())
        return finished(figure, look, caption)


def rule_words(rule: str) -> str:
    """A rule as it is called in tables and figures: "level of rqi" is "RQI"."""
    if not rule.startswith(LEVEL):
        return rule
    return quantity_words(rule.removeprefix(LEVEL))


def _title(rows: pd.DataFrame, name: str) -> str:
    first = rows.iloc[0]
    counts = f"{first['n_grok']} of {first['n_runs']} runs grok"
    return f"{system_words(name)}: {counts}" if "=" in name else counts


def _draw(axes: Any, rows: pd.DataFrame, rules: list[str]) -> None:
    places = rows["rule"].map(rules.index)
    for column, (_, colour, marker, face) in SHARES.items():
        look: Any = {"color": colour, "clip_on": False, "zorder": 3}
        axes.plot(rows[column], places, marker, markerfacecolor=face, **look)
    axes.set_yticks(np.arange(len(rules)), labels=[rule_words(r) for r in rules])
    axes.set(xlim=(-0.04, 1.04), ylim=(len(rules) - 0.4, -0.6))
    axes.grid(axis="y", color="#EEEEEE", zorder=0)


def _handles() -> list[Any]:
    look: Any = {"linestyle": ""}
    return [
        Line2D([], [], color=c, marker=m, markerfacecolor=face, label=label, **look)
        for label, c, m, face in SHARES.values()
    ]
