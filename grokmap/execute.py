"""Trains runs on the devices: compile once per system, chunk by chunk. No files.

Lanes are independent: `shard_map` splits them over the local devices (the cores of a
CPU, or the GPUs); nothing is communicated. A GPU's lanes step together (`vmap`); on a
CPU each core trains one lane after the other, as fast as it can train any number of
them at once. When a run is over, its lane takes the next from the queue.
"""

from __future__ import annotations

import os
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from grokmap import plan
from grokmap.plan import Planned, Slots
from grokmap.schedule import Seat, Trajectory, slots_of, steps_within
from grokmap.spec import Control, System
from grokmap.train import Program, build, effective_precision

# Rows of a tile on a CPU: the hidden activations of a tile stay in its cache.
CPU_TILE = 512
# A chunk's arithmetic on one core: some 50 ms, so that no core waits long for another.
CPU_CHUNK_FLOPS = 2.5e9
# Steps of a chunk on a GPU: long against a dispatch, and so that lanes that were just
# filled, which are recorded often, do not slow the others down much.
GPU_CHUNK_STEPS = 2048
GPU_MEMORY_SHARE = 0.8
FEW = 8  # lanes of a device from which memory is linear in them
SLOTS = 512
COMPILE_CACHE = "jax_compilation_cache_dir"
# Runs that are over wait for company, since one file a run would be many small files.
RUNS_TOGETHER, SECONDS_TOGETHER = 256, 30.0


class Settings(NamedTuple):
    """How a system is executed; none of it is part of a run's identity.

    lanes: runs in training at once; tile, max_tiles: rows per gradient tile, most
    tiles of a run; kernel: of the first layer; together: whether a device's lanes step
    together; precision: what matrix products are computed in.
    """

    lanes: int
    tile: int
    max_tiles: int
    kernel: str
    together: bool
    precision: str


class Compiled(NamedTuple):
    """The executables of one system with fixed settings, and what building cost.

    refill: (lanes, fresh, control, n_train, seed) -> lanes, new runs where fresh.
    chunk: (lanes, slots) -> (lanes, [lanes, R, columns]). names: as in `Program`.
    """

    refill: Callable[..., Any]
    chunk: Any
    names: dict[str, tuple[str, ...]]
    empty: Callable[[], Any]
    seconds: float

    @property
    def columns(self) -> tuple[str, ...]:
        """Every recorded quantity, cost class after cost class."""
        return tuple(name for names in self.names.values() for name in names)


class Done(NamedTuple):
    """Runs that are over, all of one system, and their trajectories.

    steps: for each run [rows]; values: for each run [rows, columns], see `Trajectory`;
    seconds: wall time spent on them, without compiling.
    """

    runs: tuple[Planned, ...]
    steps: tuple[npt.NDArray[np.int64], ...]
    values: tuple[npt.NDArray[np.float32], ...]
    columns: tuple[str, ...]
    settings: Settings
    seconds: float


class Failed(NamedTuple):
    """Runs that were in training when something raised; `trace` is the traceback."""

    runs: tuple[Planned, ...]
    trace: str


class Progress(NamedTuple):
    """After each chunk: steps done since the last report.

    run_steps: that runs needed; lane_steps: of all lanes, busy or not; spared: of the
    budgets of runs that were over before their end.
    """

    run_steps: int
    lane_steps: int
    spared: int = 0


class Hooks(NamedTuple):
    """What `execute` tells and asks between two chunks."""

    on_progress: Callable[[Progress], None] = lambda progress: None
    should_stop: Callable[[], bool] = lambda: False


def use_all_cores() -> None:
    """One CPU device a core. Call before jax's first computation."""
    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))


