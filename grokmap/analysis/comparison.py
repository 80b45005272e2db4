"""Two tables of labelled runs, cell by cell: times, P(grok) and labels.

A cell is a place on all axes that either table sweeps, but for the seed. Cells are
matched exactly, up to the rounding of numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grokmap.analysis.cells import TIMES, probabilities, waited
from grokmap.analysis.statistics import (
    FEWEST,
    median_ratio_interval,
    median_survival,
    over_cells,
)
from grokmap.arrays import Floats

ROUNDING = 1e-6  # relative difference of numbers that are the same place
# By which of the two has a median within what its runs show.
BOTH, ONLY_A, ONLY_B, NEITHER = "both", "only a", "only b", "neither"
P_CHANGE = "p_grok change"


class Matched(NamedTuple):
    """Runs of both tables in the cells that both have, and the cells of one alone.

    a, b: with the column `cell`, a number; only_a, only_b: one row a cell, its axes.
    """

    a: pd.DataFrame
    b: pd.DataFrame
    only_a: pd.DataFrame
    only_b: pd.DataFrame


def match(a: pd.DataFrame, b: pd.DataFrame, axes: Sequence[str]) -> Matched:
    """The runs in cells of both; no axis: all runs of either are one cell."""
    if not axes:
        return Matched(a.assign(cell=0), b.assign(cell=0), a[[]][:0], b[[]][:0])
    both = pd.concat([a[[*axes]], b[[*axes]]], ignore_index=True)
    keys = both.assign(**{name: _places(both[name]) for name in axes})
    cell = keys.groupby(list(axes), sort=True).ngroup().to_numpy()
    a, b = a.assign(cell=cell[: len(a)]), b.assign(cell=cell[len(a) :])
    in_b, in_a = a["cell"].isin(b["cell"]), b["cell"].isin(a["cell"])
    only = (
        table.drop_duplicates("cell").sort_values("cell")[[*axes]]
        for table in (a[~in_b], b[~in_a])
    )
    return Matched(a[in_b], b[in_a], *only)


def _places(values: pd.Series) -> Any:
    """[n] numbers that rounding tells apart as one; words and switches as they are."""
    if values.dtype == bool or not pd.api.types.is_numeric_dtype(values):
        return values.astype(str)
    numbers = values.to_numpy(float, na_value=np.nan)
    known = np.unique(numbers[~np.isnan(numbers)])
    apart = np.diff(known) > ROUNDING * np.abs(known[1:])
    rank = np.append(0, np.cumsum(apart))
    there = np.searchsorted(known, numbers).clip(max=len(known) - 1)
    return np.where(np.isnan(numbers), -1, rank[there])


def cells(
    matched: Matched, axes: Sequence[str], grokked: Sequence[str]
) -> pd.DataFrame:
    """One row a matched cell.

    Returns:
      The axes; n_runs, n_undecided, phase (the commonest) of a and b (with _a, _b);
      decided: no run of either is undecided; differ: whether the phases do; p_grok of
      both with intervals (`analysis.cells`); p_grok_change, b less a, with _low, _high;
      and of each time T: T_a, T_b (Kaplan-Meier medians, inf: beyond what the runs
      show, or never), T_ratio, b over a (NaN where either is inf), T_low, T_high (where
      a and b share at least FEWEST seeds, each of which is resampled with both of its
      runs), T_in (which of the two has a median).
    """
    sides = [
        probabilities(runs, ["cell"], grokked).set_index("cell")
        for runs in (matched.a, matched.b)
    ]
    one, two = (_with_times(runs, grokked) for runs in (matched.a, matched.b))
    groups = zip(one.groupby("cell"), two.groupby("cell"), strict=True)
    rows = [_row(cell, (a, b), sides, axes) for (cell, a), (_, b) in groups]
    return pd.DataFrame(rows)


def _with_times(runs: pd.DataFrame, grokked: Sequence[str]) -> pd.DataFrame:
    """Runs with what `waited` says of each time, as waited_T and happened_T."""
    columns: dict[str, Any] = {}
    for name in TIMES:
        columns[f"waited_{name}"], columns[f"happened_{name}"] = waited(
            runs, name, grokked
        )
    return runs.assign(**columns)


def _row(
    cell: Any,
    pair: tuple[pd.DataFrame, pd.DataFrame],
    sides: Sequence[pd.DataFrame],
    axes: Sequence[str],
) -> dict[str, Any]:
    row: dict[str, Any] = {name: pair[0][name].iloc[0] for name in axes}
    for end, runs, side in zip("ab", pair, sides, strict=True):
        known = side.loc[cell]
        row[f"n_runs_{end}"] = int(known["n_runs"])
        row[f"n_undecided_{end}"] = int(known["n_undecided"])
        row[f"phase_{end}"] = runs["phase"].mode().iloc[0]
        for name in ("p_grok", "p_grok_low", "p_grok_high"):
            row[name.replace("p_grok", f"p_grok_{end}")] = float(known[name])
    row["decided"] = row["n_undecided_a"] == row["n_undecided_b"] == 0
    row["differ"] = row["phase_a"] != row["phase_b"]
    row |= _change(row)
    for name in TIMES:
        row |= _ratio(pair, name)
    return row


def _change(row: dict[str, Any]) -> dict[str, float]:
    """P(grok) of b less that of a, with Newcombe's interval from those of both (Stat.
    Med. 17, 873 (1998), method 10), which hold whatever undecided runs would do."""
    a, b = row["p_grok_a"], row["p_grok_b"]
    low = b - a - np.hypot(b - row["p_grok_b_low"], row["p_grok_a_high"] - a)
    high = b - a + np.hypot(row["p_grok_b_high"] - b, a - row["p_grok_a_low"])
    ends = {"p_grok_change_low": low, "p_grok_change_high": high}
    return {"p_grok_change": b - a, **ends}


def _ratio(pair: tuple[pd.DataFrame, pd.DataFrame], name: str) -> dict[str, Any]:
    columns = (f"waited_{name}", f"happened_{name}")
    found = [tuple(runs[column].to_numpy() for column in columns) for runs in pair]
    one, two = (float(median_survival(*times)) for times in found)
    has = np.isfinite([one, two])
    kind = {(True, True): BOTH, (True, False): ONLY_A, (False, True): ONLY_B}
    low, high = _seed_interval(pair, found) if has.all() else (np.nan, np.nan)
    return {
        f"{name}_a": one,
        f"{name}_b": two,
        f"{name}_ratio": two / one if has.all() and one > 0 else np.nan,
        f"{name}_low": low,
        f"{name}_high": high,
        f"{name}_in": kind.get((bool(has[0]), bool(has[1])), NEITHER),
    }


def _seed_interval(pair: Sequence[pd.DataFrame], found: Any) -> tuple[float, float]:
    """Of the ratio of one cell, from the seeds that both have."""
    seeds = [runs["seed"].to_numpy() for runs in pair]
    shared = np.intersect1d(*seeds)
    if len(shared) < FEWEST:
        return np.nan, np.nan
    rows = [[np.flatnonzero(of == seed)[0] for seed in shared] for of in seeds]
    # The ratio is that of b to a.
    times, happened = (
        np.stack([found[1][k][rows[1]], found[0][k][rows[0]]]) for k in (0, 1)
    )
    return median_ratio_interval(times, happened)[1:]


def summary(cells: pd.DataFrame) -> pd.DataFrame:
    """What changes over all matched cells; one row a quantity, see `over_cells`.

    Of a time: "T ratio", the median over the cells where both have one, and "T ratio,
    all", the same with those where a or b alone has one as 0 or as infinite: b is
    slower than any ratio where a alone groks. Of P(grok): "p_grok change", the mean
    over the cells in which some run of each is decided.

    Returns:
      quantity, value, low, high; n_cells that it is of; only_a, only_b, neither: cells
      by which of the two has a median; open: those of only_a and only_b where a run of
      the other is undecided, so that it may have one later.
    """
    rows = [_p_change(cells)]
    for name in TIMES:
        rows += _time_rows(cells, name)
    return pd.DataFrame(rows)


def _p_change(cells: pd.DataFrame) -> dict[str, Any]:
    values = cells["p_grok_change"].dropna().to_numpy(float)
    return _measured(P_CHANGE, over_cells(values, np.mean), len(values))


def _time_rows(cells: pd.DataFrame, name: str) -> list[dict[str, Any]]:
    kind, ratio = cells[f"{name}_in"], cells[f"{name}_ratio"]
    logs = np.log(ratio.to_numpy(float))
    logs = np.where(kind == ONLY_A, np.inf, np.where(kind == ONLY_B, -np.inf, logs))
    other = np.where(kind == ONLY_A, cells["n_undecided_b"], cells["n_undecided_a"])
    alone = kind.isin([ONLY_A, ONLY_B])
    counts = {
        "only_a": int((kind == ONLY_A).sum()),
        "only_b": int((kind == ONLY_B).sum()),
        "neither": int((kind == NEITHER).sum()),
        "open": int((alone & (other > 0)).sum()),
    }
    known = {"": logs[np.isfinite(logs)], ", all": logs[~np.isnan(logs)]}
    return [
        _measured(f"{name} ratio{end}", _exp(over_cells(some)), len(some)) | counts
        for end, some in known.items()
    ]


def _exp(values: tuple[float, float, float]) -> tuple[float, float, float]:
    value, low, high = (float(v) for v in np.exp(np.array(values)))
    return value, low, high


def _measured(
    quantity: str, value: tuple[float, float, float], n: int
) -> dict[str, Any]:
    ends = dict(zip(("value", "low", "high"), value, strict=True))
    return {"quantity": quantity, **ends, "n_cells": n}


def labels(
    matched: Matched, cells: pd.DataFrame, grokked: Sequence[str]
) -> pd.DataFrame:
    """How many labels differ: of cells by their commonest, of pairs of runs of one cell
    and one seed; where both are decided, and where one is not.

    Returns:
      of ("cells", "pairs"), decided, n, differ.
    """
    pairs = _pairs(matched, grokked)
    rows = [
        {
            "of": name,
            "decided": decided,
            "n": len(some),
            "differ": int(some["differ"].sum()),
        }
        for name, table in (("cells", cells), ("pairs", pairs))
        for decided in (True, False)
        for some in [table[table["decided"] == decided]]
    ]
    return pd.DataFrame(rows)


def _pairs(matched: Matched, grokked: Sequence[str]) -> pd.DataFrame:
    """One row a pair of runs that differ in what is compared alone."""
    sides = [
        runs[["cell", "seed", "phase"]].assign(
            open=runs["censored"].astype(bool) & ~runs["phase"].isin(grokked)
        )
        for runs in (matched.a, matched.b)
    ]
    pairs = sides[0].merge(sides[1], on=["cell", "seed"], suffixes=("_a", "_b"))
    decided = ~(pairs["open_a"] | pairs["open_b"])
    return pairs.assign(decided=decided, differ=pairs["phase_a"] != pairs["phase_b"])


def confusion(matched: Matched, grokked: Sequence[str]) -> pd.DataFrame:
    """phase_a, phase_b, decided, n: pairs of runs by both labels."""
    pairs = _pairs(matched, grokked)
    return pairs.groupby(["phase_a", "phase_b", "decided"]).size().reset_index(name="n")


def medians(matched: Matched, column: str, log: bool) -> Floats:
    """[matched cells] median of a column in b less that in a, or their ratio if log."""
    one, two = (
        runs.groupby("cell")[column].apply(lambda v: v.astype(float).median())
        for runs in (matched.a, matched.b)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return (two / one if log else two - one).to_numpy(float)
