"""What `alpha` means to a network: the conventions, and the activations.

docs/alpha.md compares them. The default, "laziness": all weights drawn N(0, 1) and
O(1); f = N^(alpha-1) sum_j a_j sigma(w_j.x). Kumar et al. (arXiv 2310.06110) write the
same scale as K/N with K = N^alpha.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Scalar = Any  # a float, or a traced array of shape ()


class Scale(NamedTuple):
    """All that alpha sets. Scalars: floats on the host, traced arrays in training.

    prefactor, hidden_scale: see the module's formula.
    first_std, readout_std: standard deviations of the initial weights.
    laziness: Kumar's K; relative weight motion goes as 1/K (K = 1 rich, large lazy).
    gd_step, adam_step: factors of the learning rate with which function space moves
      at O(learning_rate) whatever alpha and N (but for survey_code, whose rates are
      raw, and init_scale with tanh or erf, which are no forms). The readout bias moves
      2/N as fast as the rest.
    gd_decay: factor of lambda in the coupled gradient of (lambda/2N) |theta|^2.
    nonlinearity: beside alpha, the epsilon of the polynomial activation.
    """

    prefactor: Scalar
    hidden_scale: Scalar
    first_std: Scalar
    readout_std: Scalar
    laziness: Scalar
    gd_step: Scalar
    adam_step: Scalar
    gd_decay: Scalar
    nonlinearity: Scalar = 0.0


class Convention(NamedTuple):
    """One meaning of alpha.

    scale: (alpha, N, degree, n_inputs) -> Scale; degree: of f in the weights.
    multiplies: whether alpha is a factor (above 0) or an exponent of N.
    layers: how networks of several layers draw their weights: "unit", N(0, 1), layers
      then divide by sqrt(fan_in); "uniform" as PyTorch, or "normal", both in proportion
      to 1 / sqrt(fan_in).
    """

    formula: str
    scale: Callable[[Scalar, int, int, int], Scale]
    multiplies: bool = False
    layers: str = "unit"


class Activation(NamedTuple):
    """sigma, and the degree of a sigma(w x) as a form in (a, w).

    tanh, erf, gelu, swish and the polynomial are no forms; degree 2 is theirs near 0.
    controls: what it reads; it then takes epsilon beside h.
    """

    function: Callable[..., jax.Array]
    degree: int
    controls: tuple[str, ...] = ()


ACTIVATIONS: dict[str, Activation] = {
    "quadratic": Activation(jnp.square, 3),
    "relu": Activation(jax.nn.relu, 2),
    "erf": Activation(jax.lax.erf, 2),
    "tanh": Activation(jnp.tanh, 2),
    # Hendrycks and Gimpel (arXiv 1606.08415): h Phi(h), Phi of the normal distribution.
    "gelu": Activation(partial(jax.nn.gelu, approximate=False), 2),
    # Ramachandran et al. (arXiv 1710.05941): h / (1 + e^-h), PyTorch's SiLU.
    "swish": Activation(jax.nn.swish, 2),
    # Kumar et al. (arXiv 2310.06110): h + (epsilon/2) h^2.
    "polynomial": Activation(
        lambda h, epsilon: h + 0.5 * epsilon * h * h, 2, ("nonlinearity",)
    ),
}


def sigma_of(activation: str, scale: Scale) -> Callable[[jax.Array], jax.Array]:
    """The activation of a run, elementwise."""
    entry = ACTIVATIONS[activation]
    if not entry.controls:
        return entry.function
    return lambda h: entry.function(h, scale.nonlinearity)


def _unit_weights(prefactor: Scalar, laziness: Scalar, width: int) -> Scale:
    """Weights N(0, 1), so that laziness K alone sets every rate."""
    return Scale(
        prefactor=prefactor,
        hidden_scale=1.0,
        first_std=1.0,
        readout_std=1.0,
        laziness=laziness,
        gd_step=width / laziness**2,
        adam_step=1.0 / laziness,
        gd_decay=1.0 / width,
    )


def _laziness(alpha: Scalar, width: int, degree: int, n_inputs: int) -> Scale:
    return _unit_weights(width ** (alpha - 1.0), width ** (alpha * 1.0), width)


def _literal(alpha: Scalar, width: int, degree: int, n_inputs: int) -> Scale:
    return _unit_weights(width ** (-alpha * 1.0), width ** (1.0 - alpha), width)


def _output_scale(alpha: Scalar, width: int, degree: int, n_inputs: int) -> Scale:
    return _unit_weights(alpha / width, alpha * 1.0, width)


def _init_scale(alpha: Scalar, width: int, degree: int, n_inputs: int) -> Scale:
    """Omnigrok's scale of all weights (Liu et al., arXiv 2210.01117).

    f ~ alpha^L and the tangent kernel ~ alpha^(2L-2), f being homogeneous of degree L.
    """
    speed = alpha ** (degree - 1.0)
    return Scale(
        prefactor=1.0 / width,
        hidden_scale=1.0,
        first_std=alpha * 1.0,
        readout_std=alpha * 1.0,
        laziness=alpha ** (1.0 * degree),
        gd_step=width / speed**2,
        adam_step=1.0 / speed,
        gd_decay=1.0 / width,
    )


def _survey_code(alpha: Scalar, width: int, degree: int, n_inputs: int) -> Scale:
    """The parameterisation of the survey's code: standard weights, raw rates.

    Its output scale is that of `literal` at (degree - 1) alpha + 1/2 (docs/alpha.md).
    """
    return Scale(
        prefactor=1.0,
        hidden_scale=width ** (-alpha * 1.0),
        first_std=n_inputs**-0.5,
        readout_std=width**-0.5,
        laziness=width ** (0.5 - (degree - 1) * alpha),
        gd_step=1.0,
        adam_step=1.0,
        gd_decay=1.0,
    )


def _raw(laziness: Scalar, std: Scalar) -> Scale:
    """f as it stands, learning rate and weight decay as given."""
    return Scale(
        prefactor=1.0,
        hidden_scale=1.0,
        first_std=std,
        readout_std=std,
        laziness=laziness,
        gd_step=1.0,
        adam_step=1.0,
        gd_decay=1.0,
    )


def _standard(alpha: Scalar, width: int, degree: int, n_inputs: int) -> Scale:
    """Omnigrok (arXiv 2210.01117): laziness alpha^L for an L-homogeneous f."""
    return _raw(alpha ** (1.0 * degree), alpha * 1.0)


def _initial_std(alpha: Scalar, width: int, degree: int, n_inputs: int) -> Scale:
    """Laziness against unit weights in f = (1/N) sum (alpha^L N / N)."""
    return _raw(width * alpha ** (1.0 * degree), alpha * 1.0)


ALPHA_CONVENTIONS: dict[str, Convention] = {
    "laziness": Convention("f = N^(alpha-1) sum_j a_j sigma(w_j.x)", _laziness),
    "literal": Convention("f = N^(-alpha) sum_j a_j sigma(w_j.x)", _literal),
    "output_scale": Convention(
        "f = (alpha/N) sum_j a_j sigma(w_j.x)", _output_scale, multiplies=True
    ),
    "init_scale": Convention(
        "f = (1/N) sum_j a_j sigma(w_j.x), initial weights times alpha",
        _init_scale,
        multiplies=True,
    ),
    "survey_code": Convention(
        "f = sum_j a_j sigma(N^(-alpha) w_j.x), a ~ N(0, 1/N), w ~ N(0, 1/d)",
        _survey_code,
    ),
    "standard": Convention(
        "f as in PyTorch, its standard initial weights times alpha; raw rates",
        _standard,
        multiplies=True,
        layers="uniform",
    ),
    "normal": Convention(
        "f as it stands, initial weights N(0, alpha^2 / fan_in); raw rates",
        _standard,
        multiplies=True,
        layers="normal",
    ),
    "initial_std": Convention(
        "f = sum_j a_j sigma(w_j.x), initial weights N(0, alpha^2); raw rates",
        _initial_std,
        multiplies=True,
    ),
}

MUP = "mup"
# How the steps of arrays go with the width, in the convention "laziness"; the rates are
# those of the optimizer.
PARAMETERIZATIONS: dict[str, str] = {
    "convention": "one step for all arrays, as the convention of alpha says",
    MUP: "maximal update: at alpha = 0 each layer moves at O(learning_rate)",
}
