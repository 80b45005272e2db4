"""The phase diagram and, beside it, the map of t_grok / t_mem."""

from __future__ import annotations

from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PatchCollection
from matplotlib.colors import LogNorm, Normalize, to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from grokmap.errors import SpecError
from grokmap.plot.cells import Cells, boundary, gather
from grokmap.plot.figure import Figure
from grokmap.plot.style import COLOURS, GENERALISED, styled
from grokmap.plot.ticks import label_bar, label_log, numbers, round_values

AXES = (
    "alpha",
    "weight_decay",
    "decay_rate",
    "train_fraction",
    "width",
    "modulus",
    "learning_rate",
    "momentum",
    "beta1",
    "beta2",
    "epsilon",
    "ramp_factor",
    "ramp_steps",
)
LABELS = {
    "weight_decay": r"weight decay $\lambda$",
    "decay_rate": r"decay rate $r$ (per step)",
    "train_fraction": r"train fraction",
    "width": r"width $N$",
    "modulus": r"modulus $p$",
    "learning_rate": r"learning rate $\eta$",
    "momentum": r"momentum $\beta$",
    "beta1": r"$\beta_1$",
    "beta2": r"$\beta_2$",
    "epsilon": r"$\epsilon$",
    "ramp_factor": r"ramp factor $\lambda_{\mathrm{max}} / \lambda$",
    "ramp_steps": "ramp steps",
}
ALPHA_LABELS = {
    "laziness": r"$\alpha$,  $f = N^{\alpha-1}\Sigma_j\, a_j\,\sigma(w_j\cdot x)$",
    "literal": r"$\alpha$,  $f = N^{-\alpha}\Sigma_j\, a_j\,\sigma(w_j\cdot x)$",
    "output_scale": r"$\alpha$,  $f = (\alpha/N)\Sigma_j\, a_j\,\sigma(w_j\cdot x)$",
    "init_scale": r"$\alpha$ (all initial weights $\times\,\alpha$)",
    "survey_code": r"$\alpha$,  $f = \Sigma_j\, a_j\,\sigma(N^{-\alpha} w_j\cdot x)$",
}


class Shading(NamedTuple):
    """The quantity that colours the map: a column of the runs, its label, its scale."""

    column: str
    label: str
    log: bool


DELAY = Shading(
    "delay_ratio", r"$t_{\mathrm{grok}} / t_{\mathrm{mem}}$ (median over seeds)", True
)


def swept_axes(runs: pd.DataFrame) -> list[str]:
    """The axes with more than one value in `runs`, `decay_rate` aside."""
    return [
        axis
        for axis in AXES
        if axis != "decay_rate" and axis in runs and runs[axis].nunique() > 1
    ]


def multiples(runs: pd.DataFrame, x: str, y: str) -> list[str]:
    """The swept axes beside x and y, each of which gives small multiples.

    Raises:
      SpecError: x or y is not swept, or more than two others are.
    """
    _, columns, rows = _panels(runs, x, y)
    return [m.axis for m in (columns, rows) if m.axis]


