"""Modular addition at equilibrium, one neuron at a time: own derivation.

Rubin, Seroussi and Ringel (arXiv 2310.03789) sample f_c(m, l) = sum_j a_cj (u_jm +
v_jl)^2 over the whole table of p^2 pairs, target 1 at c = m + l mod p less 1/p, noise
of variance sigma^2, priors N(0, v) of a readout weight and N(0, s) of u and v.

The kernel. On a pair of examples that share the first token (k), the second (h),

    N v E[(u_m + v_l)^2 (u_m' + v_l')^2] = N v s^2 (4 + 2 k + 2 h + 4 k h),

so its eigenvalues are N v s^2 times 4 + 4 p + 4 p^2 (constant), 4 + 2 p (functions of
one token) and 4 (all others, the target among them). Gaussian neurons leave a share r =
1 / (1 + 4 N v s^2 / sigma^2) of the target, at any p.

Beyond Gaussian neurons. Phi_k = |u^_k|^2 / p and Psi_k, powers of u and v at the
frequency k = 1..K, K = (p - 1)/2, have exponential priors of mean s. A neuron beside
many others, which leave a share r of the target and r' of other functions of both
tokens, has, with its readout integrated out, the law

    p ~ prior (1 + q)^(-p/2) exp[ g sum_k Phi_k Psi_k / (1 + q) ],
    g = 4 v p r^2 / sigma^4,
    q = (16 v / sigma^2) [r sum_k Phi_k Psi_k + r' sum_{k != h} Phi_k Psi_h] + q_1.

q is what its own output adds to the loss (q_1: functions of one token and constants, at
their mean). Without it, Phi + Psi - g Phi Psi (s = 1) has no lower bound: the centre is
metastable at every g, behind a barrier of 1 / g. With it g Phi Psi / (1 + q) saturates,
and a Gaussian prior is enough. Closed by what N neurons put out: r = 1 / (1 + (4 N v /
sigma^2) <Phi_k Psi_k / (1 + q)>), and r' alike with k != h.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import root
from scipy.special import roots_genlaguerre

from grokmap.arrays import Floats

LARGEST, POINTS = 40.0, 64  # of the grid of Phi, Psi at one frequency, over s
NODES = 8  # for the power at all other frequencies


class Modular(NamedTuple):
    """p: modulus, odd, from 5; neurons: N; noise: sigma^2; readout_variance: v, of one
    readout weight as it stands in f; weight_variance: s. All above 0."""

    p: int
    neurons: int
    noise: float
    readout_variance: float
    weight_variance: float = 1.0

    @property
    def frequencies(self) -> int:
        """K: frequencies of a residue, without the constant."""
        return (self.p - 1) // 2

    @property
    def eigenvalue(self) -> float:
        """Of the kernel on the target: 4 N v s^2."""
        return 4 * self.neurons * self.readout_variance * self.weight_variance**2


class Law(NamedTuple):
    """The solution. residual: r; other: r'; coupling: g s^2.

    power: [k] grid of Phi at one frequency, in units of s; probability: [k, k] of
    (Phi, Psi) there, which sums to 1.
    """

    residual: float
    other: float
    coupling: float
    power: Floats
    probability: Floats


def kernel_eigenvalues(p: int) -> Floats:
    """Constant, functions of one token, all others: over N v s^2."""
    return np.array([4.0 + 4 * p + 4 * p**2, 4.0 + 2 * p, 4.0])


def gaussian_residual(setting: Modular) -> float:
    """Share of the target that Gaussian neurons leave, N to infinity."""
    return 1 / (1 + setting.eigenvalue / setting.noise)


def coupling(setting: Modular, residual: float) -> float:
    """g s^2 = 4 v p (r s)^2 / sigma^4; 1 / it is the barrier, in nats."""
    strength = residual * setting.weight_variance / setting.noise
    return 4 * setting.readout_variance * setting.p * strength**2


def action(x: float, coupling: float) -> float:
    """Phi + Psi - g Phi Psi at Phi = Psi = x, s = 1, without the own output."""
    return 2 * x - coupling * x**2


def close(setting: Modular) -> Law:
    """(r, r') from those of Gaussian neurons, by Powell's hybrid method.

    Raises:
      ArithmeticError: where it finds none, as deep in the mixture.
    """
    nodes = _nodes(setting)
    start = np.full(2, _logit(gaussian_residual(setting)))

    def miss(logits: Floats) -> Floats:
        shares = 1 / (1 + np.exp(-logits))
        return _logit(_left(setting, nodes, shares)) - logits

    done = root(miss, start, tol=1e-8)
    if not done.success:
        raise ArithmeticError(f"no solution for {setting}: {done.message}")
    left = 1 / (1 + np.exp(-done.x))
    weights, _ = _weights(setting, nodes, left)
    return Law(
        residual=float(left[0]),
        other=float(left[1]),
        coupling=coupling(setting, float(left[0])),
        power=nodes.phi[:, 0, 0, 0],
        probability=weights.sum(axis=(2, 3)),
    )


def beyond(law: Law, edges: Floats) -> Floats:
    """Probabilities of sqrt(Phi Psi) / s between edges, at one frequency."""
    size = np.sqrt(np.multiply.outer(law.power, law.power))
    found: Floats = np.histogram(size, edges, weights=law.probability)[0]
    return found


class _Nodes(NamedTuple):
    """phi, psi: at one frequency, first and second axis; same: sum_k Phi_k Psi_k,
    other: of different k; mixed: mean of the latter's terms with the one frequency;
    prior: weights. In units of s."""

    phi: Floats
    psi: Floats
    same: Floats
    other: Floats
    mixed: Floats
    prior: Floats


def _nodes(setting: Modular) -> _Nodes:
    """Phi and Psi at one frequency by the midpoint rule in their roots; the powers of
    u and v at the others together, Gamma(K - 1), by Gauss and Laguerre.

    Of the others sum_k Phi_k Psi_k is taken at its mean, as if spread evenly.
    """
    rest = setting.frequencies - 1
    roots = np.sqrt(LARGEST) * (np.arange(POINTS) + 0.5) / POINTS
    line = roots**2
    weight = roots * np.exp(-line)
    power, share = roots_genlaguerre(NODES, rest - 1)
    phi, psi = line[:, None, None, None], line[None, :, None, None]
    first, second = power[None, None, :, None], power[None, None, None, :]
    even = first * second / rest
    across = phi * second + first * psi
    prior = np.einsum("i,j,k,l->ijkl", weight, weight, share, share)
    return _Nodes(
        phi, psi, phi * psi + even, across + first * second - even,
        across / (2 * rest), prior / prior.sum(),
    )  # fmt: skip


def _weights(setting: Modular, nodes: _Nodes, left: Floats) -> tuple[Floats, Floats]:
    """Probabilities of the nodes, and 1 + q there."""
    strength = setting.readout_variance * setting.weight_variance**2 / setting.noise
    own = 16 * strength * (left[0] * nodes.same + left[1] * nodes.other)
    q = own + strength * _one_token(setting.p, float(left[1]))
    g = coupling(setting, float(left[0]))
    exponent = g * nodes.same / (1 + q) - setting.p / 2 * np.log1p(q)
    weights = nodes.prior * np.exp(exponent - exponent.max())
    return weights / weights.sum(), 1 + q


def _left(setting: Modular, nodes: _Nodes, left: Floats) -> Floats:
    """r and r' of neurons that are drawn where (r, r') is `left`."""
    weights, own = _weights(setting, nodes, left)
    damped = weights / own
    means = [(damped * nodes.phi * nodes.psi).sum(), (damped * nodes.mixed).sum()]
    return 1 / (1 + setting.eigenvalue / setting.noise * np.array(means))


def _one_token(p: int, other: float) -> float:
    """q_1 sigma^2 / (v s^2): sum over these functions of eigenvalue times residual."""
    constant, single, rest = kernel_eigenvalues(p)
    left = [1 / (1 + one / rest * (1 / other - 1)) for one in (constant, single)]
    return float(constant * left[0] + 2 * (p - 1) * single * left[1])


def _logit(share: Floats | float) -> Floats:
    odds: Floats = np.log(share) - np.log1p(-np.asarray(share))
    return odds
