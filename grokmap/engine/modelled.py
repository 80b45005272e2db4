"""What a system costs on a card that is not here: compiled for it, its time modelled.

Memory, arithmetic and bytes are those of the program that XLA compiles for the card.
The time is a model of them, and marked so wherever it is shown: nothing has run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
from jax.sharding import NamedSharding, PartitionSpec

from grokmap.engine.cost import costs_of
from grokmap.engine.devices import (
    Settings,
    build_program,
    bytes_of_chunk,
    compiler_options,
    lanes_in_memory,
    on_lanes,
    shapes_of_inputs,
)
from grokmap.engine.records import n_records
from grokmap.engine.target import CARDS, Card
from grokmap.plan import Planned
from grokmap.spec import System

# Shares of a card's rates by its data sheet that large float32 products and copies
# reach (an assumption, until they are measured on the card).
FLOPS_SHARE, BANDWIDTH_SHARE = 0.75, 0.9
LANES = 64  # of a device: enough that a cost a lane does not depend on them


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
    one card, all lanes busy; record_share: of the seconds, were only those lanes
    measured that are due.
    """

    lanes: int
    bytes: float
    step: Cost
    records: dict[str, Cost]
    seconds: float
    record_share: float


def modelled(
    system: System, settings: Settings, runs: Sequence[Planned], card: str
) -> Modelled:
    """Compiles a system for a named card. settings: with the card as target."""
    most = lanes_in_memory(system, settings, 10**9)
    few, many = (
        bytes_of_chunk(system, settings._replace(lanes=n * settings.target.n_devices))
        for n in (LANES, 2 * LANES)
    )
    each = (many - few) / LANES
    program = build_program(system, settings)
    step = cost_of(program.step, program, settings)
    records = {
        name: cost_of(program.measure[name], program, settings)
        for name in costs_of(system)
    }
    training, recording = seconds(system, runs, step, records, CARDS[card])
    whole = training + recording
    return Modelled(most, each, step, records, whole, recording / whole)


def seconds(
    system: System,
    runs: Sequence[Planned],
    step: Cost,
    records: Mapping[str, Cost],
    card: Card,
) -> tuple[float, float]:
    """Modelled seconds of all steps, and of all records, of all runs of a system."""
    largest = max(run.n_train for run in runs)
    steps = sum(run.n_steps * run.n_train / largest for run in runs)
    counts = dict.fromkeys(records, 0)
    for run in runs:
        for name, count in n_records(run.n_steps, system).items():
            if name in counts:
                counts[name] += count
    recording = sum(records[k].seconds(card) * n for k, n in counts.items())
    return steps * step.seconds(card), recording


def cost_of(function: Any, program: Any, settings: Settings) -> Cost:
    """Cost a lane of a function of one lane, by the program compiled for the target.

    XLA counts what one device does.
    """
    settings = settings._replace(lanes=LANES * settings.target.n_devices)
    inputs = shapes_of_inputs(settings.lanes)
    sharding = NamedSharding(settings.target.mesh(), PartitionSpec("run"))
    lanes = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        jax.eval_shape(jax.vmap(program.init), *inputs[1:]),
    )
    compiled = jax.jit(on_lanes(partial(function), settings)).lower(lanes)
    options = compiler_options(settings.target)
    found = _analysis(compiled.compile(compiler_options=options))
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