def phase_diagram(
    runs: pd.DataFrame,
    x: str = "weight_decay",
    y: str = "alpha",
    shading: Shading = DELAY,
    edges: pd.DataFrame | None = None,
) -> Figure:
    """The phase diagram and, beside it, the map of t_grok / t_mem.

    Args:
      runs: classified runs (`classify`), one row each.
      x, y: two different axes; every other swept one gives small multiples.
      shading: the quantity of the map, instead of t_grok / t_mem.
      edges: `boundaries.boundaries` of the runs along x, drawn with their intervals.

    Raises:
      SpecError: an axis that is not swept, or more than two others that are.
    """
    panels, columns, rows = _panels(runs, x, y)
    with styled():
        wide = len(columns.values) <= 2
        figure = _diagram_figure(len(columns.values), len(rows.values), wide)
        halves: Any = figure.subfigures(1, 2) if wide else figure.subfigures(2, 1)
        norm = _norm(runs, shading)
        shape = (len(rows.values), len(columns.values))
        for half, draw in zip(halves, (_draw_phases, _draw_shades), strict=True):
            axes = half.subplots(*shape, squeeze=False, sharex=True, sharey=True)
            for (i, j), panel in panels.items():
                cells = gather(panel, x, y, shading.column)
                draw(axes[i, j], cells, norm)
                if edges is not None and draw is _draw_phases:
                    _draw_edges(axes[i, j], _of_panel(edges, panel, y))
                _label_panel(axes[i, j], runs, x, y, (i, j), shape, columns, rows)
                scale(axes[i, j], cells)
        drawn = edges is not None and edges[["low", "high"]].notna().any(axis=None)
        _phase_legend(figure, runs, bool(drawn), wide)
        _shade_bar(halves[1], norm, shading)
    return figure


def diagram_cells(
    runs: pd.DataFrame,
    x: str = "weight_decay",
    y: str = "alpha",
    shading: Shading = DELAY,
) -> pd.DataFrame:
    """What `phase_diagram` draws: one row a cell, its small multiple's axes first."""
    panels, _, _ = _panels(runs, x, y)
    by = multiples(runs, x, y)
    tables = []
    for panel in panels.values():
        cells = gather(panel, x, y, shading.column).table
        cells = cells.rename(columns={"x": x, "y": y, "shade": shading.column})
        own = {axis: panel[axis].iloc[0] for axis in by}
        tables.append(pd.DataFrame(own, index=cells.index).join(cells))
    return pd.concat(tables, ignore_index=True)


class _Multiples(NamedTuple):
    """One direction of the small multiples; axis None where nothing is swept."""

    axis: str | None
    values: list[Any]


def _panels(
    runs: pd.DataFrame, x: str, y: str
) -> tuple[dict[tuple[int, int], pd.DataFrame], _Multiples, _Multiples]:
    swept = swept_axes(runs)
    if len(swept) < 2:
        raise SpecError(
            f"{swept[0] if swept else 'no axis'} has several values here: a diagram "
            "needs two such axes, for --x and --y"
        )
    for axis in (x, y):
        known = [*swept, "decay_rate"]
        if axis not in known:
            swept_words = ", ".join(known) if swept else "nothing"
            raise SpecError(
                f"axis {axis!r} is not swept; choose --x and --y among: {swept_words}"
            )
    if x == y or {x, y} == {"weight_decay", "decay_rate"}:
        raise SpecError(f"--x {x} and --y {y} are one axis; choose two different ones")
    rest = [axis for axis in swept if axis not in (x, y)]
    if "decay_rate" in (x, y) and "weight_decay" in rest:
        rest.remove("weight_decay")
    if len(rest) > 2:
        raise SpecError(f"{', '.join(rest)} are swept as well; at most two multiples")
    columns, rows = (
        _Multiples(axis, sorted(runs[axis].unique()) if axis else [None])
        for axis in [*rest, None, None][:2]
    )
    panels = {}
    for i, row in enumerate(rows.values):
        for j, column in enumerate(columns.values):
            chosen = np.ones(len(runs), bool)
            for name, value in ((rows.axis, row), (columns.axis, column)):
                if name:
                    chosen &= (runs[name] == value).to_numpy()
            panels[i, j] = runs[chosen]
    return panels, columns, rows


def _rectangles(cells: pd.DataFrame) -> list[Rectangle]:
    return [
        Rectangle((c.x_low, c.y_low), c.x_high - c.x_low, c.y_high - c.y_low)
        for c in cells.itertuples()
    ]


def _draw_phases(axes: Axes, cells: Cells, norm: Normalize) -> None:
    """Phases in colour, P(grok) as opacity, censored cells hatched, the boundary."""
    table = cells.table
    colours = [_blend(c) for c in table.itertuples()]
    axes.add_collection(
        PatchCollection(_rectangles(table), facecolors=colours, linewidths=0)
    )
    hatch_censored(axes, table, "#333333")
    _draw_boundary(axes, table)


