"""The parts of a GPU day: what each measures, and in which order.

    python benchmarks/gpu_parts.py PART '{"folder": ..., ...}'      (by gpu_day.py)

A part is a process of its own, so that none takes another's memory or ends it.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from gpu_kept import Absent, Measurement, measure_all

from grokmap.process import environment

HERE = Path(__file__).parent
SWEEPS = HERE.parent / "sweeps"
# Cases of training.py by their places, what is wanted first before the others; and
# numbers of lanes, likewise: by the first, kernels and precisions are compared.
LANES = {
    4: (64, 16, 256, 1),  # p = 97, N = 512
    1: (1024, 64, 4096, 1),  # p = 23, N = 128
    5: (64, 16, 256, 1),  # the survey's setting
    3: (64, 16, 256, 1),  # p = 97, N = 256
    2: (256, 16, 1024, 1),  # p = 59, N = 256
    0: (1024, 64, 4096, 1),  # p = 17, N = 64
}
KERNEL = "gather_product"  # the engine's on a GPU
# A chunk of the engine lasts 2048 steps of all lanes: with this many half a minute at
# p = 97, N = 512 (modelled). With all that fit the sweep could not stop in time.
SWEEP_LANES = 128


class Day(NamedTuple):
    """What a part is told.

    folder: of the kept files; results: of what is trained; short: the version for a
    CPU; day: names this day; deadline: of `time.time()`, after which nothing is begun.
    """

    folder: Path
    results: Path
    short: bool
    day: str
    deadline: float

    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.time()

    def is_over(self) -> bool:
        return self.left() <= 0


def main() -> None:
    part, told = sys.argv[1], json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    environment.isolate()
    if part == "conditions":
        print(json.dumps(known_conditions()))
        return
    end_with_parent()
    day = Day(
        **{**told, "folder": Path(told["folder"]), "results": Path(told["results"])}
    )
    # Compile times are those of programs that nobody has compiled before.
    with tempfile.TemporaryDirectory() as cache:
        if part != "sweep":
            os.environ["JAX_COMPILATION_CACHE_DIR"] = cache
        found = MEASUREMENTS[part](day)
        if part in ON_DEVICE:
            prepare_jax()
        conditions = told_conditions(day)
        measure_all(day.folder, part, found, conditions, day.day, day.is_over)


def end_with_parent() -> None:
    """From now on this process is told to end when its parent is gone (on Linux)."""
    if sys.platform == "linux":
        set_death_signal = 1
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGTERM)


def prepare_jax() -> None:
    from grokmap.engine.devices import prepare

    prepare()


def known_conditions() -> dict[str, Any]:
    from gpu_engine import conditions

    prepare_jax()
    return conditions()


def told_conditions(day: Day) -> dict[str, Any]:
    """As the day's first process found them."""
    return json.loads((day.folder / "conditions.json").read_text())


def correctness(day: Day) -> list[Measurement]:
    """The smoke sweep against a CPU's, and against itself."""
    return [
        Measurement({"smoke": "against a CPU"}, partial(smoke_against_cpu, day)),
        Measurement({"smoke": "the same again"}, partial(smoke_again, day)),
    ]


def smoke_against_cpu(day: Day) -> dict[str, Any]:
    """The result stays, to compare the same command with."""
    import gpu_smoke

    out = day.results / "correctness"
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as cache:
        seconds = gpu_smoke.train(out, cache, short(day))
    found = gpu_smoke.against(gpu_smoke.summary(out), gpu_smoke.reference())
    return {**found, "whole_s": seconds}


def smoke_again(day: Day) -> dict[str, Any]:
    """Compiled again, so that kernels are chosen again; then with these programs."""
    import gpu_smoke

    one = day.results / "correctness"
    if not (one / "runs.parquet").exists():
        smoke_against_cpu(day)
    with tempfile.TemporaryDirectory() as folder:
        two, three = Path(folder, "two"), Path(folder, "three")
        cache = f"{folder}/cache"
        seconds = [gpu_smoke.train(out, cache, short(day)) for out in (two, three)]
        return {
            "compiled_again": gpu_smoke.difference(one, two),
            "same_programs": gpu_smoke.difference(two, three),
            "whole_s": seconds[0],
            "whole_cached_s": seconds[1],
        }


