"""From a memorising minimum over a barrier: waiting times at several temperatures.

One quadratic neuron, f = a (w.x)^2, and a teacher y = s^2 of one direction in four,
from six examples. Descent of F = L + (lambda/2N) |theta|^2 ends at one of few minima:
the deepest has learned the teacher, others fit the training examples and are wrong
elsewhere. With five weights the saddles between them can be found, so that Eyring and
Kramers' law (`theory.kramers`) has no free number.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import minimize

from grokmap import plot
from grokmap.analysis import escapes
from grokmap.analysis.escapes import Waiting
from grokmap.arrays import Floats
from grokmap.engine.lane import Lane, examples_of
from grokmap.engine.records import Slots
from grokmap.engine.train import Program, build
from grokmap.reproduce.finding import RECOMPUTED, WORDS, Finding
from grokmap.reproduce.trained import Trained
from grokmap.spec import Control, System
from grokmap.theory import kramers
from grokmap.theory.kramers import Pass

D, N_TRAIN, N_TEST, SEED, DECAY = 4, 6, 64, 5, 0.1
RATE = 0.01  # a step at one neuron; curvatures are up to 9 there
RATIOS = (4.0, 5.0, 6.0, 7.0, 8.0)  # barrier / T
CHAINS, RECORDS, LONGEST = 64, 500, 2.5  # waited LONGEST times the expected time
LEARNED = 0.5  # test loss; 7 at the memorising minimum and 0.1 at the deepest
STARTS = 200  # of Newton's method, and of descent
QUIET: Any = {"over": "ignore", "invalid": "ignore"}  # steps too far are not kept
# Set before the runs. EXTENSIVE: what twice the neurons need at least make of a barrier
# that grows with the number of weights.
BARRIER_WITHIN, TIME_WITHIN, LEAST_P, EXTENSIVE = 0.1, 0.25, 0.01, 1.5


class Problem(NamedTuple):
    """Training examples x [n, d] over sqrt(d), answers y [n], and as many for the test;
    N neurons; lambda."""

    x: Floats
    y: Floats
    x_test: Floats
    y_test: Floats
    n_neurons: int = 1
    weight_decay: float = DECAY

    def outputs(self, x: Floats, theta: Floats) -> Floats:
        """f [n] = (1/N) sum_i a_i (w_i.x)^2 of theta = (w [N d], a [N])."""
        w, a = self.split(theta)
        return (x @ w.T) ** 2 @ a / len(a)

    def split(self, theta: Floats) -> tuple[Floats, Floats]:
        """(w [N, d], a [N])."""
        k = self.n_neurons * self.x.shape[1]
        return theta[:k].reshape(self.n_neurons, -1), theta[k:]

    def objective(self, theta: Floats) -> float:
        """F = mean (f - y)^2 + (lambda/2N) |theta|^2."""
        residual = self.outputs(self.x, theta) - self.y
        decay = self.weight_decay / (2 * self.n_neurons) * theta @ theta
        return float(np.mean(residual**2) + decay)

    def gradient(self, theta: Floats) -> Floats:
        """Of `objective`, [N d + N]."""
        w, a = self.split(theta)
        h = self.x @ w.T
        residual = h**2 @ a / len(a) - self.y
        pull = 2 * residual / (len(self.y) * len(a))
        of_w = (2 * a * h * pull[:, None]).T @ self.x
        parts = np.concatenate([of_w.ravel(), pull @ h**2])
        return np.asarray(parts + self.weight_decay / len(a) * theta)

    def test_loss(self, theta: Floats) -> float:
        return float(np.mean((self.outputs(self.x_test, theta) - self.y_test) ** 2))


class State(NamedTuple):
    """A minimum [n] of F, and its losses."""

    theta: Floats
    objective: float
    train_loss: float
    test_loss: float


class Engine(NamedTuple):
    """The engine's program for chains on one training set."""

    program: Program
    control: Control
    lane: Lane
    problem: Problem


class Escapes(NamedTuple):
    """Waiting times at several temperatures [k], and what the law says of them."""

    memorised: State
    learned: State
    over: Pass
    temperatures: Floats
    waits: list[Waiting]


