"""The edges of the grok wedge for every pair of axes that a reader may choose."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from grokmap.analysis.boundaries import boundaries
from grokmap.result import groups
from grokmap.result.result import Result
from grokmap.spec.axis import Axis

MOST_ROWS = 400  # fitted in all, a few milliseconds each
NUMBERS = ("linear", "log", "integer")


def edges(
    result: Result, runs: pd.DataFrame, grokked: Sequence[str]
) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """(edges, fitted): edges along x in rows of y, with the place on the other axes.

    Pairs of axes come in the order of the sweep's, (weight_decay, alpha) first, until
    there are `MOST_ROWS` rows: fitted has those that were.
    """
    numbers = [a for a in result.axes if a.kind in NUMBERS and a.name != "seed"]
    known = {axis.name for axis in numbers}
    pairs = [(x.name, y.name) for x, y in itertools.permutations(numbers, 2)]
    pairs.sort(key=lambda pair: pair != ("weight_decay", "alpha"))
    found: list[dict[str, Any]] = []
    fitted, rows = [], 0
    for x, y in pairs if len(known) > 1 and len(runs) else []:
        rest = groups.others(result.axes, (x, y))
        more = len(runs[[y, *(axis.name for axis in rest)]].drop_duplicates())
        if rows + more <= MOST_ROWS:
            rows += more
            fitted.append((x, y))
            found += _of_pair(result, runs, x, y, rest, grokked)
    return found, fitted


def _of_pair(
    result: Result,
    runs: pd.DataFrame,
    x: str,
    y: str,
    rest: Sequence[Axis],
    grokked: Sequence[str],
) -> list[dict[str, Any]]:
    read = groups.is_read(runs, x) & groups.is_read(runs, y)
    log = result.is_log(x, runs)
    found = []
    for group in groups.split(runs[read], rest) if read.any() else []:
        table = boundaries(group.runs, x, y, (), grokked, log=log)
        for row in table.rename(columns={y: "row"}).to_dict("records"):
            place = {k: _plain(v) for k, v in group.place.items()}
            values = {k: _plain(v) for k, v in row.items()}
            found.append({"x": x, "y": y, "place": place, **values})
    return found


def _plain(value: Any) -> Any:
    """A value as JSON has it; None for NaN."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not np.isfinite(value) else value
