"""Comparisons of Rubin et al.: networks drawn from the theory, and from another one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from scipy.special import erf

from grokmap.arrays import Floats
from grokmap.engine.restored import Reached
from grokmap.plan import read_sweep
from grokmap.plan.expansion import expand
from grokmap.reproduce import rubin_phases, rubin_samples, rubin_teacher
from grokmap.reproduce.rubin_teacher import Sampled
from grokmap.reproduce.trained import Trained
from grokmap.spec import Run
from grokmap.theory import posterior
from grokmap.theory.posterior import Posterior

SETTING = posterior.scaled(posterior.paper(0.075), 600, 30, 100)
SHIPPED = (
    *(*rubin_teacher.MAIN, rubin_teacher.NARROW, rubin_teacher.WIDE),
    *(rubin_teacher.MORE, rubin_teacher.BIASED, *rubin_samples.SIZES),
)


def run_of(name: str) -> Run:
    path = ROOT / "grokmap/reproduce/sweeps" / f"{name}.toml"
    return next(iter(expand(read_sweep(path))))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_sweep_samples_a_posterior_of_the_papers_scaling(name: str) -> None:
    setting = rubin_teacher.setting_of(run_of(name))
    noise = rubin_teacher.paper_noise(setting)
    sizes = setting.n, setting.d, setting.neurons
    assert setting == pytest.approx(
        posterior.scaled(posterior.paper(noise), *sizes), rel=1e-6
    )
    if name in rubin_teacher.MAIN:
        assert noise == pytest.approx(float(name.rpartition("-")[2]), rel=0.03)


def drawn(setting: Posterior, factor: float = 1.0, seed: int = 0) -> Sampled:
    """Independent neurons of the theory, their overlaps `factor` times as large."""
    closed = posterior.close(setting)
    rng = np.random.default_rng(seed)
    shape = (12, 40, setting.neurons)
    signs = rng.choice([-1.0, 1.0], shape)
    size = rng.choice(closed.overlap, shape, p=closed.density) * signs * factor
    noise = rng.normal(scale=0.01, size=(2, *shape[:2]))
    parts = factor * np.array([closed.linear, closed.cubic])[:, None, None] + noise
    seeds = np.repeat(np.arange(6), 2)
    return Sampled(setting, size, *parts, seeds, ())


def test_networks_of_the_theory_are_its_own() -> None:
    findings = rubin_teacher.of_sample(drawn(SETTING))
    assert len(findings) == 6 and all(one.holds for one in findings)
    mixed = next(one for one in findings if "share of specialised" in one.quantity)
    assert "neurons a network" in mixed.spread


def test_networks_of_another_theory_are_not() -> None:
    held = {one.quantity.split(",")[0]: one.holds
            for one in rubin_teacher.of_sample(drawn(SETTING, 0.6))}  # fmt: skip
    assert not held["linear part of f"] and not held["cubic part of f"]
    assert not held["total variation between histogram of |w.w*| and exp(-S)"]
    much = posterior.scaled(posterior.paper(0.3), 600, 30, 100)
    one_peak = drawn(much)._replace(setting=SETTING)
    kind = next(
        one for one in rubin_teacher.of_sample(one_peak) if "a mixture" in one.quantity
    )
    assert not kind.holds and kind.measured == "no dip: GFL"


def test_chains_that_disagree_are_told() -> None:
    sample = drawn(SETTING)
    sample.linear[0] += 0.05  # one of the two chains of the first training set
    chains = rubin_teacher.of_sample(sample)[0]
    assert not chains.holds and float(chains.measured) > 1.1


def test_distances_are_compared_on_the_seeds_that_all_have() -> None:
    near, far = drawn(SETTING), drawn(SETTING, 0.8)
    # A training set that one sample lacks is far from the theory, and does not count.
    near.overlap[near.seed == 5] *= 0.2
    far = far._replace(overlap=far.overlap[:8], seed=far.seed[:8])
    finding = rubin_teacher.distances("N", [50, 100], [far, near])
    assert finding.holds and finding.spread == "4 training sets"
    assert not rubin_teacher.distances("N", [50, 100], [near, far]).holds


def leaves_of(run: Run, seed: int) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    return {
        "first": rng.normal(size=(run.system.n_inputs, run.system.width)),
        "first_bias": rng.normal(size=run.system.width),
        "readout": rng.normal(size=(1, run.system.width)),
    }


@pytest.mark.slow
def test_the_parts_of_a_network_are_its_means_over_inputs() -> None:
    run = run_of(rubin_teacher.BIASED)
    leaves = leaves_of(run, 0)
    direction = rubin_teacher.teacher_of(run)
    overlap, linear, cubic = rubin_teacher.parts_of(run, leaves)
    w = leaves["first"] / np.sqrt(run.system.n_inputs)
    np.testing.assert_allclose(overlap, direction @ w)
    x = np.random.default_rng(1).normal(size=(20_000, run.system.n_inputs))
    x = np.concatenate([x, -x])
    f = erf(x @ w + leaves["first_bias"]) @ leaves["readout"][0]
    f *= run.control.alpha / run.system.width
    s = x @ direction
    slope = (f @ s) / len(s)
    assert linear == pytest.approx(slope, abs=4 * f.std() / np.sqrt(len(s)))
    rest = f - slope * s  # less noise of the mean
    h3 = s**3 - 3 * s
    error = 4 * (rest * h3).std() / np.sqrt(len(s)) / 6
    assert cubic == pytest.approx((rest @ h3) / len(s) / 6, abs=error)


def reached(run: Run, flips: bool) -> Reached:
    """A network in which neurons are far from 0 at either sign, or at one only."""
    rng = np.random.default_rng(run.seed)
    direction = rubin_teacher.teacher_of(run)
    size = rng.choice([1.0, -1.0], run.system.width) if flips else 1.0
    first = np.sqrt(run.system.n_inputs) * np.multiply.outer(direction, size * 0.9
        * np.ones(run.system.width))  # fmt: skip
    leaves = {"first": first, "readout": np.ones((1, run.system.width))}
    nothing: Any = np.empty(0)
    return Reached(run, rubin_teacher.END, leaves, nothing, nothing, ())


@pytest.mark.slow
@pytest.mark.parametrize("flips", [True, False])
def test_a_preference_for_one_well_is_seen(flips: bool) -> None:
    path = ROOT / "grokmap/reproduce/sweeps" / f"{rubin_teacher.BIASED}.toml"
    runs = list(expand(read_sweep(path)))
    networks = [reached(run, flips) for run in runs[:9]]
    nothing: Any = None
    trained = Trained(nothing, nothing, weights=lambda steps: networks)
    theirs, own = rubin_teacher.compare_bias({rubin_teacher.BIASED: trained})
    assert (theirs.holds, own.holds) == (not flips, flips)


@pytest.mark.slow
def test_kernel_regression_finds_the_cubic_part_of_its_kernel() -> None:
    run = run_of(rubin_samples.SIZES[0])
    setting = rubin_teacher.setting_of(run)
    found = rubin_samples.process_cubic(run, setting)
    expected = posterior.gaussian_process(setting)[1]
    assert found == pytest.approx(expected, abs=0.003) and expected < -0.005


@pytest.mark.slow
def test_a_bias_leaves_the_reflection() -> None:
    """f(x) becomes -f(-x) where a and w change their signs and b does not: overlaps
    change theirs, the parts of f stay."""
    run = run_of(rubin_teacher.BIASED)
    leaves = leaves_of(run, 3)
    mirrored = leaves | {"first": -leaves["first"], "readout": -leaves["readout"]}
    parts = [rubin_teacher.parts_of(run, one) for one in (leaves, mirrored)]
    np.testing.assert_allclose(parts[0][0], -parts[1][0])
    assert parts[0][1:] == pytest.approx(parts[1][1:])


def test_the_share_beyond_the_dip_is_that_of_a_planted_well() -> None:
    x = np.linspace(0, 3, 401)
    density = 0.95 * np.exp(-((x / 0.1) ** 2) / 2)
    density += 0.05 * np.exp(-(((x - 1) / 0.1) ** 2) / 2) / 2
    density[0] /= 2
    density /= density.sum()
    closed = posterior.close(SETTING)._replace(overlap=x, density=density)
    # Half of a Gaussian at 0 against a whole one.
    expected = 0.025 / (0.025 + 0.95 / 2)
    assert rubin_phases.apart(closed) == pytest.approx(expected, rel=1e-3)
    assert rubin_phases.phase(closed) == 1


@pytest.mark.slow
def test_levels_are_where_the_phase_changes() -> None:
    for kind in (1, 2):
        noise = rubin_phases.level(kind)
        found = [
            rubin_phases.phase(posterior.close(posterior.paper(factor * noise)))
            for factor in (1.01, 0.99)
        ]
        assert found == [kind - 1, kind]
