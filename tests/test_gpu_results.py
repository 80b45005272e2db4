"""What `make gpu-day` says of results: against a CPU's, and in its tables."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

import grokmap
from grokmap import plan
from grokmap.engine import execute
from grokmap.engine.settings import Settings, choose_settings

BENCHMARKS = ROOT / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import gpu_kept  # noqa: E402
import gpu_smoke  # noqa: E402
from gpu_kept import read  # noqa: E402
from gpu_table import SECTIONS, fitted_shares, gpu  # noqa: E402


def small_result(path: Path, loss: float = 0.5) -> Path:
    """A result of one run with three records, the loss of the second as given."""
    (path / "trajectories").mkdir(parents=True)
    run = {"run_id": "a", "weight_decay": 0.1, "seed": 0, "phase": "grok"}
    pd.DataFrame([{**run, "t_mem": 1, "t_grok": None}]).to_parquet(
        path / "runs.parquet"
    )
    records = {"run_id": "a", "step": [0, 1, 2], "weight_norm": 2.0}
    records |= {"train_loss": [1.0, loss, 0.1], "rqi": [np.nan, 1.0, 1.0]}
    pd.DataFrame(records).to_parquet(path / "trajectories/one.parquet")
    return path


def test_results_are_compared_bit_by_bit(tmp_path: Path) -> None:
    one = small_result(tmp_path / "one")
    same = small_result(tmp_path / "same")
    other = small_result(tmp_path / "other", 0.505)
    assert gpu_smoke.difference(one, same) == {"bitwise": True, "same_labels": True}
    found = gpu_smoke.difference(one, other)
    assert not found["bitwise"] and found["first_step"] == 1
    assert found["largest"] == pytest.approx(0.005 / 0.505)
    assert found["largest_norm"] == 0


def run_row(**changes: Any) -> dict[str, Any]:
    row = {
        "weight_decay": 0.1,
        "seed": 0.0,
        "phase": "grok",
        "t_mem": 50,
        "t_grok": 400,
    }
    row |= {"early": {"1": 10.0, "64": 8.0}, "start": {"rqi": 0.01, "hessian_top": 4.0}}
    return {**row, **changes}


@pytest.mark.parametrize(
    ("changes", "agrees"),
    [
        ({"t_grok": 416, "early": {"1": 10.0, "64": 8.00004}}, True),
        ({"phase": "memorize-only"}, False),
        ({"t_grok": 424}, False),
        ({"t_grok": None}, False),
        ({"early": {"1": 10.0, "64": 8.0002}}, False),
        ({"start": {"rqi": 0.0105, "hessian_top": 4.003}}, True),
        ({"start": {"rqi": 0.012, "hessian_top": 4.0}}, False),
        ({"start": {"hessian_top": 4.01}}, False),
    ],
)
def test_what_agrees_with_the_cpu(changes: dict[str, Any], agrees: bool) -> None:
    found = gpu_smoke.against([run_row(**changes)], [run_row()])
    assert found["agrees"] is agrees
    assert found["same_labels"] == ("phase" not in changes)


def test_the_reference_is_of_the_smoke_sweep() -> None:
    rows = gpu_smoke.reference()
    runs = plan.plan_runs(plan.read_sweep(gpu_smoke.SWEEP))
    planned = {(run.run.control.weight_decay, run.run.seed) for run in runs}
    assert {(row["weight_decay"], row["seed"]) for row in rows} == planned
    assert {row["phase"] for row in rows} == {"no-learning", "memorize-only", "grok"}


@pytest.mark.slow
def test_other_sums_stay_far_inside_the_tolerances(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lanes together, with the kernel of a GPU, against the committed reference."""

    def together(*arguments: Any, **keywords: Any) -> Settings:
        card = {"together": True, "kernel": "gather_product", "lanes": 6}
        return choose_settings(*arguments, **keywords)._replace(**card)

    monkeypatch.setattr(execute, "execute", partial(execute.execute, choose=together))
    out = tmp_path / "smoke"
    grokmap.sweep(gpu_smoke.SWEEP, out=out, on_progress=lambda counts: None)
    found = gpu_smoke.against(gpu_smoke.summary(out), gpu_smoke.reference())
    assert found["agrees"] and found["times_ratio"] == 1
    assert found["early_norm"] < 1e-6 and max(found["start"].values()) < 1e-5


