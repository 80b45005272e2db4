"""A comparison in a few lines, as it is printed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from grokmap.analysis.comparison import P_CHANGE
from grokmap.errors import shown
from grokmap.result.groups import rounded

if TYPE_CHECKING:
    from grokmap.result.comparison import Comparison

FEWEST_CELLS = 5  # of which a median is given without a warning


def text(found: Comparison) -> str:
    """What is compared, how many cells match, what changes in them."""
    return "\n".join(shown(line) for line in _lines(found))


def _lines(found: Comparison) -> Iterator[str]:
    a, b = found.names
    yield f"A: {a}"
    yield f"B: {b}"
    for name, pair in found.settings.items():
        one, two = ("not set" if v is None else rounded(v) for v in pair)
        yield f"  {name}: {one} in A, {two} in B"
    by_side = found.unmatched["only_in"].value_counts()
    along = f" along {', '.join(found.axes)}" if found.axes else ""
    yield (
        f"{len(found.cells)} matched cells{along}; in A alone "
        f"{by_side.get('a', 0)}, in B alone {by_side.get('b', 0)}"
    )
    yield from _of_labels(found.labels)
    for row in found.summary.to_dict("records"):
        yield from _of_row(row)
    yield "(95%, seeds resampled whole, 6 or more; in braces: half of the cells)"
    medians = found.summary["quantity"] != P_CHANGE
    if found.summary["n_cells"][medians].map(_is_few).any():
        yield f"(only: below {FEWEST_CELLS} cells a median says little of the plane)"


def _of_labels(labels: pd.DataFrame) -> Iterator[str]:
    for of, rows in labels.groupby("of", sort=False):
        what = (
            "cells whose most frequent label differs"
            if of == "cells"
            else "pairs of runs with the same seed whose labels differ"
        )
        counts = ", ".join(
            f"{row['differ']} of {row['n']} {_decided(row['decided'])}"
            for row in rows.to_dict("records")
        )
        yield f"{what}: {counts}"


def _decided(decided: bool) -> str:
    return "decided" if decided else "with an undecided run"


def _of_row(row: dict[str, Any]) -> Iterator[str]:
    quantity, n = row["quantity"], int(row["n_cells"])
    if quantity == P_CHANGE:
        value = _number(row, "+.3f")
        yield f"P(grok), B - A: {value}, mean of {n} cells with decided runs of both"
        return
    time, _, every = quantity.partition(" ratio")
    alone = row["only_a"] + row["only_b"]
    if every:
        if alone:
            few = f", of {_cells(n)}" if _is_few(n) else ""
            yield f"  median with these as infinite, or 0: {_number(row)}{few}"
        return
    yield f"{time}, B over A: {_number(row)}, median of {_cells(n)} with both"
    if alone:
        yield (
            f"  in A alone {row['only_a']:.0f} cells, in B alone {row['only_b']:.0f} "
            f"({row['open']:.0f} of these {alone:.0f} undecided); in neither "
            f"{row['neither']:.0f}"
        )


def _cells(n: int) -> str:
    """How many; that they are few is said."""
    return f"{'only ' * _is_few(n)}{n} cell{'s' * (n != 1)}"


def _is_few(n: int) -> bool:
    return 0 < n < FEWEST_CELLS


def _number(row: dict[str, Any], form: str = ".3g") -> str:
    value, low, high = (row[key] for key in ("value", "low", "high"))
    if math.isnan(value):
        return "-"
    spread = f"{{{row['q25']:{form}} to {row['q75']:{form}}}}"
    if math.isnan(low) or math.isnan(high):
        return f"{value:{form}} {spread}"
    return f"{value:{form}} [{low:{form}}, {high:{form}}] {spread}"
