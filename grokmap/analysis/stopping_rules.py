"""Rules that stop a run while it trains, and what each would have cost and saved.

A rule looks at the records of one run from t_mem on, and stops it at some step or
never. Its threshold is chosen on other seeds than those it is scored on: of those
tried, the one that saves most steps among those that stop at most ALLOWED of the
grokking runs before they grok; where none does, the one that stops fewest of them.

| rule | stops | threshold |
| --- | --- | --- |
| patience, steps | test accuracy has not risen by RISE for so long | steps |
| patience, decay times | the same | in 1 / r |
| decay times | so long after t_mem, whatever is recorded | in 1 / r |
| weight norm | the norm is below a share of its largest since t_mem | share |
| level of a quantity | it has passed a level, in the direction of grokking | level |
| forecast | the forecast of t_grok, made at LOOK t_mem, times a margin | margin |

Beside them stand the budget (never stops) and an oracle, which knows t_grok: it stops
there, and a run that does not grok at t_mem.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from grokmap.analysis import forecast
from grokmap.analysis.series import Series, series, values_at
from grokmap.analysis.systems import ALL
from grokmap.arrays import Bools, Floats
from grokmap.classify import GROK
from grokmap.errors import ResultError

ALLOWED = 0.05  # share of the grokking runs that a rule may stop before they grok
FOLDS = 5  # of seeds; as many as there are seeds where these are fewer
RISE = 0.01  # of test accuracy, that ends a wait
LOOK = 2.0  # the forecast is made at this multiple of t_mem
LEVELS = 15  # tried of a quantity: quantiles of what is recorded
# Quantities that do not see the test examples; those recorded get a rule each.
WATCHED = ("rqi", "snr", "function_snr", "ipr", "effective_rank")
BUDGET, ORACLE, FORECAST, LEVEL = "budget", "oracle", "forecast", "level of"
UPWARDS, DOWNWARDS = "upwards", "downwards"
WAITS = tuple(2.0**k for k in range(-2, 6))
STEPS = tuple(float(round(100 * 2**k)) for k in range(10))
SHARES = (0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
# Of runs that grok and of others: summed over runs, so that systems can be pooled.
TOTALS = (
    *("sum_missed", "sum_saved_grok", "sum_saved_other"),
    *("sum_steps_grok", "sum_steps_other", "sum_lost"),
)
COLUMNS = (
    *("system", "rule", "threshold", "threshold_low", "threshold_high", "passed"),
    *("n_runs", "n_seeds", "n_grok", "missed", "saved", "saved_grok", "saved_other"),
    "lost",
)
MARGINS = (0.5, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 8.0)


class Tried(NamedTuple):
    """A rule at each of its thresholds.

    name: of the rule; thresholds: [k]; stops: [k, runs] the step at which it stops each
    run, infinity: never. passed: [k] whether a quantity passes its level upwards or
    downwards; of other rules "".
    """

    name: str
    thresholds: Floats
    stops: Floats
    passed: tuple[str, ...]


def rules(trajectories: pd.DataFrame, runs: pd.DataFrame) -> list[Tried]:
    """Every rule that the records allow, at all its thresholds.

    Args:
      trajectories: run_id, step, test_accuracy, test_loss, weight_norm, and those
        `WATCHED` that were recorded; runs: `early_stopping.memorised`.
    """
    curves = _curves(trajectories, runs, "test_accuracy")
    rises = [_rises(curve) for curve in curves]
    decay_time = _decay_times(runs)
    one = np.ones(len(runs))
    waits = [
        _waiting("patience, steps", STEPS, rises, one),
        _waiting("patience, decay times", WAITS, rises, decay_time),
        _plain("decay times", WAITS, _after(runs, WAITS, decay_time)),
    ]
    levels = [_of_level(trajectories, runs, name) for name in WATCHED]
    norm = _of_norm(_curves(trajectories, runs, "weight_norm"))
    found = [*waits, norm, *levels, _of_forecast(trajectories, runs)]
    return [rule for rule in found if rule is not None]


def _plain(name: str, thresholds: tuple[float, ...], stops: Floats) -> Tried:
    return Tried(name, np.array(thresholds), stops, ("",) * len(thresholds))


def _decay_times(runs: pd.DataFrame) -> Floats:
    with np.errstate(divide="ignore"):
        return 1 / runs["decay_rate"].to_numpy(float)


def _after(runs: pd.DataFrame, waits: tuple[float, ...], unit: Floats) -> Floats:
    return runs["t_mem"].to_numpy(float) + np.outer(waits, unit)


def _curves(
    trajectories: pd.DataFrame, runs: pd.DataFrame, name: str
) -> list[Series | None]:
    """[runs] each run's records from t_mem on; None without any."""
    start = runs.set_index("run_id")["t_mem"].astype(float)
    found: dict[str, Series] = {}
    for run_id, curve in series(trajectories, name) if name in trajectories else ():
        late = curve.step >= start.get(run_id, np.inf)
        if late.any():
            found[run_id] = Series(curve.step[late], curve.value[late])
    return [found.get(run_id) for run_id in runs["run_id"]]


