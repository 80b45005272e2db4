"""Where the grok wedge begins and ends: lambda_min, lambda_max, alpha_c.

Along each row of a diagram P(grok) is 1/2 at a lower and an upper edge. Each edge is a
logistic curve in the axis (in its log, where that is how it is spaced), and its place
is given by its posterior. A bootstrap over the runs would not do: where no seed
disagrees with another, every resample gives the same curve, and an interval of width
zero (docs/boundaries.md has the coverage of both).

A censored run that has not grokked is undecided. Each edge is placed twice, with the
undecided as never grokking and as grokking: the two extremes, between which other
outcomes nearly always fall. An interval holds both, and where one of the two finds no
edge there is only a bound, "not bracketed within the horizon".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import logit, logsumexp, ndtri, stdtrit

from grokmap.analysis.statistics import LEVEL
from grokmap.arrays import Floats, Ints
from grokmap.classify import GROK, Criteria
from grokmap.spec import is_log

MIN, MAX = "min", "max"  # the edges of a row
PLACES, WIDTHS = 240, 24  # points of the posterior's grid
# Heights of the plateau inside the wedge, and their prior.
HEIGHTS = {1.0: 0.9, 0.85: 0.05, 0.7: 0.05}
# Smallest width of the posterior's grid, over the smallest distance between cells.
SHARPEST = 1 / 500

MEASURED = "measured"
BEYOND = "beyond the axis"
NOT_BRACKETED = "not bracketed within the horizon"
NO_GROK = "no grok"
UNDECIDED = "undecided"


class Row(NamedTuple):
    """Runs along one row.

    x: [k] increasing places (log of the axis, if it is one); yes, no, undecided: [k]
    runs that grokked, never will, and were cut short; by_seed: [seeds, k] the same, 1
    where a seed's run grokked, 0 where it never will, else NaN (None: not known).
    """

    x: Floats
    yes: Ints
    no: Ints
    undecided: Ints
    by_seed: Floats | None = None


class Edge(NamedTuple):
    """One end of the wedge in one row, in the units of `Row.x`; NaN where unknown.

    low, high: the interval; for a bound, one of them is NaN.
    """

    status: str
    estimate: float = np.nan
    low: float = np.nan
    high: float = np.nan


class Side(NamedTuple):
    """What places one rising edge: cells [k] up to the middle of the wedge."""

    x: Floats
    yes: Ints
    no: Ints
    middle: float
    by_seed: Floats | None = None


Edges = list[dict[str, Edge]]


def edges(rows: Sequence[Row], level: float = LEVEL) -> Edges:
    """Both edges of each row, with intervals that allow for the undecided runs."""
    none = [np.zeros_like(row.undecided) for row in rows]
    decided = [row._replace(undecided=n) for row, n in zip(rows, none, strict=True)]
    pairs = list(zip(rows, decided, strict=True))
    never = _edges([d._replace(no=r.no + r.undecided) for r, d in pairs], level)
    if not any(row.undecided.any() for row in rows):
        return never
    would = _edges([d._replace(yes=r.yes + r.undecided) for r, d in pairs], level)
    return [
        {name: _either(one[name], other[name], name) for name in (MIN, MAX)}
        for one, other in zip(never, would, strict=True)
    ]


def _either(never: Edge, would: Edge, name: str) -> Edge:
    """One edge from that with the undecided as never grokking and that as grokking."""
    if never.status == would.status:
        estimate = (never.estimate + would.estimate) / 2
        low, high = min(never.low, would.low), max(never.high, would.high)
        return Edge(never.status, estimate, low, high)
    if never.status == NO_GROK:
        return Edge(UNDECIDED)
    # The wedge is at least as wide as the decided runs make it, and may be wider.
    inner = never.high if name == MIN else never.low
    bound = {"high": inner} if name == MIN else {"low": inner}
    return Edge(NOT_BRACKETED, **bound)


def _edges(rows: Sequence[Row], level: float) -> Edges:
    """Both edges of rows whose every run is decided."""
    lower = [_side(row) for row in rows]
    # Mirrored, an upper edge is a lower one.
    upper = [_side(_mirrored(row)) for row in rows]
    below = place(lower, level)
    above = [_flipped(edge) for edge in place(upper, level)]
    return [{MIN: a, MAX: b} for a, b in zip(below, above, strict=True)]


def midpoint(x: Floats, by_seed: Floats, falls: bool) -> Edge:
    """Where P = 1/2 along a row that has one edge alone, rising or falling.

    Args: x: [k] as in `Row`; by_seed: [k, seeds] 1, 0 or NaN, a cell NaN altogether.
    """
    known = np.isfinite(by_seed).any(axis=1)
    outcome = by_seed[known].T
    yes, no = (np.sum(outcome == v, axis=0).astype(np.int64) for v in (1, 0))
    row = Row(x[known], yes, no, np.zeros_like(yes), outcome)
    row = _mirrored(row) if falls else row
    side = Side(row.x, row.yes, row.no, float(row.x[-1]), row.by_seed)
    (edge,) = place([side])
    if not ((side.yes > 0) & (side.no > 0)).any():
        # A step: the data do not say where in the gap it is, but the posterior of
        # many seeds that all agree concentrates on the middle.
        first = int(np.argmax(side.yes > 0))
        ends = (min(edge.low, side.x[first - 1]), max(edge.high, side.x[first]))
        edge = edge._replace(low=float(ends[0]), high=float(ends[1]))
    return _flipped(edge) if falls else edge


def _flipped(edge: Edge) -> Edge:
    return Edge(edge.status, -edge.estimate, -edge.high, -edge.low)


def _mirrored(row: Row) -> Row:
    by_seed = None if row.by_seed is None else row.by_seed[:, ::-1]
    counts = (row.yes[::-1], row.no[::-1], row.undecided[::-1])
    return Row(-row.x[::-1], *counts, by_seed)


def _side(row: Row) -> Side | Edge:
    """The cells that place the lower edge; an edge where they cannot."""
    x, yes, no, *_ = row
    box = _wedge(yes - no)
    if box is None:
        return Edge(NO_GROK)
    if box[0] == 0:
        return Edge(BEYOND, high=float(x[0]))
    middle = (x[box[0]] + x[box[1]]) / 2
    below = x <= middle
    by_seed = None if row.by_seed is None else row.by_seed[:, below]
    return Side(x[below], yes[below], no[below], middle, by_seed)


def _wedge(score: Ints) -> tuple[int, int] | None:
    """First and last cell of the stretch that grokking explains best: the largest sum
    of (runs that did - runs that did not); None where no stretch has more that did."""
    best, stretch, total, first = 0, None, 0, 0
    for i, value in enumerate(score):
        if total <= 0:
            total, first = 0, i
        total += int(value)
        if total > best:
            best, stretch = total, (first, i)
    return stretch


def place(sides: Sequence[Side | Edge], level: float = LEVEL) -> list[Edge]:
    """The edges of all rows at once, since together they tell how wide an edge is.

    P(grok) rises as a logistic curve of x from 0 to a plateau, with binomial counts at
    each x; place is where it is 1/2. All rows share one width and one of the heights
    HEIGHTS: one row alone, with one seed a cell, could not tell a sharp edge from a
    wide one, nor a plateau below 1 from an edge further inside. The priors of place
    and width are flat; one flat in the log of the width would favour a sharp edge
    wherever the seeds happen to agree, and its intervals would cover less than `level`.
    Nine in ten of the prior are on a plateau of 1: what speaks for another is runs
    inside the wedge that do not grok.

    A seed gives its runs at every x the same examples and initial weights, so that the
    cells of a row are not independent: log likelihoods are divided by their `excess`,
    as quasi-likelihoods are for overdispersed counts (McCullagh and Nelder, Generalized
    Linear Models, 1989, ch. 9). One seed gives no estimate of it, so the interval is
    that of this seed's edge; two give a poor one (docs/statistics.md).
    """
    usable = [side for side in sides if isinstance(side, Side)]
    if not usable:
        return [side for side in sides if isinstance(side, Edge)]
    gaps = [np.diff(side.x).min() for side in usable]
    widest = max(float(np.ptp(side.x)) for side in usable)
    widths = np.geomspace(min(gaps) * SHARPEST, widest / 4, WIDTHS)
    width, height = (grid.ravel() for grid in np.meshgrid(widths, list(HEIGHTS)))
    fits = [_likelihood(side, width, height) for side in usable]
    scatter = excess(usable, level)
    # Flat in width, whose points are spaced in its log.
    prior = np.log(width) + np.log([HEIGHTS[h] for h in height])
    plain = _posteriors([likelihood for _, likelihood in fits], prior)
    wide = _posteriors([likelihood / scatter for _, likelihood in fits], prior)
    measured = []
    for (places, _), cdf, wide_cdf in zip(fits, plain, wide, strict=True):
        # The scatter between seeds widens the interval without moving its middle.
        middle = float(np.interp(0.5, cdf, places))
        low, high = np.interp([(1 - level) / 2, (1 + level) / 2], wide_cdf, places)
        measured.append(Edge(MEASURED, middle, float(low), float(high)))
    rest = iter(measured)
    return [side if isinstance(side, Edge) else next(rest) for side in sides]


def _posteriors(likelihoods: Sequence[Floats], prior: Floats) -> list[Floats]:
    """Each row's distribution function of the place, [PLACES], from log likelihoods
    [PLACES, len(prior)] that share width and height; prior: its logarithm."""
    marginals = np.array([logsumexp(likelihood, axis=0) for likelihood in likelihoods])
    cdfs = []
    for likelihood, marginal in zip(likelihoods, marginals, strict=True):
        joint = likelihood + (marginals.sum(axis=0) - marginal + prior)
        density = np.exp(joint - np.max(joint)).sum(axis=1)
        cdfs.append((np.cumsum(density) - density / 2) / density.sum())
    return cdfs


def excess(sides: Sequence[Side], level: float = LEVEL) -> float:
    """Variance of the seeds' numbers of grokked cells, over that of independent cells.

    Sum over seeds of (sum over cells of e)^2 over the sum of all e^2, e a run's outcome
    minus its cell's mean; times the squared ratio of Student's t quantile to the normal
    one, for the few seeds. At least 1, and 1 where no cell has both outcomes.
    """
    between, within, dof = 0.0, 0.0, 0
    for side in sides:
        error = np.zeros((1, 1)) if side.by_seed is None else _residuals(side.by_seed)
        if error.any():
            between += float((error.sum(axis=1) ** 2).sum())
            within += float((error**2).sum())
            dof += len(error) - 1
    if between <= within:
        return 1.0
    tail = (1 + level) / 2
    return between / within * float(stdtrit(dof, tail) / ndtri(tail)) ** 2


def _residuals(by_seed: Floats) -> Floats:
    """[seeds, k] outcomes minus the mean of their cell, 0 where there is none."""
    known = np.isfinite(by_seed)
    outcome = np.where(known, by_seed, 0.0)
    mean = outcome.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(known, outcome - mean, 0.0)


def _likelihood(side: Side, width: Floats, height: Floats) -> tuple[Floats, Floats]:
    """Places [PLACES] from one cell below the first to half a cell above the middle,
    and the log likelihood [PLACES, len(width)] of the edge being there.

    P = height / (1 + exp(-z)), z = (x - place) / width + logit(1 / (2 height)), so that
    P is 1/2 at the place; width, in units of x, and height go together point by point.
    """
    gaps = np.diff(side.x)
    places = np.linspace(side.x[0] - gaps[0], side.middle + gaps[-1] / 2, PLACES)
    at_half = logit(0.5 / height)
    z = (side.x - places[:, None, None]) / width[:, None] + at_half[:, None]
    h = height[:, None]
    # log s and log(1 - h s) of s = 1 / (1 + exp(-z)), in the fastest of numpy's terms.
    rises = np.minimum(z, 0.0) - np.log(1.0 + np.exp(-np.abs(z)))
    left = np.log(np.maximum(1.0 - h * np.exp(rises), np.finfo(float).tiny))
    falls = np.where(h == 1.0, rises - z, left)
    terms = side.yes * (np.log(h) + rises) + side.no * falls
    return places, terms.sum(axis=-1)


def outcomes(runs: pd.DataFrame, grokked: Sequence[str]) -> tuple[pd.Series, pd.Series]:
    """[runs] whether each grokked, and whether it was cut short before it could say."""
    yes = runs["phase"].isin(grokked)
    return yes, runs["censored"].astype(bool) & ~yes


def row_of(runs: pd.DataFrame, x: str, log: bool, grokked: Sequence[str]) -> Row:
    """The runs of one row as counts at each place; x = 0 has none on a log axis."""
    runs = runs[runs[x] > 0] if log else runs
    yes, undecided = outcomes(runs, grokked)
    table = pd.DataFrame({"x": runs[x], "yes": yes, "undecided": undecided})
    table["no"] = ~yes & ~undecided
    counts = table.groupby("x").sum()
    places = counts.index.to_numpy(float)
    yes, no, open_ = (counts[k].to_numpy(np.int64) for k in ("yes", "no", "undecided"))
    by_seed = _by_seed(runs["seed"], table).reindex(columns=counts.index)
    where = np.log(places) if log else places
    return Row(where, yes, no, open_, by_seed.to_numpy(float))


def _by_seed(seed: pd.Series, table: pd.DataFrame) -> pd.DataFrame:
    """Outcomes of the decided runs, a row a seed and a column a place."""
    decided = table[~table["undecided"]].assign(seed=seed)
    return decided.astype({"yes": float}).pivot_table("yes", "seed", "x")


def boundaries(
    runs: pd.DataFrame,
    x: str = "weight_decay",
    y: str = "alpha",
    by: Sequence[str] = (),
    grokked: Sequence[str] = (GROK,),
    level: float = LEVEL,
    log: bool | None = None,
) -> pd.DataFrame:
    """Both edges along x of each row y.

    Args:
      runs: classified runs. by: the other axes that are swept, the seed aside.
      grokked: the phases that generalised.
      log: whether x is read as its log (default: as its places are spaced; those that
        refinement adds are spaced neither way, so there the sweep's own axis decides).

    Returns:
      by, y, edge (min, max), estimate, low, high (in units of x, at `level`; NaN where
      unknown; one of low, high alone is a bound), status (measured; beyond the axis:
      the outermost cell groks; not bracketed within the horizon: runs cut short might
      move it; no grok; undecided: no run grokked, some might have), n_runs,
      n_undecided.
    """
    log = is_log(runs[x]) if log is None else log
    names = [*by, y]
    edge_rows = []
    for _, panel in runs.groupby(list(by)) if by else [((), runs)]:
        rows = {
            point: row_of(part, x, log, grokked) for point, part in panel.groupby(names)
        }
        rows = {point: row for point, row in rows.items() if len(row.x) > 1}
        placed = edges(list(rows.values()), level)
        for (point, row), pair in zip(rows.items(), placed, strict=True):
            place = dict(zip(names, point, strict=True))
            for name, edge in pair.items():
                values = _in_units(edge, log) | _counts(row)
                edge_rows.append({**place, "edge": name, **values})
    columns = [*names, "edge", "estimate", "low", "high", "status"]
    return pd.DataFrame(edge_rows, columns=[*columns, "n_runs", "n_undecided"])


def _in_units(edge: Edge, log: bool) -> dict[str, Any]:
    values = {k: getattr(edge, k) for k in ("estimate", "low", "high")}
    if log:
        values = {k: float(np.exp(v)) for k, v in values.items()}
    return {**values, "status": edge.status}


def _counts(row: Row) -> dict[str, int]:
    n_undecided = int(row.undecided.sum())
    n_decided = int(row.yes.sum() + row.no.sum())
    return {"n_runs": n_decided + n_undecided, "n_undecided": n_undecided}


def critical(
    runs: pd.DataFrame,
    y: str = "alpha",
    by: Sequence[str] = (),
    grokked: Sequence[str] = (GROK,),
    level: float = LEVEL,
    log: bool | None = None,
) -> pd.DataFrame:
    """The y at which the wedge opens (min) and closes (max): alpha_c.

    A seed groks in a row if it does at any x that was tried. So a wedge narrower than
    the cells of x may be missed, and counts as closed. Rows as in `boundaries`, with y
    as x: one of each edge for every point of `by`.
    """
    yes, undecided = outcomes(runs, grokked)
    flags = runs[[*by, y, "seed"]].assign(yes=yes, undecided=undecided, all=0)
    seeds = flags.groupby([*by, "all", y, "seed"], as_index=False).any()
    phase = np.where(seeds["yes"], grokked[0], "")
    rows = seeds.assign(phase=phase, censored=seeds["undecided"])
    table = boundaries(rows, y, "all", by, grokked, level, log)
    return table.drop(columns="all")


def at_half_budget(trajectories: pd.DataFrame, plan: pd.DataFrame) -> pd.DataFrame:
    """The same runs with half of every budget; label them by the rules of `halved`.

    The budget does not affect how a run is trained, so no training is needed. A run
    that went on past half of its budget is taken to be, at that step, as it was at the
    last record before it.
    """
    table = trajectories.sort_values(["run_id", "step"], ignore_index=True)
    budget = plan.set_index("run_id")["budget_steps"] // 2
    limit = table["run_id"].map(budget).to_numpy(np.int64)
    inside = table["step"].to_numpy() <= limit
    within = table[inside]
    went_on = table.loc[~inside, "run_id"].unique()
    ends = within[within["run_id"].isin(went_on)].groupby("run_id").tail(1)
    ends = ends.assign(step=ends["run_id"].map(budget))
    return pd.concat([within, ends]).drop_duplicates(["run_id", "step"])


def halved(criteria: Criteria) -> Criteria:
    """The rules for half of every budget. (A plan's own horizon is halved likewise.)"""
    last = criteria.last_step
    return dataclasses.replace(
        criteria,
        horizon=criteria.horizon / 2,
        last_step=None if last is None else max(1, last // 2),
    )


def shifts(full: pd.DataFrame, half: pd.DataFrame, log: bool) -> pd.DataFrame:
    """How far half of the budget moves each edge that is measured at both.

    Args: full, half: of `boundaries`.

    Returns:
      Their keys, and shift: the edge at half the budget over that at the full one
      (minus it, where not log); shift_low, shift_high: as far as both intervals allow.
    """
    keys = list(full.columns[: full.columns.get_loc("edge") + 1])
    both = full.merge(half, on=keys, suffixes=("", "_half"))
    both = both[(both["status"] == MEASURED) & (both["status_half"] == MEASURED)]
    compare = np.divide if log else np.subtract
    pairs = {"shift": ("estimate",) * 2, "shift_low": ("low", "high")}
    pairs["shift_high"] = ("high", "low")
    moves = {k: compare(both[f"{a}_half"], both[b]) for k, (a, b) in pairs.items()}
    return both[keys].assign(**moves).reset_index(drop=True)
