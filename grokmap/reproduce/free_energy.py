"""F of a memorising and of a generalising state over weight decay and data.

F = L + (lambda / 2N) |theta|^2, which `gd` descends on; AdamW, whose decay is not that
of a loss, has none. Two states of one network are prepared on the whole table, with the
right answers and with wrong ones in place of those of the test; then both are relaxed
at each lambda on the training examples alone, to a stationary point of F, by L-BFGS in
float64. Beside them stands the network that has died, theta = 0, of F = 1 (one-hot
targets), stationary for neurons of degree 3 at any lambda.

Along alpha nothing has to be measured: F depends on lambda and K = N^alpha through
lambda K^(-2/3) alone (`condensation`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import jax
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.analysis.statistics import student_interval
from grokmap.classify import GROK, NO_LEARNING
from grokmap.engine.mean_field import start_of
from grokmap.reproduce import fixed_points
from grokmap.reproduce.finding import OWN, WORDS, Finding
from grokmap.reproduce.states import (
    STATES,
    STATIONARY,
    Examples,
    accuracies,
    minima,
    prepared,
)
from grokmap.reproduce.trained import Trained
from grokmap.spec import Run
from grokmap.theory.mean_field import (
    Method,
    Neurons,
    Problem,
    at_rest,
    losses,
    solve,
)

SWEEP = "free-energy"
RELAXED = 3000  # most iterations
DEAD = 1.0  # F of no weights
# Set before the runs, but for the last two: F at the edge and the runs by descent were
# added once the first comparison had been seen.
LEARNED, GENERALISES, MEMORISES = 0.99, 0.95, 0.2
EDGE_WITHIN, SAME = 0.1, 0.02
# Train fraction, weight decay and seeds, followed for so long.
DESCENT, DECAY_TIMES = (0.85, 0.02, (0, 1, 2)), 20.0
ACCURACIES = ("train_accuracy", "test_accuracy")


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Whether two states coexist, how their F compare, and where edges lie."""
    runs = trained[SWEEP].runs
    table = table_of(trained[SWEEP])
    findings = [
        finding
        for fraction, own in table.groupby("train_fraction")
        for finding in _of_fraction(
            own,
            runs[runs["train_fraction"] == fraction],
            f"{fraction:.0%} of the pairs",
        )
    ]
    return [*findings, *_descents(descended(trained[SWEEP]))]


def table_of(trained: Trained) -> pd.DataFrame:
    """One row for each run and state that its network relaxes to at its weight decay.

    train_fraction, weight_decay, seed, state, objective (F), gradient (its norm),
    train_accuracy, test_accuracy; prepared: test accuracy of the state before.
    """
    runs = tuple(one.run for one in trained.weights((0,)))
    return _table(runs)


@lru_cache(maxsize=1)
def _table(runs: tuple[Run, ...]) -> pd.DataFrame:
    """By weight decay: the networks of one are relaxed together."""
    decays = sorted({run.control.weight_decay for run in runs})
    first = [run for run in runs if run.control.weight_decay == decays[0]]
    starts = [start_of(run, np.float64) for run in first]
    with jax.enable_x64(True):
        states, right = prepared(starts)
        parts = [_relaxed(first, states, right, decay) for decay in decays]
    return pd.concat(parts, ignore_index=True)


def _relaxed(
    runs: Sequence[Run], states: Neurons, examples: Examples, decay: float
) -> pd.DataFrame:
    neurons, value, gradient = minima(states, examples, decay, RELAXED)
    facts = [
        (run.control.train_fraction, decay, run.seed, state)
        for state in STATES
        for run in runs
    ]
    columns = ["train_fraction", "weight_decay", "seed", "state"]
    return pd.DataFrame(facts, columns=columns).assign(
        objective=np.asarray(value),
        gradient=np.asarray(gradient),
        **dict(zip(ACCURACIES, accuracies(neurons, examples), strict=True)),
        prepared=accuracies(states, examples)[1],
    )


def descended(trained: Trained) -> pd.DataFrame:
    """seed, state, objective, test_accuracy after DECAY_TIMES of the engine's descent,
    from the same states, at DESCENT's place and seeds: L-BFGS might leave a minimum
    that descent would stay in."""
    fraction, decay, seeds = DESCENT
    runs = [
        one.run
        for one in trained.weights((0,))
        if one.run.control[1:3] == (decay, fraction) and one.run.seed in seeds
    ]
    rows = []
    for run in runs:
        start = start_of(run, np.float64)
        with jax.enable_x64(True):
            states, _ = prepared([start])
            states = jax.tree.map(np.asarray, states)
        for i, state in enumerate(STATES):
            own = Neurons(*(part[i] for part in states))
            rows.append((run.seed, state, *_descend(start_of(run).problem, own)))
        trained.say(f"seed {run.seed} descended from both states")
    return pd.DataFrame(rows, columns=["seed", "state", "objective", "test_accuracy"])


