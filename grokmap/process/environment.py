"""Environment variables: what jax, flax, XLA and matplotlib are not told of them.

A run's id says what its numbers are, so no variable may change them; nor may one stop
the program with an error from inside a library. All are kept from the libraries, known
or yet to come, but for a few that choose devices and folders.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

# The devices and the folder of compiled programs.
KEPT = (
    *("JAX_PLATFORMS", "JAX_PLATFORM_NAME", "JAX_COMPILATION_CACHE_DIR"),
    *("JAX_CUDA_VISIBLE_DEVICES", "JAX_ROCM_VISIBLE_DEVICES"),
)
PREFIXES = ("JAX", "FLAX_")
NAMES = (
    *("XLA_FLAGS", "NVIDIA_TF32_OVERRIDE"),
    # Of jax, without its name.
    *("CHECK_VMA", "EAGER_CONSTANT_FOLDING", "MOCK_NUM_GPU_PROCESSES"),
)
ignored: dict[str, str] = {}  # variables that were set, and are kept from libraries


def is_ignored(name: str) -> bool:
    return name not in KEPT and (name in NAMES or name.startswith(PREFIXES))


def kept() -> dict[str, str]:
    """Of the variables that libraries read here, those that are set."""
    return {name: os.environ[name] for name in KEPT if name in os.environ}


@contextlib.contextmanager
def with_variable(name: str, value: str) -> Iterator[None]:
    """Sets a variable of this process for as long as the context lasts."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def isolate() -> None:
    """Takes what is ignored out of this process's environment, before any import."""
    for name in filter(is_ignored, list(os.environ)):
        ignored[name] = os.environ.pop(name)
    _isolate_matplotlib()


def _isolate_matplotlib() -> None:
    """Figures look the same whatever matplotlibrc there is, and however broken."""
    os.environ.pop("MPLBACKEND", None)
    os.environ["MATPLOTLIBRC"] = os.devnull
    # Where it keeps its list of fonts is nothing to warn of.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    # One in the current folder goes before any other, when matplotlib is imported.
    if os.path.lexists("matplotlibrc"):
        with contextlib.chdir(Path(__file__).parent):
            import matplotlib  # noqa: F401
