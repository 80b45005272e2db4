"""The mean-field limit of two-layer networks, step by step.

Mei, Montanari and Nguyen, arXiv 1804.06561; Bordelon and Pehlevan, arXiv 2205.09653.
A network f(x) = (K/N) sum_j a_j sigma(w_j.x) descends by steps of eta N / K^2 on

    F = (1/n) sum_mu |f(x_mu) - y_mu|^2 + (lambda / 2N) sum_j (|a_j|^2 + |w_j|^2).

As N grows at fixed K, neurons come to feel one another only through the residuals
Delta_mu(t) = f(x_mu, t) - y_mu, which stop fluctuating. Each is then a copy of

    a <- a - eta [ (2/nK) sum_mu Delta_mu(t) sigma(w.x_mu) + (lambda/K^2) a ]
    w <- w - eta [ (2/nK) sum_mu (a.Delta_mu(t)) sigma'(w.x_mu) x_mu + (lambda/K^2) w ]

from a draw of its own, and f(x, t) = K E[a sigma(w.x)] over the draws closes the
equations. Time is discrete: nothing but N is taken to its limit.

`solve` iterates residuals -> neurons -> residuals, one window of steps after another,
E being the mean over S drawn neurons, always the same. What is seen at a step depends
on earlier residuals alone, so that an iteration makes one more step exact at least: a
window of T steps converges in T iterations, whatever the start, and in one or two where
residuals move smoothly. The fixed point for given neurons *is* the trained network of
these S neurons; the limit is approached as S grows, with an error of O(S^(-1/2)).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from grokmap.arrays import Floats

Progress = Callable[[int, int], None]


class Neurons(NamedTuple):
    """S neurons: readout a [S, C] and first w [S, d]; or their velocities."""

    readout: Any
    first: Any


class State(NamedTuple):
    """Neurons in training; velocity: of heavy-ball momentum, 0 at first."""

    neurons: Neurons
    velocity: Neurons


class Problem(NamedTuple):
    """What is trained.

    x: [m, d] inputs such that pre-activations are w.x, the n training examples first.
    y: [m, C] targets. n_train: n. sigma: elementwise, of jax.
    laziness: K, which is N^alpha of N neurons at alpha; the limit is at fixed K.
    learning_rate, weight_decay, momentum: eta, lambda, beta of the engine's `gd`.
    center: whether f - f_0 is trained. trains_readout: else a stays as drawn.
    """

    x: Floats
    y: Floats
    n_train: int
    sigma: Callable[[Any], Any]
    laziness: float = 1.0
    learning_rate: float = 0.1
    weight_decay: float = 0.0
    momentum: float = 0.0
    center: bool = False
    trains_readout: bool = True


class Method(NamedTuple):
    """How the equations are iterated.

    tolerance: largest change of a residual at which a window has converged. damping:
    share of the new residuals that is taken, in (0, 1]; 1 is fastest. window: steps; a
    few are best, since stiff modes amplify what is wrong early in a window. block:
    neurons evolved at once, which bounds the memory.
    """

    tolerance: float = 1e-5
    damping: float = 1.0
    window: int = 4
    block: int = 4096


class Window(NamedTuple):
    """steps of a window, its iterations, largest change of a residual in the last."""

    steps: int
    iterations: int
    change: float


class Solution(NamedTuple):
    """outputs: [n_steps + 1, m, C] f (less f_0 if centred) before each step and at the
    end; state: at the end; windows: how they converged."""

    outputs: Floats
    state: State
    windows: list[Window]


def draw(
    size: int,
    n_inputs: int,
    n_outputs: int,
    seed: int | Sequence[int],
    dtype: Any = np.float64,
) -> State:
    """size neurons at rest, in pairs (a, w), (-a, w), all entries N(0, 1).

    Both of a pair follow the limit's law, and f_0 = 0 exactly, as in the limit.
    Raises ValueError where size is odd.
    """
    if size % 2:
        raise ValueError(f"size = {size}: neurons come in pairs; give an even number")
    rng = np.random.default_rng(seed)
    readout = rng.standard_normal((size // 2, n_outputs)).astype(dtype)
    first = rng.standard_normal((size // 2, n_inputs)).astype(dtype)
    return at_rest(np.concatenate([readout, -readout]), np.concatenate([first, first]))


def at_rest(readout: Any, first: Any) -> State:
    """Neurons a [S, C], w [S, d] without velocity."""
    neurons = Neurons(readout, first)
    return State(neurons, Neurons(*map(np.zeros_like, neurons)))


def solve(
    problem: Problem,
    start: State,
    n_steps: int,
    method: Method = Method(),
    progress: Progress = lambda step, n_steps: None,
) -> Solution:
    """The self-consistent outputs over n_steps, in the precision of `start`.

    progress: called after each window with the steps done, and n_steps.

    Raises ValueError where outputs are no longer finite: the step is too large.
    """
    with precision_of(start):
        states = blocks_of(start, method.block)
        f_0 = seen(problem, start, method.block)
        origin = f_0 if problem.center else 0 * f_0
        path, windows, length = [f_0 - origin], [], method.window
        while len(path) <= n_steps:
            length = min(length, n_steps + 1 - len(path))
            residual = _guess(problem, path, method.window)
            window = _converge(problem, states, residual, length, origin, method)
            if not np.isfinite(window.change):
                length = _shorter(problem, length)
                continue
            f, states = _sweep(problem, states, residual, length, problem.x)
            path.extend(f[1:] - origin)
            windows.append(window)
            length = method.window
            progress(len(path) - 1, n_steps)
    return Solution(np.array(path), joined(states), windows)


def follow(
    problem: Problem, start: State, steps: Iterable[int]
) -> Iterator[tuple[Floats, Neurons]]:
    """f [m, C] (less f_0 if centred) and neurons at some steps, rising from 0 on.

    Each step takes the residuals that the neurons have: for given neurons that is the
    fixed point that `solve` finds by iterating.
    """
    size, n, state, done = len(start.neurons.readout), problem.n_train, start, 0
    f_0 = seen(problem, start, size)
    origin = f_0 if problem.center else 0 * f_0
    known, mean = origin[:n] + problem.y[:n], problem.laziness / size
    for step in steps:
        with precision_of(start):
            rates = _rates(problem, f_0.dtype)
            given = rates, state, step - done, problem.x[:n], known, mean
            state, done = _followed(problem.sigma, *given), step
        yield seen(problem, state, size) - origin, state.neurons


def seen(problem: Problem, state: State, block: int = 4096) -> Floats:
    """f [m, C] of neurons as they stand, before centring."""
    with precision_of(state):
        nothing = np.zeros_like(problem.y[None, : problem.n_train])
        states = blocks_of(state, block)
        return _sweep(problem, states, nothing, 0, problem.x)[0][0]


def precision_of(state: State) -> Any:
    """The context in which jax computes in the precision of a state."""
    return jax.enable_x64(state.neurons.readout.dtype == np.float64)


def blocks_of(state: State, block: int) -> list[State]:
    """The neurons in blocks of at most so many."""
    size = len(state.neurons.readout)
    return [
        jax.tree.map(lambda part, i=i: part[i : i + block], state)
        for i in range(0, size, block)
    ]


def joined(states: Sequence[State]) -> State:
    """The inverse of `blocks_of`, as arrays of the host."""
    whole: State = jax.tree.map(lambda *parts: np.concatenate(parts), *states)
    return whole


class Losses(NamedTuple):
    """Along a path of outputs, [..]: mean over examples of |f - y|^2, and the share of
    examples whose largest output is that of their class."""

    train_loss: Floats
    test_loss: Floats
    train_accuracy: Floats
    test_accuracy: Floats


def losses(problem: Problem, outputs: Floats) -> Losses:
    """Of outputs [.., m, C]; accuracies are of one-hot targets."""
    square = np.sum(np.square(outputs - problem.y), axis=-1)
    right = outputs.argmax(axis=-1) == problem.y.argmax(axis=-1)
    n = problem.n_train
    parts = (square[..., :n], square[..., n:], right[..., :n], right[..., n:])
    return Losses(*(np.mean(part, axis=-1) for part in parts))


def carriers(neurons: Neurons, degree: int) -> float:
    """Participation number (sum c)^2 / sum c^2 of c_j = |a_j| |w_j|^(degree - 1).

    S where all neurons carry as much of f, k where k do; in [1, S]. degree: of
    a sigma(w.x) as a form in (a, w).
    """
    c = np.linalg.norm(neurons.readout, axis=1)
    c = c * np.linalg.norm(neurons.first, axis=1) ** (degree - 1)
    return float(np.sum(c) ** 2 / np.sum(c**2))


def _guess(problem: Problem, path: Sequence[Floats], window: int) -> Floats:
    """[window, n, C] residuals that go on from the last ones as a parabola."""
    n = problem.n_train
    last, before, first = (path[max(len(path) - k, 0)][:n] for k in (1, 2, 3))
    slope, bend = last - before, last - 2 * before + first
    t = np.arange(window, dtype=last.dtype)[:, None, None]
    bend = bend if len(path) > 2 else 0 * bend
    return last - problem.y[:n] + t * slope + t * (t + 1) / 2 * bend


def _converge(
    problem: Problem,
    states: Sequence[State],
    residual: Floats,
    length: int,
    origin: Floats,
    method: Method,
) -> Window:
    """Makes the residuals of a window those that its neurons reproduce, in place.

    Its change is not finite where the iteration left all bounds.
    """
    n, iteration, change = problem.n_train, 0, np.inf
    known = origin[:n] + problem.y[:n]
    while change > method.tolerance:
        f, _ = _sweep(problem, states, residual, length, problem.x[:n])
        step = f[:length] - known - residual[:length]
        residual[:length] += method.damping * step
        change, iteration = float(np.max(np.abs(step))), iteration + 1
        if not np.isfinite(change):
            break
    return Window(length, iteration, change)


def _shorter(problem: Problem, length: int) -> int:
    """Iterations may blow up over a window whose solution does not, but not over 1."""
    if length > 1:
        return length // 2
    given = f"learning_rate = {problem.learning_rate:g}"
    raise ValueError(f"{given}: outputs are no longer finite; give a smaller one")


def _sweep(
    problem: Problem,
    states: Sequence[State],
    residual: Floats,
    length: int,
    x: Floats,
) -> tuple[Floats, list[State]]:
    """All neurons over `length` steps of given residuals [window, n, C].

    Returns f [length + 1, m, C] at inputs x [m, d], the n training inputs first, before
    centring; and the states after the last step.
    """
    size = sum(len(state.neurons.readout) for state in states)
    total: Any = 0.0
    after = []
    for state in states:
        f, state = evolved(problem, state, residual, length, x)
        total = total + np.asarray(f)
        after.append(state)
    return total[: length + 1] * (problem.laziness / size), after


def evolved(
    problem: Problem, state: State, residual: Any, length: int, x: Any
) -> tuple[Any, State]:
    """(sum of a sigma(w.x) [window + 1, m, C], state), as `_sweep`, of one block."""
    dtype = state.neurons.readout.dtype
    x, residual = jnp.asarray(x, dtype), jnp.asarray(residual, dtype)
    rates = _rates(problem, dtype)
    return _evolved(problem.sigma, rates, state, residual, length, x)


class Rates(NamedTuple):
    """2/(nK), lambda/K^2, eta, beta, and 1 or 0."""

    force: Any
    shrink: Any
    step: Any
    momentum: Any
    trains_readout: Any


def _rates(problem: Problem, dtype: Any) -> Rates:
    rates = Rates(
        force=2 / (problem.n_train * problem.laziness),
        shrink=problem.weight_decay / problem.laziness**2,
        step=problem.learning_rate,
        momentum=problem.momentum,
        trains_readout=float(problem.trains_readout),
    )
    traced: Rates = jax.tree.map(lambda number: jnp.asarray(number, dtype), rates)
    return traced


@partial(jax.jit, static_argnums=0)
def _evolved(
    sigma: Any, rates: Rates, state: State, residual: Any, length: Any, x: Any
) -> Any:
    shape = (len(residual) + 1, len(x), residual.shape[2])

    def step(t: Any, carried: Any) -> Any:
        path, state = carried
        f, gradient = _force(sigma, rates, state.neurons, lambda f: residual[t], x)
        return path.at[t].set(f), _moved(rates, state, gradient)

    path, state = lax.fori_loop(0, length, step, (jnp.zeros(shape, x.dtype), state))
    last, _ = _force(sigma, rates, state.neurons, lambda f: residual[0], x)
    return path.at[length].set(last), state


@partial(jax.jit, static_argnums=0)
def _followed(
    sigma: Any, rates: Rates, state: State, length: Any, x: Any, known: Any, mean: Any
) -> State:
    """`length` steps of neurons that see their own residuals, mean * sum - known."""

    def residual(f: Any) -> Any:
        return mean * f - known

    def step(_: Any, state: State) -> State:
        return _moved(rates, state, _force(sigma, rates, state.neurons, residual, x)[1])

    moved: State = lax.fori_loop(0, length, step, state)
    return moved


def _force(
    sigma: Any, rates: Rates, neurons: Neurons, residual: Callable[[Any], Any], x: Any
) -> tuple[Any, Neurons]:
    """Sum of a sigma(w.x) [m, C]; (N / K^2) dF/dtheta at residuals [n, C] of it."""
    h = x @ neurons.first.T
    active, slope = jax.jvp(sigma, (h,), (jnp.ones_like(h),))
    f = active @ neurons.readout
    g = rates.force * residual(f)
    n = len(g)
    of_readout = (active[:n].T @ g + rates.shrink * neurons.readout) * (
        rates.trains_readout
    )
    of_h = slope[:n] * (g @ neurons.readout.T)
    of_first = of_h.T @ x[:n] + rates.shrink * neurons.first
    return f, Neurons(of_readout, of_first)


def _moved(rates: Rates, state: State, gradient: Neurons) -> State:
    """One step of the engine's `gd`: v <- beta v + g, theta <- theta - step v."""
    velocity = jax.tree.map(
        lambda v, g: rates.momentum * v + g, state.velocity, gradient
    )
    neurons = jax.tree.map(
        lambda theta, v: theta - rates.step * v, state.neurons, velocity
    )
    return State(neurons, velocity)
