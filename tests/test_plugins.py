"""Plugins, as a stranger would write them: three files outside the package."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import pandas as pd
import pytest
from conftest import ROOT, SMALL

import grokmap
from grokmap import plugins
from grokmap.errors import SpecError
from grokmap.losses import mse
from grokmap.models import ACTIVATIONS, MODELS, Activation
from grokmap.optimizers import OPTIMIZERS
from grokmap.order_parameters import (
    INFINITY,
    ORDER_PARAMETERS,
    OrderParameter,
    quantities,
)
from grokmap.order_parameters.learning import weight_norm
from grokmap.plan import expand, read_sweep
from grokmap.spec import Sweep
from grokmap.spec.words import control_identity, run_id, system_identity
from grokmap.tasks import TASKS

DOCS = (ROOT / "docs/plugins.md").read_text()
HALF = Activation(lambda h: 0.5 * jnp.square(h), 3)
NORM = OrderParameter(weight_norm, "n", "norm", (0.0, INFINITY))


def files_of_the_docs(folder: Path) -> None:
    blocks = re.findall(r"<!-- file: (.*?) -->\n```\w+\n(.*?)```", DOCS, flags=re.S)
    assert len(blocks) == 3
    for name, text in blocks:
        (folder / name).write_text(text)


def program(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """grokmap as a process of its own, in `folder`."""
    return subprocess.run(
        [sys.executable, "-m", "grokmap", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a stranger followed docs/plugins.md."""
    place = tmp_path_factory.mktemp("stranger")
    files_of_the_docs(place)
    commands = re.findall(r"^\$ grokmap (.*)$", DOCS, flags=re.M)
    assert len(commands) == 2
    trained, drawn = (program(place, *line.split()) for line in commands)
    assert trained.returncode == 0, trained.stderr
    # Without the plugin, as it stands there.
    assert drawn.returncode == 0, drawn.stderr
    assert (place / "results/mine/figures").is_dir()
    return place


@pytest.fixture
def tables() -> Iterator[None]:
    """What a test registers is gone after it."""
    before = {key: dict(table.entries) for key, table in plugins.TABLES.items()}
    loaded = dict(plugins.LOADED)
    yield
    plugins.LOADED.clear()
    plugins.LOADED.update(loaded)
    for key, table in plugins.TABLES.items():
        table.entries.clear()
        table.entries.update(before[key])


