"""Two tables of labelled runs, cell by cell: times, P(grok) and labels.

A cell is a place on all axes that either table sweeps, but for the seed. Cells are
matched exactly, up to the rounding of numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grokmap.analysis.boundaries import outcomes
from grokmap.analysis.cells import TIMES, probabilities, waited
from grokmap.analysis.statistics import (
    FEWEST,
    FEWEST_OF_SHARES,
    RESAMPLES,
    median_survival,
    over_cells,
    resample_weights,
)
from grokmap.arrays import Floats, Ints

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


class Seeds(NamedTuple):
    """How often each seed of a side counts in the data and in each resample.

    seeds: [n] sorted; weights: [1 + B, n], or [1, n] where these are too few.
    """

    seeds: Ints
    weights: Floats


def measure(
    matched: Matched, axes: Sequence[str], grokked: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(cells, summary): what changes in each matched cell, and over all of them.

    Seeds are resampled whole, in a and b alike where these have the same seeds (as one
    seed gives both the same examples and initial weights), else each by itself.

    Returns:
      cells: one row each: the axes; n_runs, n_undecided, phase (the commonest), p_grok
        with its interval (`analysis.cells`) of a and of b (with _a, _b); decided: no
        run of either is undecided; differ: whether the phases do; p_grok_change, b less
        a, with _low, _high; and of each time T: T_a, T_b (Kaplan-Meier medians, inf:
        beyond what the runs show, or never), T_ratio, b over a (NaN where either is
        inf), T_low, T_high, T_in (which of the two has a median).
      summary: quantity, value, low, high; q25, q75 over the cells; n_cells; only_a,
        only_b, neither: cells by which of the two has a median; open: those of only_a
        and only_b in which a run of the other is undecided, and may yet have it. Of
        each time "T ratio": the median over the cells where both have one; "T ratio,
        all": the same with cells where a alone has one as infinite, where b alone has,
        as 0. And "p_grok change", the mean over the cells where some run of each is
        decided.
    """
    sides = [_with_times(runs, grokked) for runs in (matched.a, matched.b)]
    seeds = _seeds(sides)
    cells = _facts(sides, axes, grokked)
    found = {name: _medians(sides, seeds, name) for name in TIMES}
    n = min(len(side.seeds) for side in seeds)
    rows = [_p_change(sides, seeds, cells)]
    for name, (a, b) in found.items():
        cells = cells.assign(**_ratios(name, a, b, n))
        rows += _time_rows(name, a, b, cells, n)
    return cells, pd.DataFrame(rows)


def _with_times(runs: pd.DataFrame, grokked: Sequence[str]) -> pd.DataFrame:
    """Runs by cell, with what `waited` says of each time, as waited_T and happened_T;
    yes: it grokked; open: it is undecided."""
    yes, open_ = outcomes(runs, grokked)
    columns: dict[str, Any] = {"yes": yes, "open": open_}
    for name in TIMES:
        columns[f"waited_{name}"], columns[f"happened_{name}"] = waited(
            runs, name, grokked
        )
    return runs.assign(**columns).sort_values(["cell", "seed"], ignore_index=True)


def _seeds(sides: Sequence[pd.DataFrame]) -> list[Seeds]:
    """Of a and of b. Where they have not the same seeds, resamples are paired in two
    orders, so that those of one tell nothing of those of the other."""
    known = [np.unique(runs["seed"].to_numpy(np.int64)) for runs in sides]
    few = min(map(len, known)) < FEWEST
    weights = [resample_weights(len(own), 0 if few else RESAMPLES) for own in known]
    if not np.array_equal(known[0], known[1]):
        weights[1] = np.vstack([weights[1][:1], weights[1][:0:-1]])
    return [Seeds(*pair) for pair in zip(known, weights, strict=True)]


def _facts(
    sides: Sequence[pd.DataFrame], axes: Sequence[str], grokked: Sequence[str]
) -> pd.DataFrame:
    """Counts, labels and P(grok) of the cells."""
    first = sides[0].drop_duplicates("cell")[[*axes]].reset_index(drop=True)
    columns: dict[str, Any] = {}
    for end, runs in zip("ab", sides, strict=True):
        known = probabilities(runs, ["cell"], grokked)
        columns |= {f"{k}_{end}": known[k] for k in ("n_runs", "n_undecided")}
        columns[f"phase_{end}"] = _commonest(runs)
        for tail in ("", "_low", "_high"):
            columns[f"p_grok_{end}{tail}"] = known[f"p_grok{tail}"]
    cells = pd.DataFrame(columns)
    open_ = cells["n_undecided_a"] + cells["n_undecided_b"]
    differ = cells["phase_a"] != cells["phase_b"]
    cells = cells.assign(decided=open_ == 0, differ=differ)
    return pd.concat([first, cells.assign(**_change(cells))], axis=1)


def _commonest(runs: pd.DataFrame) -> Any:
    """[cells] the phase of most runs, of several the first by name."""
    counts = runs.groupby(["cell", "phase"]).size().reset_index(name="n")
    counts = counts.sort_values(["cell", "n", "phase"], ascending=[True, False, True])
    return counts.drop_duplicates("cell")["phase"].to_numpy()


