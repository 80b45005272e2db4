"""Planted data for every interval that grokmap prints, and whether it holds the truth.

A trial takes a generator and a number of seeds, and gives what it found: True where an
interval holds the planted value, False where it does not, None where there is none.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit

from grokmap.analysis import forecast, hysteresis, laws, scaling
from grokmap.analysis.boundaries import MEASURED, MIN, Row, edges, midpoint
from grokmap.analysis.scaling.ensemble import interval, interval_of_curves
from grokmap.analysis.statistics import (
    FEWEST_OF_CURVES,
    FEWEST_OF_SHARES,
    binder_cumulant,
    median_interval,
    median_ratio_interval,
    median_survival,
    mode_gap,
    over_cells,
    percentile_interval,
    resample_weights,
    resampled,
    wilson,
)

Rng = np.random.Generator
Held = bool | None
Trial = Callable[[Rng, int], list[Held]]


def held(low: float, truth: float, high: float) -> Held:
    return None if np.isnan([low, high]).any() else bool(low <= truth <= high)


def share(rng: Rng, n: int) -> list[Held]:
    """P(phase) of a cell, anywhere between 0 and 1."""
    p = rng.random()
    low, high = wilson(rng.binomial(n, p), n)
    return [held(float(low), p, float(high))]


def median_time(rng: Rng, n: int) -> list[Held]:
    """Exponential times, cut at 1.5."""
    times = rng.exponential(size=n)
    _, low, high = median_interval(np.minimum(times, 1.5), times < 1.5)
    return [held(low, np.log(2), high)]


def by_scipy(method: str) -> Trial:
    """The median of uncensored exponential times by `scipy.stats.bootstrap`."""

    def trial(rng: Rng, n: int) -> list[Held]:
        found = stats.bootstrap(
            (rng.exponential(size=n),),
            np.median,
            vectorized=True,
            n_resamples=1000,
            method=method,
            random_state=rng,
        ).confidence_interval
        return [held(found.low, np.log(2), found.high)]

    return trial


def ratio_of_medians(rng: Rng, n: int) -> list[Held]:
    """Two optimizers on the same seeds, one twice as slow."""
    of_seed = rng.lognormal(sigma=0.4, size=n)
    times = of_seed * rng.lognormal(sigma=0.3, size=(2, n)) * [[2.0], [1.0]]
    _, low, high = median_ratio_interval(times, np.ones((2, n), bool))
    return [held(low, 2.0, high)]


def over_plane(apart: bool, share: bool) -> Trial:
    """Of 24 cells, each with its own median time (or P(grok)), one result against
    another that is twice as slow (or 0.2 less likely to grok); of each seed all cells
    are early or late together.

    apart: whether the two have other seeds; else a seed is as early in both.
    """

    def trial(rng: Rng, n: int) -> list[Held]:
        weights = [resample_weights(n)] * 2
        if apart:
            weights[1] = np.vstack([weights[1][:1], weights[1][:0:-1]])
        early = rng.normal(scale=0.3, size=(2, 1, n))
        early[1] = early[1] if apart else early[0]
        own = rng.normal(scale=0.3, size=(2, 24, n))
        if share:
            p = rng.uniform(0.25, 0.75, 24) + [[0.0], [-0.2]]
            # Of each seed all cells together, a little: half of the variance.
            level = stats.norm.cdf((early + own) / np.sqrt(0.18))
            yes = (level < p[:, :, None]).astype(float)
            shares = [w @ y.T / n for w, y in zip(weights, yes, strict=True)]
            change = shares[1] - shares[0]
            _, low, high = over_cells(change, n, np.mean, FEWEST_OF_SHARES)
            return [held(low, -0.2, high)]
        times = np.exp(early + own) * rng.lognormal(size=(24, 1)) * [[[1.0]], [[2.0]]]
        ok = np.ones((24, n), bool)
        a, b = (median_survival(t, ok, w) for t, w in zip(times, weights, strict=True))
        _, low, high = over_cells(np.log(b) - np.log(a), n)
        return [held(low, np.log(2), high)]

    return trial


def outcomes(
    rng: Rng, n: int, x: np.ndarray, at: float, width: float, together: bool
) -> np.ndarray:
    """[k, n] whether runs grok: cells independent, or each seed with its own edge."""
    if together:
        return x[:, None] > at + width * rng.logistic(size=n)
    return rng.random((len(x), n)) < expit((x[:, None] - at) / width)


def edges_of_rows(width: float, together: bool) -> Trial:
    """Lower edges of a diagram of five rows of 16 cells; `width` in cells."""

    def trial(rng: Rng, n: int) -> list[Held]:
        x, rows, truth = np.arange(16.0), [], []
        for _ in range(5):
            truth.append(rng.uniform(4, 7))
            groks = outcomes(rng, n, x, truth[-1], width, together)
            yes = groks.sum(axis=1)
            rows.append(Row(x, yes, n - yes, np.zeros_like(yes), groks.T.astype(float)))
        return [
            held(own[MIN].low, at, own[MIN].high)
            for own, at in zip(edges(rows), truth, strict=True)
            if own[MIN].status == MEASURED
        ]

    return trial


def one_edge(width: float, together: bool) -> Trial:
    """One row alone: alpha_c, or the midpoint of a size in `scaling`."""

    def trial(rng: Rng, n: int) -> list[Held]:
        x, at = np.arange(16.0), rng.uniform(6, 9)
        groks = outcomes(rng, n, x, at, width, together).astype(float)
        if not 0 < groks.mean() < 1:
            return []
        edge = midpoint(x, groks, falls=False)
        return [held(edge.low, at, edge.high)]

    return trial


SIZES = np.array([32, 64, 128])
SCALED_X = np.linspace(0.01, 0.1, 24)
NU, X_C, STEEPNESS = 1.5, 0.05, 30.0


def ensemble_of(rng: Rng, n: int) -> scaling.Ensemble:
    """P falls through 1/2 at X_C, its slope as N^(1/NU), every seed with its own edge;
    times of t_inf (1 + 20/N), a seed faster than another."""
    stretch = STEEPNESS * (SIZES / SIZES[0]) ** (1 / NU)
    own = X_C + rng.normal(size=(3, 1, n)) / stretch[:, None, None]
    groks = SCALED_X[:, None] < own
    of_seed = rng.lognormal(sigma=0.2, size=n)
    times = (1 + 20 / SIZES)[:, None, None] * of_seed * 1000
    times = times * rng.lognormal(sigma=0.1, size=groks.shape)
    axes = np.ix_(SIZES, SCALED_X, np.arange(n))
    width, decay, seed = (np.broadcast_to(v, groks.shape).ravel() for v in axes)
    runs = pd.DataFrame({"width": width, "weight_decay": decay, "seed": seed})
    runs["phase"] = np.where(groks.ravel(), "grok", "no-learning")
    runs["t_grok"] = np.where(groks.ravel(), times.ravel(), np.nan)
    runs["final_test_accuracy"] = groks.ravel().astype(float)
    return scaling.gather(runs.assign(censored=False, decay_rate=0.01))


def scaled(name: str) -> Trial:
    """One number of `grokmap scaling`, from 200 resamples."""

    def trial(rng: Rng, n: int) -> list[Held]:
        if n < 6:
            return [None]
        ensemble = ensemble_of(rng, n)
        weights = resample_weights(n, 200)
        return SCALED[name](ensemble, weights)

    return trial


def _slope_exponent(ensemble: scaling.Ensemble, weights: np.ndarray) -> list[Held]:
    slopes = scaling.fit_curves(ensemble, weights).slope
    values = scaling.size_exponent(ensemble.sizes, slopes)
    one = interval(values, ensemble.n_seeds)
    return [held(one.low, 1 / NU, one.high)]


def _half_exponent(ensemble: scaling.Ensemble, weights: np.ndarray) -> list[Held]:
    halves = scaling.fit_curves(ensemble, weights).half
    one = interval(scaling.size_exponent(ensemble.sizes, halves), ensemble.n_seeds)
    return [held(one.low, 0.0, one.high)]


def _crossing(ensemble: scaling.Ensemble, weights: np.ndarray) -> list[Held]:
    places = scaling.crossings(ensemble, scaling.fit_curves(ensemble, weights))
    found = [interval_of_curves(column, ensemble.n_seeds) for column in places.T]
    return [held(one.low, X_C, one.high) for one in found]


def _collapse(ensemble: scaling.Ensemble, weights: np.ndarray) -> list[Held]:
    weights = weights[:81]
    curves = scaling.fit_curves(ensemble, weights)
    found = scaling.fit_collapse(ensemble, weights, curves)
    pairs = ((found.x_c, X_C), (found.inverse_nu, 1 / NU))
    return [held(one.low, truth, one.high) for one, truth in pairs]


def _factors(ensemble: scaling.Ensemble, weights: np.ndarray) -> list[Held]:
    time = scaling.comparable_times(ensemble)
    if not np.isfinite(time).any():
        return [None]
    found = scaling.factor_intervals(time)[:2]
    truth = (1 + 20 / SIZES) / (1 + 20 / SIZES[-1])
    return [held(one.low, t, one.high) for one, t in zip(found, truth, strict=False)]


def _rescaled(ensemble: scaling.Ensemble, weights: np.ndarray) -> list[Held]:
    """As `_factors`: the planted midpoint is one for all sizes."""
    half = scaling.fit_curves(ensemble, weights).half
    time = scaling.unselected_times(ensemble)
    found = scaling.rescaled_factors(ensemble.x, half, time, weights)
    truth = (1 + 20 / SIZES) / (1 + 20 / SIZES[-1])
    ends = [interval(found[:, i], ensemble.n_seeds) for i in (0, 1)]
    return [held(one.low, t, one.high) for one, t in zip(ends, truth, strict=False)]


def _correction(ensemble: scaling.Ensemble, weights: np.ndarray) -> list[Held]:
    time = scaling.comparable_times(ensemble)
    if not np.isfinite(time).any():
        return [None]
    c = scaling.fit_width_correction(ensemble.sizes, time, weights)
    one = interval_of_curves(c, ensemble.n_seeds)
    return [held(one.low, 20.0, one.high)]


SCALED = {
    "slope exponent": _slope_exponent,
    "half exponent": _half_exponent,
    "crossing": _crossing,
    "collapse": _collapse,
    "time factors": _factors,
    "time factors at equal x / half": _rescaled,
    "time correction": _correction,
}


def binder(q: float, sigma: float) -> Trial:
    """U of a quantity near 1 in a share q of the seeds, near 0 in the others."""

    def draw(rng: Rng, n: int) -> np.ndarray:
        return (rng.random(n) < q) + sigma * rng.normal(size=n)

    # Normal moments: <x^2> = 1 + s^2, <x^4> = 1 + 6 s^2 + 3 s^4 around 1.
    second = q + sigma**2
    fourth = q * (1 + 6 * sigma**2) + 3 * sigma**4
    truth = 1 - fourth / (3 * second**2)

    def trial(rng: Rng, n: int) -> list[Held]:
        if n < FEWEST_OF_CURVES:
            return [None]
        drawn = binder_cumulant(draw(rng, n), resample_weights(n, 400))[1:]
        known = drawn[np.isfinite(drawn)]
        return [held(*_around(percentile_interval(known, n), truth))]

    return trial


def _around(ends: tuple[float, float], truth: float) -> tuple[float, float, float]:
    return ends[0], truth, ends[1]


def gap_exponent(k: float) -> Trial:
    """Gap ~ width^-k of one normal mode at four widths."""

    def trial(rng: Rng, n: int) -> list[Held]:
        widths = 2.0 ** np.arange(5, 9)
        samples = [rng.normal(size=n) * w**-k for w in widths]
        gaps = np.array([mode_gap(resampled(own, 400)) for own in samples])
        slopes = -np.polyfit(np.log(widths), np.log(np.maximum(gaps, 1e-12)), 1)[0]
        return [held(*_around(percentile_interval(slopes, n), k))]

    return trial


RATES = 1e-4 * 2.0 ** np.arange(3)


def loops(rng: Rng, n: int, mean: np.ndarray) -> np.ndarray:
    """[seeds, rates] areas: seeds differ by factors, and runs somewhat."""
    factor = rng.lognormal(sigma=0.2, size=(n, 1))
    factor = factor * rng.lognormal(sigma=0.1, size=(n, 3))
    return mean * factor / np.exp((0.2**2 + 0.1**2) / 2)


def loop_exponent(rng: Rng, n: int) -> list[Held]:
    _, low, high = hysteresis.exponent(RATES, loops(rng, n, RATES**0.5))
    return [held(low, 0.5, high)]


def loop_offset(offset: float) -> Trial:
    def trial(rng: Rng, n: int) -> list[Held]:
        areas = loops(rng, n, offset + 0.3 * (RATES / RATES[0]) ** 0.66)
        _, low, high = hysteresis.offset(RATES, areas)
        return [held(low, offset, high)]

    return trial


def old_loop_exponent(rng: Rng, n: int) -> list[Held]:
    """What hysteresis did: percentiles of the medians of resampled seeds."""
    areas = loops(rng, n, RATES**0.5)
    drawn = np.median(areas[rng.integers(n, size=(1000, n))], axis=1)
    low, high = np.quantile(
        np.polyfit(np.log(RATES), np.log(drawn).T, 1)[0], (0.025, 0.975)
    )
    return [held(low, 0.5, high)]


def law_constant(together: bool) -> Trial:
    """C of t_grok = C / r, twice its standard error either way (nominally 95.4%), from
    24 cells; a fifth of the runs is censored. together: some seeds are slower."""

    def trial(rng: Rng, n: int) -> list[Held]:
        rate = np.repeat(np.geomspace(1e-5, 1e-2, 24), n)
        of_seed = rng.lognormal(sigma=0.1 if together else 0.0, size=n)
        time = 2.7 / rate * np.tile(of_seed, 24) * rng.lognormal(sigma=0.3, size=24 * n)
        last = 3.3 / rate
        runs = {"decay_rate": rate, "time": np.minimum(time, last), "t_mem": 1.0}
        runs |= {"grokked": time <= last, "weight_decay": 10 * rate, "norm_mem": 1.0}
        table = pd.DataFrame(runs | {"log_scale": 0.0, "system": "all"})
        data = laws.data_of(table, laws.START)
        law = laws.LAWS["kinetic"]
        found = laws.fit(law, data)
        error = laws.standard_errors(law, found, data)[0]
        c = found.p[0]  # its logarithm
        return [held(c - 2 * error, np.log(2.7), c + 2 * error)]

    return trial


def forecast_of(rng: Rng, n: int) -> list[Held]:
    """When runs grok, seen half-way there: intervals of 80%."""
    from test_forecast import planted

    trajectories, runs = planted(n_seeds=n, draw=int(rng.integers(2**32)))
    known = forecast.hindcasts(trajectories, forecast.candidates(runs))
    return [bool(x) for x in known.loc[known["fraction"] == 0.5, "inside"]]


SEEDS = (2, 3, 5, 6, 8, 12)
TRIALS: dict[str, Trial] = {
    "P(phase)": share,
    "median t_grok": median_time,
    "median by scipy's percentiles": by_scipy("percentile"),
    "median by scipy's BCa": by_scipy("BCa"),
    "ratio of medians": ratio_of_medians,
    "cells, ratio of times": over_plane(False, False),
    "cells, ratio of times, other seeds": over_plane(True, False),
    "change of P(grok) over cells": over_plane(False, True),
    "change of P(grok) over cells, other seeds": over_plane(True, True),
    "edges, width 0.3": edges_of_rows(0.3, False),
    "edges, width 0.3, cells of a seed together": edges_of_rows(0.3, True),
    "edges, width 1": edges_of_rows(1.0, False),
    "edges, width 1, cells of a seed together": edges_of_rows(1.0, True),
    "one edge, width 0.3": one_edge(0.3, False),
    "one edge, width 0.3, cells of a seed together": one_edge(0.3, True),
    "one edge, width 1": one_edge(1.0, False),
    "one edge, width 1, cells of a seed together": one_edge(1.0, True),
    **{name: scaled(name) for name in SCALED},
    "Binder cumulant, half above": binder(0.5, 0.1),
    "Binder cumulant, a fifth above": binder(0.2, 0.1),
    "gap exponent": gap_exponent(0.5),
    "loop exponent": loop_exponent,
    "loop exponent by resampled medians": old_loop_exponent,
    "loop offset, 0": loop_offset(0.0),
    "loop offset, half of the loop": loop_offset(0.3),
    "law constant": law_constant(False),
    "law constant, runs of a seed together": law_constant(True),
    "forecast (80%)": forecast_of,
}


def coverage(name: str, n: int, repetitions: int, seed: int = 0) -> tuple[float, int]:
    """(share of the intervals that hold the truth, how many there were); NaN of 0."""
    rng = np.random.default_rng([seed, n])
    every = [one for _ in range(repetitions) for one in TRIALS[name](rng, n)]
    known = [one for one in every if one is not None]
    return (float(np.mean(known)) if known else float("nan")), len(known)
