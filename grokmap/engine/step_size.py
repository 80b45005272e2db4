"""`learning_rate = "auto"`: a stable step, from the curvature at initialisation or from
trials."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from grokmap.engine import trial
from grokmap.engine.lane import Lane
from grokmap.engine.rates import rates_of
from grokmap.engine.train import Program, build
from grokmap.models import MUP
from grokmap.optimizers import OPTIMIZERS, gd_rates
from grokmap.order_parameters.curvature import largest_eigenvalue
from grokmap.plan import expand, scale_at
from grokmap.spec import Control, Sweep, System, n_train_of
from grokmap.tasks import TASKS

# Of the largest stable step. Curvature may grow in training ("progressive sharpening",
# Cohen et al., arXiv 2103.00065; by 1.4 on the quickstart), and the phases of gradient
# flow are wanted, not those of a step at the edge of stability.
SHARE = 0.4
LANCZOS_STEPS = 16


def choose_learning_rate(sweep: Sweep) -> float:
    """One learning rate for all runs of a sweep: a share of the largest that is stable
    in each (`share_of`).

    Of descent and Langevin dynamics the curvature says which are (`_by_curvature`); of
    optimizers that rescale the gradient, trials do (`trial.largest_stable`). Looked at
    for every system at both ends of alpha and of the train fraction, the smallest
    momentum, the largest weight decay (of a ramp, its top) and the first seed. Rounded
    down to two digits.

    Raises:
      ValueError: no finite curvature, such as at weights beyond float32; or no trial
        was stable.
    """
    limit = min(_limits(sweep))
    share = share_of(str(sweep.points("optimizer")[0]))
    if not math.isfinite(limit) or limit <= 0:
        raise ValueError("the curvature at initialisation is not finite")
    digit = 10.0 ** (math.floor(math.log10(share * limit)) - 1)
    return float(f"{math.floor(share * limit / digit) * digit:.2g}")


def share_of(optimizer: str) -> float:
    """Of the largest stable learning rate, the share that is taken."""
    return SHARE if OPTIMIZERS[optimizer].is_linear else trial.SHARE


def rule_of(optimizer: str) -> str:
    """In words, for provenance: how the learning rate was chosen."""
    share = share_of(optimizer)
    if OPTIMIZERS[optimizer].is_linear:
        return f"{share} of the largest that is stable by the curvature at the start"
    return f"{share} of the largest of {trial.RULE}"


def _limits(sweep: Sweep) -> Iterator[float]:
    """The largest stable eta of each system at the corners of its grid."""
    runs = itertools.groupby(expand(_corners(sweep)), lambda run: run.system)
    for system, system_runs in runs:
        is_linear = OPTIMIZERS[system.optimizer].is_linear
        limit = _by_curvature(system) if is_linear else trial.largest_stable(system)
        n_examples = TASKS[system.task].shape(system).n_examples
        for run in system_runs:
            n_train = n_train_of(run.control.train_fraction, n_examples)
            yield limit(run.control, n_train, run.seed)


def _corners(sweep: Sweep) -> Sweep:
    """The sweep's outermost points, at learning rate 1."""

    def ends(values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(sorted({min(values), max(values)}))

    return sweep.model_copy(
        update={
            "learning_rate": (1.0,),
            "alpha": ends(sweep.alpha),
            "weight_decay": (max(sweep.weight_decay) * max(sweep.ramp_factor),),
            "ramp_factor": (1.0,),
            "ramp_steps": (0,),
            "train_fraction": ends(sweep.train_fraction),
            "momentum": (min(sweep.momentum),),
            "seed": sweep.seed[:1],
        }
    )


def _by_curvature(system: System) -> Callable[[Control, int, int], float]:
    """(control, n_train, seed) -> the largest stable eta of a step along the gradient.

    Heavy-ball descent of step eta * gd_step is stable where eta * gd_step times the
    largest curvature, decay included, stays below 2 (1 + beta).
    """
    curvature = _curvature_of(system)

    def limit(control: Control, n_train: int, seed: int) -> float:
        top = float(curvature(control, jnp.int32(n_train), jnp.uint32(seed)))
        rates = gd_rates(control, scale_at(system, control))
        stiffness = float(rates.step) * (top + float(rates.decay))
        return 2 * (1 + control.momentum) / stiffness if stiffness else math.nan

    return limit


def _curvature_of(system: System) -> Any:
    """(control, n_train, seed) -> largest eigenvalue, at initialisation, of the Hessian
    of the training loss or of its Gauss-Newton part, whichever is larger.

    The Gauss-Newton part is what is left of the Hessian once the training set is
    fitted; for mse its eigenvalues are those of the neural tangent kernel, times 2 / n.
    """
    n_examples = TASKS[system.task].shape(system).n_examples
    program = build(system, tile=n_examples, max_tiles=1)

    @jax.jit
    def curvature(control: Control, n_train: jax.Array, seed: jax.Array) -> jax.Array:
        lane = program.init(Control(*map(jnp.float32, control)), n_train, seed)
        theta, unravel = _coordinates(system, control, lane)

        def hessian(v: jax.Array) -> jax.Array:
            return jax.jvp(jax.grad(_loss(program, lane, unravel)), (theta,), (v,))[1]

        def gauss_newton(v: jax.Array) -> jax.Array:
            logits, moved = jax.jvp(_logits(program, lane, unravel), (theta,), (v,))
            loss = _loss_of_logits(program, lane)
            bent = jax.jvp(jax.grad(loss), (logits,), (moved,))[1]
            return jax.vjp(_logits(program, lane, unravel), theta)[1](bent)[0]

        tops = [
            largest_eigenvalue(product, theta.shape[0], LANCZOS_STEPS)
            for product in (hessian, gauss_newton)
        ]
        return jnp.maximum(*tops)

    return curvature


def _coordinates(system: System, control: Control, lane: Lane) -> tuple[Any, Any]:
    """(theta, unravel): weights as a vector along whose gradient one step moves all.

    An array whose own step is s times that of the rest moves as one of theirs does in
    its weights over sqrt(s).
    """
    if system.parameterization != MUP:
        return ravel_pytree(lane.params)
    scale = scale_at(system, control)
    steps = rates_of(system, control, scale, lane).step
    plain = gd_rates(control, scale).step
    stretch = jax.tree.map(lambda step: jnp.sqrt(step / plain), steps)
    theta, unravel = ravel_pytree(jax.tree.map(jnp.divide, lane.params, stretch))
    return theta, lambda phi: jax.tree.map(jnp.multiply, unravel(phi), stretch)


def _logits(program: Program, lane: Lane, unravel: Any) -> Any:
    return lambda theta: program.snapshot(lane._replace(params=unravel(theta))).logits


def _loss_of_logits(program: Program, lane: Lane) -> Any:
    """Mean loss over the training set, as a function of logits [n, C]."""
    snapshot = program.snapshot(lane)

    def loss(logits: jax.Array) -> jax.Array:
        losses = snapshot.network.loss(logits, snapshot.answer)
        return jnp.sum(jnp.where(snapshot.train, losses, 0.0)) / lane.n_train

    return loss


def _loss(program: Program, lane: Lane, unravel: Any) -> Any:
    loss, logits = _loss_of_logits(program, lane), _logits(program, lane, unravel)
    return lambda theta: loss(logits(theta))
