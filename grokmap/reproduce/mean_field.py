"""Engine networks of N neurons against the mean-field limit (`theory.mean_field`).

The limit of a run is solved on the run's own examples, split, step and decay. Of each
seed it is the mean of `HALVES` solutions from separate draws of neurons, whose
differences say how far it is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.analysis.statistics import (
    percentile_interval,
    resample_weights,
    student_interval,
    totals,
)
from grokmap.arrays import Floats
from grokmap.classify import classify
from grokmap.engine.mean_field import neurons_of, start_of
from grokmap.engine.restored import Reached
from grokmap.models import ACTIVATIONS
from grokmap.reproduce.finding import OWN, RECOMPUTED, Finding, near
from grokmap.reproduce.trained import Trained
from grokmap.spec import Run
from grokmap.theory import mean_field as theory

SWEEP = "mean-field-width"
STEPS = (16, 64, 256, 512)  # at which outputs are compared
HALVES, NEURONS = 2, 32768  # solutions of a seed, neurons of each
METHOD = theory.Method(tolerance=1e-4)
# Set before the runs: exponents of errors, and what is left at the largest width.
EXPONENT_WITHIN, LEFT, ROUNDING = 0.1, 0.05, 1e-3


class Limit(NamedTuple):
    """Of a seed: outputs [n_steps + 1, m, C]; error: of them, as `relative`, [R] at
    STEPS, from the halves' differences."""

    problem: theory.Problem
    outputs: Floats
    error: Floats


@lru_cache(maxsize=16)
def limit_of(run: Run, n_steps: int, neurons: int = NEURONS) -> Limit:
    """The mean of solutions from separate draws."""
    halves = [half_of(run, half, n_steps, neurons) for half in range(HALVES)]
    steps = [step for step in STEPS if step <= n_steps]
    return limit_from(start_of(run).problem, halves, steps)


@lru_cache(maxsize=32)
def half_of(run: Run, half: int, n_steps: int, neurons: int) -> Floats:
    """Outputs [n_steps + 1, m, C] of one draw."""
    problem = start_of(run).problem
    start = drawn(run, problem, neurons, half)
    return theory.solve(problem, start, n_steps, METHOD).outputs


def drawn(run: Run, problem: theory.Problem, neurons: int, half: int) -> theory.State:
    """One of the `HALVES` draws of neurons of the seed of a run."""
    d, c = problem.x.shape[1], problem.y.shape[1]
    return theory.draw(neurons, d, c, [run.seed, half], np.float32)


def limit_from(
    problem: theory.Problem, halves: Sequence[Floats], steps: Sequence[int]
) -> Limit:
    """The mean of solutions, and how far it is known at some steps."""
    outputs = np.mean(halves, axis=0)
    apart = np.std(halves, axis=0, ddof=1)[list(steps)] / np.sqrt(HALVES)
    size = np.sqrt(np.mean(outputs[list(steps)] ** 2, axis=(1, 2)))
    return Limit(problem, outputs, np.sqrt(np.mean(apart**2, axis=(1, 2))) / size)


def relative(outputs: Floats, limit: Floats) -> float:
    """Root mean square of the difference over that of the limit, [m, C] each."""
    return float(np.sqrt(np.mean((outputs - limit) ** 2) / np.mean(limit**2)))


