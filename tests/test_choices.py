"""Choices as axes: optimizers, tasks and the like, swept as numbers are."""

from __future__ import annotations

import json
import shlex
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest

from grokmap import store
from grokmap.errors import SpecError
from grokmap.order_parameters import ORDER_PARAMETERS
from grokmap.plan import (
    count_runs,
    expand,
    plan_runs,
    plan_table,
    read_sweep,
    run_at,
    sweep_schema,
)
from grokmap.result import again
from grokmap.spec.overrides import override

TEXT = """
name = "two"
task = "modular_addition"
modulus = 5
width = 8
n_steps = 40
alpha = 0
weight_decay = 0.01
learning_rate = 0.05
train_fraction = 0.6
order_parameters = ["snr"]
"""
OPTIMIZERS = TEXT + '[axes]\noptimizer = ["gd", "adamw"]\nseed = [0, 1]\n'
TASKS = """
name = "tasks"
n_steps = 40
alpha = 0
weight_decay = 0
learning_rate = 0.05
train_fraction = 0.6
modulus = 5
width = 8
model = "mlp"
depth = 1
activation = "tanh"
n_inputs = 6
n_examples = 60
[axes]
task = ["modular_addition", "xor"]
"""


def ids(text: Any, *overrides: str) -> list[str]:
    return [run.run_id for run in expand(read_sweep(text, overrides))]


def table_of(text: str, *overrides: str) -> pd.DataFrame:
    sweep = read_sweep(text, overrides)
    return plan_table(plan_runs(sweep), sweep)


def test_a_swept_choice_has_the_runs_of_each_of_its_values() -> None:
    sweep = read_sweep(OPTIMIZERS)
    assert sweep.swept == ("optimizer", "seed")
    assert sweep.optimizer == ("gd", "adamw") and sweep.loss == "mse"
    each = ids(OPTIMIZERS, "optimizer=gd"), ids(OPTIMIZERS, "optimizer=adamw")
    assert ids(OPTIMIZERS) == each[0] + each[1]
    assert count_runs(sweep) == len(set(ids(OPTIMIZERS))) == 4
    for written in ("gd,adamw", "[gd,adamw]", "['gd', 'adamw']", " gd , adamw "):
        assert ids(TEXT, f"optimizer={written}", "seed=0,1") == ids(OPTIMIZERS)
    in_text = OPTIMIZERS.replace('["gd", "adamw"]', '"gd, adamw"')
    assert read_sweep(in_text) == sweep
    assert read_sweep(OPTIMIZERS.replace(', "adamw"', "")).optimizer == "gd"


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("activation", ["quadratic", "relu"]),
        ("alpha_convention", ["laziness", "literal"]),
        ("bias", [False, True]),
        ("center", [True, False]),
        ("loss", ["mse", "cross_entropy"]),
        ("model", ["two_layer", "mlp"]),
        ("parameterization", ["convention", "mup"]),
        ("perp_grad", [False, True]),
        ("precision", ["float32", "bf16"]),
    ],
)
def test_every_choice_may_be_swept(key: str, values: list[Any]) -> None:
    text = TEXT + f"depth = 1\n[axes]\n{key} = {json.dumps(values)}\n"
    text = text if key == "model" else text.replace("depth = 1\n", "")
    sweep = read_sweep(text)
    runs = list(expand(sweep))
    assert [getattr(run.system, key) for run in runs] == values
    assert plan_table(plan_runs(sweep), sweep)[key].tolist() == values
    assert ids(text, f"{key}={','.join(map(str, values))}") == ids(text)


def test_a_control_multiplies_only_the_runs_that_read_it() -> None:
    text = OPTIMIZERS + "momentum = [0, 0.5, 0.9]\nbeta1 = [0.8, 0.9]\n"
    table = table_of(text)
    by = table.groupby("optimizer")
    assert by.size().to_dict() == {"adamw": 2 * 2, "gd": 3 * 2}
    assert count_runs(read_sweep(text)) == len(table) == 10
    read = by[["momentum", "beta1", "beta2"]].count()
    assert read.loc["gd"].tolist() == [6, 0, 0]
    assert read.loc["adamw"].tolist() == [0, 4, 4]
    gd = table[table["optimizer"] == "gd"]
    assert gd["momentum"].value_counts().to_dict() == {0.0: 2, 0.5: 2, 0.9: 2}
    assert set(gd["run_id"]) == set(
        ids(OPTIMIZERS, "optimizer=gd", "momentum=0,0.5,0.9")
    )