def use_compile_cache() -> None:
    """Keeps compiled programs, so that the same sweep compiles nothing next time.

    In the user's own cache folder: programs are trusted code, so never beside results.
    JAX_COMPILATION_CACHE_DIR chooses another folder.
    """
    if not getattr(jax.config, COMPILE_CACHE, None):
        caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(caches) / "grokmap" / "compiled"
        jax.config.update(COMPILE_CACHE, str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def choose_settings(
    system: System, planned: Sequence[Planned], lanes: int | None = None
) -> Settings:
    """Settings for a system on the local devices, `planned` all its runs of the sweep.

    All, done or not: tiles follow from the largest training set, and a sweep that is
    resumed has to compute the same sums.

    Raises:
      SpecError: the devices do not have the system's precision.
    """
    platform = jax.local_devices()[0].platform
    precision = effective_precision(system.precision, platform)
    n_train = max(run.n_train for run in planned)
    if platform == "cpu":
        tiles = -(-n_train // CPU_TILE)
        tile = -(-n_train // tiles)
        cpu = Settings(1, tile, tiles, "gather", together=False, precision=precision)
        return cpu._replace(lanes=_whole_devices(lanes or 1))
    gpu = Settings(1, n_train, 1, "one_hot", together=True, precision=precision)
    fitting = lanes or lanes_in_memory(system, gpu, len(planned))
    return gpu._replace(lanes=_whole_devices(min(fitting, len(planned))))


def _whole_devices(lanes: int) -> int:
    """The next multiple of the number of devices."""
    devices = jax.local_device_count()
    return -(-lanes // devices) * devices


def lanes_in_memory(system: System, settings: Settings, wanted: int) -> int:
    """Most lanes whose training fits all devices' memory, `wanted` at most.

    By the compiler's own account of the chunk at two sizes, which is linear in lanes
    from a few on.
    """
    device, devices = jax.local_devices()[0], jax.local_device_count()
    limit = GPU_MEMORY_SHARE * (device.memory_stats() or {}).get("bytes_limit", 8 << 30)
    one, two = (
        bytes_of_chunk(system, settings._replace(lanes=n))
        for n in (devices * FEW, 2 * devices * FEW)
    )
    each = max(1.0, (two - one) / FEW)
    per_device = max(1, int((limit - (one - FEW * each)) / each))
    return min(wanted, per_device * devices)


def bytes_of_chunk(system: System, settings: Settings) -> float:
    """Peak memory of a chunk on one device: arguments, results and temporaries."""
    memory = compile_system(system, settings).chunk.memory_analysis()
    used = memory.temp_size_in_bytes + memory.argument_size_in_bytes
    return float(used + memory.output_size_in_bytes - memory.alias_size_in_bytes)


def compile_system(system: System, settings: Settings) -> Compiled:
    """Compiles a system ahead of time: one trace of `init` and one of `chunk`."""
    started = time.perf_counter()
    program = build_program(system, settings)
    n = settings.lanes
    inputs = _shapes_of_inputs(n)
    lanes = jax.eval_shape(jax.vmap(program.init), *inputs[1:])
    sharding = NamedSharding(_mesh(), PartitionSpec("run"))
    lanes = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), lanes
    )
    refill = jax.jit(
        on_lanes(_refilled(program), settings.together), donate_argnums=(0,)
    ).lower(lanes, *inputs)
    chunk = jax.jit(
        on_lanes(program.chunk, settings.together, shared=(1,)), donate_argnums=(0,)
    ).lower(lanes, _shapes_of_slots(None if settings.together else n))
    options = compiler_options()
    zeros = jax.jit(
        lambda: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), lanes),
        out_shardings=sharding,
    )
    return Compiled(
        refill.compile(compiler_options=options),
        chunk.compile(compiler_options=options),
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
        platform=jax.local_devices()[0].platform,
    )


def compiler_options() -> dict[str, Any]:
    """Of XLA, for the local devices."""
    # Each core trains its own lane: products split over cores would only wait for
    # each other (measured: up to 30 % at p = 97).
    on_cpu = jax.local_devices()[0].platform == "cpu"
    return {"xla_cpu_multi_thread_eigen": False} if on_cpu else {}


def _shapes_of_inputs(n: int) -> tuple[Any, ...]:
    """Of `refill`, behind the lanes: fresh, control, n_train, seed."""

    def numbers(dtype: Any) -> Any:
        return jax.ShapeDtypeStruct((n,), dtype)

    control = Control(*[numbers(jnp.float32)] * len(Control._fields))
    return numbers(jnp.bool_), control, numbers(jnp.int32), numbers(jnp.uint32)


