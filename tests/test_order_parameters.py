from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import gaussian, gromov, mostly_slow, sizes_of, snapshot
from flax import linen as nn
from jax.flatten_util import ravel_pytree
from test_tasks import NO_IMAGES

from grokmap import tasks
from grokmap.engine.train import build
from grokmap.models import (
    ACTIVATIONS,
    ALPHA_CONVENTIONS,
    MODELS,
    TwoLayer,
    two_layer_ntk,
)
from grokmap.order_parameters import (
    ALWAYS,
    ORDER_PARAMETERS,
    Network,
    Snapshot,
    curvature,
    kernels,
    layers,
    measure,
    spectra,
)
from grokmap.spec import Control, System
from grokmap.tasks import TASKS
from grokmap.theory import spiked

TABLE = {**ALWAYS, **ORDER_PARAMETERS}
# The probe set of the kernels is a fixed sample, which relabelling changes.
PROBED = {"kernel_alignment", "ntk_drift"}


# Compiled once a shape: op by op, each would compile its own small programs.
COMPILED = {name: jax.jit(entry.function) for name, entry in TABLE.items()}


def value(name: str, snap: Snapshot) -> float:
    return float(COMPILED[name](snap))


def with_first(first: Any) -> Snapshot:
    readout = np.ones((np.shape(first)[1], np.shape(first)[0] // 2), np.float32)
    return snapshot(np.asarray(first, np.float32), readout)


# ---- Gromov's analytic network: the one grokked network known in closed form


@pytest.mark.parametrize(("width", "low", "high"), [(50, 0.84, 0.94), (100, 0.98, 1)])
def test_gromov_accuracy_rises_with_width(width: int, low: float, high: float) -> None:
    # Gromov, arXiv 2301.02679: random phases of a few neurons do not cancel.
    for seed in range(3):
        snap = snapshot(*gromov(97, width, seed), n_train=0)
        assert low <= value("test_accuracy", snap) <= high


def test_gromov_network_is_at_every_limit() -> None:
    snap = snapshot(*gromov(97, 500))
    assert value("test_accuracy", snap) == 1
    assert value("train_accuracy", snap) == 1
    assert value("rqi", snap) == pytest.approx(1, abs=1e-6)
    assert value("ipr", snap) == pytest.approx(1, abs=1e-5)
    assert value("snr", snap) > 1e6


def test_random_network_is_at_the_other_limits() -> None:
    snap = snapshot(*gaussian(97, 500))
    assert value("test_accuracy", snap) == pytest.approx(1 / 97, abs=0.005)
    assert abs(value("rqi", snap)) < 0.05
    # Exponential powers: E sum q^2 = 2 / (K + 1), K = 48 (0.0408).
    assert value("ipr", snap) == pytest.approx(2 / 49, rel=0.03)
    assert value("snr", snap) < 0.2


# ---- closed forms


@pytest.mark.parametrize("k", [1, 3, 8])
def test_k_equal_singular_values_give_effective_rank_k(k: int) -> None:
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.normal(size=(14, 14)))
    right, _ = np.linalg.qr(rng.normal(size=(20, 20)))
    first = 3.0 * left[:, :k] @ right[:, :k].T
    assert value("effective_rank", with_first(first)) == pytest.approx(k, rel=1e-4)
    wide = with_first(first.T)  # the other side of the Gram matrix
    assert value("effective_rank", wide) == pytest.approx(k, rel=1e-4)


@pytest.mark.parametrize("k", [1, 3, 8])
def test_k_equal_eigenvalues_give_participation_ratio_k(k: int) -> None:
    n, width = 49, 12
    cosines = np.cos(np.pi * np.outer(np.arange(n) + 0.5, np.arange(1, k + 1)) / n)
    mix, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(width, width)))
    hidden = 5.0 + 2.0 * cosines @ mix[:k]
    snap = with_first(np.zeros((14, width)))
    snap = replace(snap, hidden=jnp.asarray(hidden, jnp.float32))
    assert value("participation_ratio", snap) == pytest.approx(k, rel=1e-4)


def of_equal_eigenvalues(k: int) -> float:
    """Contrast of hidden activations [49, 12] with k of them on 16 test examples."""
    signs = np.ones((1, 1))
    for _ in range(4):
        signs = np.kron(signs, [[1, 1], [1, -1]])  # columns are orthogonal
    hidden = np.concatenate([3.0 + signs[:, 1 : k + 1], 99.0 * np.ones((33, k))])
    mix, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(12, 12)))
    snap = replace(
        with_first(np.zeros((14, 12))),
        hidden=jnp.asarray(hidden @ mix[:k], jnp.float32),
        train=jnp.arange(49) >= 16,
    )
    return value("head_tail_contrast", snap)


def test_k_equal_eigenvalues_give_head_tail_contrast_of_5_to_the_others() -> None:
    assert of_equal_eigenvalues(10) == pytest.approx(0.0, abs=1e-4)
    assert of_equal_eigenvalues(8) == pytest.approx(np.log(5 / 3), abs=1e-4)
    assert 14 < of_equal_eigenvalues(5) < 23.1  # in float32 nothing is quite 0


@pytest.mark.parametrize("modulus", mostly_slow([7, 8, 97], [7, 8]))
def test_one_pure_cosine_is_a_perfect_representation(modulus: int) -> None:
    a = np.arange(modulus)[:, None]
    wave = np.cos(2 * np.pi * 2 * a / modulus + np.array([[0.1, 1.0, 2.0]]))
    snap = with_first(np.concatenate([wave, 0.5 + wave]))
    assert value("rqi", snap) == pytest.approx(1, abs=1e-6)
    assert value("ipr", snap) == pytest.approx(1, abs=1e-5)
    assert value("snr", snap) > 1e6


