"""The engine's committee against the exact recursion of Kumar et al. (2310.06110).

The engine trains Fig. 3a's network; `theory.kumar` takes its data and initial weights
from there and follows (w_bar, M) in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from grokmap.arrays import Floats
from grokmap.engine.lane import Lane, examples_of
from grokmap.engine.records import Slots
from grokmap.engine.train import build
from grokmap.reproduce.finding import OWN, RECOMPUTED, Finding, near
from grokmap.spec import Control, System
from grokmap.theory import kumar

EPSILON, LEARNING_RATE = 0.25, 0.5
COMPARED = 1000  # steps after which the two are compared
PLACES = (0, COMPARED, 10 * COMPARED)  # begin, middle and end of the longer run


class Setting(NamedTuple):
    """Sizes: D inputs, P training and some test examples, N neurons."""

    n_inputs: int
    n_train: int
    n_test: int
    width: int


FIG_3A = Setting(100, 450, 100_000, 500)


class Place(NamedTuple):
    """A run at some step.

    moved: moments of f - f_0; losses of the engine: mean squared residuals over the
    training examples and over fresh inputs.
    """

    step: int
    moved: kumar.Moments
    train_loss: float
    test_loss: float


class Run(NamedTuple):
    """x [P, D] ~ N(0, I/D) and T [D, D] of y = (1/2) x^T T x; start: moments."""

    x: Floats
    t: Floats
    start: kumar.Moments
    places: list[Place]


class Engine(NamedTuple):
    """The engine's own functions for a setting, compiled once for every alpha."""

    setting: Setting
    system: System
    init: Callable[..., Lane]
    chunk: Callable[..., tuple[Lane, jax.Array]]
    names: tuple[str, ...]


def engine_of(setting: Setting) -> Engine:
    """The engine's functions for Fig. 3a's system in these sizes."""
    system = System(
        task="squared_teacher",
        model="committee",
        activation="polynomial",
        alpha_convention="output_scale",
        center=True,
        width=setting.width,
        n_inputs=setting.n_inputs,
        n_examples=setting.n_train + setting.n_test,
        order_parameters=(),
    )
    program = build(system, tile=setting.n_train, max_tiles=1)
    init, chunk = jax.jit(program.init), jax.jit(program.chunk)
    return Engine(setting, system, init, chunk, program.names["dense"])


def engine_run(engine: Engine, alpha: float, steps: tuple[int, ...]) -> Run:
    """Seed 0 trained by the engine, measured after some steps, in rising order."""
    n_inputs, n_train, n_test, _ = engine.setting
    control = Control(
        alpha=alpha,
        weight_decay=0.0,
        train_fraction=n_train / (n_train + n_test),
        learning_rate=LEARNING_RATE,
        nonlinearity=EPSILON,
    )
    lane = engine.init(control, jnp.int32(n_train), jnp.uint32(0))
    data = examples_of(engine.system, lane)
    rows = np.asarray(lane.rows)[:n_train]
    beta = np.asarray(data.teacher, np.float64)
    x = np.asarray(data.inputs[rows], np.float64) / np.sqrt(n_inputs)
    start = moments_of(lane, engine.setting.width)
    return Run(x, 2 * np.outer(beta, beta), start, list(_places(engine, lane, steps)))


def _places(engine: Engine, lane: Lane, steps: tuple[int, ...]) -> Iterator[Place]:
    """Trains a lane from step to step."""
    width, never = engine.setting.width, jnp.zeros(1, bool)
    start = moments_of(lane, width)
    for before, step in zip((0, *steps), steps, strict=False):
        slots = Slots(jnp.array([step - before]), never, never, jnp.int32(1))
        lane, records = engine.chunk(lane, slots)
        row = np.asarray(records[0], np.float64)
        losses = dict(zip(engine.names, row, strict=True))
        moved = moments_of(lane, width) - start
        yield Place(step, moved, losses["train_loss"], losses["test_loss"])


def moments_of(lane: Lane, width: int) -> kumar.Moments:
    """Moments of the network of N neurons; a lane stores fewer, times a factor."""
    first = np.asarray(lane.params["first"], np.float64).T
    return kumar.network_moments(first / np.sqrt(width / len(first)))


def compare_recursion(
    setting: Setting = FIG_3A, places: tuple[int, ...] = PLACES
) -> list[Finding]:
    """Losses after `places[1]` steps, and the loss identity on the way."""
    engine, findings = engine_of(setting), []
    for alpha in (0.25, 1.0, 4.0):
        steps = places if alpha == 1.0 else places[:2]
        run = engine_run(engine, alpha, steps)
        path = kumar.train(
            run.start, run.x, run.t, alpha, EPSILON, 1 / alpha, steps[1], centred=True
        )
        findings += _relative_losses(run, path, alpha)
        if alpha == 1.0:
            findings += [_identity(run, place, alpha) for place in run.places]
    return findings


def _relative_losses(run: Run, path: kumar.Path, alpha: float) -> list[Finding]:
    place = run.places[1]
    population = kumar.population_loss(place.moved, run.t, alpha, EPSILON)
    losses = (
        ("train", place.train_loss, path.train_loss),
        ("population", population, path.population_loss),
    )
    return [
        near(
            f"{name} loss at step {place.step}, engine in float32 over recursion in "
            f"float64, less 1, alpha = {alpha:g}",
            0.0,
            1e-3,
            engine_loss / exact[-1] - 1,
            "",
            OWN,
        )
        for name, engine_loss, exact in losses
    ]


def _identity(run: Run, place: Place, alpha: float) -> Finding:
    exact = kumar.population_loss(place.moved, run.t, alpha, EPSILON)
    quantity = f"loss over fresh inputs over the closed form, step {place.step}"
    return near(quantity, 1.0, 0.03, place.test_loss / exact, " (Eq. 6)", RECOMPUTED)
