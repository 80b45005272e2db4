"""Sampled modular addition: networks planted by the law, and by other ones."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from conftest import ROOT

from grokmap.engine.restored import network_of, started
from grokmap.plan import read_sweep
from grokmap.plan.expansion import expand
from grokmap.reproduce import rubin_modular
from grokmap.reproduce.rubin_modular import Sampled
from grokmap.spec import Run
from grokmap.theory import modular_posterior
from grokmap.theory.modular_posterior import Law, Modular

NOISES = (0.2, 0.05, 0.014)


def run_of(name: str) -> Run:
    path = ROOT / "grokmap/reproduce/sweeps" / f"{name}.toml"
    return next(iter(expand(read_sweep(path))))


@pytest.mark.parametrize("name", [*rubin_modular.SWEEPS, rubin_modular.WIDE])
def test_every_sweep_samples_the_posterior_of_its_name(name: str) -> None:
    setting = rubin_modular.setting_of(run_of(name))
    level = name.rpartition("-")[2]
    noise = 0.014 if name == rubin_modular.WIDE else float(level)
    assert setting.noise == pytest.approx(noise, rel=1e-6)
    assert setting.weight_variance == pytest.approx(1, rel=1e-6)
    assert setting.eigenvalue == pytest.approx(0.02, rel=1e-6)
    assert setting.neurons == (800 if name == rubin_modular.WIDE else 400)


def setting(noise: float) -> Modular:
    return Modular(11, 100, noise, 0.02 / 400)


@lru_cache(maxsize=8)
def law_at(noise: float) -> Law:
    return modular_posterior.close(setting(noise))


def drawn(noise: float, of: float | None = None) -> Sampled:
    """Independent neurons of the law at a noise; that of the networks is `of`."""
    law = law_at(noise)
    rng = np.random.default_rng(int(1e4 * noise))
    shape = (6, 24, 5, 100)
    values = np.sqrt(np.multiply.outer(law.power, law.power)).ravel()
    size = rng.choice(values, shape, p=law.probability.ravel())
    residual = law.residual + rng.normal(scale=0.01, size=shape[:2])
    return Sampled(setting(of or noise), residual, size, 50)


def split(samples: list[Sampled]) -> dict[str, list[bool]]:
    held: dict[str, list[bool]] = {}
    for one in rubin_modular.of_samples(samples):
        held.setdefault(one.quantity.split(",")[0], []).append(one.holds)
    return held


LEFT = "share of the target that is left"
HISTOGRAM = "total variation between histogram of sqrt(Phi Psi) and its law"
MIXTURE = "histogram of sqrt(Phi Psi) as sigma^2 falls"
ONSET = "sigma^2 below which one neuron a network is beyond 8"


def test_networks_of_the_law_are_its_own() -> None:
    held = split([drawn(noise) for noise in NOISES])
    assert all(held[LEFT]) and all(held[HISTOGRAM]) and held[ONSET] == [True]
    assert held[MIXTURE] == [False]  # the law itself has one peak


def test_networks_of_another_noise_are_not() -> None:
    held = split([drawn(2 * noise, of=noise) for noise in NOISES])
    assert not any(held[LEFT]) and not all(held[HISTOGRAM])
    assert held[ONSET] == [False]


def test_a_planted_second_peak_is_a_mixture_from_there_on() -> None:
    samples = [drawn(noise) for noise in NOISES]
    samples[-1].size[:, :, 0, :3] = 17.5
    assert rubin_modular.mixture(samples).holds
    samples[0].size[:, :, 0, :3] = 17.5  # and at much noise: no order any more
    assert not rubin_modular.mixture(samples).holds


def test_neurons_that_share_out_the_frequencies_are_told() -> None:
    sample = drawn(NOISES[-1])
    assert rubin_modular.spread(sample).holds
    sample.size[sample.size > 8] = 0
    sample.size[..., :3] = 17.5
    finding = rubin_modular.spread(sample)
    assert not finding.holds and finding.measured == "0.00"
    assert finding.spread == "mean 3.00, most often 3"


def test_chains_that_disagree_are_told() -> None:
    sample = drawn(NOISES[0])
    assert rubin_modular.agreement([sample]).holds
    sample.residual[0] += 0.05
    assert not rubin_modular.agreement([sample]).holds


def test_the_onset_is_where_the_logarithms_cross() -> None:
    noises = [0.4, 0.2, 0.1]
    numbers = [1 / 16, 1 / 4, 4.0]  # slope -2 in log-log, then 1 half-way
    assert rubin_modular.onset(noises, numbers) == pytest.approx(0.2 / np.sqrt(2))
    assert np.isnan(rubin_modular.onset(noises, [0.1, 0.2, 0.3]))


@pytest.mark.slow
def test_the_parts_of_a_network_are_those_of_its_outputs() -> None:
    run = run_of("rubin-modular-0.05")
    lane = started(run)
    leaves = {name: np.array(leaf) for name, leaf in lane.params.items()}
    rng = np.random.default_rng(0)
    leaves["readout"] = leaves["readout"] + rng.normal(size=leaves["readout"].shape)
    network = network_of(run, leaves)
    f = np.asarray(network.apply(network.inputs), float)
    y = np.eye(11)[network.labels] - 1 / 11
    left, size = rubin_modular.parts_of(run, leaves)
    assert left == pytest.approx(1 - (f * y).sum() / (y * y).sum(), abs=1e-4)
    # A pure cosine of amplitude c in both layers has Phi = Psi = c^2 p / 4.
    wave = 3 * np.cos(2 * np.pi * 2 * np.arange(11) / 11)
    leaves["first"][:, 0] = np.concatenate([wave, wave])
    size = rubin_modular.parts_of(run, leaves)[1]
    np.testing.assert_allclose(size[:, 0], [0, 9 * 11 / 4, 0, 0, 0], atol=1e-6)
