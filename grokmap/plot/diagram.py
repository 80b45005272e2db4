"""The phase diagram and, beside it, the map of t_grok / t_mem."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
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

from grokmap.plot.cells import Cells, Plane, boundary, gather
from grokmap.plot.figure import Figure
from grokmap.plot.style import Phases, styled
from grokmap.plot.ticks import label_bar, label_log, numbers, round_values

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


class PhasePanel(NamedTuple):
    """One of the small multiples.

    title: where its runs are on the axes that are not drawn. runs: classified, one row
    each. edges: `analysis.boundaries.boundaries` of them along x, drawn with their
    intervals; None: not known.
    """

    title: str
    runs: pd.DataFrame
    edges: pd.DataFrame | None = None


def phase_diagram(
    panels: Sequence[PhasePanel],
    plane: Plane,
    phases: Phases,
    shading: Shading = DELAY,
    columns: int = 1,
) -> Figure:
    """The phase diagram and, beside it, the map of t_grok / t_mem.

    Args:
      panels: small multiples, row by row, `columns` in each.
      shading: the quantity of the map, instead of t_grok / t_mem.
    """
    runs = pd.concat([panel.runs for panel in panels])
    shape = (-(-len(panels) // columns), columns)
    norm = _norm(runs, shading)
    with styled():
        wide = columns <= 2
        figure = _diagram_figure(columns, shape[0], wide)
        halves: Any = figure.subfigures(1, 2) if wide else figure.subfigures(2, 1)
        for half, right in zip(halves, (False, True), strict=True):
            axes = half.subplots(*shape, squeeze=False, sharex=True, sharey=True)
            for place, panel in zip(axes.flat, panels, strict=False):
                cells = gather(panel.runs, plane, shading.column, phases.grokked)
                if right:
                    _draw_shades(place, cells, norm)
                else:
                    draw_phases(place, cells, phases)
                    _draw_edges(place, panel.edges, plane.y)
                place.set_title(wrapped(panel.title), fontsize=7)
                scale(place, cells)
            label_grid(axes, len(panels), (axis_label(k, runs) for k in plane[:2]))
        drawn = any(_has_intervals(panel.edges) for panel in panels)
        _phase_legend(figure, runs, phases, drawn, wide)
        _shade_bar(halves[1], norm, shading)
    return figure


def wrapped(title: str) -> str:
    """A title in lines that fit above a panel."""
    return "\n".join(textwrap.wrap(title, 38, break_on_hyphens=False))


def _has_intervals(edges: pd.DataFrame | None) -> bool:
    return edges is not None and bool(edges[["low", "high"]].notna().any(axis=None))


def label_grid(axes: Any, n_panels: int, labels: Iterable[str]) -> None:
    """Labels the outer sides of a grid of panels, of which the last row may be short.

    axes: [rows, columns]; labels: of x and of y.
    """
    x_label, y_label = labels
    columns = axes.shape[1]
    for i, place in enumerate(axes.flat):
        place.set_visible(i < n_panels)
        if i + columns >= n_panels:  # nothing below it
            place.set_xlabel(x_label)
            place.tick_params(labelbottom=True)
        if i % columns == 0:
            place.set_ylabel(y_label)


def diagram_cells(
    runs: pd.DataFrame, plane: Plane, phases: Phases, shading: Shading = DELAY
) -> pd.DataFrame:
    """What one panel of `phase_diagram` shows: one row a cell."""
    cells = gather(runs, plane, shading.column, phases.grokked).table
    return cells.rename(columns={"x": plane.x, "y": plane.y, "shade": shading.column})


def _rectangles(cells: pd.DataFrame) -> list[Rectangle]:
    return [
        Rectangle((c.x_low, c.y_low), c.x_high - c.x_low, c.y_high - c.y_low)
        for c in cells.itertuples()
    ]


def draw_phases(axes: Axes, cells: Cells, phases: Phases) -> None:
    """Phases in colour, P(grok) as opacity, censored cells hatched, a ring where a run
    came to rest halfway, the boundary."""
    table = cells.table
    colours = [_blend(c, phases.colours) for c in table.itertuples()]
    axes.add_collection(
        PatchCollection(_rectangles(table), facecolors=colours, linewidths=0)
    )
    hatch_censored(axes, table, "#333333")
    _ring_partial(axes, table)
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


RING: dict[str, Any] = {
    **{"linestyle": "none", "marker": "o", "markersize": 3.5},
    **{"markerfacecolor": "white", "markeredgecolor": "black"},
}


def _ring_partial(axes: Axes, table: pd.DataFrame) -> None:
    cells = table[table["partial"] > 0]
    middle = [(cells[f"{a}_low"] + cells[f"{a}_high"]) / 2 for a in ("x", "y")]
    axes.plot(*middle, **RING)


def _draw_boundary(axes: Axes, table: pd.DataFrame) -> None:
    for start, end in boundary(table):
        line = np.array([start, end]).T
        axes.plot(*line, color="black", linewidth=1.4, solid_capstyle="projecting")


def _draw_edges(axes: Axes, edges: pd.DataFrame | None, y: str) -> None:
    """Measured edges with their intervals; bounds as arrows to where the edge is."""
    if edges is None:
        return
    edges = edges.rename(columns={y: "y"})
    measured = edges.loc[edges["estimate"].notna(), ["estimate", "low", "high", "y"]]
    place, low, high, row = measured.to_numpy(float).T
    style: Any = {"color": "black", "markeredgecolor": "white", "markeredgewidth": 0.5}
    ends = np.array([place - low, high - place])
    axes.errorbar(place, row, xerr=ends, fmt="o", ms=3, elinewidth=0.9, **style)
    for end, marker in (("high", 8), ("low", 9)):  # 8, 9: carets to the left, right
        bound = edges[edges["estimate"].isna() & np.isfinite(edges[end])]
        axes.plot(
            bound[end], bound["y"], linestyle="none", marker=marker, ms=5, **style
        )


def _blend(cell: Any, colours: dict[str, str]) -> tuple[float, float, float]:
    """Colour of the commonest phase; what generalises at opacity P(grok) on white."""
    if cell.p_grok == 0:
        return to_rgb(colours[cell.phase])
    top = to_rgb(colours[cell.top])
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
            mark_zero(axes, axis, table)
        getattr(axes, f"set_{axis}lim")(*limits)
    axes.tick_params(which="minor", length=2)


def mark_zero(axes: Axes, axis: str, table: pd.DataFrame) -> None:
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
    """An axis as it is called beside a figure."""
    if axis == "alpha":
        conventions = runs["alpha_convention"].unique()
        several = len(conventions) > 1
        return r"$\alpha$" if several else ALPHA_LABELS.get(conventions[0], r"$\alpha$")
    return LABELS.get(axis, axis.replace("_", " "))


def _diagram_figure(columns: int, rows: int, wide: bool) -> Figure:
    """Empty, for both halves: side by side if `wide`, else one above the other."""
    width = (3.5 if columns == 1 else 2.5 * columns) * (2 if wide else 1)
    height = (2.9 if rows == 1 else 2.1 * rows) * (1 if wide else 2)
    return Figure(figsize=(width, height + 0.4), layout="constrained")


def _phase_legend(
    figure: Figure, runs: pd.DataFrame, phases: Phases, edges: bool, wide: bool
) -> None:
    """Above both halves, so that their rows are of one height."""
    present = set(runs["phase"])
    handles: list[Any] = [
        Patch(facecolor=colour, label=_legend_name(name, phases))
        for name, colour in phases.colours.items()
        if name in present
    ]
    if runs["censored"].any():
        handles.append(
            Patch(
                facecolor="white", edgecolor="#333333", hatch="////", label="censored"
            )
        )
    if "partial" in runs and runs["partial"].any():
        handles.append(Line2D([], [], label="partial", **RING))
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


def _legend_name(phase: str, phases: Phases) -> str:
    return f"{phase} (opacity: share)" if phase in phases.grokked else phase


def _shade_bar(half: Any, norm: Normalize, shading: Shading) -> None:
    bar = half.colorbar(ScalarMappable(norm, "viridis"), ax=half.axes, shrink=0.9)
    bar.set_label(shading.label)
    if shading.log:
        label_bar(bar, norm.vmin or 1.0, norm.vmax or 10.0)
