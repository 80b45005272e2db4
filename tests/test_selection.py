"""A run is named by its coordinates: the nearest on each axis, and said which."""

from __future__ import annotations

import itertools
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from grokmap import store
from grokmap.result.selection import FORM, nearest_run, read_place

RESULT = str(ROOT / "results/quickstart-reference")
ALPHAS, LAMBDAS, SEEDS = (0.0, 0.2, 0.4), (1e-4, 1e-3, 1e-2, 1e-1, 1.0), (3, 5)


def grid() -> pd.DataFrame:
    """A plan of 30 runs, in no order; momentum is not read, width fixed."""
    points = list(itertools.product(ALPHAS, LAMBDAS, SEEDS))
    plan = pd.DataFrame(points, columns=["alpha", "weight_decay", "seed"])
    plan = plan.assign(width=64, depth=0, momentum=np.nan)
    plan.insert(0, "run_id", [f"run{i}" for i in range(len(plan))])
    return plan.sample(frac=1, random_state=0)


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("alpha=0.2,weight_decay=0.01", (0.2, 0.01, 3)),
        (" weight_decay = 1e-2 , alpha = .29 ", (0.2, 0.01, 3)),
        # 0.02 is nearer to 0.001 than to 0.1 linearly, but log 0.04 is nearer to 0.1.
        ("weight_decay=0.04", (0.0, 0.1, 3)),
        ("weight_decay=0.03", (0.0, 0.01, 3)),
        ("seed=5", (0.0, 1e-4, 5)),
        ("seed=9,alpha=-7", (0.0, 1e-4, 5)),
        ("alpha=1e308,weight_decay=1e-308", (0.4, 1e-4, 3)),
        ("weight_decay=0", (0.0, 1e-4, 3)),
        ("weight_decay=-1", (0.0, 1e-4, 3)),
        ("width=1", (0.0, 1e-4, 3)),
        ("alpha=0.1", (0.0, 1e-4, 3)),  # as near as 0.2
        ("alpha=0.3", (0.2, 1e-4, 3)),
    ],
)
def test_the_nearest_run_on_each_axis_is_taken(
    text: str, point: tuple[float, ...]
) -> None:
    run = nearest_run(grid(), read_place(text), log={"weight_decay"})
    assert (run["alpha"], run["weight_decay"], run["seed"]) == point


def test_every_run_of_a_grid_is_named_by_its_own_coordinates() -> None:
    plan = grid()
    for run in plan.to_dict("records"):
        place = {k: run[k] for k in ("alpha", "weight_decay", "seed")}
        assert nearest_run(plan, place, {"weight_decay"})["run_id"] == run["run_id"]


def test_zero_on_a_logarithmic_axis_is_a_place_of_its_own() -> None:
    plan = grid()
    plan.loc[plan["weight_decay"] == 1e-4, "weight_decay"] = 0.0
    for wanted, found in ((0.0, 0.0), (1e-9, 1e-3), (2e-3, 1e-3)):
        run = nearest_run(plan, {"weight_decay": wanted}, {"weight_decay"})
        assert run["weight_decay"] == found


def test_a_fine_axis_is_resolved() -> None:
    fine = np.linspace(0, 1, 100_001)
    plan = pd.DataFrame({"alpha": fine, "seed": 0, "run_id": np.arange(100_001)})
    assert nearest_run(plan, {"alpha": 0.123454})["alpha"] == fine[12345]


def test_of_runs_beside_the_grid_the_nearest_in_all_axes_is_taken() -> None:
    plan = grid()
    beside = {"run_id": "between", "alpha": 0.21, "weight_decay": 0.05, "seed": 3}
    plan = pd.concat([plan, pd.DataFrame([beside])], ignore_index=True)
    log = {"weight_decay"}
    found = nearest_run(plan, {"alpha": 0.2, "weight_decay": 0.06}, log)
    assert found["run_id"] == "between"
    found = nearest_run(plan, {"alpha": 0.2, "weight_decay": 0.09}, log)
    assert (found["alpha"], found["weight_decay"]) == (0.2, 0.1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *(
            ("alpha=", FORM),
            ("alpha=x", FORM),
            ("alpha=0.1,", FORM),
            ("alpha=inf", FORM),
        ),
        *(("alpha=0:1:3", FORM), ("alpha=1;seed=2", FORM), ("alpha=nan", FORM)),
        ("alpha=0.1,alpha=0.2", "alpha is given twice"),
        ("lr=0.1", "did you mean 'learning_rate'?"),
        ("weightdecay=1", "did you mean 'weight_decay'?"),
        ("grok=1", "known: alpha, "),
        ("beta1=0.9", "known: alpha, "),
        ("=1", "known: alpha, "),
        ("\x1b[2J=1", "known: alpha, "),
    ],
)
def test_what_is_no_place_is_one_clear_line(
    command_line: Any, text: str, message: str
) -> None:
    for command in (("show", RESULT, text), ("show", RESULT, text, "--reproduce")):
        code, out, err = command_line(*command)
        assert code == 2 and out == "" and len(err.splitlines()) == 1
        assert message in err and "\x1b" not in err
    code, _, err = command_line("curves", RESULT, "--run", text)
    assert code == 2 and message in err


def test_the_run_taken_is_said_and_shown(command_line: Any) -> None:
    place = "alpha=0.2,weight_decay=0.01"
    code, out, err = command_line("show", RESULT, place, "--json")
    run = json.loads(out)
    assert code == 0 and run["alpha"] == 0.2 and run["seed"] == 0
    grid = store.read_spec(Path(RESULT)).weight_decay
    assert run["weight_decay"] == min(grid, key=lambda x: abs(np.log(x / 0.01)))
    said = f"alpha 0.2, weight_decay {run['weight_decay']:.12g}, seed 0"
    assert err == f"grokmap: run {run['run_id']}: {said}\n"

    figure = ("--format", "csv", "--out", "drawn")
    code, out, err = command_line("curves", RESULT, "--run", place, *figure)
    assert code == 0 and run["run_id"] in err
    assert set(pd.read_csv("drawn.csv")["run_id"]) == {run["run_id"]}

    code, out, err = command_line("show", RESULT, f"{place},seed=1", "--reproduce")
    assert code == 0 and "seed=1" in shlex.split(out)


def test_a_beginning_of_many_ids_tells_of_coordinates(command_line: Any) -> None:
    for text in ("0", "zzz", ""):
        code, _, err = command_line("show", RESULT, text)
        assert code == 2 and "coordinates: alpha=" in err
