"""Runs batches on the devices: compile once per system, chunk by chunk. No files.

Lanes are independent: `shard_map` splits them over the local devices (the cores of a
CPU, or the GPUs) and `vmap` over each device's share; nothing is communicated.
"""

from __future__ import annotations

import dataclasses
import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jax.sharding import AxisType, PartitionSpec

from grokmap import plan
from grokmap.plan import Batch, Planned
from grokmap.spec import Control, System, n_train_of
from grokmap.tasks import TASKS
from grokmap.train import NEVER, build

Floats = npt.NDArray[np.float32]

# Rows of a tile on a CPU: hidden activations of a tile stay in the cache (measured:
# 1.5 times faster than one tile at p = 97, N = 512).
CPU_TILE = 512
CPU_LANES_PER_CORE = 4
GPU_MEMORY_SHARE = 0.5


class Settings(NamedTuple):
    """How a system is executed; none of it is part of a run's identity.

    lanes: runs trained together; tile, max_tiles: rows per gradient tile, most tiles.
    """

    lanes: int
    tile: int
    max_tiles: int
    kernel: str

    def of_program(self) -> dict[str, Any]:
        """What of it `train.build` is told."""
        return {k: v for k, v in self._asdict().items() if k != "lanes"}


class Compiled(NamedTuple):
    """The executables of one system with fixed settings, and what building cost.

    measure, names: by cost class, as in `train.Program`.
    """

    init: Callable[..., Any]
    chunk: Callable[..., Any]
    measure: dict[str, Callable[..., Any]]
    names: dict[str, tuple[str, ...]]
    seconds: float

    @property
    def columns(self) -> tuple[str, ...]:
        """Every recorded quantity, cost class after cost class."""
        return tuple(name for names in self.names.values() for name in names)


class Records(NamedTuple):
    """The trajectories of a batch in long form.

    run: [rows] index into the batch's runs; step: [rows]; values: [rows, columns],
    NaN where undefined or not recorded. A diverged run ends with a row of NaN at its
    first non-finite step.
    """

    columns: tuple[str, ...]
    run: npt.NDArray[np.int64]
    step: npt.NDArray[np.int64]
    values: Floats


class Done(NamedTuple):
    """A finished batch. seconds: wall time without compiling."""

    batch: Batch
    records: Records
    settings: Settings
    seconds: float


class Failed(NamedTuple):
    """A batch that raised; `trace` is the traceback."""

    batch: Batch
    trace: str


class Progress(NamedTuple):
    """After each chunk: steps done since the last report.

    run_steps: of runs not yet at their end; lane_steps: of all lanes, busy or not.
    """

    run_steps: int
    lane_steps: int


def use_all_cores() -> None:
    """One CPU device a core. Call before jax's first computation."""
    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))


