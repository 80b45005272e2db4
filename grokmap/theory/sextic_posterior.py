"""Modular addition at equilibrium, with a prior of sixth order: own derivation.

The network is that of `theory.modular_posterior`, but each component of u and v has the
prior exp(-w^2 / 2 - gamma w^6 / 15), in units in which its Gaussian part has variance 1
(N(0, v) of a readout weight stays). A wave u_m = A cos(2 pi k m / p + phase) has sum
u_m^2 = p A^2 / 2 and, for p above 3, sum u_m^6 = 5 p A^6 / 16. So with phi = A^2 / 2,
and psi of v, its action is that of Rubin, Seroussi and Ringel (arXiv 2310.03789) for
both tokens,

    S / p = (phi + psi) / 2 + (gamma / 6)(phi^3 + psi^3) - h phi psi,

h = u a^2 in their notation (`theory.rubin.modular_action`). With the readout integrated
out, h = v p^2 r^2 / sigma^4, r the share of the target that is left: half of what their
u = 2 sigma_a^2 P^2 / (N sigma^4) gives, if sigma^2 is the variance of the noise.

This action is of large p, and has two terms less than a network:

- Other waves of the same neuron. Here its law is sampled with all of them.
- What a neuron puts out itself (q of `theory.modular_posterior`). At the place of the
  well where both are as deep, phi = sqrt(3 / gamma), a neuron gains 2 p phi nats by the
  action; but all of the target at its frequency is worth p / sigma^2. So the action
  holds where phi sigma^2 is far below 1/2.

The law of a neuron, p^2 - 1 of the p^2 pairs trained on:

    p(u, v) ~ prior (1 + q)^(-p/2) exp[v B / (2 sigma^4 (1 + q))],    B = sum_c b_c^2,

b_c = sum of (r y_c + r_0 / p) (u_m + v_l)^2 over all pairs less what is left of the
target at the one that is not trained on. y_c = 1 at m + l = c less 1/p; one-hot targets
have the constant 1/p beside it, which neurons of large mean learn. r and r_0, what is
left of both, are closed by what N independent neurons put out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares
from scipy.special import logsumexp

from grokmap.arrays import Floats, Ints
from grokmap.theory.modular_posterior import Modular

LARGEST, POINTS = 12.0, 4001  # of the grid of one component, at least
FIELDS = (0.0, 0.3, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6)  # where proposals are, over the well
PLACES = 8  # of the pair that is not trained on, of each neuron drawn
LEAST = 1e-6  # of what is learned, over what is left
# Logits of what is left: of little that is learned, and of more.
STARTS = tuple(np.array([r, 3.0, 3.0, -0.5]) for r in (3.0, 2.0, 1.0, 0.0, -1.0))


class Draws(NamedTuple):
    """Neurons drawn from a proposal, on which laws at any noise are weighted.

    square: [M] sum_c s_c^2, s = 2 u * v of u and v less their means; constant: [M] mean
    of (u_m + v_l)^2 over all pairs. Of each neuron there are as many as `PLACES`, alike
    but for which pair is not trained on: missing: [M, PLACES] (u_m + v_l)^2 there less
    its mean; wanted: [M, PLACES] s_c of its answer. parts: [4, M] squares of (u_m +
    v_l)^2 among functions of m + l or m - l, others of both tokens, of one token,
    constants. size: [M, K] sqrt(Phi_k Psi_k), Phi_k = |u^_k|^2 / p, p phi / 2 of one
    wave. log_weight: [M] log of prior over proposal.
    """

    square: Floats
    constant: Floats
    missing: Floats
    wanted: Floats
    parts: Floats
    size: Floats
    log_weight: Floats


class Law(NamedTuple):
    """The solution. left: [4] shares that are left of the functions of `Draws.parts`,
    the target's first; weight: [M] of the draws, of sum 1."""

    left: Floats
    weight: Floats

    @property
    def residual(self) -> float:
        """r: share of the target that is left."""
        return float(self.left[0])

    @property
    def n_effective(self) -> float:
        """Number of independent draws that would be as good."""
        return float(1 / (self.weight**2).sum())


def level(setting: Modular, gamma: float) -> float:
    """sigma^2 at which both wells of the action are as deep, with nothing learned:
    h^2 = 4 gamma / 3."""
    strength = np.sqrt(setting.readout_variance) * setting.weight_variance * setting.p
    return float(strength * (4 * gamma / 3) ** -0.25)


