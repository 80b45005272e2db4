"""The iteration of `theory.mean_field` against limits that are known exactly.

A linear network, whose second moments close (`theory.linear_network`), and the
committee of Kumar et al. (arXiv 2310.06110), whose (w_bar, M) do (`theory.kumar`). In
float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from grokmap.analysis.statistics import student_interval
from grokmap.arrays import Floats
from grokmap.models import ACTIVATIONS
from grokmap.reproduce.finding import OWN, RECOMPUTED, Finding, near
from grokmap.reproduce.trained import Trained
from grokmap.theory import kumar, linear_network, mean_field
from grokmap.theory.mean_field import Method, Problem, State

SIZES, DRAWS, STEPS = (512, 2048, 8192), 8, 60
METHOD = Method(tolerance=1e-11, block=2048)
EXPONENT_WITHIN, ROUNDING = 0.1, 1e-9  # set before the runs
EPSILON = 0.25


class Case(NamedTuple):
    """name; problem; draw: (size, seed) -> neurons; exact: neurons, or None for the
    limit -> outputs [STEPS + 1, m, C]."""

    name: str
    problem: Problem
    draw: Callable[[int, int], State]
    exact: Callable[[State | None], Floats]


def linear_case() -> Case:
    """y = two linear functions of ten inputs, 30 examples, some decay."""
    rng = np.random.default_rng(0)
    x, teacher = (
        rng.standard_normal((60, 10)) / np.sqrt(10),
        rng.standard_normal((2, 10)),
    )
    sigma = partial(ACTIVATIONS["polynomial"].function, epsilon=0.0)
    problem = Problem(x, x @ teacher.T, 30, sigma, learning_rate=0.5, weight_decay=0.01)

    def exact(start: State | None) -> Floats:
        m = np.eye(12) if start is None else linear_network.moments(start.neurons)
        return linear_network.outputs(problem, m, STEPS)

    def draw(size: int, seed: int) -> State:
        return mean_field.draw(size, 10, 2, [size, seed])

    return Case("linear network", problem, draw, exact)


def committee_case(scale: float) -> Case:
    """Fig. 3a's network in small: 20 inputs, 60 examples, readouts 1, f - f_0."""
    rng = np.random.default_rng(1)
    x, beta = rng.standard_normal((120, 20)) / np.sqrt(20), rng.standard_normal(20)
    t = np.outer(beta, beta)
    sigma = partial(ACTIVATIONS["polynomial"].function, epsilon=EPSILON)
    problem = Problem(
        x,
        kumar.targets(x, t)[:, None],
        60,
        sigma,
        laziness=scale,
        learning_rate=1.0,
        center=True,
        trains_readout=False,
    )

    def exact(start: State | None) -> Floats:
        moments = kumar.Moments(np.zeros(20), np.eye(20))
        if start is not None:
            moments = kumar.network_moments(start.neurons.first)
        return committee_outputs(problem, moments, t)

    def draw(size: int, seed: int) -> State:
        first = np.random.default_rng([size, seed]).standard_normal((size, 20))
        return mean_field.at_rest(np.ones((size, 1)), first)

    return Case(f"committee, alpha = {scale:g}", problem, draw, exact)


def committee_outputs(problem: Problem, start: kumar.Moments, t: Floats) -> Floats:
    """f - f_0 [STEPS + 1, m, 1] by the exact recursion."""
    n, k = problem.n_train, problem.laziness
    moments, path = start, []
    for _ in range(STEPS + 1):
        f = kumar.outputs(moments - start, problem.x, k, EPSILON)
        path.append(f[:, None])
        residual = f[:n] - kumar.targets(problem.x[:n], t)
        kappa = 2 * problem.learning_rate / k
        moments = kumar.descend(moments, problem.x[:n], residual, kappa, EPSILON)
    return np.array(path)


def compare_all(trained: Mapping[str, Trained]) -> list[Finding]:
    """Both networks, the committee at two scales; nothing is trained."""
    return compare((linear_case(), committee_case(1.0), committee_case(4.0)))


def compare(cases: tuple[Case, ...]) -> list[Finding]:
    """From the neurons' own moments to rounding; from the limit as S^(-1/2)."""
    return [finding for case in cases for finding in _findings(case)]


def _findings(case: Case) -> list[Finding]:
    start = case.draw(SIZES[0], 0)
    own = relative(solved(case, start), case.exact(start))
    limit = case.exact(None)
    errors = np.array(
        [
            [relative(solved(case, case.draw(size, seed)), limit) for size in SIZES]
            for seed in range(DRAWS)
        ]
    )
    mean, low, high = student_interval(
        np.polyfit(np.log(SIZES), np.log(errors.T), 1)[0]
    )
    return [
        near(
            f"{case.name}: outputs of {SIZES[0]} neurons from the recursion of their "
            "own moments (relative)",
            0.0,
            ROUNDING,
            own,
            "",
            OWN,
        ),
        Finding(
            f"{case.name}: error of S = {SIZES[0]} to {SIZES[-1]} neurons from the "
            "exact limit: exponent in S",
            "-0.5",
            RECOMPUTED,
            f"± {EXPONENT_WITHIN:g}",
            f"{mean:.3f}",
            f"95%: {low:.3f} to {high:.3f}",
            bool(abs(mean + 0.5) <= EXPONENT_WITHIN),
        ),
        near(
            f"{case.name}: the same error at S = {SIZES[-1]} (root mean square over "
            "examples and steps, relative)",
            0.0,
            0.05,
            errors[:, -1],
            "",
            RECOMPUTED,
        ),
    ]


def solved(case: Case, start: State) -> Floats:
    return mean_field.solve(case.problem, start, STEPS, METHOD).outputs


def relative(outputs: Floats, exact: Floats) -> float:
    """Root mean square of the difference over that of what is exact."""
    return float(np.sqrt(np.mean((outputs - exact) ** 2) / np.mean(exact**2)))
