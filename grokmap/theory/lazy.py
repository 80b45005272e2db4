"""The lazy limit: a network linear in its weights, under gradient descent with decay.

Around its initial weights theta_0 a network is f_0(x) + J(x) (theta - theta_0), and it
stays so while weights hardly move (Jacot, Gabriel and Hongler, arXiv 1806.07572; Lee et
al., arXiv 1902.06720; Chizat, Oyallon and Bach, arXiv 1812.07956). Descent of

    F = (1/n) sum_i |h(x_i) - y_i|^2 + (decay/2) |theta|^2,   h = f or f - f_0,

    v <- beta v + grad F,   theta <- theta - step v,

is then linear in function space, with the tangent kernel K = J J^T. Decay pulls weights
to 0, not to theta_0: what shrinks is q(x) = J(x) theta, which starts at the pull
J theta_0 (degree times f_0 where f is homogeneous in its weights, by Euler). In terms
of q the outputs are h = start + q - pull, and each eigenvector of K on the training
set, of eigenvalue nu, has

    q_t = q_end + A_t(step (2 nu / n + decay)) (q_0 - q_end),
    q_end = nu / (nu + n decay / 2) (y - start + pull),

where A_t(z) is the share that is left after t steps of a force of strength z: (1 - z)^t
without momentum. So the end is ridge regression of ridge n decay / 2. Elsewhere

    q_t(x) = A_t(step decay) pull(x) + K(x, X) K^-1 (q_t - A_t(step decay) pull)(X).

All of this is exact in discrete time. Left out is that K itself changes: weights move,
and decay alone shrinks the kernel of a network of degree d as (1 - r)^(2 (d - 1) t). So
it holds up to times far below 1 / r, of networks whose weights have hardly moved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from grokmap.arrays import Floats, Ints
from grokmap.theory.ntk import eigenmodes

NUMBERS_AT_ONCE = 20_000_000  # of outputs over times, held in memory
LEAST_SHARE = 1e-10  # of a vector outside a space, below which it counts as inside


class Descent(NamedTuple):
    """step: what multiplies the gradient; decay: coefficient of theta in it; momentum:
    beta, heavy-ball; n_train: examples over which the loss is a mean."""

    step: float
    decay: float
    momentum: float
    n_train: int

    @property
    def ridge(self) -> float:
        """What decay adds to the kernel at the end: n decay / 2."""
        return self.n_train * self.decay / 2


class Examples(NamedTuple):
    """Of n examples: outputs at step 0 as they are trained (0 if centred), the pull
    J theta_0, targets, all [n, C]; label: [n] classes, None for real targets."""

    start: Floats
    pull: Floats
    target: Floats
    label: Ints | None = None


class Linearised(NamedTuple):
    """A network linear in its weights, on the examples it is trained on and others.

    tolerance: squared error (a mean over outputs) below which an example of real
    targets counts as right; 0: accuracies are NaN.
    """

    train: Examples
    test: Examples
    tolerance: float = 0.0


class Modes(NamedTuple):
    """A linearised network by m eigenvectors of its kernel.

    Columns are outputs that one kernel acts on alike: [n, C] where every output has the
    same kernel and none feels another, else [n C, 1]. values [m], vectors [n, m];
    spread: K(x, X) v / nu [l, m], 0 for nu = 0; pull, aim: J theta_0 and
    y - start + pull along them [m, columns].
    """

    network: Linearised
    values: Floats
    vectors: Floats
    spread: Floats
    pull: Floats
    aim: Floats


def modes_of(network: Linearised, kernel: Floats, cross: Floats) -> Modes:
    """By all eigenvectors of K(X, X) [n, n]; cross: K(x, X) [l, n]. Or, of kernels that
    know outputs apart, [n C, n C] and [l C, n C]."""
    values, vectors = eigenmodes(kernel)
    return _modes(network, values, vectors, cross @ vectors)


def _modes(network: Linearised, values: Floats, vectors: Floats, seen: Floats) -> Modes:
    """seen: K(x, X) v, [l, m]."""
    spread = seen * np.divide(1, values, out=np.zeros_like(values), where=values > 0)
    pull, aim = (vectors.T @ x.reshape(len(vectors), -1) for x in _drives(network))
    return Modes(network, values, vectors, spread, pull, aim)


def _drives(network: Linearised) -> tuple[Floats, Floats]:
    """J theta_0 and y - start + pull on the training examples."""
    start, pull, target, _ = network.train
    return pull, target - start + pull


def krylov_modes(
    network: Linearised, apply: Callable[[Floats], tuple[Floats, Floats]], size: int
) -> Modes:
    """The same from products with the kernel alone, which is never written down.

    All that happens is a function of K applied to the two vectors of `_drives`, so
    eigenvectors of K within the space that they and their images span do, for times t
    as long as size is well above sqrt(t |K| step 2 / n) (Saad, SIAM J. Numer. Anal. 29
    (1992) 209): Lanczos' method, here with all vectors kept orthogonal.

    Args:
      apply: v [n C] -> (K(X, X) v [n C], K(x, X) v [l C]).
      size: dimension of the space, at most.
    """
    wanted = [x.ravel() for x in _drives(network)]
    basis = np.empty((min(size, wanted[0].size), wanted[0].size))
    images, seen = np.empty_like(basis), []
    n, least = 0, 0.0
    while wanted and n < len(basis):
        new = wanted.pop(0)
        least = max(least, LEAST_SHARE * float(np.linalg.norm(new)))
        for _ in range(2):  # once is not enough for vectors that are nearly dependent
            new = new - (basis[:n] @ new) @ basis[:n]
        if (norm := float(np.linalg.norm(new))) <= least:
            continue
        basis[n] = new / norm
        images[n], far = apply(basis[n])
        seen.append(far)
        wanted.append(images[n])
        n += 1
    basis, images = basis[:n], images[:n]
    inner = basis @ images.T
    values, turn = eigenmodes((inner + inner.T) / 2)
    return _modes(network, values, basis.T @ turn, np.transpose(seen) @ turn)


def left(strength: Floats, momentum: float, steps: Ints) -> Floats:
    """[T, m] A_t: the share of a distance that is left after steps [T].

    distance <- distance - u, u <- momentum u + strength distance, from u = 0: (1, 0)
    times powers of a matrix of each strength [m] (step times curvature), by repeated
    squaring.
    """
    a, b = 1 - strength, -momentum * np.ones_like(strength)
    c, d = strength, momentum * np.ones_like(strength)
    steps = np.asarray(steps, np.int64)
    x, y = np.ones((len(steps), len(strength))), np.zeros((len(steps), len(strength)))
    while steps.any():
        odd = steps % 2 == 1
        x[odd], y[odd] = x[odd] * a + y[odd] * c, x[odd] * b + y[odd] * d
        a, b, c, d = a * a + b * c, b * (a + d), c * (a + d), b * c + d * d
        steps = steps // 2
    return x


def outputs(modes: Modes, descent: Descent, steps: Ints) -> tuple[Floats, Floats]:
    """(train [T, n, C], test [T, l, C]) outputs after steps [T]."""
    rates = descent.step * (2 * modes.values / descent.n_train + descent.decay)
    here = left(rates, descent.momentum, steps)
    pulled = left(np.array([descent.step * descent.decay]), descent.momentum, steps)
    end = _end(modes, descent.ridge)
    along = end + here[:, :, None] * (modes.pull - end)
    return _outputs(modes, along, pulled[:, :, None])


def end(modes: Modes, ridge: float) -> tuple[Floats, Floats]:
    """(train [n, C], test [l, C]) outputs at rest: ridge regression.

    Without a ridge what no training example sees keeps its pull.
    """
    along = (
        _end(modes, ridge)
        if ridge
        else np.where(modes.values[:, None] > 0, modes.aim, modes.pull)
    )
    train, test = _outputs(modes, along[None], np.full((1, 1, 1), float(ridge == 0)))
    return train[0], test[0]


def _end(modes: Modes, ridge: float) -> Floats:
    """[m, k] q at rest along each mode; 0 where nothing acts, which stays in place."""
    total = modes.values + ridge
    share = np.divide(modes.values, total, out=np.zeros_like(total), where=total > 0)
    return np.asarray(share[:, None] * modes.aim)


def _outputs(modes: Modes, along: Floats, pulled: Floats) -> tuple[Floats, Floats]:
    """Outputs of q along the modes [T, m, k]; pulled: A_t of decay alone [T, 1, 1]."""
    train, test = modes.network.train, modes.network.test
    far = test.pull.reshape(len(modes.spread), modes.pull.shape[1])
    here = modes.vectors @ along
    there = pulled * far + modes.spread @ (along - pulled * modes.pull)
    return tuple(
        side.start - side.pull + q.reshape(len(q), *side.pull.shape)
        for side, q in ((train, here), (test, there))
    )  # type: ignore[return-value]


def records(modes: Modes, descent: Descent, steps: Ints) -> Mapping[str, Floats]:
    """Losses and accuracies [T] of both sets of examples, as a run records them."""
    size = modes.network.train.target.size + modes.network.test.target.size
    at_once = max(1, NUMBERS_AT_ONCE // max(size, 1))
    parts = [
        scores(modes.network, *outputs(modes, descent, steps[i : i + at_once]))
        for i in range(0, len(steps), at_once)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def scores(network: Linearised, train: Floats, test: Floats) -> dict[str, Floats]:
    """Losses and accuracies [...] of outputs [..., n, C] and [..., l, C]."""
    found = {}
    for name, side, f in (
        ("train", network.train, train),
        ("test", network.test, test),
    ):
        found[f"{name}_loss"] = np.mean(np.sum((f - side.target) ** 2, -1), -1)
        found[f"{name}_accuracy"] = np.mean(_right(f, side, network.tolerance), -1)
    return found


def _right(f: Floats, side: Examples, tolerance: float) -> Floats:
    """[..., n] 1 where an example is right, as `order_parameters` counts: the largest
    output is the label's, alone."""
    if side.label is None:
        error = np.mean((f - side.target) ** 2, axis=-1)
        return np.where(error < tolerance, 1.0, 0.0) if tolerance else error * np.nan
    own = np.arange(f.shape[-1]) == side.label[:, None]
    return np.asarray(
        np.sum(f * own, -1) > np.max(np.where(own, -np.inf, f), -1), float
    )
