"""How avalanches of gradients grow with a network: D, and its excess. Tables in, out.

D is the slope of ln s over ln N, N the number of parameters: s ~ N^D (Wang, arXiv
2604.04655). A threshold at a percentile makes it near 1 for any gradients, so what
counts is the excess over gradients without correlations on the same graphs.

Seeds are drawn again for each width, since every width has other networks; real and
other gradients by the same draws, so that intervals of an excess are those of pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from grokmap.analysis.statistics import percentile_interval
from grokmap.arrays import Floats, Ints

RESAMPLES = 10_000
REAL = "real"
BEFORE, AFTER = "before", "after"
# Times of the aligned curve, in units of each run's own transition.
RATIOS = np.geomspace(0.25, 4.0, 17)
FEWEST_WIDTHS = 3


class Cube(NamedTuple):
    """One size of avalanches of a family of runs that differ in width and seed.

    logs: [fields, widths, seeds, steps] ln s; NaN where there is none. fields[0] is
    REAL. n: [widths] parameters. transition: [widths, seeds] step at which each run
    has learned; NaN: never. run_ids: [widths, seeds]; "" where there is no run.
    """

    fields: tuple[str, ...]
    n: Ints
    steps: Floats
    logs: Floats
    transition: Floats
    run_ids: npt.NDArray[np.object_]


def cube_of(
    snapshots: pd.DataFrame, transition: Mapping[str, float], size: str = "total"
) -> Cube:
    """The cube of a table of snapshots of one family.

    snapshots: run_id, seed, n, step, field and the size, one row a run, step and field.
    transition: step by run_id.
    """
    # Not a categorical: the order of fields is theirs in the table.
    fields = tuple(dict.fromkeys(snapshots["field"]))
    n, seeds, steps = (np.unique(snapshots[k]) for k in ("n", "seed", "step"))
    places = (
        snapshots["field"].map({f: i for i, f in enumerate(fields)}).to_numpy(),
        np.searchsorted(n, snapshots["n"]),
        np.searchsorted(seeds, snapshots["seed"]),
        np.searchsorted(steps, snapshots["step"]),
    )
    values = snapshots[size].to_numpy(np.float64)
    logs = np.full((len(fields), len(n), len(seeds), len(steps)), np.nan)
    logs[places] = np.log(np.where(values > 0, values, np.nan))
    at, ids = np.full(logs.shape[1:3], np.nan), np.full(logs.shape[1:3], "", object)
    at[places[1:3]] = snapshots["run_id"].map(transition).to_numpy(np.float64)
    ids[places[1:3]] = snapshots["run_id"].to_numpy(object)
    return Cube(fields, n, steps.astype(np.float64), logs, at, ids)


def transitions(runs: pd.DataFrame) -> dict[str, float]:
    """The step from which each run has learned: t_grok, or t_mem if it never groks."""
    at = runs["t_grok"].astype(float).fillna(runs["t_mem"].astype(float))
    return dict(zip(runs["run_id"].astype(str), at, strict=True))


def dimension(n: Floats | Ints, sizes: Floats | Ints) -> Floats:
    """D [...], least-squares slope of ln s over ln N: n [W], s [..., W]."""
    x = np.log(n) - np.log(n).mean()
    return np.asarray(np.log(sizes) @ x / (x @ x))


def drawn_dimensions(logs: Floats, n: Ints, n_resamples: int = RESAMPLES) -> Floats:
    """[1 + B, ...] D of the means over seeds of logs [..., W, S]; row 0: of all seeds.

    A seed without a value is left out. NaN where a width has none at all.
    """
    *shape, n_widths, n_seeds = logs.shape
    flat = logs.reshape(-1, n_widths, n_seeds)
    x = np.log(n) - np.log(n).mean()
    rng = np.random.default_rng(0)
    out = np.zeros((1 + n_resamples, len(flat)))
    for width, place in enumerate(x):
        draws = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), n_resamples)
        weights = np.vstack([np.ones(n_seeds), draws])
        out += place / (x @ x) * _weighted_means(weights, flat[:, width])
    return out.reshape(-1, *shape)


def _weighted_means(weights: Floats, values: Floats) -> Floats:
    """[B, C] of values [C, S] under weights [B, S]; NaN where all of them are NaN.

    A resample without a value takes the mean of all.
    """
    known = np.isfinite(values)
    sums = weights @ np.where(known, values, 0.0).T
    counts = weights @ known.T
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums / counts
    return np.where(counts > 0, means, means[0])


def with_intervals(
    cube: Cube, logs: Floats, keys: pd.DataFrame, n_resamples: int = RESAMPLES
) -> pd.DataFrame:
    """D and its excess over each null of every column of logs [fields, W, S, C].

    keys: [C] what the columns are. Columns: those, field, d, d_low, d_high, and of the
    real gradients less this field excess, excess_low, excess_high.
    """
    drawn = drawn_dimensions(np.moveaxis(logs, -1, 1), cube.n, n_resamples)
    parts = []
    for i, field in enumerate(cube.fields):
        part = keys.assign(field=field)
        part = part.assign(**_columns("d", drawn[:, i], logs.shape[2]))
        excess = _columns("excess", drawn[:, 0] - drawn[:, i], logs.shape[2])
        parts.append(part.assign(**excess) if i else part)
    return pd.concat(parts, ignore_index=True)


def _columns(name: str, drawn: Floats, n_seeds: int) -> dict[str, Floats]:
    """Estimate and 95% interval of each column of draws [1 + B, C], row 0 the data."""
    bounds = np.array([percentile_interval(d[1:], n_seeds) for d in drawn.T])
    bounds = bounds.reshape(-1, 2)
    bounds[~np.isfinite(drawn[0])] = np.nan
    return {name: drawn[0], f"{name}_low": bounds[:, 0], f"{name}_high": bounds[:, 1]}


def over_time(cube: Cube, n_resamples: int = RESAMPLES) -> pd.DataFrame:
    """D of each field at each step (`with_intervals`)."""
    keys = pd.DataFrame({"step": cube.steps})
    return with_intervals(cube, cube.logs, keys, n_resamples)


def aligned(cube: Cube, n_resamples: int = RESAMPLES) -> pd.DataFrame:
    """The same over the step in units of each run's own transition.

    ln s between snapshots is linear in the step; NaN outside of a run.
    """
    out = np.full((*cube.logs.shape[:3], len(RATIOS)), np.nan)
    for field, width, seed in np.ndindex(cube.logs.shape[:3]):
        at, values = cube.transition[width, seed], cube.logs[field, width, seed]
        known = np.isfinite(values)
        if at > 0 and known.any():
            out[field, width, seed] = np.interp(
                RATIOS * at, cube.steps[known], values[known], np.nan, np.nan
            )
    return with_intervals(cube, out, pd.DataFrame({"ratio": RATIOS}), n_resamples)


def phase_logs(cube: Cube) -> Floats:
    """[fields, W, S, 2] means of ln s before and from each run's own transition on."""
    after = cube.steps >= cube.transition[..., None]
    before = cube.steps < cube.transition[..., None]
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = [
            np.nansum(np.where(mask, cube.logs, np.nan), axis=-1)
            / np.sum(mask & np.isfinite(cube.logs), axis=-1)
            for mask in (before, after)
        ]
    return np.stack(parts, axis=-1)


