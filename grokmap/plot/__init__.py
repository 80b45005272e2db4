"""Tables -> matplotlib figures. Reads no files, decides no labels."""

from grokmap.plot.cells import boundary, gather
from grokmap.plot.curves import CURVES, curves
from grokmap.plot.early_stopping import early_stopping
from grokmap.plot.forecast import forecast_panels
from grokmap.plot.laws import law_residuals, master_curve
from grokmap.plot.phase_diagram import DELAY, Shading, diagram_cells, phase_diagram
from grokmap.plot.style import COLOURS
from grokmap.plot.transitions import Panel, transition_panels, transition_table

__all__ = [
    "COLOURS",
    "CURVES",
    "DELAY",
    "Panel",
    "Shading",
    "boundary",
    "curves",
    "diagram_cells",
    "early_stopping",
    "forecast_panels",
    "gather",
    "law_residuals",
    "master_curve",
    "phase_diagram",
    "transition_panels",
    "transition_table",
]
