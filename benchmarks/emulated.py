"""The matrix products of a GPU's tensor cores, computed on a CPU. Evidence only.

jax hands a CPU the precision of a product and the CPU takes no notice. Inside
`emulation()` products of float32 are computed as a GPU computes them under that name:
both operands are split into parts that a tensor core can hold, and the products of
parts that the algorithm keeps are summed, the smallest first. So the training program
itself runs, unchanged, in an arithmetic that this machine does not have.

Parts, terms and their order are those of the kernels that jaxlib 0.10.2 makes for an
H100 (read in their PTX), and for X9, which it does not make, those of its definition:

    BF16: to nearest, ties to even.
    TF32: to nearest, ties away from zero. The lower part of X3 is left as float32, of
      which a tensor core reads the bits of TF32: it is cut, not rounded.
    A sum of the smaller terms that is not a number counts as 0.

Products of two parts are exact in float32, and sums are float32's own. A tensor core
was seen to cut its sums where float32 rounds them (Fasi et al. 2021): `cut` does so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax._src.lax.lax import _dot_general_lower
from jax.interpreters import mlir

FLOAT32_BITS, TF32_BITS = 23, 10  # of the mantissa, but for the leading one
LOWER = FLOAT32_BITS - TF32_BITS


def bf16(x: jax.Array) -> jax.Array:
    """float32 rounded to bfloat16's 8 significant bits."""
    return lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7)


def tf32(x: jax.Array) -> jax.Array:
    """float32 rounded to TF32's 11 significant bits, ties away from zero."""
    bits = lax.bitcast_convert_type(x, jnp.uint32)
    half = jnp.uint32(1 << (LOWER - 1))
    rounded = _cut(lax.bitcast_convert_type(bits + half, jnp.float32))
    return jnp.where(jnp.isfinite(x), rounded, x)


def _cut(x: jax.Array) -> jax.Array:
    """The bits of a float32 that a tensor core reads as TF32."""
    bits = lax.bitcast_convert_type(x, jnp.uint32)
    mask = jnp.uint32(0xFFFFFFFF << LOWER & 0xFFFFFFFF)
    return lax.bitcast_convert_type(bits & mask, jnp.float32)


def _two_of_tf32(x: jax.Array) -> tuple[jax.Array, ...]:
    high = tf32(x)
    return high, _cut(x - high)


def _three_of_bf16(x: jax.Array) -> tuple[jax.Array, ...]:
    high = bf16(x)
    middle = bf16(x - high)
    return high, middle, bf16(x - high - middle)


Product = Callable[[jax.Array, jax.Array], jax.Array]


class Algorithm(NamedTuple):
    """parts: of an operand, the largest first; terms: (part of the left, of the right)
    operand, in the order in which their products are summed; depth: how many products
    of numbers one instruction of a tensor core sums."""

    parts: Callable[[jax.Array], tuple[jax.Array, ...]]
    terms: tuple[tuple[int, int], ...]
    depth: int


HIGH = ((0, 0),)
MIDDLE = ((1, 0), (0, 1))
X6 = ((1, 1), (2, 0), (0, 2), *MIDDLE, *HIGH)
X9 = ((2, 2), (1, 2), (2, 1), *X6)

# By jax's name.
ALGORITHMS = {
    "TF32_TF32_F32": Algorithm(lambda x: (tf32(x),), HIGH, 8),
    "TF32_TF32_F32_X3": Algorithm(_two_of_tf32, (*MIDDLE, *HIGH), 8),
    "BF16_BF16_F32": Algorithm(lambda x: (bf16(x),), HIGH, 16),
    "BF16_BF16_F32_X6": Algorithm(_three_of_bf16, X6, 16),
    "BF16_BF16_F32_X9": Algorithm(_three_of_bf16, X9, 16),
}


def summed(algorithm: Algorithm, product: Product, x: jax.Array, y: jax.Array) -> Any:
    """product(x, y) by an algorithm, its sums rounded as float32's are."""
    left, right = algorithm.parts(x), algorithm.parts(y)
    *small, large = (product(left[i], right[j]) for i, j in algorithm.terms)
    if not small:
        return large
    total = sum(small[1:], start=small[0])
    return jnp.where(jnp.isnan(total), 0.0, total) + large


