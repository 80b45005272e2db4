"""`grokmap phase-diagram` and `curves`: load, draw, save, name the files."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from grokmap import plot, store
from grokmap.analysis.boundaries import boundaries
from grokmap.analysis.series import values_at
from grokmap.classify import read_criteria
from grokmap.cli.outputs import outputs
from grokmap.cli.results import axis_is_log, criteria_with, find_run, load_runs
from grokmap.errors import ResultError, SpecError, short
from grokmap.order_parameters import HEALTH, ORDER_PARAMETERS
from grokmap.spec.names import nearest

MOST_CURVES = 6  # order parameters drawn unless more are asked for
DELAY_RATIO = plot.DELAY.column


FINAL, AT_T_MEM = "final", "t_mem"


class Diagram(NamedTuple):
    """What a phase diagram shows: its axes, and the quantity beside the phases.

    colour: delay_ratio or a recorded quantity, at `final` or `t_mem`.
    """

    x: str
    y: str
    colour: str
    at: str

    @property
    def name(self) -> str:
        """File name without suffix, telling what differs from the default."""
        name = "phase-diagram"
        if (self.x, self.y) != ("weight_decay", "alpha"):
            name += f"-{self.x}-{self.y}"
        if self.colour != DELAY_RATIO:
            name += f"-{self.colour}" + ("-at-t_mem" if self.at == AT_T_MEM else "")
        return name


def draw_phase_diagram(
    path: Path, diagram: Diagram, criteria: str, formats: str, out: Path | None
) -> None:
    to = outputs(path, out, formats, figure_only=True)
    colour = diagram.colour
    _check_colour(colour, diagram.at)
    wanted = (
        store.LABELS_READ if colour == DELAY_RATIO else (*store.LABELS_READ, colour)
    )
    rules = criteria_with(criteria, plot.GENERALISED)
    runs = load_runs(path, rules, wanted)
    shading = plot.DELAY
    if colour != DELAY_RATIO:
        runs, shading = _shaded(path, runs, colour, diagram.at)
    figure = plot.phase_diagram(
        runs, diagram.x, diagram.y, shading, _edges(path, runs, diagram)
    )
    name = diagram.name
    if rules.name != "default":
        name += f"-{rules.name}"
    cells = plot.diagram_cells(runs, diagram.x, diagram.y, shading)
    to.figure(figure, cells, name)


def _edges(path: Path, runs: pd.DataFrame, diagram: Diagram) -> pd.DataFrame | None:
    """The edges of the wedge along x; None on an axis that has no grid of its own."""
    if "decay_rate" in (diagram.x, diagram.y):
        return None
    by = plot.multiples(runs, diagram.x, diagram.y)
    log = axis_is_log(path, runs, diagram.x)
    axes = (diagram.x, diagram.y, by, plot.GENERALISED)
    return boundaries(runs, *axes, log=log)


def _check_colour(colour: str, at: str) -> None:
    known = (DELAY_RATIO, *ORDER_PARAMETERS, *HEALTH)
    if colour not in known:
        raise SpecError(f"--colour {short(colour)!r}; {nearest(colour, known)}")
    if at not in (FINAL, AT_T_MEM):
        raise SpecError(f"--at {short(at)!r}; known: {FINAL}, {AT_T_MEM}")


def _shaded(
    path: Path, runs: pd.DataFrame, colour: str, at: str
) -> tuple[pd.DataFrame, plot.Shading]:
    """Runs with the column that colours the cells, and how it is drawn.

    Raises:
      ResultError: no run has a value.
    """
    entry = {**ORDER_PARAMETERS, **HEALTH}[colour]
    column = f"final_{colour}"
    if column not in runs or runs[column].isna().all():
        raise ResultError(f"{path}: {colour} was not recorded, or is undefined here")
    when = "at the end of the run"
    if at == AT_T_MEM:
        when = r"at $t_{\mathrm{mem}}$"
        trajectories, _ = store.read_trajectories(path, [colour])
        values = values_at(trajectories, runs, colour, "t_mem")
        column, runs = "colour", runs.assign(colour=values)
    label = f"${entry.symbol}$ {when} (median over seeds)"
    return runs, plot.Shading(column, label, entry.log)


def draw_curves(
    path: Path,
    wanted: list[str],
    show: str | None,
    criteria: str,
    formats: str,
    out: Path | None,
) -> None:
    to = outputs(path, out, formats, figure_only=True)
    rules = read_criteria(criteria)
    ids = [find_run(path, prefix) for prefix in wanted]
    runs = load_runs(path, rules)
    chosen = _chosen(runs, ids) if ids else _one_per_phase(runs, rules.phases)
    trajectories, _ = store.read_trajectories(path, None, chosen["run_id"].tolist())
    logs = {name: ORDER_PARAMETERS[name].log for name in _shown(show, trajectories)}
    figure = plot.curves(trajectories, chosen, logs)
    named = [k[:8] if "=" in w else w for w, k in zip(wanted, ids, strict=True)]
    name = "-".join(["curves", *named[:3]])
    if rules.name != "default":
        name += f"-{rules.name}"
    shown = [*plot.CURVES, *logs]
    drawn = trajectories[["run_id", "step", *(n for n in shown if n in trajectories)]]
    to.figure(figure, drawn, name)


def _shown(show: str | None, trajectories: pd.DataFrame) -> list[str]:
    """Order parameters to draw: those named, or a few that tell phases apart.

    Raises:
      SpecError: a name that is not known.
    """
    if show is None:
        known = [n for n in ORDER_PARAMETERS if n in trajectories]
        telling = [n for n in known if ORDER_PARAMETERS[n].tells]
        return (known if len(known) <= MOST_CURVES else telling)[:MOST_CURVES]
    names = [name.strip() for name in show.split(",")]
    for name in names:
        if name not in ORDER_PARAMETERS:
            near = nearest(name, ORDER_PARAMETERS)
            raise SpecError(f"--show {short(name)!r}: no order parameter; {near}")
    return names


def _chosen(runs: pd.DataFrame, ids: list[str]) -> pd.DataFrame:
    missing = [name for name in ids if name not in set(runs["run_id"])]
    if missing:
        raise ResultError(f"run {missing[0]} is planned, but not done yet")
    return runs.set_index("run_id", drop=False).loc[ids]


def _one_per_phase(runs: pd.DataFrame, phases: tuple[str, ...]) -> pd.DataFrame:
    """The run in the middle of each phase, by decay rate."""
    rows = []
    for phase in dict.fromkeys(phases):
        own = runs[runs["phase"] == phase].sort_values(["decay_rate", "run_id"])
        if len(own):
            rows.append(own.iloc[[len(own) // 2]])
    return pd.concat(rows)
