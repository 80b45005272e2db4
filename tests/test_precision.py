"""Precisions of matrix products: their names, and what they compute (emulated)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT, small_sweep

from grokmap import plan
from grokmap.engine import execute
from grokmap.engine.target import named_target
from grokmap.engine.train import build
from grokmap.errors import SpecError
from grokmap.spec import Control

sys.path.insert(0, str(ROOT / "benchmarks"))
import emulated
import precision as benchmark
from emulated import ALGORITHMS, emulation, relative_error

OTHERS = [name for name in plan.PRECISIONS if name != "float32"]
# What jax and XLA call them.
PRESETS = {
    "tf32": "TF32_TF32_F32",
    "tf32x3": "TF32_TF32_F32_X3",
    "bf16": "BF16_BF16_F32",
    "bf16x6": "BF16_BF16_F32_X6",
}


def products_of_a_step(name: str) -> list[str]:
    """The precision of each matrix product of a step, as traced for a GPU."""
    (run,) = plan.plan_runs(small_sweep(precision=name))
    system = run.run.system
    program = build(
        system, tile=29, max_tiles=1, kernel="gather_product", platform="gpu"
    )
    control = Control(*map(jnp.float32, run.run.control))
    lane = jax.eval_shape(program.init, control, jnp.int32(29), jnp.uint32(0))
    return re.findall(
        r"precision=(\w+|\(.*?\))", str(jax.make_jaxpr(program.step)(lane))
    )


def test_every_name_is_a_preset_of_jax() -> None:
    assert set(PRESETS) == set(OTHERS)
    for name, preset in PRESETS.items():
        assert plan.effective_precision(name, "gpu") == preset
        assert hasattr(jax.lax.DotAlgorithmPreset, preset)


@pytest.mark.parametrize("name", OTHERS)
def test_all_products_of_a_step_have_it(name: str) -> None:
    assert products_of_a_step(name) == [PRESETS[name]] * 4


def test_a_run_is_another_in_another_precision() -> None:
    sweep = small_sweep(precision=tuple(plan.PRECISIONS))
    ids = {run.run.run_id for run in plan.plan_runs(sweep)}
    assert len(ids) == len(plan.PRECISIONS) == 5
    assert plan.plan_runs(small_sweep())[0].run.run_id in ids


@pytest.mark.parametrize("name", OTHERS)
def test_a_cpu_refuses_it_and_says_the_way_out(name: str) -> None:
    planned = plan.plan_runs(small_sweep(precision=name))
    words = f"precision = '{name}': a cpu .* choose 'float32', or run on a GPU"
    with pytest.raises(SpecError, match=words):
        list(execute.execute(planned))


def test_nine_products_of_bfloat16_are_not_offered() -> None:
    with pytest.raises(SpecError, match="did you mean 'bf16x6'"):
        plan.read_sweep(ROOT / "sweeps/smoke.toml", ["precision=bf16x9"])


POWERS = np.array([1, -0.5, 2.0**60, 2.0**-60, 3, 255], np.float32)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_what_a_part_can_hold_is_kept(name: str) -> None:
    high, *lower = ALGORITHMS[name].parts(jnp.asarray(POWERS))
    np.testing.assert_array_equal(high, POWERS)
    assert all(not np.any(part) for part in lower)


def test_ties_are_rounded_as_the_card_does() -> None:
    # bfloat16 to even, TF32 away from zero; what a tensor core reads of TF32 is cut.
    one, step = np.float32(1), np.float32(2.0**-7)
    ties = jnp.asarray([one + step / 2, one + 3 * step / 2, -(one + step / 2)])
    np.testing.assert_array_equal(emulated.bf16(ties), [one, one + 2 * step, -one])
    step = np.float32(2.0**-10)
    ties = jnp.asarray([one + step / 2, -(one + step / 2), one + 0.49 * step])
    found = emulated.tf32(ties)
    np.testing.assert_array_equal(found, [one + step, -(one + step), one])
    _, low = ALGORITHMS["TF32_TF32_F32_X3"].parts(jnp.asarray([one + 2.0**-22 * 3]))
    np.testing.assert_array_equal(low, np.float32([2.0**-22 * 3]))


def numbers(n: int, seed: int = 0) -> np.ndarray:
    """float32 over many orders of magnitude."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=n) * 10.0 ** rng.uniform(-9, 9, n)).astype(np.float32)


def test_parts_add_up() -> None:
    x = numbers(10_000)
    for name, lost in {"BF16_BF16_F32_X6": 0.0, "TF32_TF32_F32_X3": 2.0**-21}.items():
        whole = sum(np.float64(part) for part in ALGORITHMS[name].parts(jnp.asarray(x)))
        off = np.abs(whole - x) / np.abs(x)
        assert off.max() <= lost, name


def test_cut_sums_are_cut() -> None:
    a, b = numbers(10_000), numbers(10_000, seed=1)
    b[::2] = a[::2] * b[::2] / np.abs(b[::2]).max()  # of all relations in size
    found = np.asarray(emulated._toward_zero(jnp.asarray(a), jnp.asarray(b)))
    exact = np.float64(a) + np.float64(b)
    near = (a + b).astype(np.float32)
    assert (np.abs(found) <= np.abs(exact)).all()
    assert (np.abs(found - near) <= np.abs(np.spacing(near))).all()
    assert 0.2 < np.mean(found != near) < 0.6


