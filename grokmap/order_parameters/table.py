"""The literal tables: every name, what it means, where it is defined, what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from grokmap.order_parameters import (
    curvature,
    kernels,
    layers,
    learning,
    matrices,
    representations,
    spectra,
)
from grokmap.order_parameters.snapshot import Snapshot

GROUP = (
    "modular_addition",
    "modular_subtraction",
    "modular_multiplication",
    "modular_division",
)
# Those whose first layer is a matrix [2p, N] of one-hot tokens, or [d, N] of reals.
ON_TOKENS = ("two_layer", "mlp", "tensor")
WITH_FIRST = (*ON_TOKENS, "committee", "linear", "transformer")
OF_TEACHER = (
    *("linear_teacher", "quadratic_teacher", "squared_teacher", "cubic_teacher"),
    *("sparse_parity", "sparse_sum", "xor"),
)
PLAIN_ADDITION = ("plain_addition", "plain_addition_classes")
# Those whose last hidden layer, or every one, is told.
WITH_EMBEDDING = ("embedding_mlp", "concatenated_mlp")
WITH_LAYERS = ("two_layer", "committee", "tensor", "mlp", *WITH_EMBEDDING)
INFINITY = float("inf")
Range = tuple[float, float]
# dense: at every record. cheap: a fraction of a training step. expensive: one or more.
COSTS = ("dense", "cheap", "expensive")


class Known(NamedTuple):
    """Smallest and largest value in networks of known kind, over 50 seeds each.

    random: at step 0; memorising: at t_mem, and at the end of runs that never grok;
    grokked: after 20 decay times, in runs that grok; collapsed: at the end of runs
    whose weights have decayed before they learned. Of addition and multiplication,
    p = 23 and N = 128 (sweeps/order-parameters.toml), taken together and rounded
    outward by `python tests/known_networks.py`. Not bounds of what there can be: one
    network in 51 lies beyond the largest of 50 others, whatever their distribution.
    """

    random: Range
    memorising: Range
    grokked: Range
    collapsed: Range

    @property
    def tells(self) -> bool:
        """Whether it tells memorising from grokked networks: is an order parameter."""
        (low, high), (other_low, other_high) = self.memorising, self.grokked
        return high < other_low or other_high < low


class OrderParameter(NamedTuple):
    """One entry of a table.

    symbol: for plot labels; bounds: closed range; log: whether plots and half-way
    points are on a log scale; tasks, models: where it is defined (None: everywhere).
    on_request: recorded only where a sweep names it. from_start: needs the weights at
    step 0.
    """

    function: Callable[[Snapshot], jax.Array]
    symbol: str
    meaning: str
    bounds: Range
    cost: str = "cheap"
    log: bool = False
    tasks: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    on_request: bool = False
    from_start: bool = False
    reference: str = ""
    known: Known | None = None

    @property
    def tells(self) -> bool:
        """Whether it is known to tell memorising from grokked networks."""
        return self.known is not None and self.known.tells


# Always recorded, at the dense cadence.
HEALTH: dict[str, OrderParameter] = {
    "train_loss": OrderParameter(
        learning.train_loss, "L", "training loss", (0, INFINITY), "dense", log=True
    ),
    "test_loss": OrderParameter(
        learning.test_loss,
        r"L_{\mathrm{test}}",
        "test loss",
        (0, INFINITY),
        "dense",
        log=True,
    ),
    "train_accuracy": OrderParameter(
        learning.train_accuracy, "A", "training accuracy", (0.0, 1.0), "dense"
    ),
    "test_accuracy": OrderParameter(
        learning.test_accuracy,
        r"A_{\mathrm{test}}",
        "test accuracy",
        (0.0, 1.0),
        "dense",
    ),
    "weight_norm": OrderParameter(
        learning.weight_norm,
        r"\|\theta\|",
        "norm of all weights",
        (0, INFINITY),
        "dense",
        log=True,
    ),
    "weight_norm_first": OrderParameter(
        learning.weight_norm_first,
        r"\|W\|",
        "norm of the first layer",
        (0, INFINITY),
        "dense",
        log=True,
    ),
    "weight_norm_readout": OrderParameter(
        learning.weight_norm_readout,
        r"\|a\|",
        "norm of the readout",
        (0, INFINITY),
        "dense",
        log=True,
    ),
    "max_logit": OrderParameter(
        learning.max_logit,
        r"\max|f|",
        "largest absolute logit",
        (0, INFINITY),
        "dense",
        log=True,
    ),
    "zero_loss_fraction": OrderParameter(
        learning.zero_loss_fraction,
        r"z",
        "share of training examples with loss exactly 0",
        (0.0, 1.0),
        "dense",
        reference="Prieto 2501.04697",
    ),
}

# Recorded at the cadence of their cost where the sweep asks for them.
ORDER_PARAMETERS: dict[str, OrderParameter] = {
    "rqi": OrderParameter(
        spectra.rqi,
        r"\mathrm{RQI}",
        "share of phase parallelograms that close, above chance",
        (-1.0, 1.0),
        tasks=GROUP,
        models=ON_TOKENS,
        reference="after Liu 2205.10343",
        known=Known((-0.0084, 0.0063), (-0.0035, 0.06), (0.95, 1), (-0.051, 0.21)),
    ),
    "snr": OrderParameter(
        spectra.snr,
        r"E_S/E_N",
        "energy at each neuron's strongest frequency over the rest",
        (0.0, INFINITY),
        log=True,
        tasks=GROUP,
        models=ON_TOKENS,
        reference="after Nanda 2301.05217",
        known=Known((0.26, 0.3), (0.33, 0.68), (36, 1300), (0.15, 0.63)),
    ),
    "function_snr": OrderParameter(
        spectra.function_snr,
        r"E_S^f/E_N^f",
        "energy of f in functions of c - a - b over the rest",
        (0.0, INFINITY),
        log=True,
        tasks=GROUP,
        reference="this package",
        known=Known((0.00023, 0.0014), (0.096, 0.55), (61, 450), (0, 0.0029)),
    ),
    "ipr": OrderParameter(
        spectra.ipr,
        r"\mathrm{IPR}",
        "concentration of the power spectra",
        (0.0, 1.0),
        tasks=GROUP,
        models=ON_TOKENS,
        reference="Gromov 2301.02679",
        known=Known((0.16, 0.18), (0.17, 0.27), (0.51, 0.63), (0.16, 0.18)),
    ),
    "specialised_fraction": OrderParameter(
        spectra.specialised_fraction,
        r"n_{\mathrm{spec}}",
        "share of neurons with half their power at one frequency",
        (0.0, 1.0),
        tasks=GROUP,
        models=ON_TOKENS,
        reference="this package",
        known=Known((0, 0.0079), (0, 0.25), (0.5, 0.73), (0, 0.0079)),
    ),
    "restricted_loss": OrderParameter(
        spectra.restricted_loss,
        r"L_{\mathrm{restr}}",
        "loss with only the key frequencies' a + b part of the logits",
        (0.0, INFINITY),
        log=True,
        tasks=GROUP,
        reference="Nanda 2301.05217",
        known=Known((1.3, 2.5), (0.15, 0.76), (0.0024, 0.053), (0.99, 1.1)),
    ),
    "excluded_loss": OrderParameter(
        spectra.excluded_loss,
        r"L_{\mathrm{excl}}",
        "training loss without the key frequencies' a + b part",
        (0.0, INFINITY),
        log=True,
        tasks=GROUP,
        reference="Nanda 2301.05217",
        known=Known((2.6, 3.8), (0.38, 0.82), (0.87, 0.94), (0.99, 1.1)),
    ),
    "kernel_alignment": OrderParameter(
        kernels.kernel_alignment,
        r"\mathrm{CKA}(K, yy^\top)",
        "centred alignment of the tangent kernel with the labels",
        (0.0, 1.0),
        reference="Baratin 2008.00938",
        known=Known((0.2, 0.23), (0.22, 0.27), (0.39, 0.45), (0.097, 0.2)),
    ),
    "ntk_drift": OrderParameter(
        kernels.ntk_drift,
        r"1-\mathrm{CKA}(K_0, K_t)",
        "turn of the tangent kernel since initialisation: the measured laziness",
        (0.0, 1.0),
        reference="Fort 2010.15110",
        known=Known((0, 1e-06), (0.048, 0.11), (0.12, 0.17), (0.079, 0.58)),
    ),
    "effective_rank": OrderParameter(
        matrices.effective_rank,
        r"R_{\mathrm{eff}}",
        "entropy rank of the first layer, of squared singular values",
        (1.0, INFINITY),
        models=WITH_FIRST,
        reference="after Roy, Vetterli 2007",
        known=Known((37, 39), (37, 41), (34, 37), (1, 38)),
    ),
    "participation_ratio": OrderParameter(
        matrices.participation_ratio,
        r"\mathrm{PR}",
        "dimension of the hidden activations",
        (1.0, INFINITY),
        "expensive",
        reference="Recanatesi 1906.00443",
        known=Known((56, 65), (40, 78), (23, 39), (1, 40)),
    ),
    "head_tail_contrast": OrderParameter(
        matrices.head_tail_contrast,
        r"m_{\mathrm{HTC}}",
        "the five largest eigenvalues of the hidden covariance over all others, ln",
        (-INFINITY, INFINITY),
        "expensive",
        on_request=True,
        reference="Bi 2603.24746",
    ),
    "bulk_outliers": OrderParameter(
        matrices.bulk_outliers,
        r"n_{\mathrm{out}}",
        "singular values of the first layer beyond the noise bulk",
        (0.0, INFINITY),
        models=WITH_FIRST,
        reference="Gavish, Donoho 1305.5870",
        known=Known((0, 0), (0, 1), (0, 0), (1, 3)),
    ),
    "preactivation_kurtosis": OrderParameter(
        matrices.preactivation_kurtosis,
        r"\kappa_h",
        "excess kurtosis of the pre-activations",
        (-2.0, INFINITY),
        reference="Rubin 2310.03789",
        known=Known((-0.072, 0.081), (-0.4, 0.055), (2.5, 3.7), (0.62, 1500)),
    ),
    "gini": OrderParameter(
        matrices.gini,
        "G",
        "inequality of the absolute weights",
        (0.0, 1.0),
        "expensive",
        reference="Hurley, Rickard 0811.4706",
        known=Known((0.4, 0.42), (0.38, 0.42), (0.7, 0.76), (0.42, 1)),
    ),
    "teacher_overlap": OrderParameter(
        matrices.teacher_overlap,
        "m",
        "overlap of the first layer with the teacher",
        (0.0, 1.0),
        tasks=OF_TEACHER,
        models=WITH_FIRST,
        reference="Saad, Solla 1995",
    ),
    "weight_motion": OrderParameter(
        learning.weight_motion,
        r"|\Delta\theta|/|\theta_0|",
        "motion of the weights over their initial size",
        (0.0, INFINITY),
        log=True,
        on_request=True,
        from_start=True,
        reference="Chizat 1812.07956",
    ),
    **{
        f"weight_motion_{array}": OrderParameter(
            partial(layers.motion, array),
            rf"|\Delta W|/|W_0|_{{\mathrm{{{array.replace('_', ' ')}}}}}",
            f"the same of the matrix {array} alone",
            (0.0, INFINITY),
            log=True,
            on_request=True,
            from_start=True,
            reference="after Chizat 1812.07956",
        )
        for array in layers.ARRAYS
    },
    **{
        f"layer_alignment_{layer}": OrderParameter(
            partial(layers.alignment, layer),
            rf"\mathrm{{CKA}}(H_{layer}, Y)",
            f"centred alignment of the activations of hidden layer {layer} with the "
            "labels",
            (0.0, 1.0),
            models=WITH_LAYERS,
            on_request=True,
            reference="Kornblith 1905.00414",
        )
        for layer in range(1, layers.DEPTH + 1)
    },
    "effective_rank_roy_vetterli": OrderParameter(
        matrices.effective_rank_roy_vetterli,
        r"R_{\mathrm{RV}}",
        "entropy rank of the first layer, of singular values as they are",
        (1.0, INFINITY),
        models=WITH_FIRST,
        on_request=True,
        reference="Roy, Vetterli 2007",
    ),
    "signal_energy": OrderParameter(
        spectra.signal_energy,
        r"E_S",
        "energy of the first layer at each neuron's strongest frequency",
        (0.0, INFINITY),
        log=True,
        tasks=GROUP,
        models=ON_TOKENS,
        on_request=True,
        reference="after Nanda 2301.05217",
    ),
    "noise_energy": OrderParameter(
        spectra.noise_energy,
        r"E_N",
        "energy of the first layer at all other frequencies",
        (0.0, INFINITY),
        log=True,
        tasks=GROUP,
        models=ON_TOKENS,
        on_request=True,
        reference="after Nanda 2301.05217",
    ),
    "motion_rank": OrderParameter(
        matrices.motion_rank,
        r"R_{\mathrm{eff}}(\Delta W)",
        "entropy rank of the first layer's motion since step 0",
        (1.0, INFINITY),
        models=WITH_FIRST,
        on_request=True,
        from_start=True,
        reference="after Roy, Vetterli 2007",
    ),
    "motion_outliers": OrderParameter(
        matrices.motion_outliers,
        r"n_{\mathrm{out}}(\Delta W)",
        "singular values of the first layer's motion beyond the noise bulk",
        (0.0, INFINITY),
        models=WITH_FIRST,
        on_request=True,
        from_start=True,
        reference="after Gavish, Donoho 1305.5870",
    ),
    "top_over_edge": OrderParameter(
        matrices.top_over_edge,
        r"\sigma_1/\sigma_+",
        "largest singular value of the first layer over the edge of its noise bulk",
        (0.0, INFINITY),
        log=True,
        models=WITH_FIRST,
        on_request=True,
        reference="after Gavish, Donoho 1305.5870",
    ),
    "motion_top_over_edge": OrderParameter(
        matrices.motion_top_over_edge,
        r"\sigma_1/\sigma_+(\Delta W)",
        "the same of the first layer's motion since step 0",
        (0.0, INFINITY),
        log=True,
        models=WITH_FIRST,
        on_request=True,
        from_start=True,
        reference="after Gavish, Donoho 1305.5870",
    ),
    "parallelogram_share": OrderParameter(
        representations.parallelogram_share,
        r"\mathrm{RQI}_{\mathrm{Liu}}",
        "share of the parallelograms that embeddings of numbers close",
        (0.0, 1.0),
        tasks=PLAIN_ADDITION,
        models=WITH_EMBEDDING,
        on_request=True,
        reference="Liu 2205.10343",
    ),
    "predicted_accuracy": OrderParameter(
        representations.predicted_accuracy,
        r"A_{\mathrm{pred}}",
        "accuracy on all pairs that the embeddings allow",
        (0.0, 1.0),
        tasks=PLAIN_ADDITION,
        models=WITH_EMBEDDING,
        on_request=True,
        reference="Liu 2205.10343",
    ),
    "gradient_norm": OrderParameter(
        curvature.gradient_norm,
        r"\|\nabla L\|",
        "norm of the training loss' gradient",
        (0.0, INFINITY),
        "expensive",
        log=True,
        known=Known((0.28, 0.5), (6e-06, 0.019), (0.0023, 0.0025), (0, 0.0072)),
    ),
    "sharpness": OrderParameter(
        curvature.sharpness,
        r"S",
        "rise of the training loss on one ascent step of 0.05 of the weights' norm",
        (-INFINITY, INFINITY),
        "expensive",
        reference="Foret 2010.01412",
        known=Known((2, 3.4), (0.00012, 0.15), (0.026, 0.028), (0, 0.0048)),
    ),
    "hessian_top": OrderParameter(
        curvature.hessian_top,
        r"h_{\max}",
        "largest eigenvalue of the training loss' Hessian",
        (-INFINITY, INFINITY),
        "expensive",
        reference="Cohen 2103.00065",
        known=Known((0.069, 0.086), (0.014, 0.14), (0.051, 0.065), (0, 0.022)),
    ),
}


# Recorded with these where a sweep holds kinds of examples out of both sets.
HELD_OUT: dict[str, OrderParameter] = {
    "held_out_loss": OrderParameter(
        learning.held_out_loss,
        r"L_{\mathrm{out}}",
        "held-out loss",
        (0, INFINITY),
        "dense",
        log=True,
    ),
    "held_out_accuracy": OrderParameter(
        learning.held_out_accuracy,
        r"A_{\mathrm{out}}",
        "held-out accuracy",
        (0.0, 1.0),
        "dense",
    ),
}
ALWAYS = HEALTH | HELD_OUT


def quantities(recorded: Iterable[str] = ()) -> dict[str, OrderParameter]:
    """All quantities by name: order parameters, then those that are always recorded.

    recorded: names of a result's order parameters; those of plugins that are not loaded
      are plain quantities, of which no more than the name is known.
    """
    unknown = {name: _plain(name) for name in recorded if name not in ORDER_PARAMETERS}
    return {**ORDER_PARAMETERS, **unknown, **ALWAYS}


def _plain(name: str) -> OrderParameter:
    symbol = name.replace("_", r"\_")
    return OrderParameter(
        _not_loaded,
        rf"\mathrm{{{symbol}}}",
        "of a plugin that is not loaded",
        (-INFINITY, INFINITY),
    )


def _not_loaded(snapshot: Snapshot) -> jax.Array:
    raise LookupError("the plugin of this order parameter is not loaded")


def measure(
    table: dict[str, OrderParameter], names: tuple[str, ...], snapshot: Snapshot
) -> jax.Array:
    """[len(names)] float32 values of the named entries; NaN where not defined."""
    values = [table[name].function(snapshot) for name in names]
    if not values:
        return jnp.zeros(0, jnp.float32)
    return jnp.stack([jnp.asarray(v, jnp.float32) for v in values])
