"""When runs have learned, whether they still move, and when they are over."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from grokmap.arrays import Bools, Floats, Ints
from grokmap.classify.criteria import Criteria
from grokmap.classify.segments import Segments


def learned(
    table: pd.DataFrame, runs: Segments, name: str, criteria: Criteria
) -> Bools:
    """Records at which a run has learned its "train" or "test" examples."""
    accuracy = table[f"{name}_accuracy"]
    high = _passes(accuracy, getattr(criteria, f"{name}_bar"), criteria)
    by_loss = accuracy.isna().to_numpy() | criteria.by_loss
    if not by_loss.any() or f"{name}_loss" not in table:
        return high
    loss = table[f"{name}_loss"].to_numpy()
    if criteria.relative_loss:
        first = loss[runs.start][runs.segment]
        loss = np.divide(loss, first, out=np.full_like(loss, np.nan), where=first > 0)
    low = loss <= np.float32(getattr(criteria, f"{name}_loss_bar"))
    return np.where(by_loss, low, high)


def trends(
    table: pd.DataFrame,
    runs: Segments,
    train: Bools,
    test: Bools,
    memorised: Bools,
    criteria: Criteria,
) -> dict[str, Any]:
    """settled [runs], and the trends of losses and accuracies; see `Criteria`.

    train, test: records [rows] that pass their bars. A bar that is crossed in the last
    octave, either way, is no settled run's, nor is a test loss without a trend.
    """
    loss, accuracy = _loss_trend(table, runs, "test"), _trend(table, runs, "test")
    moving = (loss < -criteria.settled_loss) | (accuracy > criteria.settled_accuracy)
    of_train = _loss_trend(table, runs, "train"), _trend(table, runs, "train")
    fits = of_train[0] < -criteria.settled_loss
    fits |= of_train[1] > criteria.settled_accuracy
    moving |= (fits & ~memorised) | runs.turns(train) | runs.turns(test)
    return {
        "settled": ~moving & (np.isfinite(loss) | ("test_loss" not in table)),
        "test_loss_trend": loss,
        "test_accuracy_trend": accuracy,
        "train_loss_trend": of_train[0],
        "train_accuracy_trend": of_train[1],
    }


def _trend(table: pd.DataFrame, runs: Segments, name: str) -> Floats:
    return runs.trend(table[f"{name}_accuracy"].to_numpy(np.float64))


def _loss_trend(table: pd.DataFrame, runs: Segments, name: str) -> Floats:
    """Of ln(loss); a loss of exactly 0 is at the bottom of float32."""
    if f"{name}_loss" not in table:
        return np.full(len(runs.start), np.nan)
    loss = table[f"{name}_loss"].to_numpy(np.float64)
    return runs.trend(np.log(np.fmax(loss, np.finfo(np.float32).tiny)))


def progress(table: pd.DataFrame, runs: Segments, criteria: Criteria) -> Floats:
    """[runs] share of the way to the bar of the test examples at the last record, from
    the first: of the accuracy, or of the loss where that decides; see `learned`."""
    accuracy = table["test_accuracy"].to_numpy(np.float64)
    values, by_loss = accuracy, np.zeros(len(table), bool)
    if "test_loss" in table:
        by_loss = np.isnan(accuracy) | criteria.by_loss
        values = np.where(by_loss, table["test_loss"].to_numpy(np.float64), accuracy)
    first, last = values[runs.start], values[runs.end - 1]
    low = criteria.test_loss_bar * (first if criteria.relative_loss else 1.0)
    bar = np.where(by_loss[runs.start], low, criteria.test_bar)
    way = bar - first
    return np.divide(last - first, way, out=np.full_like(way, np.nan), where=way != 0)


def is_dead(table: pd.DataFrame, runs: Segments, criteria: Criteria) -> Bools:
    """Runs whose weights have vanished; see `over_at`."""
    if "weight_norm" not in table:
        return np.zeros(len(runs.start), bool)
    norm = table["weight_norm"].to_numpy()
    return norm[runs.end - 1] <= criteria.dead_norm * norm[runs.start]


def over_at(
    step: Ints,
    train_accuracy: npt.NDArray[np.float32],
    test_accuracy: npt.NDArray[np.float32],
    weight_norm: npt.NDArray[np.float32],
    tail: float,
    criteria: Criteria,
) -> Bools:
    """Records [rows] of one run, from step 0 on, from which it is over.

    Grokked: both accuracies have passed their bars and held since some step t, up to
    (1 + tail) t. Dead: the weights have shrunk to `dead_norm` of the initial ones. The
    loss moves a homogeneous network of degree d as |theta|^(d - 1), its decay as
    |theta|: for d > 2 decay has won for good, and for d = 2 a direction that could
    still grow would have kept the norm above its share of the initial weights.
    """
    both = _passes(train_accuracy, criteria.train_bar, criteria)
    both &= _passes(test_accuracy, criteria.test_bar, criteria)
    failed = np.maximum.accumulate(np.where(both, -1, np.arange(len(step))))
    since = step[np.minimum(failed + 1, len(step) - 1)]
    # A crossing at step 0 is no crossing: nothing was learned.
    until = (1.0 + tail) * np.where(since > 0, since, np.inf)
    held = both & (step >= until)
    return held | (weight_norm <= criteria.dead_norm * weight_norm[0])


def crossing(
    runs: Segments, holds: Bools, sustained: bool, last_step: int | None
) -> Ints:
    """Row of each run's crossing, or -1; records after `last_step` neither give one
    nor take one away."""
    if last_step is None:
        return runs.first(holds, sustained)
    inside = runs.step <= last_step
    row = runs.first(np.where(inside, holds, sustained), sustained)
    return np.where((row >= 0) & inside[row], row, -1)


def _passes(
    accuracy: pd.Series | npt.NDArray[np.float32], bar: float, criteria: Criteria
) -> Bools:
    """Whether each record passes its bar; a null (diverged) record does not."""
    # Accuracies are stored in float32, so the bar is compared in float32 too.
    values, limit = np.asarray(accuracy, np.float32), np.float32(bar)
    return values > limit if criteria.strict else values >= limit
