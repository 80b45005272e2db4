"""Order parameters: each one a pure function of a snapshot, `Snapshot -> scalar`.

learning    losses, accuracies, norms, numerical health
spectra     Fourier structure over the task's cyclic group
matrices    ranks, outliers and shapes of weights and activations
representations  embeddings of numbers that are added
kernels     the empirical neural tangent kernel
layers      each layer by itself
curvature   gradient and Hessian of the training loss
table       the literal tables of names, and `measure`

Undefined values (a zero matrix, a task without the structure) are NaN here and null in
every table.
"""

from grokmap.order_parameters.kernels import empirical_ntk, kernel_entries
from grokmap.order_parameters.snapshot import Network, Snapshot
from grokmap.order_parameters.table import (
    ALWAYS,
    COSTS,
    HEALTH,
    HELD_OUT,
    INFINITY,
    ORDER_PARAMETERS,
    Known,
    OrderParameter,
    measure,
    quantities,
)

__all__ = [
    "ALWAYS",
    "COSTS",
    "HEALTH",
    "HELD_OUT",
    "INFINITY",
    "ORDER_PARAMETERS",
    "Known",
    "Network",
    "OrderParameter",
    "Snapshot",
    "empirical_ntk",
    "kernel_entries",
    "measure",
    "quantities",
]