def test_each_task_has_its_own_sizes_and_order_parameters() -> None:
    sweep = read_sweep(TASKS, ["modulus=5,7"])
    systems = [run.system for run in expand(sweep)]
    assert [(s.task, s.modulus, s.n_inputs) for s in systems] == [
        ("modular_addition", 5, 0),
        ("modular_addition", 7, 0),
        ("xor", 0, 6),
    ]
    for system in systems:
        alone = TASKS.replace('["modular_addition", "xor"]', f'"{system.task}"')
        unread = "modulus = 5\n" if system.task == "xor" else "n_inputs = 6\n"
        alone = alone.replace(unread, "")
        if system.task != "xor":
            alone = alone.replace("n_examples = 60\n", "")
        default = read_sweep(alone).order_parameters
        assert system.order_parameters == default
    assert "rqi" in systems[0].order_parameters
    assert "rqi" not in systems[2].order_parameters
    assert ORDER_PARAMETERS["rqi"].tasks is not None


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        (OPTIMIZERS, ["optimizer=gd,gd"], "optimizer = .*'gd' is given twice"),
        (OPTIMIZERS, ["optimizer=gd,adamx"], "unknown optimizer 'adamx'; did you mean"),
        (OPTIMIZERS, ["center=yes,maybe"], "center = 'yes,maybe': should be true or"),
        (OPTIMIZERS, ["optimizer=[]"], "optimizer"),
        (TEXT + 'loss = ["mse", "stablemax"]', [], "several values; put it under"),
        (TEXT + 'loss = "mse,stablemax"', [], "several values; put it under"),
        (
            OPTIMIZERS,
            ["beta1=0.8,0.9", "optimizer=gd,langevin"],
            "beta1: ignored by optimizer 'gd', 'langevin'",
        ),
        (
            OPTIMIZERS,
            ["loss=mse,cross_entropy,logistic"],
            r"loss = 'logistic': not defined for task 'modular_addition'.* "
            r"\(with loss = 'logistic', optimizer = 'gd' and 1 more combination\)$",
        ),
        (
            OPTIMIZERS,
            ["optimizer=gd,muon"],
            r"'muon': model 'two_layer' has no matrix.*\(with optimizer = 'muon'\)$",
        ),
        (
            OPTIMIZERS,
            ["model=two_layer,mlp"],
            r"missing key 'depth' \(with model = 'mlp', optimizer = 'gd' and 1 more",
        ),
        (
            OPTIMIZERS,
            ["alpha_convention=laziness,output_scale"],
            "alpha = 0.0: above 0 under convention 'output_scale'",
        ),
        (OPTIMIZERS, ["learning_rate=auto"], '"auto": one number for all runs'),
        (TASKS, ["n_relevant=2"], "n_relevant: ignored by task 'modular_addition', "),
        (TASKS, ["batch_size=50"], "batch_size = 50: more than modulus = 5"),
    ],
)
def test_what_is_wrong_is_told_with_the_combination(
    text: str, overrides: list[str], message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        read_sweep(text, overrides)
    lines = [line.removeprefix("sweep: ") for line in caught.value.problems]
    assert len(lines) == 1 and pd.Series(lines).str.contains(message).all(), lines


def test_too_many_combinations_are_refused() -> None:
    wide = [
        f"{key}={','.join(sweep_schema()['properties'][key]['enum'])}"
        for key in ("task", "model", "activation", "loss")
    ]
    with pytest.raises(SpecError, match="combinations of choices; at most 1000"):
        read_sweep(TASKS, wide)


def test_a_sweep_of_choices_reads_back_from_its_resolved_document() -> None:
    for text in (OPTIMIZERS, TASKS, TEXT + "[axes]\nbias = [true, false]\n"):
        sweep = read_sweep(text)
        assert type(sweep).from_resolved(sweep.resolved()) == sweep
        assert list(sweep.resolved()["axes"]) == list(sweep.swept)


def test_the_schema_takes_what_the_reader_takes() -> None:
    validator = jsonschema.Draft202012Validator(sweep_schema())
    for text in (OPTIMIZERS, TASKS, TEXT + "[axes]\nbias = [true, false]\n"):
        validator.validate(tomllib.loads(text))
        validator.validate(tomllib.loads(text.replace('["gd", "adamw"]', '"gd,lion"')))
    for wrong in ('optimizer = ["gd", "sgd"]', 'optimizer = "sgd"', "bias = [1]"):
        assert not validator.is_valid(tomllib.loads(TEXT + "[axes]\n" + wrong))
    assert not validator.is_valid(tomllib.loads(TEXT + 'optimizer = ["gd", "lion"]'))


def test_a_run_stands_anywhere_on_axes_and_choices() -> None:
    sweep = read_sweep(OPTIMIZERS + "momentum = [0, 0.5]\n")
    runs = {run.run_id: run for run in expand(sweep)}
    for run in runs.values():
        place = {"optimizer": run.system.optimizer, "seed": run.seed}
        place["momentum"] = run.control.momentum
        assert run_at(sweep, place) == run
    # What its optimizer does not read changes no run.
    adamw = {"optimizer": "adamw", "seed": 1}
    assert run_at(sweep, {**adamw, "momentum": 0.5}).run_id in runs


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("optimizer", "adamw", "optimizer=adamw"),
        ("center", True, "center=True"),
        ("weight_decay", np.float64(1e-5), "weight_decay=1e-05"),
        ("seed", np.int64(3), "seed=3"),
        ("task", "a b", "'task='\"'\"'a b'\"'\"''"),
    ],
)
def test_a_setting_is_quoted_only_where_it_has_to_be(
    key: str, value: Any, word: str
) -> None:
    assert again.setting(key, value) == f"-s {word}"
    given: dict[str, Any] = {}
    override(given, [shlex.split(word)[0]], [])
    assert given[key] in (value, [value])


