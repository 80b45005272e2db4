"""Comparisons of double descent on planted tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from grokmap.reproduce import double_descent as descent
from grokmap.reproduce.trained import Trained
from grokmap.theory import ridgeless

SIGMA, D, SEEDS = 0.5, 40, 24


def trained(ends: dict[int, float], noise: float = 0.1) -> Trained:
    """Runs whose last test loss is of a size times lognormal noise, on a curve that
    falls to half of it first."""
    rng = np.random.default_rng(0)
    rows, curves = [], []
    for size, end in ends.items():
        for seed in range(SEEDS):
            last = end * np.exp(noise * rng.standard_normal() - noise**2 / 2)
            name = f"{size}-{seed}"
            facts = {
                "run_id": name,
                "seed": seed,
                "final_test_loss": last,
                "alpha": 0.0,
            }
            facts |= {"train_fraction": size / 400, "n_examples": 400, "width": size}
            rows.append(facts | {"n_inputs": D, "label_noise": SIGMA})
            loss = last * np.array([2.0, 0.5, 1.0])
            step = [0, 10, 100]
            curves.append(
                pd.DataFrame({"run_id": name, "step": step, "test_loss": loss})
            )
    return Trained(pd.DataFrame(rows), pd.concat(curves))


def test_risks_hold_where_they_are_those_of_the_closed_form() -> None:
    right = {n: ridgeless.risk(n, D, SIGMA) for n in (10, 20, 60, 160)}
    for factor, holds in ((1.0, True), (1.2, False)):
        own = trained({n: factor * risk for n, risk in right.items()} | {40: 9.0})
        found = descent._risks(descent.of_examples(own), own)
        assert [f.holds for f in found] == [holds] * 4  # n = 40 has no mean
    assert descent._peak_at_d(descent.of_examples(own)).holds
    away = trained(right | {40: 0.1})
    assert not descent._peak_at_d(descent.of_examples(away)).holds


def test_a_peak_over_neurons_is_where_weights_are_as_many_as_examples() -> None:
    expected = {2: 0.3, 4: 0.5, 8: 0.3}
    for widths, holds in ((expected, True), ({2: 0.6, 4: 0.5, 8: 0.3}, False)):
        table = descent.of_widths(trained(widths)).assign(peak=4.5)
        (found,) = descent._peaks(table)
        assert found.holds == holds


def test_lowest_losses_and_second_falls() -> None:
    own = trained({10: 1.0, 20: 0.5, 40: 0.2}, noise=0.0)
    table = descent.of_examples(own)
    assert table.groupby("size")["low"].first().tolist() == [0.5, 0.25, 0.1]
    assert descent._lowest(table, "n").holds
    assert not descent._lowest(table.assign(size=-table["size"]), "n").holds
    once = descent._second_falls(own, "n", table)
    assert once.measured == "0 of 3" and not once.holds
    more = own.trajectories.assign(step=lambda x: 100 + x["step"])
    both = own._replace(
        trajectories=pd.concat([own.trajectories, more[more.step > 105]])
    )
    twice = descent._second_falls(both, "n", table)
    assert twice.measured == "3 of 3" and twice.holds