def short(day: Day) -> list[str]:
    """Overrides of sweep files in the short version: few order parameters."""
    return ["order_parameters=gradient_norm,effective_rank"] if day.short else []


def ceilings(day: Day) -> list[Measurement]:
    """Products of matrices in each precision, and copies of an array."""
    from gpu_engine import copy_rate, product_rate

    from grokmap.plan import PRECISIONS

    size, n_bytes = (256, 1 << 20) if day.short else (8192, 1 << 32)
    products = [
        Measurement({"product": name}, partial(product_rate, name, size))
        for name in PRECISIONS
    ]
    return [*products, Measurement({"copy": "float32"}, partial(copy_rate, n_bytes))]


def cases(day: Day) -> dict[Any, tuple[int, ...]]:
    """Cases and their numbers of lanes, in the order of `LANES`."""
    from training import CASES, Case

    if day.short:
        return {
            Case("quadratic", 7, 16, 0.6): (4, 2),
            Case("survey", 7, 16, 0.5): (4,),
        }
    return {CASES[place]: lanes for place, lanes in LANES.items()}


def rates(day: Day) -> list[Measurement]:
    """Each case by the engine's own kernel, then by precision, lanes and kernel."""
    from gpu_engine import runs_of, timed

    from grokmap.models import KERNELS
    from grokmap.plan import PRECISIONS

    def measure(case: Any, kernel: str, precision: str, lanes: int) -> dict[str, Any]:
        # What a step needs at least: the products with the readout, and the hidden
        # layer of its examples written and read twice in float32.
        least = {"flops": case.flops, "bytes": 16 * case.n_train * case.width}
        return {**timed(runs_of(case, precision), lanes, kernel), "least": least}

    found: list[tuple[int, Measurement]] = []
    for case, (some, *others) in cases(day).items():
        ways = [(0, KERNEL, "float32", some)]
        ways += [(1, KERNEL, name, some) for name in PRECISIONS if name != "float32"]
        ways += [(2, KERNEL, "float32", lanes) for lanes in others]
        if case.setting == "quadratic" or not day.short:
            ways += [(3, name, "float32", some) for name in KERNELS if name != KERNEL]
        for rank, *way in ways:
            names = ("kernel", "precision", "lanes")
            of = {**named(case), **dict(zip(names, way, strict=True))}
            found.append((rank, Measurement(of, partial(measure, case, *way))))
    return [measurement for _, measurement in sorted(found, key=lambda x: x[0])]


def named(case: Any) -> dict[str, Any]:
    return {"setting": case.setting, "p": case.modulus, "N": case.width}


def pytorch(day: Day) -> list[Measurement]:
    """A PyTorch loop of one run on the same device."""
    return [
        Measurement(
            {**named(case), "first_layer": layer}, partial(loop, day, case, layer)
        )
        for layer in ("embedding", "one_hot")
        for case in cases(day)
    ]


