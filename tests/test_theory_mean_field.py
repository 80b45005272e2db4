"""The mean-field limit against what is known exactly: all in float64."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from grokmap.models import ACTIVATIONS
from grokmap.theory import correlations, kumar, linear_network
from grokmap.theory import mean_field as theory
from grokmap.theory.mean_field import Method, Problem, State

EXACT = Method(tolerance=1e-13)


def problem_of(sigma: Any = jnp.square, outputs: int = 2, **changes: Any) -> Problem:
    """Six training and three test examples of four real inputs."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((9, 4)) / 2, rng.standard_normal((9, outputs))
    given = {"laziness": 1.5, "learning_rate": 0.2, "weight_decay": 0.1}
    return Problem(x, y, 6, sigma, **{**given, **changes})


def drawn(size: int, problem: Problem, seed: int = 1) -> State:
    """Neurons without pairs, so that f_0 is not 0."""
    rng = np.random.default_rng(seed)
    d, c = problem.x.shape[1], problem.y.shape[1]
    return theory.at_rest(
        rng.standard_normal((size, c)), rng.standard_normal((size, d))
    )


def descended(problem: Problem, start: State, n_steps: int) -> np.ndarray:
    """f of the network of these neurons, by gradients of F taken numerically."""
    n, k = problem.n_train, problem.laziness
    size = len(start.neurons.first)
    theta = np.concatenate([start.neurons.readout, start.neurons.first], axis=1)
    c, velocity, path = problem.y.shape[1], np.zeros_like(theta), []
    sigma = {jnp.square: np.square, jnp.tanh: np.tanh}[problem.sigma]

    def f(theta: np.ndarray) -> np.ndarray:
        return k / size * sigma(problem.x @ theta[:, c:].T) @ theta[:, :c]

    origin = f(theta) * problem.center

    def loss(theta: np.ndarray) -> float:
        square = np.sum((f(theta) - origin - problem.y)[:n] ** 2) / n
        return square + problem.weight_decay / (2 * size) * np.sum(theta**2)

    for _ in range(n_steps + 1):
        path.append(f(theta) - origin)
        gradient = np.zeros_like(theta)
        for place in np.ndindex(theta.shape):
            up, down = theta.copy(), theta.copy()
            up[place] += 1e-5
            down[place] -= 1e-5
            gradient[place] = (loss(up) - loss(down)) / 2e-5
        velocity = problem.momentum * velocity + gradient
        theta = theta - problem.learning_rate * size / k**2 * velocity
    return np.array(path)


@pytest.mark.parametrize(
    "changes",
    [{"center": True}, {"momentum": 0.5}, {"sigma": jnp.tanh, "laziness": 3.0}],
)
def test_the_fixed_point_is_the_network_of_its_neurons(changes: Any) -> None:
    problem = problem_of(**changes)
    start = drawn(5, problem)
    found = theory.solve(problem, start, 12, EXACT)
    np.testing.assert_allclose(found.outputs, descended(problem, start, 12), atol=1e-7)


def test_neurons_followed_with_their_own_residuals_are_the_fixed_point() -> None:
    problem = problem_of(center=True, momentum=0.5)
    start, steps = drawn(5, problem), [0, 1, 3, 3, 12]
    solution = theory.solve(problem, start, 12, EXACT)
    f, neurons = zip(*theory.follow(problem, start, steps), strict=True)
    np.testing.assert_allclose(f, solution.outputs[steps], atol=1e-11)
    for ours, theirs in zip(neurons[-1], solution.state.neurons, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-11)


def test_a_window_converges_in_as_many_iterations_as_it_has_steps() -> None:
    # Whatever the window, the damping and the blocks, to the same.
    problem = problem_of(momentum=0.5)
    start = drawn(30, problem)
    one = theory.solve(problem, start, 40, EXACT)
    assert one.outputs.dtype == np.float64 and len(one.outputs) == 41
    for method in (
        EXACT._replace(window=16),
        EXACT._replace(block=15, damping=0.7),
    ):
        other = theory.solve(problem, start, 40, method)
        np.testing.assert_allclose(other.outputs, one.outputs, atol=1e-11)
        assert sum(w.steps for w in other.windows) == 40
        assert all(w.change <= method.tolerance for w in other.windows)
        if method.damping == 1:  # and one more to see it
            assert all(w.iterations <= w.steps + 1 for w in other.windows)
        else:
            assert max(w.iterations for w in other.windows) > method.window + 1


