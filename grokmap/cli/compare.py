"""`grokmap compare`: two results, or two values of an axis, cell by cell."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from grokmap.cli.boundaries import with_axes
from grokmap.cli.events import json_rows
from grokmap.cli.opened import EVERYWHERE, open_result, say
from grokmap.cli.options import Figures
from grokmap.cli.outputs import file_name, name_of, outputs, print_files
from grokmap.cli.places import Where
from grokmap.errors import SpecError, short
from grokmap.result import Result, comparison_text, planes, shading
from grokmap.result.comparison import Comparison, compare
from grokmap.result.comparison_drawing import draw, numbers_of

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
        print(comparison_text.text(found))
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
