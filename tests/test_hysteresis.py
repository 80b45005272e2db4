from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from grokmap import plot
from grokmap.analysis import hysteresis
from grokmap.analysis.series import Series
from grokmap.analysis.transition_order import loop_evidence

START, FACTOR = 0.01, 100.0
EFOLDS = np.log(FACTOR)


def ramped(
    steps: int, up: Callable[[Any], Any], down: Callable[[Any], Any], seed: int = 0
) -> tuple[dict[str, Any], pd.DataFrame]:
    """A run whose quantity follows `up` and `down`, functions of ln(lambda / START)."""
    step = np.unique(np.append(np.linspace(0, 2 * steps, 4001).round(), steps))
    share = 1 - abs(1 - step / steps)
    value = np.where(step <= steps, up(share * EFOLDS), down(share * EFOLDS))
    run_id = f"{steps}-{seed}"
    own = pd.DataFrame({"run_id": run_id, "step": step.astype(int), "q": value})
    facts = {"run_id": run_id, "seed": seed, "weight_decay": START, "alpha": 0.0}
    facts |= {"ramp_factor": FACTOR, "ramp_steps": float(steps), "width": 64}
    facts |= dict.fromkeys(
        ("modulus", "train_fraction", "learning_rate", "momentum"), 1.0
    )
    return facts | dict.fromkeys(("beta1", "beta2", "epsilon"), np.nan), own


def rows_of(*runs: tuple[dict[str, Any], pd.DataFrame]) -> pd.DataFrame:
    plan = pd.DataFrame([facts for facts, _ in runs])
    trajectories = pd.concat([own for _, own in runs])
    return hysteresis.loops(trajectories, plan, "q", 0.5)[0]


def step_at(place: float, height: float = 1.0) -> Callable[[Any], Any]:
    return lambda x: np.where(x >= place, height, 0.0)


def test_the_area_of_a_rectangular_loop() -> None:
    # Up at 3 e-folds, down at 1: two e-folds times the height.
    run = ramped(4000, step_at(3, 0.8), step_at(1, 0.8))
    row = rows_of(run).iloc[0]
    assert row["area"] == pytest.approx(2 * 0.8, rel=0.01)
    assert row["ramp_rate"] == pytest.approx(EFOLDS / 4000)
    jumps = np.log(row[list(hysteresis.JUMPS)].astype(float) / START)
    spacing = 1.5 * EFOLDS / hysteresis.POINTS
    assert jumps["up_rise"] == pytest.approx(3, abs=spacing)
    assert jumps["down_fall"] == pytest.approx(1, abs=spacing)
    assert jumps[["up_fall", "down_rise"]].isna().all()
    assert row["end"] == 0


def test_the_area_of_a_triangle_and_of_no_loop() -> None:
    up = down = lambda x: x / EFOLDS  # noqa: E731
    assert rows_of(ramped(4000, up, down))["area"].item() == pytest.approx(0, abs=1e-9)
    opened = rows_of(ramped(4000, up, lambda x: np.ones_like(x)))["area"].item()
    assert opened == pytest.approx(EFOLDS / 2, rel=1e-3)


