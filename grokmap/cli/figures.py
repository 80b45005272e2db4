"""`grokmap phase-diagram` and `curves`: load, draw, save, name the files."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from grokmap.classify import Criteria, read_criteria
from grokmap.cli.boundaries import with_axes
from grokmap.cli.opened import EVERYWHERE, open_result, say
from grokmap.cli.options import Figures
from grokmap.cli.outputs import file_name, outputs
from grokmap.cli.places import Where
from grokmap.cli.results import run_of
from grokmap.result import Result, curves, phase_diagram, planes, shading
from grokmap.result.theory import theory_of


class Diagram(NamedTuple):
    """What a phase diagram shows; see `result.phase_diagram.draw`."""

    x: str | None
    y: str | None
    colour: str
    when: str
    theory: str | None = None


def draw_phase_diagram(
    path: Path,
    diagram: Diagram,
    criteria: str,
    figures: Figures,
    out: Path | None,
    where: Where = EVERYWHERE,
) -> None:
    to = outputs(path, out, figures, figure_only=True)
    result = open_result(path, where)
    shading.check(result, diagram.colour, diagram.when)
    check_theory(diagram.theory)
    rules = read_criteria(criteria)
    x, y, colour, when, theory = diagram
    drawing = phase_diagram.draw(
        result, x, y, colour, when, rules, look=to.look, theory=theory, say=say
    )
    to.figure(drawing.figure, drawing.data, _name(result, diagram, rules))


def _name(result: Result, diagram: Diagram, rules: Criteria) -> str:
    """File name without suffix, telling what differs from the default."""
    colour, when = diagram.colour, diagram.when
    axes = planes.chosen(result.axes, diagram.x, diagram.y)
    name = with_axes("phase-diagram", [k for k in axes if k])
    if colour != shading.DELAY_RATIO:
        name += f"-{colour}" + ("-at-t_mem" if when == shading.AT_T_MEM else "")
    name += f"-{diagram.theory}" if diagram.theory else ""
    return file_name(name, rules, result.place)


def check_theory(theory: str | None) -> None:
    """Before a result is read for it.

    Raises:
      SpecError: no such theory.
    """
    if theory is not None:
        theory_of(theory)


def draw_curves(
    path: Path,
    wanted: list[str],
    show: str | None,
    criteria: str,
    figures: Figures,
    out: Path | None,
    where: Where = EVERYWHERE,
    theory: str | None = None,
) -> None:
    to = outputs(path, out, figures, figure_only=True)
    rules = read_criteria(criteria)
    result = open_result(path, where)
    ids = [run_of(result, text) for text in wanted]
    check_theory(theory)
    names = None if show is None else [name.strip() for name in show.split(",")]
    drawing = curves.draw(result, ids, names, rules, to.look, theory, say)
    named = [k[:8] if "=" in w else w for w, k in zip(wanted, ids, strict=True)]
    parts = ["curves", *named[:3], *([theory] if theory else [])]
    name = file_name("-".join(parts), rules, result.place)
    to.figure(drawing.figure, drawing.data, name)
