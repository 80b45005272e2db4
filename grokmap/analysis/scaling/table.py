"""All numbers of a finite-size scaling analysis as one tidy table."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grokmap.analysis.boundaries import midpoint
from grokmap.analysis.scaling.collapse import Collapse, fit_collapse
from grokmap.analysis.scaling.cumulants import binder, binder_crossings
from grokmap.analysis.scaling.curves import Curves, crossings, fit_curves, size_exponent
from grokmap.analysis.scaling.ensemble import (
    NONE,
    RESAMPLES,
    Ensemble,
    Interval,
    counts,
    interval,
    interval_of_curves,
    not_a_point,
)
from grokmap.analysis.scaling.times import (
    comparable_times,
    factor_intervals,
    fit_width_correction,
    rescaled_factors,
    unselected_times,
)
from grokmap.analysis.statistics import resample_weights, wilson
from grokmap.arrays import Bools, Floats
from grokmap.errors import ResultError

COLUMNS = ("name", "size", "next_size", "x", "value", "low", "high", "n", "note")
# Fewer cells of a size with both outcomes than this do not show how steep it is.
FEWEST_BETWEEN = 2
# Share of x whose own c may differ from the common one; 5% would by chance.
MOST_FAR = 0.25
TOO_STEEP = "steeper than the spacing of x shows"
NO_HALF = "P(grok) does not pass 1/2 on the axis"
TWO_BOUNDARIES = "two boundaries: give --between"
BRACKET = "low and high bracket it, no 95%"


class Found(NamedTuple):
    """What `measure` returns: the table and what the figure needs beyond it."""

    ensemble: Ensemble
    table: pd.DataFrame
    curves: Curves
    collapse: Collapse


def measure(ensemble: Ensemble, n_resamples: int = RESAMPLES) -> Found:
    """Measures everything, with 95% intervals: Wilson's for P, else over seeds.

    Returns a table with one row a number: name; size, next_size (of a pair), x (where
    it belongs to one); value, low, high (NaN: not found, and `note` says why); n (runs
    or times behind it). By name:
      undecided      censored runs of a cell, then left out of all else
      p_grok         share of runs that grok
      binder, binder_centred          cumulants of the order parameter
      half, slope    x of P = 1/2; slope of logit P (per x, or per ln x)
      p_crossing, binder_crossing     x where two successive sizes cross; low and high
                     of the latter bracket it: the nearest x that clearly differ
      collapse_s, collapse_x_c, collapse_inverse_nu, collapse_nu
      slope_exponent d ln |slope| / d ln size: 1/nu without a common x_c
      half_exponent  d ln half / d ln size: how far the transition drifts
      t_factor       t_grok over that of the largest size with one
      t_rescaled     the same at equal x / half: 1 if size only moves the transition
      t_correction   c of t_N = t_inf (1 + c/N), in all (x null) and at each x

    Raises:
      ResultError: no run grokked, or every cell has an undecided run.
    """
    if not np.isfinite(ensemble.grok).any():
        raise ResultError("every cell has a censored run: nothing is decided yet")
    if not (ensemble.grok == 1).any():
        raise ResultError("no run grokked in a decided cell: there is no transition")
    weights = resample_weights(ensemble.grok.shape[2], n_resamples)
    curves = _one_boundary(ensemble, fit_curves(ensemble, weights))
    collapse = fit_collapse(ensemble, weights, curves)
    if two_boundaries(ensemble).any():
        none = NONE._replace(note=TWO_BOUNDARIES)
        collapse = Collapse(none, none, none)
    rows = [
        *_cell_rows(ensemble, weights),
        *_curve_rows(ensemble, curves),
        *_binder_crossing_rows(ensemble, weights),
        *_collapse_rows(ensemble, collapse),
        *_time_rows(ensemble, weights),
        *_rescaled_rows(ensemble, weights, curves),
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for column in ("size", "next_size", "x", "value", "low", "high", "n"):
        table[column] = table[column].astype(float)
    return Found(ensemble, table, curves, collapse)


def _row(name: str, estimate: Interval, **place: Any) -> dict[str, Any]:
    return {"name": name, **estimate._asdict(), **place}


def _cell_rows(ensemble: Ensemble, weights: Floats) -> list[dict[str, Any]]:
    successes, trials = (v[0] for v in counts(ensemble.grok, weights[:1]))
    low, high = wilson(successes, trials)
    cumulants = {
        "binder": binder(ensemble, weights),
        "binder_centred": binder(ensemble, weights, centred=True),
    }
    rows = []
    for i, k in np.ndindex(successes.shape):
        cell = {"size": ensemble.sizes[i], "x": ensemble.x[k]}
        if ensemble.undecided[i, k]:
            estimate = NONE._replace(value=float(ensemble.undecided[i, k]))
            rows.append(_row("undecided", estimate, **cell))
        if trials[i, k] == 0:
            continue
        share = successes[i, k] / trials[i, k]
        cell["n"] = trials[i, k]
        bounds = float(low[i, k]), float(high[i, k])
        rows.append(_row("p_grok", Interval(float(share), *bounds), **cell))
        for name, values in cumulants.items():
            estimate = interval_of_curves(values[:, i, k], ensemble.n_seeds)
            rows.append(_row(name, estimate, **cell))
    return rows


def _on_axis(ensemble: Ensemble, estimate: Interval) -> Interval:
    """An interval in `place` as one in x."""
    if not ensemble.log:
        return estimate
    value, low, high = (float(np.exp(v)) for v in estimate[:3])
    return Interval(value, low, high, estimate.note)


def _curve_rows(ensemble: Ensemble, curves: Curves) -> list[dict[str, Any]]:
    rows = []
    steep, halves = too_steep(ensemble), _halves(ensemble, curves)
    twice = two_boundaries(ensemble)
    for i, size in enumerate(ensemble.sizes):
        rows.append(_row("half", halves[i], size=size))
        note = TWO_BOUNDARIES if twice[i] else TOO_STEEP if steep[i] else ""
        slope = interval(curves.slope[:, i], ensemble.n_seeds, note)
        rows.append(_row("slope", slope, size=size))
    for i, column in enumerate(crossings(ensemble, curves).T):
        pair = {"size": ensemble.sizes[i], "next_size": ensemble.sizes[i + 1]}
        crossing = interval_of_curves(column, ensemble.n_seeds)
        if not np.isfinite(crossing.value):
            either = twice[i : i + 2].any()
            note = TWO_BOUNDARIES if either else "the curves do not cross"
            crossing = crossing._replace(note=note)
        rows.append(_row("p_crossing", _on_axis(ensemble, crossing), **pair))
    return [*rows, *_exponent_rows(ensemble, curves, halves)]


def _halves(ensemble: Ensemble, curves: Curves) -> list[Interval]:
    """x of P = 1/2 of each size."""
    halves = []
    steep, twice = too_steep(ensemble), two_boundaries(ensemble)
    for i in range(len(ensemble.sizes)):
        if np.isfinite(curves.half[0, i]):
            falls = bool(curves.slope[0, i] < 0)
            edge = midpoint(ensemble.place, ensemble.grok[i], falls)
            half = Interval(*edge[1:], note=TOO_STEEP if steep[i] else "")
        else:
            half = NONE._replace(note=TWO_BOUNDARIES if twice[i] else NO_HALF)
        halves.append(_on_axis(ensemble, half))
    return halves


def _exponent_rows(
    ensemble: Ensemble, curves: Curves, halves: list[Interval]
) -> list[dict[str, Any]]:
    note = f"some sizes are {TOO_STEEP}" if too_steep(ensemble).any() else ""
    exponent = interval(size_exponent(ensemble.sizes, curves.slope), ensemble.n_seeds)
    exponent = NONE._replace(note=note) if note else exponent
    places = np.exp(curves.half) if ensemble.log else curves.half
    drift = interval(size_exponent(ensemble.sizes, places), ensemble.n_seeds)
    notes = [_missed_halves(ensemble, halves), note]
    drift = not_a_point(
        drift._replace(note="; ".join(filter(None, notes)) or drift.note)
    )
    if two_boundaries(ensemble).any():
        exponent = drift = NONE._replace(note=TWO_BOUNDARIES)
    rows = [_row("slope_exponent", exponent)]
    return [*rows, *([_row("half_exponent", drift)] if ensemble.x[0] > 0 else [])]


def _missed_halves(ensemble: Ensemble, halves: list[Interval]) -> str:
    """Which midpoints a power law has outside of their intervals, and what its exponent
    is from size to size; empty if none."""
    known = [i for i, half in enumerate(halves) if half.value > 0]
    if len(known) < 3:
        return ""
    size = np.log(ensemble.sizes[known])
    half = np.log([halves[i].value for i in known])
    fitted = np.exp(np.polyval(np.polyfit(size, half, 1), size))
    missed = [
        f"{ensemble.sizes[i]:g}"
        for i, value in zip(known, fitted, strict=True)
        if value < halves[i].low or value > halves[i].high
    ]
    if not missed:
        return ""
    local = ", ".join(f"{e:.2f}" for e in np.diff(half) / np.diff(size))
    sizes = ", ".join(missed)
    return f"a power misses {ensemble.size} {sizes}: {local} from size to size"


def too_steep(ensemble: Ensemble) -> Bools:
    """[S] whether fewer than two cells of a size have runs of both outcomes."""
    successes, trials = counts(ensemble.grok, np.ones((1, ensemble.grok.shape[2])))
    between = (successes[0] > 0) & (successes[0] < trials[0])
    return between.sum(axis=1) < FEWEST_BETWEEN


def two_boundaries(ensemble: Ensemble) -> Bools:
    """[S] whether P both rises and falls along x by more than noise.

    Where the 95% interval of some x lies above, or below, that of one before it and of
    one after it.
    """
    successes, trials = counts(ensemble.grok, np.ones((1, ensemble.n_seeds)))
    low, high = wilson(successes[0], trials[0])
    return _up_and_down(low, high) | _up_and_down(1 - high, 1 - low)


def _up_and_down(low: Floats, high: Floats) -> Bools:
    """[S] whether the interval of one x lies above one before it and one after it."""
    before = np.minimum.accumulate(high, axis=1)
    after = np.minimum.accumulate(high[:, ::-1], axis=1)[:, ::-1]
    return np.asarray((low > np.maximum(before, after)).any(axis=1))


def _one_boundary(ensemble: Ensemble, curves: Curves) -> Curves:
    """The curves of the sizes that have just one boundary on the axis; else NaN."""
    twice = two_boundaries(ensemble)
    return Curves(*(np.where(twice, np.nan, values) for values in curves))


def _binder_crossing_rows(ensemble: Ensemble, weights: Floats) -> list[dict[str, Any]]:
    by_pair = binder_crossings(ensemble, binder(ensemble, weights))
    rows = []
    for i, brackets in enumerate(by_pair):
        pair = {"size": ensemble.sizes[i], "next_size": ensemble.sizes[i + 1]}
        estimates = [Interval(*bracket, note=BRACKET) for bracket in brackets]
        none = [NONE._replace(note="the cumulants do not cross")]
        for estimate in estimates or none:
            rows.append(_row("binder_crossing", _on_axis(ensemble, estimate), **pair))
    return rows


def _collapse_rows(ensemble: Ensemble, collapse: Collapse) -> list[dict[str, Any]]:
    exponent, x_c = collapse.inverse_nu, _on_axis(ensemble, collapse.x_c)
    nu = NONE._replace(note=x_c.note)
    if np.isfinite(x_c.value):
        nu = Interval(1 / exponent.value, 1 / exponent.high, 1 / exponent.low, x_c.note)
    return [
        _row("collapse_s", collapse.quality),
        _row("collapse_x_c", x_c),
        _row("collapse_inverse_nu", exponent),
        _row("collapse_nu", nu),
    ]


def _time_rows(ensemble: Ensemble, weights: Floats) -> list[dict[str, Any]]:
    time = comparable_times(ensemble)
    n = np.isfinite(time).sum(axis=2)
    rows = []
    for i, (size, factor) in enumerate(
        zip(ensemble.sizes, factor_intervals(time), strict=True)
    ):
        if n[i].any():
            rows.append(_row("t_factor", factor, size=size, n=n[i].sum()))
    total = _correction(ensemble, time, weights)
    rows_by_x = []
    for k in np.flatnonzero((n > 0).sum(axis=0) >= 2):
        at_x = np.where(np.arange(len(ensemble.x))[:, None] == k, time, np.nan)
        rows_by_x.append(_correction(ensemble, at_x, weights) | {"x": ensemble.x[k]})
    value = total["value"]
    far = [value < row["low"] or value > row["high"] for row in rows_by_x]
    if np.isfinite(total["value"]) and np.mean(far) > MOST_FAR:
        where = f"{sum(far)} of {len(far)} {ensemble.axis}"
        total["note"] = f"no one c: outside of the interval at {where}"
    return [*rows, total, *rows_by_x]


def _rescaled_rows(
    ensemble: Ensemble, weights: Floats, curves: Curves
) -> list[dict[str, Any]]:
    if ensemble.x[0] <= 0:
        return []
    half = np.exp(curves.half) if ensemble.log else curves.half
    time = unselected_times(ensemble)
    factors = rescaled_factors(ensemble.x, half, time, weights)
    steep = too_steep(ensemble)
    rows = []
    for i in np.flatnonzero(np.isfinite(factors[0])):
        note = "half is known to the spacing of x only" if steep[i] else ""
        factor = interval(factors[:, i], ensemble.n_seeds, note)
        rows.append(_row("t_rescaled", factor, size=ensemble.sizes[i]))
    return rows


def _correction(ensemble: Ensemble, time: Floats, weights: Floats) -> dict[str, Any]:
    """The row of c; its note names the sizes that 1 + c/N misses."""
    n = int(np.isfinite(time).sum())
    if n == 0:
        axis, size = ensemble.axis, ensemble.size
        note = f"at no {axis} do all runs of two {size}s grok"
        return _row("t_correction", NONE._replace(note=note), n=0)
    c = fit_width_correction(ensemble.sizes, time, weights)
    estimate = interval_of_curves(c, ensemble.n_seeds)
    if not np.isfinite(estimate.value):
        note = "no finite c: t falls as 1/N or faster"
        return _row("t_correction", NONE._replace(note=note), n=n)
    missed = _missed_sizes(ensemble, factor_intervals(time), estimate.value)
    if missed:
        note = f"1 + c/N misses {ensemble.size} {', '.join(missed)}"
        estimate = estimate._replace(note=note if not estimate.note else estimate.note)
    return _row("t_correction", estimate, n=n)


def _missed_sizes(ensemble: Ensemble, factors: list[Interval], c: float) -> list[str]:
    """Sizes whose measured factor has 1 + c/N outside of its interval."""
    sizes = ensemble.sizes
    known = np.flatnonzero([np.isfinite(factor.value) for factor in factors])
    missed = []
    for i in known[:-1]:
        fitted = (1 + c / sizes[i]) / (1 + c / sizes[known[-1]])
        if fitted < factors[i].low or fitted > factors[i].high:
            missed.append(f"{sizes[i]:g}")
    return missed