def engine_of() -> Engine:
    """One quadratic neuron under Langevin dynamics, at its own random weights."""
    system = System(
        task="squared_teacher", model="two_layer", activation="quadratic",
        optimizer="langevin", width=1, n_inputs=D, n_examples=N_TRAIN + N_TEST,
        noisy=("chain",), order_parameters=(),
    )  # fmt: skip
    control = Control(
        alpha=0.0, weight_decay=DECAY, train_fraction=N_TRAIN / (N_TRAIN + N_TEST),
        learning_rate=RATE, chain=1,
    )  # fmt: skip
    program = build(system, tile=N_TRAIN, max_tiles=1)
    traced = jax.tree.map(jnp.float32, control)
    lane = jax.jit(program.init)(traced, jnp.int32(N_TRAIN), jnp.uint32(SEED))
    return Engine(program, control, lane, problem_of(system, lane))


def problem_of(system: System, lane: Lane) -> Problem:
    """The examples of a lane, in float64."""
    data, rows = examples_of(system, lane), np.asarray(lane.rows)
    x = np.asarray(data.inputs, np.float64)[rows] / np.sqrt(D)
    y = np.asarray(data.target, np.float64)[rows, 0]
    return Problem(x[:N_TRAIN], y[:N_TRAIN], x[N_TRAIN:], y[N_TRAIN:])


def minima(problem: Problem) -> list[State]:
    """The minima that descent from random weights ends at, the deepest first; of
    those of one F (neurons exchanged, signs of w) one."""
    rng = np.random.default_rng(0)
    found: dict[float, State] = {}
    for start in 1.3 * rng.standard_normal((STARTS, problem.n_neurons * (D + 1))):
        try:
            with np.errstate(**QUIET):
                near_it = minimize(problem.objective, start, jac=problem.gradient).x
                theta = kramers.stationary(problem.gradient, near_it)
        except ValueError:
            continue
        least = np.linalg.eigvalsh(kramers.hessian(problem.gradient, theta))[0]
        if least > 0:
            state = state_of(problem, theta)
            found.setdefault(round(state.objective, 4), state)
    return [found[key] for key in sorted(found)]


def state_of(problem: Problem, theta: Floats) -> State:
    residual = problem.outputs(problem.x, theta) - problem.y
    losses = float(np.mean(residual**2)), problem.test_loss(theta)
    return State(theta, problem.objective(theta), *losses)


def lowest_pass(problem: Problem, state: State, towards: State) -> Pass:
    """Of the saddles found between a minimum and another, and all about it."""
    rng = np.random.default_rng(1)
    way = rng.random((STARTS, 1)) * (towards.theta - state.theta)
    starts = state.theta + way + 0.3 * rng.standard_normal(way.shape)
    with np.errstate(**QUIET):
        found = kramers.passes(problem.objective, problem.gradient, state.theta, starts)
    return found[0][0]


def waited(
    engine: Engine, state: State, temperature: float, expected: float, rate: float
) -> Waiting:
    """Chains from a minimum until they have learned; expected: mean time, of which
    they are followed LONGEST. Times are in those of dynamics, steps * rate."""
    every = max(1, round(LONGEST * expected / rate / RECORDS))
    w, a = engine.problem.split(state.theta)
    params = {"first": jnp.float32(w.T), "readout": jnp.float32(a[None])}

    control = engine.control._replace(temperature=temperature, learning_rate=rate)

    def start(number: Any) -> Lane:
        traced = jax.tree.map(jnp.float32, control._replace(chain=number))
        return engine.lane._replace(params=params, control=traced)

    no = jnp.zeros(RECORDS, bool)
    slots = Slots(jnp.full(RECORDS, every), no, no, jnp.int32(RECORDS))
    _, records = jax.jit(
        jax.vmap(lambda number: engine.program.chunk(start(number), slots))
    )(jnp.arange(1.0, CHAINS + 1))
    column = engine.program.names["dense"].index("test_loss")
    times = rate * every * np.arange(1.0, RECORDS + 1)
    losses: Floats = np.asarray(records[:, :, column], np.float64)
    return escapes.waiting(*escapes.first_below(times, losses, LEARNED))


