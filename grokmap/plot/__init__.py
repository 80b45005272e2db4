"""Tables -> matplotlib figures. Reads no files, decides no labels."""

from grokmap.plot.cells import boundary, gather
from grokmap.plot.curves import CURVES, curves
from grokmap.plot.phase_diagram import (
    DELAY,
    Shading,
    diagram_cells,
    multiples,
    phase_diagram,
)
from grokmap.plot.scaling import Scales, scaling_figure
from grokmap.plot.style import COLOURS, GENERALISED
from grokmap.plot.transitions import Panel, transition_panels, transition_table
from grokmap.plot.uncertainty import Map, uncertainty_maps

__all__ = [
    "COLOURS",
    "CURVES",
    "DELAY",
    "GENERALISED",
    "Map",
    "Panel",
    "Scales",
    "Shading",
    "boundary",
    "curves",
    "diagram_cells",
    "gather",
    "multiples",
    "phase_diagram",
    "scaling_figure",
    "transition_panels",
    "transition_table",
    "uncertainty_maps",
]
