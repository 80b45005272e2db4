"""Networks between rich and lazy against the mean-field limit at their own laziness.

The limit N to infinity is at fixed K, the factor of f = (K/N) sum_j a_j sigma(w_j.x).
A network of N neurons at alpha has K = N^alpha, so that its limit moves as N grows.
Both ways are compared: along N at fixed K, where errors fall as N^(-1/2), and along N
at alpha = 1/4, each network beside the limit at the K that it has.

How large are the errors? Initial outputs are a sum of N independent terms over N, times
K: f_0 is of order K N^(-1/2), and so is, for as long as training is nearly linear, what
is left of it on examples not trained on. So early differences from the limit go as K at
fixed N, and at fixed alpha as N^(alpha - 1/2): they fall the more slowly the lazier.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.analysis.statistics import student_interval
from grokmap.arrays import Floats
from grokmap.engine.mean_field import neurons_of, start_of
from grokmap.engine.restored import Reached
from grokmap.reproduce.finding import OWN, RECOMPUTED, Finding, near
from grokmap.reproduce.mean_field import (
    HALVES,
    Limit,
    drawn,
    exponent,
    limit_from,
    limit_times,
    relative,
    time_exponent,
)
from grokmap.reproduce.trained import Trained
from grokmap.spec import Run
from grokmap.theory import mean_field as theory

SWEEP = "mean-field-laziness"
STEPS = (16, 128, 512)  # at which outputs are compared
NEURONS = 16384  # of each of two solutions of a seed and K
ALPHA = 0.25  # along which N and K grow together
# Set before the runs.
WITHIN, LEFT = 0.1, 0.1

Key = tuple[float, int]  # K, seed


def compare(trained: Mapping[str, Trained], neurons: int = NEURONS) -> list[Finding]:
    """At each K along N; and along N at one alpha."""
    own = trained[SWEEP]
    reached = own.weights(STEPS)
    limits = limits_of(reached, neurons, own.say)
    errors, times = errors_of(reached, limits), times_of(own, limits)
    return [
        *(
            finding
            for k, part in errors.groupby("k")
            for finding in _at_fixed(k, part, times[times["k"] == k])
        ),
        *_in_laziness(errors),
        *_along_alpha(errors, times, limits),
    ]


def limits_of(
    reached: Sequence[Reached],
    neurons: int = NEURONS,
    say: Callable[[str], None] = lambda line: None,
) -> dict[Key, Limit]:
    """Of every K and seed: networks of all widths have it in common."""
    wide = sorted({one.run for one in reached}, key=lambda run: -run.system.width)
    runs = {(run.control.alpha, run.seed): run for run in wide}
    limits: dict[Key, Limit] = {}
    for key, run in sorted(runs.items()):
        done = f"{len(limits) + 1} of {len(runs)}"
        say(f"the mean-field limit at K = {key[0]:.3g} of seed {key[1]}, {done}")
        limits[key] = limit_of(run, neurons)
    return limits


@lru_cache(maxsize=32)
def limit_of(run: Run, neurons: int) -> Limit:
    """The mean of solutions from separate draws, followed step by step."""
    problem, every = start_of(run).problem, range(STEPS[-1] + 1)
    halves = [
        np.array([f for f, _ in theory.follow(problem, start, every)])
        for start in (drawn(run, problem, neurons, half) for half in range(HALVES))
    ]
    return limit_from(problem, halves, STEPS)


def errors_of(reached: Sequence[Reached], limits: Mapping[Key, Limit]) -> pd.DataFrame:
    """k, seed, width, step; error: `relative` of the outputs of all examples; gap: root
    mean square difference on those not trained on."""
    rows = []
    for one in reached:
        key = one.run.control.alpha, one.run.seed
        problem, outputs, _ = limits[key]
        f = theory.seen(problem, neurons_of(one.leaves))
        error = relative(f, outputs[one.step])
        apart = (f - outputs[one.step])[problem.n_train :]
        gap = float(np.sqrt(np.mean(apart**2)))
        rows.append((*key, one.run.system.width, one.step, error, gap))
    return pd.DataFrame(rows, columns=["k", "seed", "width", "step", "error", "gap"])


def times_of(own: Trained, limits: Mapping[Key, Limit]) -> pd.DataFrame:
    """k, seed, width, t_grok, limit: its t_grok, and the ratio; NaN: never."""
    steps = np.sort(own.trajectories["step"].unique())
    runs = own.runs.rename(columns={"alpha": "k"})
    runs = runs[["k", "seed", "width", "t_grok"]].astype(float)
    parts = []
    for k, part in runs.groupby("k"):
        of_seed = {seed: limit for (at, seed), limit in limits.items() if at == k}
        limit = part["seed"].map(limit_times(of_seed, steps)["t_grok"])
        parts.append(part.assign(limit=limit, ratio=part["t_grok"] / limit))
    return pd.concat(parts).sort_values(["k", "width", "seed"])


def _at_fixed(k: float, errors: pd.DataFrame, times: pd.DataFrame) -> list[Finding]:
    """How errors fall with N, and what is left at the largest."""
    at, widest = f"K = {k:.3g}", errors["width"].max()
    last = errors[(errors["width"] == widest) & (errors["step"] == STEPS[-1])]
    alpha = np.log(k) / np.log(widest)
    where = f"{at}, N = {widest:g} (alpha = {alpha:.2f})"
    late = times.loc[times["width"] == widest, "ratio"].to_numpy()
    return [
        *(
            exponent(f"outputs at step {step}, {at}: exponent in N", _powers(part))
            for step, part in errors.groupby("step")
        ),
        _of_times(times, at),
        near(
            f"relative error of outputs at step {STEPS[-1]}, {where}",
            0.0, LEFT, last["error"].to_numpy(), "", RECOMPUTED,
        ),
        near(
            f"t_grok over that of the limit, {where}",
            1.0, LEFT, late, "", RECOMPUTED,
        ),
    ]  # fmt: skip


def _of_times(times: pd.DataFrame, at: str) -> Finding:
    found = time_exponent(times)
    return found._replace(quantity=f"{found.quantity}, {at}")


def _powers(errors: pd.DataFrame, column: str = "width", of: str = "error") -> Floats:
    """d ln error / d ln of a column, of each seed."""
    table = errors.pivot(index=column, columns="seed", values=of)
    return np.polyfit(np.log(table.index), np.log(table), 1)[0]


def _in_laziness(errors: pd.DataFrame) -> list[Finding]:
    """Early errors go as K at each N, relative to outputs and as they are."""
    early = errors[errors["step"] == STEPS[0]]
    found = []
    for of, words in (
        ("error", ""),
        ("gap", ", not relative, examples not trained on"),
    ):
        values = [_powers(part, "k", of) for _, part in early.groupby("width")]
        what = f"error of outputs at step {STEPS[0]}{words}: exponent in K, mean over N"
        found.append(_power(what, 1.0, np.mean(values, axis=0)))
    return found


def on_alpha(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of networks at alpha = `ALPHA`."""
    power = np.log(table["k"]) / np.log(table["width"])
    return table[np.isclose(power, ALPHA)]


