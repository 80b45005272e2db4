"""Imports go down only (DESIGN 9); jax stays between tasks and execute."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "grokmap"
# Rooms from the ground up; each may use those named.
MAY_USE = {
    "errors": set(),
    "disk": {"errors"},
    "spec": {"errors", "disk"},
    "process": set(),
    "tasks": {"spec"},
    "models": {"spec", "tasks"},
    "losses": set(),
    "optimizers": {"models", "spec"},
    "order_parameters": {"theory"},
    "plan": {"spec"},
    "classify": {"errors", "disk"},
    "schedule": {"plan", "classify"},
    "network": {"tasks", "models", "losses", "order_parameters", "spec"},
    "train": {
        *("tasks", "models", "losses", "optimizers", "order_parameters", "network"),
        *("plan", "spec", "errors"),
    },
    "devices": {"disk", "train", "tasks", "plan", "spec", "process", "errors"},
    "execute": {"devices", "schedule", "plan", "spec", "errors"},
    "rates": {"execute", "devices", "schedule", "plan", "spec", "train"},
    "estimate": set(),
    "step_size": {"train", "tasks", "optimizers", "order_parameters", "spec"},
    "store": {"spec", "errors", "disk"},
    "lock": {"errors", "disk"},
    "checkpoint": {"store", "schedule", "spec", "disk"},
    "transitions": {"classify"},
    "uncertainty": set(),
    "selection": {"spec", "errors"},
    "shipped": {"spec", "errors"},
    "boundaries": {"classify", "spec"},
    "refine": {"boundaries", "classify", "spec"},
    "scaling": {"classify", "uncertainty", "errors"},
    "hysteresis": {"transitions", "plan", "spec"},
    "bimodality": set(),
    "transition_order": {"bimodality"},
    "laws": {"transitions", "classify", "errors"},
    "forecast": {"laws", "transitions", "classify", "errors"},
    "early_stopping": {"transitions", "classify", "errors"},
    "plot": {"spec", "errors"},
    "theory": {"losses"},
    "reproduce": {
        *("train", "plan", "spec", "classify", "plot", "theory", "uncertainty"),
        "errors",
    },
}
JAX = {
    *("tasks", "models", "losses", "optimizers", "order_parameters", "network"),
    *("train", "devices", "execute", "rates", "step_size", "cli"),
    *("theory", "reproduce"),
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
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
    here = room(path)
    names = imported(path)
    if here not in ("cli", "__init__", "__main__"):
        used = {n.split(".")[1] for n in names if n.startswith("grokmap.")} - {here}
        assert used <= MAY_USE[here]
    if any(n.split(".")[0] in ("jax", "flax", "optax") for n in names):
        assert here in JAX


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_printing_and_exiting_is_the_command_lines(path: Path) -> None:
    names = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    if room(path) != "cli":
        assert not names & {"print", "exit", "eval", "exec"}
    assert not any(n.split(".")[0] == "pickle" for n in imported(path))


def test_every_room_is_listed() -> None:
    rooms = {room(path) for path in MODULES} - {"__init__", "__main__", "cli"}
    assert rooms == set(MAY_USE)
