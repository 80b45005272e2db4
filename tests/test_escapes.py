"""Waiting times whose law is known."""

from __future__ import annotations

import numpy as np
import pytest

from grokmap.analysis.escapes import arrhenius, first_below, waiting
from grokmap.arrays import Bools, Floats

TEMPERATURES = np.array([0.5, 0.4, 0.3, 0.25])
BARRIER, LOG_TIME = 2.0, 1.0


def cut(times: Floats, at: float) -> tuple[Floats, Bools]:
    return np.minimum(times, at), times < at


def test_the_mean_counts_the_time_of_those_that_did_not_escape() -> None:
    wait = waiting(np.array([1.0, 2, 5, 5]), np.array([True, True, False, False]))
    assert wait.mean == pytest.approx(13 / 2)
    # Chi-square of 6 and 4 degrees of freedom at 0.975 and 0.025.
    assert wait.low == pytest.approx(26 / 14.449, rel=1e-4)
    assert wait.high == pytest.approx(26 / 0.48442, rel=1e-4)
    none = waiting(np.array([5.0, 5]), np.array([False, False]))
    assert none.mean == np.inf and none.high == np.inf
    assert none.low == pytest.approx(10 / -np.log(0.025))  # (1 - 0.975) by exp(-10/t)


def test_intervals_hold_the_mean_and_cuts_do_not_shift_it() -> None:
    rng = np.random.default_rng(0)
    held, p_values = [], []
    for _ in range(1000):
        wait = waiting(*cut(rng.exponential(3.0, 12), 4.0))
        held.append(wait.low <= 3.0 <= wait.high)
        p_values.append(wait.p_exponential)
    assert 0.95 <= np.mean(held) < 0.99
    known = np.array(p_values)[~np.isnan(p_values)]
    assert np.mean(known < 0.05) == pytest.approx(0.05, abs=0.02)


def test_a_path_that_takes_its_time_is_not_exponential() -> None:
    rng = np.random.default_rng(1)
    late = rng.normal(5.0, 1.0, 40)
    mixed = np.concatenate([rng.exponential(0.1, 20), rng.exponential(30.0, 20)])
    for times in (late, mixed):
        assert waiting(*cut(times, 40.0)).p_exponential < 1e-3
    with pytest.raises(ValueError, match="0 times; at least one"):
        waiting(np.array([]), np.array([]))


def test_the_line_of_escapes_that_follow_arrhenius() -> None:
    rng = np.random.default_rng(2)
    held, p_straight = [], []
    for _ in range(300):
        waits = [
            waiting(*cut(rng.exponential(np.exp(LOG_TIME + BARRIER / t), 40), 2000.0))
            for t in TEMPERATURES
        ]
        line = arrhenius(TEMPERATURES, waits)
        held.append(line.barrier_low <= BARRIER <= line.barrier_high)
        p_straight.append(line.p_straight)
    assert 0.92 <= np.mean(held) <= 0.98
    assert np.mean(np.array(p_straight) < 0.05) == pytest.approx(0.05, abs=0.04)


def test_a_power_of_the_temperature_is_no_straight_line() -> None:
    rng = np.random.default_rng(3)
    temperatures = np.geomspace(0.01, 1, 6)
    waits = [
        waiting(rng.exponential(1 / t, 400), np.full(400, True)) for t in temperatures
    ]
    assert arrhenius(temperatures, waits).p_straight < 1e-6
    with pytest.raises(ValueError, match="fewer than two temperatures"):
        arrhenius(temperatures[:1], waits[:1])


def test_first_below() -> None:
    values = np.array([[3.0, 0.5, 3.0], [3.0, 3.0, 3.0], [0.1, 0.1, 0.1]])
    times, escaped = first_below(np.array([10.0, 20, 30]), values, 1.0)
    assert times.tolist() == [20, 30, 10]
    assert escaped.tolist() == [True, False, True]