def _shapes_of_slots(n: int | None) -> Slots:
    """Slots of each of n lanes, or (None) of all together."""
    lanes = () if n is None else (n,)
    flags = jax.ShapeDtypeStruct((*lanes, SLOTS), jnp.bool_)
    return Slots(
        interval=jax.ShapeDtypeStruct((*lanes, SLOTS), jnp.int32),
        cheap=flags,
        dear=flags,
        n=jax.ShapeDtypeStruct(lanes, jnp.int32),
    )


def _refilled(program: Program) -> Callable[..., Any]:
    def refilled(lane: Any, fresh: Any, *start: Any) -> Any:
        return jax.lax.cond(fresh, lambda: program.init(*start), lambda: lane)

    return refilled


def _mesh() -> Any:
    devices = len(jax.local_devices())
    return jax.make_mesh((devices,), ("run",), axis_types=(AxisType.Auto,))


def on_lanes(
    function: Callable[..., Any], together: bool, shared: tuple[int, ...] = ()
) -> Any:
    """`function` of one lane, on lanes split over the devices.

    Args:
      together: a device's lanes step together; else one after the other, each at its
        own pace.
      shared: arguments that lanes which step together have in common.
    """
    lanes, common = PartitionSpec("run"), PartitionSpec()

    def on_device(*arguments: Any) -> Any:
        if together:
            axes = [None if i in shared else 0 for i in range(len(arguments))]
            return jax.vmap(function, in_axes=axes)(*arguments)
        return jax.lax.map(lambda own: function(*own), arguments)

    def on_devices(*arguments: Any) -> Any:
        in_common = [together and i in shared for i in range(len(arguments))]
        return jax.shard_map(
            on_device,
            mesh=_mesh(),
            in_specs=tuple(common if c else lanes for c in in_common),
            out_specs=lanes,
            check_vma=False,
        )(*arguments)

    return on_devices


def execute(
    planned: Sequence[Planned],
    *,
    done: frozenset[str] | set[str] = frozenset(),
    lanes: int | None = None,
    hooks: Hooks = Hooks(),
) -> Iterator[Done | Failed]:
    """Trains all runs but those whose id is in `done`, longest first within a system.

    Stops between two chunks once `hooks.should_stop()`; runs in training are dropped.
    An exception yields `Failed` for the runs in training and leaves the others alone.
    """
    for system, runs in plan.by_system(planned).items():
        missing = (run for run in runs if run.run.run_id not in done)
        queue = deque(sorted(missing, key=plan.longest))
        if not queue:
            continue
        settings = choose_settings(system, runs, lanes)
        if not (yield from _execute_system(system, queue, settings, hooks)):
            return


