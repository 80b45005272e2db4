"""`grokmap hysteresis` and `grokmap transition` on sweeps of seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from grokmap.analysis import hysteresis

COMMON = """# For tests.
task = "modular_addition"
modulus = 5
learning_rate = 0.05
alpha = 0
train_fraction = 0.6
records_per_octave = 8
order_parameters_per_octave = 1
expensive_order_parameters_per_octave = 1
"""
RAMPS = f"""{COMMON}
name = "ramps"
width = 8
weight_decay = 0.1
order_parameters = []
[axes]
ramp_factor = [2, 100]
ramp_steps = [40, 80, 160]
seed = [0, 1, 2]
"""
CELLS = f"""{COMMON}
name = "cells"
n_steps = 200
order_parameters = ["snr"]
[axes]
width = [8, 12, 16]
weight_decay = "log:0.1:4:5"
seed = "range:0:8:1"
"""


@pytest.fixture
def trained(command_line: Any) -> Any:
    """The command line beside results/ramps and results/cells."""
    for name, text in (("ramps", RAMPS), ("cells", CELLS)):
        Path(f"{name}.toml").write_text(text)
        assert command_line("sweep", f"{name}.toml")[0] == 0
    return command_line


def is_drawn(file: str) -> bool:
    pixels = np.asarray(Image.open(file).convert("L"))
    return bool((pixels < 128).mean() > 0.005)


@pytest.mark.slow
def test_from_ramps_and_cells_to_a_verdict(trained: Any) -> None:
    code, out, _ = trained("hysteresis", "results/ramps", "--format", "png,csv")
    assert code == 0 and "loop area" in out
    assert is_drawn("results/ramps/figures/hysteresis.png")
    drawn = pd.read_csv("results/ramps/figures/hysteresis.csv")
    assert len(drawn) == 18 * hysteresis.POINTS
    runs = pd.read_parquet("results/ramps/hysteresis.parquet")
    assert len(runs) == 18 and runs["area"].between(0, np.log(100)).all()
    one = drawn[drawn["run_id"] == runs["run_id"][0]]
    area = np.trapezoid(abs(one["up"] - one["down"]), np.log(one["lambda"]))
    assert runs["area"][0] == pytest.approx(area)
    # By rate and family in JSON; another quantity in a file of its own.
    words = ("--quantity", "weight_norm", "--format", "png", "--json")
    facts = json.loads(trained("hysteresis", "results/ramps", *words)[1])
    assert len(facts["rates"]) == 6 and len(facts["trends"]) == 2
    assert Path(facts["file"]).name == "hysteresis-weight_norm.parquet"

    words = ("--quantity", "train_accuracy,snr", "--hysteresis", "results/ramps")
    code, out, err = trained("transition", "results/cells", *words, "--format", "png")
    assert code == 2 and "snr was not recorded" in err
    words = ("--quantity", "train_accuracy", "--hysteresis", "results/ramps")
    code, out, _ = trained("transition", "results/cells", *words, "--format", "png,csv")
    assert code == 0 and "train_accuracy, hysteresis: " in out
    assert is_drawn("results/cells/figures/transition-train_accuracy.png")
    cells = pd.read_parquet("results/cells/transition.parquet")
    own = cells[cells["quantity"] == "snr"]
    assert len(own) == 15 and set(own["width"]) == {8, 12, 16}
    facts = json.loads(
        trained("transition", "results/cells", "--format", "svg", "--json")[1]
    )
    assert facts["verdict"] and {row["quantity"] for row in facts["evidence"]} == {
        "test_accuracy"
    }
    found = pd.read_parquet("results/cells/transition-evidence.parquet")
    assert set(found["supports"]) <= {"first order", "continuous", "undecided"}
    assert set(facts["all"]) == set(found["quantity"])


@pytest.mark.slow
def test_what_cannot_be_judged_is_said_kindly(trained: Any) -> None:
    words = ("-s", "learning_rate=1000", "--out", "results/diverged")
    assert trained("sweep", "ramps.toml", *words)[0] == 0
    for words, message in (
        (("hysteresis", "results/cells"), "no ramped runs; sweep with ramp_factor"),
        (("hysteresis", "results/ramps", "--quantity", "snr"), "snr was not recorded"),
        (("hysteresis", "results/ramps", "--quantity", "snrr"), "did you mean 'snr'"),
        (("transition", "results/ramps"), "needs several widths, points of"),
        (("transition", "results/cells", "--x", "alpha"), "points of 'alpha' (--x)"),
        (("transition", "results/cells", "--quantity", "x"), "--quantity 'x'"),
        (("transition", "none"), "no such folder"),
        (("laws", "results/ramps"), "weight decay was ramped"),
        (("forecast", "results/ramps"), "weight decay was ramped"),
        (("transition", "results/cells", "--x", "seed"), "--x seed: the axis across"),
        (("hysteresis", "results/diverged"), "every ramped run diverged"),
    ):
        code, _, err = trained(*words)
        assert code == 2 and message in err and "Traceback" not in err
