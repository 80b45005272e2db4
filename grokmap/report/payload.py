"""All that a page shows of one result, as JSON and packed columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grokmap import store
from grokmap.classify import Criteria
from grokmap.report import runs as tables
from grokmap.report import words
from grokmap.report.curves import Curves, curves
from grokmap.report.edges import edges
from grokmap.report.packing import Packed, pack
from grokmap.report.surface import NOWHERE, Over, surface
from grokmap.result import again, groups
from grokmap.result.labels import rules_of
from grokmap.result.result import Result


class Payload(NamedTuple):
    """facts: what is not a column, as JSON has it; table: of the runs; curves; surface:
    planes of edges over several axes."""

    facts: dict[str, Any]
    table: Packed
    curves: Packed
    surface: Packed


def payload(
    result: Result,
    criteria: str | Criteria = "default",
    show: Sequence[str] | None = None,
    over: Over = NOWHERE,
) -> Payload:
    """What a page shows of a result.

    Args:
      show: order parameters that have curves (None: all there is room for).
      over: the axes over which edges are placed at once.

    Raises:
      ResultError: no sound plan. SpecError: no such criteria, or axes to be over.
    """
    rules = rules_of(criteria)
    runs, has_curves = tables.labelled(result, rules)
    kept = curves(result, runs, show)
    planes, packed = surface(result, over, rules)
    phases = words.phases(rules)
    names = [str(phase["name"]) for phase in phases]
    columns = tables.columns(runs, result.axes, names, _tiles(result))
    finals = tables.finals(runs, list(result.quantities))
    quantities = [name.partition(":")[2] for name in finals]
    table = pack(columns | finals)
    done = tables.done(runs)
    found, fitted = edges(result, done, rules.generalised)
    facts = {
        **_head(result, rules, runs, done),
        "phases": phases,
        "flags": list(tables.SHOWN_FLAGS),
        "axes": [_axis(result, runs, axis) for axis in result.axes],
        "quantities": [_quantity(result, name) for name in quantities],
        "edges": found,
        "fitted": fitted,
        "surface": planes,
        "command": again.frame(result.path, result.spec)._asdict() | {"run": again.RUN},
        "ids": _ids(runs),
        "curves": _said_of(kept) if has_curves else None,
        "layouts": {
            "table": table.layout,
            "curves": kept.packed.layout,
            "surface": packed.layout,
        },
    }
    return Payload(facts, table, kept.packed, packed)


def _head(
    result: Result, rules: Criteria, runs: pd.DataFrame, done: pd.DataFrame
) -> dict[str, Any]:
    counts = done["phase"].value_counts()
    return {
        "name": result.spec.name,
        "path": str(result.path),
        "criteria": rules.name,
        "planned": len(runs),
        "done": len(done),
        "counts": {name: int(counts.get(name, 0)) for name in rules.phases},
        "settings": tables.fixed(runs, result.axes),
        "decay_rate_is_log": bool(result.is_log("decay_rate", runs)),
    }


def _axis(result: Result, runs: pd.DataFrame, axis: Any) -> dict[str, Any]:
    values = tables.axis_values(runs, axis)
    return {
        "name": axis.name,
        "label": words.label(axis.name),
        "kind": axis.kind,
        "log": axis.is_log,
        "values": [v.item() if hasattr(v, "item") else v for v in values],
        "shown": [groups.rounded(value) for value in values],
        "settings": tables.settings(runs, axis),
    }


def _quantity(result: Result, name: str) -> dict[str, Any]:
    entry = result.quantities[name]
    return {
        "name": name,
        "label": words.label(name),
        "meaning": entry.meaning,
        "log": entry.log,
        "tells": entry.tells,
    }


def _said_of(kept: Curves) -> dict[str, Any]:
    return {
        "groups": kept.groups,
        "rate": kept.rate,
        "kept": kept.n_kept,
        "records": kept.n_records,
    }


def _tiles(result: Result) -> pd.Series:
    """By run id the tile that it was trained with, where that is known."""
    found = {
        run: origin.tile
        for ids, origin in store.origins(result.path)
        if origin.tile is not None
        for run in ids
    }
    return pd.Series(found, dtype=float)


def _ids(runs: pd.DataFrame) -> str:
    """All ids, one behind the other: they are of one length."""
    return "".join(np.asarray(runs["run_id"], str))
