"""How a system is executed on the local devices: settings, and its compiled programs.

`shard_map` splits lanes over the devices (the cores of a CPU, or the GPUs); nothing is
communicated. A GPU's lanes step together (`vmap`); on a CPU each core trains one lane
after the other, as fast as it can train any number of them at once.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from grokmap import disk
from grokmap.engine.records import Slots
from grokmap.engine.target import Target, local_target
from grokmap.engine.train import Program, build
from grokmap.errors import SpecError, short
from grokmap.plan import Planned, effective_precision
from grokmap.process import environment
from grokmap.spec import Control, System
from grokmap.tasks import TASKS

# Rows of a tile on a CPU: the hidden activations of a tile stay in its cache.
CPU_TILE = 512
GPU_MEMORY_SHARE = 0.8
FEW = 8  # lanes of a device from which memory is linear in them
SLOTS = 512  # records that a chunk can hold
COMPILE_CACHE = "jax_compilation_cache_dir"
# What the numbers of a run depend on, of all that jax can be told: fixed here, since
# its id says nothing of them.
PINNED = {
    "jax_enable_x64": False,  # runs are float32, their counters int32
    "jax_default_prng_impl": "threefry2x32",  # what a seed draws
    "jax_threefry_partitionable": True,
    "jax_random_seed_offset": 0,
    "jax_numpy_dtype_promotion": "standard",
    "jax_disable_jit": False,
}


class Settings(NamedTuple):
    """How a system is executed; none of it is part of a run's identity.

    target: the devices; lanes: runs in training at once; tile, max_tiles: rows per
    gradient tile, most tiles of a run; kernel: of the first layer; together: whether a
    device's lanes step together; precision: what matrix products are computed in.
    """

    target: Target
    lanes: int
    tile: int
    max_tiles: int
    kernel: str
    together: bool
    precision: str

    def facts(self) -> dict[str, Any]:
        """All but the target, as JSON can hold it."""
        facts = self._asdict()
        del facts["target"]
        return facts


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


def prepare() -> None:
    """Settings of jax for this process. Call before its first computation.

    Raises:
      SpecError: the devices that JAX_PLATFORMS asks for are not there.
    """
    for name, value in PINNED.items():
        jax.config.update(name, value)
    use_all_cores()
    use_compile_cache()
    if not str(getattr(jax.config, COMPILE_CACHE)).isprintable():
        jax.config.update(COMPILE_CACHE, None)  # XLA takes no folder that is not UTF-8
    try:
        platform()
    except Exception as error:  # of any kind: each platform fails in its own way
        reason = short(str(error).partition("\n")[0] or type(error).__name__)
        asked = {k: v for k, v in environment.kept().items() if "PLATFORM" in k}
        names = " and ".join(f"{k}={short(v)!r}" for k, v in asked.items())
        raise SpecError(
            f"{names}: no such device here ({reason}); unset it to use what there is"
            if asked
            else f"jax finds no device to compute on: {reason}"
        ) from None


@contextmanager
def prepared() -> Iterator[None]:
    """jax as runs need it; on leaving, as the calling program had it."""
    before = {name: getattr(jax.config, name) for name in PINNED}
    try:
        prepare()
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


def pinned() -> dict[str, Any]:
    """The values in force of what `PINNED` names."""
    return {name: getattr(jax.config, name) for name in PINNED}


def use_all_cores() -> None:
    """One CPU device a core; no effect after the process's first computation by jax."""
    # A notebook that has computed before trains on the devices that it has.
    with suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", usable_cores())


def usable_cores() -> int:
    """Cores that this process may use; all of the machine where it cannot be told."""
    if hasattr(os, "sched_getaffinity"):  # Linux; macOS binds no process to cores
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def platform() -> str:
    """The platform of the local devices: cpu or gpu."""
    return str(jax.local_devices()[0].platform)


