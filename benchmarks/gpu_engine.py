"""All that a GPU day asks of grokmap's engine.

Lanes step together, on a CPU too, so that what a card does is what is tested.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from gpu_kept import Absent
from training import INTERVAL, Case, planned

from grokmap import plan
from grokmap.engine import cost, devices, execute, modelled
from grokmap.engine.compiled import build_program, bytes_of_chunk, compile_system
from grokmap.engine.settings import Settings, choose_settings, whole_devices
from grokmap.engine.target import CARDS, local_target
from grokmap.errors import SpecError
from grokmap.plan import Planned, effective_precision
from grokmap.session.provenance import versions
from grokmap.spec import System


def conditions() -> dict[str, Any]:
    """The machine, and the versions of what runs on it."""
    facts, target = versions(), local_target()
    known = {key: facts[key] for key in ("device", "backend", "n_devices", "python")}
    packages = {k: facts["versions"][k] for k in ("jax", "jaxlib", "numpy")}
    return {
        **known,
        "memory": target.memory,
        "versions": packages,
        "commit": facts["commit"],
    }


def arithmetic(precision: str) -> str:
    """jax's name of it here; raises Absent where the device does not have it."""
    try:
        return effective_precision(precision, devices.platform())
    except SpecError as error:
        raise Absent(str(error)) from None


def runs_of(case: Case, precision: str = "float32") -> list[Planned]:
    """One run of a case of benchmarks/training.py."""
    arithmetic(precision)
    return planned(case, 1, precision)


def sweep_runs(spec: str, overrides: Sequence[str] = ()) -> list[Planned]:
    """The runs of a sweep file's first system."""
    runs = plan.plan_runs(plan.read_sweep(spec, overrides))
    return next(iter(plan.by_system(runs).values()))


def timed(runs: Sequence[Planned], lanes: int, kernel: str | None) -> dict[str, Any]:
    """What a step and a record take, by chunks of so many fresh lanes.

    step_s, record_s: seconds of one lane's, all lanes in parallel; run_steps_per_s:
    with a record of losses and norms every `INTERVAL` steps. compile_s: nothing was in
    the cache. fill_s: of drawing fresh runs in all lanes.
    """
    gc.collect()  # what was measured before is to leave the device
    system = runs[0].run.system
    settings = _settings(system, runs, lanes, kernel)
    compiled = compile_system(system, settings)
    rate = cost.measure_rate(compiled, settings, runs)
    fill = cost.seconds_of(lambda: cost.sample(compiled, settings, runs))
    return {
        "lanes": settings.lanes,
        "kernel": settings.kernel,
        "run_steps_per_s": 1 / (rate.step + rate.record["dense"] / INTERVAL),
        "step_s": rate.step,
        "record_s": rate.record,
        "fill_s": fill,
        "compile_s": compiled.seconds,
    }


def _settings(
    system: System, runs: Sequence[Planned], lanes: int, kernel: str | None
) -> Settings:
    settings = choose_settings(system, runs, lanes=1)
    lanes = whole_devices(settings.target, lanes)
    kernel = kernel or settings.kernel
    return settings._replace(lanes=lanes, kernel=kernel, together=True)


def modelled_cost(runs: Sequence[Planned]) -> dict[str, Any]:
    """Of a lane's step and record of losses: XLA's count, and the modelled seconds.

    card: flops and bytes a second of its data sheet; None, as the seconds are, of a
    device that is not among `CARDS`.
    """
    system = runs[0].run.system
    settings = _settings(system, runs, 1, None)
    program = build_program(system, settings)
    kind = settings.target.kind
    card = next((card for card in CARDS.values() if card.kind == kind), None)
    found: dict[str, Any] = {"card": card and [card.flops, card.bandwidth]}
    functions = {"step": program.step, "record": program.measure["dense"]}
    for name, function in functions.items():
        each = modelled.cost_of(function, program, settings)
        seconds = each.seconds(card, modelled.LANES) if card else None
        found[name] = {**each._asdict(), "modelled_s": seconds}
    return found


def chosen_lanes(spec: str, overrides: tuple[str, ...]) -> int:
    """The lanes that the engine would choose for a sweep file's first system."""
    runs = sweep_runs(spec, overrides)
    return choose_settings(runs[0].run.system, runs).lanes


def memory_taken(spec: str, overrides: tuple[str, ...], lanes: int) -> dict[str, Any]:
    """Memory of so many lanes: by the compiler's account, and taken by a few steps.

    The peak is that of this process until now: ask for few lanes first. used: lanes
    that were left when it was trained, since out of memory they are halved.
    """
    largest = sorted(sweep_runs(spec, overrides), key=lambda run: -run.n_train)[:lanes]
    runs = [run._replace(n_steps=8) for run in largest]
    system = runs[0].run.system
    settings = _settings(system, runs, lanes, None)
    account = bytes_of_chunk(compile_system(system, settings))
    started = time.monotonic()
    used = lanes
    for outcome in execute.execute(runs, lanes=lanes):
        if isinstance(outcome, execute.Failed):
            raise RuntimeError(outcome.trace)
        used = min(used, outcome.settings.lanes)
    peak, limit = _memory()
    return {
        "lanes": lanes,
        "used": used,
        "order_parameters": len(system.order_parameters),
        "compiled_bytes": account,
        "compiled_bytes_a_lane": account / settings.of_device,
        "peak_bytes": peak,
        "limit_bytes": limit,
        "whole_s": time.monotonic() - started,
    }


def _memory() -> tuple[int | None, int | None]:
    """Most bytes that were in use on the first device, and its limit; None on a CPU."""
    device = jax.local_devices()[0]
    stats = (device.memory_stats() or {}) if device.platform != "cpu" else {}
    return stats.get("peak_bytes_in_use"), stats.get("bytes_limit")


def product_rate(precision: str, size: int) -> dict[str, float]:
    """Flops per second of products [size, size] in a precision of sweep files."""
    with jax.default_matmul_precision(arithmetic(precision)):
        x = jnp.ones((size, size))
        product = jax.jit(lambda x: jnp.matmul(x, x)).lower(x).compile()
    return {"flops_per_s": 2 * size**3 / cost.seconds_of(lambda: product(x), 5)}


def copy_rate(n_bytes: int) -> dict[str, float]:
    """Bytes per second, read and written."""
    x = jnp.ones(n_bytes // 4)
    add = jax.jit(lambda x: x + 1)
    return {"bytes_per_s": 2 * n_bytes / cost.seconds_of(lambda: add(x), 5)}
