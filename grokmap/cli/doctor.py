"""`grokmap doctor`: versions, devices, and combinations known to be bad."""

from __future__ import annotations

import functools
import json
import os
import sys
from contextlib import nullcontext
from typing import Any

from grokmap.errors import shown
from grokmap.process import environment

# Their float32 scatter-add on NVIDIA GPUs is hundreds of times too slow
# (openxla/xla#46225, jax-ml/jax#38806).
SLOW_SCATTER = ("0.10.2", "0.11.0")

# Read by jax when it starts: else it takes most of a GPU's memory then.
PREALLOCATE = "XLA_PYTHON_CLIENT_PREALLOCATE"


def warnings(facts: dict[str, Any]) -> list[str]:
    """What is known to be bad about this combination."""
    problems = []
    jaxlib = facts["versions"]["jaxlib"]
    if facts["backend"] == "gpu" and jaxlib in SLOW_SCATTER:
        problems.append(
            f"jaxlib {jaxlib} on a GPU: float32 scatter-add is hundreds of times "
            "too slow; grokmap avoids it (kernel one_hot); prefer jaxlib >= 0.11.1"
        )
    return problems


def start_jax(shared: bool = False) -> None:
    """Prepares jax, and says once which variables have no effect on it.

    shared: other processes train on the devices, so that this one takes no memory of a
      GPU in advance.

    Raises:
      SpecError: the devices that were asked for are not there.
    """
    from grokmap.engine import devices

    with environment.with_variable(PREALLOCATE, "false") if shared else nullcontext():
        devices.prepare()
    _say_ignored()


@functools.cache
def _say_ignored() -> None:
    if environment.ignored:
        names = ", ".join(sorted(environment.ignored))
        line = f"{names}: no effect here; a run's numbers follow from its id alone"
        print(f"grokmap: {line}", file=sys.stderr)


def _programs() -> tuple[str | None, str]:
    """Where compiled programs are kept, None where they are not; and why there."""
    from grokmap.engine.compile_cache import choose_cache

    asked = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if asked is not None:
        return asked or None, "JAX_COMPILATION_CACHE_DIR"
    cache = choose_cache()
    return str(cache.folder) if cache.folder else None, cache.why


def print_report(as_json: bool) -> None:
    start_jax()
    from grokmap.session.provenance import versions

    where, why = _programs()
    facts = versions() | {"compile_cache": where, "compile_cache_why": why}
    problems = warnings(facts)
    if as_json:
        print(json.dumps({**facts, "warnings": problems}, indent=2))
        return
    for name, version in facts["versions"].items():
        print(f"{name:<12} {version or 'not installed'}")
    print(f"{'python':<12} {facts['python']}")
    print(f"{'device':<12} {facts['n_devices']} x {facts['device']}")
    print(f"{'precision':<12} float32 matrix products in true float32")
    kept = f"kept in {where}" if where else "not kept"
    print(shown(f"{'compiled':<12} {kept} ({why})"))
    for name, value in facts["settings"].items():
        print(f"{'fixed':<12} {name} = {value}")
    for name, value in facts["flags"].items():
        print(f"{'in force':<12} {name}={value!r}")
    for name, value in facts["ignored"].items():
        print(f"{'no effect':<12} {name}={value!r}")
    for problem in problems:
        print(f"warning: {problem}")
    if not problems:
        print("no known problem with this combination")
