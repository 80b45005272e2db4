"""Tables -> matplotlib figures. Reads no files, decides no labels."""

from grokmap.plot.cells import boundary, gather
from grokmap.plot.curves import curves
from grokmap.plot.phase_diagram import phase_diagram
from grokmap.plot.style import COLOURS

__all__ = ["COLOURS", "boundary", "curves", "gather", "phase_diagram"]