def test_two_waves_in_proportion_2_to_1() -> None:
    a = np.arange(11)[:, None]
    wave = np.sqrt(2) * np.cos(2 * np.pi * a / 11) + np.cos(2 * np.pi * 4 * a / 11)
    snap = with_first(np.concatenate([wave, wave]))
    assert value("snr", snap) == pytest.approx(2, rel=1e-5)
    assert value("ipr", snap) == pytest.approx((2 / 3) ** 2 + (1 / 3) ** 2, rel=1e-5)


def test_snr_takes_u_and_v_together() -> None:
    # u on frequency 1, v on frequency 2, equal power: no frequency has the most.
    a = np.arange(11)[:, None]
    waves = [np.cos(2 * np.pi * k * a / 11) for k in (1, 2)]
    snap = with_first(np.concatenate(waves))
    assert value("snr", snap) == pytest.approx(1, rel=1e-4)
    assert value("ipr", snap) == pytest.approx(1, rel=1e-5)


def test_snr_agrees_with_numpy_fft_in_float64() -> None:
    first, readout = gaussian(11, 32)
    u, v = np.float64(first[:11]), np.float64(first[11:])
    power = sum(np.abs(np.fft.rfft(w, axis=0)[1:]) ** 2 for w in (u, v))
    best = power.max(axis=0)
    expected = best.sum() / (power.sum(axis=0) - best).sum()
    assert value("snr", snapshot(first, readout)) == pytest.approx(expected, rel=1e-5)


def test_rqi_agrees_with_numpy_fft_in_float64() -> None:
    first, readout = gaussian(11, 32)
    spectrum = np.fft.fft(np.float64(first[:11]), axis=0)
    spectrum[0] = spectrum[6:] = 0
    signal = np.fft.ifft(spectrum, axis=0)
    phase = np.angle(signal)
    a, b, c, d = spectra.quadruples(11).T
    turn = phase[a] + phase[b] - phase[c] - phase[d]
    closed = np.abs(np.angle(np.exp(1j * turn))) < np.pi / 8
    power = (np.abs(signal) ** 2).sum(axis=0)
    share = (power * closed.mean(axis=0)).sum() / power.sum()
    chance = spectra.chance_closed(11)
    expected = (share - chance) / (1 - chance)
    assert value("rqi", snapshot(first, readout)) == pytest.approx(expected, abs=1e-5)


def test_quadruples_are_non_trivial_solutions() -> None:
    for modulus in (2, 3, 7, 97):
        a, b, c, d = spectra.quadruples(modulus).T
        assert np.all((a + b - c - d) % modulus == 0)
        assert not np.any((a == c) | (a == d))


def test_accuracy_counts_ties_as_wrong() -> None:
    silent = with_first(np.zeros((14, 4)))
    assert value("train_accuracy", silent) == 0


def test_losses_split_by_the_train_mask() -> None:
    snap = snapshot(*gaussian(7, 8), n_train=10)
    assert value("train_loss", snap) == pytest.approx(float(snap.loss[:10].mean()))
    assert value("test_loss", snap) == pytest.approx(float(snap.loss[10:].mean()))


def test_weight_norms() -> None:
    first, readout = gaussian(7, 8)
    snap = snapshot(first, readout)
    parts = [np.sum(np.square(w)) for w in (first, readout)]
    assert value("weight_norm", snap) == pytest.approx(np.sqrt(sum(parts)))
    assert value("weight_norm_first", snap) == pytest.approx(np.sqrt(parts[0]))
    assert value("weight_norm_readout", snap) == pytest.approx(np.sqrt(parts[1]))


def test_zero_loss_fraction_counts_exact_zeros() -> None:
    snap = snapshot(*gaussian(7, 8), n_train=10)
    loss = snap.loss.at[:3].set(0.0).at[20:].set(0.0)
    assert value("zero_loss_fraction", replace(snap, loss=loss)) == pytest.approx(0.3)


@pytest.mark.slow
def test_rqi_of_gaussian_weights_is_0_at_any_modulus() -> None:
    for modulus in (5, 8, 23):
        values = [value("rqi", snapshot(*gaussian(modulus, 400, s))) for s in range(3)]
        assert abs(np.mean(values)) < 0.04
    assert spectra.chance_closed(97) == pytest.approx(1 / 8, abs=0.006)


def with_logits(logits: Any, n_train: int | None = None) -> Snapshot:
    modulus = np.shape(logits)[1]
    snap = snapshot(*gaussian(modulus, 8), n_train=n_train)
    logits = jnp.asarray(logits, jnp.float32)
    loss = snap.network.loss(logits, snap.label)
    return replace(snap, logits=logits, loss=loss)


def answers(modulus: int) -> np.ndarray:
    a, b = np.indices((modulus, modulus)).reshape(2, -1)
    return np.asarray((a + b) % modulus)


def test_an_exact_network_has_nothing_but_the_group_law() -> None:
    snap = with_logits(np.eye(7)[answers(7)])
    assert value("function_snr", snap) > 1e6
    assert value("restricted_loss", snap) == pytest.approx(0, abs=1e-6)
    # Without it the mean 1/p is left: (1 - 1/p)^2 + (p - 1) / p^2.
    expected = (6 / 7) ** 2 + 6 / 49
    assert value("excluded_loss", snap) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("share", [0.25, 0.6])
def test_a_stored_table_without_the_group_law(share: float) -> None:
    # Right on a share of each class, 0 elsewhere: (c - s) gets share, the rest nothing.
    modulus = 101
    logits = np.eye(modulus)[answers(modulus)]
    kept = np.random.default_rng(0).random(len(logits)) < share
    snap = with_logits(logits * kept[:, None])
    expected = share / (1 - share)
    assert value("function_snr", snap) == pytest.approx(expected, rel=0.05)
    assert value("restricted_loss", snap) == pytest.approx((1 - share) ** 2, rel=0.15)


