"""Comparisons with kernels and times of finite width, on made-up tables."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest

from grokmap.arrays import Floats
from grokmap.order_parameters.kernels import centred_alignment
from grokmap.reproduce import finite_width, grok_time
from grokmap.reproduce.finding import Finding
from grokmap.reproduce.trained import Trained
from grokmap.spec.kernels import Kernels
from grokmap.theory.finite_width import SIGMAS, kernel_table

SEEDS = 40


def made(runs: list[dict[str, Any]], values: list[Floats], steps: list[int]) -> Trained:
    """Runs with kernels [r, m, m] between the first m pairs of a + b mod 11, spread."""
    table = pd.DataFrame(runs)
    table["run_id"] = [str(i) for i in range(len(runs))]
    examples = np.arange(values[0].shape[-1]) * 17
    kernels = {
        str(i): Kernels(np.array(steps), examples, value)
        for i, value in enumerate(values)
    }
    return Trained(table, pd.DataFrame(), kernels=lambda: kernels)


# ---- kernels at initialisation


def fresh(power: float, shift: float = 0.0) -> Trained:
    """Gaussian kernels of the predicted mean, a variance as N^-power, N = 16 to 256."""
    rng = np.random.default_rng(0)
    runs, values = [], []
    examples = np.arange(4) * 17
    pairs = np.stack(np.divmod(examples, 11), axis=1)
    gram = finite_width.shared_tokens(pairs)
    for name in finite_width.SIGMA_NAMES:
        mean, variance = kernel_table(SIGMAS[name], gram, 11)
        for width in (16, 64, 256):
            for seed in range(SEEDS):
                noise = rng.standard_normal((4, 4)) * np.sqrt(variance / width**power)
                noise = np.triu(noise) + np.triu(noise, 1).T
                runs.append({"activation": name, "width": width, "seed": seed})
                values.append((mean * (1 + shift) + noise)[None])
    for run in runs:
        run["alpha"] = 0.5
    return made(runs, values, [0])


def deep() -> Trained:
    """Kernels that are those of the expansion, but for a relative noise of 1%."""
    rng = np.random.default_rng(1)
    runs, values = [], []
    pairs = np.stack(np.divmod(np.arange(4) * 17, 11), axis=1)
    for name in finite_width.DEEP_NAMES:
        leading, correction = finite_width.deep_tables(name, pairs)
        for seed in range(SEEDS):
            noise = 1 + 0.01 * rng.standard_normal((4, 4))
            runs.append({"activation": name, "width": 16, "seed": seed, "alpha": 0.5})
            values.append(((leading + correction / 16) * noise)[None])
    return made(runs, values, [0])


def test_kernels_as_predicted_are_found() -> None:
    findings = finite_width.kernel_variance(
        {"kernel-variance": fresh(1.0), "kernel-mean-depth": deep()}
    )
    assert len(findings) == 4 * 3 + 3 * 2
    assert all(f.holds for f in findings)


def test_another_exponent_and_another_mean_are_missed() -> None:
    sweeps = {"kernel-variance": fresh(0.6, shift=0.3), "kernel-mean-depth": deep()}
    for finding in finite_width.kernel_variance(sweeps)[:12]:
        assert not finding.holds
        if finding.quantity.startswith("d ln"):
            assert float(finding.measured) == pytest.approx(-0.6, abs=0.08)


# ---- kernels in training


def test_turns_are_the_order_parameter() -> None:
    one, two = (x @ x.T for x in np.random.default_rng(2).standard_normal((2, 8, 20)))
    with jax.enable_x64(True):
        expected = 1 - centred_alignment(one, two)
    assert finite_width.turns(one, two) == pytest.approx(float(expected))
    # Of a kernel that only grows there is none, and of a small one all digits.
    assert finite_width.turns(one, 3 * one) == pytest.approx(0, abs=1e-15)
    small = finite_width.turns(one, one + 1e-6 * two)
    assert small == pytest.approx(
        1e-4 * finite_width.turns(one, one + 1e-4 * two), rel=1e-2
    )


def moving(slower: float = 1.0) -> Trained:
    """K_t = K_0 + N^-2a A (half of it by step 16, and no turn) + N^(-1/2 - a) noise."""
    rng = np.random.default_rng(3)
    start = np.eye(5) + 1.0
    turn = rng.standard_normal((5, 5))
    turn = turn + turn.T
    runs, values, motions = [], [], []
    for alpha in finite_width.ALPHAS:
        for width in (512, 1024, 2048, 4096):
            for seed in range(12):
                speed = width ** (2 * alpha - 1.0)
                noise = rng.standard_normal((5, 5)) * width ** (-0.5 - alpha) / 20
                lazy = width ** (-2 * alpha * slower)
                early = start * (1 + 0.05 * lazy) + noise + noise.T
                late = start + 0.5 * lazy * (start + 0.2 * turn) + noise + noise.T
                runs.append({"alpha": alpha, "width": width, "seed": seed})
                values.append(np.stack([start, early, late]) * speed)
                motions.append(width ** (-alpha * slower))
    trained = made(runs, values, [0, finite_width.EARLY, finite_width.LATE])
    ids = trained.runs["run_id"]
    records = pd.DataFrame({"run_id": ids, "step": finite_width.LATE})
    return trained._replace(trajectories=records.assign(weight_motion=motions))


def test_exponents_of_motion_as_derived_are_found() -> None:
    findings = finite_width.drift_width({"kernel-drift-width": moving()})
    assert len(findings) == 12
    assert all(f.holds for f in findings)


@pytest.mark.slow
def test_networks_that_are_less_lazy_are_missed() -> None:
    findings = finite_width.drift_width({"kernel-drift-width": moving(slower=0.5)})
    missed = [f for f in findings if not f.holds]
    assert {"weights", "tangent kernel"} <= {
        f.quantity.split("the ")[1].split(",")[0] for f in missed
    }
    assert not [f for f in missed if "alpha = 0," in f.quantity]


# ---- times


def table(factor: Any, noise: float = 0.01) -> Trained:
    """Times 1000 / lambda factor(N, lambda), of 12 seeds; N = 16 misses one of them."""
    rng = np.random.default_rng(4)
    rows = []
    for alpha in (0.0, 0.125):
        for width in (16, 32, 64, 128, 256, 512, 1024):
            for decay in (0.005, 0.01, 0.02):
                for seed in range(12):
                    t = 10 / decay * factor(width, decay)
                    t *= np.exp(noise * rng.standard_normal())
                    lost = width == 16 and seed == 3
                    rows.append((alpha, width, decay, seed, t, np.nan if lost else t))
    names = ["alpha", "width", "weight_decay", "seed", "t_mem", "t_grok"]
    runs = pd.DataFrame(rows, columns=names)
    return Trained(runs.assign(decay_rate=runs["weight_decay"]), pd.DataFrame())


def found(factor: Any) -> tuple[dict[str, Finding], dict[str, float]]:
    """Findings of t_grok in decay times at alpha = 0: c, whether one serves all decays,
    what it predicts; and predicted over measured times by form."""
    trained = table(factor)
    findings = [
        f
        for f in grok_time.compare({grok_time.SWEEP: trained})
        if "decay times, alpha = 0" in f.quantity and "0.125" not in f.quantity
    ]
    c, ahead, each = findings
    runs = trained.runs[trained.runs["alpha"] == 0]
    by_form = grok_time.ahead(grok_time.times(runs, "t_grok r"))
    ratios = {name: one.ratio for name, one in by_form.items()}
    return {"c": c, "ahead": ahead, "each": each}, ratios


def fits(ratio: float) -> bool:
    return abs(ratio - 1) < 0.01


def test_the_surveys_form_is_found_where_it_holds() -> None:
    by, ratios = found(lambda n, decay: 1 + 20 / n)
    assert by["c"].holds and float(by["c"].measured) == pytest.approx(20, rel=0.05)
    assert "N = 32 to 1024" in by["c"].quantity  # not of those that were fast alone
    assert by["ahead"].holds and by["each"].holds
    assert [name for name, ratio in ratios.items() if fits(ratio)] == ["1/N"]


@pytest.mark.slow
def test_another_form_is_told() -> None:
    by, ratios = found(lambda n, decay: 1 + 7 / np.sqrt(n))
    assert by["c"].holds and not by["ahead"].holds  # of the sign and of the form
    assert [name for name, ratio in ratios.items() if fits(ratio)] == ["1/sqrt N"]


@pytest.mark.slow
def test_another_sign_and_a_c_of_the_decay_are_told() -> None:
    by, _ = found(lambda n, decay: 1 - 600 * decay / n)
    assert not by["c"].holds and not by["each"].holds


def test_no_form_is_told_from_a_power() -> None:
    runs = table(lambda n, decay: n**-0.4).runs
    found = grok_time.times(runs[runs["alpha"] == 0], "t_mem")
    ratios = {name: one.ratio for name, one in grok_time.ahead(found).items()}
    assert [name for name, ratio in ratios.items() if fits(ratio)] == ["power"]
    (b,) = grok_time.fit(
        grok_time.FORMS["power"], found.widths, grok_time.means(found)[:1]
    ).c
    assert b == pytest.approx(0.4, abs=0.01)