def product_error(name: str, cut: bool = False) -> float:
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=s).astype(np.float32) for s in ((300, 512), (512, 97)))
    with emulation(cut):
        found = jax.jit(partial(jnp.matmul, precision=name))(x, y)
    return relative_error([found], [np.float64(x) @ np.float64(y)])


@pytest.mark.slow
def test_errors_of_a_product() -> None:
    found = {name: product_error(name) for name in ("float32", *ALGORITHMS)}
    # Rounding of both operands, uniform within a unit, is 2^-p / sqrt(3 / 2) or so.
    assert found["BF16_BF16_F32"] == pytest.approx(2.35e-3, rel=0.02)
    assert found["TF32_TF32_F32"] == pytest.approx(2.94e-4, rel=0.02)
    assert found["TF32_TF32_F32_X3"] < 1.2 * found["float32"] < 4e-7
    assert found["BF16_BF16_F32_X6"] < found["float32"]
    assert found["BF16_BF16_F32_X9"] <= found["BF16_BF16_F32_X6"]


def test_errors_of_a_product_whose_sums_are_cut() -> None:
    for name in ("TF32_TF32_F32_X3", "BF16_BF16_F32_X6"):
        assert 1e-6 < product_error(name, cut=True) < 1e-5, name
    assert product_error("TF32_TF32_F32", cut=True) < 3e-4


def test_infinity_stays_infinite() -> None:
    # Its lower part is not a number, and is left out.
    x, y = jnp.asarray([[jnp.inf, 1.0]]), jnp.asarray([[2.0], [3.0]])
    with emulation():
        for name in ALGORITHMS:
            assert np.isposinf(jax.jit(partial(jnp.matmul, precision=name))(x, y)), name


def test_the_emulation_leaves_nothing_behind() -> None:
    x, y = (numbers(64, seed).reshape(8, 8) for seed in (0, 1))
    product = jax.jit(partial(jnp.matmul, precision="TF32_TF32_F32_X3"))
    with emulation():
        assert product(x, y).shape == (8, 8)
    with pytest.raises(ValueError, match="not supported by dot_general on CPU"):
        product(x, y)


@pytest.mark.slow
def test_the_exact_gradient_is_that_of_the_program() -> None:
    start = benchmark.networks()["start"]
    exact = benchmark.exact_gradient(start)
    found = benchmark.gradient(start, "float32")
    assert relative_error(found, exact) < 1e-6


def compiler_for_cards() -> bool:
    try:
        named_target("h100")
    except SpecError:
        return False
    return True


# Prints what a product of this precision is computed with on a card that is not here.
KERNEL = """
import sys, jax, jax.numpy as jnp
from jax.sharding import SingleDeviceSharding
from grokmap.engine.target import named_target
place = SingleDeviceSharding(named_target("h100").devices[0])
x = jax.ShapeDtypeStruct((512, 512), jnp.float32, sharding=place)
compiled = jax.jit(lambda x, y: jnp.matmul(x, y, precision=sys.argv[1])).lower(x, x)
compiled.compile()
"""


@pytest.mark.slow
@pytest.mark.skipif(not compiler_for_cards(), reason="jax compiles for no card here")
def test_a_cards_kernels_are_what_their_name_says(tmp_path: Path) -> None:
    counts = {}
    for preset in (*PRESETS.values(), "BF16_BF16_F32_X9"):
        dump = tmp_path / preset
        environment = {**os.environ, "XLA_FLAGS": f"--xla_dump_to={dump}"}
        words = [sys.executable, "-c", KERNEL, preset]
        subprocess.run(words, check=True, cwd=ROOT, env=environment)
        text = "".join(path.read_text() for path in dump.glob("*.ptx"))
        kinds = re.findall(r"mma\.\S*\.(tf32|bf16)\.f32", text)
        assert len(set(kinds)) == 1, preset
        counts[preset] = (kinds[0], len(kinds))
    tf32, bf16 = counts["TF32_TF32_F32"][1], counts["BF16_BF16_F32"][1]
    assert counts["TF32_TF32_F32_X3"] == ("tf32", 3 * tf32)
    assert counts["BF16_BF16_F32_X6"] == ("bf16", 6 * bf16)
    # Why `bf16x9` is not offered. Where this fails, it can be.
    assert counts["BF16_BF16_F32_X9"][0] == "tf32"


@pytest.mark.slow
def test_a_plane_in_three_products_of_tf32_is_that_of_float32() -> None:
    """A corner of what benchmarks/precision.py compares."""
    places = ("alpha=0,0.4", "weight_decay=0.01,0.03,0.3", "order_parameters=[]")
    small = ("modulus=17", "width=64", "max_steps=2000")
    plane = benchmark.Plane(benchmark.QUICKSTART, (*places, *small), n_seeds=1)
    reference = benchmark.trained(plane, benchmark.REFERENCE)
    assert reference["phase"].nunique() >= 2
    for name in ("tf32x3", "tf32"):
        runs = benchmark.trained(plane, benchmark.Variant(name))
        found = benchmark.compared(runs, reference, plane.n_seeds)
        assert found["other_label"] == 0 and found["grokked"] >= 2, name
        low, _, high = found["ratio"]
        assert 0.95 < low <= high < 1.05, name
