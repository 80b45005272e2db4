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
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.analysis.statistics import student_interval
from grokmap.classify import GROK, NO_LEARNING
from grokmap.reproduce.finding import OWN, WORDS, Finding
from grokmap.reproduce.mean_field import Start, start_of
from grokmap.reproduce.trained import Trained
from grokmap.spec import Run
from grokmap.theory.mean_field import Neurons

SWEEP = "free-energy"
PREPARED_AT, PREPARED, RELAXED = 1e-3, 300, 3000  # lambda, iterations, most iterations
STATIONARY = 1e-5  # |gradient of F|
DEAD = 1.0  # F of no weights
# Set before the runs.
LEARNED, GENERALISES, MEMORISES = 0.99, 0.95, 0.2
EDGE_WITHIN = 0.1
STATES = ("generalised", "memorised")
ACCURACIES = ("train_accuracy", "test_accuracy")


class Examples(NamedTuple):
    """Of [k] networks: inputs x [k, m, d] and answers y [k, m, C] of the whole table,
    and the share [k, m] that each example has in the loss."""

    x: Any
    y: Any
    share: Any


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Whether two states coexist, how their F compare, and where edges lie."""
    runs = trained[SWEEP].runs
    table = table_of(trained[SWEEP])
    return [
        finding
        for fraction, own in table.groupby("train_fraction")
        for finding in _of_fraction(
            own,
            runs[runs["train_fraction"] == fraction],
            f"{fraction:.0%} of the pairs",
        )
    ]


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


def prepared(starts: Sequence[Start]) -> tuple[Neurons, Examples]:
    """The states of k networks, all generalised ones before all memorised ones, [2 k];
    and the training examples of each with their right answers."""
    problems = [start.problem for start in starts] * 2
    x, y = (np.stack([getattr(p, name) for p in problems]) for name in ("x", "y"))
    answers, m, k = y.copy(), y.shape[1], len(starts)
    share = np.zeros(y.shape[:2])
    for i, problem in enumerate(problems):
        n = problem.n_train
        share[i, :n] = 1 / n
        if i >= k:
            answers[i, n:] = np.roll(y[i, n:], 1, axis=1)
    both = [start.neurons.neurons for start in starts] * 2
    neurons: Neurons = jax.tree.map(lambda *parts: jnp.stack(parts), *both)
    table = Examples(x, answers, np.full_like(share, 1 / m))
    neurons, _, _ = minima(neurons, table, PREPARED_AT, PREPARED)
    return neurons, Examples(x, y, share)


def accuracies(neurons: Neurons, examples: Examples) -> tuple[Any, Any]:
    """[k] on training and on other examples."""
    f = np.asarray(jax.vmap(outputs)(neurons, examples.x))
    right = f.argmax(axis=2) == examples.y.argmax(axis=2)
    train = examples.share > 0
    return tuple(
        (right & rows).sum(axis=1) / rows.sum(axis=1) for rows in (train, ~train)
    )


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


def objective(neurons: Neurons, examples: Examples, decay: Any) -> jax.Array:
    """F of quadratic neurons a [N, C], w [N, d] at K = 1; examples: of one network."""
    residual = outputs(neurons, examples.x) - examples.y
    square = sum(jnp.sum(part**2) for part in neurons) / len(neurons.readout)
    loss = jnp.sum(examples.share * jnp.sum(residual**2, axis=1))
    return loss + decay / 2 * square


def outputs(neurons: Neurons, x: Any) -> jax.Array:
    """[m, C] at inputs [m, d]."""
    hidden = jnp.square(x @ neurons.first.T)
    f: jax.Array = hidden @ neurons.readout / len(neurons.readout)
    return f


@partial(jax.jit, static_argnames="most")
def minima(
    starts: Neurons, examples: Examples, decay: Any, most: int
) -> tuple[Neurons, Any, Any]:
    """Stationary points of F next to k starts: neurons, F [k], |gradient| [k].

    By L-BFGS (optax), until the gradient is below STATIONARY, or for `most` iterations.
    """

    def one(start: Neurons, examples: Examples) -> tuple[Neurons, Any, Any]:
        return _minimum(partial(objective, examples=examples, decay=decay), start, most)

    found: tuple[Neurons, Any, Any] = jax.vmap(one)(starts, examples)
    return found


def _minimum(f: Any, start: Neurons, most: int) -> tuple[Neurons, Any, Any]:
    method = optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(f)

    def step(carry: Any) -> Any:
        neurons, state, count, _ = carry
        value, grad = value_and_grad(neurons, state=state)
        change, state = method.update(
            grad, state, neurons, value=value, grad=grad, value_fn=f
        )
        size = optax.tree.norm(grad)
        return optax.apply_updates(neurons, change), state, count + 1, size

    def unfinished(carry: Any) -> Any:
        return (carry[2] < most) & (carry[3] > STATIONARY)

    begin = (start, method.init(start), 0, jnp.inf)
    neurons = jax.lax.while_loop(unfinished, step, begin)[0]
    value, grad = jax.value_and_grad(f)(neurons)
    return neurons, value, optax.tree.norm(grad)


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
        f"{DEAD:g}, that of a dead network",
        WORDS,
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