def compare(trained: Mapping[str, Trained], neurons: int = NEURONS) -> list[Finding]:
    """How outputs and t_grok approach the limit; and a network against itself."""
    own = trained[SWEEP]
    reached = own.weights(STEPS)
    limits = limits_of(reached, neurons, own.say)
    errors, times = errors_of(reached, limits), times_of(own, limits)
    widest = errors[errors["width"] == errors["width"].max()]
    last = times[times["width"] == times["width"].max()]
    at = f"N = {widest['width'].iloc[0]}"
    known = ", ".join(
        f"{np.mean([limit.error[i] for limit in limits.values()]):.2g}"
        for i in range(len(STEPS))
    )
    return [
        *(
            exponent(f"outputs at step {step} against N: exponent", slopes(part))
            for step, part in errors.groupby("step")
        ),
        time_exponent(times),
        *(
            near(
                f"relative error of outputs at step {step}, {at}",
                0.0,
                LEFT,
                part["error"].to_numpy(),
                f" (the limit itself is known to {known} at steps {STEPS})",
                RECOMPUTED,
            )
            for step, part in widest[widest["step"] == STEPS[-1]].groupby("step")
        ),
        near(
            f"t_grok over that of the limit, {at}",
            1.0,
            LEFT,
            last["ratio"].to_numpy(),
            "",
            RECOMPUTED,
        ),
        _carriers(reached),
        _itself(reached),
    ]


def limits_of(
    reached: Sequence[Reached],
    neurons: int = NEURONS,
    say: Callable[[str], None] = lambda line: None,
) -> dict[int, Limit]:
    """By seed: at alpha = 0 networks of all widths have one limit."""
    narrow = sorted({one.run for one in reached}, key=lambda run: -run.system.width)
    runs = {run.seed: run for run in narrow}
    limits: dict[int, Limit] = {}
    for seed, run in sorted(runs.items()):
        for half in range(HALVES):
            done = f"{HALVES * len(limits) + half + 1} of {HALVES * len(runs)}"
            say(f"the mean-field limit of seed {seed}, draw {half + 1}: {done}")
            half_of(run, half, STEPS[-1], neurons)
        limits[seed] = limit_of(run, STEPS[-1], neurons)
    return limits


def errors_of(reached: Sequence[Reached], limits: Mapping[int, Limit]) -> pd.DataFrame:
    """seed, width, step, error: `relative` of the outputs of all examples."""
    rows = []
    for one in reached:
        limit = limits[one.run.seed]
        f = theory.seen(limit.problem, neurons_of(one.leaves))
        error = relative(f, limit.outputs[one.step])
        rows.append((one.run.seed, one.run.system.width, one.step, error))
    return pd.DataFrame(rows, columns=["seed", "width", "step", "error"])


def times_of(own: Trained, limits: Mapping[int, Limit]) -> pd.DataFrame:
    """width, seed, t_grok, and ratio: over that of the limit; NaN: never."""
    steps = np.sort(own.trajectories["step"].unique())
    limit = limit_times(limits, steps)
    runs = own.runs[["width", "seed", "t_grok"]].astype(float)
    ratio = runs["t_grok"] / runs["seed"].map(limit["t_grok"])
    return runs.assign(ratio=ratio).sort_values(["width", "seed"])


def limit_times(limits: Mapping[int, Limit], steps: Floats) -> pd.DataFrame:
    """t_mem and t_grok by seed, by the engine's criteria at the engine's records."""
    records = []
    for seed, (problem, outputs, _) in limits.items():
        path = theory.losses(problem, outputs[steps])._asdict()
        records.append(pd.DataFrame({"run_id": str(seed), "step": steps, **path}))
    table = pd.concat(records).assign(zero_loss_fraction=0.0)
    plan = pd.DataFrame({"run_id": table["run_id"].unique()})
    labels = classify(table, plan.assign(decay_rate=np.nan, horizon=np.nan))
    by_seed = labels.set_index(labels["run_id"].astype(int))
    return by_seed[["t_mem", "t_grok"]].astype(float)


def slopes(errors: pd.DataFrame) -> Floats:
    """d ln error / d ln N of each seed."""
    table = errors.pivot(index="width", columns="seed", values="error")
    return np.polyfit(np.log(table.index), np.log(table), 1)[0]


def exponent(quantity: str, values: Floats) -> Finding:
    """Whether the mean over seeds is -1/2 or steeper, within `EXPONENT_WITHIN`."""
    mean, low, high = student_interval(values)
    return _steep(quantity, float(mean), (float(low), float(high)))


