"""Run-steps per second on a GPU: kernels, precisions, lanes and chunk lengths.

    python benchmarks/gpu.py            (`make bench-gpu`; extra `bench` for PyTorch)

Lanes double until the memory is full. Beside them: a PyTorch loop on the same GPU, one
process that steps one run, as its users do; and two ceilings measured in the same
session: products of matrices in true float32, of which a step needs 6 n N p flops, and
copies of a large array, of which a step needs at least the hidden activations of its n
examples, written and read twice, in float32.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from training import CASES, INTERVAL, Case, planned

from grokmap.engine import cost
from grokmap.engine.compiled import SLOTS, compile_system
from grokmap.engine.records import Slots
from grokmap.engine.settings import choose_settings
from grokmap.models import KERNELS
from grokmap.plan import PRECISIONS

LANES = tuple(2**k for k in range(0, 13))
CHUNKS = (128, 1024, 4096)
SECONDS = 2.0


def seconds_of(call: Any) -> float:
    started = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - started


def matmul_rate(size: int = 8192) -> float:
    """Flops per second of products in true float32."""
    x = jnp.ones((size, size))
    product = jax.jit(lambda x: jnp.matmul(x, x, precision="highest"))
    jax.block_until_ready(product(x))
    return 2 * size**3 / min(seconds_of(lambda: product(x)) for _ in range(5))


def copy_rate(n_bytes: int = 1 << 32) -> float:
    """Bytes per second read and written."""
    x = jnp.ones(n_bytes // 4)
    copy = jax.jit(lambda x: x + 1)
    jax.block_until_ready(copy(x))
    return 2 * n_bytes / min(seconds_of(lambda: copy(x)) for _ in range(5))


def rate_of(case: Case, lanes: int, kernel: str, precision: str, chunk: int) -> Any:
    """(run-steps/s, seconds to compile) of chunks of so many steps."""
    runs = planned(case, lanes, precision=precision)
    system = runs[0].run.system
    settings = choose_settings(system, runs, lanes)._replace(kernel=kernel)
    compiled = compile_system(system, settings)
    state = cost.sample(compiled, settings, runs)
    records = max(1, chunk // INTERVAL)
    never = np.zeros(SLOTS, bool)
    interval = np.full(SLOTS, chunk // records, np.int32)
    slots = Slots(interval, never, never, np.int32(records))
    steps, started, seconds = 0, 0.0, 0.0
    while seconds < SECONDS:
        state, rows = compiled.chunk(state, slots)
        np.asarray(rows)
        if not started:  # the first call warms up
            started = time.perf_counter()
            continue
        steps += chunk
        seconds = time.perf_counter() - started
    return settings.lanes * steps / seconds, compiled.seconds


def pytorch_rate(case: Case) -> float | None:
    """Steps per second of one run in PyTorch on the GPU; None without it."""
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    torch.set_default_device("cuda")
    from pytorch_loop import training

    step, evaluate = training({**case._asdict(), "first_layer": "embedding"})
    for _ in range(10):
        step()
    torch.cuda.synchronize()
    steps, started = 0, time.perf_counter()
    while time.perf_counter() - started < SECONDS:
        for _ in range(INTERVAL):
            step()
        evaluate()
        steps += INTERVAL
    return steps / (time.perf_counter() - started)


def rows_of(case: Case, ceilings: dict[str, float]) -> list[dict[str, Any]]:
    """A row for each kernel, precision, chunk length and number of lanes that fits."""
    torch = pytorch_rate(case)
    rows = []
    variants = [(kernel, "float32", 1024) for kernel in KERNELS]
    variants += [
        ("gather_product", name, 1024) for name in PRECISIONS if name != "float32"
    ]
    variants += [
        ("gather_product", "float32", chunk) for chunk in CHUNKS if chunk != 1024
    ]
    bytes_a_step = 4 * 4 * case.n_train * case.width
    for kernel, precision, chunk in variants:
        for lanes in LANES:
            try:
                rate, compiling = rate_of(case, lanes, kernel, precision, chunk)
            except Exception as error:  # out of memory, or no such arithmetic
                print(case, kernel, precision, lanes, str(error)[:200], file=sys.stderr)
                break
            rows.append(
                {
                    "setting": case.setting,
                    "p": case.modulus,
                    "N": case.width,
                    "kernel": kernel,
                    "precision": precision,
                    "chunk": chunk,
                    "lanes": lanes,
                    "run-steps/s": rate,
                    "of float32 ceiling": rate * case.flops / ceilings["flops"],
                    "of bandwidth ceiling": rate * bytes_a_step / ceilings["bytes"],
                    "over PyTorch": rate / torch if torch else "not measured",
                    "compile s": compiling,
                }
            )
            print(rows[-1], file=sys.stderr)
    return rows


def main() -> None:
    if jax.local_devices()[0].platform != "gpu":
        sys.exit("benchmarks/gpu.py: no GPU here; `make bench` is for CPUs")
    ceilings = {"flops": matmul_rate(), "bytes": copy_rate()}
    rows = [row for case in CASES for row in rows_of(case, ceilings)]
    print(json.dumps({"device": jax.local_devices()[0].device_kind, "rows": rows}))


if __name__ == "__main__":
    main()
