"""Escapes and loops at a temperature, compared on made-up times and records."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest

from grokmap.analysis import transition_order as order
from grokmap.analysis.escapes import waiting
from grokmap.arrays import Floats
from grokmap.reproduce import kramers
from grokmap.reproduce import order_at_temperature as equilibrium
from grokmap.reproduce.trained import Trained
from grokmap.theory.kramers import Pass, hessian

OVER = Pass(0.1, 0.2)
WRONG = kramers.State(np.zeros(5), 0.4, 0.18, 7.0)
RIGHT = kramers.State(np.ones(5), 0.27, 0.01, 0.08)


def made_up(barrier: float, spread: float = 1.0) -> kramers.Escapes:
    """Escapes over a barrier; spread: of the times beside exponential ones."""
    rng = np.random.default_rng(0)
    temperatures = OVER.barrier / np.array(kramers.RATIOS)

    def times(temperature: float) -> Floats:
        mean = Pass(barrier, OVER.attempts).time(temperature)
        return mean * rng.exponential(size=400) ** spread

    waits = [waiting(times(t), np.ones(400, bool)) for t in temperatures]
    return kramers.Escapes(WRONG, RIGHT, OVER, temperatures, waits)


def test_times_that_follow_the_law_are_found_to() -> None:
    assert all(finding.holds for finding in kramers.of_escapes(made_up(OVER.barrier)))


def test_times_that_do_not_are_not() -> None:
    barrier, straight, coldest, law, _ = kramers.of_escapes(made_up(0.08))
    assert float(barrier.measured) == pytest.approx(0.08, rel=0.05)
    assert not barrier.holds and not coldest.holds
    assert straight.holds and law.holds
    regular = kramers.of_escapes(made_up(OVER.barrier, spread=0.2))
    assert not regular[3].holds


def test_a_start_that_has_learned_does_not_memorise() -> None:
    assert kramers.of_states(WRONG, RIGHT).holds
    assert not kramers.of_states(RIGHT, RIGHT).holds


@pytest.mark.parametrize("n_neurons", [1, 2])
def test_the_gradient_of_the_network(n_neurons: int) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((6, 4)), rng.standard_normal(6)
    problem = kramers.Problem(x, y, x, y, n_neurons)
    theta = rng.standard_normal(n_neurons * 5)
    slope = problem.gradient(theta)
    for i, e in enumerate(1e-6 * np.eye(len(theta))):
        change = problem.objective(theta + e) - problem.objective(theta - e)
        assert change / 2e-6 == pytest.approx(slope[i], abs=1e-7)
    # At the origin the loss is of third order: all curvature is the decay's.
    curvature = hessian(problem.gradient, 0 * theta)
    expected = problem.weight_decay / n_neurons * np.eye(len(theta))
    np.testing.assert_allclose(curvature, expected, atol=1e-8)


@pytest.mark.slow
def test_the_engine_trains_what_the_saddles_are_of() -> None:
    # The engine's own F and a step of its descent, at the memorising minimum's start.
    engine = kramers.engine_of()
    first = np.asarray(engine.lane.params["first"], np.float64).T.ravel()
    readout = np.asarray(engine.lane.params["readout"], np.float64).ravel()
    theta = np.concatenate([first, readout])
    moved = engine.program.step(engine.lane).params
    after = np.concatenate([np.asarray(moved["first"]).T.ravel(), moved["readout"][0]])
    expected = theta - kramers.RATE * engine.problem.gradient(theta)
    np.testing.assert_allclose(after, expected, rtol=1e-5)
    learned, memorised, *_ = kramers.minima(engine.problem)
    assert kramers.of_states(memorised, learned).holds


def ramps(lost: float, found: float) -> Trained:
    """Six chains at three rates that lose at one ln(noise) and learn again at another,
    between 0 and ln(30)."""
    runs, records = [], []
    for steps in (1000, 2000, 4000):
        for chain in range(1, 7):
            run_id = f"{steps}-{chain}"
            step = np.arange(0, 2 * steps + 1, 5)
            place = np.log(30) * (1 - abs(1 - step / steps))
            is_lost = np.where(step <= steps, place > lost, place > found)
            loss = 1.5 * is_lost + 0.01 * chain
            frame = pd.DataFrame({"step": step, "train_loss": loss})
            records.append(frame.assign(run_id=run_id))
            runs.append({"run_id": run_id, "chain": chain, "ramp_steps": float(steps)})
    table = pd.DataFrame(runs).assign(weight_decay=0.1, ramp_factor=30.0, seed=0)
    return Trained(table, pd.concat(records))


of_loops = partial(equilibrium.of_loops, name=equilibrium.FIRST)


def test_loops_that_stay_and_come_back_are_of_first_order() -> None:
    apart, evidence = of_loops(ramps(2.4, 1.0))
    assert apart.holds and float(apart.measured) == pytest.approx(1.4, abs=0.1)
    assert evidence.holds and evidence.measured == order.FIRST_ORDER


def test_no_loop_is_none() -> None:
    apart, evidence = of_loops(ramps(1.5, 1.5))
    assert not apart.holds and not evidence.holds
    continuous = equilibrium.of_loops(ramps(1.5, 1.5), equilibrium.SECOND)
    assert all(finding.holds for finding in continuous)
