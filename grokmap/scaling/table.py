"""All numbers of a finite-size scaling analysis as one tidy table."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from grokmap.errors import ResultError
from grokmap.scaling.binder import binder, binder_crossings
from grokmap.scaling.collapse import Collapse, fit_collapse
from grokmap.scaling.curves import Curves, crossings, fit_curves, size_exponent
from grokmap.scaling.ensemble import (
    NONE,
    RESAMPLES,
    Ensemble,
    Interval,
    counts,
    interval,
    resample_weights,
)
from grokmap.scaling.times import (
    comparable_times,
    fit_width_correction,
    rescaled_factors,
    size_factors,
    unselected_times,
)
from grokmap.uncertainty import wilson

Floats = npt.NDArray[np.float64]

COLUMNS = ("name", "size", "next_size", "x", "value", "low", "high", "n", "note")
# Fewer cells of a size with both outcomes than this do not show how steep it is.
FEWEST_BETWEEN = 2
# Share of x whose own c may differ from the common one; 5% would by chance.
MOST_FAR = 0.25
TOO_STEEP = "steeper than the spacing of x shows"


class Found(NamedTuple):
    """What `measure` found: the table and what the figure needs beyond it."""

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
                     of the latter are the nearest x where they clearly differ
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
    curves = fit_curves(ensemble, weights)
    collapse = fit_collapse(ensemble, weights, curves)
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


def _row(name: str, found: Interval, **place: Any) -> dict[str, Any]:
    return {"name": name, **found._asdict(), **place}


def _cell_rows(ensemble: Ensemble, weights: Floats) -> list[dict[str, Any]]:
    successes, trials = (v[0] for v in counts(ensemble.grok, weights[:1]))
    low, high = wilson(successes, trials)
    cumulants = {
        "binder": binder(ensemble, weights),
        "binder_centred": binder(ensemble, weights, centred=True),
    }
    rows = []
    for i, k in np.ndindex(successes.shape):
        at = {"size": ensemble.sizes[i], "x": ensemble.x[k]}
        if ensemble.undecided[i, k]:
            found = NONE._replace(value=float(ensemble.undecided[i, k]))
            rows.append(_row("undecided", found, **at))
        if trials[i, k] == 0:
            continue
        share = successes[i, k] / trials[i, k]
        at["n"] = trials[i, k]
        bounds = float(low[i, k]), float(high[i, k])
        rows.append(_row("p_grok", Interval(float(share), *bounds), **at))
        for name, values in cumulants.items():
            rows.append(_row(name, interval(values[:, i, k], ensemble.n_seeds), **at))
    return rows


def _on_axis(ensemble: Ensemble, found: Interval) -> Interval:
    """An interval in `place` as one in x."""
    if not ensemble.log:
        return found
    value, low, high = (float(np.exp(v)) for v in found[:3])
    return Interval(value, low, high, found.note)


def _curve_rows(ensemble: Ensemble, curves: Curves) -> list[dict[str, Any]]:
    rows = []
    steep = too_steep(ensemble)
    for i, size in enumerate(ensemble.sizes):
        note = TOO_STEEP if steep[i] else ""
        half = interval(curves.half[:, i], ensemble.n_seeds, note)
        if not np.isfinite(half.value):
            half = half._replace(note="P(grok) does not pass 1/2 on the axis")
        elif steep[i]:
            half = _bracketed(ensemble, half)
        rows.append(_row("half", _on_axis(ensemble, half), size=size))
        slope = interval(curves.slope[:, i], ensemble.n_seeds, note)
        rows.append(_row("slope", slope, size=size))
    for i, column in enumerate(crossings(ensemble, curves).T):
        pair = {"size": ensemble.sizes[i], "next_size": ensemble.sizes[i + 1]}
        found = interval(column, ensemble.n_seeds)
        if not np.isfinite(found.value):
            found = found._replace(note="the curves do not cross")
        rows.append(_row("p_crossing", _on_axis(ensemble, found), **pair))
    exponents = size_exponent(ensemble.sizes, curves.slope)
    exponent = interval(exponents, ensemble.n_seeds)
    if steep.any():
        exponent = NONE._replace(note=f"some sizes are {TOO_STEEP}")
    rows.append(_row("slope_exponent", exponent))
    if ensemble.x[0] > 0:
        halves = np.exp(curves.half) if ensemble.log else curves.half
        exponents = size_exponent(ensemble.sizes, halves)
        note = f"some sizes are {TOO_STEEP}" if steep.any() else ""
        drift = interval(exponents, ensemble.n_seeds, note)
        rows.append(_row("half_exponent", drift))
    return rows


def _bracketed(ensemble: Ensemble, half: Interval) -> Interval:
    """Where seeds agree on either side, 1/2 lies between two x: no resample knows
    where, so the interval holds both."""
    above = int(np.searchsorted(ensemble.place, half.value))
    above = min(max(above, 1), len(ensemble.place) - 1)
    low, high = ensemble.place[above - 1], ensemble.place[above]
    return half._replace(low=min(half.low, low), high=max(half.high, high))


def too_steep(ensemble: Ensemble) -> npt.NDArray[np.bool_]:
    """[S] whether fewer than two cells of a size have runs of both outcomes."""
    successes, trials = counts(ensemble.grok, np.ones((1, ensemble.grok.shape[2])))
    between = (successes[0] > 0) & (successes[0] < trials[0])
    return between.sum(axis=1) < FEWEST_BETWEEN


def _binder_crossing_rows(ensemble: Ensemble, weights: Floats) -> list[dict[str, Any]]:
    places = binder_crossings(ensemble, binder(ensemble, weights))
    rows = []
    for i, own in enumerate(places):
        pair = {"size": ensemble.sizes[i], "next_size": ensemble.sizes[i + 1]}
        found = [Interval(*crossing) for crossing in own]
        none = [NONE._replace(note="the cumulants do not cross")]
        for one in found or none:
            rows.append(_row("binder_crossing", _on_axis(ensemble, one), **pair))
    return rows


def _collapse_rows(ensemble: Ensemble, collapse: Collapse) -> list[dict[str, Any]]:
    exponent, x_c = collapse.inverse_nu, _on_axis(ensemble, collapse.x_c)
    nu = NONE._replace(note=x_c.note)
    if np.isfinite(x_c.value):
        nu = Interval(1 / exponent.value, 1 / exponent.high, 1 / exponent.low)
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
    factors = size_factors(time, weights)
    for i, size in enumerate(ensemble.sizes):
        if n[i].any():
            found = interval(factors[:, i], ensemble.n_seeds)
            rows.append(_row("t_factor", found, size=size, n=n[i].sum()))
    total = _correction(ensemble, time, weights)
    own_rows = []
    for k in np.flatnonzero((n > 0).sum(axis=0) >= 2):
        own = np.where(np.arange(len(ensemble.x))[:, None] == k, time, np.nan)
        own_rows.append(_correction(ensemble, own, weights) | {"x": ensemble.x[k]})
    far = [not row["low"] <= total["value"] <= row["high"] for row in own_rows]
    if np.isfinite(total["value"]) and np.mean(far) > MOST_FAR:
        where = f"{sum(far)} of {len(far)} {ensemble.axis}"
        total["note"] = f"no one c: outside of the interval at {where}"
    return [*rows, total, *own_rows]


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
        found = interval(factors[:, i], ensemble.n_seeds, note)
        rows.append(_row("t_rescaled", found, size=ensemble.sizes[i]))
    return rows


def _correction(ensemble: Ensemble, time: Floats, weights: Floats) -> dict[str, Any]:
    """The row of c; its note names the sizes that 1 + c/N misses."""
    n = int(np.isfinite(time).sum())
    if n == 0:
        axis, size = ensemble.axis, ensemble.size
        note = f"at no {axis} do all runs of two {size}s grok"
        return _row("t_correction", NONE._replace(note=note), n=0)
    c = fit_width_correction(ensemble.sizes, time, weights)
    found = interval(c, ensemble.n_seeds)
    if not np.isfinite(found.value):
        note = "no finite c: t falls as 1/N or faster"
        return _row("t_correction", NONE._replace(note=note), n=n)
    missed = _missed_sizes(ensemble, size_factors(time, weights), found.value)
    if missed:
        note = f"1 + c/N misses {ensemble.size} {', '.join(missed)}"
        found = found._replace(note=note if not found.note else found.note)
    return _row("t_correction", found, n=n)


def _missed_sizes(ensemble: Ensemble, factors: Floats, c: float) -> list[str]:
    """Sizes whose measured factor has 1 + c/N outside of its interval."""
    sizes, known = ensemble.sizes, np.flatnonzero(np.isfinite(factors[0]))
    missed = []
    for i in known[:-1]:
        fitted = (1 + c / sizes[i]) / (1 + c / sizes[known[-1]])
        measured = interval(factors[:, i], ensemble.n_seeds)
        if not measured.low <= fitted <= measured.high:
            missed.append(f"{sizes[i]:g}")
    return missed
