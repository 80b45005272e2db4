"""Ways to sum the first layer's gradient on a GPU, compiled for one that is not here.

    python benchmarks/gpu_designs.py > benchmarks/results/gpu_designs.json

A step of a two-layer network (quadratic, mse, heavy ball) written out, at p = 97, N =
512, with the gradient of its first layer [2p, N] by each of `DESIGNS`; those that the
engine has (`grokmap.models.KERNELS`) are measured as it runs them in `gpu_kernels.py`.
Everything else of the step is the same. Extra `gpu`; no GPU is needed, none is used,
and nothing is measured: flops, bytes and temporary memory of a lane's step as XLA
counts them, and a modelled time (`grokmap.engine.modelled`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from grokmap.engine.modelled import Cost, analysis
from grokmap.engine.target import CARDS, Target, named_target

CARD, LANES, P, WIDTH = "h100", 64, 97, 512
FRACTIONS = (0.7, 0.3)


class Batch(NamedTuple):
    """The training examples of a lane: [n] a and b, and the place of each pair among
    them, n where it is none, [p, p]."""

    a: jax.Array
    b: jax.Array
    place: jax.Array


class Step(NamedTuple):
    """What is known when the gradient is due: first [2p, N], readout [p, N], the
    pre-activation and the slope of the loss in it [n, N], and in the outputs [n, p]."""

    first: jax.Array
    readout: jax.Array
    h: jax.Array
    slope: jax.Array
    error: jax.Array


def _rows(values: jax.Array, place: jax.Array) -> jax.Array:
    """The rows of [n, ...] at these places, 0 where there is none."""
    return values.at[place].get(mode="fill", fill_value=0.0)


def one_hot_product(batch: Batch, step: Step) -> jax.Array:
    one_hots = [jax.nn.one_hot(x, P) for x in (batch.a, batch.b)]
    return jnp.concatenate(one_hots, axis=1).T @ step.slope


def scatter_add(batch: Batch, step: Step) -> jax.Array:
    total = jnp.zeros_like(step.first).at[batch.a].add(step.slope)
    return total.at[P + batch.b].add(step.slope)


def table_of_slopes(batch: Batch, step: Step) -> jax.Array:
    table = _rows(step.slope, batch.place)
    return jnp.concatenate([jnp.sum(table, axis=1), jnp.sum(table, axis=0)])


def two_gathers(batch: Batch, step: Step) -> jax.Array:
    # A zero that XLA cannot know, or it would gather once for both sums.
    zero = jnp.minimum(batch.a[0], 0)
    places = (batch.place, batch.place.T + zero)
    return jnp.concatenate([jnp.sum(_rows(step.slope, p), axis=1) for p in places])


def two_gathers_apart(batch: Batch, step: Step) -> jax.Array:
    of_a = jnp.sum(_rows(step.slope, batch.place), axis=1)
    of_a, slope = jax.lax.optimization_barrier((of_a, step.slope))
    return jnp.concatenate([of_a, jnp.sum(_rows(slope, batch.place.T), axis=1)])


def gathers_in_one_expression(batch: Batch, step: Step) -> jax.Array:
    def added(place: jax.Array) -> jax.Array:
        return sum((_rows(step.slope, place[:, k]) for k in range(P)), jnp.float32(0))

    return jnp.concatenate([added(batch.place), added(batch.place.T)])


def table_and_product(batch: Batch, step: Step) -> jax.Array:
    of_a = jnp.sum(_rows(step.slope, batch.place), axis=1)
    return jnp.concatenate([of_a, jax.nn.one_hot(batch.b, P).T @ step.slope])


def table_of_errors(batch: Batch, step: Step) -> jax.Array:
    """The error is p wide, the slope N: the smaller one is put into the table."""
    error = _rows(step.error, batch.place).reshape(P * P, P)
    u, v = step.first[:P], step.first[P:]
    slope = (error @ step.readout).reshape(P, P, -1) * 2 * (u[:, None] + v[None, :])
    return jnp.concatenate([jnp.sum(slope, axis=1), jnp.sum(slope, axis=0)])


DESIGNS: dict[str, Callable[[Batch, Step], jax.Array]] = {
    "one-hot product": one_hot_product,
    "scatter-add (in any order)": scatter_add,
    "slopes into the table of pairs, its sums": table_of_slopes,
    "the same, gathered for each sum": two_gathers,
    "the same, one after the other": two_gathers_apart,
    "97 gathers in one expression": gathers_in_one_expression,
    "table for a, one-hot product for b": table_and_product,
    "errors into the table, product with the readout there": table_of_errors,
}


def step_by(
    design: Callable[[Batch, Step], jax.Array],
    weights: tuple[jax.Array, ...],
    batch: Batch,
    target: jax.Array,
) -> tuple[jax.Array, ...]:
    """One step of heavy ball; weights: first, readout and their velocities."""
    first, readout, first_velocity, readout_velocity = weights
    h = first[batch.a] + first[P + batch.b]
    hidden = jnp.square(h)
    error = (hidden @ readout.T - target) * (2 / len(batch.a))
    step = Step(first, readout, h, (error @ readout) * 2 * h, error)
    first_velocity = 0.9 * first_velocity + design(batch, step)
    readout_velocity = 0.9 * readout_velocity + error.T @ hidden
    first, readout = first - 0.05 * first_velocity, readout - 0.05 * readout_velocity
    return first, readout, first_velocity, readout_velocity


def row(name: str, fraction: float, target: Target) -> dict[str, Any]:
    n = round(fraction * P**2)
    sharding = NamedSharding(target.mesh(), PartitionSpec())

    def shape(*sides: int, kind: Any = jnp.float32) -> Any:
        return jax.ShapeDtypeStruct(sides, kind, sharding=sharding)

    whole = partial(shape, kind=jnp.int32)
    first, readout = shape(LANES, 2 * P, WIDTH), shape(LANES, P, WIDTH)
    batch = Batch(whole(LANES, n), whole(LANES, n), whole(LANES, P, P))
    step = jax.vmap(partial(step_by, DESIGNS[name]), in_axes=(0, 0, None))
    with jax.default_matmul_precision("float32"):
        lowered = jax.jit(step).lower(
            (first, readout, first, readout), batch, shape(n, P)
        )
        compiled = lowered.compile()
    found = analysis(compiled)
    cost = Cost(found["flops"] / LANES, found["bytes accessed"] / LANES)
    return {
        "design": name,
        "fraction": fraction,
        "flops_over_nNp": cost.flops / (n * WIDTH * P),
        "bytes": cost.bytes,
        "temporary_bytes": compiled.memory_analysis().temp_size_in_bytes / LANES,
        "modelled_seconds": cost.seconds(CARDS[CARD], LANES),
    }


def main() -> None:
    target = named_target(CARD)
    rows = [row(name, f, target) for f in FRACTIONS for name in DESIGNS]
    print(json.dumps({"card": target.kind, "jax": jax.__version__, "rows": rows}))


if __name__ == "__main__":
    main()
