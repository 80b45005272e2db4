"""Tangent kernels recorded along runs: what they are, and that they survive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import SMALL

import grokmap
from grokmap.arrays import Floats
from grokmap.errors import SpecError
from grokmap.plan import read_sweep
from grokmap.spec.kernels import is_kernel_column

M = 6
RECORDED = {**SMALL, "kernel_examples": M}


def trained(folder: Path, **changes: Any) -> grokmap.Result:
    return grokmap.sweep({**RECORDED, **changes}, out=folder)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> grokmap.Result:
    """One run of the quadratic network, p = 7 and N = 16, 100 steps."""
    return trained(tmp_path_factory.mktemp("kernels") / "r")


def kernel_of(weights: dict[str, Any], pairs: Any, modulus: int) -> Floats:
    """Of alpha = 0 and quadratic neurons, by the gradients of f themselves."""
    first, readout = (weights[k].astype(np.float64) for k in ("first", "readout"))
    n = first.shape[1]
    seen = np.zeros((len(pairs), len(first)))
    for row, (a, b) in enumerate(pairs):
        seen[row, [a, modulus + b]] = 1
    h = seen @ first
    of_readout = len(readout) * (h**2) @ (h**2).T
    # df_c(x) / dw_ij = readout_cj 2 h_j(x) x_i / n
    slope = np.einsum("cj,xj,xi->cijx", readout, 2 * h, seen)
    flat = slope.reshape(-1, len(pairs))
    return np.asarray((of_readout + flat.T @ flat) / n**2)


def test_they_are_those_of_the_saved_weights(result: grokmap.Result) -> None:
    (run_id,) = result.plan["run_id"]
    grokmap.save_weights(result, run_id, at=[0, "end"])
    kernels = result.kernels(run_id)
    assert kernels.steps.tolist() == [0, 32, 64, 96, 100]
    assert kernels.values.shape == (5, M, M)
    for step, place in ((0, 0), (100, 4)):
        network = result.network(run_id, at=step)
        pairs = network.inputs[kernels.examples]
        expected = kernel_of(result.weights(run_id, at=step), pairs, 7)
        np.testing.assert_allclose(kernels.values[place], expected, rtol=1e-5)
    moved = kernels.values[-1] - kernels.values[0]
    assert np.linalg.norm(moved) > 0.1 * np.linalg.norm(kernels.values[0])


def test_they_are_no_quantities(result: grokmap.Result) -> None:
    runs, records = result.runs, result.records()
    assert "final_test_loss" in runs and "test_loss" in records
    for names in (runs.columns, records.columns, result.quantities):
        assert not [n for n in names if "tangent_kernel" in n]
    written = list((result.path / "trajectories").glob("*.parquet"))
    columns = pq.read_schema(written[0]).names
    assert sum(map(is_kernel_column, columns)) == M * (M + 1) // 2


@pytest.mark.slow
def test_a_run_that_goes_on_keeps_them(result: grokmap.Result, tmp_path: Path) -> None:
    short = trained(tmp_path / "s", n_steps=70)
    (before,) = short.plan["run_id"]
    first = short.kernels(before)
    longer = grokmap.sweep(short.path, {"n_steps": 100}, extend=True)
    (run_id,) = longer.plan["run_id"]
    kernels, whole = longer.kernels(run_id), result.kernels(run_id)
    assert run_id == before
    assert first.steps.tolist() == [0, 32, 64, 70]
    np.testing.assert_array_equal(kernels.steps, whole.steps)
    np.testing.assert_array_equal(kernels.values, whole.values)
    np.testing.assert_array_equal(first.values[:3], whole.values[:3])


@pytest.mark.slow
def test_shards_bring_them_together(result: grokmap.Result, tmp_path: Path) -> None:
    seeds = {"axes": {"seed": [0, 1]}}
    for k in (1, 2):
        grokmap.sweep({**RECORDED, **seeds}, out=tmp_path / "m", shard=f"{k}/2")
    grokmap.merge(tmp_path / "m")
    merged = grokmap.open(tmp_path / "m")
    (run_id,) = result.plan["run_id"]
    for other in merged.plan["run_id"]:
        assert merged.kernels(other).values.shape == (5, M, M)
    np.testing.assert_array_equal(
        merged.kernels(run_id).values, result.kernels(run_id).values
    )


@pytest.mark.slow
def test_they_change_nothing_else(result: grokmap.Result, tmp_path: Path) -> None:
    other = trained(tmp_path / "plain", kernel_examples=0)
    np.testing.assert_allclose(
        other.records()["test_loss"], result.records()["test_loss"], rtol=1e-5
    )
    # Another run, by what is recorded; one without kernels has the id it always had.
    plain = read_sweep({k: v for k, v in RECORDED.items() if k != "kernel_examples"})
    assert other.spec == grokmap.open(other.path).spec
    assert set(other.plan["run_id"]).isdisjoint(result.plan["run_id"])
    assert "kernel_examples" not in plain.resolved()
    with pytest.raises(SpecError, match="records no tangent kernels.*kernel_examples"):
        other.kernels(other.plan["run_id"][0])


def test_more_examples_than_there_are_is_an_error() -> None:
    with pytest.raises(SpecError, match="kernel_examples = 40: more than the 25"):
        read_sweep(
            {**RECORDED, "kernel_examples": 40, "modulus": 5, "train_fraction": 0.5}
        )
    with pytest.raises(SpecError, match="kernel_examples.*40"):
        read_sweep({**RECORDED, "kernel_examples": 41})
