"""Trajectories -> phases, times and flags. Relabelling never retrains."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from grokmap.arrays import Floats
from grokmap.classify.criteria import CRITERIA, FLAGS, Criteria
from grokmap.classify.learning import crossing, is_dead, learned, progress, trends
from grokmap.classify.segments import Segments
from grokmap.errors import SpecError


def classify(
    trajectories: pd.DataFrame,
    plan: pd.DataFrame,
    criteria: Criteria = CRITERIA["default"],
) -> pd.DataFrame:
    """Labels every run that has a trajectory.

    Args:
      trajectories: run_id, step, accuracies and losses of train and test,
        zero_loss_fraction and any other quantities, in any order of rows.
      plan: one row a run: run_id, its system and control fields, seed, decay_rate,
        horizon (decay times; null for a fixed budget).
      criteria: the rules.

    Returns:
      One row a run in the order of the plan, with the plan's columns and: phase, t_mem,
      t_grok (steps, null = never), t_mem_first, t_grok_first, t_mem_resolution,
      t_grok_resolution, delay, delay_ratio, comprehension, censored, horizon_fraction,
      diverged, diverged_step, stalled, collapsed (a bar, of training or test, was
      reached and is lost at the last record), dead, partial, n_steps, settled,
      test_loss_trend (change of ln(test loss) in the last octave of steps),
      test_accuracy_trend, train_loss_trend, train_accuracy_trend, peak_test_accuracy,
      and final_* of every quantity at the last record (the last sound one of a diverged
      run), null where it is undefined there.
    """
    return classify_parts([trajectories], plan, criteria)


def classify_parts(
    parts: Iterable[pd.DataFrame],
    plan: pd.DataFrame,
    criteria: Criteria = CRITERIA["default"],
) -> pd.DataFrame:
    """`classify` of trajectories that come in parts, one held at a time.

    Args:
      parts: as `trajectories`; a run counts as its last part has it.
    """
    labelled = [_label(part, criteria) for part in parts if len(part)]
    if not labelled:
        nothing = dict.fromkeys(["phase", "n_steps", *FLAGS], pd.Series(dtype=bool))
        return plan.iloc[:0].assign(**nothing)
    labels = pd.concat(labelled).drop_duplicates("run_id", keep="last")
    runs = plan.merge(labels, on="run_id", how="inner", validate="one_to_one")
    return _censor(runs, criteria)


def _label(trajectories: pd.DataFrame, criteria: Criteria) -> pd.DataFrame:
    """One row a run, in order of run_id: all that needs no plan."""
    table = trajectories.sort_values(["run_id", "step"], ignore_index=True)
    table = _judged(table, criteria)
    runs = Segments(table)
    train, test = (learned(table, runs, name, criteria) for name in ("train", "test"))
    until = criteria.last_step
    mem, grok = (crossing(runs, x, criteria.sustained, until) for x in (train, test))
    mem_first, grok_first = (crossing(runs, x, False, until) for x in (train, test))
    t_mem, t_grok = runs.step_at(mem), runs.step_at(grok)
    t_mem_first, t_grok_first = runs.step_at(mem_first), runs.step_at(grok_first)
    both = (mem >= 0) & (grok >= 0)
    limit = (
        t_mem_first * criteria.comprehension_ratio
        if criteria.comprehension_delay is None
        else t_mem_first + criteria.comprehension_delay
    )
    no_delay = both & ((t_grok < limit) | (t_grok <= t_mem_first))
    ratio = np.where(both & (t_mem > 0), t_grok / np.maximum(t_mem, 1), np.nan)
    kind = np.where(both, np.where(no_delay, 3, 2), np.where(mem >= 0, 1, 0))
    last = runs.end - 1
    diverged = table["train_loss"].isna().to_numpy()[last]
    zero_loss = table["zero_loss_fraction"].to_numpy()[last]
    result = {
        "run_id": runs.ids,
        "phase": np.array(criteria.phases, dtype=object)[kind],
        "t_mem": t_mem,
        "t_grok": t_grok,
        "t_mem_first": t_mem_first,
        "t_grok_first": t_grok_first,
        "t_mem_resolution": runs.resolution_at(mem),
        "t_grok_resolution": runs.resolution_at(grok),
        "delay": np.where(both, t_grok - t_mem, np.nan),
        "delay_ratio": ratio,
        "comprehension": no_delay,
        "grokked": both,
        "diverged": diverged,
        "diverged_step": np.where(diverged, runs.step[last], np.nan),
        "stalled": (mem >= 0) & ~both & (zero_loss >= criteria.stalled_zero_loss),
        "collapsed": ((mem_first >= 0) & ~train[last])
        | ((grok_first >= 0) & ~test[last]),
        "dead": is_dead(table, runs, criteria),
        "n_steps": runs.step[last],
        **trends(table, runs, train, test, mem >= 0, criteria),
        "progress": progress(table, runs, criteria),
        "peak_test_accuracy": np.fmax.reduceat(
            table["test_accuracy"].to_numpy(np.float64), runs.start
        ),
        **_finals(table, runs),
    }
    return _nullable(pd.DataFrame(result))


def _judged(table: pd.DataFrame, criteria: Criteria) -> pd.DataFrame:
    """Records in which the set that the criteria judge stands in the test set's place.

    Raises:
      SpecError: no such set was recorded.
    """
    if criteria.judged == "test":
        return table
    own = {f"test_{k}": f"{criteria.judged}_{k}" for k in ("loss", "accuracy")}
    missing = [name for name in own.values() if name not in table]
    if missing:
        raise SpecError(
            f"criteria {criteria.name!r} judge by {missing[0]}, which is recorded "
            "where a sweep has `held_out`; choose others with --criteria"
        )
    return table.assign(**{name: table[other] for name, other in own.items()})


def _finals(table: pd.DataFrame, runs: Segments) -> dict[str, Floats]:
    """final_<quantity>: its value at the last record whose loss is finite, NaN if none.

    One record for all, so that final values belong together.
    """
    sound = np.where(table["train_loss"].isna(), -1, np.arange(len(table)))
    row = np.maximum.reduceat(sound, runs.start)
    finals = {}
    for column in table.columns.difference(["run_id", "step"], sort=False):
        values = table[column].to_numpy(np.float64)
        finals[f"final_{column}"] = np.where(row >= 0, values[row], np.nan)
    return finals


_STEPS = (
    "t_mem",
    "t_grok",
    "t_mem_first",
    "t_grok_first",
    "t_mem_resolution",
    "t_grok_resolution",
    "delay",
    "diverged_step",
    "n_steps",
)


def _nullable(table: pd.DataFrame) -> pd.DataFrame:
    """Steps as whole numbers with nulls instead of NaN."""
    return table.assign(**{k: table[k].astype("Int64") for k in _STEPS})


def _censor(runs: pd.DataFrame, criteria: Criteria) -> pd.DataFrame:
    """Adds horizon_fraction, partial and censored; see `Criteria`.

    A partial run is censored too: of those that were followed on, some grokked after
    all (docs/labels.md).
    """
    steps = runs["n_steps"].to_numpy(np.float64)
    if criteria.last_step is not None:
        fraction = np.minimum(1.0, steps / criteria.last_step)
    else:
        horizon = np.fmax(runs["horizon"].to_numpy(np.float64), criteria.horizon)
        # n_steps is a whole number at or above horizon / rate: allow for rounding.
        followed = steps * runs["decay_rate"].to_numpy(np.float64) * (1 + 1e-9)
        fraction = np.minimum(1.0, followed / horizon)
    waits, settled = fraction < 1, runs["settled"].to_numpy(bool)
    if criteria.last_step is None:
        waits |= ~settled
    grokked = runs.pop("grokked").to_numpy(bool)
    lost = runs["diverged"].to_numpy(bool) | runs["dead"].to_numpy(bool)
    halfway = runs.pop("progress").to_numpy() >= criteria.partial_from
    undecided = ~grokked & ~lost
    partial = undecided & ~waits & settled & halfway
    if criteria.last_step is None:
        waits |= partial
    return runs.assign(
        horizon_fraction=fraction, partial=partial, censored=undecided & waits
    )
