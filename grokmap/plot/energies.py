"""Energies of signal and noise along runs, and what equations make of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.lines import Line2D

from grokmap.arrays import Floats
from grokmap.plot.figure import (
    Figure,
    blank,
    entitle,
    finished,
    legend_above,
    panels_of,
)
from grokmap.plot.lines import T_GROK, T_MEM
from grokmap.plot.style import COLOURS, NEUTRAL, PAPER, Look, points, styled
from grokmap.plot.ticks import label_log, most_below

SMALLEST = 13.0  # width of a panel in letters
KINDS = {"signal": COLOURS["grok"], "noise": COLOURS["memorize-only"]}
TIMES = {T_MEM: ":", T_GROK: "--"}


class EnergyPanel(NamedTuple):
    """One run: steps [k] and energies [k, 2] of signal and noise as recorded, the same
    as equations have them, and t_mem and t_grok."""

    title: str
    step: Floats
    energy: Floats
    said_step: Floats
    said_energy: Floats
    times: tuple[float, float]


def energy_panels(
    panels: Sequence[EnergyPanel], look: Look = PAPER, caption: str = ""
) -> Figure:
    """Recorded energies as lines, those of equations dashed, on log axes."""
    columns = min(look.columns(SMALLEST), len(panels))
    rows, ems = -(-len(panels) // columns), look.ems / columns
    with styled(look):
        figure = blank(look, rows * (0.65 * ems + 3.0) + 4.0)
        places = panels_of(figure, len(panels), columns, sharey=True)
        for axes, panel in zip(places, panels, strict=True):
            _draw(axes, panel)
            label_log(axes.xaxis, most_below(ems - 4))
            axes.set_xlabel("step")
        label_log(places[0].yaxis)
        for axes in places[::columns]:
            axes.set_ylabel("energy of the first layer")
        entitle(places, [panel.title for panel in panels], ems - 3)
        legend_above(figure, look, _handles())
        return finished(figure, look, caption)


def _draw(axes: Any, panel: EnergyPanel) -> None:
    axes.set(xscale="log", yscale="log")
    for i, colour in enumerate(KINDS.values()):
        late = panel.step > 0
        axes.plot(panel.step[late], panel.energy[late, i], color=colour)
        said = panel.said_energy[:, i]
        axes.plot(panel.said_step, said, "--", color=colour, linewidth=points(1.8))
    for time, style in zip(panel.times, TIMES.values(), strict=True):
        axes.axvline(time, color=NEUTRAL, linestyle=style, linewidth=points(0.9))
    low, high = panel.energy.min(), panel.energy.max()
    axes.set_ylim(low / 2, 2 * high)


def _handles() -> list[Any]:
    thick, times = points(1.1), dict[str, Any](TIMES)
    lines = [
        Line2D([], [], color=c, linewidth=thick, label=f"{name}, recorded")
        for name, c in KINDS.items()
    ]
    lines += [
        Line2D([], [], color=c, linestyle="--", label=f"{name}, rate equations")
        for name, c in KINDS.items()
    ]
    return lines + [
        Line2D([], [], color=NEUTRAL, linestyle=style, linewidth=thick, label=name)
        for name, style in times.items()
    ]