def _change(cells: pd.DataFrame) -> dict[str, Any]:
    """P(grok) of b less that of a, with Newcombe's interval from those of both (Stat.
    Med. 17, 873 (1998), method 10), which hold whatever undecided runs would do."""
    a, b = cells["p_grok_a"], cells["p_grok_b"]
    below = np.hypot(b - cells["p_grok_b_low"], cells["p_grok_a_high"] - a)
    above = np.hypot(cells["p_grok_b_high"] - b, a - cells["p_grok_a_low"])
    change = b - a
    ends = {"p_grok_change_low": change - below, "p_grok_change_high": change + above}
    return {"p_grok_change": change, **ends}


def _medians(
    sides: Sequence[pd.DataFrame], seeds: Sequence[Seeds], name: str
) -> tuple[Floats, Floats]:
    """(a, b), each [1 + B, cells]: medians of a time in the data and each resample."""
    both = []
    for runs, own in zip(sides, seeds, strict=True):
        place = np.searchsorted(own.seeds, runs["seed"].to_numpy(np.int64))
        times, happened = (
            runs[f"{k}_{name}"].to_numpy() for k in ("waited", "happened")
        )
        columns = [
            median_survival(times[rows], happened[rows], own.weights[:, place[rows]])
            for rows in runs.groupby("cell").indices.values()
        ]
        both.append(np.stack(columns, axis=-1))
    return both[0], both[1]


def _ratios(name: str, a: Floats, b: Floats, n: int) -> dict[str, Any]:
    """The columns of a time in the table of cells."""
    has = np.isfinite([a[0], b[0]])
    known = has[0] & has[1]
    kind = np.select([known, has[0], has[1]], [BOTH, ONLY_A, ONLY_B], default=NEITHER)
    logs = _logs(a, b)
    ends = np.exp([over_cells(logs[:, [k]], n)[1:] for k in range(len(known))])
    return {
        f"{name}_a": a[0],
        f"{name}_b": b[0],
        f"{name}_ratio": np.where(known, np.exp(logs[0]), np.nan),
        f"{name}_low": np.where(known, ends[:, 0], np.nan),
        f"{name}_high": np.where(known, ends[:, 1], np.nan),
        f"{name}_in": kind,
    }


def _logs(a: Floats, b: Floats) -> Floats:
    """ln(b / a) of times; NaN where both are inf, or both are 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.log(b) - np.log(a))


def _time_rows(
    name: str, a: Floats, b: Floats, cells: pd.DataFrame, n: int
) -> list[dict[str, Any]]:
    kind, logs = cells[f"{name}_in"].to_numpy(), _logs(a, b)
    only_a, only_b = kind == ONLY_A, kind == ONLY_B
    open_a = cells["n_undecided_a"].to_numpy() > 0
    open_b = cells["n_undecided_b"].to_numpy() > 0
    counts = {
        "only_a": int(only_a.sum()),
        "only_b": int(only_b.sum()),
        "neither": int((kind == NEITHER).sum()),
        "open": int((only_a & open_b).sum() + (only_b & open_a).sum()),
    }
    known = ~np.isnan(logs[0])
    sets = {"": (kind == BOTH) & known, ", all": known}
    return [
        _measured(
            f"{name} ratio{end}", logs[:, some], over_cells(logs[:, some], n), np.exp
        )
        | counts
        for end, some in sets.items()
    ]


def _p_change(
    sides: Sequence[pd.DataFrame], seeds: Sequence[Seeds], cells: pd.DataFrame
) -> dict[str, Any]:
    """Over the cells in which both have decided runs; a resample that has none of them
    says nothing of that cell."""
    shares = []
    for runs, own in zip(sides, seeds, strict=True):
        place = np.searchsorted(own.seeds, runs["seed"].to_numpy(np.int64))
        rank = runs.groupby("cell").ngroup().to_numpy()
        yes, decided = (np.zeros((len(cells), len(own.seeds))) for _ in range(2))
        yes[rank, place], decided[rank, place] = runs["yes"], ~runs["open"]
        with np.errstate(invalid="ignore"):
            shares.append((own.weights @ yes.T) / (own.weights @ decided.T))
    known = cells["p_grok_change"].notna().to_numpy()
    change = (shares[1] - shares[0])[:, known]
    n = min(len(side.seeds) for side in seeds)
    found = over_cells(change, n, _mean_known, FEWEST_OF_SHARES)
    return _measured(P_CHANGE, change, found)


def _mean_known(values: Floats, axis: int = -1) -> Any:
    """The mean without the values that `over_cells` has for NaN."""
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=axis)
    with np.errstate(invalid="ignore"):
        return total / known.sum(axis=axis)


def _measured(
    quantity: str,
    values: Floats,
    found: tuple[float, float, float],
    scale: Any = np.asarray,
) -> dict[str, Any]:
    """A row of the summary. values: [1 + B, cells]; found: `over_cells` of them; scale:
    what they are shown on."""
    quartiles: Any = (np.nan, np.nan)
    if values.shape[-1]:
        quartiles = np.quantile(values[0], (0.25, 0.75), method="inverted_cdf")
    keys = ("value", "low", "high", "q25", "q75")
    return {
        "quantity": quantity,
        **{k: float(scale(v)) for k, v in zip(keys, (*found, *quartiles), strict=True)},
        "n_cells": values.shape[-1],
    }


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
        runs[["cell", "seed", "phase"]].assign(open=outcomes(runs, grokked)[1])
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