@pytest.mark.slow
def test_the_tests_of_the_docs_pass(folder: Path) -> None:
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), "."])}
    done = subprocess.run(
        [*words, "test_my_plugin.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_a_result_names_its_plugins_and_so_do_its_runs(folder: Path) -> None:
    result = grokmap.open(folder / "results/mine")
    assert result.spec.plugins == ("my_plugin 1.0",)
    assert set(result.plan["plugins"]) == {"my_plugin 1.0"}
    assert result.runs["final_readout_norm_ratio"].between(0.1, 10).all()
    assert result.quantities["readout_norm_ratio"].symbol == (
        r"\mathrm{readout\_norm\_ratio}"
    )


@pytest.mark.parametrize(
    "line",
    [
        "status",
        "boundaries --json",
        "classify",
        "curves --show readout_norm_ratio",
        "show alpha=0.2,activation=half_square",
        "phase-diagram --colour readout_norm_ratio",
        "phase-diagram --colour readout_norm_ratio --plugin FOLDER/my_plugin.py",
        "uncertainty",
    ],
)
def test_a_result_is_read_with_and_without_its_plugin(
    tables: None, command_line: Any, folder: Path, line: str
) -> None:
    command, *words = (word.replace("FOLDER", str(folder)) for word in line.split())
    code, _, errors = command_line(command, str(folder / "results/mine"), *words)
    assert code == 0, errors


@pytest.mark.parametrize(
    "line",
    [
        "order-parameters",
        "laws",
        "forecast",
        "early-stopping",
        "refine --dry-run",
        "scaling --quantity readout_norm_ratio",
        "transition --quantity readout_norm_ratio",
        "hysteresis --quantity readout_norm_ratio",
    ],
)
@pytest.mark.slow
def test_an_analysis_says_the_same_with_and_without_a_plugin(
    tables: None, command_line: Any, folder: Path, line: str
) -> None:
    command, *words = line.split()
    given = [command, str(folder / "results/mine"), *words]
    without = command_line(*given)
    assert command_line(*given, "--plugin", str(folder / "my_plugin.py")) == without
    assert without[0] in (0, 2) and "readout_norm_ratio'" not in without[2]


def test_verify_says_what_it_could_not_check(
    tables: None, command_line: Any, folder: Path
) -> None:
    result, plugin = str(folder / "results/mine"), str(folder / "my_plugin.py")
    code, text, _ = command_line("verify", result)
    assert code == 0
    assert "plan not checked: needs the plugin 'my_plugin' (version 1.0)" in text
    assert "4 of 4 runs done; the next sweep trains 0" in text
    facts = json.loads(command_line("verify", result, "--json")[1])
    assert len(facts["plugins_not_loaded"]) == 1
    loaded = command_line("verify", result, "--json", "--plugin", plugin)[1]
    assert json.loads(loaded) == {**facts, "plugins_not_loaded": []}


def test_no_sweep_without_its_plugin(folder: Path) -> None:
    for spec in ("my_sweep.toml", "results/mine"):
        done = program(folder, "sweep", spec)
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert "needs the plugin 'my_plugin'" in line and "--plugin" in line
        assert ("(version 1.0)" in line) == (spec == "results/mine")


def test_another_version_is_another_sweep(
    tables: None, command_line: Any, folder: Path, tmp_path: Path
) -> None:
    text = (folder / "my_plugin.py").read_text()
    other = tmp_path / "my_plugin.py"
    other.write_text(text.replace('"1.0"', '"1.1"'))
    result = str(folder / "results/mine")
    spec, out = str(folder / "my_sweep.toml"), ("--out", result)
    code, _, errors = command_line("sweep", spec, *out, "--plugin", str(other))
    assert code == 4
    assert "plugin 'my_plugin' was version 1.0, now 1.1" in errors
    code, _, errors = command_line("sweep", result)
    assert code == 2
    assert "as version 1.0, and version 1.1 is loaded" in errors
    assert command_line("status", result)[0] == 0
    assert command_line("verify", result)[0] == 0


def installed(place: Path) -> None:
    """A package with an entry point, as an installer leaves it."""
    (place / "outside").mkdir()
    (place / "outside/__init__.py").write_text("")
    (place / "outside/tables.py").write_text(
        "import jax.numpy as jnp\n"
        "from grokmap.models import Activation\n"
        "ACTIVATIONS = {'third_square': Activation(lambda h: jnp.square(h) / 3, 3)}\n"
    )
    info = place / "outside-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[grokmap.plugins]\nthirds = outside.tables\n"
    )


def test_an_installed_plugin_is_loaded_where_a_sweep_to_train_names_it(
    tables: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed(tmp_path)
    values = {**SMALL, "activation": "third_square"}
    with pytest.raises(SpecError, match="needs the plugin 'thirds'"):
        read_sweep({**values, "plugins": ["thirds"]})
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("outside", "outside.tables"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(SpecError, match="unknown activation 'third_square'"):
        read_sweep(values)
    assert plugins.LOADED == {} and "outside.tables" not in sys.modules
    sweep = read_sweep({**values, "plugins": ["thirds"]})
    (plugin,) = plugins.LOADED.values()
    assert sweep.plugins == (plugin.label,)
    source = (tmp_path / "outside/tables.py").read_bytes()
    assert plugin.label == f"thirds {plugins._source_version([source])}"
    assert read_sweep(values).plugins == sweep.plugins


def test_an_installed_plugin_by_its_name_and_by_that_of_its_module(
    tables: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert plugins.load("thirds").name == "thirds"
    assert plugins.load("thirds") is plugins.LOADED["thirds"]
    with pytest.raises(SpecError, match="taken by plugin thirds"):
        plugins.load("outside.tables")


def test_a_sweep_file_makes_no_code_run(
    monkeypatch: pytest.MonkeyPatch, command_line: Any, tmp_path: Path
) -> None:
    (tmp_path / "my_trap.py").write_text("open('sprung', 'w').close()\n")
    values = {**SMALL, "order_parameters": []}
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for label in ("my_trap", "my_trap 1.0", "./my_trap.py", "my_trap.py"):
        file = tmp_path / "named.toml"
        file.write_text("\n".join([*lines, f"plugins = {json.dumps([label])}"]))
        code, _, errors = command_line("sweep", "named.toml")
        assert code == 2
        assert "plugin" in errors
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import jax\n1 / 0\n", "broken.py, line 2: ZeroDivisionError"),
        ("x = (\n", "broken.py, line 1: SyntaxError"),
        ("import nothing_of_this_name\n", "broken.py, line 1: ModuleNotFoundError"),
        ("x = 1\n", "has no entry; give one of TASKS, MODELS"),
        ("LOSSES = [1]\n", "LOSSES: a dict, not [1]"),
        ("LOSSES = {'l': 1}\n", "LOSSES['l']: a function, not 1"),
        ("LOSSES = {'a-b': abs}\n", "a name has letters, digits and '_' only"),
        ("LOSSES = {'mse': abs}\n", "taken by grokmap itself"),
        ("TASKS = {'t': abs}\n", "TASKS['t']: a grokmap.tasks.Task, not"),
        ("LOSSES = {'l': abs}\n__version__ = '1 0'\n", "version '1 0'"),
        (
            "from grokmap.models import Activation\n"
            "ACTIVATIONS = {'a': Activation(abs, 2, ('slope',))}\n",
            "controls: no such key 'slope'; known: momentum",
        ),
        (
            "from grokmap.order_parameters import OrderParameter\n"
            "ORDER_PARAMETERS = {'step': OrderParameter(abs, 'q', '', (0, 1))}\n",
            "is the name of a column that every result has",
        ),
    ],
)
def test_what_is_wrong_with_a_plugin_is_said(
    tables: None, command_line: Any, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "broken.py"
    file.write_text(text)
    code, _, errors = command_line("schema", "--plugin", str(file))
    assert code == 2
    (line,) = errors.splitlines()
    assert said in line
    assert plugins.LOADED == {}


def test_plugins_that_are_not_there(command_line: Any, tmp_path: Path) -> None:
    for source in (tmp_path / "none.py", "no_module_of_this_name", "1 2"):
        code, _, errors = command_line("schema", "--plugin", str(source))
        assert code == 2 and len(errors.splitlines()) == 1
        assert "--plugin" in errors


def half_sweep(**changes: Any) -> Sweep:
    return read_sweep({**SMALL, "activation": "half", **changes})


def test_register_adds_entries_once(tables: None) -> None:
    for _ in range(2):
        grokmap.register(name="mine", version="1", activations={"half": HALF})
    assert ACTIVATIONS["half"] is HALF
    with pytest.raises(SpecError, match="start a new process"):
        grokmap.register(name="mine", version="2", activations={"half": HALF})
    with pytest.raises(SpecError, match="taken by plugin mine"):
        grokmap.register(name="other", version="1", activations={"half": HALF})
    with pytest.raises(SpecError, match="taken by grokmap itself"):
        grokmap.register(name="other", version="1", losses={"l": mse, "mse": mse})
    assert "l" not in plugins.TABLES["loss"].entries
    assert list(plugins.LOADED) == ["mine"]


def test_a_version_is_part_of_what_a_run_is(tables: None) -> None:
    grokmap.register(name="mine", version="1", activations={"half": HALF})
    sweep = half_sweep()
    assert sweep.plugins == ("mine 1",)
    (run,) = expand(sweep)
    identity = json.loads(system_identity(run.system))
    assert identity["plugins"] == ["mine 1"]
    other = plugins.LOADED["mine"]._replace(version="2")
    plugins.LOADED["mine"] = other
    (again,) = expand(half_sweep())
    assert again.run_id != run.run_id
    assert again.system == run.system.__class__(
        **{**vars(run.system), "plugins": ("mine 2",)}
    )


def test_runs_without_a_plugin_are_what_they_were(tables: None) -> None:
    (before,) = expand(read_sweep(SMALL))
    default = read_sweep({**SMALL, "order_parameters": None} | {}).order_parameters
    grokmap.register(
        name="mine",
        version="1",
        activations={"half": HALF},
        order_parameters={"my_norm": NORM},
    )
    (after,) = expand(read_sweep(SMALL))
    assert after == before
    assert before.run_id == run_id(
        system_identity(before.system),
        control_identity(before.control, ("momentum",)),
        before.seed,
    )
    assert "plugins" not in system_identity(before.system)
    # An order parameter of a plugin is recorded only where it is named.
    assert read_sweep({**SMALL, "order_parameters": None}).order_parameters == default
    named = read_sweep({**SMALL, "order_parameters": ["my_norm"]})
    assert named.plugins == ("mine 1",)
    (run,) = expand(named)
    assert run.system.plugins == () and run.system.order_parameters == ("my_norm",)


@pytest.mark.slow
def test_a_registered_loss_and_order_parameter_are_trained(
    tables: None, tmp_path: Path
) -> None:
    grokmap.register(
        name="mine",
        version="1",
        losses={"twice_mse": lambda f, y: 2.0 * mse(f, y)},
        order_parameters={"my_norm": NORM},
    )
    names = {"order_parameters": ["my_norm"]}
    ours, theirs = (
        grokmap.sweep(
            {**SMALL, **names, "loss": loss, "learning_rate": rate},
            out=tmp_path / loss,
            on_progress=lambda counts: None,
        )
        for loss, rate in (("mse", 0.05), ("twice_mse", 0.05))
    )
    first = [result.records().iloc[0] for result in (ours, theirs)]
    assert first[1]["train_loss"] == pytest.approx(2 * first[0]["train_loss"], rel=1e-6)
    records = theirs.records(["my_norm", "weight_norm"]).dropna()
    assert len(records) > 3
    pd.testing.assert_series_equal(
        records["my_norm"], records["weight_norm"], check_names=False, rtol=1e-6
    )
    assert theirs.quantities["my_norm"].meaning == "norm"


@pytest.mark.slow
def test_a_result_is_read_without_its_tasks_models_and_optimizers(
    command_line: Any, tables: None, tmp_path: Path
) -> None:
    before = {key: dict(table.entries) for key, table in plugins.TABLES.items()}
    grokmap.register(
        name="mine",
        version="1",
        tasks={"their_sum": TASKS["modular_addition"]},
        models={"their_net": MODELS["two_layer"]},
        optimizers={"their_gd": OPTIMIZERS["gd"]},
    )
    axes = {"task": ["modular_addition", "their_sum"], "weight_decay": [0.001, 0.1]}
    values = {k: v for k, v in SMALL.items() if k not in axes}
    values |= {"axes": axes, "model": "their_net", "optimizer": "their_gd"}
    out = tmp_path / "theirs"
    loaded = grokmap.sweep(values, out=out, on_progress=lambda counts: None)
    labels = loaded.runs["plugins"].tolist()
    plan = loaded.plan
    # As a process of its own that has no such plugin.
    plugins.LOADED.clear()
    for key, table in plugins.TABLES.items():
        table.entries.clear()
        table.entries.update(before[key])
    result = grokmap.open(out)
    assert result.spec == loaded.spec and labels == ["mine 1"] * 4
    assert [axis.name for axis in result.axes] == ["task", "weight_decay"]
    assert result.nearest(task="their_sum", weight_decay=0.1)["task"] == "their_sum"
    pd.testing.assert_frame_equal(result.plan, plan)
    for command in ("status", "verify", "classify", "curves"):
        code, _, errors = command_line(command, str(out))
        assert code == 0, (command, errors)
    code, _, errors = command_line("sweep", str(out))
    assert code == 2 and "needs the plugin 'mine' (version 1)" in errors
    code, _, errors = command_line("refine", str(out))
    assert code == 2 and "needs the plugin 'mine' (version 1)" in errors


def test_quantities_of_plugins_that_are_not_loaded_are_plain() -> None:
    entry = quantities(["rqi", "absent_one"])["absent_one"]
    assert (entry.bounds, entry.log) == ((-INFINITY, INFINITY), False)
    assert quantities(["rqi"])["rqi"] is ORDER_PARAMETERS["rqi"]
    assert set(quantities()) == set(quantities(["rqi"]))
