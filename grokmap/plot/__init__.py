"""Tables -> matplotlib figures. Reads no files, decides no labels."""

from grokmap.plot.cells import boundary, gather
from grokmap.plot.curves import CURVES, curves
from grokmap.plot.hysteresis import Branches, hysteresis_loops, loop_table
from grokmap.plot.phase_diagram import (
    AXES,
    DELAY,
    Shading,
    axis_label,
    diagram_cells,
    phase_diagram,
)
from grokmap.plot.style import COLOURS
from grokmap.plot.transition_order import order_panels
from grokmap.plot.transitions import Panel, transition_panels, transition_table

__all__ = [
    "AXES",
    "Branches",
    "COLOURS",
    "CURVES",
    "DELAY",
    "Panel",
    "Shading",
    "axis_label",
    "boundary",
    "curves",
    "diagram_cells",
    "gather",
    "hysteresis_loops",
    "loop_table",
    "order_panels",
    "phase_diagram",
    "transition_panels",
    "transition_table",
]
