"""What a system costs on a card that is not here: compiled for it, its time modelled.

Memory, arithmetic and bytes are those of the program that XLA compiles for the card.
The time is a model of them, and marked so wherever it is shown: nothing has run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from grokmap.engine.compiled import (
    GPU_MEMORY_SHARE,
    build_program,
    bytes_of_chunk,
    compile_system,
    compiler_options,
    on_lanes,
    shapes_of_lanes,
)
from grokmap.engine.estimate import Work
from grokmap.engine.settings import Settings
from grokmap.engine.target import Card
from grokmap.engine.train import Program
from grokmap.spec import System

# Shares of a card's rates by its data sheet that large float32 products and copies
# reach (an assumption, until they are measured on the card).
FLOPS_SHARE, BANDWIDTH_SHARE = 0.75, 0.9
LANES = 64  # of a device: enough that a cost a lane does not depend on them
# Measurements made, over records that are due: `benchmarks/gpu_schedule.py`.
MADE_OVER_DUE = 1.13


class Cost(NamedTuple):
    """Of one lane: floating-point operations, and bytes read and written."""

    flops: float
    bytes: float

    def seconds(self, card: Card) -> float:
        """Modelled, arithmetic and traffic one after the other."""
        arithmetic = self.flops / (FLOPS_SHARE * card.flops)
        return arithmetic + self.bytes / (BANDWIDTH_SHARE * card.bandwidth)


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
    each = bytes_of_chunk(compile_system(system, settings)) / settings.of_device
    program = build_program(system, settings)
    step = cost_of(program.step, program, settings)
    records = {
        name: cost_of(measure, program, settings)
        for name, measure in program.measure.items()
    }
    training, recording = seconds(work, step, records, card)
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
    work: Work, step: Cost, records: Mapping[str, Cost], card: Card
) -> tuple[float, float]:
    """Modelled seconds of all steps, and of all records, of a system's work."""
    recording = sum(work.times(k) * cost.seconds(card) for k, cost in records.items())
    return work.steps * step.seconds(card), MADE_OVER_DUE * recording


def cost_of(
    function: Callable[[Any], Any], program: Program, settings: Settings
) -> Cost:
    """Cost a lane of a function of one lane, by the program compiled for the target.

    XLA counts what one device does.
    """
    settings = settings._replace(lanes=LANES * settings.target.n_devices)
    lanes = shapes_of_lanes(program, settings)
    lowered = jax.jit(on_lanes(function, settings)).lower(lanes)
    options = compiler_options(settings.target)
    found = _analysis(lowered.compile(compiler_options=options))
    return Cost(
        float(found.get("flops", 0.0)) / LANES,
        float(found.get("bytes accessed", 0.0)) / LANES,
    )


def _analysis(compiled: Any) -> Mapping[str, float]:
    """Costs of a compiled program as XLA counts them, a loop's body once."""
    found = compiled.cost_analysis()
    if found is None:  # jax 0.10, of a device that is not here
        from jax._src.lib import xla_client  # type: ignore[attr-defined]

        (module,) = compiled.runtime_executable().hlo_modules()
        client = jax.devices("cpu")[0].client
        analysis: Any = xla_client
        found = analysis._xla.hlo_module_cost_analysis(client, module)
    return found[0] if isinstance(found, list) else found
