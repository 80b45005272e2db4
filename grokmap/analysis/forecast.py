"""When will a run that has memorised grok? An analogue forecast with an interval.

The state of a run at some step s after t_mem is its decay time since, (s - t_mem) r,
its test accuracy and its test loss. Each grokked run of another cell is compared by its
nearest state: the NEAREST runs (of the same system, if it has so many) are the
analogues, and the time they still needed is the forecast, in units of the geometric
mean of a decay time and the age:

    log((t_grok - s) / sqrt(s / r)) = median over analogues + scale * z,

with scale their median absolute deviation and z from conformal calibration: the scores
of the calibrating runs at states as far from t_grok, each forecast from cells that are
neither its own nor that of the run in question. So t_grok > s always, and no run helps
to forecast its own cell. Of the two units alone, ages forecast the slower runs of a
sweep too late and decay times too early.

All calibrating runs grokked: a forecast says when a run will grok if it groks at all,
and not whether it will.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from grokmap.analysis.series import Series, series, value_at
from grokmap.analysis.systems import ALL, places, system_of, varying
from grokmap.arrays import Bools, Floats, Ints
from grokmap.classify import GROK
from grokmap.errors import ResultError

FRACTIONS = (0.25, 0.5, 0.75)
BUDGET = 0.25  # of the longest run, at which the whole sweep is cut
COVERAGE = 0.8
NEAREST = 15  # analogues for each forecast
FEWEST_CELLS = 6  # with grokked runs, from which a forecast is calibrated
LOOKS = 4.0  # states of a calibrating run each time its step doubles
ALIKE = 0.5  # standard deviation, in the target, of the weights of calibrating states
# Of a state: log decay time, test accuracy, log test loss. Fixed: scales estimated from
# the runs would depend on the cell that is forecast.
SCALES = np.array([1.5, 0.3, 0.3])
APART = 100.0  # added to the distance between runs of two systems
LEAST_SCALE = 0.05  # of the target
FAR = 0.99  # share of the calibrating states that have nearer analogues
QUANTITIES = ("test_accuracy", "test_loss")


class States(NamedTuple):
    """Runs as they stood: run [k], step [k], features [k, 3] (NaN: unknown).

    target: [k] log((t_grok - step) / unit); NaN for a run that has not grokked.
    """

    run: Ints
    step: Floats
    features: Floats
    target: Floats


def candidates(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that can be forecast: memorised, learning, with weight decay, and
    grokked or censored: runs followed to their horizon are decided not to grok.

    Adds `grokked`: grokked later than memorised; `cell`, numbered (alpha, lambda); and
    `system`, in words.
    """
    grokked = (runs["phase"] == GROK) & (runs["t_grok"] > runs["t_mem"])
    waiting = (runs["phase"] != GROK) & (runs["n_steps"] > runs["t_mem"])
    waiting &= runs["censored"]
    lost = runs["diverged"] | runs["dead"] | runs["stalled"]
    inside = (grokked | (waiting & ~lost)) & (runs["t_mem"] > 0)
    inside &= runs["decay_rate"] > 0
    table = runs[inside.fillna(False).to_numpy(bool)].reset_index(drop=True)
    cell = table.groupby(["alpha", "weight_decay"]).ngroup()
    times = {k: table[k].astype(float) for k in ("t_mem", "t_grok", "n_steps")}
    names = {"cell": cell, "system": system_of(table)}
    return table.assign(grokked=table["phase"] == GROK, **names, **times)


def states(
    trajectories: pd.DataFrame, runs: pd.DataFrame, looks: list[Floats]
) -> States:
    """The state of each run at each of its steps `looks`, all after t_mem."""
    known = {q: dict(series(trajectories, q)) for q in QUANTITIES}
    row, step, features = [], [], []
    for i, run in enumerate(runs.itertuples()):
        for s in looks[i]:
            accuracy, loss = (
                _value(known[q].get(str(run.run_id)), s) for q in QUANTITIES
            )
            decays = max(s - run.t_mem, 0.5) * run.decay_rate
            row.append(i)
            step.append(s)
            features.append([np.log(decays), accuracy, np.log(max(loss, 1e-30))])
    rows = np.array(row, np.int64)
    steps = np.array(step, np.float64)
    t_grok = runs["t_grok"].to_numpy(float)[rows]
    with np.errstate(invalid="ignore", divide="ignore"):
        target = np.log((t_grok - steps) / _unit(runs, rows, steps))
    return States(rows, steps, np.array(features, float).reshape(-1, 3), target)