def test_one_frequency_is_restricted_and_excluded() -> None:
    s, c = answers(11)[:, None], np.arange(11)[None, :]
    law = 0.5 * np.cos(2 * np.pi * 3 * (c - s) / 11)
    noise = np.random.default_rng(0).normal(size=law.shape)
    # Noise that averages to 0 over the examples of each answer is no part of the law.
    noise -= np.array([noise[answers(11) == k].mean(axis=0) for k in answers(11)])
    snap = with_logits(law + noise, n_train=121 - 11)
    target = np.eye(11)[answers(11)]
    assert value("restricted_loss", snap) == pytest.approx(
        np.sum((law - target) ** 2, axis=1).mean(), rel=1e-4
    )
    assert value("excluded_loss", snap) == pytest.approx(
        np.sum((noise - target)[:-11] ** 2, axis=1).mean(), rel=1e-4
    )
    signal, rest = np.sum(law**2), np.sum(noise**2)
    assert value("function_snr", snap) == pytest.approx(signal / rest, rel=1e-3)


def test_specialised_fraction_counts_neurons() -> None:
    a = np.arange(11)[:, None]
    pure = np.cos(2 * np.pi * 2 * a / 11 + np.zeros((1, 3)))
    mixed = sum(np.cos(2 * np.pi * k * a / 11) for k in (1, 2, 3))
    nothing = np.zeros((11, 1))
    u = np.concatenate([pure, mixed, nothing], axis=1)
    assert value("specialised_fraction", with_first(np.concatenate([u, u]))) == 3 / 4


@pytest.mark.parametrize("task", ["modular_multiplication", "modular_division"])
def test_products_are_waves_over_logarithms(task: str) -> None:
    # 3 generates the residues of 7: 1, 3, 2, 6, 4, 5.
    logarithm = np.array([0, 0, 2, 1, 4, 5, 3])[:, None]
    wave = np.cos(2 * np.pi * logarithm / 6 + np.array([[0.1, 1.0, 2.0]]))
    wave[0] = 5.0  # zero stands outside the group
    first = np.concatenate([wave, wave]).astype(np.float32)
    snap = snapshot(first, np.ones((3, 7), np.float32), task=task)
    assert value("rqi", snap) == pytest.approx(1, abs=1e-6)
    assert value("snr", snap) > 1e6
    assert value("ipr", snap) == pytest.approx(1, abs=1e-5)
    a, b = np.indices((7, 7)).reshape(2, -1)
    b, a = (b[b > 0], a[b > 0]) if "division" in task else (b, a)
    exact = jax.nn.one_hot(snap.label, 7)
    exact = replace(snap, logits=exact, loss=snap.network.loss(exact, snap.label))
    assert value("function_snr", exact) > 1e6
    assert value("restricted_loss", exact) == pytest.approx(0, abs=1e-6)
    # The class outside the group counts on neither side, however large its logit.
    noise = np.random.default_rng(0).normal(size=exact.logits.shape)
    noisy = replace(exact, logits=exact.logits + jnp.asarray(noise, jnp.float32))
    loud = replace(noisy, logits=noisy.logits.at[:, 0].set(100.0))
    assert value("function_snr", loud) == pytest.approx(
        value("function_snr", noisy), rel=1e-4
    )


def test_too_few_residues_are_undefined_not_an_error() -> None:
    # Multiplication mod 2 has a group of one element, mod 3 of two.
    for modulus in (2, 3):
        n_train = modulus**2
        snap = snapshot(*gaussian(modulus, 8), n_train, task="modular_multiplication")
        for name in ("snr", "rqi", "specialised_fraction"):
            assert np.isnan(value(name, snap))
        for name in ("ipr", "function_snr", "restricted_loss", "excluded_loss"):
            assert np.isnan(value(name, snap)) == (modulus == 2)


def test_a_row_of_alternating_signs_has_no_phases() -> None:
    wave = np.resize([1.0, -1.0], (12, 1)) * np.linspace(1, 2, 8)
    assert np.isnan(value("rqi", with_first(np.concatenate([wave, wave]))))


# ---- weights and activations


def test_a_hidden_layer_constant_over_examples_has_no_dimension() -> None:
    for width in (16, 128):
        first = np.ones((14, 1)) * np.random.default_rng(0).normal(size=(1, width))
        assert np.isnan(value("participation_ratio", with_first(first)))


def test_gini_of_known_distributions() -> None:
    def gini(values: Any) -> float:
        first = np.resize(np.float32(values), (14, 500))
        snap = snapshot(first, np.zeros((500, 7), np.float32))
        return value("gini", replace(snap, params={"first": snap.params["first"]}))

    rng = np.random.default_rng(0)
    assert gini([1.0]) == pytest.approx(0, abs=1e-4)
    assert gini([1.0, 0, 0, 0]) == pytest.approx(3 / 4, abs=1e-4)
    assert gini(rng.normal(size=7000)) == pytest.approx(np.sqrt(2) - 1, abs=0.01)
    assert gini(rng.exponential(size=7000)) == pytest.approx(1 / 2, abs=0.01)
    assert gini(rng.uniform(size=7000)) == pytest.approx(1 / 3, abs=0.01)