def worth(noise: float, gamma: float) -> float:
    """What a neuron gains by the action in the well, where both are as deep, over what
    all of the target at its frequency is worth: 2 phi p over p / sigma^2. Far below 1
    where the action holds."""
    return float(2 * noise * np.sqrt(3 / gamma))


def site_moment(gamma: float, power: int) -> float:
    """Mean of w^power of one component's prior, by quadrature."""
    w, log_density = _site(gamma)
    density = np.exp(log_density)
    return float((density * w**power).sum() / density.sum())


def draw(p: int, gamma: float, n_draws: int = 100_000, seed: int = 0) -> Draws:
    """Neurons of the prior, and of priors in a field along waves of one frequency.

    A field t times a wave takes its phi to sqrt(3 / gamma) times `FIELDS`; all
    frequencies, and 2 p phases of each token, are equally often. p: prime, from 5.
    gamma: above 0, at which there is a well.
    """
    rng = np.random.default_rng(seed)
    fields = [_Field(p, gamma, share) for share in FIELDS]
    kind = rng.integers(len(fields), size=n_draws)
    wave = rng.integers((p + 1) // 2, size=n_draws)
    tokens = np.empty((2, n_draws, p))
    for token in tokens:
        for i, field in enumerate(fields):
            token[kind == i] = field.draw(rng, wave[kind == i])
    ratio = np.array([field.log_ratio(tokens) for field in fields])
    mixed = logsumexp(ratio, axis=(0, 1)) - np.log(ratio.shape[0] * ratio.shape[1])
    places = rng.integers(p, size=(2, n_draws, PLACES))
    return _seen(tokens, -mixed, places)


def weights(setting: Modular, draws: Draws, left: Floats) -> tuple[Floats, Floats]:
    """[M, PLACES] weights of the draws where `left` is left; [M] 1 + q of each."""
    strength = setting.readout_variance / setting.noise
    own = 1 + strength * np.einsum("j,jm->m", left, draws.parts)
    gain = strength / (2 * setting.noise) * heard(setting.p, draws, left)
    alone = draws.log_weight - setting.p / 2 * np.log(own)
    log = gain / own[:, None] + alone[:, None]
    weight = np.exp(log - log.max())
    return weight / weight.sum(), own


def heard(p: int, draws: Draws, left: Floats) -> Floats:
    """[M, PLACES] B = sum_c b_c^2."""
    lost = _lost(draws, left)
    target = left[0] ** 2 * draws.square[:, None] + (1 - 1 / p) * lost**2
    constant = left[3] * p * draws.constant[:, None] - lost / p
    found: Floats = target - 2 * left[0] * draws.wanted * lost + p * constant**2
    return found


def _lost(draws: Draws, left: Floats) -> Floats:
    """What is left of (u_m + v_l)^2 at the pair that is not trained on; r of all but
    its constant part."""
    found: Floats = left[0] * draws.missing + left[3] * draws.constant[:, None]
    return found


def close(setting: Modular, draws: Draws) -> Law:
    """The shares left, by Powell's method from several starts.

    setting: of weight_variance 1; neurons as many as it says.

    Raises:
      ArithmeticError: where it finds none.
    """

    def miss(logits: Floats) -> Floats:
        left = 1 / (1 + np.exp(-logits))
        found = _left(setting, draws, left)
        return np.log(found) - np.log1p(-found) - logits

    for start in STARTS:
        done = least_squares(miss, start)
        if done.cost < 1e-10:
            left = 1 / (1 + np.exp(-done.x))
            return Law(left, weights(setting, draws, left)[0].sum(axis=1))
    raise ArithmeticError(f"no solution for {setting}: {done.message}")


def _left(setting: Modular, draws: Draws, left: Floats) -> Floats:
    """Shares left by neurons that are drawn where `left` is: 1 / (1 + x), x what they
    put out on a function over what is left of it."""
    p = setting.p
    weight, own = weights(setting, draws, left)
    of_each = weight.sum(axis=1) / own
    lost = (weight * draws.wanted * _lost(draws, left)).sum(axis=1) / own
    target = draws.square @ of_each - lost.sum() / left[0]
    put_out = np.array([target, *(draws.parts[1:] @ of_each)])
    number = np.array([p * (p - 1), (p - 1) * (p - 3), 2 * (p - 1), 1])
    strength = setting.neurons * setting.readout_variance / setting.noise
    found: Floats = 1 / (1 + np.maximum(strength * put_out / number, LEAST))
    return found


def _seen(tokens: Floats, log_weight: Floats, places: Ints) -> Draws:
    """What networks see of neurons of u, v = tokens: [2, M, p]; places: [2, M, n] the
    pairs (m, l) that are not trained on."""
    p = tokens.shape[-1]
    waves = np.fft.fft(tokens, axis=2)
    waves[:, :, 0] = 0
    signal = 2 * np.fft.ifft(waves[0] * waves[1], axis=1).real
    output = (tokens[0][:, :, None] + tokens[1][:, None, :]) ** 2
    constant = output.mean(axis=(1, 2))
    lines = np.stack([output.mean(axis=2), output.mean(axis=1)])
    single = p * ((lines - constant[:, None]) ** 2).sum(axis=(0, 2))
    rest = (output**2).sum(axis=(1, 2)) - p**2 * constant**2 - single
    square = (signal**2).sum(axis=1)
    parts = [2 * square / p, rest - 2 * square / p, single, p**2 * constant**2]
    rows = np.arange(len(constant))[:, None]
    power = np.abs(waves[:, :, 1 : (p + 1) // 2]) ** 2 / p
    return Draws(
        square=square,
        constant=constant,
        missing=output[rows, places[0], places[1]] - constant[:, None],
        wanted=signal[rows, places.sum(axis=0) % p],
        parts=np.stack(parts),
        size=np.sqrt(power[0] * power[1]),
        log_weight=log_weight,
    )


def _site(gamma: float) -> tuple[Floats, Floats]:
    """Grid of one component, thrice as far as a wave in the well, and log of its prior
    there."""
    far = max(LARGEST, 3 * (3 / gamma) ** 0.25) if gamma else LARGEST
    w = np.linspace(-far, far, POINTS)
    return w, -(w**2) / 2 - gamma * w**6 / 15


class _Field:
    """The prior in a field t cos(2 pi k m / p - phase), its phases equally often."""

    def __init__(self, p: int, gamma: float, share: float) -> None:
        self.p, self.gamma = p, gamma
        amplitude = np.sqrt(2 * share) * (3 / gamma) ** 0.25
        # Where prior and field balance along the wave.
        strength = amplitude * (1 + gamma * amplitude**4 / 4)
        self.fields = strength * np.cos(np.pi * np.arange(2 * p) / p)
        self.w, log_prior = _site(gamma)
        tilted = log_prior + np.multiply.outer(self.fields, self.w)
        most = tilted.max(axis=1, keepdims=True)
        self.sums = np.cumsum(np.exp(tilted - most), axis=1)
        total = np.exp(log_prior).sum()
        self.log_sums = most[:, 0] + np.log(self.sums[:, -1] / total)

    def draw(self, rng: np.random.Generator, wave: Ints) -> Floats:
        """[n, p] of the frequencies 1 + wave: [n]."""
        phase = rng.integers(2 * self.p, size=(len(wave), 1))
        place = self._places(wave[:, None], phase)
        values = np.empty(place.shape)
        for i, sums in enumerate(self.sums):
            of = place == i
            level = rng.uniform(size=of.sum()) * sums[-1]
            values[of] = np.interp(level, sums, self.w)
        return values

    def log_ratio(self, tokens: Floats) -> Floats:
        """[K, M] log density of tokens: [2, M, p] in fields of a frequency over that
        of the prior."""
        return np.array([
            sum(self._log_ratio(token, wave) for token in tokens)
            for wave in range((self.p + 1) // 2)
        ])  # fmt: skip

    def _log_ratio(self, token: Floats, wave: int) -> Floats:
        """Mean over phases of exp(field . w) over its mean under the prior."""
        place = self._places(np.array([[wave]]), np.arange(2 * self.p)[:, None])
        log = self.fields[place] @ token.T - self.log_sums[place].sum(axis=1)[:, None]
        found: Floats = logsumexp(log, axis=0) - np.log(2 * self.p)
        return found

    def _places(self, wave: Ints, phase: Ints) -> Ints:
        """Of cos(2 pi k m / p - pi j / p) among the fields, m along the last axis."""
        return (2 * wave * np.arange(self.p) - phase) % (2 * self.p)
