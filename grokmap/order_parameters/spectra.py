"""Fourier structure over the task's cyclic group of m residues.

For addition and subtraction mod p the group is all residues, m = p; for multiplication
and division mod a prime the p - 1 residues that are not 0, in the order of a generator,
so that a product is a sum of logarithms. One neuron j sees u_j[a] + v_j[b].
"""

from __future__ import annotations

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from grokmap.order_parameters.snapshot import (
    TINY,
    Snapshot,
    mean_over,
    ratio,
    undefined,
    unit,
)

PHASE_TOLERANCE = np.pi / 8
N_QUADRUPLES = 256
KEY_POWER = 0.95


@lru_cache(maxsize=64)
def _waves(order: int) -> npt.NDArray[np.complex64]:
    """[m//2, m] exp(-2 pi i k a / m) for k = 1..m//2: a DFT without its DC row.

    As a matrix, since groups are small and lanes batch it as one product.
    """
    k, a = np.arange(1, order // 2 + 1), np.arange(order)
    # Reduced in whole numbers first: the angle then keeps full precision.
    turns = np.outer(k, a) % order / order
    return np.exp(-2j * np.pi * turns).astype(np.complex64)


def _pairs(order: int) -> npt.NDArray[np.float32]:
    """[m//2] how often each frequency stands in a full DFT: 2, the Nyquist mode 1."""
    return np.where(2 * np.arange(1, order // 2 + 1) == order, 1, 2).astype(np.float32)


def _embeddings(snapshot: Snapshot) -> jax.Array:
    """u and v as [2, m, N]: unit scale, DC removed; a row of rounding noise is 0."""
    first = unit(snapshot.params["first"])
    rows = first.reshape(2, first.shape[0] // 2, -1)
    rows = rows[:, np.array(snapshot.network.cycle)]
    centred = rows - jnp.mean(rows, axis=1, keepdims=True)
    size = jnp.max(jnp.abs(centred), axis=1, keepdims=True)
    noise = 1e-5 * jnp.max(jnp.abs(rows), axis=1, keepdims=True)
    return jnp.where(size > noise, centred, 0.0)


def _spectra(snapshot: Snapshot) -> jax.Array:
    """Power of u_j and v_j at the frequencies 1..m//2: [2, m//2, N], DC removed."""
    embeddings = _embeddings(snapshot)
    order = embeddings.shape[1]
    waves = jnp.asarray(_waves(order))
    power = jnp.square(jnp.abs(waves @ embeddings.astype(waves.dtype)))
    return power * jnp.asarray(_pairs(order))[None, :, None]


def snr(snapshot: Snapshot) -> jax.Array:
    """Energy at each neuron's strongest frequency (u and v together) over the rest.

    E_S / E_N, both summed over neurons; DC removed. Pure cosines: infinite (above 1e6
    in float32). Gaussian weights: 0.28 at p = 23, 0.07 at p = 97, above 1 for p < 8.
    Range [0, inf]; NaN for weights constant over residues, or m < 4 (one frequency).
    """
    if len(snapshot.network.cycle) < 4:
        return undefined()
    signal, noise = _strongest(jnp.sum(_spectra(snapshot), axis=0))
    signal, noise = jnp.sum(signal), jnp.sum(noise)
    return jnp.where(signal > 0, signal / noise, jnp.nan)


def signal_energy(snapshot: Snapshot) -> jax.Array:
    """E_S: energy of u and v at each neuron's strongest frequency, over all neurons.

    The numerator of `snr`, in the units of the squared weights: with DC and
    `noise_energy` it adds up to the squared norm of the first layer's rows. Range
    [0, inf); NaN for m < 4 (one frequency).
    """
    return _energies(snapshot)[0]


def noise_energy(snapshot: Snapshot) -> jax.Array:
    """E_N: energy of u and v at all other frequencies, over all neurons, DC removed.

    The denominator of `snr`; see `signal_energy`. Range [0, inf); NaN for m < 4.
    """
    return _energies(snapshot)[1]


def _energies(snapshot: Snapshot) -> tuple[jax.Array, jax.Array]:
    if len(snapshot.network.cycle) < 4:
        return undefined(), undefined()
    largest = jnp.max(jnp.abs(snapshot.params["first"]))
    signal, noise = _strongest(jnp.sum(_spectra(snapshot), axis=0))
    scale = jnp.square(largest) / len(snapshot.network.cycle)  # Parseval
    return scale * jnp.sum(signal), scale * jnp.sum(noise)


def _strongest(power: jax.Array) -> tuple[jax.Array, jax.Array]:
    """[N] power at the strongest frequency and [N] at all others, of power [K, N]."""
    frequencies = jnp.arange(power.shape[0])[:, None]
    is_strongest = frequencies == jnp.argmax(power, axis=0)[None, :]
    # Summed without the strongest term: a difference would lose a small rest.
    rest = jnp.sum(jnp.where(is_strongest, 0.0, power), axis=0)
    return jnp.max(power, axis=0), rest


def specialised_fraction(snapshot: Snapshot) -> jax.Array:
    """Share of neurons with over half their power (u, v together) at one frequency.

    Neurons without power do not count. Pure cosines: 1; Gaussian weights: 0 for large
    p (0.04 at p = 13, 1e-4 at p = 23). Range [0, 1]; NaN without power, or m < 4 (one
    frequency).
    """
    if len(snapshot.network.cycle) < 4:
        return undefined()
    signal, noise = _strongest(jnp.sum(_spectra(snapshot), axis=0))
    specialised = jnp.sum((signal > noise).astype(jnp.float32))
    return ratio(specialised, jnp.sum((signal > 0).astype(jnp.float32)))


def ipr(snapshot: Snapshot) -> jax.Array:
    """Mean over the rows u_j, v_j of sum_k q_k^2, q = normalised power, DC removed.

    Inverse participation ratio with the rfft convention (Gromov, arXiv 2301.02679;
    Doshi et al., arXiv 2310.13061). A pure cosine gives 1, Gaussian rows 2/(K+1) for
    odd m, with K = m//2 frequencies. Range [1/K, 1]; rows without power are left out.
    """
    if len(snapshot.network.cycle) < 2:
        return undefined()
    power = _spectra(snapshot)
    total = jnp.sum(power, axis=1, keepdims=True)
    q = power / jnp.where(total == 0, 1.0, total)
    rows = jnp.sum(jnp.square(q), axis=1)
    return ratio(jnp.sum(rows), jnp.sum(total > 0))


@lru_cache(maxsize=64)
def quadruples(order: int) -> npt.NDArray[np.int64]:
    """[256, 4] fixed random residues with a + b = c + d mod m, {a, b} != {c, d}."""
    rng = np.random.default_rng(order)
    batches: list[npt.NDArray[np.int64]] = []
    while sum(map(len, batches)) < N_QUADRUPLES:
        a, b, c = rng.integers(0, order, (3, 16 * N_QUADRUPLES))
        d = (a + b - c) % order
        trivial = (c == a) | (c == b)
        batches.append(np.stack([a, b, c, d], axis=1)[~trivial])
    return np.concatenate(batches)[:N_QUADRUPLES]


def rqi(snapshot: Snapshot) -> jax.Array:
    """Representation quality: do the phases of u_j lie on a lattice on the circle?

    For each neuron the analytic signal of u_j over residues (one-sided DFT, DC
    removed) has phases phi(a). Over fixed random a + b = c + d mod m, the share with
    |wrap(phi_a + phi_b - phi_c - phi_d)| < pi/8, neurons weighted by power, rescaled
    so that Gaussian weights give 0 and a lattice 1. The parallelograms of Liu et al.
    (arXiv 2205.10343), taken on the circle, where Z_p has non-trivial solutions.

    The share of Gaussian weights is 1/8 for large m and higher where frequencies are
    few (0.15 at m = 23, 0.27 at m = 7), so it is taken at m itself. The Nyquist mode
    of even m has no phase and is left out. Range [-s/(1 - s), 1], s that share; NaN for
    m < 5, where each neuron has one frequency, and where no neuron has any power.
    """
    if len(snapshot.network.cycle) < 5:
        return undefined()
    u = _embeddings(snapshot)[0]
    order = u.shape[0]
    waves = _waves(order)[: (order - 1) // 2]
    signal = waves.conj().T @ (waves @ u.astype(waves.dtype))
    size = jnp.abs(signal) / order
    # A neuron with nothing but the Nyquist mode leaves rounding noise.
    largest, whole = jnp.max(size, axis=0), jnp.max(jnp.abs(u), axis=0)
    size = jnp.where((largest > 1e-5 * whole)[None, :], size, 0.0)
    phase = signal / order / jnp.where(size == 0, 1.0, size)
    a, b, c, d = jnp.asarray(quadruples(order)).T
    turn = phase[a] * phase[b] * jnp.conj(phase[c] * phase[d])
    closed = jnp.mean(jnp.real(turn) > np.cos(PHASE_TOLERANCE), axis=0)
    power = jnp.sum(jnp.square(size), axis=0)
    share = ratio(jnp.sum(power * closed), jnp.sum(power))
    chance = chance_closed(order)
    return (share - chance) / (1.0 - chance)


@lru_cache(maxsize=64)
def chance_closed(order: int, n_neurons: int = 4096) -> float:
    """Share of quadruples that close for Gaussian weights, weighted by power.

    An estimate from fixed random neurons, within 0.01; 1/8 for large m.
    """
    rng = np.random.default_rng(order)
    n_waves = (order - 1) // 2
    amplitude = rng.normal(size=(n_waves, n_neurons, 2)) @ np.array([1, 1j])
    signal = _waves(order)[:n_waves].conj().T @ amplitude
    a, b, c, d = quadruples(order).T
    phase = np.angle(signal)
    turn = phase[a] + phase[b] - phase[c] - phase[d]
    closed = np.cos(turn) > np.cos(PHASE_TOLERANCE)
    power = np.sum(np.abs(signal) ** 2, axis=0)
    return float(np.sum(power * closed.mean(axis=0)) / np.sum(power))


def _positions(snapshot: Snapshot) -> tuple[jax.Array, jax.Array]:
    """[n] place of each label in the cycle, and [n] whether it is in the group at all.

    An example whose label is in the group has both residues in it.
    """
    n_classes = snapshot.logits.shape[-1]
    place = np.full(n_classes, -1)
    place[list(snapshot.network.cycle)] = np.arange(len(snapshot.network.cycle))
    position = jnp.asarray(place)[snapshot.label]
    return jnp.maximum(position, 0), position >= 0


def _class_means(snapshot: Snapshot) -> jax.Array:
    """[m, C] mean logits of the examples of each group element, in cycle order."""
    place, inside = _positions(snapshot)
    order = len(snapshot.network.cycle)
    member = (jnp.arange(order)[:, None] == place[None, :]) & inside[None, :]
    weight = member.astype(jnp.float32)
    return weight @ snapshot.logits / jnp.sum(weight, axis=1, keepdims=True)


def function_snr(snapshot: Snapshot) -> jax.Array:
    """Energy of f in functions of c - s alone, s the right answer, over the rest.

    For addition: functions of c - a - b mod p, what a network that has learned the
    group law computes. The mean of f (DC) counts on neither side. 0 for a random
    network, phi / (1 - phi) for one that outputs y on a share phi of the table and 0
    elsewhere, infinite for an exact one. Range [0, inf]; NaN for f constant, or below
    1e-30.
    """
    if len(snapshot.network.cycle) < 2:
        return undefined()
    cycle = np.array(snapshot.network.cycle)
    order = len(cycle)
    place, inside = _positions(snapshot)
    logits = jnp.where(inside[:, None], snapshot.logits[:, cycle], 0.0)
    # One scale for both: the classes outside the group must not enter it.
    largest = jnp.max(jnp.abs(logits))
    largest = jnp.where(largest < TINY, jnp.inf, largest)
    logits, means = logits / largest, _class_means(snapshot)[:, cycle] / largest
    shift = (np.arange(order)[None, :] + np.arange(order)[:, None]) % order
    relative = jnp.mean(means[np.arange(order)[:, None], shift], axis=0)
    # The projection, as a matrix over (s, c), then for each example.
    projected = relative[
        (np.arange(order)[None, :] - np.arange(order)[:, None]) % order
    ]
    rest = jnp.where(inside[:, None], logits - projected[place], 0.0)
    signal = order * jnp.sum(jnp.square(relative - jnp.mean(relative)))
    noise = jnp.sum(jnp.square(rest))
    signal = signal * jnp.sum(inside) / order
    return jnp.where(signal + noise > 0, signal / noise, jnp.nan)


def _key_logits(snapshot: Snapshot) -> jax.Array:
    """[m, C] the part of the class means at the key frequencies, in cycle order.

    Key frequencies: the fewest that carry 95 % of the power of the class means.
    """
    means = _class_means(snapshot)
    order = means.shape[0]
    waves = jnp.asarray(_waves(order))
    spectrum = waves @ means.astype(waves.dtype)
    pairs = jnp.asarray(_pairs(order))
    power = pairs * jnp.sum(jnp.square(jnp.abs(spectrum)), axis=1)
    descending = jnp.sort(power)[::-1]
    before = jnp.cumsum(descending) - descending
    n_keys = jnp.sum(before < KEY_POWER * jnp.sum(power))
    weakest = descending[jnp.maximum(n_keys - 1, 0)]
    kept = jnp.where(power >= weakest, pairs, 0.0)
    return jnp.real(waves.conj().T @ (kept[:, None] * spectrum)) / order


def restricted_loss(snapshot: Snapshot) -> jax.Array:
    """Mean loss, over the group, with only the key frequencies' a + b part of f.

    Nanda et al. (arXiv 2301.05217): logits are replaced by their mean and their
    components in cos, sin w_k(a + b) of the key frequencies. Above the loss of f = 0
    for a random network, by the square of its mean output; (1 - phi)^2 under mse for
    one that outputs y on a share phi of the table and 0 elsewhere; near 0 where the
    group law is all that the network needs. Range [0, inf).
    """
    if len(snapshot.network.cycle) < 2:
        return undefined()
    place, inside = _positions(snapshot)
    kept = _key_logits(snapshot) + jnp.mean(_class_means(snapshot), 0, keepdims=True)
    losses = snapshot.network.loss(kept[place], snapshot.label)
    return mean_over(losses, inside)


def excluded_loss(snapshot: Snapshot) -> jax.Array:
    """Mean loss, over the group's training examples, without that part of f.

    Nanda et al. (arXiv 2301.05217). Near the training loss for a network that does
    without the group law; near the loss of f = 0 for one that lives by it (1 - 1/p
    for an exact one under mse). Range [0, inf).
    """
    if len(snapshot.network.cycle) < 2:
        return undefined()
    place, inside = _positions(snapshot)
    part = jnp.where(inside[:, None], _key_logits(snapshot)[place], 0.0)
    losses = snapshot.network.loss(snapshot.logits - part, snapshot.label)
    return mean_over(losses, snapshot.train & inside)