def test_kurtosis_of_known_distributions() -> None:
    assert value("preactivation_kurtosis", snapshot(*gromov(97, 500))) == pytest.approx(
        -0.75, abs=1e-3
    )
    snaps = [snapshot(*gaussian(23, 400, seed)) for seed in range(5)]
    values = [value("preactivation_kurtosis", snap) for snap in snaps]
    assert np.mean(values) == pytest.approx(0, abs=0.02)
    # Half the neurons silent: 3 * 2 - 3.
    first, readout = gaussian(23, 400)
    first[:, ::2] = 0
    half = value("preactivation_kurtosis", snapshot(first, readout))
    assert half == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("shape", [(14, 400), (46, 128), (194, 97), (194, 194)])
def test_pure_noise_has_no_outliers(shape: tuple[int, int]) -> None:
    rows, columns = shape
    for seed in range(5):
        first, _ = gaussian(rows // 2, columns, seed)
        assert value("bulk_outliers", with_first(7.0 * first)) == 0


@pytest.mark.parametrize(
    ("strength", "count"), [(0.0, 0), (0.8, 0), (1.0, 0), (2.0, 1)]
)
def test_a_spike_emerges_beyond_the_bbp_threshold(strength: float, count: int) -> None:
    rng = np.random.default_rng(0)
    for seed in range(5):
        first, _ = gaussian(97, 512, seed)
        left, right = rng.normal(size=194), rng.normal(size=512)
        spike = np.outer(left / np.linalg.norm(left), right / np.linalg.norm(right))
        threshold = (194 * 512) ** 0.25
        with_spike = first + strength * threshold * spike
        assert value("bulk_outliers", with_first(with_spike)) == count


def test_three_spikes_are_three_outliers_where_bbp_puts_them() -> None:
    # sigma_1 -> sqrt((theta^2 + n)(theta^2 + m)) / theta (Benaych-Georges, Nadakuditi).
    first, _ = gaussian(97, 512)
    left, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(194, 3)))
    right, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(512, 3)))
    theta = 3 * (194 * 512) ** 0.25
    first = first + theta * left @ right.T
    assert value("bulk_outliers", with_first(first)) == 3
    snap = with_first(first)
    largest = np.sqrt(float(snap.first_powers[-1])) * np.abs(first).max()
    expected = np.sqrt((theta**2 + 512) * (theta**2 + 194)) / theta
    assert largest == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("rank", [1, 2, 4, 8])
def test_a_matrix_without_noise_has_its_rank_in_outliers(rank: int) -> None:
    rng = np.random.default_rng(rank)
    first = rng.normal(size=(46, rank)) @ rng.normal(size=(rank, 128))
    assert value("bulk_outliers", with_first(first)) == rank


@pytest.mark.parametrize("aspect", [0.1, 0.5, 1.0])
def test_marchenko_pastur_median(aspect: float) -> None:
    matrix = np.random.default_rng(0).normal(size=(int(1000 * aspect), 1000))
    powers = np.linalg.svd(matrix, compute_uv=False) ** 2 / 1000
    found = spiked.marchenko_pastur_median(aspect)
    assert found == pytest.approx(np.median(powers), rel=0.02)


def test_teacher_overlap() -> None:
    first, readout = gaussian(7, 8)
    assert np.isnan(value("teacher_overlap", snapshot(first, readout)))
    teacher = np.random.default_rng(5).normal(size=14).astype(np.float32)
    along = np.outer(teacher, readout[:, 0])
    for weights, overlap in ((along, 1.0), (np.eye(14)[:, :1] * 2.0, None)):
        snap = replace(snapshot(first, readout), params={"first": jnp.asarray(weights)})
        found = value("teacher_overlap", replace(snap, teacher=jnp.asarray(teacher)))
        expected = overlap or abs(teacher[0]) / np.linalg.norm(teacher)
        assert found == pytest.approx(expected, abs=1e-6)


def test_weight_motion() -> None:
    snap = snapshot(*gaussian(7, 8))
    assert np.isnan(value("weight_motion", snap))
    start = jax.tree.map(lambda w: 2.0 * w, snap.params)
    still = replace(snap, initial_params=snap.params)
    assert value("weight_motion", still) == 0.0
    halved = replace(snap, initial_params=start)
    assert value("weight_motion", halved) == pytest.approx(0.5, abs=1e-6)


def test_motion_of_each_matrix_is_its_own() -> None:
    snap = snapshot(*gaussian(7, 8))
    assert np.isnan(value("weight_motion_first", snap))
    start = {"first": snap.params["first"] / 0.75, "readout": snap.params["readout"]}
    moved = replace(snap, initial_params=start)
    assert value("weight_motion_first", moved) == pytest.approx(0.25, abs=1e-6)
    assert value("weight_motion_readout", moved) == 0.0
    assert np.isnan(value("weight_motion_hidden_2", moved))


def test_alignment_of_layers_with_known_answers() -> None:
    """Orthogonal classes: 1, whatever their rotation; examples all orthogonal: the
    documented root; equal activations: none. Layers that are not there: none."""
    snap = snapshot(*gaussian(7, 8))
    n, classes = 49, 7
    label = np.asarray(snap.label)
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(classes, classes)))[0]
    of_classes = 3.0 + 1e-3 * np.eye(classes)[label] @ rotation
    each = (np.eye(n), of_classes, np.ones((n, 5)))
    layered = replace(snap, layers=tuple(jnp.asarray(x, jnp.float32) for x in each))
    found = [value(f"layer_alignment_{layer}", layered) for layer in (1, 2, 3, 4)]
    root = np.sqrt((classes - 1) / (n - 1))
    assert found == pytest.approx([root, 1.0, np.nan, np.nan], abs=1e-3, nan_ok=True)