def _unit(runs: pd.DataFrame, row: Ints, step: Floats) -> Floats:
    """[k] steps: the geometric mean of a run's decay time and its age."""
    return np.sqrt(step / runs["decay_rate"].to_numpy(float)[row])


def _value(curve: Series | None, step: float) -> float:
    return float("nan") if curve is None else value_at(curve, step)


def calibrating_looks(runs: pd.DataFrame) -> list[Floats]:
    """Steps t_mem 2^(k / LOOKS) before t_grok, and one half-way if there is none."""
    looks = []
    for run in runs.itertuples():
        if not run.grokked:
            looks.append(np.empty(0))
            continue
        count = int(np.ceil(LOOKS * np.log2(run.t_grok / run.t_mem)))
        steps = run.t_mem * 2.0 ** (np.arange(1, count) / LOOKS)
        middle = np.array([np.sqrt(run.t_mem * run.t_grok)])
        looks.append(steps if len(steps) else middle)
    return looks


class Analogues(NamedTuple):
    """[k, runs] distance and target of each run's state nearest to each of k states."""

    distance: Floats
    target: Floats


def analogues(wanted: States, known: States, system: Ints) -> Analogues:
    """The nearest state of each run (infinitely far if it has none).

    system: [runs] numbers; runs of another system are further away by APART.
    """
    n_runs = len(system)
    distance = np.full((len(wanted.run), n_runs), np.inf)
    target = np.full((len(wanted.run), n_runs), np.nan)
    for j in np.unique(known.run):
        rows = known.run == j
        gap = (wanted.features[:, None] - known.features[None, rows]) / SCALES
        distances = np.nan_to_num(np.sqrt((gap**2).sum(axis=2)), nan=np.inf)
        nearest = distances.argmin(axis=1)
        penalty = np.where(system[wanted.run] == system[j], 0.0, APART)
        distance[:, j] = distances[np.arange(len(distances)), nearest] + penalty
        target[:, j] = known.target[rows][nearest]
    return Analogues(distance, target)


class Centre(NamedTuple):
    """[k] median, scale and the distance of the furthest analogue."""

    middle: Floats
    scale: Floats
    reach: Floats


def centre(nearest: Analogues, barred: Bools) -> Centre:
    """Median and spread of the NEAREST analogues, without those barred [k, runs]."""
    distance = np.where(barred, np.inf, nearest.distance)
    order = np.argsort(distance, axis=1, kind="stable")[:, :NEAREST]
    near = np.take_along_axis(distance, order, axis=1)
    target = np.take_along_axis(nearest.target, order, axis=1)
    target = np.where(np.isfinite(near), target, np.nan)
    middle = np.nanmedian(target, axis=1)
    scale = np.nanmedian(np.abs(target - middle[:, None]), axis=1)
    reach = np.where(np.isfinite(near), near, 0.0).max(axis=1)
    return Centre(middle, np.maximum(scale, LEAST_SCALE), reach)


def forecasts(calibrating: States, wanted: States, runs: pd.DataFrame) -> pd.DataFrame:
    """A forecast for each wanted state, from the calibrating states of other cells.

    Args:
      runs: `candidates`; both states number its rows.

    Returns:
      run (row), step; t_grok_low, t_grok_median, t_grok_high (steps: the interval that
      holds t_grok with probability COVERAGE), and extrapolated: its analogues are
      further than those of FAR of the calibrating states.

    Raises:
      ResultError: grokked runs in fewer than FEWEST_CELLS cells.
    """
    cell = runs["cell"].to_numpy(int)
    if len(np.unique(cell[calibrating.run])) < FEWEST_CELLS:
        raise ResultError(
            f"forecasts are calibrated on runs that grokked after they memorised, in "
            f"{FEWEST_CELLS} cells (alpha, lambda) at least: too few here"
        )
    system = np.unique(runs["system"].to_numpy(str), return_inverse=True)[1]
    known_analogues = analogues(calibrating, calibrating, system)
    wanted_analogues = analogues(wanted, calibrating, system)
    sizes = np.bincount(calibrating.run, minlength=len(runs))
    parts = []
    for c in np.unique(cell[wanted.run]):
        rows = np.flatnonzero(cell[wanted.run] == c)
        others = cell[calibrating.run] != c
        run = calibrating.run[others]
        barred = (cell[run][:, None] == cell) | (cell == c)
        known = centre(Analogues(*(x[others] for x in known_analogues)), barred)
        scores = (calibrating.target[others] - known.middle) / known.scale
        same_cell = np.broadcast_to(cell == c, (len(rows), len(cell)))
        ahead = centre(Analogues(*(x[rows] for x in wanted_analogues)), same_cell)
        # Early and late states err differently: similar ones weigh most.
        away = (ahead.middle[:, None] - known.middle) / ALIKE
        low, half, high = _quantiles(scores, np.exp(-0.5 * away**2) / sizes[run], run).T
        unit = _unit(runs, wanted.run[rows], wanted.step[rows])
        times = {
            name: wanted.step[rows] + np.exp(ahead.middle + z * ahead.scale) * unit
            for name, z in (("low", low), ("median", half), ("high", high))
        }
        part = {f"t_grok_{k}": v for k, v in times.items()}
        far = ahead.reach > np.quantile(known.reach, FAR, method="lower")
        part |= {"run": wanted.run[rows], "step": wanted.step[rows]}
        parts.append(pd.DataFrame(part | {"extrapolated": far}, index=rows))
    return pd.concat(parts).sort_index()


