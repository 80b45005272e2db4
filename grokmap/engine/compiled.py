"""The compiled programs of a system: what fills its lanes, and what trains them.

`shard_map` splits lanes over the devices (the cores of a CPU, or the GPUs); nothing is
communicated. A GPU's lanes step together (`vmap`); on a CPU each core trains one lane
after the other, as fast as it can train any number of them at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from grokmap.engine.devices import share_programs
from grokmap.engine.records import Groups, Slots
from grokmap.engine.settings import Settings
from grokmap.engine.target import Target
from grokmap.engine.train import Program, build
from grokmap.spec import Control, System

GPU_MEMORY_SHARE = 0.8
SLOTS = 512  # records that a chunk can hold of a lane alone
GROUPS = 4096  # groups of lanes that a chunk can measure of lanes that step together


class Compiled(NamedTuple):
    """The executables of one system with fixed settings, and what building cost.

    refill: lanes alone: (lanes, fresh, control, n_train, seed) -> lanes, new runs where
      fresh [lanes]. Lanes together: the same with places [devices, K] among the lanes
      of a device, those beyond its last of none, and what starts there.
    chunk: lanes alone: (lanes, slots of each lane) -> (lanes, [lanes, R, columns]).
      Lanes together: (lanes, groups of each device) -> (lanes, [devices, G, K,
      columns]).
    names: as in `Program`.
    """

    refill: Callable[..., Any]
    chunk: Any
    names: dict[str, tuple[str, ...]]
    empty: Callable[[], Any]
    seconds: float


def fitting(system: System, settings: Settings) -> tuple[Compiled, Settings]:
    """The programs of as many of the lanes as fit the memory of the devices.

    Compiles once, and again only if the compiler's own account of memory says that
    these lanes do not fit.
    """
    compiled = compile_system(system, settings)
    target = settings.target
    room = GPU_MEMORY_SHARE * target.memory
    used = bytes_of_chunk(compiled) if settings.together else 0.0
    if used <= room or settings.of_device == 1:
        return compiled, settings
    fewer = max(1, int(settings.of_device * room / used))
    return fitting(system, settings._replace(lanes=fewer * target.n_devices))


def bytes_of_chunk(compiled: Compiled) -> float:
    """Peak memory of a chunk on one device: arguments, results and temporaries."""
    memory = compiled.chunk.memory_analysis()
    used = memory.temp_size_in_bytes + memory.argument_size_in_bytes
    return float(used + memory.output_size_in_bytes - memory.alias_size_in_bytes)


def compile_system(system: System, settings: Settings) -> Compiled:
    """Compiles a system ahead of time: one trace of `init` and one of `chunk`."""
    started = time.perf_counter()
    program = build_program(system, settings)
    lanes = shapes_of_lanes(program, settings)
    starts, slots = _shapes_of_starts(settings), _shapes_of_slots(settings)
    refill = _on_devices(_refill(program, settings), settings)
    chunk = _on_devices(_chunk(program, settings), settings)

    def compiled(function: Callable[..., Any], *shapes: Any) -> Any:
        lowered = jax.jit(function, donate_argnums=0).lower(lanes, *shapes)
        share_programs()
        executable = compile_for(settings.target, lowered)
        share_programs()
        return executable

    zeros = jax.jit(
        lambda: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), lanes),
        out_shardings=_sharding(settings),
    )
    return Compiled(
        compiled(refill, *starts),
        compiled(chunk, slots),
        program.names,
        zeros,
        time.perf_counter() - started,
    )


def build_program(system: System, settings: Settings) -> Program:
    """The system's pure functions, as these settings want them."""
    return build(
        system,
        tile=settings.tile,
        max_tiles=settings.max_tiles,
        kernel=settings.kernel,
        platform=settings.target.platform,
        block=settings.block,
    )


def compile_for(target: Target, lowered: Any) -> Any:
    """Compiles what jax has lowered for these devices."""
    options = compiler_options(target)
    try:
        return lowered.compile(compiler_options=options)
    except jax.errors.JaxRuntimeError:
        if target.here:
            raise
        # Where it cannot try tiles on the card it finds none for some products.
        options = options | {"xla_gpu_enable_triton_gemm": False}
        return lowered.compile(compiler_options=options)


def compiler_options(target: Target) -> dict[str, Any]:
    """Options of XLA for these devices."""
    # Each core trains its own lane: products split over cores would only wait for
    # each other (measured: up to 30 % at p = 97).
    on_cpu = target.platform == "cpu"
    return {"xla_cpu_multi_thread_eigen": False} if on_cpu else {}


