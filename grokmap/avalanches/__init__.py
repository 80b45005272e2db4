"""Avalanches of gradients on graphs: what relaxes when the largest are let go.

The probe of Wang (arXiv 2604.04655), and the fields that it has to be compared with.
The in-line probe is `relaxation.spread_out`.
"""

from grokmap.avalanches.fields import REAL, Gradients, snapshots
from grokmap.avalanches.graphs import GRAPHS, Graph, graph_of
from grokmap.avalanches.nulls import NULLS
from grokmap.avalanches.probe import Probe, Sizes, sizes_of

__all__ = [
    "GRAPHS",
    "NULLS",
    "REAL",
    "Gradients",
    "Graph",
    "Probe",
    "Sizes",
    "graph_of",
    "sizes_of",
    "snapshots",
]