def test_spectrum_of_the_motion() -> None:
    """A rank-one motion on top of noise is one outlier; without noise it has rank 1."""
    first, readout = gaussian(11, 64)
    snap = snapshot(first, readout)
    assert np.isnan(value("motion_rank", snap))
    rng = np.random.default_rng(0)
    spike = np.outer(rng.normal(size=22), rng.normal(size=64)).astype(np.float32)
    noise = 0.3 * rng.normal(size=first.shape).astype(np.float32)

    def moved_by(motion: np.ndarray) -> Any:
        start = {**snap.params, "first": snap.params["first"] - motion}
        return replace(snap, initial_params=start)

    assert value("motion_rank", moved_by(spike)) == pytest.approx(1, abs=1e-3)
    assert value("motion_outliers", moved_by(noise)) == 0
    assert value("motion_outliers", moved_by(spike + noise)) == 1
    assert value("motion_rank", moved_by(noise)) > 15
    assert value("motion_top_over_edge", moved_by(noise)) < 1
    assert value("motion_top_over_edge", moved_by(spike + noise)) > 2


@pytest.mark.parametrize("times_threshold", [0.0, 2.0, 4.0])
def test_the_largest_singular_value_over_the_edge(times_threshold: float) -> None:
    """Where spikes stand (theory.spiked), over the noise's edge and its margin."""
    first, _ = gaussian(97, 512)
    rng = np.random.default_rng(3)
    left, right = (x / np.linalg.norm(x) for x in rng.normal(size=(2, 512)))
    left = left[:194] / np.linalg.norm(left[:194])
    beta = times_threshold * spiked.threshold(first.shape, 1.0)
    edge = np.sqrt(spiked.largest_power(first.shape))
    expected = spiked.position(beta, first.shape, 1.0) / edge
    found = value("top_over_edge", with_first(first + beta * np.outer(left, right)))
    assert found == pytest.approx(expected, rel=0.025)


def test_energies_add_up_to_the_squared_norm() -> None:
    first, readout = gromov(11, 40)
    snap = snapshot(0.3 * first, readout)
    parts = value("signal_energy", snap), value("noise_energy", snap)
    rows = 0.3 * first.reshape(2, 11, 40)
    rows = rows - rows.mean(axis=1, keepdims=True)
    assert sum(parts) == pytest.approx(float(np.sum(rows**2)), rel=1e-5)


@pytest.mark.parametrize("k", [1, 3, 8])
def test_both_effective_ranks_of_equal_singular_values(k: int) -> None:
    unitary = np.linalg.qr(np.random.default_rng(1).normal(size=(22, 22)))[0]
    first = (unitary[:, :k] @ np.eye(k, 40)).astype(np.float32)
    for name in ("effective_rank", "effective_rank_roy_vetterli"):
        rel = 1e-4 if name == "effective_rank" else 0.02  # of rounding, square roots
        assert value(name, with_first(first)) == pytest.approx(k, rel=rel)


# ---- the neural tangent kernel


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [False, True])
def test_closed_form_of_the_kernel_is_the_jacobians(
    activation: str, bias: bool
) -> None:
    system = System(
        task="modular_addition", modulus=5, width=6, activation=activation, bias=bias
    )
    module = TwoLayer(system, TASKS["modular_addition"].shape(system))
    # A prefactor and a scale of the hidden layer that are not 1.
    scale = (
        ALPHA_CONVENTIONS["survey_code"].scale(0.3, 6, 2, 10)._replace(prefactor=0.7)
    )
    pairs = jnp.asarray(np.indices((5, 5), np.int32).reshape(2, -1).T[:18])
    params = module.init(jax.random.key(0), pairs, scale)["params"]
    # Biases away from 0, where they start.
    params = jax.tree.map(lambda w: w + 0.1, params)
    closed = two_layer_ntk(module, params, pairs, scale)

    def logits(theta: Any, rows: jax.Array) -> jax.Array:
        return module.apply({"params": theta}, pairs[rows], scale).logits

    rows = jnp.arange(18)
    for block in (7, 18):
        kernel = kernels.empirical_ntk(logits, params, rows, block)
        np.testing.assert_allclose(kernel, closed, rtol=2e-4, atol=1e-6)
    jacobian = jax.jacrev(logits)(params, rows)
    flat = [np.float64(leaf).reshape(18, 5, -1) for leaf in jax.tree.leaves(jacobian)]
    whole = np.concatenate(flat, axis=2)
    expected = np.einsum("xcp,ycp->xy", whole, whole)
    np.testing.assert_allclose(closed, expected, rtol=2e-4, atol=1e-6)


def test_a_network_linear_in_its_parameters_does_not_drift() -> None:
    features = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)

    class Linear(nn.Module):
        @nn.compact
        def __call__(self, rows: jax.Array) -> jax.Array:
            return nn.Dense(3)(jnp.asarray(features)[rows])

    rows = jnp.arange(20)
    ntks = []
    for seed in range(2):
        params = Linear().init(jax.random.key(seed), rows)
        ntks.append(kernels.empirical_ntk(Linear().apply, params, rows))
    snap = snapshot(*gaussian(7, 8))
    network = Network(snap.network.loss, snap.network.gradient, lambda *_: ntks[1])
    lazy = replace(snap, network=network, initial_kernel=ntks[0])
    assert value("ntk_drift", lazy) < 1e-6
    expected = 3 * (features @ features.T + 1)
    np.testing.assert_allclose(ntks[0], expected, rtol=1e-5)


