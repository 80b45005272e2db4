"""Rate equations of signal and noise: planted equations are found again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import solve_ivp

from grokmap.analysis import rate_equations
from grokmap.analysis.rate_equations import FORMS, Fit, Path

RATES = (1e-3, 3e-3)
Gains = Callable[[float, float], tuple[float, float]]


def planted(gains: Gains, rate: float, start: tuple[float, float]) -> Path:
    """The solution of the equations with these gains, recorded evenly in log time."""
    steps = np.unique(np.geomspace(1, 4 / rate, 200).round())
    found = solve_ivp(
        lambda _, z: np.array(gains(*z)) - rate * z,
        (1.0, steps[-1]),
        start,
        t_eval=steps,
        rtol=1e-9,
        atol=1e-12,
    )
    t_mem = 0.2 / rate
    snr = (found.y[0] / found.y[1]) ** 2
    t_grok = float(steps[np.argmax(snr > 1)])
    return Path(f"r = {rate}", steps, found.y.T, rate, t_mem, t_grok)


def grows(s: float, n: float) -> tuple[float, float]:
    """Logistic growth of the signal, no gain of the noise."""
    return 4e-3 * s * (1 - s / 3), 0.0


def test_coefficients_are_those_planted() -> None:
    known = [planted(grows, r, (0.2, 1.0)) for r in RATES]
    found = rate_equations.fit(known, "saturating", "steps")
    np.testing.assert_allclose(found.signal, [4e-3, -4e-3 / 3], rtol=0.02)
    np.testing.assert_allclose(found.noise, 0, atol=2e-5)


def test_a_constant_gain_on_either_clock() -> None:
    in_steps = [planted(lambda s, n: (2e-3, 1e-3), r, (0.2, 1.0)) for r in RATES]
    found = rate_equations.fit(in_steps, "constant", "steps")
    assert [*found.signal, *found.noise] == pytest.approx([2e-3, 1e-3], rel=0.01)
    by_decay = [
        planted(lambda s, n, r=r: (2 * r, 0.5 * r), r, (0.2, 1.0))  # type: ignore[misc]
        for r in RATES
    ]
    found = rate_equations.fit(by_decay, "constant", "decay")
    assert [*found.signal, *found.noise] == pytest.approx([2, 0.5], rel=0.01)


def test_the_planted_form_predicts_and_others_do_not() -> None:
    known = [planted(grows, r, (0.2, 1.0)) for r in RATES]
    other = planted(grows, 2e-3, (0.15, 1.2))
    errors = {
        form: rate_equations.error(rate_equations.fit(known, form, "steps"), other)
        for form in FORMS
    }
    assert errors["saturating"] < 0.02
    assert errors["decay alone"] > 1 and errors["constant"] > 0.1
    found = rate_equations.fit(known, "saturating", "steps")
    t_grok = rate_equations.predicted_t_grok(found, other, 1.0, 4000)
    assert t_grok == pytest.approx(other.t_grok, rel=0.05)
    frozen = rate_equations.fit(known, "decay alone", "steps")
    assert np.isnan(rate_equations.predicted_t_grok(frozen, other, 1.0, 4000))
    # t_grok is the first record behind the crossing at 1.
    assert 1 <= rate_equations.ratio_at_grok(known) < 1.2


def test_a_solution_that_runs_away_is_an_error_and_not_a_loop() -> None:
    path = planted(grows, 1e-3, (0.2, 1.0))
    away = Fit("proportional", "steps", np.array([0.5]), np.array([0.0]))
    assert rate_equations.error(away, path) > np.log(10)


def test_paths_are_roots_of_recorded_energies() -> None:
    runs = pd.DataFrame(
        {
            "run_id": ["a", "b"],
            "t_mem": [10, pd.NA],
            "t_grok": [pd.NA, pd.NA],
            "decay_rate": [1e-3, 1e-3],
        }
    )
    records = pd.DataFrame({"run_id": "a", "step": [0, 10], "noise_energy": [9.0, 4.0]})
    records["signal_energy"] = [1.0, 16.0]
    (only,) = rate_equations.paths(records, runs)
    assert only.values.tolist() == [[1, 3], [4, 2]] and np.isnan(only.t_grok)