def test_fluctuations_about_one_curve_have_an_area_on_no_side() -> None:
    rng = np.random.default_rng(0)
    rates, seeds = (4000, 8000, 16000), range(8)

    def noisy(curve: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda x: curve(x) + 0.1 * rng.standard_normal(np.shape(x))

    def trend(down: float) -> pd.Series:
        both = noisy(step_at(3)), noisy(step_at(down))
        runs = rows_of(*(ramped(rate, *both, seed) for rate in rates for seed in seeds))
        return hysteresis.trends(runs, ["weight_decay", "ramp_factor"]).iloc[0]

    one, two = trend(3), trend(1)
    assert one["limit"] == two["limit"] == "stays"
    assert one["area"] > 0.1 and not one["one_sided"]
    assert two["one_sided"]


def test_crossing_branches_do_not_cancel() -> None:
    run = ramped(4000, step_at(2), lambda x: np.where(x < 2, 1.0, 0.0))
    assert rows_of(run)["area"].item() == pytest.approx(EFOLDS, rel=0.01)


def test_a_run_that_ended_early_has_no_area() -> None:
    own = Series(np.array([0.0, 50.0]), np.array([0.0, 1.0]))
    assert np.isnan(hysteresis.area(hysteresis.loop_of(own, 0.1, 10, 100)))


STEPS = (1000, 2000, 4000, 8000, 16000, 32000)


def planted(lag: Callable[[float], float], n_seeds: int = 5) -> pd.DataFrame:
    """Loops as wide as `lag` (e-folds) of the rate: wider in one seed than in another
    at all rates, as in the committed sweep, with some scatter beside."""
    rng = np.random.default_rng(0)
    of_seed = np.exp(0.2 * rng.normal(size=n_seeds))
    runs = []
    for steps in STEPS:
        for seed in range(n_seeds):
            scatter = of_seed[seed] * np.exp(0.01 * rng.normal())
            half = lag(EFOLDS / steps) / 2 * scatter
            middle = EFOLDS / 2
            run = ramped(steps, step_at(middle + half), step_at(middle - half), seed)
            runs.append(run)
    return rows_of(*runs)


@pytest.mark.parametrize(
    ("lag", "limit"),
    [
        (lambda rate: 30 * rate**0.5, "closes"),
        (lambda rate: 1.5 + 0 * rate, "stays"),
        # A first-order loop that is still shrinking towards its own width.
        (lambda rate: 1.5 + 200 * rate, "stays"),
        # One that shrinks so far that a power alone looks like closing.
        (lambda rate: 0.3 + 500 * rate, "stays"),
    ],
)
def test_what_becomes_of_planted_loops(
    lag: Callable[[float], float], limit: str
) -> None:
    runs = planted(lag, n_seeds=8)
    family = ["weight_decay", "ramp_factor"]
    trend = hysteresis.trends(runs, family).iloc[0]
    assert trend["limit"] == limit
    if limit == "closes":
        assert trend["exponent"] == pytest.approx(0.5, abs=0.15)
        assert trend["exponent_low"] < trend["exponent"] < trend["exponent_high"]
    assert trend["rises"] == 1 and trend["falls"] == 0


def test_an_offset_too_small_to_see_decides_nothing() -> None:
    runs = planted(lambda rate: 0.1 + 500 * rate, n_seeds=4)
    runs["area"] *= np.exp(np.random.default_rng(1).normal(0, 0.15, len(runs)))
    trend = hysteresis.trends(runs, ["weight_decay", "ramp_factor"]).iloc[0]
    assert trend["exponent_low"] > hysteresis.FLAT  # which alone would be "closes"
    assert trend["offset_low"] == 0 and trend["limit"] == "undecided"


@pytest.mark.parametrize("k", [0.34, 0.66, 1.0])
def test_offsets_of_exact_areas(k: float) -> None:
    rates = np.array([1.0, 2.0, 4.0, 8.0]) * 1e-4
    for true in (0.5, 0.1, 0.0):
        mean = true + 0.3 * (rates / rates[0]) ** k
        # Seeds apart by a factor: every share of every area is that of all.
        areas = mean * np.array([[0.9], [1.0], [1.1]])
        value, low, high = hysteresis.offset(rates, areas)
        assert value == pytest.approx(true, abs=1e-9)
        assert low - 1e-9 <= true <= high + 1e-9
    # Areas that shrink with the rate have more than that of the slowest ramp left.
    value, *_ = hysteresis.offset(rates, areas[:, ::-1])
    assert value > areas[:, -1].mean()


def test_the_exponents_interval_is_students() -> None:
    rates = np.array([1.0, 3.0, 9.0])
    powers = np.array([0.4, 0.5, 0.75])
    areas = np.array([[2.0], [1.0], [3.0]]) * rates ** powers[:, None]
    expected = stats.t.interval(0.95, 2, powers.mean(), stats.sem(powers))
    value, *interval = hysteresis.exponent(rates, areas)
    assert value == pytest.approx(powers.mean())
    np.testing.assert_allclose(interval, expected)


def test_few_rates_or_seeds_decide_nothing() -> None:
    family = ["weight_decay", "ramp_factor"]
    runs = planted(lambda rate: 1.5)
    assert hysteresis.trends(runs[runs["seed"] < 1], family)["limit"][0] == "undecided"
    fast = runs[runs["ramp_steps"] <= 2000]
    assert hysteresis.trends(fast, family)["limit"][0] == "undecided"


def test_by_rate_is_of_the_seeds() -> None:
    runs = planted(lambda rate: 1.0)
    rates = hysteresis.by_rate(runs, ["weight_decay", "ramp_factor"])
    assert rates["ramp_steps"].tolist() == list(STEPS)
    assert (rates["n_runs"] == 5).all() and (rates["up_rise_share"] == 1).all()
    own = runs[runs["ramp_steps"] == 4000]["area"]
    assert rates["area"][2] == pytest.approx(own.median())


def test_runs_that_fall_and_do_not_come_back() -> None:
    def never(x: Any) -> Any:
        return np.zeros_like(x)

    runs = rows_of(
        *(ramped(4000, lambda x: 1 - step_at(2)(x), never, s) for s in (0, 1))
    )
    trend = hysteresis.trends(runs, ["weight_decay", "ramp_factor"]).iloc[0]
    assert (trend["falls"], trend["returns"]) == (1, 0)
    both = rows_of(
        ramped(4000, lambda x: 1 - step_at(2)(x), lambda x: 1 - step_at(1)(x))
    )
    assert hysteresis.trends(both, ["weight_decay", "ramp_factor"])["returns"][0] == 1


def test_where_a_run_is_at_the_top_tells_whether_it_fell() -> None:
    def up(x: Any) -> Any:  # rises, falls, and rises again before the top
        return np.where((x > 1) & (x < 2) | (x > 3), 1.0, 0.0)

    family = ["weight_decay", "ramp_factor"]
    rows = rows_of(ramped(4000, up, np.ones_like))
    assert (rows["top"][0], rows["end"][0], rows["level"][0]) == (1, 1, 0.5)
    trend = hysteresis.trends(rows, family).iloc[0]
    assert (trend["rises"], trend["falls"], trend["returns"]) == (1, 0, 0)
    # And one that comes back but does not stay.
    again = rows_of(ramped(4000, lambda x: 1 - step_at(2)(x), lambda x: 1 - up(x)))
    again_trend = hysteresis.trends(again, family).iloc[0]
    assert (again_trend["falls"], again_trend["returns"]) == (1, 1)
    gone = rows_of(ramped(4000, lambda x: 1 - step_at(2)(x), up))
    assert hysteresis.trends(gone, family)["returns"][0] == 0


@pytest.mark.filterwarnings("error")
def test_ramps_that_all_diverged_have_no_area() -> None:
    sound = [ramped(n, step_at(3), step_at(1), s) for n in STEPS for s in range(3)]
    lost = [ramped(n, step_at(3), lambda x: x * np.nan, s) for n, s in ((1000, 7),)]
    lost[0][0]["alpha"] = 1.0
    plan = pd.DataFrame([facts for facts, _ in [*sound, *lost]])
    own = pd.concat([part for _, part in [*sound, *lost]])
    runs, loops = hysteresis.loops(own, plan, "q", 0.5)
    family = hysteresis.families(plan)
    rates, trends = hysteresis.by_rate(runs, family), hysteresis.trends(runs, family)
    row = trends[trends["alpha"] == 1].iloc[0]
    assert np.isnan(row["area"]) and row["limit"] == "undecided"
    why = loop_evidence(row.to_dict(), "q").why
    assert "nan" not in why and "too few rates" in why
    branches = {k: plot.Branches(*loop) for k, loop in loops.items()}
    plot.hysteresis_loops(runs, branches, rates, family, "q").savefig(BytesIO())