def loop(day: Day, case: Any, first_layer: str) -> dict[str, Any]:
    from training import INTERVAL

    options = {
        **case._asdict(),
        "first_layer": first_layer,
        "threads": 1,
        "device": "cpu" if day.short else "cuda",
        "seconds": 0.1 if day.short else 2.5,
        "interval": INTERVAL,
    }
    command = [sys.executable, str(HERE / "pytorch_loop.py"), json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if "No module named 'torch'" in done.stderr:
        raise Absent("PyTorch is not installed")
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return {"run_steps_per_s": float(done.stdout)}


def costs(day: Day) -> list[Measurement]:
    """Records, refilling and compiling with all order parameters, by lanes; and what a
    step and a record of each case cost in the model."""
    from gpu_engine import modelled_cost, runs_of, sweep_runs, timed

    def measure(lanes: int) -> dict[str, Any]:
        return timed(sweep_runs(spec_of(day), short(day)), lanes, None)

    def model(case: Any) -> dict[str, Any]:
        return modelled_cost(runs_of(case))

    numbers = (2,) if day.short else (64, 8)
    name = Path(spec_of(day)).stem
    engine = [
        Measurement({"sweep": name, "lanes": lanes}, partial(measure, lanes))
        for lanes in numbers
    ]
    models = [
        Measurement({"modelled": named(case)}, partial(model, case))
        for case in cases(day)
    ]
    return [engine[0], *models, *engine[1:]]


def spec_of(day: Day) -> str:
    return str(SWEEPS / ("smoke.toml" if day.short else "alpha-lambda.toml"))


def memory(day: Day) -> list[Measurement]:
    """Lanes in memory: as compiled, and taken. Few first: a peak only ever grows."""
    from gpu_engine import chosen_lanes, memory_taken

    spec, overrides = spec_of(day), tuple(short(day))

    def chosen() -> dict[str, Any]:
        return memory_taken(spec, overrides, chosen_lanes(spec, overrides))

    few = 2 if day.short else 16
    return [
        Measurement({"lanes": few}, partial(memory_taken, spec, overrides, few)),
        Measurement({"lanes": "chosen"}, chosen),
    ]


def precisions(day: Day) -> list[Measurement]:
    """Whether the smoke sweep keeps its labels in other precisions."""
    from grokmap.errors import SpecError
    from grokmap.plan import PRECISIONS, effective_precision

    backend = told_conditions(day)["backend"]

    def measure(name: str) -> dict[str, Any]:
        try:
            effective_precision(name, backend)
        except SpecError as error:
            raise Absent(str(error)) from None
        return smoke_in(name)

    others = [name for name in PRECISIONS if name != "float32"]
    return [Measurement({"precision": name}, partial(measure, name)) for name in others]


def smoke_in(precision: str) -> dict[str, Any]:
    """The smoke sweep in another precision against a CPU's."""
    import gpu_smoke

    overrides = (f"precision={precision}", "order_parameters=[]")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "smoke")
        seconds = gpu_smoke.train(out, f"{folder}/cache", overrides)
        summary = gpu_smoke.summary(out)
    low = gpu_smoke.LOW
    found = gpu_smoke.against(summary, gpu_smoke.reference(), low, low)
    return {**found, "whole_s": seconds}


def sweep(day: Day) -> list[Measurement]:
    """As much of the large sweep as there is time for; the next day goes on with it."""
    name = Path(spec_of(day)).stem
    return [Measurement({"sweep": name}, partial(train_sweep, day, name))]


def train_sweep(day: Day, name: str) -> dict[str, Any]:
    import grokmap
    from grokmap.session.counts import Counts

    last = Counts()

    def keep(counts: Counts) -> None:
        nonlocal last
        last = counts

    out = day.results / name
    started = time.monotonic()
    result = grokmap.sweep(
        spec_of(day),
        short(day),
        out,
        on_progress=keep,
        time_budget=max(0.0, day.left()),
        lanes=2 if day.short else SWEEP_LANES,
    )
    phases = result.runs["phase"].value_counts() if last.runs_done else {}
    return {
        "complete": last.runs_done == last.total,
        "runs": last.total,
        "done": last.runs_done,
        "phases": {str(phase): int(count) for phase, count in phases.items()},
        # Of this day: the first chunk, which may hold a compile, starts the clock.
        "run_steps": last.steps_done,
        "run_steps_per_s": None if math.isnan(last.rate) else last.rate,
        "whole_s": time.monotonic() - started,
        "bytes": sum(file.stat().st_size for file in out.rglob("*") if file.is_file()),
    }


MEASUREMENTS: dict[str, Callable[[Day], list[Measurement]]] = {
    "correctness": correctness,
    "ceilings": ceilings,
    "rates": rates,
    "pytorch": pytorch,
    "costs": costs,
    "memory": memory,
    "precisions": precisions,
    "sweep": sweep,
}
# The others start processes that need all of the device, or prepare it themselves.
ON_DEVICE = ("ceilings", "rates", "costs", "memory")

if __name__ == "__main__":
    main()
