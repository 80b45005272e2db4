"""P(phase) and t_grok in each cell of a result, and labels that other bars change."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import pandas as pd

from grokmap import plot
from grokmap.analysis.cells import probabilities, sensitivity
from grokmap.classify import CRITERIA, Criteria
from grokmap.result import groups
from grokmap.result.caption import caption
from grokmap.result.drawing import Drawing
from grokmap.result.labels import rules_of
from grokmap.result.result import Result

BARS = (0.9, 0.95, 0.99)  # of test accuracy, and of train accuracy


class Uncertainty(NamedTuple):
    """What the seeds of each cell leave open.

    table: one row a cell: the other axes, y, x, then the columns of
      `analysis.cells.probabilities` and `sensitivity`; maps: the same for each place on
      the other axes, with its runs; caption: what is fixed in them.
    """

    table: pd.DataFrame
    maps: list[plot.Map]
    plane: plot.Plane
    caption: str = ""


def find(
    result: Result,
    x: str = "weight_decay",
    y: str = "alpha",
    criteria: str | Criteria = "default",
    at: groups.Place | None = None,
) -> Uncertainty:
    """P(phase) and t_grok with intervals, and the share of runs other rules relabel.

    Args:
      x, y: swept numbers, or decay_rate.
      at: the values of other axes, as in {"depth": 2}; without, each has its own cells.

    Raises:
      SpecError: x or y is no swept number. ResultError: nothing is finished.
    """
    rules, result = rules_of(criteria), result.at(at)
    labels = {name: result.labelled(other) for name, other in others(rules).items()}
    runs = labels[rules.name]
    places, _ = groups.panels(runs, result.axes, x, y, groups.MOST)
    tables = [_cells(group, labels, [y, x], rules) for group in places]
    maps = [
        plot.Map(plot.place_words(group.place), group.runs, cells)
        for group, cells in zip(places, tables, strict=True)
    ]
    table = pd.concat(tables, ignore_index=True)
    drawn = pd.concat([group.runs for group in places])
    plane = result.plane(x, y, runs)
    return Uncertainty(table, maps, plane, caption(result, drawn))


def draw(cells: Uncertainty, look: plot.Look = plot.PAPER) -> Drawing:
    """A row of four maps for each place on the other axes."""
    figure = plot.uncertainty_maps(cells.maps, cells.plane, look, cells.caption)
    return Drawing(figure, cells.table)


def _cells(
    group: groups.Group,
    labels: dict[str, pd.DataFrame],
    axes: list[str],
    rules: Criteria,
) -> pd.DataFrame:
    phases = list(dict.fromkeys(labels[rules.name]["phase"]))
    cells = probabilities(group.runs, axes, rules.generalised, phases=phases)
    ids = group.runs["run_id"]
    here = {name: runs[runs["run_id"].isin(ids)] for name, runs in labels.items()}
    return groups.with_place(cells.merge(sensitivity(here, axes), on=axes), group)


def others(rules: Criteria) -> dict[str, Criteria]:
    """The rules, and those that differ from them in one bar, or are a preset's."""
    named = {rules.name: rules}
    for field in ("train_bar", "test_bar"):
        for bar in BARS:
            if bar != getattr(rules, field):
                change: dict[str, Any] = {field: bar}
                named[f"{field}={bar}"] = dataclasses.replace(rules, **change)
    for name, preset in CRITERIA.items():
        if name != rules.name and preset.judged == rules.judged:
            # The same names, so that only what is decided differs.
            named[name] = dataclasses.replace(preset, phases=rules.phases)
    return named
