"""`grokmap boundaries`: where the grok wedge begins and ends, and what moves it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from grokmap.analysis import boundaries as wedge
from grokmap.classify import Criteria, read_criteria
from grokmap.cli.opened import EVERYWHERE, open_result
from grokmap.cli.outputs import file_name, name_of, outputs, print_files
from grokmap.cli.places import Where
from grokmap.result.boundaries import find
from grokmap.result.groups import rounded

NAME = "boundaries"
OPEN = (wedge.UNDECIDED, wedge.NOT_BRACKETED)


def find_boundaries(
    path: Path,
    x: str,
    y: str,
    criteria: str,
    budget: bool,
    as_json: bool,
    out: Path | None = None,
    where: Where = EVERYWHERE,
) -> None:
    """Prints the edges, alpha_c and the shift at half the budget; writes the table."""
    to = outputs(path, out)
    rules = read_criteria(criteria)
    result = open_result(path, where)
    boundaries = find(result, x, y, rules, budget)
    name = table_name(NAME, (x, y), rules, result.place)
    files = [to.table(boundaries.table, name, kind) for kind in ("parquet", "csv")]
    if as_json:
        tables = {"edges": boundaries.table, "critical": boundaries.critical}
        tables["shifts"] = boundaries.shifts
        rows = {k: json.loads(v.to_json(orient="records")) for k, v in tables.items()}
        print(json.dumps({"files": list(map(name_of, files)), **rows}))
        return
    _print(boundaries.table, boundaries.critical, x, y, boundaries.by)
    if boundaries.n_seeds == 1:
        print("(one seed: its edges; those of other seeds may be elsewhere)")
    if budget:
        _print_shifts(boundaries.shifts, x, boundaries.log)
    print_files(*files)


def table_name(
    name: str, axes: Sequence[str], rules: Criteria, place: Mapping[str, Any]
) -> str:
    """File name without suffix, telling the axes and rules unless they are default."""
    return file_name(with_axes(name, axes), rules, place)


def with_axes(name: str, axes: Sequence[str]) -> str:
    default = tuple(axes) == ("weight_decay", "alpha")
    return name if default else "-".join([name, *axes])


def _print(
    edges: pd.DataFrame, closing: pd.DataFrame, x: str, y: str, by: list[str]
) -> None:
    print(f"{x} at the edges of the grok wedge, P(grok) = 1/2, 95% intervals")
    shown = [_shown(edge) for edge in edges.to_dict("records")]
    wide = max(34, *(len(text) + 2 for text in shown))
    table = edges.assign(shown=shown)
    for place, row in table.groupby([*by, y], sort=False, dropna=False):
        pairs = zip([*by, y], place, strict=True)
        head = "  ".join(f"{k} {padded(v)}" for k, v in pairs)
        print(f"  {head}{''.join(f'{text:<{wide}}' for text in row['shown'])}".rstrip())
    for edge in closing.to_dict("records"):
        place = "".join(f"{k} {padded(edge[k]).strip()}: " for k in by)
        verb = "opens" if edge["edge"] == wedge.MIN else "closes"
        print(f"{place}the wedge {verb} at {y}: {_shown(edge)}")


def padded(value: Any) -> str:
    """A value of an axis in a column; - where it is not read."""
    if isinstance(value, str) or not pd.api.types.is_number(value):
        return f"{'-' if value is None else rounded(value):<9}"
    return f"{'-' if pd.isna(value) else format(value, '.4g'):<9}"


def _shown(edge: dict[str, Any]) -> str:
    low, high, status = edge["low"], edge["high"], edge["status"]
    if status == wedge.MEASURED:
        text = f"{edge['estimate']:.3g} [{low:.3g}, {high:.3g}]"
    elif np.isfinite(high):
        text = f"< {high:.3g} ({status})"
    elif np.isfinite(low):
        text = f"> {low:.3g} ({status})"
    else:
        text = f"{status}{_why(edge)}"
    return f"{edge['edge']} {text}"


def _why(edge: dict[str, Any]) -> str:
    """How many of a row's runs are censored, where these leave an edge open."""
    n, n_runs = edge["n_undecided"], edge["n_runs"]
    return f" ({n} of {n_runs} censored)" if n and edge["status"] in OPEN else ""


def _print_shifts(shifts: pd.DataFrame, x: str, log: bool) -> None:
    if shifts.empty:
        print("half of the budget: no edge is measured at both budgets")
        return
    for row in shifts.to_dict("records"):
        spread = f"{row['least']:.2f} to {row['most']:.2f} over {row['n_rows']} rows"
        by = f"a factor {row['shift']:.2f}" if log else f"{row['shift']:+.2f}"
        print(f"half of the budget moves {x} at {row['edge']} by {by} ({spread})")
    # What a budget of steps cuts off is decay times: of no other axis is that known.
    if log and x in ("weight_decay", "decay_rate"):
        print("(a real edge stays at 1; one that a step budget makes moves by 2, where")
        print(" t_grok goes as one over the weight decay)")