def test_kernel_alignment_at_its_limits() -> None:
    snap = snapshot(*gaussian(7, 8))
    probe = tasks.probe(System(task="modular_addition", modulus=7))
    label = np.asarray(snap.label)[probe]
    same = (label[:, None] == label[None, :]).astype(np.float32)
    for kernel, expected in ((5 * same + 3, 1.0), (np.eye(len(label)), None)):
        made = replace(snap, network=replace(snap.network, ntk=lambda *_, k=kernel: k))
        expected = expected or np_cka(kernel, same)
        assert value("kernel_alignment", made) == pytest.approx(expected, rel=1e-5)
    blind = np_cka(np.eye(len(label)), same)
    n, n_classes = len(label), len(set(label))
    assert blind == pytest.approx(np.sqrt((n_classes - 1) / (n - 1)), abs=0.01)
    flat = replace(snap.network, ntk=lambda *_: np.ones_like(same))
    assert np.isnan(value("kernel_alignment", replace(snap, network=flat)))


def np_cka(one: np.ndarray, two: np.ndarray) -> float:
    centre = np.eye(len(one)) - 1 / len(one)
    one, two = (centre @ np.float64(k) @ centre for k in (one, two))
    return float(np.sum(one * two) / np.linalg.norm(one) / np.linalg.norm(two))


@pytest.mark.parametrize("factor", [1e-4, 1e-8, 1e-10, 1e-12])
def test_a_kernel_that_underflows_is_undefined_not_wrong(factor: float) -> None:
    # K of a quadratic network goes as the fourth power of its weights; CKA does not.
    first, readout = gaussian(23, 128)
    whole = snapshot(first, readout)
    small = snapshot(np.float32(factor) * first, np.float32(factor) * readout)
    for name in PROBED:
        found = value(name, small)
        assert np.isnan(found) or found == pytest.approx(value(name, whole), rel=1e-3)


# ---- curvature


def quadratic(eigenvalues: Any, theta: Any) -> Snapshot:
    """A snapshot whose training loss is theta' H theta / 2."""
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(len(theta),) * 2))
    hessian = (rotation * eigenvalues @ rotation.T).astype(np.float32)

    def gradient(params: Any, training: Any) -> Any:
        image = hessian @ params["first"]
        return params["first"] @ image / 2, {"first": image}

    snap = snapshot(*gaussian(7, 8))
    network = Network(snap.network.loss, gradient, snap.network.ntk)
    params = {"first": jnp.asarray(rotation @ theta, jnp.float32)}
    return replace(snap, network=network, params=params)


def test_a_quadratic_loss_of_known_curvature() -> None:
    theta = np.array([1.0, 2.0, 0.5, -1.0, 0.1])
    values = np.array([5.0, 3.0, 0.5, 0.0, -7.0])
    snap = quadratic(values, theta)
    g = values * theta
    rho, size = 0.05 * np.linalg.norm(theta), np.linalg.norm(g)
    expected = rho * size + rho**2 / 2 * np.sum(values * g**2) / size**2
    assert value("gradient_norm", snap) == pytest.approx(size, rel=1e-4)
    assert value("sharpness", snap) == pytest.approx(expected, rel=1e-3)
    assert value("hessian_top", snap) == pytest.approx(5.0, rel=1e-4)


def test_top_eigenvalue_below_zero_and_degenerate() -> None:
    theta = np.ones(5)
    assert value("hessian_top", quadratic(-np.arange(1.0, 6), theta)) == pytest.approx(
        -1, rel=1e-3
    )
    assert value("hessian_top", quadratic(np.full(5, 2.0), theta)) == pytest.approx(2.0)
    assert value("hessian_top", quadratic(np.zeros(5), theta)) == 0


@pytest.mark.slow
def test_top_eigenvalue_of_a_network_is_that_of_its_whole_hessian() -> None:
    snap = snapshot(*gaussian(5, 4), activation="tanh")
    flat, unravel = ravel_pytree(snap.params)

    def gradient(vector: jax.Array) -> jax.Array:
        return ravel_pytree(snap.network.gradient(unravel(vector), snap.training)[1])[0]

    hessian = np.float64(jax.jacfwd(gradient)(flat))
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-4)
    expected = np.linalg.eigvalsh(hessian)[-1]
    assert value("hessian_top", snap) == pytest.approx(expected, rel=0.02)
    assert value("hessian_top", snap) <= expected * (1 + 1e-5)


# ---- float32 against float64, written from the formulas


