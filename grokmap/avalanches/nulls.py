"""Gradients without correlations, to compare with: what each keeps, and what it kills.

| null | keeps | kills |
| gaussian | nothing | everything |
| weibull | the body and tail of |g|, by two numbers | its exact form, all correlation |
| shuffled | each snapshot's |g| | which parameter has which |
| shuffled_layers | each layer's |g| | which parameter of the layer has which |
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from grokmap.arrays import Floats, Ints

# The quantiles of |g| > 0 that the Weibull law has in common with the gradients.
BODY, TAIL = 0.5, 0.95

# (gradients [K, n], layer of each parameter [n], generator) -> a field [K, n]
Null = Callable[[Floats, Ints, np.random.Generator], Floats]


def gaussian(gradients: Floats, layers: Ints, rng: np.random.Generator) -> Floats:
    """Independent N(0, 1)."""
    return rng.standard_normal(gradients.shape)


def weibull(gradients: Floats, layers: Ints, rng: np.random.Generator) -> Floats:
    """Independent, P(|g| > x) = exp(-(x / scale)^shape), heavy-tailed for shape < 1.

    Fitted to each snapshot at two quantiles of its |g| > 0; its share of zeros stays.
    """
    out = np.zeros(gradients.shape)
    for row, field in zip(np.abs(gradients), out, strict=True):
        positive = row[row > 0]
        if not len(positive):
            continue
        drawn = _weibull_like(positive, row.shape, rng)
        field[:] = np.where(rng.random(row.shape) * len(row) < len(positive), drawn, 0)
    return out


def _weibull_like(
    values: Floats, shape: tuple[int, ...], rng: np.random.Generator
) -> Floats:
    body, tail = np.log(np.quantile(values.astype(np.float64), [BODY, TAIL]))
    at_body, at_tail = np.log(-np.log1p([-BODY, -TAIL]))
    stretch = (tail - body) / (at_tail - at_body)
    return np.asarray(
        np.exp(body - stretch * at_body) * rng.exponential(size=shape) ** stretch
    )


def shuffled(gradients: Floats, layers: Ints, rng: np.random.Generator) -> Floats:
    """Each snapshot's gradients in random order over all parameters."""
    return rng.permuted(gradients, axis=1)


def shuffled_layers(
    gradients: Floats, layers: Ints, rng: np.random.Generator
) -> Floats:
    """Each snapshot's gradients in random order within each layer."""
    out = gradients.copy()
    for layer in np.unique(layers):
        out[:, layers == layer] = rng.permuted(gradients[:, layers == layer], axis=1)
    return out


NULLS: dict[str, Null] = {
    "gaussian": gaussian,
    "weibull": weibull,
    "shuffled": shuffled,
    "shuffled_layers": shuffled_layers,
}
