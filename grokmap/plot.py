"""Tables -> matplotlib figures. Reads no files, decides no labels.

Colours are from Okabe and Ito's palette, told apart by every common colour vision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PatchCollection
from matplotlib.colors import LogNorm, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from grokmap.errors import SpecError

Floats = npt.NDArray[np.float64]

COLOURS = {
    "no-learning": "#999999",
    "memorize-only": "#E69F00",
    "grok": "#0072B2",
    "confusion": "#999999",
    "memorization": "#E69F00",
    "grokking": "#0072B2",
    "comprehension": "#009E73",
}
GENERALISED = ("grok", "grokking", "comprehension")
STYLE: Any = {
    "font.size": 8,
    "axes.linewidth": 0.6,
    "xtick.direction": "out",
    "ytick.direction": "out",
    "hatch.linewidth": 0.5,
    "pdf.fonttype": 42,  # text stays text in the PDF
    "svg.fonttype": "none",
    "figure.dpi": 150,
    "savefig.dpi": 200,
}
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
}
ALPHA_LABELS = {
    "laziness": r"$\alpha$,  $f = N^{\alpha-1}\Sigma_j\, a_j\,\sigma(w_j\cdot x)$",
    "literal": r"$\alpha$,  $f = N^{-\alpha}\Sigma_j\, a_j\,\sigma(w_j\cdot x)$",
    "output_scale": r"$\alpha$,  $f = (\alpha/N)\Sigma_j\, a_j\,\sigma(w_j\cdot x)$",
    "init_scale": r"$\alpha$ (all initial weights $\times\,\alpha$)",
    "survey_code": r"$\alpha$,  $f = \Sigma_j\, a_j\,\sigma(N^{-\alpha} w_j\cdot x)$",
}


class Cells(NamedTuple):
    """Runs gathered over seeds: one row a cell.

    Columns: x, y, x_low, x_high, y_low, y_high (edges, in plotted coordinates), phase
    (the commonest), top (the commonest that generalised), p_grok, censored (share of
    runs), ratio (median t_grok / t_mem of grokked runs, NaN without any).
    """

    table: pd.DataFrame
    x_log: bool
    y_log: bool


def swept_axes(runs: pd.DataFrame) -> list[str]:
    """The axes with more than one value in `runs`, `decay_rate` aside."""
    return [
        axis
        for axis in AXES
        if axis != "decay_rate" and axis in runs and runs[axis].nunique() > 1
    ]


def phase_diagram(
    runs: pd.DataFrame, x: str = "weight_decay", y: str = "alpha"
) -> Figure:
    """The phase diagram and, beside it, the map of t_grok / t_mem.

    Args:
      runs: classified runs (`classify`), one row each.
      x, y: two different axes; every other swept one gives small multiples.

    Raises:
      SpecError: an axis that is not swept, or more than two others that are.
    """
    panels, columns, rows = _panels(runs, x, y)
    with mpl.rc_context(STYLE):
        wide = len(columns.values) <= 2
        figure = _diagram_figure(len(columns.values), len(rows.values), wide)
        halves: Any = figure.subfigures(1, 2) if wide else figure.subfigures(2, 1)
        norm = _ratio_norm(runs)
        shape = (len(rows.values), len(columns.values))
        for half, draw in zip(halves, (_draw_phases, _draw_ratio), strict=True):
            axes = half.subplots(*shape, squeeze=False, sharex=True, sharey=True)
            for (i, j), panel in panels.items():
                cells = gather(panel, x, y)
                draw(axes[i, j], cells, norm)
                _label_panel(axes[i, j], runs, x, y, (i, j), shape, columns, rows)
                _scale(axes[i, j], cells)
        _phase_legend(halves[0], runs)
        _ratio_bar(halves[1], norm)
    return figure


class _Multiples(NamedTuple):
    """One direction of the small multiples; axis None where nothing is swept."""

    axis: str | None
    values: list[Any]


def _panels(
    runs: pd.DataFrame, x: str, y: str
) -> tuple[dict[tuple[int, int], pd.DataFrame], _Multiples, _Multiples]:
    swept = swept_axes(runs)
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


def gather(runs: pd.DataFrame, x: str, y: str) -> Cells:
    """Gathers runs of one panel into cells, seeds together."""
    x_log, y_log = _is_log(runs[x]), _is_log(runs[y])
    # On a decay_rate axis the cells of a row share alpha, not a column: cells are then
    # told apart by the weight decay that was swept.
    keys = ["weight_decay" if axis == "decay_rate" else axis for axis in (x, y)]
    if "decay_rate" in (x, y) and runs["weight_decay"].nunique() == 1:
        keys = [x, y]
    table = pd.DataFrame([_cell(group, x, y) for _, group in runs.groupby(keys)])
    table = _edges(table, "x", x_log, by="y" if x == "decay_rate" else None)
    table = _edges(table, "y", y_log, by="x" if y == "decay_rate" else None)
    return Cells(table, x_log, y_log)


def _cell(runs: pd.DataFrame, x: str, y: str) -> dict[str, Any]:
    phases = runs["phase"].value_counts()
    generalised = [name for name in phases.index if name in GENERALISED]
    grokked = runs["phase"].isin(GENERALISED)
    return {
        "x": float(runs[x].iloc[0]),
        "y": float(runs[y].iloc[0]),
        "phase": phases.idxmax(),
        "top": generalised[0] if generalised else None,
        "p_grok": float(grokked.mean()),
        "censored": float(runs["censored"].mean()),
        "ratio": float(runs.loc[grokked, "delay_ratio"].astype(float).median()),
    }


def _is_log(values: pd.Series) -> bool:
    """Whether positive values span more than a factor 20."""
    positive = values[values > 0]
    return len(positive) > 1 and positive.max() / positive.min() > 20


def _edges(table: pd.DataFrame, axis: str, log: bool, by: str | None) -> pd.DataFrame:
    """Adds <axis>_low and <axis>_high: half-way to the neighbours.

    by: gives each of its values neighbours of its own, since decay rates are not on a
    grid: they follow from alpha and lambda.
    """
    low, high = pd.Series(0.0, table.index), pd.Series(0.0, table.index)
    groups = table.groupby(by).groups.values() if by else [table.index]
    for index in groups:
        points, place = np.unique(table.loc[index, axis], return_inverse=True)
        below, above = _half_way(points, log)
        low[index], high[index] = below[place], above[place]
    return table.assign(**{f"{axis}_low": low, f"{axis}_high": high})


def _half_way(points: Floats, log: bool) -> tuple[Floats, Floats]:
    """Edges below and above each of the sorted points, on a log or linear axis.

    On a log axis zero has no place: it stands one step below the smallest positive.
    """
    if len(points) == 1:
        width = 2.0 if log else 1.1
        span = points * width - points if points[0] else np.array([0.5])
        return points - span / 2, points + span / 2
    places = _places(points, log)
    middle = (places[1:] + places[:-1]) / 2
    ends = 2 * places[[0, -1]] - middle[[0, -1]]
    edges = np.concatenate([ends[:1], middle, ends[1:]])
    edges = np.exp(edges) if log else edges
    return edges[:-1], edges[1:]


def _places(points: Floats, log: bool) -> Floats:
    if not log:
        return points
    positive = np.log(points[points > 0])
    step = positive[1] - positive[0] if len(positive) > 1 else 1.0
    zero = [positive[0] - 1.5 * step] if points[0] == 0 else []
    return np.concatenate([zero, positive])


def _rectangles(cells: pd.DataFrame) -> list[Rectangle]:
    return [
        Rectangle((c.x_low, c.y_low), c.x_high - c.x_low, c.y_high - c.y_low)
        for c in cells.itertuples()
    ]


def _draw_phases(axes: Axes, cells: Cells, norm: LogNorm) -> None:
    """Phases in colour, P(grok) as opacity, censored cells hatched, the boundary."""
    table = cells.table
    colours = [_blend(c) for c in table.itertuples()]
    axes.add_collection(
        PatchCollection(_rectangles(table), facecolors=colours, linewidths=0)
    )
    censored = table[table["censored"] >= 0.5]
    axes.add_collection(
        PatchCollection(
            _rectangles(censored),
            facecolors="none",
            edgecolors="#333333",
            hatch="////",
            linewidths=0,
        )
    )
    for start, end in boundary(table):
        line = np.array([start, end]).T
        axes.plot(*line, color="black", linewidth=1.4, solid_capstyle="projecting")


def _blend(cell: Any) -> tuple[float, float, float]:
    """Colour of the commonest phase; what generalises at opacity P(grok) on white."""
    colour = to_rgb(COLOURS.get(cell.phase, "#CC79A7"))
    if cell.p_grok == 0:
        return colour
    top = to_rgb(COLOURS[cell.top])
    red, green, blue = (cell.p_grok * c + 1 - cell.p_grok for c in top)
    return red, green, blue


def boundary(cells: pd.DataFrame) -> list[tuple[tuple[float, float], ...]]:
    """Edges between neighbouring cells on the two sides of P(grok) = 1/2.

    Only where both labels are measured: no edge of a cell with a censored run.
    """
    measured = cells[cells["censored"] == 0]
    segments = []
    for along, across in (("x", "y"), ("y", "x")):
        for _, line in measured.groupby(across):
            line = line.sort_values(along)
            for one, two in zip(
                line.itertuples(), line.iloc[1:].itertuples(), strict=False
            ):
                touch = np.isclose(
                    getattr(one, f"{along}_high"), getattr(two, f"{along}_low")
                )
                if touch and (one.p_grok >= 0.5) != (two.p_grok >= 0.5):
                    at = getattr(two, f"{along}_low")
                    ends = [getattr(one, f"{across}_{end}") for end in ("low", "high")]
                    points = [(at, e) if along == "x" else (e, at) for e in ends]
                    segments.append(tuple(points))
    return segments


def _draw_ratio(axes: Axes, cells: Cells, norm: LogNorm) -> None:
    """Median t_grok / t_mem of the grokked runs of each cell; the rest is blank."""
    table = cells.table[np.isfinite(cells.table["ratio"])]
    axes.set_facecolor("#EEEEEE")
    if len(table):
        colours = mpl.colormaps["viridis"](norm(table["ratio"].to_numpy()))
        axes.add_collection(
            PatchCollection(_rectangles(table), facecolors=colours, linewidths=0)
        )


def _ratio_norm(runs: pd.DataFrame) -> LogNorm:
    ratios = runs["delay_ratio"].astype(float)
    ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
    if len(ratios) == 0:
        return LogNorm(1, 10)
    low, high = float(ratios.min()), float(ratios.max())
    return LogNorm(low, high if high > low else low * 1.1)


def _scale(axes: Axes, cells: Cells) -> None:
    """Limits, log scales and ticks; zero on a log axis is marked as 0."""
    table = cells.table
    for axis, log in (("x", cells.x_log), ("y", cells.y_log)):
        limits = table[f"{axis}_low"].min(), table[f"{axis}_high"].max()
        if log:
            getattr(axes, f"set_{axis}scale")("log")
            _mark_zero(axes, axis, table)
        getattr(axes, f"set_{axis}lim")(*limits)
    axes.tick_params(which="minor", length=2)


def _mark_zero(axes: Axes, axis: str, table: pd.DataFrame) -> None:
    side = getattr(axes, f"{axis}axis")
    zero = table[table[axis] == 0]
    side.set_minor_formatter(NullFormatter())
    if len(zero) == 0:
        return
    row = zero.iloc[0]
    at = float(np.sqrt(row[f"{axis}_low"] * row[f"{axis}_high"]))
    smallest = table.loc[table[axis] > 0, axis].min()
    limits = smallest * 0.999, table[axis].max()
    decades = [t for t in LogLocator().tick_values(*limits) if t >= limits[0]]
    side.set_ticks([at, *decades])
    side.set_major_formatter(
        FuncFormatter(
            lambda value, _: "0" if value == at else f"$10^{{{np.log10(value):.0f}}}$"
        )
    )


def _axis_label(axis: str, runs: pd.DataFrame) -> str:
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
        axes.set_xlabel(_axis_label(x, runs))
    if j == 0:
        axes.set_ylabel(_axis_label(y, runs))
    names = [
        f"{_axis_label(m.axis, runs)} = {m.values[k]:g}"
        for m, k in ((columns, j), (rows, i))
        if m.axis
    ]
    if names:
        axes.set_title(",  ".join(names), fontsize=7)


def _diagram_figure(columns: int, rows: int, wide: bool) -> Figure:
    """Room for both halves: side by side if `wide`, else one above the other."""
    width = (3.5 if columns == 1 else 2.5 * columns) * (2 if wide else 1)
    height = (2.9 if rows == 1 else 2.1 * rows) * (1 if wide else 2)
    return Figure(figsize=(width, height + 0.4), layout="constrained")


def _phase_legend(half: Any, runs: pd.DataFrame) -> None:
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
    half.legend(
        handles=handles,
        loc="outside upper center",
        ncols=3,
        frameon=False,
        fontsize=7,
        handlelength=1.2,
        columnspacing=1.0,
    )


def _legend_name(phase: str) -> str:
    return f"{phase} (opacity: share)" if phase in GENERALISED else phase


def _ratio_bar(half: Any, norm: LogNorm) -> None:
    bar = half.colorbar(ScalarMappable(norm, "viridis"), ax=half.axes, shrink=0.9)
    bar.set_label(r"$t_{\mathrm{grok}} / t_{\mathrm{mem}}$ (median over seeds)")
    bar.minorticks_off()
    low, high = norm.vmin or 1.0, norm.vmax or 10.0
    ticks = [t for t in _round_ticks() if low <= t <= high]
    bar.set_ticks(ticks, labels=[f"{t:g}" for t in ticks])


def _round_ticks() -> list[float]:
    return [m * 10.0**e for e in range(-3, 7) for m in (1, 2, 5)]


def curves(
    trajectories: pd.DataFrame, runs: pd.DataFrame, order_parameters: Sequence[str] = ()
) -> Figure:
    """Trajectories of a few runs, one column each, on a log time axis.

    Rows: accuracies; losses; weight norm; then a panel for each order parameter that
    has values. t_mem and t_grok are marked by vertical lines.

    Args:
      trajectories: run_id, step and quantities of the runs.
      runs: classified runs to draw, in order.
    """
    order_parameters = [
        name
        for name in order_parameters
        if name in trajectories and trajectories[name].notna().any()
    ]
    rows = 3 + len(order_parameters)
    with mpl.rc_context(STYLE):
        size = (2.6 * len(runs) + 0.6, 1.25 * rows + 0.6)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(
            rows, len(runs), sharex="col", sharey="row", squeeze=False
        )
        for column, (_, run) in enumerate(runs.iterrows()):
            own = trajectories[trajectories["run_id"] == run["run_id"]]
            _draw_run(grid[:, column], own, run, order_parameters)
        _label_curves(grid, order_parameters)
    return figure


_LOG_SCALED = ("snr",)
_PAIRS = (("train_accuracy", "test_accuracy"), ("train_loss", "test_loss"))


def _draw_run(
    column: Any, own: pd.DataFrame, run: pd.Series, order_parameters: Sequence[str]
) -> None:
    # Step 0 has no place on a log axis: it stands at 1/2, ahead of step 1.
    time = own["step"].to_numpy(float).clip(0.5)
    for axes, pair in zip(column, _PAIRS, strict=False):
        for name, colour in zip(pair, ("#000000", "#D55E00"), strict=True):
            label = name.split("_")[0]
            axes.plot(time, own[name], color=colour, linewidth=1.1, label=label)
    column[1].set_yscale("log")
    column[2].plot(time, own["weight_norm"], color="#000000", linewidth=1.1)
    for axes, name in zip(column[3:], order_parameters, strict=True):
        known = own[own[name].notna()]
        steps = known["step"].to_numpy(float).clip(0.5)
        axes.plot(steps, known[name], color="#000000", linewidth=0.9, marker=".", ms=3)
        if name in _LOG_SCALED:
            axes.set_yscale("log")
    for axes in column:
        axes.set_xscale("log")
        for name, style in (("t_mem", ":"), ("t_grok", "--")):
            if pd.notna(run[name]) and run[name] > 0:
                axes.axvline(run[name], color="#0072B2", linestyle=style, linewidth=0.9)
    flag = ", censored" if run["censored"] else ""
    column[0].set_title(
        f"{run['phase']}{flag}\n"
        rf"$\alpha$ = {run['alpha']:g}, $\lambda$ = {run['weight_decay']:.3g}, "
        f"seed {run['seed']}",
        fontsize=7,
    )


def _label_curves(grid: Any, order_parameters: Sequence[str]) -> None:
    names = ["accuracy", "loss", r"$\|\theta\|$", *order_parameters]
    for axes, name in zip(grid[:, 0], names, strict=True):
        axes.set_ylabel(name.replace("_", " ") if name in order_parameters else name)
    for axes in grid[-1]:
        axes.set_xlabel("step")
    times = [
        Line2D([], [], color="#0072B2", linestyle=":", label=r"$t_{\mathrm{mem}}$"),
        Line2D([], [], color="#0072B2", linestyle="--", label=r"$t_{\mathrm{grok}}$"),
    ]
    lines, _ = grid[0, 0].get_legend_handles_labels()
    grid[0, 0].legend(handles=[*lines, *times], fontsize=6, frameon=False)
    grid[0, 0].set_ylim(-0.05, 1.05)