def by_phase(cube: Cube, n_resamples: int = RESAMPLES) -> pd.DataFrame:
    """D of each field before and after each run's own transition, and their change.

    Columns as of `with_intervals`, and loo_low, loo_high: least and largest D where one
    width is left out.
    """
    logs = phase_logs(cube)
    change = logs[..., 1:] - logs[..., :1]
    keys = pd.DataFrame({"phase": [BEFORE, AFTER, "change"]})
    logs = np.concatenate([logs, change], axis=-1)
    table = with_intervals(cube, logs, keys, n_resamples)
    left = np.stack([_without(logs, cube.n, w) for w in range(len(cube.n))])
    flat = left.reshape(len(left), -1)
    return table.assign(loo_low=flat.min(axis=0), loo_high=flat.max(axis=0))


def _without(logs: Floats, n: Ints, width: int) -> Floats:
    """[fields, C] D of logs [fields, W, S, C] without one width."""
    rest = np.delete(np.moveaxis(logs, -1, 1), width, axis=2)
    return np.asarray(drawn_dimensions(rest, np.delete(n, width), 0)[0])


def aggregate(cube: Cube, n_resamples: int = RESAMPLES) -> pd.DataFrame:
    """Exponents of all snapshots of a run together (`with_intervals`).

    exponent: "s_max", of the largest avalanche of a run; "gamma", of the mean one.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        largest = np.max(np.nan_to_num(cube.logs, nan=-np.inf), axis=-1)
        sizes = np.where(np.isfinite(cube.logs), np.exp(cube.logs), 0.0)
        mean = np.log(sizes.sum(axis=-1) / np.isfinite(cube.logs).sum(axis=-1))
    logs = np.stack([largest, mean], axis=-1)
    logs = np.where(np.isfinite(logs), logs, np.nan)
    keys = pd.DataFrame({"exponent": ["s_max", "gamma"]})
    return with_intervals(cube, logs, keys, n_resamples)


def distribution(cube: Cube, d: float) -> pd.DataFrame:
    """P(S >= s) of the real avalanches of each N, all seeds and snapshots together.

    Columns: n, s, ccdf, and s over N^d.
    """
    parts = []
    for width, n in enumerate(cube.n):
        logs = np.sort(cube.logs[0, width].ravel())
        s = np.exp(logs[np.isfinite(logs)])
        share = 1.0 - np.arange(len(s)) / max(len(s), 1)
        parts.append(pd.DataFrame({"n": n, "s": s, "ccdf": share, "scaled": s / n**d}))
    return pd.concat(parts, ignore_index=True)


def spread_of_collapse(table: pd.DataFrame) -> float:
    """Mean over pairs of N of the largest distance of their CCDFs over the scaled s.

    0: one curve; 1: no two of them overlap.
    """
    curves = [np.sort(part["scaled"]) for _, part in table.groupby("n")]
    grid = np.sort(np.concatenate(curves))
    heights = np.stack(
        [np.searchsorted(c, grid, side="right") / len(c) for c in curves]
    )
    apart = np.abs(heights[:, None] - heights[None]).max(axis=-1)
    pairs = np.triu_indices(len(curves), 1)
    return float(apart[pairs].mean()) if len(pairs[0]) else 0.0


def gini_peaks(gini: pd.DataFrame, transition: Mapping[str, float]) -> pd.DataFrame:
    """Of each run the Gini coefficient at first, its peak and its end.

    gini: run_id, step, gini. Columns: run_id, transition, first, peak, peak_step, last.
    """
    rows = []
    for run_id, part in gini.sort_values("step").groupby("run_id"):
        values, steps = part["gini"].to_numpy(), part["step"].to_numpy()
        top = int(np.argmax(values))
        rows.append(
            {
                "run_id": run_id,
                "transition": transition.get(str(run_id), np.nan),
                "first": values[0],
                "peak": values[top],
                "peak_step": steps[top],
                "last": values[-1],
            }
        )
    return pd.DataFrame(rows)


def families(snapshots: pd.DataFrame, keys: Sequence[str]) -> list[pd.DataFrame]:
    """The rows of each family: runs that agree in keys and have several widths."""
    groups = snapshots.groupby(list(keys), dropna=False) if keys else [((), snapshots)]
    return [part for _, part in groups if part["n"].nunique() >= FEWEST_WIDTHS]
