"""`grokmap surface`: the edges of the grok wedge over several axes at once."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from grokmap.analysis.boundaries import BEYOND, MEASURED
from grokmap.classify import read_criteria
from grokmap.cli.boundaries import padded, table_name
from grokmap.cli.opened import EVERYWHERE, open_result
from grokmap.cli.options import Figures
from grokmap.cli.outputs import name_of, outputs, print_files
from grokmap.cli.places import Where
from grokmap.result.surface import ALONG, Edges, draw, find

NAME = "surface"


class Question(NamedTuple):
    """over: the axes; x: that of the edges; precision: from which half-width an edge
    is said to be not known; along: places on the first of the other axes."""

    over: tuple[str, ...]
    x: str = "weight_decay"
    precision: float = 0.1
    along: int = ALONG


def find_surface(
    path: Path,
    question: Question,
    criteria: str,
    as_json: bool,
    figures: Figures | None = None,
    out: Path | None = None,
    where: Where = EVERYWHERE,
) -> None:
    """Prints the edges, writes the table, draws the slices if figures are asked for."""
    to = outputs(path, out, figures, as_json)
    rules = read_criteria(criteria)
    result = open_result(path, where)
    over, x, precision, along = question
    edges = find(result, over, x, rules, None, precision, along)
    first = (x, *(name for name in over if name != x))
    name = table_name(NAME, first, rules, result.place)
    files = [to.table(edges.table, name, kind) for kind in ("parquet", "csv")]
    if as_json:
        rows = json.loads(edges.table.to_json(orient="records"))
        known = {
            k: v if v < math.inf else None for k, v in edges.known._asdict().items()
        }
        facts = {"known": known, "edges": rows}
        print(json.dumps({"files": list(map(name_of, files)), **facts}))
    else:
        _print(edges, x, precision)
        print_files(*files)
    if figures:
        to.figure(draw(edges, result, to.look).figure, edges.table, name)


def _print(edges: Edges, x: str, precision: float) -> None:
    others = edges.model.others.names
    print(
        f"{x} at the edges of the grok wedge over {', '.join(others)}: P(grok) = half"
    )
    print("its plateau; in brackets the band that holds all edges at once, 95%")
    shown = [_shown(edge) for edge in edges.table.to_dict("records")]
    wide = max(34, *(len(text) + 2 for text in shown))
    table = edges.table.assign(shown=shown)
    for place, rows in table.groupby(others, sort=False):
        pairs = zip(others, place, strict=True)
        head = "  ".join(f"{name} {padded(value)}" for name, value in pairs)
        print(
            f"  {head}{''.join(f'{text:<{wide}}' for text in rows['shown'])}".rstrip()
        )
    print(_summary(edges, precision))


def _summary(edges: Edges, precision: float) -> str:
    is_log = edges.model.cube.sides[edges.model.at].axis.is_log
    whys = edges.table.loc[edges.table["why"] != "", "why"].value_counts()
    known = edges.known
    line = f"{known.words(is_log)}; {known.n_banded} are measured together"
    if whys.empty:
        return line
    words = ", ".join(f"{why} ({count})" for why, count in whys.items())
    unit = " decades" if is_log else ""
    return f"{line}\nnot known to {precision:g}{unit}: {words}"


def _shown(edge: dict[str, Any]) -> str:
    low, high, status = edge["low"], edge["high"], edge["status"]
    name, why = edge["edge"], f" ({edge['why']})" if edge["why"] else ""
    if status == MEASURED:
        return f"{name} {edge['estimate']:.3g} [{low:.3g}, {high:.3g}]{why}"
    if status == BEYOND:
        bound = f"< {high:.3g}" if edge["edge"] == "min" else f"> {low:.3g}"
        return f"{name} {bound} ({status})"
    guess = "" if pd.isna(edge["estimate"]) else f" {edge['estimate']:.3g}?"
    return f"{name}{guess} {status}{why}"