def choose_settings(
    system: System, runs: Sequence[Planned], lanes: int | None = None
) -> Settings:
    """Settings for the runs of one system on the local devices."""
    n_train = max(_n_train(run) for run in runs)
    devices = jax.local_devices()
    on_cpu = devices[0].platform == "cpu"
    tiles = -(-n_train // CPU_TILE) if on_cpu else 1
    wanted = lanes or len(devices) * _lanes_per_device(system, devices[0])
    # As many batches as before, but evenly filled, in multiples of the devices.
    n_batches = -(-len(runs) // wanted)
    filled = -(-len(runs) // n_batches)
    return Settings(
        lanes=-(-filled // len(devices)) * len(devices),
        tile=-(-n_train // tiles),
        max_tiles=tiles,
        kernel="gather" if on_cpu else "one_hot",
    )


def _lanes_per_device(system: System, device: Any) -> int:
    if device.platform == "cpu":
        return CPU_LANES_PER_CORE
    n_examples = TASKS[system.task].n_examples(system.modulus)
    columns = system.width + system.modulus
    weights = 3 * system.modulus * system.width
    # Activations forward and backward, beside weights, gradients and optimizer state.
    bytes_a_lane = 4 * (8 * n_examples * columns + 6 * weights)
    limit = (device.memory_stats() or {}).get("bytes_limit", 8 << 30)
    return max(1, int(GPU_MEMORY_SHARE * limit / bytes_a_lane))


def _n_train(planned: Planned) -> int:
    n_examples = TASKS[planned.run.system.task].n_examples(planned.run.system.modulus)
    return n_train_of(planned.run.control.train_fraction, n_examples)


def compile_system(system: System, settings: Settings) -> Compiled:
    """Compiles a system ahead of time: one trace of `init` and one of `chunk`."""
    started = time.perf_counter()
    program = build(system, **settings.of_program())
    n = settings.lanes
    scalar = jax.ShapeDtypeStruct((), jnp.int32)
    steps = jax.ShapeDtypeStruct((plan.chunk_length(system),), jnp.int32)
    number: Any = jax.ShapeDtypeStruct((n,), jnp.float32)
    control = Control(*[number] * len(Control._fields))
    counts = jax.ShapeDtypeStruct((n,), jnp.int32)
    seeds = jax.ShapeDtypeStruct((n,), jnp.uint32)
    init = jax.jit(_on_lanes(program.init, (0, 0, 0))).lower(control, counts, seeds)
    lane = jax.tree.map(_with_lane_sharding, init.out_info)
    chunk = jax.jit(
        _on_lanes(program.chunk, (0, None, None, None)), donate_argnums=(0,)
    ).lower(lane, scalar, steps, scalar)
    measure = {
        cost: jax.jit(_measured(function)).lower(lane, scalar)
        for cost, function in program.measure.items()
    }
    return Compiled(
        init.compile(),
        chunk.compile(),
        {cost: lowered.compile() for cost, lowered in measure.items()},
        program.names,
        time.perf_counter() - started,
    )


def _mesh() -> Any:
    devices = len(jax.local_devices())
    return jax.make_mesh((devices,), ("run",), axis_types=(AxisType.Auto,))


def _on_lanes(function: Callable[..., Any], axes: tuple[int | None, ...]) -> Any:
    """`function` of one lane, on lanes split over the devices; axis None: shared."""
    return _sharded(jax.vmap(function, in_axes=axes), axes)


def _sharded(function: Callable[..., Any], axes: tuple[int | None, ...]) -> Any:
    """`function` of a device's lanes, on all lanes; axis None: shared."""
    lanes, shared = PartitionSpec("run"), PartitionSpec()
    return jax.shard_map(
        function,
        mesh=_mesh(),
        in_specs=tuple(lanes if axis == 0 else shared for axis in axes),
        out_specs=lanes,
        check_vma=False,
    )


def _measured(function: Callable[..., Any]) -> Any:
    """A measurement of one lane, on all lanes.

    On a CPU lane by lane: batched sums would round by the number of lanes.
    """

    def on_each(lane: Any, n_tiles: Any) -> Any:
        return jax.lax.map(lambda own: function(own, n_tiles), lane)

    if jax.local_devices()[0].platform != "cpu":
        return _on_lanes(function, (0, None))
    return _sharded(on_each, (0, None))


def _with_lane_sharding(x: Any) -> jax.ShapeDtypeStruct:
    sharding = jax.sharding.NamedSharding(_mesh(), PartitionSpec("run"))
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)


def execute(
    planned: Iterable[Planned],
    *,
    lanes: int | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Done | Failed]:
    """Trains the runs, batch after batch, longest first within each system.

    Stops between two chunks once `should_stop()` holds; the batch at hand is dropped.
    An exception in one batch yields `Failed` and leaves the others alone.
    """
    for system, runs in plan.by_system(planned).items():
        settings = choose_settings(system, runs, lanes)
        compiled: Compiled | None = None
        for batch in plan.batches(runs, settings.lanes):
            try:
                compiled = compiled or compile_system(system, settings)
                done = run_batch(batch, compiled, settings, on_progress, should_stop)
            except Exception:  # any failure of one batch is that batch's outcome
                yield Failed(batch, traceback.format_exc())
                continue
            if done is None:
                return
            yield done


def run_batch(
    batch: Batch,
    compiled: Compiled,
    settings: Settings,
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
) -> Done | None:
    """Trains one batch to the end of its longest run; None if told to stop."""
    started = time.perf_counter()
    n_runs = len(batch.runs)
    # Inert copies of the last run fill the lanes of a short batch.
    runs = [*batch.runs, *[batch.runs[-1]] * (settings.lanes - n_runs)]
    lane = compiled.init(*_inputs(runs))
    n_tiles = np.int32(-(-max(map(_n_train, runs)) // settings.tile))
    now = {k: np.asarray(f(lane, n_tiles)) for k, f in compiled.measure.items()}
    steps = [np.zeros(1, np.int64)]
    table = [_rows(now.pop("dense")[:, None], now, compiled)]
    stops = [run.n_steps for run in batch.runs]
    length = plan.chunk_length(batch.system)
    done = 0
    for chunk in plan.chunks(stops, batch.system):
        if should_stop():
            return None
        last = chunk.steps[-1]
        padded = np.array(chunk.steps + (last,) * (length - len(chunk.steps)), np.int32)
        lane, dense = compiled.chunk(lane, np.int32(done), padded, n_tiles)
        due = compiled.measure.keys() & {"cheap", "dear" if chunk.dear else "cheap"}
        now = {k: np.asarray(compiled.measure[k](lane, n_tiles)) for k in due}
        table.append(_rows(np.asarray(dense)[:, : len(chunk.steps)], now, compiled))
        steps.append(np.array(chunk.steps, np.int64))
        live = sum(min(stop, last) - min(stop, done) for stop in stops)
        on_progress(Progress(live, settings.lanes * (last - done)))
        done = last
    diverged = np.asarray(lane.diverged_step)[:n_runs]
    values = np.concatenate(table, axis=1)[:n_runs]
    records = _records(batch, compiled, np.concatenate(steps), values, diverged)
    return Done(batch, records, settings, time.perf_counter() - started)


class Rate(NamedTuple):
    """Seconds of one lane's step, and of one lane's record of each cost class."""

    step: float
    record: dict[str, float]


def measure_rate(
    compiled: Compiled, settings: Settings, runs: Sequence[Planned]
) -> Rate:
    """Times one chunk of short and one of long intervals, a few seconds in all."""
    lane, n_tiles = _sample(compiled, settings, runs)
    length = plan.chunk_length(runs[0].run.system)
    record = {
        cost: _seconds(partial(measure, lane, n_tiles)) / settings.lanes
        for cost, measure in compiled.measure.items()
    }

    def seconds_of(interval: int) -> float:
        nonlocal lane
        steps = (interval * np.arange(1, length + 1)).astype(np.int32)
        started = time.perf_counter()
        lane, dense = compiled.chunk(lane, np.int32(0), steps, n_tiles)
        dense.block_until_ready()
        return time.perf_counter() - started

    seconds_of(1)  # warms the caches
    short, interval = seconds_of(1), 2
    while (long := seconds_of(interval)) < 0.5 and interval < 1024:
        interval *= 2
    step = (long - short) / (interval - 1) / length
    return Rate(step / settings.lanes, record)


def measure_costs(
    system: System, compiled: Compiled, settings: Settings, runs: Sequence[Planned]
) -> dict[str, float]:
    """Seconds of one lane's record of each order parameter of the system, alone.

    Together they cost less: what several need is then computed once.
    """
    lane, n_tiles = _sample(compiled, settings, runs)
    seconds = {}
    for name in system.order_parameters:
        alone = dataclasses.replace(system, order_parameters=(name,))
        program = build(alone, **settings.of_program())
        (function,) = (f for k, f in program.measure.items() if k != "dense")
        measured = jax.jit(_measured(function))
        seconds[name] = _seconds(partial(measured, lane, n_tiles)) / settings.lanes
    return seconds


def _sample(
    compiled: Compiled, settings: Settings, runs: Sequence[Planned]
) -> tuple[Any, np.int32]:
    """Fresh lanes of some of the runs, and the tiles that their gradient needs."""
    lanes = [runs[i % len(runs)] for i in range(settings.lanes)]
    n_tiles = np.int32(-(-max(map(_n_train, lanes)) // settings.tile))
    return compiled.init(*_inputs(lanes)), n_tiles


def _seconds(call: Callable[[], Any], repeats: int = 3) -> float:
    """The shortest of a few calls, after one that warms up."""
    jax.block_until_ready(call())
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - started)
    return min(times)


def _inputs(runs: Sequence[Planned]) -> tuple[Control, Any, Any]:
    controls: Any = np.array([run.run.control for run in runs], np.float32)
    return (
        Control(*controls.T),
        np.array([_n_train(run) for run in runs], np.int32),
        np.array([run.run.seed for run in runs], np.uint32),
    )


def _rows(dense: Floats, last: dict[str, Floats], compiled: Compiled) -> Floats:
    """[lanes, R, columns] of one chunk; order parameters stand in its last record.

    dense: [lanes, R, M]; last: [lanes, K] of the other cost classes that were due.
    """
    parts = [dense]
    for cost, names in compiled.names.items():
        if cost != "dense":
            rows = np.full((*dense.shape[:2], len(names)), np.nan, np.float32)
            rows[:, -1] = last.get(cost, np.nan)
            parts.append(rows)
    return np.concatenate(parts, axis=2)


def _records(
    batch: Batch,
    compiled: Compiled,
    steps: npt.NDArray[np.int64],
    values: Floats,
    diverged: npt.NDArray[np.int32],
) -> Records:
    """Each run's own records, cut at its last step or at its divergence."""
    parts = []
    train_loss = compiled.columns.index("train_loss")
    for i, run in enumerate(batch.runs):
        recorded = plan.recorded(steps, run.n_steps, batch.system)
        own = values[i].copy()
        for cost, names in compiled.names.items():
            columns = [compiled.columns.index(name) for name in names]
            own[np.ix_(~getattr(recorded, cost), columns)] = np.nan
        own_steps, own = steps[recorded.dense], own[recorded.dense]
        # The last step's outcome shows in its record alone: no later step sees it.
        unsound = own_steps[~np.isfinite(own[:, train_loss])]
        first = unsound[0] if diverged[i] == NEVER and len(unsound) else diverged[i]
        if NEVER < first <= run.n_steps:
            before = own_steps < first
            own_steps = np.append(own_steps[before], first)
            own = np.vstack([own[before], np.full(own.shape[1], np.nan, np.float32)])
        parts.append((np.full(len(own_steps), i), own_steps, own))
    run_index, step, rows = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Records(compiled.columns, run_index, step, rows)
