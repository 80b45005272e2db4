"""The versions that pyproject.toml declares are those that are tested."""

from __future__ import annotations

import re
import tomllib

from conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def canonical(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def numbers(version: str) -> list[int]:
    """2.10.0 -> [2, 10]: zeros at the end say nothing."""
    return [int(n) for n in version.removesuffix(".0").removesuffix(".0").split(".")]


def test_the_lowest_versions_declared_are_tested() -> None:
    lines = (ROOT / "constraints-minimum.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    pinned = {canonical(name): numbers(version) for name, version in pins.items()}
    declared = PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["test"]
    for requirement in declared:
        name, lowest = re.match(r"([\w-]+)>=([\d.]+)", requirement).groups()  # type: ignore[union-attr]
        assert pinned[canonical(name)] == numbers(lowest), requirement
    assert len(declared) > 10


def test_the_newest_python_declared_is_tested() -> None:
    classifiers = " ".join(PROJECT["project"]["classifiers"])
    minors = [int(minor) for minor in re.findall(r"3\.(\d+)", classifiers)]
    assert PROJECT["project"]["requires-python"] == f">=3.{min(minors)}"
    makefile = (ROOT / "Makefile").read_text()
    assert f"PYTHON_MINIMUM ?= $(call python,3.{min(minors)})" in makefile
    assert f"PYTHON_NEWEST ?= $(call python,3.{max(minors)})" in makefile
