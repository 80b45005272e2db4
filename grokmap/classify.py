"""Trajectories -> phases, times and flags: a pure function of two tables and a
frozen `Criteria`. Relabelling never retrains."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from grokmap import disk
from grokmap.arrays import Bools, Floats, Ints
from grokmap.errors import SpecError

NO_LEARNING, MEMORIZE_ONLY, GROK = "no-learning", "memorize-only", "grok"
PHASES = (NO_LEARNING, MEMORIZE_ONLY, GROK)
MAX_CRITERIA_BYTES = 1 << 16
MAX_PHASE = 40  # letters of a phase's name
FLAGS = ("censored", "diverged", "stalled", "collapsed", "dead", "partial")
FEWEST_RECORDS = 3  # of a trend


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """Rules by which a run is labelled. Times in steps, accuracies in [0, 1].

    train_bar, test_bar: accuracies that count as learned and as generalised.
    train_loss_bar, test_loss_bar: losses that count as the same, at or below, where
      there is no accuracy (real targets), or everywhere with `by_loss`.
    relative_loss: whether they are shares of the run's initial losses.
    strict: whether an accuracy has to exceed its bar (else: reach it).
    sustained: whether a crossing has to hold at every later record (else: the first).
    last_step: crossings after this step do not count, and a run that reached it is
      decided (None: all count, and `horizon` decides).
    horizon: weight-decay times 1/decay_rate for which a run must be followed at least
      before "it did not grok" is decided; a sweep's own horizon counts if it is longer.
    settled_loss, settled_accuracy: a run that has not grokked is decided only once it
      has settled: in its last octave of steps ln(test loss) fell by at most the one,
      and the test accuracy rose by at most the other. Of a run that has not memorised
      the training loss and accuracy count as well. Without `last_step` only.
    partial_from: share of the way from the initial test accuracy to its bar, or test
      loss, from which a run that settled without grokking is partial, not decided.
    comprehension_ratio: t_grok / t_mem below which a grok was no delay (both from
      first crossings, so that a late dip of the training accuracy makes no grok one).
    comprehension_delay: the same as a difference in steps; replaces the ratio.
    stalled_zero_loss: share of training examples with loss exactly 0 from which a run
      that has not grokked counts as stalled (softmax collapse).
    dead_norm: weight norm, over the initial one, at which a run is dead.
    phases: names of (neither, train only, both, both without delay).
    """

    name: str = "default"
    train_bar: float = 0.99
    test_bar: float = 0.95
    train_loss_bar: float = 0.1
    test_loss_bar: float = 0.1
    relative_loss: bool = True
    by_loss: bool = False
    strict: bool = False
    sustained: bool = True
    last_step: int | None = None
    horizon: float = 6.0
    settled_loss: float = 0.03
    settled_accuracy: float = 0.05
    partial_from: float = 0.25
    comprehension_ratio: float = 2.0
    comprehension_delay: int | None = None
    stalled_zero_loss: float = 0.5
    dead_norm: float = 1e-4
    phases: tuple[str, str, str, str] = (NO_LEARNING, MEMORIZE_ONLY, GROK, GROK)

    @property
    def generalised(self) -> tuple[str, ...]:
        """The names of the phases that count as grokked: both, with or without delay.

        Raises:
          SpecError: a phase that did not generalise has one of these names.
        """
        names = tuple(dict.fromkeys(self.phases[2:]))
        same = sorted({*self.phases[:2]} & {*names})
        if same:
            raise SpecError(
                f"criteria {self.name!r} call runs that generalised {same[0]!r}, as "
                "they call others, so that none would seem to have grokked; choose "
                "other names in `phases`"
            )
        return names


# The literature's rules; thresholds as printed or as coded (Liu et al., arXiv
# 2205.10343, Table 1: T = 1e5, a delay of 1e3 steps; the survey's code: first logged
# step above 0.99 / 0.95, ratio only).
CRITERIA: dict[str, Criteria] = {
    "default": Criteria(),
    "liu2022": Criteria(
        name="liu2022",
        train_bar=0.9,
        test_bar=0.9,
        strict=True,
        sustained=False,
        last_step=100_000,
        comprehension_delay=1000,
        phases=("confusion", "memorization", "grokking", "comprehension"),
    ),
    "survey2026": Criteria(name="survey2026", strict=True, sustained=False),
}


NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_BOUNDS = {
    "train_bar": (1e-6, 1.0),
    "test_bar": (1e-6, 1.0),
    "train_loss_bar": (0.0, 1e12),
    "test_loss_bar": (0.0, 1e12),
    "last_step": (1, 1e12),
    "horizon": (1e-6, 1e9),
    "settled_loss": (0.0, 1e9),
    "settled_accuracy": (0.0, 1e9),
    "partial_from": (0.0, 1.0),
    "comprehension_ratio": (1.0, 1e9),
    "comprehension_delay": (0, 1e12),
    "stalled_zero_loss": (0.0, 1.0),
    "dead_norm": (0.0, 1.0),
}


def read_criteria(name: str) -> Criteria:
    """A preset by name, or a user's own from a TOML file with fields of `Criteria`.

    Raises:
      SpecError: neither; or unknown fields, wrong types, bars outside (0, 1].
    """
    if name in CRITERIA:
        return CRITERIA[name]
    path = Path(name)
    if path.suffix != ".toml":
        raise SpecError(
            f"unknown criteria {name!r}; known: {', '.join(CRITERIA)}, or a .toml file"
        )
    try:
        table = disk.read_toml(path, MAX_CRITERIA_BYTES)
    except (OSError, ValueError, RecursionError) as error:
        why = disk.reason(error)[:80]
        raise SpecError(f"{path}: unreadable criteria: {why}") from None
    return _criteria_of({"name": path.stem, **table}, path)


def _criteria_of(table: dict[str, Any], path: Path) -> Criteria:
    from pydantic import TypeAdapter, ValidationError

    known = [f.name for f in dataclasses.fields(Criteria)]
    problems = [
        f"{path}: unknown key {key[:60]!r}; known: {', '.join(known)}"
        for key in table
        if key not in known
    ]
    sound = {k: v for k, v in table.items() if k in known}
    rules = TypeAdapter(Criteria)
    try:
        criteria = rules.validate_python(sound)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            key = str(detail["loc"][0])
            if sound.pop(key, None) is not None:
                problems.append(f"{path}: {key}: {detail['msg']}")
        criteria = rules.validate_python(sound)
    if criteria.name in CRITERIA or not re.fullmatch(NAME, criteria.name):
        problems.append(
            f"{path}: name = {criteria.name[:60]!r}: letters, digits, '.', '_', '-'; "
            f"not {', '.join(CRITERIA)}"
        )
    if not all(map(_is_phase, criteria.phases)):
        problems.append(
            f"{path}: phases: printable, 1 to {MAX_PHASE} letters, and not "
            f"{', '.join(FLAGS)}"
        )
    for field, (low, high) in _BOUNDS.items():
        given = getattr(criteria, field)
        if given is not None and not low <= given <= high:
            problems.append(f"{path}: {field} = {given}: within [{low:g}, {high:g}]")
    if criteria.strict and 1 in (criteria.train_bar, criteria.test_bar):
        problems.append(f"{path}: strict = true: nothing exceeds a bar of 1")
    if problems:
        raise SpecError(problems)
    return criteria


def _is_phase(name: str) -> bool:
    """Whether a phase may have this name: it is printed, and drawn."""
    return name not in FLAGS and name.isprintable() and 0 < len(name) <= MAX_PHASE


class _Runs:
    """Trajectories sorted by run and step, seen as segments of equal run_id."""

    def __init__(self, trajectories: pd.DataFrame) -> None:
        ids = trajectories["run_id"].to_numpy()
        new = np.ones(len(ids), bool)
        new[1:] = ids[1:] != ids[:-1]
        self.start = np.flatnonzero(new)
        self.end = np.append(self.start[1:], len(ids))
        self.ids = ids[self.start]
        self.segment = np.cumsum(new) - 1
        self.step = trajectories["step"].to_numpy(np.float64)

    def first(self, holds: Bools, sustained: bool) -> Ints:
        """Row of each run's first record from which `holds` (to its end), or -1."""
        rows = np.arange(len(holds))
        if sustained:
            # One past the last record where it does not hold.
            failed = np.where(holds, self.start[self.segment] - 1, rows)
            row = np.maximum.reduceat(failed, self.start) + 1
        else:
            late = np.where(holds, rows, len(holds))
            row = np.minimum.reduceat(late, self.start)
        return np.where(row < self.end, row, -1)

    @cached_property
    def in_last_octave(self) -> Bools:
        """[rows] records from half of their run's last step on; step 0 is in none."""
        last = self.step[self.end - 1][self.segment]
        return (self.step >= last / 2) & (self.step > 0)

    def trend(self, values: Floats) -> Floats:
        """[runs] change of [rows] `values` per octave, by least squares against
        log2(step) over the last octave; NaN with fewer than three records or a NaN."""
        inside = self.in_last_octave
        x = np.log2(np.where(inside, self.step, 1.0))
        y = np.where(inside, values, 0.0)
        n, sx, sy, sxx, sxy = (
            np.add.reduceat(terms, self.start)
            for terms in (inside.astype(float), x, y, x * x, x * y)
        )
        spread = n * sxx - sx * sx
        enough = (n >= FEWEST_RECORDS) & (spread > 0)
        with np.errstate(invalid="ignore"):
            slope = (n * sxy - sx * sy) / np.where(enough, spread, 1.0)
        return np.where(enough, slope, np.nan)

    def turns(self, holds: Bools) -> Bools:
        """[runs] whether `holds` changes within the last octave."""
        inside = self.in_last_octave
        ever = np.logical_or.reduceat(inside & holds, self.start)
        always = np.logical_and.reduceat(~inside | holds, self.start)
        return ever & ~always

    def step_at(self, row: Ints) -> Floats:
        """[runs] steps of the rows; NaN for -1."""
        return np.where(row >= 0, self.step[row], np.nan)

    def resolution_at(self, row: Ints) -> Floats:
        """[runs] steps between the row and the record before it; NaN for -1."""
        before = np.maximum(row - 1, self.start)
        return np.where(row >= 0, self.step[row] - self.step[before], np.nan)


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
    runs = _Runs(table)
    train, test = (_learned(table, runs, name, criteria) for name in ("train", "test"))
    until = criteria.last_step
    mem, grok = (_crossing(runs, x, criteria.sustained, until) for x in (train, test))
    mem_first, grok_first = (_crossing(runs, x, False, until) for x in (train, test))
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
        "dead": _dead(table, runs, criteria),
        "n_steps": runs.step[last],
        **_trends(table, runs, train, test, mem >= 0, criteria),
        "progress": _progress(table, runs, criteria),
        "peak_test_accuracy": np.fmax.reduceat(
            table["test_accuracy"].to_numpy(np.float64), runs.start
        ),
        **_finals(table, runs),
    }
    return _nullable(pd.DataFrame(result))