def _descend(problem: Problem, neurons: Neurons) -> tuple[float, float]:
    single = [np.asarray(part, np.float32) for part in neurons]
    rate = problem.learning_rate * problem.weight_decay / (1 - problem.momentum)
    steps, method = round(DECAY_TIMES / rate), Method(tolerance=1e-4, window=8)
    end = solve(problem, at_rest(*single), steps, method)
    f = fixed_points.objective(problem, end.outputs[-1], end.state)
    return f, float(losses(problem, end.outputs[-1]).test_accuracy)


def _descents(table: pd.DataFrame) -> list[Finding]:
    wide = table.pivot(index="seed", columns="state")
    excess = wide["objective"]["memorised"] / wide["objective"]["generalised"] - 1
    tests = {state: wide["test_accuracy"][state] for state in STATES}
    at = f"{DESCENT[0]:.0%} of the pairs, lambda = {DESCENT[1]:g}"
    time = f"after {DECAY_TIMES:g} decay times of descent, {at}"
    words = {state: ", ".join(f"{x:.2f}" for x in own) for state, own in tests.items()}
    return [
        Finding(
            f"test accuracy from the memorised start {time}",
            "0: a local minimum",
            WORDS,
            f"<= {MEMORISES:g} in most networks",
            words["memorised"],
            f"from the generalised start {words['generalised']}",
            bool((tests["memorised"] <= MEMORISES).mean() > 0.5),
        ),
        Finding(
            f"F of the memorised start over F of the generalised one, less 1, {time}",
            "0: one value",
            OWN,
            f"± {SAME:g} in each",
            ", ".join(f"{value:+.4f}" for value in excess),
            "",
            bool((excess.abs() <= SAME).all()),
        ),
    ]


def _of_fraction(table: pd.DataFrame, runs: pd.DataFrame, at: str) -> list[Finding]:
    wide = table.pivot(index=["weight_decay", "seed"], columns="state")
    return [
        _prepared(table, at),
        _at_rest(table, at),
        _coexisting(wide, at),
        _differences(wide, at),
        _edge(table, runs, at),
    ]


def _prepared(table: pd.DataFrame, at: str) -> Finding:
    own = {state: part["prepared"] for state, part in table.groupby("state")}
    low, high = own["generalised"].min(), own["memorised"].max()
    return Finding(
        f"test accuracy of the generalised and the memorised state as prepared, {at}",
        "1 and 0",
        OWN,
        f">= {GENERALISES:g} and <= {MEMORISES:g} in each",
        f"{low:.2f} and {high:.2f} (lowest, highest)",
        "",
        bool(low >= GENERALISES and high <= MEMORISES),
    )


def _at_rest(table: pd.DataFrame, at: str) -> Finding:
    largest = float(table["gradient"].max())
    return Finding(
        f"|gradient of F| of the relaxed states, {at}: largest",
        "0",
        OWN,
        f"<= {10 * STATIONARY:.0e}",
        f"{largest:.1g}",
        f"{len(table)} states",
        largest <= 10 * STATIONARY,
    )


def _coexisting(wide: pd.DataFrame, at: str) -> Finding:
    """Where one network has a memorising and a generalising stationary state."""
    train, test = wide["train_accuracy"], wide["test_accuracy"]
    learned = (train >= LEARNED).all(axis=1)
    memory = test["memorised"] <= MEMORISES
    both = learned & memory & (test["generalised"] >= GENERALISES)
    shares = both.groupby("weight_decay").mean()
    return Finding(
        f"seeds with a memorising and a generalising stationary state, {at}",
        "two local minima, m = 0 and m = 1",
        WORDS,
        f"half of the seeds at some lambda; test accuracy <= {MEMORISES:g}, "
        f">= {GENERALISES:g}",
        ", ".join(f"{share:.0%}" for share in shares),
        f"at lambda = {_list(shares.index)}, {len(both) // len(shares)} seeds",
        bool((shares >= 0.5).any()),
    )


