"""What jax is told before it computes: devices, kept programs, what is pinned."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import jax

from grokmap.engine.compile_cache import choose_cache, exchange, own_folder
from grokmap.errors import SpecError, short
from grokmap.process import environment
from grokmap.process.cores import usable_cores

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
        jax.config.update("jax_num_cpu_devices", n_cores())


def n_cores() -> int:
    """Cores that this process may use; all of the machine where it cannot be told."""
    return len(usable_cores()) or os.cpu_count() or 1


def platform() -> str:
    """The platform of the local devices: cpu or gpu."""
    return str(jax.local_devices()[0].platform)


def use_compile_cache() -> None:
    """Keeps compiled programs, so that the same sweep compiles nothing next time.

    In the folder of `choose_cache`; JAX_COMPILATION_CACHE_DIR chooses another, which
    is jax's alone to read and write.
    """
    if not getattr(jax.config, COMPILE_CACHE, None):
        kept = choose_cache().folder
        folder = own_folder(kept) if kept else None
        if folder is None:
            return
        jax.config.update(COMPILE_CACHE, str(folder))
        # These lie below the folder, whose name would become part of each program's.
        jax.config.update("jax_persistent_cache_enable_xla_caches", "none")
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def share_programs() -> None:
    """Keeps what this process has compiled so far, and finds what others have."""
    exchange(getattr(jax.config, COMPILE_CACHE, None))
