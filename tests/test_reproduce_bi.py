"""Finite-size comparisons on made-up ensembles of either verdict."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from scipy.special import ndtri

import grokmap
from grokmap.classify import CRITERIA
from grokmap.reproduce import bi
from grokmap.reproduce.trained import Trained
from grokmap.result.labels import label_runs

SIZES = np.array([149, 179, 211, 251, 307, 397])
FRACTIONS = np.linspace(0.36, 0.46, 11)
N_CHAINS = 50
NORMAL = ndtri((np.arange(N_CHAINS) + 0.5) / N_CHAINS)


def ensemble(places: float | list[float], growth: Any) -> pd.DataFrame:
    """Normal contrasts whose width over mean is of (f - f_c) p alone, so that cumulants
    of all p meet at f_c (or of each p its own), and whose mean squared is growth(p)."""
    rows = []
    for size, place in zip(SIZES, np.broadcast_to(places, len(SIZES)), strict=True):
        for f in FRACTIONS:
            wide = 0.3 * (1 - np.tanh((f - place) * size / 2))
            m = growth(size) ** 0.5 * (1 + wide * NORMAL)
            rows.append(
                pd.DataFrame(
                    {
                        "modulus": size,
                        "train_fraction": f,
                        "chain": np.arange(N_CHAINS),
                        "final_head_tail_contrast": m,
                    }
                )
            )
    runs = pd.concat(rows, ignore_index=True)
    return runs.assign(phase="grok", t_grok=100.0, decay_rate=1e-3)


def verdicts(runs: pd.DataFrame) -> list[bool]:
    found = bi.compare({bi.SWEEP: Trained(runs, pd.DataFrame())})
    return [f.holds for f in found]


def test_a_transition_of_size_p_is_found() -> None:
    runs = ensemble(0.415, lambda p: p**2)
    places = bi.crossings(bi.ensemble_of(runs))
    assert len(places) == len(SIZES) - 1
    # Interpolated between fractions 0.01 apart.
    np.testing.assert_allclose(places, 0.415, atol=5e-3)
    # Normal values have one mode and no deep cumulant.
    assert verdicts(runs) == [True, True, True, False, True]


def test_a_crossover_is_told_from_it() -> None:
    runs = ensemble(0.37, lambda p: -np.expm1(-p / 100))
    middle, spread, growth, _, _ = verdicts(runs)
    assert not middle and not growth
    moving = ensemble([0.38, 0.38, 0.42, 0.42, 0.44, 0.44], lambda p: p**2)
    assert not verdicts(moving)[1]


def test_two_states_at_the_largest_sizes_are_seen() -> None:
    runs = ensemble(0.415, lambda p: p**2)
    last = (runs["modulus"] >= 307) & np.isclose(runs["train_fraction"], 0.38)
    rare = runs["chain"] < 8
    value = np.where(rare, 1000.0, 1.0 + runs["chain"] / 1000)
    runs.loc[last, "final_head_tail_contrast"] = value[last]
    *_, minima, modes = bi.compare({bi.SWEEP: Trained(runs, pd.DataFrame())})
    assert minima.holds  # 1 - 1 / (3 * 8 / 50) = -1.08
    assert minima.measured == "-1.08, -1.08"
    assert not modes.holds


def test_aic_of_each_law_on_its_own_values() -> None:
    size = SIZES.astype(float)
    noise = 1 + 1e-3 * np.array([1, -1, 1, -1, 1, -1])
    assert bi.delta_aic(size, noise * bi.power(size, 2.0)) > 5
    assert bi.delta_aic(size, noise * bi.saturating(size, np.log(0.02))) < -5
    # Growth as p is the limit of small rates of their saturating law: not told.
    assert abs(bi.delta_aic(size, noise * bi.power(size, 1.0))) < 2


@pytest.mark.slow
def test_trained_networks_are_compared(tmp_path: Path) -> None:
    # The sweep of the comparison, with small sizes in the place of its own.
    file = ROOT / f"grokmap/reproduce/sweeps/{bi.SWEEP}.toml"
    document = tomllib.loads(file.read_text())
    document |= {"embedding": 8, "heads": 2, "width": 16, "batch_size": 16}
    document |= {"n_steps": 20, "blocks": 1}
    document["axes"] = {"modulus": [5, 7], "train_fraction": [0.4, 0.6]}
    document["axes"]["chain"] = "range:0:6:1"
    grokmap.sweep(document, out=tmp_path / "r")
    runs, _ = label_runs(tmp_path / "r", CRITERIA["default"])
    found = bi.compare({bi.SWEEP: Trained(runs, pd.DataFrame())})
    assert len(found) == 5
    contrasts = bi.ensemble_of(runs).order
    assert np.isfinite(contrasts).all()
    # Other weights on one split: chains differ, and their examples do not.
    assert (np.std(contrasts, axis=2) > 1e-3).all()
    assert found[2].spread == "2 sizes" and found[2].measured == "nan"  # too few
