"""`grokmap uncertainty`: P(phase) with intervals, and labels that other bars change."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from grokmap.analysis.statistics import wilson
from grokmap.classify import read_criteria
from grokmap.cli.boundaries import table_name
from grokmap.cli.opened import EVERYWHERE, open_result
from grokmap.cli.options import Figures
from grokmap.cli.outputs import name_of, outputs, print_files
from grokmap.cli.places import Where
from grokmap.result.uncertainty import draw, find

NAME = "uncertainty"
ENOUGH = next(n for n in range(1, 100) if wilson(n, n)[0] > 0.5)


def map_uncertainty(
    path: Path,
    x: str,
    y: str,
    criteria: str,
    figures: Figures,
    out: Path | None,
    as_json: bool,
    where: Where = EVERYWHERE,
) -> None:
    """Prints a summary, writes the table, draws the maps."""
    to = outputs(path, out, figures, as_json)
    rules = read_criteria(criteria)
    result = open_result(path, where)
    uncertainty = find(result, x, y, rules)
    name = table_name(NAME, (x, y), rules, result.place)
    file = to.table(uncertainty.table, name)
    if as_json:
        rows = json.loads(uncertainty.table.to_json(orient="records"))
        print(json.dumps({"file": name_of(file), "cells": rows}))
    else:
        _print(uncertainty.table)
        print_files(file)
    to.figure(draw(uncertainty, to.look).figure, uncertainty.table, name)


def _print(cells: pd.DataFrame) -> None:
    n_runs, n_undecided = int(cells["n_runs"].sum()), int(cells["n_undecided"].sum())
    open_ = (cells["p_grok_low"] < 0.5) & (cells["p_grok_high"] > 0.5)
    print(f"{len(cells)} cells, {n_runs} runs, {n_undecided} of them undecided")
    print(f"P(grok) may lie on either side of 1/2 in {int(open_.sum())} cells")
    most = int(cells["n_runs"].max())
    if most < ENOUGH:
        print(f"({most} seeds that agree cannot tell on which side; {ENOUGH} can)")
    print("share of runs that other rules label otherwise:")
    for name in cells.columns:
        if name.startswith("changed_"):
            share = (cells[name] * cells["n_runs"]).sum() / n_runs
            print(f"  {name.removeprefix('changed_'):<18} {share:.1%}")
