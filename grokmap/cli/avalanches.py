"""`grokmap avalanche`: how avalanches of gradients grow with the network."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from grokmap.analysis.avalanches import gini_peaks
from grokmap.cli.doctor import start_jax
from grokmap.cli.events import json_rows
from grokmap.cli.opened import EVERYWHERE, open_result, say
from grokmap.cli.options import Figures
from grokmap.cli.outputs import name_of, outputs, print_files
from grokmap.cli.places import Where
from grokmap.result import avalanches
from grokmap.result.avalanches import Family, Question
from grokmap.session.gradients import gradients_at


def measure_avalanches(
    path: Path,
    question: Question,
    scanned: bool,
    figures: Figures,
    out: Path | None,
    as_json: bool,
    where: Where = EVERYWHERE,
) -> None:
    """Prints and writes D over time, before and after the transition, and draws it.

    scanned: whether percentiles, shares, graphs and sizes are varied, too.
    """
    to = outputs(path, out, figures, as_json)
    result = open_result(path, where)
    wanted = avalanches.steps_wanted(result, question)
    start_jax()
    gradients = gradients_at(path, wanted, say)
    families = avalanches.find(result, gradients, question)
    tables = {
        "avalanches": avalanches.over_time(families),
        "avalanches-phases": avalanches.phases(families),
    }
    if scanned:
        tables["avalanches-scan"] = avalanches.scan(result, gradients, question)
    files = [to.table(table, name) for name, table in tables.items()]
    if as_json:
        facts: dict[str, Any] = {"files": [name_of(file) for file in files]}
        rest = {k: json_rows(v) for k, v in tables.items() if k != "avalanches"}
        print(json.dumps(facts | {"size": question.size} | rest))
    else:
        for family in families:
            _print_family(family)
        if scanned:
            _print_scan(tables["avalanches-scan"])
        print_files(*files)
    for number, family in enumerate(families):
        drawing = avalanches.draw(result, family, to.look)
        more = f"-{number + 1}" if len(families) > 1 else ""
        to.figure(drawing.figure, drawing.data, "avalanches", more)


def _print_family(family: Family) -> None:
    n = family.cube.n
    print(f"{family.title or 'all runs'}: N = {', '.join(map(str, n))}")
    heads = ["", "D before", "D after", "change", "s_max", "gamma"]
    print("  ".join(f"{head:>24}" for head in heads))
    for field in family.cube.fields:
        rows = _of_field(family.phases, field) + _of_field(family.exponents, field)
        cells = [_interval(row, "d") for row in rows]
        print("  ".join(f"{cell:>24}" for cell in [field, *cells]))
    for field in family.cube.fields[1:]:
        rows = _of_field(family.phases, field) + _of_field(family.exponents, field)
        cells = [_interval(row, "excess") for row in rows]
        print("  ".join(f"{cell:>24}" for cell in [f"excess, {field}", *cells]))
    print(f"distributions scaled by s_max's D stay {family.collapse:.2f} apart")
    if not family.gini.empty:
        peaks = gini_peaks(family.gini, {})
        rise = (peaks["peak"] / peaks["first"] - 1).median()
        end = (peaks["last"] / peaks["peak"] - 1).median()
        print(f"Gini of the weights: peak {rise:+.0%}, then {end:+.0%} (medians)")


def _of_field(table: pd.DataFrame, field: str) -> list[dict[str, Any]]:
    return table[table["field"] == field].to_dict("records")


def _print_scan(table: pd.DataFrame) -> None:
    """Of each setting D and its excess over the shuffled gradients."""
    heads = ["setting", "D before", "D after", "excess before", "excess after"]
    print("  ".join(f"{head:>28}" for head in heads))
    for (family, setting), rows in table.groupby(["family", "setting"], sort=False):
        real = _of_field(rows, "real")[:2]
        shuffled = _of_field(rows, "shuffled")[:2]
        cells = [_interval(row, "d") for row in real]
        cells += [_interval(row, "excess") for row in shuffled]
        name = ", ".join(part for part in (str(family), str(setting)) if part)
        print("  ".join(f"{cell:>28}" for cell in [name, *cells]))


def _interval(row: dict[str, Any], name: str) -> str:
    value, low, high = (row[name], row[f"{name}_low"], row[f"{name}_high"])
    if math.isnan(value):
        return "-"
    ends = "" if math.isnan(low) else f" [{low:.3f}, {high:.3f}]"
    return f"{value:.3f}{ends}"
