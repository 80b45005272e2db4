"""The names that a sweep file may choose from, by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from grokmap.errors import SpecError
from grokmap.losses import LOSSES
from grokmap.models import (
    ACTIVATIONS,
    ALPHA_CONVENTIONS,
    LAYER_NORMS,
    MODELS,
    PARAMETERIZATIONS,
    READ_AT,
)
from grokmap.optimizers import OPTIMIZERS
from grokmap.order_parameters import ORDER_PARAMETERS
from grokmap.schedules import SCHEDULES
from grokmap.tasks import TASKS
from grokmap.tasks.splits import HELD_OUT, SPLITS


class Precision(NamedTuple):
    """jax's names for the arithmetic of float32 matrix products, by platform.

    None: the platform would compute another one under that name.
    """

    cpu: str | None
    gpu: str | None


# x3, x6: so many products of parts of the operands, for about float32's accuracy. Not
# BF16_BF16_F32_X9: jaxlib 0.10.2 compiles it to one product in TF32.
PRECISIONS: dict[str, Precision] = {
    "float32": Precision(cpu="float32", gpu="float32"),
    "tf32": Precision(cpu=None, gpu="TF32_TF32_F32"),
    "tf32x3": Precision(cpu=None, gpu="TF32_TF32_F32_X3"),
    "bf16": Precision(cpu=None, gpu="BF16_BF16_F32"),
    "bf16x6": Precision(cpu=None, gpu="BF16_BF16_F32_X6"),
}

NAMES: dict[str, Mapping[str, Any]] = {
    "task": TASKS,
    "model": MODELS,
    "activation": ACTIVATIONS,
    "alpha_convention": ALPHA_CONVENTIONS,
    "parameterization": PARAMETERIZATIONS,
    "loss": LOSSES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "layer_norm": LAYER_NORMS,
    "read_at": READ_AT,
    "split": SPLITS,
    "held_out": HELD_OUT,
    "precision": PRECISIONS,
    "order_parameters": ORDER_PARAMETERS,
}


def effective_precision(name: str, platform: str) -> str:
    """What jax computes matrix products in for a sweep file's `precision`.

    Raises:
      SpecError: the platform has no such arithmetic.
    """
    entry = PRECISIONS[name]
    effective = entry.cpu if platform == "cpu" else entry.gpu
    if effective is None:
        raise SpecError(
            f"precision = {name!r}: a {platform} computes float32 only, and the runs "
            "would carry the wrong name; choose 'float32', or run on a GPU"
        )
    return effective
