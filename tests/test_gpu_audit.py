"""The short form of `make gpu-audit`: what shipped sweeps compile to, counted.

For an H100 where jax's compiler for it is installed (extra `gpu`), else by the compiler
of this machine, with the lanes, kernels and groups of a GPU.
"""

from __future__ import annotations

import sys
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT, small_sweep
from test_target import NO_COMPILER

from grokmap import plan
from grokmap.engine import compiled
from grokmap.engine.settings import choose_settings
from grokmap.engine.target import local_target, named_target

sys.path.insert(0, str(ROOT / "benchmarks"))
import gpu_audit  # noqa: E402
import gpu_designs  # noqa: E402


def a_card() -> Any:
    if NO_COMPILER:
        return local_target()._replace(platform="gpu")
    return named_target("h100")


@pytest.mark.slow
def test_a_shipped_sweep_takes_the_products_and_the_memory_that_it_needs() -> None:
    row = gpu_audit.row(ROOT / "sweeps/smoke.toml", a_card())
    # 10 n N p where 6 are needed, and what is elementwise: more beside few classes.
    assert 10 / 6 < row["flops_over_needed"] < 2
    assert not row["scatters_floats"]
    n, width = row["n_train"], 64
    assert row["bytes"] > 4 * 4 * n * width
    assert row["lanes_that_fit"] > row["lanes"] > 1
    assert 0 < row["record_share"] < 1 and row["step_seconds"] > 0


def test_needed_are_the_products_of_the_readout() -> None:
    sweep = small_sweep(modulus=11, width=20, train_fraction=0.5)
    runs = plan.plan_runs(sweep)
    flops = gpu_audit.needed(runs[0].run.system, runs)
    assert flops == 6 * runs[0].n_train * 20 * 11


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("  %s = f32[64,46,128]{2,1,0} scatter(%a, %b, %c), to_apply=%add", True),
        ("  %s = s32[23,23]{1,0} scatter(%a, %b, %c), to_apply=%set", False),
        ("  %s = f32[64,46,128]{2,1,0} fusion(%scatter.1), kind=kLoop", False),
    ],
)
def test_a_scatter_of_floats_is_told(line: str, found: bool) -> None:
    assert gpu_audit.scatters_floats(f"HloModule x\n{line}\n") is found


@pytest.mark.parametrize("design", gpu_designs.DESIGNS)
def test_designs_sum_the_same_gradient(
    design: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    p, width = 5, 3
    monkeypatch.setattr(gpu_designs, "P", p)
    rng = np.random.default_rng(0)
    places = rng.permutation(p * p)[:17]
    a, b = places // p, places % p
    table = np.full((p, p), 17)
    table[a, b] = np.arange(17)
    first, readout = rng.normal(size=(2 * p, width)), rng.normal(size=(p, width))
    error, h = rng.normal(size=(17, p)), first[a] + first[p + b]
    slope = error @ readout * 2 * h
    expected = np.zeros_like(first)
    np.add.at(expected, a, slope)
    np.add.at(expected, p + b, slope)
    step = gpu_designs.Step(*map(jnp.float32, (first, readout, h, slope, error)))
    batch = gpu_designs.Batch(*map(jnp.asarray, (a, b, table)))
    found = gpu_designs.DESIGNS[design](batch, step)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(bool(NO_COMPILER), reason=NO_COMPILER)
def test_eight_cards_share_the_lanes_and_nothing_else() -> None:
    runs = plan.plan_runs(small_sweep(seed=tuple(range(32))))
    target = named_target("h100", n_devices=8)
    system = runs[0].run.system
    settings = choose_settings(system, runs, target=target)
    assert settings.lanes == 32 and settings.of_device == 4
    made = compiled.compile_system(system, settings)
    text = made.chunk.as_text() + made.refill.as_text()
    for word in ("all-reduce", "all-gather", "all-to-all", "collective", "send("):
        assert word not in text, word
    # Each card holds its own four lanes.
    assert "f32[4,14,16]" in text and "f32[32,14,16]" not in text