def test_too_large_a_step_is_said() -> None:
    problem = problem_of(learning_rate=1e3)
    with pytest.raises(ValueError, match="learning_rate = 1000: .* a smaller one"):
        theory.solve(problem, drawn(8, problem), 60)


def test_pairs_start_at_zero_outputs_and_must_be_even() -> None:
    problem = problem_of(ACTIVATIONS["relu"].function)
    assert np.abs(theory.seen(problem, theory.draw(50, 4, 2, 0))).max() < 1e-15
    with pytest.raises(ValueError, match="size = 5: neurons come in pairs"):
        theory.draw(5, 4, 2, 0)


def test_progress_counts_the_steps() -> None:
    told: list[tuple[int, int]] = []
    problem = problem_of()
    theory.solve(problem, drawn(8, problem), 10, progress=lambda *at: told.append(at))
    assert told == [(4, 10), (8, 10), (10, 10)]


def test_losses_and_accuracies() -> None:
    problem = problem_of(outputs=3)._replace(y=np.eye(3)[np.arange(9) % 3])
    wrong = np.roll(problem.y, 1, axis=1)
    some = np.where(np.arange(9)[:, None] < 7, problem.y, wrong)
    found = theory.losses(problem, np.stack([problem.y, some, wrong]))
    np.testing.assert_allclose(found.train_accuracy, [1, 1, 0])
    np.testing.assert_allclose(found.test_accuracy, [1, 1 / 3, 0])
    np.testing.assert_allclose(found.train_loss, [0, 0, 2])
    np.testing.assert_allclose(found.test_loss, [0, 4 / 3, 2])


# ---- closed forms


def linear(h: Any) -> Any:
    return ACTIVATIONS["polynomial"].function(h, 0.0)


@pytest.mark.parametrize("center", [False, True])
def test_linear_networks_follow_their_second_moments(center: bool) -> None:
    # To rounding from the neurons' own moments.
    problem = problem_of(linear, center=center)
    start = drawn(40, problem)
    found = theory.solve(problem, start, 60, EXACT).outputs
    exact = linear_network.outputs(problem, linear_network.moments(start.neurons), 60)
    assert np.abs(exact[-1]).max() > 0.1
    np.testing.assert_allclose(found, exact, atol=1e-12)


def test_momentum_is_not_in_the_second_moments() -> None:
    with pytest.raises(ValueError, match="momentum = 0.5"):
        linear_network.outputs(problem_of(momentum=0.5), np.eye(6), 1)


def rms_gaps(
    problem: Problem, exact: np.ndarray, sizes: tuple[int, ...]
) -> list[float]:
    """Of the outputs of pairs of neurons from the limit, over eight draws."""
    d, c = problem.x.shape[1], problem.y.shape[1]
    gaps = []
    for size in sizes:
        square = 0.0
        for seed in range(8):
            start = theory.draw(size, d, c, [size, seed])
            found = theory.solve(problem, start, len(exact) - 1, EXACT)
            square += np.mean((found.outputs - exact) ** 2) / 8
        gaps.append(float(np.sqrt(square)))
    return gaps


@pytest.mark.slow
def test_sampling_error_of_a_linear_network_falls_as_the_root_of_its_neurons() -> None:
    problem = problem_of(linear)
    exact = linear_network.outputs(problem, np.eye(6), 40)
    sizes = (32, 128, 512, 2048)
    gaps = rms_gaps(problem, exact, sizes)
    slope = np.polyfit(np.log(sizes), np.log(gaps), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.1)
    assert gaps[-1] < 0.03 * np.abs(exact).max()


