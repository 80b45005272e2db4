"""Times and P(grok) of a result against one swept number."""

from __future__ import annotations

import numpy as np
import pandas as pd

from grokmap import plot
from grokmap.analysis.boundaries import outcomes
from grokmap.analysis.cells import probabilities, quartiles
from grokmap.classify import Criteria
from grokmap.errors import SpecError
from grokmap.plot.lines import MOST_LINES, Below, Line, LinePanel
from grokmap.plot.names import in_words
from grokmap.plot.one_axis import Axis, places
from grokmap.result import groups
from grokmap.result.caption import caption
from grokmap.result.drawing import Drawing
from grokmap.result.result import Result

MOST = 24  # panels
SHARES = ("p_grok", "p_grok_low", "p_grok_high")


def draw(
    result: Result,
    runs: pd.DataFrame,
    x: str,
    rules: Criteria,
    shading: plot.Shading | None = None,
    look: plot.Look = plot.PAPER,
) -> Drawing:
    """t_mem, t_grok and P(grok) against x, each with what its seeds leave open.

    The last of the other axes gives lines, where it has few enough values, those before
    it small multiples.

    Args:
      runs: labelled. x: a swept number, or decay_rate.
      shading: a column of the runs to draw below, with its median and quartiles.
      look: of `plot.look_of`.

    Raises:
      SpecError: x is not read by some runs, or there are too many panels.
    """
    rest = groups.others(result.axes, (x,))
    _check_read(runs, x)
    n_lines = len(groups.split(runs, rest[-1:])) if rest else 1
    by_line = rest[-1:] if n_lines <= MOST_LINES else ()
    panels, tables = [], []
    log = result.is_log(x, runs)
    for group in groups.split(runs, rest[: len(rest) - len(by_line)], MOST):
        lines = groups.split(group.runs, by_line)
        found = [table(line.runs, x, rules, shading) for line in lines]
        drawn = [
            line_of(_title(line), cells, line.runs, (x, log), rules)
            for line, cells in zip(lines, found, strict=True)
        ]
        panels.append(LinePanel(plot.place_words(group.place), drawn))
        tables += [
            groups.with_place(groups.with_place(cells, line), group)
            for line, cells in zip(lines, found, strict=True)
        ]
    axis = Axis(plot.axis_label(x, runs), log)
    below = None if shading is None else _below(shading)
    words = caption(result, runs)
    figure = plot.axis_lines(panels, axis, below, look, words)
    return Drawing(figure, pd.concat(tables, ignore_index=True))


def _title(line: groups.Group) -> str:
    """Of a line; of runs that do not read the axis of the lines, that."""
    unread = [f"no {in_words(name)}" for name, v in line.place.items() if v is None]
    return ", ".join([*filter(None, [plot.place_words(line.place)]), *unread])


def _below(shading: plot.Shading) -> Below:
    """What is drawn below; its legend says that medians are."""
    label = shading.label.replace(" (median over seeds)", "")
    label = label.replace(", median over seeds", "").replace(" of the run", "")
    words = f"{label.partition(' (')[0]}: median, quartiles"
    return Below(shading._replace(label=label), words)


def _check_read(runs: pd.DataFrame, x: str) -> None:
    unread = ~groups.is_read(runs, x)
    if unread.any():
        raise SpecError(
            f"{x} is not read by {int(unread.sum())} of {len(runs)} runs; choose those "
            "that read it by --at, or another --x"
        )


def table(
    runs: pd.DataFrame, x: str, rules: Criteria, shading: plot.Shading | None = None
) -> pd.DataFrame:
    """One row a value of x: n_runs, n_undecided; t_mem, t_grok and delay with their
    quartiles; p_grok with its interval (`analysis.cells`); value with its quartiles."""
    shares = probabilities(runs, [x], rules.generalised)
    shares = shares[[x, "n_runs", "n_undecided", *SHARES]]
    cells = shares.merge(quartiles(runs, [x], rules.generalised), on=x)
    if shading is None:
        return cells
    values = runs[shading.column].astype(float).replace([np.inf, -np.inf], np.nan)
    of_x = values.groupby(runs[x]).quantile([0.25, 0.5, 0.75]).unstack()
    ends = dict(zip(of_x.columns, ("low", "value", "high"), strict=True))
    return cells.merge(of_x.rename(columns=ends), left_on=x, right_index=True)


def line_of(
    title: str,
    cells: pd.DataFrame,
    runs: pd.DataFrame,
    axis: tuple[str, bool],
    rules: Criteria,
) -> Line:
    """A line as it is drawn; axis: x, and whether it is read as its log."""
    x, log = axis
    cells = cells.assign(x=cells[x], at=places(cells[x].to_numpy(float), log))
    where = cells.set_index("x")["at"]
    _, undecided = outcomes(runs, rules.generalised)
    columns = ["t_mem", "t_grok", "n_steps"]
    dots = (
        runs[columns].astype(float).assign(at=runs[x].map(where), undecided=undecided)
    )
    return Line(title, cells, dots, cells if "value" in cells else None)
