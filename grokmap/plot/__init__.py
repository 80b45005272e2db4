"""Tables -> matplotlib figures. Reads no files, decides no labels."""

from grokmap.plot.cells import boundary, gather
from grokmap.plot.curves import curves
from grokmap.plot.phase_diagram import DELAY, Shading, phase_diagram
from grokmap.plot.style import COLOURS
from grokmap.plot.transitions import Panel, transition_panels

__all__ = [
    "COLOURS",
    "DELAY",
    "Panel",
    "Shading",
    "boundary",
    "curves",
    "gather",
    "phase_diagram",
    "transition_panels",
]
