from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import gaussian, gromov, snapshot

from grokmap import order_parameters as op
from grokmap.order_parameters import HEALTH, ORDER_PARAMETERS, Snapshot

TABLE = {**HEALTH, **ORDER_PARAMETERS}


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
    # LITERATURE 6 and target 10.
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
    # Exponential powers: E sum q^2 = 2 / (K + 1), K = 48 (LITERATURE 6: 0.0405).
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
    snap = with_first(np.zeros((14, width)))._replace(
        hidden=jnp.asarray(hidden, jnp.float32)
    )
    assert value("participation_ratio", snap) == pytest.approx(k, rel=1e-4)


@pytest.mark.parametrize("modulus", [7, 8, 97])
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
    a, b, c, d = op.quadruples(11).T
    turn = phase[a] + phase[b] - phase[c] - phase[d]
    closed = np.abs(np.angle(np.exp(1j * turn))) < np.pi / 8
    power = (np.abs(signal) ** 2).sum(axis=0)
    share = (power * closed.mean(axis=0)).sum() / power.sum()
    expected = (share - 1 / 8) / (7 / 8)
    assert value("rqi", snapshot(first, readout)) == pytest.approx(expected, abs=1e-5)


def test_quadruples_are_non_trivial_solutions() -> None:
    for modulus in (2, 3, 7, 97):
        a, b, c, d = op.quadruples(modulus).T
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
    assert value("zero_loss_fraction", snap._replace(loss=loss)) == pytest.approx(0.3)


# ---- invariances


@pytest.mark.parametrize("name", TABLE)
def test_neuron_order_does_not_matter(name: str) -> None:
    first, readout = gaussian(11, 32)
    order = np.random.default_rng(3).permutation(32)
    one = value(name, snapshot(first, readout))
    assert value(name, snapshot(first[:, order], readout[order])) == pytest.approx(
        one, rel=1e-4, abs=1e-5
    )


@pytest.mark.parametrize("name", ["snr", "ipr", "effective_rank", "rqi"])
@pytest.mark.parametrize("k", [2, 5])
def test_relabelling_residues_does_not_matter(name: str, k: int) -> None:
    # x -> k x permutes the residues and the frequencies; a + b = c + d is kept. The
    # quadruples of rqi are a sample: on a lattice it is 1 under every relabelling.
    first, readout = gromov(11, 40) if name == "rqi" else gaussian(11, 40)
    residues = np.arange(11) * k % 11
    moved = np.concatenate([first[:11][residues], first[11:][residues]])
    one = value(name, snapshot(first, readout))
    other = value(name, snapshot(moved, readout))
    assert other == pytest.approx(one, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", ["snr", "ipr", "effective_rank", "rqi"])
def test_sign_and_scale_do_not_matter(name: str) -> None:
    first, readout = gaussian(11, 32)
    one = value(name, snapshot(first, readout))
    for factor in (-1.0, 1e-3, 1e3):
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
    assert np.all((plain >= low) & (plain <= high))
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *snaps)
    np.testing.assert_allclose(jax.jit(jax.vmap(function))(stacked), plain, rtol=1e-5)


@pytest.mark.parametrize("name", ORDER_PARAMETERS)
def test_a_collapsed_network_is_undefined_not_an_error(name: str) -> None:
    assert np.isnan(value(name, with_first(np.zeros((14, 4)))))


def test_undefined_tasks_are_nan() -> None:
    snap = snapshot(*gaussian(7, 8))
    names = tuple(ORDER_PARAMETERS)
    values = op.measure(ORDER_PARAMETERS, names, "modular_multiplication", snap)
    undefined = [n for n, v in zip(names, values, strict=True) if np.isnan(v)]
    assert undefined == ["snr", "rqi", "ipr"]


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
