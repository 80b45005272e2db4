"""`grokmap phase-diagram` and `curves`: load, draw, save, name the files."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from grokmap import plot, store
from grokmap.classify import read_criteria
from grokmap.cli.opened import open_result
from grokmap.cli.outputs import outputs
from grokmap.cli.results import find_run, load_runs
from grokmap.errors import ResultError, SpecError, short
from grokmap.order_parameters import HEALTH, OrderParameter
from grokmap.result import phase_diagram
from grokmap.result.phase_diagram import AT_T_MEM, DELAY_RATIO
from grokmap.spec.names import nearest

MOST_CURVES = 6  # order parameters drawn unless more are asked for


class Diagram(NamedTuple):
    """What a phase diagram shows; see `result.phase_diagram.draw`."""

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
    result = open_result(path)
    phase_diagram.check_colour(result, diagram.colour, diagram.at)
    rules = read_criteria(criteria)
    drawing = phase_diagram.draw(result, *diagram, rules)
    name = diagram.name
    if rules.name != "default":
        name += f"-{rules.name}"
    to.figure(drawing.figure, drawing.data, name)


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
    order_parameters = {
        name: entry
        for name, entry in open_result(path).quantities.items()
        if name not in HEALTH
    }
    shown = _shown(show, trajectories, order_parameters)
    logs = {name: order_parameters[name].log for name in shown}
    figure = plot.curves(trajectories, chosen, logs)
    named = [k[:8] if "=" in w else w for w, k in zip(wanted, ids, strict=True)]
    name = "-".join(["curves", *named[:3]])
    if rules.name != "default":
        name += f"-{rules.name}"
    columns = [n for n in (*plot.CURVES, *logs) if n in trajectories]
    drawn = trajectories[["run_id", "step", *columns]]
    to.figure(figure, drawn, name)


def _shown(
    show: str | None, trajectories: pd.DataFrame, entries: dict[str, OrderParameter]
) -> list[str]:
    """Order parameters to draw: those named, or a few that tell phases apart.

    entries: those that there are.

    Raises:
      SpecError: a name that is not known.
    """
    if show is None:
        known = [n for n in entries if n in trajectories]
        telling = [n for n in known if entries[n].tells]
        return (known if len(known) <= MOST_CURVES else telling)[:MOST_CURVES]
    names = [name.strip() for name in show.split(",")]
    for name in names:
        if name not in entries:
            near = nearest(name, entries)
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