def _quantiles(scores: Floats, weights: Floats, run: Ints) -> Floats:
    """[k, 3] quantiles of scores [n] of runs [n] under weights [k, n].

    For the outer two the new run counts as one more score, beyond all others, so that
    few runs give no narrow interval (Tibshirani et al., arXiv 1904.06019). Its weight
    is the mean weight of a run under these weights. With effectively fewer runs than
    2 / (1 - COVERAGE) the interval would be unbounded: it ends at the outermost score.
    """
    order = np.argsort(scores, kind="stable")
    mass = np.cumsum(weights[:, order], axis=1)
    whole = mass[:, -1:]
    by_run = weights @ (run[:, None] == np.unique(run))
    new = (by_run**2).sum(axis=1, keepdims=True) / whole
    tail = (1 - COVERAGE) / 2 * (whole + new)
    slack = 1e-9 * whole  # for rounding
    ends = (tail - new, whole / 2, whole + new - tail)
    places = [(mass <= ends[0] + slack).sum(axis=1)]
    places += [(mass < x - slack).sum(axis=1) for x in ends[1:]]
    known = scores[order]
    return np.stack([known[np.minimum(x, len(known) - 1)] for x in places], axis=1)


def hindcasts(trajectories: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Forecasts of runs whose answer is known, made as if it were not.

    Each is cut at FRACTIONS of its t_grok that are past t_mem; and, as in use, the
    whole sweep is cut at BUDGET of its longest run: only runs that grokked until then
    calibrate the forecasts of those that grokked later.

    Returns:
      run_id, alpha, weight_decay, width, seed, decay_rate, the other axes that tell
      systems apart (`facts_of`), cut (in words), fraction (null for the budget), step,
      t_grok, t_grok_low, t_grok_median, t_grok_high, baseline (the median of t_grok r
      over the system's other cells, over r), inside, error and baseline_error
      (|log2(forecast / t_grok)|), extrapolated.

    Raises:
      ResultError: no run to try a forecast on, or too few to calibrate one.
    """
    looks = [
        np.array([f * t for f in FRACTIONS if f * t > mem]) if grokked else np.empty(0)
        for t, mem, grokked in zip(
            runs["t_grok"], runs["t_mem"], runs["grokked"], strict=True
        )
    ]
    table = _table(trajectories, runs, looks, facts_of(runs))
    if table.empty:
        raise ResultError(
            "no run grokked long enough after it memorised for a forecast to be tried"
        )
    share = (table["step"] / table["t_grok"]).round(6)
    table = table.assign(fraction=share, cut=[f"{x:g} t_grok" for x in share])
    table = table.sort_values("fraction", kind="stable")
    late = cut_short(trajectories, runs, BUDGET * float(runs["n_steps"].max()))
    table = pd.concat([table, late], ignore_index=True)
    t_grok = table["t_grok"]
    table["inside"] = table["t_grok_low"].le(t_grok) & table["t_grok_high"].ge(t_grok)
    for name, guess in (("error", "t_grok_median"), ("baseline_error", "baseline")):
        table[name] = np.abs(np.log2(table[guess] / t_grok))
    return table


def cut_short(
    trajectories: pd.DataFrame, runs: pd.DataFrame, budget: float
) -> pd.DataFrame:
    """Forecasts at step `budget` of the runs that grokked later, from earlier ones.

    No row where too few had grokked to calibrate.
    """
    started = runs[runs["t_mem"] < budget].reset_index(drop=True)
    late = started["grokked"] & (started["t_grok"] > budget)
    before = started.assign(
        grokked=started["grokked"] & ~late,
        t_grok=started["t_grok"].where(~late),
        n_steps=started["n_steps"].clip(upper=budget),
    )
    looks = [np.array([budget]) if x else np.empty(0) for x in late]
    facts = facts_of(runs)
    try:
        table = _table(trajectories, before, looks, facts)
    except ResultError:
        return _table(trajectories, before, [np.empty(0)] * len(before), facts)
    truth = started.set_index("run_id")["t_grok"]
    t_grok = table["run_id"].map(truth).to_numpy(float)
    return table.assign(t_grok=t_grok, fraction=np.nan, cut=f"step {budget:g}")


def outlook(trajectories: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Forecasts for the censored runs from their last step on, if they grok at all."""
    looks = [
        np.empty(0) if grokked else np.array([n])
        for grokked, n in zip(runs["grokked"], runs["n_steps"], strict=True)
    ]
    return _table(trajectories, runs, looks, facts_of(runs))


def facts_of(runs: pd.DataFrame) -> list[str]:
    """The columns that a table has of each run: its place on every axis, its rate."""
    always = ("run_id", "alpha", "weight_decay", "width", "seed", "decay_rate")
    return [*always, *(key for key in varying(runs) if key not in always)]


def _table(
    trajectories: pd.DataFrame,
    runs: pd.DataFrame,
    looks: list[Floats],
    facts: list[str],
) -> pd.DataFrame:
    calibrating = states(trajectories, runs, calibrating_looks(runs))
    wanted = states(trajectories, runs, looks)
    predicted = forecasts(calibrating, wanted, runs) if len(wanted.run) else _empty()
    known = runs[[*facts, "t_grok"]].iloc[predicted["run"]].reset_index(drop=True)
    baseline = _baselines(runs, predicted["run"].to_numpy(int))
    table = pd.concat([known, predicted.drop(columns="run")], axis=1)
    return table.assign(baseline=baseline)


def _empty() -> pd.DataFrame:
    names = ["run", "step", "t_grok_low", "t_grok_median", "t_grok_high"]
    columns = {name: pd.Series(dtype=float) for name in names}
    columns["run"] = columns["run"].astype(int)
    return pd.DataFrame(columns | {"extrapolated": pd.Series(dtype=bool)})


def _baselines(runs: pd.DataFrame, rows: Ints) -> Floats:
    """[k] the median of t_grok r over the system's grokked runs of other cells, over r
    of the run in question."""
    cell, system, grokked = (runs[k].to_numpy() for k in ("cell", "system", "grokked"))
    rate = runs["decay_rate"].to_numpy(float)
    decays = runs["t_grok"].to_numpy(float) * rate
    typical = np.full(len(runs), np.nan)
    for i in np.unique(rows):
        others = grokked & (cell != cell[i])
        same = others & (system == system[i])
        typical[i] = np.median(decays[same if same.any() else others])
    return typical[rows] / rate[rows]


def score(known: pd.DataFrame) -> pd.DataFrame:
    """`hindcasts` by cut: runs, coverage, median errors, median interval width.

    width_log2: log2 of the interval's upper over lower end.
    """
    width = np.log2(known["t_grok_high"] / known["t_grok_low"])
    groups = known.assign(width_log2=width).groupby("cut", sort=False)
    return groups.agg(
        n_runs=("inside", "size"),
        coverage=("inside", "mean"),
        error=("error", "median"),
        baseline_error=("baseline_error", "median"),
        width_log2=("width_log2", "median"),
        extrapolated=("extrapolated", "mean"),
    ).reset_index()


def score_by_system(known: pd.DataFrame, axes: list[str]) -> pd.DataFrame:
    """`score` of all, then of each system, named in the column `system`.

    axes: what tells the systems apart, of the columns of `hindcasts`.
    """
    parts = [score(known).assign(system=ALL)]
    for system, rows in known.groupby(places(known, axes)) if axes else ():
        parts.append(score(rows).assign(system=system))
    return pd.concat(parts, ignore_index=True)