def use_compile_cache() -> None:
    """Keeps compiled programs, so that the same sweep compiles nothing next time.

    In the user's own cache folder: programs are trusted code, so never beside results.
    JAX_COMPILATION_CACHE_DIR chooses another folder. Nothing is kept for a user who has
    no home, or may not write there.
    """
    if not getattr(jax.config, COMPILE_CACHE, None):
        folder = cache_folder()
        if folder is None:
            return
        jax.config.update(COMPILE_CACHE, str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def cache_folder() -> Path | None:
    """Where compiled programs are kept; None where nothing can be."""
    try:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = caches / "grokmap" / "compiled"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # no home: a user id that nobody has named
        return None
    return folder if disk.is_writable(folder) else None


def choose_settings(
    system: System,
    planned: Sequence[Planned],
    lanes: int | None = None,
    tile: int | None = None,
    target: Target | None = None,
) -> Settings:
    """Settings for a system, `planned` all its runs of the sweep.

    target: where it is executed (default: on the local devices).

    All, done or not: tiles follow from the largest training set, and a sweep that is
    resumed has to compute the same sums.

    Raises:
      SpecError: the devices do not have the system's precision.
    """
    target = target or local_target()
    precision = effective_precision(system.precision, target.platform)
    n_train = max(run.n_train for run in planned)
    if target.platform == "cpu":
        # Independent examples are not gathered, so one tile reads them where they are.
        whole = n_train if not TASKS[system.task].shuffled else CPU_TILE
        tiles = -(-n_train // (tile or whole))
        tile = tile or -(-n_train // tiles)
        cpu = Settings(target, 1, tile, tiles, "gather", False, precision)
        return cpu._replace(lanes=whole_devices(target, lanes or 1))
    rows = tile or n_train
    tiles = -(-n_train // rows)
    gpu = Settings(target, 1, rows, tiles, "gather_product", True, precision)
    fitting = lanes or lanes_in_memory(system, gpu, len(planned))
    return gpu._replace(lanes=whole_devices(target, min(fitting, len(planned))))


def made_by_of(settings: Settings) -> str:
    """All that a lane's bits depend on beside the run: settings, versions, device."""
    same = settings._replace(lanes=0).facts()
    device = settings.target.kind
    versions = {name: version_of(name) for name in ("grokmap", "jaxlib")}
    return json.dumps({**same, **versions, "device": device}, sort_keys=True)


def version_of(package: str) -> str | None:
    """None if it is not installed, as grokmap when it is used from its sources."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def whole_devices(target: Target, lanes: int) -> int:
    """The next multiple of the number of devices."""
    return -(-lanes // target.n_devices) * target.n_devices


def lanes_in_memory(system: System, settings: Settings, wanted: int) -> int:
    """Most lanes whose training fits all devices' memory, `wanted` at most."""
    target = settings.target
    fixed, each = memory_of_lanes(system, settings)
    per_device = max(1, int((GPU_MEMORY_SHARE * target.memory - fixed) / each))
    return min(wanted, per_device * target.n_devices)


def memory_of_lanes(system: System, settings: Settings) -> tuple[float, float]:
    """Bytes of one device that lanes do not change, and bytes of each lane.

    By the compiler's own account of the chunk at two sizes, which is linear in lanes
    from a few on.
    """
    devices = settings.target.n_devices
    one, two = (
        bytes_of_chunk(system, settings._replace(lanes=n))
        for n in (devices * FEW, 2 * devices * FEW)
    )
    each = max(1.0, (two - one) / FEW)
    return one - FEW * each, each


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
    lanes = shapes_of_lanes(program, settings)
    refill = jax.jit(on_lanes(_refilled(program), settings), donate_argnums=(0,)).lower(
        lanes, *inputs
    )
    chunk = jax.jit(
        on_lanes(program.chunk, settings, shared=(1,)), donate_argnums=(0,)
    ).lower(lanes, _shapes_of_slots(None if settings.together else n))
    options = compiler_options(settings.target)
    zeros = jax.jit(
        lambda: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), lanes),
        out_shardings=_sharding(settings),
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
        platform=settings.target.platform,
    )


def compiler_options(target: Target) -> dict[str, Any]:
    """Options of XLA for these devices."""
    # Each core trains its own lane: products split over cores would only wait for
    # each other (measured: up to 30 % at p = 97).
    on_cpu = target.platform == "cpu"
    return {"xla_cpu_multi_thread_eigen": False} if on_cpu else {}


def shapes_of_lanes(program: Program, settings: Settings) -> Any:
    """Shapes of all lanes, split over the devices."""
    inputs = _shapes_of_inputs(settings.lanes)
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=_sharding(settings)),
        jax.eval_shape(jax.vmap(program.init), *inputs[1:]),
    )


def _sharding(settings: Settings) -> NamedSharding:
    return NamedSharding(settings.target.mesh(), PartitionSpec("run"))


def _shapes_of_inputs(n: int) -> tuple[Any, ...]:
    """Shapes of what `refill` takes after the lanes: fresh, control, n_train, seed."""

    def numbers(dtype: Any) -> Any:
        return jax.ShapeDtypeStruct((n,), dtype)

    control = Control(*[numbers(jnp.float32)] * len(Control._fields))
    return numbers(jnp.bool_), control, numbers(jnp.int32), numbers(jnp.uint32)


def _shapes_of_slots(n: int | None) -> Slots:
    """Shapes of the slots of each of n lanes, or (None) of all lanes together."""
    lanes = () if n is None else (n,)
    flags = jax.ShapeDtypeStruct((*lanes, SLOTS), jnp.bool_)
    return Slots(
        interval=jax.ShapeDtypeStruct((*lanes, SLOTS), jnp.int32),
        cheap=flags,
        expensive=flags,
        n=jax.ShapeDtypeStruct(lanes, jnp.int32),
    )


def _refilled(program: Program) -> Callable[..., Any]:
    def refilled(lane: Any, fresh: Any, *start: Any) -> Any:
        return jax.lax.cond(fresh, lambda: program.init(*start), lambda: lane)

    return refilled


def on_lanes(
    function: Callable[..., Any], settings: Settings, shared: tuple[int, ...] = ()
) -> Any:
    """`function` of one lane, on lanes split over the devices.

    Args:
      settings: whose target the devices are; whether a device's lanes step together, or
        one after the other, each at its own pace.
      shared: arguments that lanes which step together have in common.
    """
    lanes, common = PartitionSpec("run"), PartitionSpec()
    together = settings.together

    def on_device(*arguments: Any) -> Any:
        if together:
            axes = [None if i in shared else 0 for i in range(len(arguments))]
            return jax.vmap(function, in_axes=axes)(*arguments)
        return jax.lax.map(lambda lane: function(*lane), arguments)

    def on_devices(*arguments: Any) -> Any:
        in_common = [together and i in shared for i in range(len(arguments))]
        return jax.shard_map(
            on_device,
            mesh=settings.target.mesh(),
            in_specs=tuple(common if c else lanes for c in in_common),
            out_specs=lanes,
            check_vma=False,
        )(*arguments)

    return on_devices
