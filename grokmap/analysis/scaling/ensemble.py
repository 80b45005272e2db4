"""Labelled runs -> arrays by size, control parameter and seed, and their resamples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from grokmap.analysis.statistics import (
    FEWEST,
    FEWEST_OF_CURVES,
    percentile_interval,
    totals,
)
from grokmap.arrays import Floats, Ints
from grokmap.classify import GROK
from grokmap.errors import ResultError, SpecError

SIZES = ("width", "modulus")
CLOCKS = ("decay", "steps")
LOG_SPAN = 20  # largest over smallest value above which an axis is drawn in log
RESAMPLES = 400
ALIKE = "no interval: the resamples do not differ"
FEW = f"no interval below {FEWEST_OF_CURVES} seeds"
FEWEST_DEFINED = 0.95  # share of resamples in which a quantity must exist


class Ensemble(NamedTuple):
    """Runs by size [S], control parameter [K] and seed [R]; NaN where there is none.

    sizes, x: increasing values; place: x, or ln x on a log axis.
    grok: [S, K, R] 1 or 0; a cell with an undecided run is NaN throughout.
    undecided: [S, K] censored runs that have not grokked: neither yes nor no.
    order: [S, K, R] the order parameter at the end of the run, in the same cells.
    time: [S, K, R] t_grok of the runs that grokked, by `clock`, in the same cells.
    """

    size: str
    axis: str
    quantity: str
    clock: str
    log: bool
    sizes: Floats
    x: Floats
    place: Floats
    grok: Floats
    undecided: Ints
    order: Floats
    time: Floats

    @property
    def n_seeds(self) -> int:
        return int(self.grok.shape[2])


class Interval(NamedTuple):
    """A number, its 95% bootstrap interval, and what limits it, if anything does."""

    value: float
    low: float
    high: float
    note: str = ""


NONE = Interval(float("nan"), float("nan"), float("nan"))


def gather(
    runs: pd.DataFrame,
    size: str = "width",
    axis: str = "weight_decay",
    quantity: str = "test_accuracy",
    clock: str = "decay",
    log: bool | None = None,
) -> Ensemble:
    """Arranges the classified runs of one (size, axis, seed) grid.

    Args:
      runs: of `classify`, differing in size, axis and seed only.
      quantity: what `final_<quantity>` holds is the order parameter.
      clock: t_grok in "decay" times (t_grok * decay_rate) or in "steps".
      log: whether the axis is taken in ln; None: where it spans a factor above 20.

    Raises:
      SpecError: a name that is not known, or ln of values that are not positive.
      ResultError: fewer than 2 sizes, 2 values or FEWEST seeds; nothing recorded.
    """
    _check_names(runs, size, axis, quantity, clock)
    sizes, x, seeds = (np.unique(runs[k].astype(float)) for k in (size, axis, "seed"))
    _check_counts(size, axis, sizes, x, seeds)
    spans = bool(x[0] > 0 and x[-1] > LOG_SPAN * x[0])
    log = spans if log is None else log
    if log and x[0] <= 0:
        raise SpecError(f"--log: {axis} = {x[0]:g} has no logarithm")
    where = tuple(
        np.searchsorted(values, runs[k].astype(float))
        for values, k in ((sizes, size), (x, axis), (seeds, "seed"))
    )
    shape = (len(sizes), len(x), len(seeds))
    grokked = runs["phase"].eq(GROK).to_numpy()
    undecided = np.zeros(shape, np.int64)
    undecided[where] = runs["censored"].to_numpy(bool) & ~grokked
    known = undecided.sum(axis=2, keepdims=True) == 0
    steps = runs["t_grok"].astype(float).to_numpy()
    rate = runs["decay_rate"].to_numpy(np.float64) if clock == "decay" else 1.0
    final = runs[f"final_{quantity}"].to_numpy(np.float64)

    def spread(values: Floats) -> Floats:
        array = np.full(shape, np.nan)
        array[where] = values
        return np.where(known, array, np.nan)

    return Ensemble(
        size,
        axis,
        quantity,
        clock,
        log,
        sizes,
        x,
        np.log(x) if log else x,
        spread(grokked.astype(np.float64)),
        undecided.sum(axis=2),
        spread(final),
        spread(np.where(grokked & (steps > 0), steps * rate, np.nan)),
    )


def _check_names(
    runs: pd.DataFrame, size: str, axis: str, quantity: str, clock: str
) -> None:
    if size not in SIZES:
        raise SpecError(f"--size {size!r}; known: {', '.join(SIZES)}")
    if clock not in CLOCKS:
        raise SpecError(f"--clock {clock!r}; known: {', '.join(CLOCKS)}")
    if axis == size:
        raise SpecError(f"--x {axis}: is the size; choose another axis")
    if axis not in runs or not pd.api.types.is_numeric_dtype(runs[axis]):
        raise SpecError(f"--x {axis!r}: no axis of a sweep")
    final = f"final_{quantity}"
    if final not in runs or runs[final].isna().all():
        raise ResultError(f"{quantity} was not recorded, or is undefined here")


def _check_counts(
    size: str, axis: str, sizes: Floats, x: Floats, seeds: Floats
) -> None:
    if len(sizes) < 2:
        raise ResultError(f"only one {size}, {sizes[0]:g}: scaling needs two or more")
    if len(x) < 2:
        raise ResultError(f"{axis} is not swept; choose --x among the swept axes")
    if len(seeds) < FEWEST:
        raise ResultError(f"{len(seeds)} seeds: too few to resample; at least {FEWEST}")


def counts(grok: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """(successes, trials), each [B, S, K], of grok [S, K, R]."""
    return totals(grok, weights), totals(np.isfinite(grok).astype(float), weights)


def interval_of_curves(values: Floats, n_seeds: int, note: str = "") -> Interval:
    """`interval`, from FEWEST_OF_CURVES seeds on."""
    estimate = interval(values, n_seeds, note)
    enough = n_seeds >= FEWEST_OF_CURVES or not np.isfinite(estimate.low)
    return estimate if enough else without_ends(estimate)


def without_ends(estimate: Interval, why: str = FEW) -> Interval:
    note = "; ".join(filter(None, [estimate.note, why]))
    return Interval(estimate.value, np.nan, np.nan, note)


def not_a_point(estimate: Interval) -> Interval:
    """Without ends where they are one: resamples that do not differ, because cells are
    coarse or left out, do not tell how well a value is known."""
    one = bool(estimate.low == estimate.high)
    return without_ends(estimate, ALIKE) if one else estimate


def interval(values: Floats, n_seeds: int, note: str = "") -> Interval:
    """`percentile_interval` of [1 + B] values, the data's first.

    `NONE` where the data have no value, no bounds where too few resamples have one.
    """
    drawn = values[1:][np.isfinite(values[1:])]
    if not np.isfinite(values[0]):
        return NONE._replace(note=note or "undefined")
    share = len(drawn) / max(len(values) - 1, 1)
    if share < FEWEST_DEFINED:
        note = f"exists in {share:.0%} of the resamples"
        return Interval(float(values[0]), np.nan, np.nan, note)
    low, high = percentile_interval(drawn, n_seeds)
    return Interval(float(values[0]), low, high, note)
