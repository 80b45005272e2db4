"""Order parameters: each one a pure function of a snapshot, `Snapshot -> scalar`.

Undefined values (a zero matrix, a task without the structure) are NaN here and null in
every table. Definitions and known values: DESIGN 5.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

ADDITIVE = ("modular_addition", "modular_subtraction")
PHASE_TOLERANCE = np.pi / 8
N_QUADRUPLES = 256


class Snapshot(NamedTuple):
    """One network on the whole table of n examples at one step.

    params: pytree with `first` [2p, N] and `readout` [N, C].
    hidden: [n, N] activations; logits: [n, C]; label: [n]; loss: [n] of each example.
    train: [n] bool, True on the training examples.
    """

    params: Any
    hidden: jax.Array
    logits: jax.Array
    label: jax.Array
    loss: jax.Array
    train: jax.Array


class OrderParameter(NamedTuple):
    """symbol: for plot labels; bounds: closed range; tasks: None means all."""

    function: Callable[[Snapshot], jax.Array]
    symbol: str
    meaning: str
    bounds: tuple[float, float]
    tasks: tuple[str, ...] | None = None
    reference: str = ""

    def defined_on(self, task: str) -> bool:
        return self.tasks is None or task in self.tasks


def _mean_over(values: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean of values [n] over mask [n]; a non-finite value elsewhere does not count."""
    return jnp.sum(jnp.where(mask, values, 0.0)) / jnp.sum(mask)


