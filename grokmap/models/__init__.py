"""Networks as flax modules, and what `alpha` means to them.

scale        the conventions of alpha, the activations
two_layer    the two-layer network; how its first layer is computed; its kernel
one_layer    committee, linear, diagonal
mlp          any depth, on inputs or on embeddings
transformer  blocks of attention and an mlp
table        the literal table of names
"""

from grokmap.models.lookup import EMBEDDINGS
from grokmap.models.scale import (
    ACTIVATIONS,
    ALPHA_CONVENTIONS,
    MUP,
    PARAMETERIZATIONS,
    Activation,
    Scalar,
    Scale,
    sigma_of,
)
from grokmap.models.table import MODELS, Model
from grokmap.models.transformer import LAYER_NORMS, READ_AT
from grokmap.models.two_layer import (
    KERNELS,
    Activity,
    Drop,
    Kernel,
    TwoLayer,
    first_table,
    two_layer_ntk,
)

__all__ = [
    "ACTIVATIONS",
    "ALPHA_CONVENTIONS",
    "EMBEDDINGS",
    "KERNELS",
    "LAYER_NORMS",
    "MODELS",
    "MUP",
    "PARAMETERIZATIONS",
    "READ_AT",
    "Activation",
    "Activity",
    "Drop",
    "Kernel",
    "Model",
    "Scalar",
    "Scale",
    "TwoLayer",
    "first_table",
    "sigma_of",
    "two_layer_ntk",
]
