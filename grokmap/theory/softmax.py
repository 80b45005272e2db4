"""The margin at which softmax cross-entropy is exactly 0: softmax collapse.

Prieto et al., arXiv 2501.04697. Two classes, the right one ahead by m: the loss is
ln(1 + e^-m), and 1 + e^-m rounds to 1 from m = 24 ln 2 = 16.64 in float32 and
53 ln 2 = 36.74 in float64 (half a unit in the last place of 1, ties to even).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

BITS = {"float32": 24, "float64": 53}
BISECTIONS = 60


def collapse_margin(dtype: str) -> float:
    """Bits of the significand times ln 2; dtype: float32 or float64."""
    return float(BITS[dtype] * np.log(2))


def numpy_loss(margin: float, dtype: str) -> float:
    """log sum exp(z - max z) - (z_y - max z) of logits (margin, 0), all in dtype."""
    logits = np.array([margin, 0], dtype)
    shifted = logits - logits.max()
    return float(np.log(np.sum(np.exp(shifted))) - shifted[0])


def own_loss(margin: float) -> float:
    """`losses.cross_entropy` of the same logits in float32."""
    # Late: a list of reproductions must not wait for jax.
    import jax.numpy as jnp

    from grokmap.losses import cross_entropy

    logits = jnp.array([[margin, 0.0]], jnp.float32)
    return float(cross_entropy(logits, jnp.array([0]))[0])


def vanishing_margin(
    loss: Callable[[float], float], low: float = 0.0, high: float = 100.0
) -> float:
    """Least margin at which a falling loss is exactly 0, by bisection of [low, high].

    Raises ValueError if the loss is 0 at low or not 0 at high.
    """
    if loss(low) == 0 or loss(high) != 0:
        raise ValueError(f"the loss does not vanish between {low} and {high}")
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if loss(middle) == 0 else (middle, high)
    return high