@pytest.fixture
def grokmap(command_line: Any) -> Any:
    Path("two.toml").write_text(OPTIMIZERS)
    Path("tasks.toml").write_text(TASKS)
    return command_line


@pytest.mark.slow
def test_two_optimizers_are_trained_grown_shown_and_made_again(grokmap: Any) -> None:
    code, out, _ = grokmap("sweep", "two.toml", "-s", "optimizer=gd")
    assert code == 0 and "2 of 2 runs" in out
    before = {p.name for p in Path("results/two/trajectories").iterdir()}
    code, out, _ = grokmap("sweep", "two.toml", "-s", "beta1=0.7,0.8")
    assert code == 0 and "6 of 6 runs" in out
    assert before < {p.name for p in Path("results/two/trajectories").iterdir()}
    runs = pd.read_parquet("results/two/runs.parquet")
    assert set(runs["run_id"]) == set(ids(OPTIMIZERS, "beta1=0.7,0.8"))
    assert runs.groupby("optimizer")["beta1"].count().to_dict() == {"adamw": 4, "gd": 0}
    status = json.loads(grokmap("status", "results/two", "--json")[1])
    assert (status["planned"], status["done"]) == (6, 6)

    place = "optimizer=adamw,beta1=0.8"
    code, out, err = grokmap("show", "results/two", place, "--json")
    assert code == 0 and "optimizer adamw, beta1 0.8, seed 0" in err
    shown = json.loads(out)
    facts = [shown[key] for key in ("optimizer", "beta1", "momentum")]
    assert facts == ["adamw", 0.8, None]
    code, _, err = grokmap("show", "results/two", "optimizer=lion")
    assert code == 2 and "no run here with optimizer 'lion'" in err

    # Removing a choice is refused; the folder names what is gone.
    code, _, err = grokmap("sweep", "two.toml", "-s", "optimizer=adamw")
    assert code == 4 and "optimizer had gd, which is gone" in err

    for place in ("optimizer=gd,seed=1", "optimizer=adamw,beta1=0.7"):
        out = grokmap("show", "results/two", place, "--reproduce")[1]
        words = shlex.split(out)
        assert grokmap(*words[1:])[0] == 0
        again = words[words.index("--out") + 1]
        shown = json.loads(grokmap("show", "results/two", place, "--json")[1])
        run_id = shown["run_id"]
        one, other = (
            store.read_trajectories(Path(path), None, [run_id])[0]
            for path in ("results/two", again)
        )
        pd.testing.assert_frame_equal(one, other)


@pytest.mark.slow
def test_two_tasks_are_trained_in_one_folder(grokmap: Any) -> None:
    code, out, _ = grokmap("sweep", "tasks.toml", "--dry-run", "--json")
    planned = json.loads(out)
    assert code == 0 and planned["axes"] == {"task": ["modular_addition", "xor"]}
    assert (planned["runs"], planned["compiles"]) == (2, 2)
    assert "modular_addition, xor" in grokmap("sweep", "tasks.toml", "--dry-run")[1]
    assert grokmap("sweep", "tasks.toml")[0] == 0
    assert grokmap("sweep", "results/tasks")[0] == 0
    runs = pd.read_parquet("results/tasks/runs.parquet").set_index("task")
    assert runs["modulus"].to_dict() == {"modular_addition": 5, "xor": 0}
    finals = runs["final_rqi"].notna().to_dict()
    assert finals == {"modular_addition": True, "xor": False}
    out = grokmap("show", "results/tasks", "task=xor", "--reproduce")[1]
    assert "modulus" not in out
    assert grokmap(*shlex.split(out)[1:])[0] == 0
    again = shlex.split(out)[-1]
    assert runs.loc["xor", "run_id"] == store.read_plan(Path(again))["run_id"].item()
    assert grokmap("verify", "results/tasks")[0] == 0
