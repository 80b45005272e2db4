"""Best learning rates and half-times of layers, on tables with known answers."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from grokmap.analysis.series import Series
from grokmap.reproduce import mup, mup_depth
from grokmap.reproduce.trained import Trained

WIDTHS, RATES = (32, 64, 128, 256), np.geomspace(1e-3, 1.0, 9)


def runs(best: dict[int, float], noise: float = 0.0) -> pd.DataFrame:
    """Losses that are parabolas in log rate around each width's best rate."""
    rng = np.random.default_rng(0)
    rows = []
    for width, seed, rate in itertools.product(WIDTHS, range(6), RATES):
        away = np.log2(rate / best[width]) + noise * rng.normal()
        loss = np.exp(-4 + 0.05 * away**2)
        times = {"t_mem": 50 + away**2, "t_grok": 500 + away**2}
        rows.append(
            {"width": width, "seed": seed, "learning_rate": rate, **times}
            | {
                "budget_steps": 800,
                "final_train_loss": loss,
                "final_test_loss": 2 * loss,
            }
        )
    return pd.DataFrame(rows)


@pytest.mark.parametrize("slope", [0.0, -1.0, 0.4])
@pytest.mark.parametrize("quantity", mup.QUANTITIES)
def test_drift_of_planted_best_rates(slope: float, quantity: str) -> None:
    best = {n: 0.03 * (n / 90) ** slope for n in WIDTHS}
    found = mup.best_rates(runs(best), quantity)
    rel = 1e-6 if "loss" in quantity else 0.02  # 1/t is no parabola
    for width, rate in best.items():
        assert found.loc[width].to_numpy() == pytest.approx(rate, rel=rel)
    slopes = mup.drifts(found)
    assert len(slopes) == 6 and slopes == pytest.approx(slope, abs=0.02)


def test_a_best_rate_at_the_end_of_the_grid_is_none() -> None:
    falling = np.arange(9.0)
    assert np.isnan(mup.best_rate(RATES, falling))
    assert np.isnan(mup.best_rate(RATES, falling[::-1]))
    assert np.isnan(mup.best_rate(RATES, np.zeros(9)))
    beyond = {32: 0.03, 64: 0.03, 128: 5.0, 256: 5.0}
    assert np.isnan(mup.drifts(mup.best_rates(runs(beyond), "train loss"))).all()


def test_times_that_never_came_and_losses_that_blew_up_are_worst() -> None:
    table = pd.DataFrame(
        {"t_mem": [10, None], "final_train_loss": [np.inf, 0.1], "t_grok": [None, 5]}
    )
    assert mup.merit(table, "t_mem").tolist() == [0.1, 0.0]
    assert mup.merit(table, "train loss").tolist() == [0.0, -np.log(0.1)]


def test_findings_hold_for_what_was_planted_and_miss_for_the_other() -> None:
    still = dict.fromkeys(WIDTHS, 0.03)
    falls = {n: 0.03 * 90 / n for n in WIDTHS}

    def verdicts(of_mup: dict[int, float], of_standard: dict[int, float]) -> set[bool]:
        tables = {"mup": runs(of_mup, 0.05), "standard": runs(of_standard, 0.05)}
        trained = {
            name: Trained(tables[name.split("-")[1]], pd.DataFrame())
            for name in mup.SWEEPS
        }
        assert mup.figure(trained).axes
        return {finding.holds for finding in mup.compare(trained)}

    assert verdicts(still, falls) == {True}
    assert verdicts(falls, still) == {False}


def test_half_time_is_where_half_of_the_change_is_made() -> None:
    step = np.array([0.0, 1.0, 10.0, 100.0])
    rising = Series(step, np.array([1.0, 1.0, 2.0, 4.0]))
    # Half of 3 is made at 2.5: a quarter of the way from 10 to 100, in log time.
    assert mup_depth.half_time(rising) == pytest.approx(10**1.25)
    falling = Series(step, -rising.value)
    assert mup_depth.half_time(falling) == pytest.approx(10**1.25)
    assert np.isnan(mup_depth.half_time(Series(step, np.ones(4))))
    over = Series(step, np.array([0.0, 5.0, 2.0, 2.0]))
    assert mup_depth.half_time(over) == pytest.approx(0.5 * 2 ** (1 / 5))


def layered(lag: float) -> Trained:
    """Runs in which layer l makes its change at step 100 lag^l."""
    rows, records = [], []
    steps = np.unique(np.geomspace(1, 1e4, 200).round())
    for depth in mup_depth.DEPTHS:
        for seed in range(8):
            run = f"{depth}-{seed}"
            rows.append((run, depth, seed, 50, 2000 + seed))
            shift = np.exp(0.05 * np.random.default_rng(seed).normal())
            table = {"run_id": run, "step": steps}
            for layer in range(1, 5):
                when = 100 * lag**layer * shift * (1 + 0.01 * layer * seed)
                value = 1 / (1 + (when / steps) ** 4)
                name = f"layer_alignment_{layer}"
                table[name] = value if layer <= depth else np.nan
            records.append(pd.DataFrame(table))
    columns = ["run_id", "depth", "seed", "t_mem", "t_grok"]
    return Trained(pd.DataFrame(rows, columns=columns), pd.concat(records))


def test_layers_that_learn_one_after_another_are_told_from_those_that_do_not() -> None:
    for depth in (2, 3, 4):
        one_by_one = mup_depth._order(layered(2.0), depth)
        assert one_by_one.holds
        assert float(one_by_one.measured) == pytest.approx(0.5 ** (depth - 1), rel=0.15)
    few = layered(2.0)
    few = few._replace(runs=few.runs[few.runs["seed"] < 5])
    assert not mup_depth._order(few, 2).holds
    alike = mup_depth.half_times(layered(1.0), 3)
    assert alike[1].to_numpy() == pytest.approx(alike[3].to_numpy(), rel=0.2)
