"""Where mean-field training under weight decay ends, from unlike starts.

The survey has two fixed points, one memorising and one generalising, and a barrier of
action between them. In the limit F is convex in the law of the neurons, for any
activation: outputs are linear in it, the loss convex in them, and the decay linear
(Chizat and Bach, arXiv 1805.09545). So of two laws mixed in any proportion F is never
above the larger of the two: no barrier. What is left to measure is where training ends.

For neurons of degree 2 (relu) K is no more than a scale: the network at (K, lambda) is
that at (1, lambda / K) with initial weights sqrt(K) as large (`condensation`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from grokmap.arrays import Floats
from grokmap.engine.mean_field import start_of
from grokmap.reproduce.finding import OWN, WORDS, Finding, near
from grokmap.reproduce.trained import Trained, say_of
from grokmap.spec import Control, Run, System
from grokmap.theory import mean_field as theory
from grokmap.theory.mean_field import Problem, State

NEURONS, DECAY_TIMES, PREPARED = 256, 20.0, 1500
METHOD = theory.Method(tolerance=1e-4)
DEGREE, LAZY = 2, 4.0  # of relu; K of the lazy start
# Train fractions, and the lambda at K = 1 from much to little.
SETTINGS = {0.85: (0.05, 0.03, 0.02, 0.01), 0.6: (0.03, 0.01)}
SAME, BALANCED, SLOW = 0.01, 0.05, 0.02  # set before the runs


class End(NamedTuple):
    """A start followed for `DECAY_TIMES`.

    objective: F; before: F one decay time earlier. balance: what the residuals pull the
    weights outward over what the decay pulls them inward; 1 at rest, 0 at zero loss.
    """

    objective: float
    before: float
    balance: float
    losses: theory.Losses


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """For each train fraction and lambda, the ends of all starts."""
    say = say_of(trained)
    return [
        finding
        for fraction, decays in SETTINGS.items()
        for finding in _of_fraction(fraction, decays, say)
    ]


def _of_fraction(
    fraction: float, decays: tuple[float, ...], say: Callable[[str], None]
) -> list[Finding]:
    pairs = f"{fraction:.0%} of the pairs"
    say(f"{pairs}: preparing a state that memorised and one that generalises")
    problem = problem_at(fraction)
    starts = starts_of(problem)
    findings = [_zero_loss(problem, starts["memorised"], fraction)]
    for i, decay in enumerate(decays, 1):
        at = f"{pairs}, lambda = {decay:g}"
        say(f"{at}: {len(starts)} starts to their ends, {i} of {len(decays)}")
        ends = {
            name: end_of(problem._replace(weight_decay=decay), start, name == "lazy")
            for name, start in starts.items()
        }
        findings += of_ends(ends, at)
    return findings


def problem_at(fraction: float) -> Problem:
    """Modular addition, p = 11, relu, the engine's split of seed 0."""
    system = System(
        task="modular_addition", model="two_layer", modulus=11, width=8,
        activation="relu", loss="mse", optimizer="gd",
    )  # fmt: skip
    control = Control(
        alpha=0.0, weight_decay=0.0, train_fraction=fraction, learning_rate=0.1,
        momentum=0.9,
    )  # fmt: skip
    return start_of(Run("", system, control, 0)).problem


def starts_of(problem: Problem) -> dict[str, State]:
    """Neurons at random, at random with K = LAZY, and trained on the whole table: with
    the right answers, and with the next wrong ones in place of those of the test."""
    d, c, n = problem.x.shape[1], problem.y.shape[1], problem.n_train
    random = theory.draw(NEURONS, d, c, 0, np.float32)
    wrong = np.concatenate([problem.y[:n], np.roll(problem.y[n:], 1, axis=1)])
    return {
        "random": random,
        "lazy": scaled(random, LAZY ** (1 / DEGREE)),
        "memorised": prepared(problem, random, wrong),
        "generalised": prepared(problem, random, problem.y),
    }


def scaled(state: State, factor: float) -> State:
    return theory.at_rest(*(np.float32(factor) * part for part in state.neurons))


def prepared(
    problem: Problem, start: State, y: Floats, n_steps: int = PREPARED
) -> State:
    """Trained on all examples with these answers, at hardly any decay."""
    whole = problem._replace(y=y, n_train=len(y), weight_decay=0.001)
    state = theory.solve(whole, start, n_steps, METHOD).state
    return theory.at_rest(*state.neurons)