def _rises(curve: Series | None) -> Floats:
    """t_mem, and the steps at which the value exceeds that of the last rise by RISE."""
    if curve is None:
        return np.array([np.inf])
    best, steps = curve.value[0], [curve.step[0]]
    for step, value in zip(curve.step, curve.value, strict=True):
        if value > best + RISE:
            best = value
            steps.append(step)
    return np.array(steps)


def _waiting(
    name: str, waits: tuple[float, ...], rises: list[Floats], unit: Floats
) -> Tried:
    """Stops at the end of the first gap between rises that is as long as the wait."""
    stops = [
        [
            _first_gap(steps, wait * length)
            for steps, length in zip(rises, unit, strict=True)
        ]
        for wait in waits
    ]
    return _plain(name, waits, np.array(stops))


def _first_gap(steps: Floats, wait: float) -> float:
    gaps = np.append(np.diff(steps), np.inf)
    return float(steps[np.argmax(gaps > wait)] + wait)


def _of_norm(curves: list[Series | None]) -> Tried:
    falls = [None if c is None else _fallen(c) for c in curves]
    stops = [[_first_below(c, share) for c in falls] for share in SHARES]
    return _plain("weight norm", SHARES, np.array(stops))


def _fallen(curve: Series) -> Series:
    """The value over its largest so far."""
    return Series(curve.step, curve.value / np.maximum.accumulate(curve.value))


def _first_below(curve: Series | None, level: float) -> float:
    """The first step at which the value is below the level; infinity: at none."""
    if curve is None or not (below := curve.value < level).any():
        return np.inf
    return float(curve.step[np.argmax(below)])


def _of_level(
    trajectories: pd.DataFrame, runs: pd.DataFrame, name: str
) -> Tried | None:
    curves = _curves(trajectories, runs, name)
    values = [curve.value for curve in curves if curve is not None]
    if not values:
        return None
    levels = np.quantile(np.concatenate(values), np.linspace(0.02, 0.98, LEVELS))
    turned = [None if c is None else Series(c.step, -c.value) for c in curves]
    up = [[_first_below(c, -level) for c in turned] for level in levels]
    down = [[_first_below(c, level) for c in curves] for level in levels]
    passed = (UPWARDS,) * LEVELS + (DOWNWARDS,) * LEVELS
    return Tried(f"{LEVEL} {name}", np.tile(levels, 2), np.array(up + down), passed)


def _of_forecast(trajectories: pd.DataFrame, runs: pd.DataFrame) -> Tried | None:
    """A margin times the forecast at LOOK t_mem, from the runs of other cells; None
    where these are too few to calibrate one."""
    known = forecast.candidates(runs)
    looks = [
        np.array([LOOK * run.t_mem])
        if LOOK * run.t_mem < min(run.n_steps, _or_never(run.t_grok))
        else np.empty(0)
        for run in known.itertuples()
    ]
    calibrating = forecast.calibrating_looks(known)
    wanted = forecast.states(trajectories, known, looks)
    if not len(wanted.run):
        return None
    try:
        made = forecast.forecasts(
            forecast.states(trajectories, known, calibrating), wanted, known
        )
    except ResultError:
        return None
    ids = known["run_id"].to_numpy()[made["run"]]
    median = pd.Series(made["t_grok_median"].to_numpy(), ids)
    predicted = runs["run_id"].map(median).to_numpy(float)
    stops = np.outer(MARGINS, np.nan_to_num(predicted, nan=np.inf))
    look = LOOK * runs["t_mem"].to_numpy(float)
    return _plain(FORECAST, MARGINS, np.maximum(stops, look))