def hatch_censored(axes: Axes, table: pd.DataFrame, colour: str) -> None:
    axes.add_collection(
        PatchCollection(
            _rectangles(table[table["censored"] >= 0.5]),
            facecolors="none",
            edgecolors=colour,
            hatch="////",
            linewidths=0,
        )
    )


def _draw_boundary(axes: Axes, table: pd.DataFrame) -> None:
    for start, end in boundary(table):
        line = np.array([start, end]).T
        axes.plot(*line, color="black", linewidth=1.4, solid_capstyle="projecting")


def _of_panel(edges: pd.DataFrame, panel: pd.DataFrame, y: str) -> pd.DataFrame:
    """The edges of one small multiple; y comes under that name."""
    names = list(edges.columns[: edges.columns.get_loc("edge")])
    for name in names:
        if name != y:
            edges = edges[edges[name] == panel[name].iloc[0]]
    return edges.rename(columns={y: "y"})


def _draw_edges(axes: Axes, edges: pd.DataFrame) -> None:
    """Measured edges with their intervals; bounds as arrows to where the edge is."""
    known = edges[edges["estimate"].notna()]
    ends = [known["estimate"] - known["low"], known["high"] - known["estimate"]]
    style: Any = {"color": "black", "markeredgecolor": "white", "markeredgewidth": 0.5}
    axes.errorbar(
        known["estimate"], known["y"], xerr=ends, fmt="o", ms=3, elinewidth=0.9, **style
    )
    for end, marker in (("high", 8), ("low", 9)):  # 8, 9: carets to the left, right
        bound = edges[edges["estimate"].isna() & np.isfinite(edges[end])]
        axes.plot(
            bound[end], bound["y"], linestyle="none", marker=marker, ms=5, **style
        )


def _blend(cell: Any) -> tuple[float, float, float]:
    """Colour of the commonest phase; what generalises at opacity P(grok) on white."""
    colour = to_rgb(COLOURS.get(cell.phase, "#CC79A7"))
    if cell.p_grok == 0:
        return colour
    top = to_rgb(COLOURS[cell.top])
    red, green, blue = (cell.p_grok * c + 1 - cell.p_grok for c in top)
    return red, green, blue


def _draw_shades(axes: Axes, cells: Cells, norm: Normalize) -> None:
    """The median of a quantity in each cell; blank where no run has it."""
    table = cells.table[np.isfinite(cells.table["shade"])]
    axes.set_facecolor("#EEEEEE")
    shade(axes, table, "shade", norm)
    if table.empty:
        say_nothing(axes, "no run has it")
    else:
        # A quantity of a run that its budget cut short would still move.
        hatch_censored(axes, table, "#BBBBBB")
    _draw_boundary(axes, cells.table)


def say_nothing(axes: Axes, why: str) -> None:
    """Words in a panel that has nothing to show."""
    axes.text(0.5, 0.5, why, transform=axes.transAxes, ha="center", va="center")


def shade(axes: Axes, table: pd.DataFrame, name: str, norm: Normalize) -> None:
    """Colours cells by one of their columns."""
    colours = mpl.colormaps["viridis"](norm(table[name].to_numpy()))
    axes.add_collection(
        PatchCollection(_rectangles(table), facecolors=colours, linewidths=0)
    )


def _norm(runs: pd.DataFrame, shading: Shading) -> Normalize:
    values = runs[shading.column].astype(float)
    values = values[np.isfinite(values) & ((values > 0) | (not shading.log))]
    kind = LogNorm if shading.log else Normalize
    if len(values) == 0:
        return kind(1, 10)
    low, high = float(values.min()), float(values.max())
    return kind(low, high if high > low else low + (abs(low) or 1) / 10, clip=True)


