"""Imports go down only, and jax stays where networks are trained."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "grokmap"
# Modules and packages at the top, from the ground up; each may use those named.
MAY_USE = {
    "arrays": set(),
    "errors": set(),
    "durations": {"errors"},
    "disk": {"errors"},
    "process": {"disk"},
    "spec": {"errors", "disk"},
    "store": {"errors", "disk", "spec"},
    "losses": set(),
    "avalanches": set(),
    "theory": {"losses"},
    "tasks": {"spec"},
    "models": {"spec", "tasks"},
    "optimizers": {"spec", "models"},
    "schedules": {"spec"},
    "filters": set(),
    "order_parameters": {"theory"},
    "plugins": {
        *("errors", "disk", "spec"),
        *("tasks", "models", "losses", "optimizers", "order_parameters"),
    },
    "plan": {
        *("errors", "spec", "plugins"),
        *("tasks", "models", "losses", "optimizers", "order_parameters"),
        "schedules",
    },
    "classify": {"errors", "disk"},
    "engine": {
        *("errors", "disk", "spec", "process", "plan", "classify"),
        *("tasks", "models", "losses", "optimizers", "order_parameters"),
        *("avalanches", "theory", "schedules", "filters"),
    },
    "analysis": {"errors", "spec", "classify"},
    "plot": {"errors", "spec"},
    "shell": set(),
    "result": {
        *("errors", "spec", "store", "plan", "classify", "order_parameters"),
        *("analysis", "plot", "engine", "shell", "avalanches", "tasks", "theory"),
    },
    "report": {
        *("errors", "disk", "spec", "store", "classify", "order_parameters"),
        *("analysis", "plot", "result"),
    },
    "session": {
        *("errors", "disk", "spec", "store", "plan", "classify", "process", "engine"),
        *("durations", "plugins", "result", "plot", "avalanches"),
    },
    "submit": {
        *("errors", "disk", "spec", "store", "process", "durations", "session"),
    },
    "reproduce": {
        *("avalanches", "tasks", "models"),
        *("errors", "spec", "plan", "classify", "engine", "plot", "theory", "analysis"),
    },
}
# The methods of a result that train, say what is left to train, or write a page of it.
ABOVE = {"result/result.py": {"session", "report"}}
JAX = {
    *("tasks", "models", "losses", "optimizers", "order_parameters", "engine", "cli"),
    *("theory", "reproduce", "session", "avalanches", "schedules", "filters"),
}
# Of the engine these know of steps and files of numbers alone.
NO_JAX = {"engine/records.py", "engine/schedule.py", "engine/estimate.py"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def top(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    here = top(path)
    names = imported(path)
    if here not in ("cli", "__init__", "__main__"):
        used = {n.split(".")[1] for n in names if n.startswith("grokmap.")} - {here}
        above = ABOVE.get(str(path.relative_to(PACKAGE)), set())
        assert used <= MAY_USE[here] | above | {"arrays"}
    if any(n.split(".")[0] in ("jax", "flax", "optax") for n in names):
        assert here in JAX
        assert str(path.relative_to(PACKAGE)) not in NO_JAX


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_printing_and_exiting_is_the_command_lines(path: Path) -> None:
    names = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    if top(path) != "cli":
        assert not names & {"print", "exit", "eval", "exec"}
    assert not any(n.split(".")[0] == "pickle" for n in imported(path))


def test_every_module_is_listed() -> None:
    found = {top(path) for path in MODULES} - {"__init__", "__main__", "cli"}
    assert found == set(MAY_USE)


def test_no_package_has_a_module_and_a_function_of_one_name() -> None:
    # Which of the two `package.name` is would depend on what was imported before.
    packages = [path.parent for path in MODULES if path.name == "__init__.py"]
    assert len(packages) > 10
    for folder in packages:
        package = importlib.import_module(
            ".".join(folder.relative_to(ROOT).parts),
        )
        names = {path.stem for path in folder.iterdir() if path.suffix == ".py"}
        names |= {path.name for path in packages if path.parent == folder}
        for name in names - {"__init__", "__main__"}:
            module = importlib.import_module(f"{package.__name__}.{name}")
            assert getattr(package, name) is module
