"""`grokmap uncertainty`: P(phase) with intervals, and labels that other bars change."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pandas as pd

from grokmap import plot
from grokmap.analysis.cells import probabilities, sensitivity
from grokmap.classify import CRITERIA, Criteria
from grokmap.cli.boundaries import table_name
from grokmap.cli.outputs import name_of, outputs, print_files
from grokmap.cli.results import load_runs
from grokmap.result.labels import criteria_with

NAME = "uncertainty"
BARS = (0.9, 0.95, 0.99)  # of test accuracy, and of train accuracy


def map_uncertainty(
    path: Path,
    x: str,
    y: str,
    criteria: str,
    formats: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Prints a summary, writes the table, draws the maps."""
    to = outputs(path, out, formats, as_json)
    rules = criteria_with(criteria, plot.GENERALISED)
    labels = {name: load_runs(path, other) for name, other in _others(rules).items()}
    runs = labels[rules.name]
    by = plot.multiples(runs, x, y)
    axes = [*by, y, x]
    cells = probabilities(runs, axes, plot.GENERALISED)
    cells = cells.merge(sensitivity(labels, axes), on=axes)
    name = table_name(NAME, x, y, rules)
    file = to.table(cells, name)
    if as_json:
        rows = json.loads(cells.to_json(orient="records"))
        print(json.dumps({"file": name_of(file), "cells": rows}))
    else:
        _print(cells)
        print_files(file)
    groups = runs.groupby(by) if by else [((), runs)]
    maps = [_map(point, by, own, cells) for point, own in groups]
    figure = plot.uncertainty_maps(maps, x, y)
    to.figure(figure, cells, name)


def _others(rules: Criteria) -> dict[str, Criteria]:
    """The rules, and those that differ from them in one bar, or are a preset's."""
    found = {rules.name: rules}
    for field in ("train_bar", "test_bar"):
        for bar in BARS:
            if bar != getattr(rules, field):
                change: dict[str, Any] = {field: bar}
                found[f"{field}={bar}"] = dataclasses.replace(rules, **change)
    for name, preset in CRITERIA.items():
        if name != rules.name:
            # The same names, so that only what is decided differs.
            found[name] = dataclasses.replace(preset, phases=rules.phases)
    return found


def _map(
    point: tuple[object, ...], by: list[str], runs: pd.DataFrame, cells: pd.DataFrame
) -> plot.Map:
    title = ", ".join(f"{k} = {v}" for k, v in zip(by, point, strict=True))
    for key, value in zip(by, point, strict=True):
        cells = cells[cells[key] == value]
    return plot.Map(title, runs, cells)


def _print(cells: pd.DataFrame) -> None:
    n_runs, n_undecided = int(cells["n_runs"].sum()), int(cells["n_undecided"].sum())
    open_ = (cells["p_grok_low"] < 0.5) & (cells["p_grok_high"] > 0.5)
    print(f"{len(cells)} cells, {n_runs} runs, {n_undecided} of them undecided")
    print(f"P(grok) may lie on either side of 1/2 in {int(open_.sum())} cells")
    print("share of runs that other rules label otherwise:")
    for name in cells.columns:
        if name.startswith("changed_"):
            share = (cells[name] * cells["n_runs"]).sum() / n_runs
            print(f"  {name.removeprefix('changed_'):<18} {share:.1%}")
