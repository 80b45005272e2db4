"""Modular addition with gamma: networks planted by the law, and by other ones."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from grokmap.plan import read_sweep
from grokmap.plan.expansion import expand
from grokmap.reproduce import rubin_modular, rubin_sextic
from grokmap.reproduce.rubin_modular import Sampled
from grokmap.reproduce.rubin_sextic import Sample
from grokmap.theory import sextic_posterior
from grokmap.theory.modular_posterior import Modular
from grokmap.theory.sextic_posterior import Draws, Law

GAMMA = 3 / 16
NOISES = (0.0014, 0.0012, 0.001, 0.0008)


@pytest.mark.parametrize("name", rubin_sextic.SWEEPS)
def test_every_sweep_samples_the_posterior_of_its_name(name: str) -> None:
    path = ROOT / "grokmap/reproduce/sweeps" / f"{name}.toml"
    run = next(iter(expand(read_sweep(path))))
    setting = rubin_modular.setting_of(run)
    assert setting.noise == pytest.approx(float(name.rpartition("-")[2]), rel=1e-6)
    assert setting.weight_variance == pytest.approx(1, rel=1e-6)
    assert sextic_posterior.level(setting, GAMMA) == pytest.approx(0.001, rel=1e-6)
    table = pd.DataFrame([{**run.control._asdict(), "width": run.system.width}])
    assert rubin_sextic.gamma_of(table) == pytest.approx(GAMMA, rel=1e-6)


@lru_cache(maxsize=1)
def draws() -> Draws:
    return sextic_posterior.draw(7, GAMMA, 12_000)


@lru_cache(maxsize=8)
def law_at(noise: float) -> tuple[Modular, Law]:
    setting = Modular(7, 400, noise, (0.001 / 7) ** 2 * np.sqrt(4 * GAMMA / 3))
    return setting, sextic_posterior.close(setting, draws())


def drawn(noise: float, of: float | None = None) -> Sample:
    """Independent neurons of the law at a noise; that of the networks is `of`."""
    law = law_at(noise)[1]
    rng = np.random.default_rng(int(1e5 * noise))
    chosen = rng.choice(len(law.weight), (6, 20, 400), p=law.weight)
    size = np.moveaxis(draws().size[chosen], 3, 2)
    residual = law.residual + rng.normal(scale=0.005, size=(6, 20))
    setting, expected = law_at(of or noise)
    return Sample(Sampled(setting, residual, size, 500), GAMMA, draws(), expected)


def held(samples: list[Sample]) -> dict[str, list[bool]]:
    found: dict[str, list[bool]] = {}
    for one in rubin_sextic.of_samples(samples):
        found.setdefault(one.quantity.split(",")[0], []).append(one.holds)
    return found


ONSET = "sigma^2 below which one neuron a network is in the well"
LEFT = "share of the target that is left"


@pytest.mark.slow
def test_networks_of_the_law_are_its_own_and_of_half_their_u() -> None:
    found = held([drawn(noise) for noise in NOISES])
    assert found.pop(ONSET) == [True, False]  # not at twice the u
    del found["the same of the law"]  # of no network
    assert all(all(each) for each in found.values())


@pytest.mark.slow
def test_networks_of_another_noise_are_not() -> None:
    found = held([drawn(0.8 * noise, of=noise) for noise in NOISES])
    assert found[ONSET][0] is False and not any(found[LEFT][1:])
    assert not all(
        found["total variation between histogram of sqrt(Phi Psi) and its law"]
    )


def test_their_levels_are_missed_by_half_their_u() -> None:
    levels = rubin_sextic.of_action()
    assert [one.holds for one in levels] == [False, False, False]
    assert "with twice that, as printed: 0.23" in levels[0].spread
    assert float(levels[2].measured) == pytest.approx(
        2 * 0.227 * np.sqrt(3e4), rel=1e-2
    )
