"""What a system costs on a card that is not here: compiled for it, its time modelled.

Memory, arithmetic and bytes are those of the program that XLA compiles for the card.
The time is a model of them, and marked so wherever it is shown: nothing has run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
from jax.extend.core import jaxprs_in_params

from grokmap.engine.compiled import (
    GPU_MEMORY_SHARE,
    build_program,
    bytes_of_chunk,
    compile_for,
    compile_system,
    on_lanes,
    shapes_of_lanes,
)
from grokmap.engine.estimate import Work
from grokmap.engine.settings import Settings
from grokmap.engine.target import Card, product_rate
from grokmap.engine.train import Program
from grokmap.spec import System

# Shares of a card's rates by its data sheet that large float32 products and copies
# reach (an assumption, until they are measured on the card).
FLOPS_SHARE, BANDWIDTH_SHARE = 0.75, 0.9
# Seconds of one kernel that has nothing to do, in a graph of kernels, and of one row of
# a batch of eigenvalue problems, whose rows are eliminated one after the other
# (assumptions likewise).
KERNEL_SECONDS, EIGEN_ROW_SECONDS = 2e-6, 2e-5
LANES = 64  # of a device: enough that a cost a lane does not depend on them
# Measurements made, over records that are due: `benchmarks/gpu_schedule.py`.
MADE_OVER_DUE = 1.13


class Cost(NamedTuple):
    """Of one lane: floating-point operations, and bytes read and written. Of all lanes
    at once: kernels, and rows of matrices whose eigenvalues are looked for.

    A loop's body counts once.
    """

    flops: float
    bytes: float
    kernels: int = 0
    eigen_rows: int = 0

    def seconds(self, card: Card, lanes: int) -> float:
        """Of one lane, modelled, `lanes` at once: arithmetic, traffic, launches and
        eigenvalues one after the other."""
        arithmetic = self.flops / (FLOPS_SHARE * card.flops)
        traffic = self.bytes / (BANDWIDTH_SHARE * card.bandwidth)
        shared = self.kernels * KERNEL_SECONDS + self.eigen_rows * EIGEN_ROW_SECONDS
        return arithmetic + traffic + shared / lanes


class Modelled(NamedTuple):
    """One system on a card: compiled, and what follows.

    lanes: that fit its memory; bytes: a lane's; step: cost of a lane's step; records:
    of a record of each cost class; seconds: of all runs to the end of their budgets,
    one card, all lanes busy; record_share: of the seconds.
    """

    lanes: int
    bytes: float
    step: Cost
    records: dict[str, Cost]
    seconds: float
    record_share: float


def modelled(system: System, settings: Settings, work: Work, card: Card) -> Modelled:
    """Compiles a system for a card.

    settings: with the card as target. work: of all runs of the system.
    """
    card = card._replace(flops=product_rate(card, system.precision))
    each = bytes_of_chunk(compile_system(system, settings)) / settings.of_device
    program = build_program(system, settings)
    step = cost_of(program.step, program, settings)
    records = {
        name: cost_of(measure, program, settings)
        for name, measure in program.measure.items()
    }
    training, recording = seconds(work, step, records, card, settings)
    whole = training + recording
    return Modelled(
        lanes=int(GPU_MEMORY_SHARE * card.memory / each),
        bytes=each,
        step=step,
        records=records,
        seconds=whole,
        record_share=recording / whole,
    )


def seconds(
    work: Work,
    step: Cost,
    records: Mapping[str, Cost],
    card: Card,
    settings: Settings,
) -> tuple[float, float]:
    """Modelled seconds of all steps, and of all records, of a system's work."""
    recording = sum(
        work.times(name) * cost.seconds(card, settings.group)
        for name, cost in records.items()
    )
    training = work.steps * step.seconds(card, settings.of_device)
    return training, MADE_OVER_DUE * recording


def cost_of(
    function: Callable[[Any], Any], program: Program, settings: Settings
) -> Cost:
    """Cost a lane of a function of one lane, by the program compiled for the target.

    XLA counts what one device does.
    """
    settings = settings._replace(lanes=LANES * settings.target.n_devices)
    lanes = shapes_of_lanes(program, settings)
    on_device = on_lanes(function, settings)
    compiled = compile_for(settings.target, jax.jit(on_device).lower(lanes))
    found, text = analysis(compiled), compiled.as_text() or ""
    flops = float(found.get("flops", 0.0)) / LANES
    if "__cublas" in text:  # products by a library, of which XLA counts nothing
        flops += flops_of_products(function, lanes)
    return Cost(
        flops,
        float(found.get("bytes accessed", 0.0)) / LANES,
        len(KERNEL.findall(_entry(text))),
        sum(map(int, EIGEN.findall(text))),
    )


# Instructions of a compiled program that a GPU launches as a kernel or more.
KERNEL = re.compile(r" (?:fusion|custom-call|dot|copy|sort|scatter|reduce)\(")
EIGEN = re.compile(r"f32\[\d+,(\d+),\d+\][^=]*custom-call\([^\n]*syevd")


def flops_of_products(function: Callable[[Any], Any], lanes: Any) -> float:
    """Of the products of matrices in a function of one lane, a loop's body once."""
    lane = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), lanes)
    return _products(jax.make_jaxpr(function)(lane).jaxpr)


def _products(jaxpr: Any) -> float:
    total = 0.0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (summed, _), _ = equation.params["dimension_numbers"]
            sides = [equation.invars[0].aval.shape[axis] for axis in summed]
            total += 2.0 * math.prod(sides) * equation.outvars[0].aval.size
        inner = jaxprs_in_params(equation.params)
        total += sum(map(_products, inner))
    return total


def _entry(text: str) -> str:
    """The part of a compiled program that is not called by another."""
    return text[text.index("\nENTRY ") :]


def analysis(compiled: Any) -> Mapping[str, float]:
    """Costs of a compiled program as XLA counts them, a loop's body once."""
    found = compiled.cost_analysis()
    if found is None:  # jax 0.10, of a device that is not here
        from jax._src.lib import xla_client  # type: ignore[attr-defined]

        (module,) = compiled.runtime_executable().hlo_modules()
        client = jax.devices("cpu")[0].client
        analysis: Any = xla_client
        found = analysis._xla.hlo_module_cost_analysis(client, module)
    return found[0] if isinstance(found, list) else found