def shapes_of_lanes(program: Program, settings: Settings) -> Any:
    """Shapes of all lanes, split over the devices."""
    runs = _shapes_of_runs((settings.lanes,))
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=_sharding(settings)),
        jax.eval_shape(jax.vmap(program.init), *runs),
    )


def _sharding(settings: Settings) -> NamedSharding:
    return NamedSharding(settings.target.mesh(), PartitionSpec("run"))


def _shapes_of_starts(settings: Settings) -> tuple[Any, ...]:
    """Shapes of what `refill` takes after the lanes: where, control, n_train, seed."""
    if settings.together:
        groups = (settings.target.n_devices, settings.group)
        return jax.ShapeDtypeStruct(groups, jnp.int32), *_shapes_of_runs(groups)
    lanes = (settings.lanes,)
    return jax.ShapeDtypeStruct(lanes, jnp.bool_), *_shapes_of_runs(lanes)


def _shapes_of_runs(shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Shapes of what `init` takes for so many runs: control, n_train, seed."""

    def numbers(dtype: Any) -> Any:
        return jax.ShapeDtypeStruct(shape, dtype)

    control = Control(*[numbers(jnp.float32)] * len(Control._fields))
    return control, numbers(jnp.int32), numbers(jnp.uint32)


def _shapes_of_slots(settings: Settings) -> Slots | Groups:
    """Shapes of the slots of all lanes, or of the groups of all devices."""
    n = settings.target.n_devices if settings.together else settings.lanes
    n_slots = GROUPS if settings.together else SLOTS
    flags = jax.ShapeDtypeStruct((n, n_slots), jnp.bool_)
    steps = jax.ShapeDtypeStruct((n, n_slots), jnp.int32)
    count = jax.ShapeDtypeStruct((n,), jnp.int32)
    if not settings.together:
        return Slots(steps, flags, flags, count)
    places = jax.ShapeDtypeStruct((n, n_slots, settings.group), jnp.int32)
    return Groups(steps, places, flags, flags, count)


def _refill(program: Program, settings: Settings) -> Callable[..., Any]:
    """What fills the lanes of one device."""

    def refilled(lane: Any, fresh: Any, *start: Any) -> Any:
        return jax.lax.cond(fresh, lambda: program.init(*start), lambda: lane)

    def some_refilled(lanes: Any, places: Any, *starts: Any) -> Any:
        places, starts = jax.tree.map(lambda x: x[0], (places, starts))
        return jax.tree.map(
            lambda old, new: old.at[places].set(new, mode="drop"),
            lanes,
            jax.vmap(program.init)(*starts),
        )

    return some_refilled if settings.together else _one_after_the_other(refilled)


def _chunk(program: Program, settings: Settings) -> Callable[..., Any]:
    """What trains the lanes of one device."""

    def together(lanes: Any, groups: Groups) -> Any:
        mine = jax.tree.map(lambda x: x[0], groups)
        lanes, records = program.chunk_together(lanes, mine)
        return lanes, records[None]

    return together if settings.together else _one_after_the_other(program.chunk)


def _one_after_the_other(
    function: Callable[..., Any], at_once: int | None = None
) -> Callable[..., Any]:
    """`function` of one lane on lanes that do not wait for each other."""

    def of_lanes(*arguments: Any) -> Any:
        return jax.lax.map(lambda lane: function(*lane), arguments, batch_size=at_once)

    return of_lanes


def on_lanes(
    function: Callable[..., Any], settings: Settings, at_once: int | None = None
) -> Callable[..., Any]:
    """`function` of one lane, on lanes split over the devices.

    settings: whose target the devices are; whether a device's lanes step together, or
      one after the other, each at its own pace. at_once: lanes that step together may
      be done in groups of so many, which take less memory.
    """
    if settings.together and at_once is None:
        return _on_devices(jax.vmap(function), settings)
    at_once = at_once if settings.together else None
    return _on_devices(_one_after_the_other(function, at_once), settings)


def _on_devices(function: Callable[..., Any], settings: Settings) -> Callable[..., Any]:
    """`function` of a device's part of arrays that are split along their first axis."""
    split = PartitionSpec("run")
    mesh = settings.target.mesh()
    return jax.shard_map(
        function, mesh=mesh, in_specs=split, out_specs=split, check_vma=False
    )