def _ratio(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """numerator / denominator, NaN where the denominator is 0."""
    return numerator / jnp.where(denominator == 0, jnp.nan, denominator)


def _correct(snapshot: Snapshot) -> jax.Array:
    """[n] 1.0 where the largest logit is the label's. A tie counts as wrong.

    Otherwise a network that outputs zero would be right wherever the label is class 0.
    """
    target = jnp.arange(snapshot.logits.shape[-1])[None, :] == snapshot.label[:, None]
    own = jnp.max(jnp.where(target, snapshot.logits, -jnp.inf), axis=-1)
    others = jnp.max(jnp.where(target, -jnp.inf, snapshot.logits), axis=-1)
    return (own > others).astype(jnp.float32)


def train_loss(snapshot: Snapshot) -> jax.Array:
    """Mean loss over the training examples, without the decay term. Range [0, inf)."""
    return _mean_over(snapshot.loss, snapshot.train)


def test_loss(snapshot: Snapshot) -> jax.Array:
    """Mean loss over the examples not trained on. Range [0, inf)."""
    return _mean_over(snapshot.loss, ~snapshot.train)


def train_accuracy(snapshot: Snapshot) -> jax.Array:
    """Share of training examples whose largest logit is the label's. Chance 1/p."""
    return _mean_over(_correct(snapshot), snapshot.train)


def test_accuracy(snapshot: Snapshot) -> jax.Array:
    """Share of test examples whose largest logit is the label's. Chance 1/p."""
    return _mean_over(_correct(snapshot), ~snapshot.train)


def zero_loss_fraction(snapshot: Snapshot) -> jax.Array:
    """Share of training examples with a loss of exactly 0 (softmax collapse).

    Prieto et al., arXiv 2501.04697: 0 at initialisation; where it is 1 no correct class
    has a gradient left, and without weight decay learning stalls.
    """
    return _mean_over((snapshot.loss == 0).astype(jnp.float32), snapshot.train)


def max_logit(snapshot: Snapshot) -> jax.Array:
    """Largest absolute logit over the table. Range [0, inf)."""
    return jnp.max(jnp.abs(snapshot.logits))


def weight_norm(snapshot: Snapshot) -> jax.Array:
    """|theta|, Frobenius norm of all weights; (1 - r)^t of itself at zero gradient."""
    squares = jax.tree.map(lambda w: jnp.sum(jnp.square(w)), snapshot.params)
    return jnp.sqrt(jax.tree.reduce(jnp.add, squares))


def weight_norm_first(snapshot: Snapshot) -> jax.Array:
    """Frobenius norm of the first layer's matrix [2p, N]; sqrt(2pN) at N(0, 1)."""
    return jnp.linalg.norm(snapshot.params["first"])


def weight_norm_readout(snapshot: Snapshot) -> jax.Array:
    """Frobenius norm of the readout matrix [N, C]; sqrt(NC) at N(0, 1)."""
    return jnp.linalg.norm(snapshot.params["readout"])


def _eigenvalues(symmetric: jax.Array) -> jax.Array:
    """Eigenvalues [n] of a symmetric matrix [n, n], ascending.

    On a CPU one matrix after the other: LAPACK over a batch of lanes waits for the
    thread pool that runs the lanes, and several CPU devices then wait for ever
    (jaxlib 0.10.2).
    """

    def eigenvalues(matrix: jax.Array) -> jax.Array:
        return jnp.linalg.eigvalsh(matrix)

    one_by_one = jax.custom_batching.sequential_vmap(eigenvalues)
    return jax.lax.platform_dependent(symmetric, cpu=one_by_one, default=eigenvalues)


def effective_rank(snapshot: Snapshot) -> jax.Array:
    """exp of the entropy of q_i = sigma_i^2 / sum_k sigma_k^2 of W = first [2p, N].

    Roy and Vetterli (2007), with squared singular values. k equal singular values
    give k; rank one gives 1. Range [1, min(2p, N)]; NaN for W = 0.
    """
    first = snapshot.params["first"]
    rows, columns = first.shape
    first = _unit(first)
    gram = first @ first.T if rows <= columns else first.T @ first
    power = jnp.maximum(_eigenvalues(gram), 0.0)
    q = _ratio(power, jnp.sum(power))
    return jnp.exp(jnp.sum(jax.scipy.special.entr(q)))


def _unit(values: jax.Array) -> jax.Array:
    """`values` over their largest size, so that powers neither over- nor underflow."""
    largest = jnp.max(jnp.abs(values))
    return values / jnp.where(largest == 0, 1.0, largest)


def participation_ratio(snapshot: Snapshot) -> jax.Array:
    """tr(C)^2 / tr(C^2), C [N, N] the centred covariance of the hidden activations.

    k equal eigenvalues give k; one direction gives 1. Range [1, N]; NaN for C = 0.
    """
    hidden = _unit(snapshot.hidden)
    centred = _unit(hidden - jnp.mean(hidden, axis=0, keepdims=True))
    covariance = centred.T @ centred / centred.shape[0]
    return _ratio(jnp.trace(covariance) ** 2, jnp.sum(jnp.square(covariance)))


@lru_cache(maxsize=64)
def _waves(modulus: int) -> npt.NDArray[np.complex64]:
    """[p//2, p] exp(-2 pi i k a / p) for k = 1..p//2: a DFT without its DC row.

    As a matrix, since moduli are small and odd, and lanes batch it as one product.
    """
    k, a = np.arange(1, modulus // 2 + 1), np.arange(modulus)
    # Reduced in whole numbers first: the angle then keeps full precision.
    turns = np.outer(k, a) % modulus / modulus
    return np.exp(-2j * np.pi * turns).astype(np.complex64)


def _embeddings(snapshot: Snapshot) -> jax.Array:
    """u and v as [2, p, N]: unit scale, DC removed; a row of rounding noise is 0."""
    first = _unit(snapshot.params["first"])
    modulus = first.shape[0] // 2
    rows = first.reshape(2, modulus, -1)
    centred = rows - jnp.mean(rows, axis=1, keepdims=True)
    size = jnp.max(jnp.abs(centred), axis=1, keepdims=True)
    noise = 1e-5 * jnp.max(jnp.abs(rows), axis=1, keepdims=True)
    return jnp.where(size > noise, centred, 0.0)


def _spectra(snapshot: Snapshot) -> jax.Array:
    """Power of u_j and v_j at the frequencies 1..p//2: [2, p//2, N], DC removed."""
    embeddings = _embeddings(snapshot)
    modulus = embeddings.shape[1]
    waves = jnp.asarray(_waves(modulus))
    power = jnp.square(jnp.abs(waves @ embeddings.astype(waves.dtype)))
    # One of each conjugate pair is kept; the Nyquist mode of an even p has no pair.
    nyquist = 2 * np.arange(1, modulus // 2 + 1) == modulus
    return power * jnp.where(nyquist, 1.0, 2.0).astype(power.dtype)[None, :, None]


def snr(snapshot: Snapshot) -> jax.Array:
    """Energy at each neuron's strongest frequency (u and v together) over the rest.

    E_S / E_N, both summed over neurons; DC removed. Pure cosines: infinite (above 1e6
    in float32). Gaussian weights: 0.28 at p = 23, 0.1 at p = 97, above 1 for p < 9.
    Range [0, inf]; NaN for weights constant over residues, or p < 4 (one frequency).
    """
    power = jnp.sum(_spectra(snapshot), axis=0)
    frequencies = jnp.arange(power.shape[0])[:, None]
    is_strongest = frequencies == jnp.argmax(power, axis=0)[None, :]
    # Summed without the strongest term: a difference would lose a small rest.
    signal = jnp.sum(jnp.where(is_strongest, power, 0.0))
    noise = jnp.sum(jnp.where(is_strongest, 0.0, power))
    defined = (signal > 0) & (power.shape[0] > 1)
    return jnp.where(defined, signal / noise, jnp.nan)


def ipr(snapshot: Snapshot) -> jax.Array:
    """Mean over the rows u_j, v_j of sum_k q_k^2, q = normalised power, DC removed.

    Inverse participation ratio with the rfft convention (Gromov, arXiv 2301.02679;
    Doshi et al., arXiv 2310.13061). A pure cosine gives 1, Gaussian rows 2/(K+1) for
    odd p, with K = p//2 frequencies. Range [1/K, 1]; rows without power are left out.
    """
    power = _spectra(snapshot)
    total = jnp.sum(power, axis=1, keepdims=True)
    q = power / jnp.where(total == 0, 1.0, total)
    rows = jnp.sum(jnp.square(q), axis=1)
    return _ratio(jnp.sum(rows), jnp.sum(total > 0))


@lru_cache(maxsize=64)
def quadruples(modulus: int) -> npt.NDArray[np.int64]:
    """[256, 4] fixed random residues with a + b = c + d mod p, {a, b} != {c, d}."""
    rng = np.random.default_rng(modulus)
    found: list[npt.NDArray[np.int64]] = []
    while sum(map(len, found)) < N_QUADRUPLES:
        a, b, c = rng.integers(0, modulus, (3, 16 * N_QUADRUPLES))
        d = (a + b - c) % modulus
        trivial = (c == a) | (c == b)
        found.append(np.stack([a, b, c, d], axis=1)[~trivial])
    return np.concatenate(found)[:N_QUADRUPLES]


def rqi(snapshot: Snapshot) -> jax.Array:
    """Representation quality: do the phases of u_j lie on a lattice on the circle?

    For each neuron the analytic signal of u_j over residues (one-sided DFT, DC
    removed) has phases phi(a). Over fixed random a + b = c + d mod p, the share with
    |wrap(phi_a + phi_b - phi_c - phi_d)| < pi/8, neurons weighted by power, rescaled
    so that chance (1/8) gives 0 and a lattice 1. The parallelograms of Liu et al.
    (arXiv 2205.10343), taken on the circle, where Z_p has non-trivial solutions.

    Gaussian weights: 0 for large p (0.004 at p = 97), with a bias where frequencies
    are few (0.03 at p = 23, 0.18 at p = 7). Range [-1/7, 1]; NaN for p < 5, where each
    neuron has one frequency, and for weights constant over residues.
    """
    u = _embeddings(snapshot)[0]
    modulus = u.shape[0]
    if modulus < 5:
        return jnp.float32(jnp.nan)
    waves = _waves(modulus)[: (modulus - 1) // 2]
    signal = waves.conj().T @ (waves @ u.astype(waves.dtype))
    size = jnp.abs(signal)
    phase = signal / jnp.where(size == 0, 1.0, size)
    a, b, c, d = jnp.asarray(quadruples(modulus)).T
    turn = phase[a] * phase[b] * jnp.conj(phase[c] * phase[d])
    closed = jnp.mean(jnp.real(turn) > np.cos(PHASE_TOLERANCE), axis=0)
    power = jnp.sum(jnp.square(size), axis=0)
    share = _ratio(jnp.sum(power * closed), jnp.sum(power))
    chance = PHASE_TOLERANCE / np.pi
    return (share - chance) / (1.0 - chance)


INFINITY = float("inf")

# Always recorded, at the dense cadence.
HEALTH: dict[str, OrderParameter] = {
    "train_loss": OrderParameter(train_loss, "L", "training loss", (0, INFINITY)),
    "test_loss": OrderParameter(
        test_loss, r"L_{\mathrm{test}}", "test loss", (0, INFINITY)
    ),
    "train_accuracy": OrderParameter(
        train_accuracy, "A", "training accuracy", (0.0, 1.0)
    ),
    "test_accuracy": OrderParameter(
        test_accuracy, r"A_{\mathrm{test}}", "test accuracy", (0.0, 1.0)
    ),
    "weight_norm": OrderParameter(
        weight_norm, r"\|\theta\|", "norm of all weights", (0, INFINITY)
    ),
    "weight_norm_first": OrderParameter(
        weight_norm_first, r"\|W\|", "norm of the first layer", (0, INFINITY)
    ),
    "weight_norm_readout": OrderParameter(
        weight_norm_readout, r"\|a\|", "norm of the readout", (0, INFINITY)
    ),
    "max_logit": OrderParameter(
        max_logit, r"\max|f|", "largest absolute logit", (0, INFINITY)
    ),
    "zero_loss_fraction": OrderParameter(
        zero_loss_fraction,
        r"z",
        "share of training examples with loss exactly 0",
        (0.0, 1.0),
        reference="Prieto 2501.04697",
    ),
}

# Recorded at the sparse cadence where the sweep asks for them.
ORDER_PARAMETERS: dict[str, OrderParameter] = {
    "effective_rank": OrderParameter(
        effective_rank,
        r"R_{\mathrm{eff}}",
        "entropy rank of the first layer",
        (1.0, INFINITY),
        reference="Roy, Vetterli 2007",
    ),
    "participation_ratio": OrderParameter(
        participation_ratio,
        "PR",
        "dimension of the hidden activations",
        (1.0, INFINITY),
        reference="DESIGN 5",
    ),
    "snr": OrderParameter(
        snr,
        r"E_S/E_N",
        "energy at each neuron's strongest frequency over the rest",
        (0.0, INFINITY),
        tasks=ADDITIVE,
        reference="DESIGN 5",
    ),
    "rqi": OrderParameter(
        rqi,
        "RQI",
        "share of phase parallelograms that close, above chance",
        (-1 / 7, 1.0),
        tasks=ADDITIVE,
        reference="after Liu 2205.10343",
    ),
    "ipr": OrderParameter(
        ipr,
        "IPR",
        "concentration of the power spectra",
        (0.0, 1.0),
        tasks=ADDITIVE,
        reference="Gromov 2301.02679",
    ),
}


def measure(
    table: dict[str, OrderParameter], names: tuple[str, ...], task: str, snap: Snapshot
) -> jax.Array:
    """[len(names)] float32 values of the named entries; NaN where not defined."""
    nan = jnp.float32(jnp.nan)
    values = [
        table[name].function(snap) if table[name].defined_on(task) else nan
        for name in names
    ]
    return jnp.stack([jnp.asarray(v, jnp.float32) for v in values])