def _differences(wide: pd.DataFrame, at: str) -> Finding:
    """F of the memorised start over that of the generalised one, where both learned."""
    f = wide["objective"]
    learned = (wide["train_accuracy"] >= LEARNED).all(axis=1)
    excess = (f["memorised"] / f["generalised"] - 1)[learned]
    words, changes = [], []
    for decay, own in excess.groupby("weight_decay"):
        mean, low, high = student_interval(own.to_numpy())
        words.append(f"{decay:g}: {mean:+.4f} ({low:+.4f} to {high:+.4f})")
        changes += [np.sign(mean)] if low > 0 or high < 0 else []
    return Finding(
        f"F of the memorised start over F of the generalised one, less 1, {at}",
        "above 0 in the wedge, below 0 outside",
        WORDS,
        "both signs, each with a 95% interval without 0",
        "; ".join(words),
        f"largest size {excess.abs().max():.2g}",
        len(set(changes)) == 2,
    )


def _edge(table: pd.DataFrame, runs: pd.DataFrame, at: str) -> Finding:
    """F of the generalised start where runs stop to grok, or to learn if none groks."""
    own = table[table["state"] == "generalised"]
    f = own.groupby("weight_decay")["objective"].mean()
    shares = {
        "grokking": runs["phase"] == GROK,
        "learning": runs["phase"] != NO_LEARNING,
    }
    edges = {
        name: last_passed(share.groupby(runs["weight_decay"]).mean())
        for name, share in shares.items()
    }
    name = "learning" if np.isnan(edges["grokking"]) else "grokking"
    edge = edges[name]
    value = float(np.interp(np.log(edge), np.log(f.index.to_numpy(float)), f))
    return Finding(
        f"F of the generalised start at the upper edge of {name}, {at}",
        f"{DEAD:g}, if a dead network's is the lower beyond",
        OWN,
        f"± {EDGE_WITHIN:g}",
        f"{value:.2f}",
        f"edge at lambda = {edge:.3g}, by the runs; F = {f.iloc[-1]:.2f} at "
        f"{f.index[-1]:g}",
        bool(abs(value - DEAD) <= EDGE_WITHIN),
    )


def last_passed(shares: pd.Series) -> float:
    """lambda above which a share stays below one half, linear in ln lambda; NaN where
    it is never above, or is at the last."""
    above = (shares >= 0.5).to_numpy()
    if not above.any() or above[-1]:
        return float("nan")
    i = int(np.flatnonzero(above)[-1])
    x, y = np.log(shares.index.to_numpy(float)), shares.to_numpy(float)
    share = (y[i] - 0.5) / (y[i] - y[i + 1])
    return float(np.exp(x[i] + share * (x[i + 1] - x[i])))


def _list(values: Any) -> str:
    return ", ".join(f"{value:g}" for value in values)


def figure(trained: Mapping[str, Trained]) -> Figure:
    """F of both states over lambda; their test accuracies, and the runs that grok."""
    table, runs = table_of(trained[SWEEP]), trained[SWEEP].runs
    x_label = r"weight decay $\lambda$"
    high = table[table["train_fraction"] == table["train_fraction"].max()]
    curves = [_curve(high, state, "objective") for state in STATES]
    title = f"F, {high['train_fraction'].iloc[0]:.0%} of the pairs"
    panels = [plot.WidthPanel(title, "$F$", curves, False, x_label)]
    for fraction, own in list(table.groupby("train_fraction"))[::-1]:
        here = runs[runs["train_fraction"] == fraction]
        tests = [_curve(own, state, "test_accuracy") for state in STATES]
        grok = here.assign(grok=(here["phase"] == GROK).astype(float))
        tests.append(_series(grok, "grok", "runs that grok"))
        title = f"{fraction:.0%} of the pairs"
        label = "test accuracy, share"
        panels.append(plot.WidthPanel(title, label, tests, False, x_label))
    return plot.width_panels(panels)


def _curve(table: pd.DataFrame, state: str, column: str) -> plot.WidthSeries:
    return _series(table[table["state"] == state], column, f"{state} start")


def _series(table: pd.DataFrame, column: str, label: str) -> plot.WidthSeries:
    groups = table.groupby("weight_decay")[column]
    none = np.full(len(groups), np.nan)
    decays = np.array(sorted(table["weight_decay"].unique()))
    return plot.WidthSeries(
        label, decays, groups.mean().to_numpy(float), none, none, np.empty(0)
    )