def _or_never(step: float) -> float:
    return np.inf if np.isnan(step) else step


def oracle(runs: pd.DataFrame) -> Floats:
    """[runs] t_grok, of a run that does not grok t_mem: nothing missed, most saved."""
    return runs["t_grok"].where(_groks(runs), runs["t_mem"]).to_numpy(float)


def standstills(trajectories: pd.DataFrame, runs: pd.DataFrame) -> Floats:
    """[runs that grok after t_mem] the longest time without a rise of the test accuracy
    by RISE between t_mem and t_grok, over their difference; in (0, 1]."""
    late = _groks(runs) & (runs["t_grok"] > runs["t_mem"]).fillna(False)
    own = runs[late.to_numpy(bool)].reset_index(drop=True)
    curves = _curves(trajectories, own, "test_accuracy")
    times = own[["t_mem", "t_grok"]].to_numpy(float)
    longest = []
    for curve, (t_mem, t_grok) in zip(curves, times, strict=True):
        steps = _rises(curve)
        waits = np.diff(np.append(steps[steps < t_grok], t_grok))
        longest.append(waits.max() / (t_grok - t_mem))
    return np.array(longest)


def scored(trajectories: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """What each rule misses and saves on seeds that did not choose its threshold.

    Args:
      as of `rules`; runs also with `seed` and `system`, in words.

    Returns:
      One row for each system and rule, thresholds being chosen in each system, and of
      several systems one for all of their runs: system; rule; threshold, the median
      over folds, with threshold_low and threshold_high; passed, as of `Tried` ("both"
      where folds differ); n_runs, n_seeds; n_grok runs that grok, of which missed (a
      share) are stopped before t_grok; saved: share of the steps of all runs that lie
      after the stop; saved_grok, saved_other: of the steps of those that grok, and of
      the others; lost: mean over all runs of the final test accuracy less that at the
      stop. Null where there are no such runs.

    Raises:
      ResultError: no system has two seeds.
    """
    seeds = runs.groupby("system")["seed"].transform("nunique")
    own = runs[seeds > 1].reset_index(drop=True)
    if own.empty:
        raise ResultError("a rule is scored on other seeds than its threshold: two")
    parts = [
        _of_system(trajectories, rows.reset_index(drop=True)).assign(system=system)
        for system, rows in own.groupby("system")
    ]
    table = pd.concat(parts, ignore_index=True)
    if len(parts) > 1:
        table = pd.concat([_pooled(table), table], ignore_index=True)
    return table[[*COLUMNS]]


def _of_system(trajectories: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    fold = folds(runs["seed"])
    known = {BUDGET: np.full(len(runs), np.inf), ORACLE: oracle(runs)}
    rows = [
        {"rule": name, **_chosen(), **score(trajectories, runs, stops)}
        for name, stops in known.items()
    ]
    for rule in rules(trajectories, runs):
        stops, chosen = crossed(rule, runs, fold)
        words = {rule.passed[k] for k in chosen}
        facts = _chosen(
            rule.thresholds[chosen], words.pop() if len(words) < 2 else "both"
        )
        rows.append({"rule": rule.name, **facts, **score(trajectories, runs, stops)})
    return pd.DataFrame(rows)


def _chosen(
    thresholds: Floats = np.array([np.nan]), passed: str = ""
) -> dict[str, object]:
    return {
        "threshold": float(np.median(thresholds)),
        "threshold_low": float(thresholds.min()),
        "threshold_high": float(thresholds.max()),
        "passed": passed,
    }


def _pooled(table: pd.DataFrame) -> pd.DataFrame:
    """The rules that every system has, over the runs of all."""
    groups = table.groupby("rule", sort=False)
    n_systems = table["system"].nunique()
    sums = groups[["n_runs", "n_grok", *TOTALS]].sum()
    sums["n_seeds"] = groups["n_seeds"].max()
    sums = sums[groups.size() == n_systems]
    shares = _shares(sums)
    return shares.reset_index().assign(system=ALL, passed="")


def _shares(sums: pd.DataFrame) -> pd.DataFrame:
    """From numbers and totals of runs the shares of `scored`."""
    with np.errstate(invalid="ignore"):
        return sums.assign(
            missed=sums["sum_missed"] / sums["n_grok"],
            saved=(sums["sum_saved_grok"] + sums["sum_saved_other"])
            / (sums["sum_steps_grok"] + sums["sum_steps_other"]),
            saved_grok=sums["sum_saved_grok"] / sums["sum_steps_grok"],
            saved_other=sums["sum_saved_other"] / sums["sum_steps_other"],
            lost=sums["sum_lost"] / sums["n_runs"],
        )


def folds(seeds: pd.Series) -> Floats:
    """[runs] the fold of each, dealt to seeds in turn."""
    values = sorted(seeds.unique())
    number = {seed: i % FOLDS for i, seed in enumerate(values)}
    return seeds.map(number).to_numpy()


def crossed(rule: Tried, runs: pd.DataFrame, fold: Floats) -> tuple[Floats, list[int]]:
    """([runs] where the rule stops each, by the threshold that the other folds chose;
    which that was for each fold)."""
    stops, chosen = np.empty(len(runs)), []
    for k in np.unique(fold):
        own = fold == k
        best = choice(rule, runs, ~own)
        stops[own] = rule.stops[best, own]
        chosen.append(best)
    return stops, chosen


def choice(rule: Tried, runs: pd.DataFrame, known: Bools) -> int:
    """Which threshold saves most on the known runs while it misses at most ALLOWED."""
    own = runs[known]
    n_grok = max(int(_groks(own).sum()), 1)  # where no run groks, none is missed
    missed = np.array([missed_of(own, s[known]).sum() for s in rule.stops]) / n_grok
    saved = np.array([steps_saved(own, stops[known]).sum() for stops in rule.stops])
    fine = missed <= max(ALLOWED, missed.min())
    return int(np.argmax(np.where(fine, saved, -np.inf)))


def missed_of(runs: pd.DataFrame, stops: Floats) -> Bools:
    """[runs that grok] which of them are stopped before."""
    grok = _groks(runs)
    missed: Bools = stops[grok] < runs["t_grok"].to_numpy(float)[grok]
    return missed


def steps_saved(runs: pd.DataFrame, stops: Floats) -> Floats:
    """[runs] steps that each was trained for after the stop."""
    n = runs["n_steps"].to_numpy(float)
    return n - np.minimum(stops, n)


def score(
    trajectories: pd.DataFrame, runs: pd.DataFrame, stops: Floats
) -> dict[str, object]:
    """The columns of `scored` from n_runs on, with their `TOTALS`, of stops [runs]."""
    saved, n = steps_saved(runs, stops), runs["n_steps"].to_numpy(float)
    grok, missed = _groks(runs), missed_of(runs, stops)
    last = runs.assign(stop=np.minimum(stops, n))
    accuracy = values_at(trajectories, last, "test_accuracy", "stop")
    lost = (runs["final_test_accuracy"] - accuracy).where(stops < n, 0.0)
    sums = {
        "n_runs": len(runs),
        "n_seeds": runs["seed"].nunique(),
        "n_grok": len(missed),
    }
    values = (missed, saved[grok], saved[~grok], n[grok], n[~grok], lost)
    sums |= dict(zip(TOTALS, (float(np.sum(v)) for v in values), strict=True))
    (facts,) = _shares(pd.DataFrame([sums])).to_dict("records")
    return {str(name): value for name, value in facts.items()}


def _groks(runs: pd.DataFrame) -> Bools:
    groks: Bools = ((runs["phase"] == GROK) & runs["t_grok"].notna()).to_numpy(bool)
    return groks