def reference(snap: Snapshot) -> dict[str, float]:
    """Every order parameter of modular addition, quadratic, mse, in float64 numpy."""
    first, readout = (
        np.float64(snap.params["first"]),
        np.float64(snap.params["readout"].T),
    )
    p = len(first) // 2
    u, v = first[:p], first[p:]
    a, b = np.indices((p, p)).reshape(2, -1)
    label, train = (a + b) % p, np.asarray(snap.train)
    h = u[a] + v[b]
    f = h**2 @ readout
    y = np.eye(p)[label]

    power = [np.abs(np.fft.fft(w, axis=0)[1 : (p + 1) // 2]) ** 2 for w in (u, v)]
    both = sum(power)
    best = both.max(axis=0)
    rows = np.concatenate([w / w.sum(axis=0) for w in power], axis=1)
    singular = np.linalg.svd(first, compute_uv=False)
    q = singular**2 / np.sum(singular**2)
    root_q = singular / np.sum(singular)
    tested = np.linalg.eigvalsh(np.cov((h[~train] ** 2).T, bias=True))
    covariance = np.cov((h**2).T, bias=True)
    size = np.sort(np.abs(np.concatenate([first.ravel(), readout.ravel()])))
    n = len(size)

    relative = np.array([f[np.arange(p * p), (label + d) % p].mean() for d in range(p)])
    law = relative[(np.arange(p)[None, :] - label[:, None]) % p]
    signal = np.sum((law - relative.mean()) ** 2)

    means = np.array([f[label == s].mean(axis=0) for s in range(p)])
    spectrum = np.fft.fft(means, axis=0)
    strength = np.sum(np.abs(spectrum[1 : (p + 1) // 2]) ** 2, axis=1)
    order = np.argsort(-strength)
    enough = np.searchsorted(np.cumsum(strength[order]), 0.95 * strength.sum()) + 1
    keys = np.append(1 + order[:enough], p - 1 - order[:enough])
    kept = np.zeros_like(spectrum)
    kept[keys] = spectrum[keys]
    key = np.real(np.fft.ifft(kept, axis=0))
    restricted = (key + means.mean(axis=0))[label]

    n_train = train.sum()
    error = 2 * (f - y) * train[:, None] / n_train
    back = error @ readout.T * 2 * h
    gradient = [
        np.concatenate(
            [np.array([back[x == k].sum(axis=0) for k in range(p)]) for x in (a, b)]
        ),
        (h**2).T @ error,
    ]
    size_g = np.sqrt(sum(np.sum(g**2) for g in gradient))
    rho = 0.05 * np.sqrt(np.sum(first**2) + np.sum(readout**2))
    moved = [
        w + rho * g / size_g for w, g in zip((first, readout), gradient, strict=True)
    ]
    f_moved = (moved[0][:p][a] + moved[0][p:][b]) ** 2 @ moved[1]
    losses = [
        np.sum(np.sum((z - y) ** 2, axis=1) * train) / n_train for z in (f, f_moved)
    ]

    probe = tasks.probe(System(task="modular_addition", modulus=p))
    shared = (a[probe][:, None] == a[probe]) * 1.0 + (b[probe][:, None] == b[probe])
    slope = 2 * h[probe] * np.linalg.norm(readout, axis=1)
    kernel = p * h[probe] ** 2 @ (h[probe] ** 2).T + shared * (slope @ slope.T)
    same = label[probe][:, None] == label[probe]
    return {
        "rqi": float("nan"),  # test_rqi_agrees_with_numpy_fft_in_float64
        "snr": best.sum() / (both.sum(axis=0) - best).sum(),
        "function_snr": signal / np.sum((f - law) ** 2),
        "ipr": np.mean(np.sum(rows**2, axis=0)),
        "specialised_fraction": np.mean(best > both.sum(axis=0) / 2),
        "restricted_loss": np.sum((restricted - y) ** 2, axis=1).mean(),
        "excluded_loss": np.sum((f - key[label] - y) ** 2, axis=1)[train].mean(),
        "kernel_alignment": np_cka(kernel, same),
        "ntk_drift": 1 - np_cka(np.asarray(snap.initial_kernel), kernel),
        "effective_rank": np.exp(-np.sum(q * np.log(q))),
        "participation_ratio": np.trace(covariance) ** 2 / np.sum(covariance**2),
        "head_tail_contrast": np.log(tested[-5:].sum() / tested[:-5].sum()),
        "bulk_outliers": float("nan"),  # tests of noise and spikes
        "preactivation_kurtosis": np.mean((h - h.mean()) ** 4) / h.var() ** 2 - 3,
        "gini": np.sum((2 * np.arange(1, n + 1) - n - 1) * size) / n / np.sum(size),
        "teacher_overlap": float("nan"),  # test_teacher_overlap
        "weight_motion": float("nan"),  # test_weight_motion
        **{f"weight_motion_{array}": float("nan") for array in layers.ARRAYS},
        "layer_alignment_1": np_cka(h**2 @ (h**2).T, label[:, None] == label),
        **{f"layer_alignment_{n}": float("nan") for n in (2, 3, 4)},
        "effective_rank_roy_vetterli": np.exp(-np.sum(root_q * np.log(root_q))),
        "signal_energy": 2 * best.sum() / p,
        "noise_energy": 2 * (both.sum(axis=0) - best).sum() / p,
        "motion_rank": float("nan"),  # test_spectrum_of_the_motion
        "motion_outliers": float("nan"),
        "top_over_edge": float("nan"),  # test_the_largest_singular_value_over_the_edge
        "motion_top_over_edge": float("nan"),
        "parallelogram_share": float("nan"),  # tests of representations
        "predicted_accuracy": float("nan"),
        "gradient_norm": size_g,
        "sharpness": losses[1] - losses[0],
        "hessian_top": float("nan"),  # tests of curvature
    }


@pytest.mark.parametrize("weights", [gaussian, gromov])
def test_float32_agrees_with_float64_numpy(weights: Any) -> None:
    first, readout = weights(11, 40)
    snap = snapshot(0.3 * first, 0.1 * readout)
    expected = reference(snap)
    assert set(expected) == set(ORDER_PARAMETERS)
    for name, number in expected.items():
        if not np.isnan(number) and number < 1e5:
            assert value(name, snap) == pytest.approx(number, rel=1e-3, abs=2e-5), name


# ---- invariances

# Of a network on its own, or of a task with embeddings.
ABSENT = {"teacher_overlap", "weight_motion", "motion_rank", "motion_outliers"}
ABSENT |= {"motion_top_over_edge", "parallelogram_share", "predicted_accuracy"}
ABSENT |= {f"weight_motion_{array}" for array in layers.ARRAYS}
ABSENT |= {f"layer_alignment_{n}" for n in (2, 3, 4)}
ABSENT |= {"held_out_loss", "held_out_accuracy"}
ABSENT |= {"head_tail_contrast"}  # of test examples, and all are trained on here
RELABELLED = [n for n in ORDER_PARAMETERS if n not in {*PROBED, *ABSENT}]
SCALE_FREE = [
    *("rqi", "snr", "ipr", "specialised_fraction", "effective_rank", "bulk_outliers"),
    *("participation_ratio", "preactivation_kurtosis"),
]


@pytest.mark.parametrize("name", TABLE)
def test_neuron_order_does_not_matter(name: str) -> None:
    first, readout = gaussian(11, 32)
    order = np.random.default_rng(3).permutation(32)
    one = value(name, snapshot(first, readout))
    other = value(name, snapshot(first[:, order], readout[order]))
    # Lanczos' start is fixed, and 6 steps leave a part of it.
    rel = 0.2 if name == "hessian_top" else 1e-4
    assert other == pytest.approx(one, rel=rel, abs=1e-5, nan_ok=True)


@pytest.mark.parametrize("name", RELABELLED)
@pytest.mark.parametrize("k", [2, 5])
def test_relabelling_residues_does_not_matter(
    name: str, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Few steps of Lanczos' iteration leave a part of its fixed start.
    monkeypatch.setattr(curvature, "LANCZOS_STEPS", 60)
    # x -> k x permutes the residues and the frequencies; a + b = c + d is kept. The
    # quadruples of rqi are a sample: on a lattice it is 1 under every relabelling.
    first, readout = gromov(11, 40) if name == "rqi" else gaussian(11, 40)
    residues = np.arange(11) * k % 11
    moved = np.concatenate([first[:11][residues], first[11:][residues]])
    n_train = 121  # a training set would have to be relabelled as well
    one = value(name, snapshot(first, readout, n_train))
    other = value(name, snapshot(moved, readout[:, residues], n_train))
    assert other == pytest.approx(one, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("name", SCALE_FREE)
def test_sign_and_scale_do_not_matter(name: str) -> None:
    first, readout = gaussian(11, 32)
    one = value(name, snapshot(first, readout))
    for factor in (-1.0, 1e-3, 1e3, 1e-12):
        other = value(name, snapshot(factor * first, readout))
        assert other == pytest.approx(one, rel=1e-3, abs=1e-5)


# ---- the whole table


@pytest.mark.parametrize("name", TABLE)
def test_scalar_in_bounds_under_jit_and_vmap(name: str) -> None:
    function = TABLE[name].function
    snaps = [snapshot(*gaussian(7, 8, seed)) for seed in range(3)]
    plain = np.array([function(s) for s in snaps])
    assert plain.shape == (3,)
    low, high = TABLE[name].bounds
    assert np.all((plain >= low) & (plain <= high) | (name in ABSENT))
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *snaps)
    found = jax.jit(jax.vmap(function))(stacked)
    np.testing.assert_allclose(found, plain, rtol=1e-5, atol=1e-6)


# What a network of zeros has: the loss of f = 0, and no gradient.
OF_ZEROS = {
    "restricted_loss": 1.0,
    "excluded_loss": 1.0,
    "gradient_norm": 0.0,
    "hessian_top": 0.0,
    "signal_energy": 0.0,
    "noise_energy": 0.0,
}


@pytest.mark.parametrize("name", ORDER_PARAMETERS)
def test_a_collapsed_network_is_undefined_not_an_error(name: str) -> None:
    found = value(name, with_first(np.zeros((14, 4))))
    if name == "gini":  # its readout is not zero
        assert found == pytest.approx(1 - 28 / 84)
    else:
        expected = OF_ZEROS.get(name, np.nan)
        assert found == pytest.approx(expected, abs=1e-5, nan_ok=True)


def at_start(task: str, **sizes: int) -> Snapshot:
    """A two-layer network of the task at step 0."""
    system = System(
        task=task,
        alpha_convention="literal",
        order_parameters=("ntk_drift",),  # so that a lane keeps its first kernel
        **sizes_of(TASKS[task], MODELS["two_layer"], **{"modulus": 7, **sizes}),
    )
    n_examples = TASKS[task].shape(system).n_examples
    made = build(system, tile=n_examples, max_tiles=1)
    init = jax.jit(made.init)
    lane = init(Control(0.0, 0.0, 0.5, 0.1), jnp.int32(n_examples // 2), jnp.uint32(0))
    return jax.jit(made.snapshot)(lane)


QUICK = ("modular_multiplication",)


@pytest.mark.parametrize("task", mostly_slow(TASKS, QUICK))
def test_entries_are_defined_on_the_tasks_they_list(task: str) -> None:
    if task == "digits" and NO_IMAGES:
        pytest.skip(NO_IMAGES)
    for name, found in recorded(at_start(task)).items():
        entry = ORDER_PARAMETERS[name]
        listed = entry.tasks is None or task in entry.tasks
        listed = listed and (entry.models is None or "two_layer" in entry.models)
        assert np.isfinite(found) == listed, name


def recorded(snap: Snapshot) -> dict[str, float]:
    """All that a sweep of default `order_parameters` could record of a network."""
    names = tuple(k for k, v in ORDER_PARAMETERS.items() if not v.on_request)
    values = jax.jit(lambda s: measure(ORDER_PARAMETERS, names, s))(snap)
    return dict(zip(names, map(float, values), strict=True))


@pytest.mark.slow
def test_residues_that_form_no_cyclic_group_have_no_spectra() -> None:
    # Those of 8 under multiplication.
    for name, found in recorded(at_start("modular_multiplication", modulus=8)).items():
        tasks_listed = ORDER_PARAMETERS[name].tasks
        assert np.isfinite(found) == (tasks_listed is None), name


@pytest.mark.slow
def test_batched_eigenvalues_finish_on_several_devices() -> None:
    # Batched LAPACK on several CPU devices at once waits for ever (jaxlib 0.10.2).
    import subprocess
    import sys

    code = (
        "import sys; sys.path.insert(0, 'tests');"
        "from conftest import *;"
        "s = small_sweep(order_parameters=('effective_rank',), "
        "seed=tuple(range(16)), n_steps=300);"
        "print(len(labelled(s, lanes=16)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], timeout=120, capture_output=True, text=True
    )
    assert done.stdout.strip() == "16", done.stderr