def end_of(problem: Problem, start: State, lazy: bool = False) -> End:
    """lazy: of larger weights, whose kernel needs the smaller step."""
    rate = problem.learning_rate / (LAZY if lazy else 1)
    problem = problem._replace(learning_rate=rate)
    decay_time = (1 - problem.momentum) / (rate * problem.weight_decay)
    steps = round(DECAY_TIMES * decay_time), round(decay_time)
    first = theory.solve(problem, start, steps[0] - steps[1], METHOD)
    last = theory.solve(problem, first.state, steps[1], METHOD)
    return End(
        objective(problem, last.outputs[-1], last.state),
        objective(problem, first.outputs[-1], first.state),
        balance(problem, last.outputs[-1], last.state),
        theory.losses(problem, last.outputs[-1]),
    )


def square_norm(state: State) -> float:
    """(1/N) sum_j (|a_j|^2 + |w_j|^2)."""
    return float(sum(np.mean(np.sum(part**2, axis=1)) for part in state.neurons))


def objective(problem: Problem, outputs: Floats, state: State) -> float:
    """F = L + (lambda / 2N) |theta|^2."""
    residual = (outputs - problem.y)[: problem.n_train]
    loss = float(np.sum(residual**2)) / problem.n_train
    return loss + problem.weight_decay / 2 * square_norm(state)


def balance(
    problem: Problem, outputs: Floats, state: State, degree: int = DEGREE
) -> float:
    """-L (2/n) sum_mu Delta_mu.f_mu / (lambda/N |theta|^2), of neurons of degree L.

    From d/ds F(s theta) = 0 at s = 1, which every stationary point fulfils.
    """
    n = problem.n_train
    f, residual = outputs[:n], outputs[:n] - problem.y[:n]
    pull = -degree * 2 / n * float(np.sum(residual * f))
    return pull / (problem.weight_decay * square_norm(state))


def _zero_loss(problem: Problem, start: State, fraction: float) -> Finding:
    """A memorising state of next to no loss is not stationary."""
    decay = min(SETTINGS[fraction])
    outputs = theory.seen(problem, start)
    pull = balance(problem._replace(weight_decay=decay), outputs, start)
    return Finding(
        f"balance of the memorised start, {fraction:.0%} of the pairs, lambda = "
        f"{decay:g} (1 at a stationary point)",
        "a fixed point",
        WORDS,
        f"within {BALANCED:g} of 1",
        f"{pull:.3f}",
        f"train loss {theory.losses(problem, outputs).train_loss:.2g}",
        bool(abs(pull - 1) <= BALANCED),
    )


def of_ends(ends: Mapping[str, End], at: str) -> list[Finding]:
    values = np.array([end.objective for end in ends.values()])
    moved = max(abs(end.before / end.objective - 1) for end in ends.values())
    tests = np.array([end.losses.test_accuracy for end in ends.values()])
    trains = np.array([end.losses.train_accuracy for end in ends.values()])
    names = ", ".join(ends)
    return [
        Finding(
            f"F after {DECAY_TIMES:g} decay times, {at}: starts {names}",
            "one value",
            OWN,
            f"all within {SAME:.0%}",
            ", ".join(f"{value:.4f}" for value in values),
            f"last decay time: {moved:.1g}",
            bool(np.ptp(values) <= SAME * values.min() and moved <= SLOW),
        ),
        near(f"balance there, {at}", 1.0, BALANCED, _balances(ends), "", OWN),
        Finding(
            f"test accuracy there, {at}",
            "two states: about 0 and 1",
            WORDS,
            "memorised <= 0.2, generalised >= 0.95, both with train accuracy >= 0.99",
            ", ".join(f"{value:.2f}" for value in tests),
            f"train accuracy {trains.min():.2f} to {trains.max():.2f}",
            bool(_two_states(ends)),
        ),
    ]


def _balances(ends: Mapping[str, End]) -> Floats:
    return np.array([end.balance for end in ends.values()])


def _two_states(ends: Mapping[str, End]) -> bool:
    """As the survey has it."""
    low, high = ends["memorised"].losses, ends["generalised"].losses
    learned = min(low.train_accuracy, high.train_accuracy) >= 0.99
    return bool(learned and low.test_accuracy <= 0.2 and high.test_accuracy >= 0.95)
