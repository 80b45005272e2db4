"""Finite-size scaling: labelled runs of several sizes -> curves, exponents, times.

Tables in, tables out. Every interval is 95% and the same for the same runs.
"""

from grokmap.analysis.scaling.collapse import (
    Collapse,
    Points,
    best_collapse,
    fit_collapse,
    points_of,
    quality,
)
from grokmap.analysis.scaling.cumulants import binder, binder_crossings
from grokmap.analysis.scaling.curves import (
    Curves,
    crossings,
    fit_curves,
    logistic,
    size_exponent,
)
from grokmap.analysis.scaling.ensemble import (
    CLOCKS,
    SIZES,
    Ensemble,
    Interval,
    counts,
    gather,
    interval,
)
from grokmap.analysis.scaling.table import Found, measure, too_steep
from grokmap.analysis.scaling.times import (
    comparable_times,
    factor_intervals,
    fit_width_correction,
    rescaled_factors,
    size_factors,
    unselected_times,
)

__all__ = [
    "CLOCKS",
    "Collapse",
    "Curves",
    "Ensemble",
    "Found",
    "Interval",
    "Points",
    "SIZES",
    "best_collapse",
    "binder",
    "binder_crossings",
    "comparable_times",
    "counts",
    "crossings",
    "factor_intervals",
    "fit_collapse",
    "fit_curves",
    "fit_width_correction",
    "gather",
    "interval",
    "logistic",
    "measure",
    "points_of",
    "quality",
    "rescaled_factors",
    "size_factors",
    "size_exponent",
    "too_steep",
    "unselected_times",
]