def scale(axes: Axes, cells: Cells) -> None:
    """Limits, log scales and ticks; zero on a log axis is marked as 0."""
    table = cells.table
    for axis, log in (("x", cells.x_log), ("y", cells.y_log)):
        limits = table[f"{axis}_low"].min(), table[f"{axis}_high"].max()
        if log:
            getattr(axes, f"set_{axis}scale")("log")
            label_log(getattr(axes, f"{axis}axis"))
            _mark_zero(axes, axis, table)
        getattr(axes, f"set_{axis}lim")(*limits)
    axes.tick_params(which="minor", length=2)


def _mark_zero(axes: Axes, axis: str, table: pd.DataFrame) -> None:
    side = getattr(axes, f"{axis}axis")
    zero = table[table[axis] == 0]
    if len(zero) == 0:
        return
    row = zero.iloc[0]
    at = float(np.sqrt(row[f"{axis}_low"] * row[f"{axis}_high"]))
    smallest = table.loc[table[axis] > 0, axis].min()
    ticks = round_values(smallest, table[axis].max())
    side.set_ticks([at, *ticks], labels=["0", *numbers(ticks)])


def axis_label(axis: str, runs: pd.DataFrame) -> str:
    if axis == "alpha":
        return ALPHA_LABELS.get(runs["alpha_convention"].iloc[0], r"$\alpha$")
    return LABELS[axis]


def _label_panel(
    axes: Axes,
    runs: pd.DataFrame,
    x: str,
    y: str,
    place: tuple[int, int],
    shape: tuple[int, int],
    columns: _Multiples,
    rows: _Multiples,
) -> None:
    i, j = place
    if i == shape[0] - 1:
        axes.set_xlabel(axis_label(x, runs))
    if j == 0:
        axes.set_ylabel(axis_label(y, runs))
    names = [
        f"{axis_label(m.axis, runs)} = {m.values[k]:g}"
        for m, k in ((columns, j), (rows, i))
        if m.axis
    ]
    if names:
        axes.set_title(",  ".join(names), fontsize=7)


def _diagram_figure(columns: int, rows: int, wide: bool) -> Figure:
    """Empty, for both halves: side by side if `wide`, else one above the other."""
    width = (3.5 if columns == 1 else 2.5 * columns) * (2 if wide else 1)
    height = (2.9 if rows == 1 else 2.1 * rows) * (1 if wide else 2)
    return Figure(figsize=(width, height + 0.4), layout="constrained")


def _phase_legend(figure: Figure, runs: pd.DataFrame, edges: bool, wide: bool) -> None:
    """Above both halves, so that their rows are of one height."""
    present = [name for name in COLOURS if name in set(runs["phase"])]
    handles: list[Any] = [
        Patch(facecolor=COLOURS[name], label=_legend_name(name)) for name in present
    ]
    if runs["censored"].any():
        handles.append(
            Patch(
                facecolor="white", edgecolor="#333333", hatch="////", label="censored"
            )
        )
    handles.append(Line2D([], [], color="black", linewidth=1.4, label="P(grok) = ½"))
    if edges:
        line: Any = {"color": "black", "linewidth": 0.9, "ms": 3}
        handles.append(
            Line2D([], [], marker="o", label="fit, 95%; arrow: bound", **line)
        )
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=6 if wide else 3,
        frameon=False,
        fontsize=6.5,
        handlelength=1.2,
        columnspacing=0.8,
    )


def _legend_name(phase: str) -> str:
    return f"{phase} (opacity: share)" if phase in GENERALISED else phase


def _shade_bar(half: Any, norm: Normalize, shading: Shading) -> None:
    bar = half.colorbar(ScalarMappable(norm, "viridis"), ax=half.axes, shrink=0.9)
    bar.set_label(shading.label)
    if shading.log:
        label_bar(bar, norm.vmin or 1.0, norm.vmax or 10.0)