CASE = {"setting": "quadratic", "p": 97, "N": 256}
OTHERS = ({**CASE, "N": 512}, {**CASE, "p": 59})


def documents() -> dict[str, Any]:
    """Of a card of 50 TFLOP/s and 2 TB/s that reaches 4/5 and 1/2 of them."""
    rates, costs = [], []
    for case, flops, n_bytes in zip(
        (CASE, *OTHERS), (4e9, 1e9, 2e9), (1e8, 9e7, 1e7), strict=True
    ):
        seconds = flops / (0.8 * 50e12) + n_bytes / (0.5 * 2e12)
        way = {"kernel": "gather_product", "precision": "float32", "lanes": 64}
        own = {"run_steps_per_s": 1 / seconds, "step_s": seconds, "compile_s": 7.0}
        own["least"] = {"flops": flops / 2, "bytes": n_bytes / 10}
        rates.append({"of": {**case, **way}, "outcome": "measured", "found": own})
        step = {"flops": flops, "bytes": n_bytes, "modelled_s": seconds / 2}
        model = {"card": [50e12, 2e12], "step": step}
        costs.append({"of": {"modelled": case}, "outcome": "measured", "found": model})
    return {"rates": rates, "costs": costs}


def write_documents(folder: Path) -> None:
    rows = documents()
    rows["ceilings"] = [
        {
            "of": {"product": "float32"},
            "outcome": "measured",
            "found": {"flops_per_s": 4e13},
        },
        {
            "of": {"copy": "float32"},
            "outcome": "measured",
            "found": {"bytes_per_s": 1e12},
        },
    ]
    rows["pytorch"] = [
        {
            "of": {**CASE, "first_layer": name},
            "outcome": "measured",
            "found": {"run_steps_per_s": r},
        }
        for name, r in (("embedding", 500.0), ("one_hot", 300.0))
    ]
    for part, own in rows.items():
        gpu_kept.write(folder, {"part": part, "wanted": len(own), "rows": own})
    conditions = {"device": "H100", "n_devices": 1, "memory": 2.0**36, "python": "3.12"}
    gpu_kept.write(
        folder, {"part": "conditions", **conditions, "versions": {"jax": "0.11"}}
    )


def test_tables_of_what_was_measured(tmp_path: Path) -> None:
    write_documents(tmp_path)
    text = gpu(tmp_path)
    assert "Measured on 1 x H100 (64 GiB for jax), Python 3.12, jax 0.11" in text
    # 200 us a step: 5000 a second; 2e9 flops of 4e13, 1e7 bytes of 1e12 a second.
    way = "| quadratic | 97 | 256 | gather_product | float32 | 64 |"
    assert f"{way} 5000 | 10 | 0.25 | 0.05 | 7 |" in text
    assert "| quadratic | 97 | 256 | 4 | 95.4 | 100 | 200 | 2 |" in text
    assert "0.8 of float32, 0.5 of the bandwidth" in text
    # Where there is no file, it is said.
    assert "### Memory of a GPU\n\nNot measured.\n" in text


def test_shares_are_fitted_to_three_cases_at_least(tmp_path: Path) -> None:
    write_documents(tmp_path)
    found = {part: read(tmp_path, part) for part in SECTIONS}
    assert fitted_shares(found) == pytest.approx((0.8, 0.5))
    found["costs"]["rows"].pop()
    assert fitted_shares(found) is None


def test_the_page_says_what_is_kept() -> None:
    page = (BENCHMARKS / "README.md").read_text()
    assert page.endswith(gpu(BENCHMARKS / "results/gpu-day") + "\n")
