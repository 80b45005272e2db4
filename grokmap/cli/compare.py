"""`grokmap compare`: two results, or two values of an axis, cell by cell."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from grokmap.analysis.comparison import P_CHANGE
from grokmap.cli.boundaries import with_axes
from grokmap.cli.events import json_rows
from grokmap.cli.opened import EVERYWHERE, open_result, say
from grokmap.cli.options import Figures
from grokmap.cli.outputs import file_name, name_of, outputs, print_files
from grokmap.cli.places import Where
from grokmap.errors import SpecError, short, shown
from grokmap.result import Result, planes, shading
from grokmap.result.comparison import Comparison, compare
from grokmap.result.comparison_drawing import draw, numbers_of
from grokmap.result.groups import rounded

FORM = "--by optimizer=gd,adamw"


class Question(NamedTuple):
    """What is compared, and how it is drawn; see the options of `grokmap compare`."""

    by: str | None
    x: str | None
    y: str | None
    colour: str
    where: Where = EVERYWHERE

    @property
    def values(self) -> dict[str, list[str]] | None:
        """The axis and its two values; none of them: those that there are."""
        if self.by is None:
            return None
        axis, _, values = (word.strip() for word in self.by.partition("="))
        if not axis:
            raise SpecError(f"--by {short(repr(self.by))}: give {FORM}")
        return {axis: [word.strip() for word in values.split(",") if word.strip()]}


def compare_results(
    path: Path,
    other: Path | None,
    question: Question,
    criteria: str,
    figures: Figures,
    out: Path | None,
    as_json: bool,
) -> None:
    """Prints the comparison, writes its cells, draws both planes and the change."""
    to = outputs(path, out, figures, as_json)
    a = open_result(path)
    b = None if other is None else open_result(other)
    shading.check(a, question.colour)
    where, by, colour = question.where, question.values, question.colour
    found = compare(a, b, by, criteria, where.at, colour, where.near)
    name = _name(found, question, b)
    file = to.table(found.cells, name)
    if as_json:
        print(json.dumps({"file": name_of(file), **facts(found)}))
    else:
        _print(found)
        print_files(file)
    if not numbers_of(found):
        say("no figure: the cells differ along no swept number")
        return
    drawing = draw(found, colour, question.x, question.y, to.look)
    to.figure(drawing.figure, drawing.data, name)


def _name(found: Comparison, question: Question, b: Result | None) -> str:
    """File name without suffix, telling what is compared and how it is drawn."""
    name = f"compare-{found.by}" if b is None else f"compare-{b.path.resolve().name}"
    if numbers_of(found):
        axes = planes.chosen(numbers_of(found), question.x, question.y)
        name = with_axes(name, [axis for axis in axes if axis])
    if question.colour != "t_grok":
        name += f"-{question.colour}"
    return file_name(name, found.rules, found.place)


def facts(found: Comparison) -> dict[str, Any]:
    """A comparison as JSON has it, without its cells."""
    by_side = found.unmatched["only_in"].value_counts()
    return {
        "a": found.names[0],
        "b": found.names[1],
        "axes": found.axes,
        "settings": {k: list(map(_plain, v)) for k, v in found.settings.items()},
        "n_cells": {
            "matched": len(found.cells),
            "only_a": int(by_side.get("a", 0)),
            "only_b": int(by_side.get("b", 0)),
        },
        "labels": json_rows(found.labels),
        "summary": json_rows(found.summary),
    }


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _print(found: Comparison) -> None:
    a, b = found.names
    print(shown(f"A: {a}"))
    print(shown(f"B: {b}"))
    for name, pair in found.settings.items():
        one, two = ("not set" if v is None else rounded(v) for v in pair)
        print(shown(f"  {name}: {one} in A, {two} in B"))
    by_side = found.unmatched["only_in"].value_counts()
    along = f" along {', '.join(found.axes)}" if found.axes else ""
    print(
        f"{len(found.cells)} matched cells{along}; in A alone "
        f"{by_side.get('a', 0)}, in B alone {by_side.get('b', 0)}"
    )
    _print_labels(found.labels)
    for row in found.summary.to_dict("records"):
        _print_row(row)
    print("(95%, seeds resampled whole, 6 or more; in braces: half of the cells)")


def _print_labels(labels: pd.DataFrame) -> None:
    for of, rows in labels.groupby("of", sort=False):
        what = "of cells, the commonest" if of == "cells" else "of runs of one seed"
        counts = ", ".join(
            f"{row['differ']} of {row['n']} {_decided(row['decided'])}"
            for row in rows.to_dict("records")
        )
        print(f"labels that differ, {what}: {counts}")


def _decided(decided: bool) -> str:
    return "decided" if decided else "with an undecided run"


def _print_row(row: dict[str, Any]) -> None:
    quantity, n = row["quantity"], int(row["n_cells"])
    if quantity == P_CHANGE:
        value = _number(row, "+.3f")
        print(f"P(grok), B less A: {value} over {n} cells with decided runs of both")
        return
    time, _, every = quantity.partition(" ratio")
    alone = row["only_a"] + row["only_b"]
    if every:
        if alone:
            print(f"  median with these as infinite, or 0: {_number(row)}")
        return
    print(f"{time}, B over A: {_number(row)}, median of {n} cells that have both")
    if alone:
        print(
            f"  in A alone {row['only_a']:.0f} cells, in B alone {row['only_b']:.0f} "
            f"({row['open']:.0f} of these {alone:.0f} undecided); in neither "
            f"{row['neither']:.0f}"
        )


def _number(row: dict[str, Any], form: str = ".3g") -> str:
    value, low, high = (row[key] for key in ("value", "low", "high"))
    if math.isnan(value):
        return "-"
    spread = f"{{{row['q25']:{form}} to {row['q75']:{form}}}}"
    if math.isnan(low) or math.isnan(high):
        return f"{value:{form}} {spread}"
    return f"{value:{form}} [{low:{form}}, {high:{form}}] {spread}"