def _along_alpha(
    errors: pd.DataFrame, times: pd.DataFrame, limits: Mapping[Key, Limit]
) -> list[Finding]:
    """Each network beside the limit at its own K; and how far the limit moves."""
    here, at = on_alpha(errors), f"alpha = {ALPHA:g}"
    early = here[here["step"] == STEPS[0]]
    what = f"error of outputs at step {STEPS[0]}, {at}, K = N^alpha: exponent in N"
    last = on_alpha(times)
    last = last[last["width"] == last["width"].max()]
    moved = last.set_index("seed")["limit"] / _first_limit(times)
    return [
        _power(what, ALPHA - 0.5, _powers(early)),
        *_apart(here, limits),
        near(
            f"t_grok over that of the limit at K = N^alpha, {at}, N = "
            f"{last['width'].iloc[0]:g} (that limit is {moved.mean():.2g} times as "
            f"late as at K = {times['k'].min():.3g})",
            1.0, LEFT, last["ratio"].to_numpy(), "", RECOMPUTED,
        ),
    ]  # fmt: skip


def _first_limit(times: pd.DataFrame) -> pd.Series:
    """t_grok of the limit at the smallest K, by seed."""
    first = times[times["k"] == times["k"].min()].drop_duplicates("seed")
    return first.set_index("seed")["limit"]


def _apart(here: pd.DataFrame, limits: Mapping[Key, Limit]) -> list[Finding]:
    """Whether the limit moves by more than what the widest network is from its own."""
    low, high = min(k for k, _ in limits), max(k for k, _ in limits)
    wide = here[here["k"] == high].set_index(["step", "seed"])["error"]
    found = []
    for step in STEPS[1:]:
        seeds = sorted(seed for k, seed in limits if k == high)
        moved = np.array([
            relative(limits[low, s].outputs[step], limits[high, s].outputs[step])
            for s in seeds
        ])  # fmt: skip
        ratio = moved / wide[step].loc[seeds].to_numpy()
        found.append(
            Finding(
                f"distance of the limits at K = {low:.3g} and {high:.3g} at step "
                f"{step} over that of the network at alpha = {ALPHA:g} from its own",
                "far above 1",
                OWN,
                ">= 3",
                f"{ratio.mean():.3g}",
                f"{ratio.min():.3g} to {ratio.max():.3g}",
                bool(ratio.mean() >= 3),
            )
        )
    return found


def _power(quantity: str, expected: float, values: Floats) -> Finding:
    """Whether the mean over seeds is the expected exponent, within `WITHIN`."""
    mean, low, high = student_interval(values)
    return Finding(
        quantity,
        f"{expected:g}",
        OWN,
        f"± {WITHIN:g}",
        f"{mean:.3f}",
        f"95%: {low:.3f} to {high:.3f}",
        bool(abs(mean - expected) <= WITHIN),
    )


def figure(trained: Mapping[str, Trained]) -> Figure:
    """Errors against N at each K, and t_grok beside that of the limits."""
    own = trained[SWEEP]
    reached = own.weights(STEPS)
    limits = limits_of(reached)
    errors, times = errors_of(reached, limits), times_of(own, limits)
    panels = [
        plot.Scaling(
            f"outputs at step {step}", "relative error", _series(part, "error"), -0.5
        )
        for step, part in errors[errors["step"] > STEPS[0]].groupby("step")
    ]
    late = times.assign(error=(times["ratio"] - 1).abs())
    late = late[late["error"] > 0]
    label = f"|{plot.T_GROK} / limit - 1|"
    panels.append(plot.Scaling("time of grokking", label, _series(late, "error"), -0.5))
    return plot.power_laws(panels, "width N")


def _series(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """By K, and once more those at alpha = `ALPHA`."""
    along = on_alpha(table).assign(series=f"α = {ALPHA:g}, K = N^α")
    by_k = table.assign(series=[f"K = {k:.3g}" for k in table["k"]])
    both = pd.concat([by_k, along])
    return both.assign(x=both["width"], y=both[column])