def _steep(quantity: str, value: float, interval: tuple[float, float]) -> Finding:
    bound = -0.5 + EXPONENT_WITHIN
    return Finding(
        f"error of {quantity}",
        "-1/2 or steeper",
        RECOMPUTED,
        f"<= {bound:g}",
        f"{value:.3f}",
        f"95%: {interval[0]:.3f} to {interval[1]:.3f}",
        value <= bound,
    )


def time_exponent(times: pd.DataFrame) -> Finding:
    """Of the root mean square over seeds of t_grok / limit - 1, from the widths at
    which every seed groks on; interval by resampling seeds."""
    table = times.pivot(index="width", columns="seed", values="ratio").dropna()
    if len(table) < 2:
        return _steep("t_grok against N", np.nan, (np.nan, np.nan))
    square = (table.to_numpy() - 1) ** 2  # [widths, seeds]
    weights = resample_weights(square.shape[1])
    drawn = np.polyfit(np.log(table.index), np.log(totals(square, weights).T) / 2, 1)[0]
    interval = percentile_interval(drawn[1:], square.shape[1])
    first = table.index.min()
    quantity = f"t_grok against N from {first:g} (where all grok): exponent"
    return _steep(quantity, float(drawn[0]), interval)


def _carriers(reached: Sequence[Reached]) -> Finding:
    """Whether all neurons carry f: their number grows as N."""
    rows = [
        (one.run.seed, one.run.system.width, _participation(one))
        for one in reached
        if one.step == STEPS[-1]
    ]
    table = pd.DataFrame(rows, columns=["seed", "width", "error"])
    mean, low, high = student_interval(slopes(table))
    return Finding(
        f"neurons that carry f at step {STEPS[-1]} against N: exponent",
        "1",
        OWN,
        f"± {EXPONENT_WITHIN:g}",
        f"{mean:.3f}",
        f"95%: {low:.3f} to {high:.3f}",
        bool(abs(mean - 1) <= EXPONENT_WITHIN),
    )


def _participation(one: Reached) -> float:
    degree = ACTIVATIONS[one.run.system.activation].degree
    return theory.carriers(neurons_of(one.leaves).neurons, degree)


def _itself(reached: Sequence[Reached]) -> Finding:
    """The iteration from the engine's own neurons, in float64, against the engine."""
    run, step = reached[0].run, STEPS[1]
    (there,) = [one for one in reached if one.run == run and one.step == step]
    problem, neurons = start_of(run, np.float64)
    method = METHOD._replace(tolerance=1e-10)
    solved = theory.solve(problem, neurons, step, method).outputs[-1]
    engine = theory.seen(problem, neurons_of(there.leaves, np.float64))
    return near(
        f"outputs of the iteration from a network's own {run.system.width} neurons, at "
        f"step {step}, from the engine's (relative)",
        0.0,
        ROUNDING,
        relative(engine, solved),
        "",
        OWN,
    )


def figure(trained: Mapping[str, Trained]) -> Figure:
    """Errors of outputs and of t_grok against N."""
    own = trained[SWEEP]
    reached = own.weights(STEPS)
    limits = limits_of(reached)
    errors, times = errors_of(reached, limits), times_of(own, limits)
    outputs = errors.assign(
        x=errors["width"],
        y=errors["error"],
        series=[f"outputs at step {step}" for step in errors["step"]],
    )
    gap = (times["ratio"] - 1).abs()
    gap_label = f"|{plot.T_GROK} / limit - 1|"
    late = times.assign(x=times["width"], y=gap, series=plot.T_GROK)[gap > 0]
    return plot.power_laws(
        [
            plot.Scaling("outputs", "relative error", outputs, -0.5),
            plot.Scaling("time of grokking", gap_label, late, -0.5),
        ],
        "width N",
    )