def _execute_system(
    system: System, queue: deque[Planned], settings: Settings, hooks: Hooks
) -> Generator[Done | Failed, None, bool]:
    """The runs of one system; returns whether to go on.

    Out of memory: half the lanes, and the runs in training start again.
    """
    while queue:
        training: list[Planned] = []
        try:
            compiled = compile_system(system, settings)
            return (yield from _train(compiled, settings, queue, training, hooks))
        except Exception as error:
            if _out_of_memory(error) and settings.lanes > jax.local_device_count():
                settings = settings._replace(lanes=_whole_devices(settings.lanes // 2))
                queue.extendleft(reversed(training))
                continue
            # Compiling failed if none was in training: then it fails for all.
            yield Failed(tuple(training or queue), traceback.format_exc())
            if not training:
                queue.clear()
    return True


def _out_of_memory(error: Exception) -> bool:
    return "RESOURCE_EXHAUSTED" in str(error)


def _train(
    compiled: Compiled,
    settings: Settings,
    queue: deque[Planned],
    training: list[Planned],
    hooks: Hooks,
) -> Generator[Done, None, bool]:
    """Empties the queue chunk by chunk; `training` holds the runs in the lanes."""
    lanes = compiled.empty()
    seats: list[Seat | None] = [None] * settings.lanes
    over: list[tuple[Seat, Trajectory]] = []
    last_out = time.monotonic()
    while True:
        lanes = fill(compiled, lanes, seats, queue)
        training[:] = [seat.planned for seat in seats if seat]
        if not training or hooks.should_stop():
            break
        lanes, left, progress = _run_chunk(compiled, settings, lanes, seats)
        over += left
        hooks.on_progress(progress)
        waited = time.monotonic() - last_out > SECONDS_TOGETHER
        if over and (waited or len(over) >= RUNS_TOGETHER):
            training[:] = [seat.planned for seat in seats if seat]
            yield _done(over, compiled, settings)
            over, last_out = [], time.monotonic()
    if over:
        yield _done(over, compiled, settings)
    return not training


def fill(
    compiled: Compiled, lanes: Any, seats: list[Seat | None], queue: deque[Planned]
) -> Any:
    """Puts the next runs of the queue into the empty seats, and into their lanes."""
    fresh = [i for i, seat in enumerate(seats) if seat is None][: len(queue)]
    if not fresh:
        return lanes
    for i in fresh:
        seats[i] = Seat(queue.popleft(), compiled.names)
    return compiled.refill(lanes, *_inputs(seats, fresh))


def _inputs(seats: Sequence[Seat | None], fresh: list[int]) -> tuple[Any, ...]:
    """Arguments of `refill`; a lane without a seat is given a run that never steps."""
    some = next(seat for seat in seats if seat).planned
    runs = [seat.planned if seat else some for seat in seats]
    is_fresh = np.zeros(len(seats), bool)
    is_fresh[fresh] = True
    controls: Any = np.array([run.run.control for run in runs], np.float32)
    return (
        is_fresh,
        Control(*controls.T),
        np.array([run.n_train for run in runs], np.int32),
        np.array([run.run.seed for run in runs], np.uint32),
    )


def _run_chunk(
    compiled: Compiled, settings: Settings, lanes: Any, seats: list[Seat | None]
) -> tuple[Any, list[tuple[Seat, Trajectory]], Progress]:
    """One chunk of all lanes; seats whose run is over are emptied."""
    started = time.perf_counter()
    slots = _slots(settings, seats)
    stacked = slots[0] if settings.together else jax.tree.map(_stack, *slots)
    lanes, records = compiled.chunk(lanes, stacked)
    rows, diverged = np.asarray(records), np.asarray(lanes.diverged_step)
    seconds = time.perf_counter() - started
    over: list[tuple[Seat, Trajectory]] = []
    run_steps = spared = 0
    busy = [seat for seat in seats if seat]
    for i, seat in enumerate(seats):
        if seat is None:
            continue
        own = slots[0 if settings.together else i]
        seat.seconds += seconds / len(busy)
        offsets = np.cumsum(own.interval[: own.n], dtype=np.int64)
        run_steps += seat.take(offsets, rows[i, : own.n])
        trajectory = seat.outcome(int(diverged[i]))
        if trajectory:
            over.append((seat, trajectory))
            spared += max(0, seat.planned.n_steps - seat.step)
            seats[i] = None
    longest = max(int(own.interval.sum()) for own in slots)
    return lanes, over, Progress(run_steps, longest * len(seats), spared)


def _stack(*parts: Any) -> Any:
    return np.stack(parts)


def _slots(settings: Settings, seats: Sequence[Seat | None]) -> list[Slots]:
    """One for all lanes if they step together, else one a lane."""
    if settings.together:
        return [slots_of([s for s in seats if s], GPU_CHUNK_STEPS, SLOTS)]
    groups = [[seat] if seat else [] for seat in seats]
    return [slots_of(own, steps_within(own, CPU_CHUNK_FLOPS), SLOTS) for own in groups]


def _done(
    over: list[tuple[Seat, Trajectory]], compiled: Compiled, settings: Settings
) -> Done:
    seats, trajectories = zip(*over, strict=True)
    return Done(
        tuple(seat.planned for seat in seats),
        tuple(trajectory.step for trajectory in trajectories),
        tuple(trajectory.values for trajectory in trajectories),
        compiled.columns,
        settings,
        sum(seat.seconds for seat in seats),
    )