def test_the_committee_of_kumar_is_the_limit() -> None:
    # To rounding from the neurons' own moments, to sampling error from w_bar = 0,
    # M = 1.
    epsilon, scale, steps = 0.25, 2.0, 50
    problem = problem_of(
        lambda h: ACTIVATIONS["polynomial"].function(h, epsilon),
        outputs=1,
        laziness=scale,
        weight_decay=0.0,
        center=True,
        trains_readout=False,
    )
    teacher = np.random.default_rng(3).standard_normal((4, 4))
    t = teacher + teacher.T
    problem = problem._replace(y=kumar.targets(problem.x, t)[:, None])
    w = np.random.default_rng(4).standard_normal((2000, 4))
    w = np.concatenate([w, -w])
    start = theory.at_rest(np.ones((len(w), 1)), w)
    found = theory.solve(problem, start, steps, EXACT)
    assert (found.state.neurons.readout == 1).all()
    loss = theory.losses(problem, found.outputs).train_loss

    def exact(moments: kumar.Moments) -> np.ndarray:
        x, kappa = problem.x[:6], 2 * problem.learning_rate / scale
        path = kumar.train(moments, x, t, scale, epsilon, kappa, steps, True)
        return path.train_loss

    own, limit = kumar.network_moments(w), kumar.Moments(np.zeros(4), np.eye(4))
    np.testing.assert_allclose(loss, exact(own), rtol=1e-10)
    assert loss[-1] < 0.8 * loss[0]
    np.testing.assert_allclose(loss, exact(limit), rtol=0.02)
    assert np.abs(loss / exact(limit) - 1).max() > 1e-6


# ---- correlation and response


STEPS = (0, 3, 10)


def test_correlation_of_a_linear_network_is_that_of_its_propagators() -> None:
    problem = problem_of(linear)
    start = drawn(30, problem)
    found = theory.solve(problem, start, 10, EXACT)
    inputs = problem.x[[0, 8]]
    c = correlations.correlation(problem, start, found.outputs, STEPS, inputs, block=13)
    paths = [theory.solve(problem, start, t, EXACT).state.neurons.first for t in STEPS]
    h = np.stack([inputs @ first.T for first in paths])
    np.testing.assert_allclose(c, np.einsum("rks,tls->rktl", h, h) / 30, atol=1e-12)


@pytest.mark.slow
def test_response_is_what_a_small_push_does() -> None:
    problem = problem_of(jnp.tanh, momentum=0.5)
    start = drawn(11, problem)
    outputs = theory.solve(problem, start, 10, EXACT).outputs
    inputs, pushed = problem.x[[0, 8]], problem.x[2]
    found = correlations.response(
        problem, start, outputs, STEPS, inputs, pushed, block=4
    )
    push = 1e-6 * pushed / np.sum(pushed**2)
    before = correlations.after(problem, start, outputs, 0, 3)

    def moved(step: int, state: State, sign: int) -> np.ndarray:
        first = state.neurons.first + sign * push
        neurons = state.neurons._replace(first=first)
        one = state._replace(neurons=neurons)
        ended = correlations.after(problem, one, outputs, step, 10)
        return np.mean(ended.neurons.first @ inputs.T, axis=0)

    for place, (step, state) in enumerate(((0, start), (3, before))):
        slope = (moved(step, state, 1) - moved(step, state, -1)) / 2e-6
        np.testing.assert_allclose(found[2, :, place], slope, rtol=1e-6)


def test_response_before_the_push_at_it_and_without_residuals() -> None:
    # Residuals of 0: targets are the outputs, so that only the decay is left.
    problem = problem_of()
    start = drawn(7, problem)
    outputs = theory.seen(problem, start)[None]
    outputs = np.repeat(outputs, 11, axis=0)
    free = problem._replace(y=outputs[0])
    inputs, pushed = problem.x[[2, 8]], problem.x[2]
    found = correlations.response(free, start, outputs, STEPS, inputs, pushed)
    r = problem.learning_rate * problem.weight_decay / problem.laziness**2
    geometry = inputs @ pushed / np.sum(pushed**2)
    for i, t in enumerate(STEPS):
        for j, pushed_at in enumerate(STEPS):
            left = (1 - r) ** (t - pushed_at) if t >= pushed_at else 0.0
            np.testing.assert_allclose(found[i, :, j], left * geometry, atol=1e-12)
