"""Exponents of t_grok by several axes, of planted power laws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from grokmap.analysis.exponents import MIN_GROKKED, exponents

AXES = ("weight_decay", "train_fraction")


def planted(noise: float = 0.1, budget: float = 1e9, seeds: int = 6) -> pd.DataFrame:
    """Runs whose t_grok is 100 lambda^-1.2 fraction^-3 with noise, cut at a budget."""
    rng = np.random.default_rng(3)
    grid = pd.MultiIndex.from_product(
        [range(seeds), (0.5, 1.0, 2.0, 4.0), (0.6, 0.7, 0.8)], names=["seed", *AXES]
    ).to_frame(index=False)
    spread = np.exp(noise * rng.standard_normal(len(grid)))
    time = 100 * grid["weight_decay"] ** -1.2 * grid["train_fraction"] ** -3 * spread
    grokked = time <= budget
    return grid.assign(
        phase=np.where(grokked, "grok", "memorize-only"),
        t_grok=time.where(grokked),
        n_steps=np.minimum(time, budget),
        t_mem=10.0,
        **dict.fromkeys(("diverged", "dead", "stalled"), False),
    )


def test_exponents_of_a_power_law_without_noise_are_exact() -> None:
    found = exponents(planted(noise=1e-3), AXES).set_index("axis")["exponent"]
    assert found["weight_decay"] == pytest.approx(1.2, abs=2e-3)
    assert found["train_fraction"] == pytest.approx(3, abs=1e-2)


def test_runs_that_a_budget_cut_do_not_bend_the_exponents() -> None:
    runs = planted(budget=350.0)
    cut = runs["phase"] != "grok"
    assert 0.15 < cut.mean() < 0.5
    found = exponents(runs, AXES)
    assert ((found["low"] < [1.2, 3]) & (found["high"] > [1.2, 3])).all()
    # Left out instead of counted, they do.
    without = exponents(runs[~cut], AXES).set_index("axis")["exponent"]
    assert without["weight_decay"] < found["exponent"][0]


def test_intervals_need_seeds_and_seeds_need_runs() -> None:
    few = exponents(planted(seeds=4), AXES)
    assert few["n_seeds"].eq(4).all() and few["low"].isna().all()
    assert few["exponent"].notna().all()
    one_fraction = planted().query("train_fraction == 0.7")
    assert exponents(one_fraction, AXES)["n_seeds"].eq(0).all()
    runs = planted()
    short = runs[runs.groupby("seed").cumcount() < MIN_GROKKED - 1]
    assert exponents(short, AXES)["exponent"].isna().all()
