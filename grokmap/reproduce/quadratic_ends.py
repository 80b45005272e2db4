"""Where training of quadratic neurons under weight decay ends, draw by draw.

F of neurons of degree 3, as a function of theta' (`condensation`), is no convex one of
their law: decay costs |theta'|^2, outputs go as its power 3/2, so that few large
neurons are cheaper than many small ones. Near theta' = 0 decay outweighs the loss, and
the dead network is a minimum. Whether the ends of live networks differ is measured: N
neurons of six draws, on one split, followed until they hardly move.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from grokmap.reproduce.finding import OWN, Finding
from grokmap.reproduce.fixed_points import (
    balance,
    objective,
    problem_at,
    scaled,
    square_norm,
)
from grokmap.reproduce.trained import Trained, say_of
from grokmap.theory import mean_field as theory

NEURONS, DRAWS, DECAY_TIMES = 64, 6, 400
DECAYS, FRACTION, RATE, DEGREE = (0.05, 0.02), 0.75, 0.05, 3
SMALL = 0.1  # of the usual weights
# Set before the final run: how little F may change in the last decay time, relative,
# and how far a balance may be from 1, of what is at rest; and how far values are apart.
STILL, BALANCED, APART, DEAD = 1e-5, 1e-3, 1e-3, 1.5


class End(NamedTuple):
    """objective: F; moved: its relative change in the last decay time; balance: as of
    `fixed_points`, NaN of dead weights; accuracies."""

    objective: float
    moved: float
    balance: float
    train_accuracy: float
    test_accuracy: float

    @property
    def rests(self) -> bool:
        return abs(self.moved) <= STILL and abs(self.balance - 1) <= BALANCED


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Of each weight decay the ends of all draws, and of one of small weights."""
    say = say_of(trained)
    findings = []
    for i, decay in enumerate(DECAYS, 1):
        say(f"lambda = {decay:g}: {DRAWS} draws to their ends, {i} of {len(DECAYS)}")
        ends = [end_of(decay, draw) for draw in range(DRAWS)]
        findings += of_ends(ends, end_of(decay, 0, SMALL), f"lambda = {decay:g}")
    return findings


def end_of(decay: float, draw: int, scale: float = 1.0) -> End:
    """Of one draw, its weights times a scale, after `DECAY_TIMES`."""
    problem = problem_at(FRACTION)._replace(
        sigma=jnp.square, learning_rate=RATE, weight_decay=decay
    )
    sizes = problem.x.shape[1], problem.y.shape[1]
    start = scaled(theory.draw(NEURONS, *sizes, draw, np.float32), scale)
    time = (1 - problem.momentum) / (RATE * decay)
    steps = [round((DECAY_TIMES - 1) * time), round(DECAY_TIMES * time)]
    (early, before), (f, neurons) = theory.follow(problem, start, steps)
    state = theory.at_rest(*neurons)
    losses = theory.losses(problem, f)
    last = objective(problem, f, state)
    first = objective(problem, early, theory.at_rest(*before))
    return End(
        last,
        first / last - 1,
        balance(problem, f, state, DEGREE) if square_norm(state) > 0 else np.nan,
        float(losses.train_accuracy),
        float(losses.test_accuracy),
    )


def of_ends(ends: list[End], small: End, at: str) -> list[Finding]:
    """Whether live ends at rest have several values, and small weights another."""
    resting = sorted(end for end in ends if end.rests)
    values = [end.objective for end in resting]
    apart = max(values) / min(values) - 1 if len(values) > 1 else np.nan
    shown = ", ".join(f"{end.objective:.4f}" for end in resting)
    right = ", ".join(f"{end.test_accuracy:.2f}" for end in resting)
    least = min((end.train_accuracy for end in resting), default=np.nan)
    dead = small.objective / min(end.objective for end in ends)
    return [
        Finding(
            f"F of the draws at rest, {at}: the largest over the least, less 1",
            "above 0 (more than one stationary value)",
            OWN,
            f">= {APART:g}",
            f"{apart:.3g}",
            f"{len(resting)} of {len(ends)} draws rest: {shown}; their test accuracies "
            f"{right}, train accuracy {least:.2f} or more",
            bool(apart >= APART),
        ),
        Finding(
            f"F from weights a tenth as large over the least F, {at}",
            "above 1 (the dead network)",
            OWN,
            f">= {DEAD:g}",
            f"{dead:.3g}",
            f"F = {small.objective:.4f}",
            bool(dead >= DEAD),
        ),
    ]
