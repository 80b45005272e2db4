"""Linear teacher and student: loss curves from the spectrum of the inputs.

Levi, Beck and Bar-Sinai, arXiv 2310.16441. N_tr inputs N(0, I) of dimension d_in,
lambda = d_in / N_tr, Sigma = X^T X / N_tr; D = student - teacher, i.i.d. of unit second
moment at the start. Gradient flow of the mean square error at rate eta is
dD/dt = -2 eta Sigma D, so with nu the eigenvalues of Sigma

    L_train(t) = E[nu exp(-4 eta nu t)],    L_gen(t) = E[exp(-4 eta nu t)],

both 1 at t = 0, averages over the Marchenko-Pastur law of ratio lambda (d_in to
infinity). Time is in steps of gradient descent.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import erfinv

from grokmap.arrays import Floats

Decay = Callable[[Floats], Floats]

# Midpoints of the angle; the rule converges exponentially. At ratio 1, where nu reaches
# 0, it resolves times up to about 1e6 / rate; elsewhere all.
N_NODES = 4096
LONGEST_TIME = 1e12


def marchenko_pastur(ratio: float) -> tuple[Floats, Floats]:
    """(nu [n], weight [n]): E[h(nu)] = sum weight * h(nu), for smooth h.

    nu = 1 + ratio + 2 sqrt(ratio) cos(phi) turns the density into
    2 sin^2(phi) / (pi nu), phi in (0, pi). For ratio > 1 the last node is the atom at
    0, of weight 1 - 1/ratio. Raises ValueError for ratio <= 0.
    """
    if not ratio > 0:
        raise ValueError(f"ratio d_in / N_tr must be above 0, not {ratio}")
    phi = (np.arange(N_NODES) + 0.5) * np.pi / N_NODES
    # The cosine by its half angle keeps nu above 0 at ratio = 1.
    nu = (1 - np.sqrt(ratio)) ** 2 + 4 * np.sqrt(ratio) * np.cos(phi / 2) ** 2
    weight = 2 * np.sin(phi) ** 2 / (N_NODES * nu)
    if ratio > 1:
        nu, weight = np.append(nu, 0.0), np.append(weight, 1 - 1 / ratio)
    return nu, weight


def squared_decay(nu: Floats, rate: float, time: float, discrete: bool) -> Floats:
    """[n] square of the factor of a mode nu: exp(-4 rate nu t), flow, or
    (1 - 2 rate nu)^(2 t), gradient descent."""
    if discrete:
        return np.abs(1 - 2 * rate * nu) ** (2 * time)
    return np.exp(-4 * rate * nu * time)


def train_loss(ratio: float, rate: float, time: float, discrete: bool = False) -> float:
    """E[nu decay^2]; in [0, 1] while gradient descent is stable."""
    nu, weight = marchenko_pastur(ratio)
    return float(weight @ (nu * squared_decay(nu, rate, time, discrete)))


def test_loss(ratio: float, rate: float, time: float, discrete: bool = False) -> float:
    """E[decay^2]; tends to `test_loss_floor(ratio)`."""
    nu, weight = marchenko_pastur(ratio)
    return float(weight @ squared_decay(nu, rate, time, discrete))


def test_loss_floor(ratio: float) -> float:
    """max(0, 1 - 1/ratio): the test loss of directions that no input has."""
    return max(0.0, 1 - 1 / ratio)


def loss_at_accuracy(accuracy: float, threshold: float) -> float:
    """L at which accuracy = erf(sqrt(threshold / 2 L)): threshold / 3.84 for 95%.

    An example counts as right where its squared error, L chi^2_1, is below threshold.
    """
    return float(threshold / (2 * erfinv(accuracy) ** 2))


def time_to(loss: Callable[[float], float], level: float) -> float:
    """Time at which a falling loss passes level; inf if not by LONGEST_TIME."""
    if loss(0.0) <= level:
        return 0.0
    end = 1.0
    while loss(end) > level:
        end *= 2
        if end > LONGEST_TIME:
            return float("inf")
    return float(brentq(lambda t: loss(t) - level, 0.0, end, xtol=1e-9))


def crossing_times(
    ratio: float, rate: float, level: float, discrete: bool = False
) -> tuple[float, float]:
    """(t_train, t_gen) at which the losses fall to level; inf for never."""
    return (
        time_to(lambda t: train_loss(ratio, rate, t, discrete), level),
        time_to(lambda t: test_loss(ratio, rate, t, discrete), level),
    )


def late_delay(ratio: float, rate: float) -> float:
    """t_gen - t_train as level -> 0: ln(1/(1 - sqrt(r))) / (2 rate (1 - sqrt(r))^2).

    For ratio < 1. Reached slowly: 40% off at accuracy 95%, threshold 1e-3.
    Raises ValueError for ratio >= 1, where the times do not exist.
    """
    if not 0 < ratio < 1:
        raise ValueError(f"the late delay exists for ratio in (0, 1), not {ratio}")
    edge = 1 - np.sqrt(ratio)
    return float(-np.log(edge) / (2 * rate * edge**2))


def decayed_test_loss(ratio: float, rate: float, decay: float, time: float) -> float:
    """Test loss under (decay / 2) |student|^2, from a student of 0.

    dD/dt = -2 rate [Sigma D + (decay / 2) (D + teacher)]; with g = decay / 2 the factor
    of a mode is (nu exp(-2 rate (nu + g) t) + g) / (nu + g). Requires decay > 0. At
    late times g^2 E[(nu + g)^-2], about decay^2 / (4 (1 - ratio)^3) for decay -> 0.
    """
    nu, weight = marchenko_pastur(ratio)
    g = decay / 2
    factor = (nu * np.exp(-2 * rate * (nu + g) * time) + g) / (nu + g)
    return float(weight @ factor**2)


def simulate(
    n_inputs: int, ratio: float, rate: float, steps: npt.ArrayLike, seed: int
) -> tuple[Floats, Floats]:
    """(L_train, L_gen) at steps [n] of gradient descent on drawn inputs.

    Exact, by the eigenvectors of Sigma.
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((round(n_inputs / ratio), n_inputs))
    nu, vectors = np.linalg.eigh(x.T @ x / len(x))
    start = (vectors.T @ rng.standard_normal(n_inputs)) ** 2 / n_inputs
    left = (1 - 2 * rate * nu) ** (2 * np.asarray(steps)[:, None])
    return left @ (start * nu), left @ start