def _learned(table: pd.DataFrame, runs: _Runs, name: str, criteria: Criteria) -> Bools:
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


def _trends(
    table: pd.DataFrame,
    runs: _Runs,
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


def _trend(table: pd.DataFrame, runs: _Runs, name: str) -> Floats:
    return runs.trend(table[f"{name}_accuracy"].to_numpy(np.float64))


def _loss_trend(table: pd.DataFrame, runs: _Runs, name: str) -> Floats:
    """Of ln(loss); a loss of exactly 0 is at the bottom of float32."""
    if f"{name}_loss" not in table:
        return np.full(len(runs.start), np.nan)
    loss = table[f"{name}_loss"].to_numpy(np.float64)
    return runs.trend(np.log(np.fmax(loss, np.finfo(np.float32).tiny)))


def _progress(table: pd.DataFrame, runs: _Runs, criteria: Criteria) -> Floats:
    """[runs] share of the way to the bar of the test examples at the last record, from
    the first: of the accuracy, or of the loss where that decides; see `_learned`."""
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


def _dead(table: pd.DataFrame, runs: _Runs, criteria: Criteria) -> Bools:
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


def _crossing(
    runs: _Runs, holds: Bools, sustained: bool, last_step: int | None
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


def _finals(table: pd.DataFrame, runs: _Runs) -> dict[str, Floats]:
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