def summed_and_cut(
    algorithm: Algorithm,
    product: Product,
    along: tuple[int, int],
    x: jax.Array,
    y: jax.Array,
) -> jax.Array:
    """The same, but each instruction's sum is cut to float32, not rounded.

    along: the dimensions that are summed over. All of them is one chain of instructions
    here; compilers round the sums of its pieces, so this is the most that cuts can do.
    """
    n = -(-x.shape[along[0]] // algorithm.depth)
    left, right = (
        [_padded(part, axis, n * algorithm.depth) for part in algorithm.parts(z)]
        for z, axis in zip((x, y), along, strict=True)
    )

    def piece(part: jax.Array, i: jax.Array, axis: int) -> jax.Array:
        size = algorithm.depth
        return lax.dynamic_slice_in_dim(part, i * size, size, axis)

    def add(i: jax.Array, total: jax.Array) -> jax.Array:
        for a, b in algorithm.terms:
            x, y = piece(left[a], i, along[0]), piece(right[b], i, along[1])
            total = _toward_zero(total, product(x, y))
        return total

    shape = jax.eval_shape(product, x, y)
    return lax.fori_loop(0, n, add, jnp.zeros(shape.shape, shape.dtype))


def _padded(x: jax.Array, axis: int, size: int) -> jax.Array:
    ends = [(0, 0)] * x.ndim
    ends[axis] = (0, size - x.shape[axis])
    return jnp.pad(x, ends)


def _toward_zero(a: jax.Array, b: jax.Array) -> jax.Array:
    """a + b cut to float32; what rounding adds to a sum is known exactly (Knuth)."""
    total = a + b
    of_b = total - a
    lost = (a - (total - of_b)) + (b - of_b)
    beyond = (lost != 0) & ((lost > 0) != (total > 0)) & (total != 0)
    bits = lax.bitcast_convert_type(total, jnp.uint32)
    return jnp.where(beyond, lax.bitcast_convert_type(bits - 1, jnp.float32), total)


def _lower(
    cut: bool, ctx: Any, x: Any, y: Any, *, precision: Any, **kwargs: Any
) -> Any:
    """Stands in for jax's own lowering of a product for a CPU."""
    algorithm = ALGORITHMS.get(str(precision))
    if algorithm is None:
        return _ON_CPU(ctx, x, y, precision=precision, **kwargs)
    assert {aval.dtype for aval in ctx.avals_in} == {np.dtype(np.float32)}
    kept = {k: kwargs[k] for k in ("dimension_numbers", "preferred_element_type")}
    product = partial(lax.dot_general, precision=lax.Precision.HIGHEST, **kept)
    if cut:
        (of_x,), (of_y,) = kwargs["dimension_numbers"][0]
        split = partial(summed_and_cut, algorithm, product, (of_x, of_y))
    else:
        split = partial(summed, algorithm, product)
    return mlir.lower_fun(split, multiple_results=False)(ctx, x, y)


_ON_CPU = partial(_dot_general_lower, platform="cpu")


@contextmanager
def emulation(cut: bool = False) -> Iterator[None]:
    """Inside, what is compiled for a CPU computes products in their named precision.

    cut: sums as well, see `summed_and_cut`.
    """
    try:
        rule = partial(_lower, cut)
        mlir.register_lowering(lax.dot_general_p, rule, platform="cpu")
        yield
    finally:
        mlir.register_lowering(lax.dot_general_p, _ON_CPU, platform="cpu")
        jax.clear_caches()  # so that nothing that was emulated goes on being used


def relative_error(found: Sequence[Any], exact: Sequence[Any]) -> float:
    """Norm of the difference over that of the exact, of arrays taken together."""
    off, whole = (
        sum(float(np.sum(np.square(np.asarray(a, np.float64) - b))) for a, b in pairs)
        for pairs in (
            list(zip(found, exact, strict=True)),
            [(b, 0.0) for b in exact],
        )
    )
    return float(np.sqrt(off / whole))
