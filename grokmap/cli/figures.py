"""`grokmap phase-diagram` and `curves`: load, draw, save, name the files."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from grokmap.classify import Criteria, read_criteria
from grokmap.cli.boundaries import table_name
from grokmap.cli.opened import open_result
from grokmap.cli.options import Figures
from grokmap.cli.outputs import outputs
from grokmap.cli.results import find_run
from grokmap.result import curves, groups, phase_diagram
from grokmap.result.phase_diagram import AT_T_MEM, DELAY_RATIO


class Diagram(NamedTuple):
    """What a phase diagram shows; see `result.phase_diagram.draw`."""

    x: str
    y: str
    colour: str
    when: str


def draw_phase_diagram(
    path: Path,
    diagram: Diagram,
    criteria: str,
    figures: Figures,
    out: Path | None,
    at: groups.Place | None = None,
) -> None:
    to = outputs(path, out, figures, figure_only=True)
    result = open_result(path)
    phase_diagram.check_colour(result, diagram.colour, diagram.when)
    rules = read_criteria(criteria)
    drawing = phase_diagram.draw(result, *diagram, rules, at, to.look)
    to.figure(drawing.figure, drawing.data, _name(diagram, rules, at))


def _name(diagram: Diagram, rules: Criteria, at: groups.Place | None) -> str:
    """File name without suffix, telling what differs from the default."""
    x, y, colour, when = diagram
    name = "phase-diagram"
    if (x, y) != ("weight_decay", "alpha"):
        name += f"-{x}-{y}"
    if colour != DELAY_RATIO:
        name += f"-{colour}" + ("-at-t_mem" if when == AT_T_MEM else "")
    # The axes stand there already.
    return table_name(name, "weight_decay", "alpha", rules, at)


def draw_curves(
    path: Path,
    wanted: list[str],
    show: str | None,
    criteria: str,
    figures: Figures,
    out: Path | None,
) -> None:
    to = outputs(path, out, figures, figure_only=True)
    rules = read_criteria(criteria)
    ids = [find_run(path, text) for text in wanted]
    names = None if show is None else [name.strip() for name in show.split(",")]
    drawing = curves.draw(open_result(path), ids, names, rules, to.look)
    named = [k[:8] if "=" in w else w for w, k in zip(wanted, ids, strict=True)]
    name = "-".join(["curves", *named[:3]])
    if rules.name != "default":
        name += f"-{rules.name}"
    to.figure(drawing.figure, drawing.data, name)
