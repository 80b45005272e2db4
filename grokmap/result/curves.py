"""Trajectories of a few runs of a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from grokmap import plot
from grokmap.classify import Criteria, read_criteria
from grokmap.errors import ResultError, SpecError, short
from grokmap.order_parameters import ALWAYS, OrderParameter
from grokmap.result import groups
from grokmap.result import theory as theories
from grokmap.result.caption import caption
from grokmap.result.drawing import Drawing
from grokmap.result.result import Result
from grokmap.spec.names import nearest

MOST_CURVES = 6  # order parameters drawn unless more are asked for


def draw(
    result: Result,
    runs: Sequence[str] = (),
    show: Sequence[str] | None = None,
    criteria: str | Criteria = "default",
    look: plot.Look = plot.PAPER,
    theory: str | None = None,
    say: theories.Say = theories.silent,
) -> Drawing:
    """Trajectories of some runs, a column each, with t_mem and t_grok.

    Args:
      runs: run ids, or how they begin (none: one run of each phase).
      show: order parameters (None: a few that tell phases apart).
      look: of `plot.look_of`.
      theory: whose losses and accuracies are drawn dashed over the measured ones, of
        `theory.THEORIES`; the table has them too.
      say: told how far the theory has come.

    Raises:
      SpecError: no such run, order parameter or theory, or a theory that does not
        cover the runs. ResultError: a run is not done.
    """
    rules = read_criteria(criteria) if isinstance(criteria, str) else criteria
    ids = [result.find(text) for text in runs]
    table = result.labelled(rules)
    chosen = _chosen(table, ids) if ids else _one_per_phase(table, rules.phases)
    records = result.records(None, chosen["run_id"].tolist())
    entries = {k: v for k, v in result.quantities.items() if k not in ALWAYS}
    logs = {name: entries[name].log for name in _shown(show, records, entries)}
    names = [n for n in (*plot.CURVES, *logs) if n in records]
    apart = list(dict.fromkeys([*(axis.name for axis in result.axes), "seed"]))
    words = caption(result, chosen, seeds=False)
    table = records[["run_id", "step", *names]]
    said = None
    if theory is not None:
        said = theories.records(result, chosen, records, theory, say)
        table = table.merge(said, on=["run_id", "step"], suffixes=("", f"_{theory}"))
    title = "" if theory is None else theories.theory_of(theory).title
    lines = plot.Predicted(title, said)
    figure = plot.curves(records, read(chosen, apart), logs, apart, look, words, lines)
    return Drawing(figure, table)


def read(runs: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """The runs, with null on axes that they do not read."""
    known = {name: runs[name].where(groups.is_read(runs, name)) for name in axes}
    return runs.assign(**known)


def _shown(
    show: Sequence[str] | None,
    records: pd.DataFrame,
    entries: Mapping[str, OrderParameter],
) -> list[str]:
    """Order parameters to draw: those named, or a few that tell phases apart.

    entries: those that there are.

    Raises:
      SpecError: a name that is not known.
    """
    if show is None:
        known = [n for n in entries if n in records]
        telling = [n for n in known if entries[n].tells]
        return (known if len(known) <= MOST_CURVES else telling)[:MOST_CURVES]
    for name in show:
        if name not in entries:
            near = nearest(name, entries)
            raise SpecError(f"--show {short(name)!r}: no order parameter; {near}")
    return list(show)


def _chosen(runs: pd.DataFrame, ids: list[str]) -> pd.DataFrame:
    missing = [name for name in ids if name not in set(runs["run_id"])]
    if missing:
        raise ResultError(f"run {missing[0]} is planned, but not done yet")
    return runs.set_index("run_id", drop=False).loc[ids]


def _one_per_phase(runs: pd.DataFrame, phases: Sequence[str]) -> pd.DataFrame:
    """The run in the middle of each phase, by decay rate."""
    rows = []
    for phase in dict.fromkeys(phases):
        same = runs[runs["phase"] == phase].sort_values(["decay_rate", "run_id"])
        if len(same):
            rows.append(same.iloc[[len(same) // 2]])
    return pd.concat(rows)