@cache
def measured() -> Escapes:
    """Escapes from the lowest memorising minimum, once for findings and figure."""
    engine = engine_of()
    learned, memorised, *_ = minima(engine.problem)
    over = lowest_pass(engine.problem, memorised, learned)
    temperatures = over.barrier / np.array(RATIOS)
    waits = [waited(engine, memorised, t, over.time(t), RATE) for t in temperatures]
    return Escapes(memorised, learned, over, temperatures, waits)


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Times against the law without a free number; and what a second neuron does."""
    found = measured()
    return [*of_escapes(found), of_neurons(found.over.barrier)]


def of_escapes(found: Escapes) -> list[Finding]:
    line = escapes.arrhenius(found.temperatures, found.waits)
    expected = [found.over.time(t) for t in found.temperatures]
    ratios = np.array([w.mean for w in found.waits]) / expected
    low, high = (
        np.array([getattr(w, end) for w in found.waits]) / expected
        for end in ("low", "high")
    )
    coldest = int(np.argmin(found.temperatures))
    p_values = [w.p_exponential for w in found.waits]
    counts = ", ".join(f"{w.escapes} of {w.n}" for w in found.waits)
    return [
        Finding(
            "barrier from ln t against 1/T",
            f"{found.over.barrier:.4f} (saddle of F)",
            RECOMPUTED,
            f"± {BARRIER_WITHIN:.0%}",
            f"{line.barrier:.4f}",
            f"95%: {line.barrier_low:.4f} to {line.barrier_high:.4f}; "
            f"escaped: {counts}",
            bool(abs(line.barrier / found.over.barrier - 1) <= BARRIER_WITHIN),
        ),
        Finding(
            "deviations from a straight line in 1/T, p",
            "none",
            WORDS,
            f">= {LEAST_P}",
            f"{line.p_straight:.3g}",
            "",
            bool(line.p_straight >= LEAST_P),
        ),
        Finding(
            "mean time over Eyring and Kramers' law, coldest",
            "1",
            RECOMPUTED,
            f"± {TIME_WITHIN:g}",
            f"{ratios[coldest]:.2f}",
            f"95%: {low[coldest]:.2f} to {high[coldest]:.2f}; the hotter ones: "
            + ", ".join(f"{r:.2f}" for r in np.delete(ratios, coldest)),
            bool(abs(ratios[coldest] - 1) <= TIME_WITHIN),
        ),
        Finding(
            "times are exponential: least p of the temperatures, times their number",
            "yes",
            WORDS,
            f">= {LEAST_P}",
            f"{min(p_values) * len(p_values):.2g}",
            "each: " + ", ".join(f"{p:.2g}" for p in p_values),
            bool(min(p_values) * len(p_values) >= LEAST_P),
        ),
        of_states(found.memorised, found.learned),
    ]


def of_states(memorised: State, learned: State) -> Finding:
    """Whether the start memorises: it fits, is wrong elsewhere, and is no deepest."""
    return Finding(
        "train and test loss: memorising minimum, deepest minimum",
        "a high-norm memorising and a deeper generalising minimum",
        WORDS,
        "train < 0.2, test > 2 and < 0.2, F of the second lower",
        f"{memorised.train_loss:.3f}, {memorised.test_loss:.2f}; "
        f"{learned.train_loss:.3f}, {learned.test_loss:.2f}",
        f"F = {memorised.objective:.4f}, {learned.objective:.4f}",
        bool(
            memorised.train_loss < 0.2 < 2 < memorised.test_loss
            and learned.test_loss < 0.2
            and learned.objective < memorised.objective
        ),
    )


def of_neurons(barrier: float) -> Finding:
    """The lowest way out of the same kind of state, where there is a second neuron."""
    problem = engine_of().problem._replace(n_neurons=2)
    learned, *others = minima(problem)
    memorised = min(others, key=lambda state: -state.test_loss)
    two = lowest_pass(problem, memorised, learned).barrier
    return Finding(
        "lowest barrier out of the minimum of the largest test loss, two neurons over "
        "one",
        "extensive in the number of parameters",
        WORDS,
        f">= {EXTENSIVE}",
        f"{two / barrier:.3g}",
        f"barriers {two:.4g} and {barrier:.4g}; test loss {memorised.test_loss:.2f}",
        bool(two / barrier >= EXTENSIVE),
    )


def figure(trained: Mapping[str, Trained]) -> Figure:
    """Mean times against barrier / T, with Eyring and Kramers' law."""
    found = measured()
    return plot.escape_times(
        escapes.table(found.temperatures, found.waits), found.over.barrier,
        found.over.attempts,
    )  # fmt: skip
