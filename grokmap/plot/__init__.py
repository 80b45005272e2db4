"""Tables -> matplotlib figures. Reads no files, decides no labels."""

from grokmap.plot.avalanches import Avalanches, avalanche_panels
from grokmap.plot.cells import Cells, Plane, boundary, gather
from grokmap.plot.comparison import ComparedRow, Sides, comparison_maps
from grokmap.plot.diagram import (
    DELAY,
    PhasePanel,
    Shading,
    diagram_cells,
    phase_diagram,
)
from grokmap.plot.energies import EnergyPanel, energy_panels
from grokmap.plot.entries import TheoryLine
from grokmap.plot.escapes import escape_times
from grokmap.plot.exponents import exponent_rows
from grokmap.plot.forecast import forecast_panels
from grokmap.plot.grids import phase_grids
from grokmap.plot.held import held_times
from grokmap.plot.hysteresis import Branches, hysteresis_loops, loop_table
from grokmap.plot.laws import law_residuals, master_curve
from grokmap.plot.layers import LayerPanel, layer_times
from grokmap.plot.lines import T_GROK, TIMES
from grokmap.plot.loss_panels import loss_curves
from grokmap.plot.names import axis_label, place_words, quantity_words
from grokmap.plot.one_axis import axis_lines
from grokmap.plot.overlaps import (
    Equilibrium,
    Law,
    LawNames,
    equilibrium_map,
    overlap_laws,
)
from grokmap.plot.rules import stopping_rules
from grokmap.plot.scaling import Scales, scaling_figure
from grokmap.plot.spectra import SpectrumPanel, TimesPanel, spectrum_panels, spike_times
from grokmap.plot.stopping import early_stopping
from grokmap.plot.style import (
    COLOURS,
    PAPER,
    STYLES,
    WIDTHS,
    Look,
    Phases,
    figure_bytes,
    look_of,
    phases_of,
)
from grokmap.plot.surface import Slice, surface_slices
from grokmap.plot.trajectories import CURVES, Predicted, curves
from grokmap.plot.transfer import RatePanel, rate_curves
from grokmap.plot.transition_order import order_panels
from grokmap.plot.transitions import Panel, transition_panels, transition_table
from grokmap.plot.uncertainty import Map, uncertainty_maps
from grokmap.plot.width_laws import (
    Scaling,
    WidthPanel,
    WidthSeries,
    power_laws,
    width_panels,
)
from grokmap.plot.zone import zone_maps

__all__ = [
    "Avalanches",
    "Branches",
    "COLOURS",
    "Cells",
    "CURVES",
    "ComparedRow",
    "DELAY",
    "EnergyPanel",
    "Equilibrium",
    "Law",
    "LawNames",
    "LayerPanel",
    "Look",
    "Map",
    "PAPER",
    "Panel",
    "PhasePanel",
    "RatePanel",
    "Phases",
    "Plane",
    "Predicted",
    "STYLES",
    "Scales",
    "Scaling",
    "Shading",
    "Sides",
    "Slice",
    "SpectrumPanel",
    "TIMES",
    "T_GROK",
    "TheoryLine",
    "TimesPanel",
    "WIDTHS",
    "WidthPanel",
    "WidthSeries",
    "avalanche_panels",
    "axis_label",
    "axis_lines",
    "boundary",
    "comparison_maps",
    "curves",
    "diagram_cells",
    "early_stopping",
    "energy_panels",
    "equilibrium_map",
    "escape_times",
    "exponent_rows",
    "figure_bytes",
    "forecast_panels",
    "gather",
    "held_times",
    "law_residuals",
    "master_curve",
    "hysteresis_loops",
    "layer_times",
    "look_of",
    "loop_table",
    "loss_curves",
    "order_panels",
    "overlap_laws",
    "phase_diagram",
    "phase_grids",
    "phases_of",
    "power_laws",
    "place_words",
    "quantity_words",
    "rate_curves",
    "scaling_figure",
    "spectrum_panels",
    "spike_times",
    "stopping_rules",
    "surface_slices",
    "transition_panels",
    "transition_table",
    "uncertainty_maps",
    "width_panels",
    "zone_maps",
]
