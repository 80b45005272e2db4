"""What every shipped sweep compiles to for a GPU that need not be here.

    python benchmarks/gpu_audit.py [sweep ...] > benchmarks/results/gpu_audit.json
    (`make gpu-audit`, extra `gpu`; no GPU is needed, and none is used)

Of each sweep file the system whose steps take the most arithmetic is compiled for an
H100, as the engine would train it: the chunk that lanes run and, alone, one step and
one record of each cost class. Nothing is measured. *Compiled*: floating-point
operations of a lane's step, over those of the products that it needs (those of the
gradient as the network is written, one-hots left out); bytes that it reads and writes;
kernels of a step; whether a loop of the program scatters floats with additions, whose
order is then any; memory a lane; seconds that the compiler took on this machine.
*Modelled* (`grokmap.engine.modelled`): a lane's step, and the share of records.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from grokmap import plan
from grokmap.cli.meter import work_of
from grokmap.engine.compiled import (
    GPU_MEMORY_SHARE,
    build_program,
    bytes_of_chunk,
    compile_system,
    shapes_of_lanes,
)
from grokmap.engine.modelled import Cost, cost_of, flops_of_products, seconds
from grokmap.engine.schedule import flops_of_step
from grokmap.engine.settings import Settings, choose_settings
from grokmap.engine.target import CARDS, Target, named_target
from grokmap.plan import Planned
from grokmap.spec import System

CARD = "h100"
FOLDERS = ("sweeps", "grokmap/reproduce/sweeps")


def largest(runs: Sequence[Planned]) -> tuple[System, list[Planned]]:
    """The system whose steps take the most arithmetic, and its runs."""
    systems = plan.by_system(runs)
    return max(systems.items(), key=lambda item: max(map(flops_of_step, item[1])))


def needed(system: System, runs: Sequence[Planned]) -> float:
    """Flops of the products of a step that gathers, of the largest training set."""
    settings = choose_settings(system, runs)
    n_train = max(run.n_train for run in runs)
    settings = settings._replace(tile=n_train, max_tiles=1, lanes=1)
    program = build_program(system, settings)
    return flops_of_products(program.step, shapes_of_lanes(program, settings))


def scatters_floats(text: str) -> bool:
    """Whether a compiled program adds floats by scattering them."""
    return any(" = f32" in line for line in text.splitlines() if " scatter(" in line)


def row(path: Path, target: Target) -> dict[str, Any]:
    system, runs = largest(plan.plan_runs(plan.read_sweep(path)))
    settings = choose_settings(system, runs, target=target)
    started = time.perf_counter()
    compiled = compile_system(system, settings)
    took = time.perf_counter() - started
    each = bytes_of_chunk(compiled) / settings.of_device
    program = build_program(system, settings)
    step = cost_of(program.step, program, settings)
    records = {k: cost_of(f, program, settings) for k, f in program.measure.items()}
    facts = {
        "sweep": path.stem,
        "model": system.model,
        "optimizer": system.optimizer,
        "n_train": max(run.n_train for run in runs),
        "lanes": settings.lanes,
        "lanes_that_fit": int(GPU_MEMORY_SHARE * target.memory / each),
        "bytes_a_lane": each,
        "flops": step.flops,
        "flops_over_needed": step.flops / needed(system, runs),
        "bytes": step.bytes,
        "kernels": step.kernels,
        "scatters_floats": scatters_floats(compiled.chunk.as_text()),
        "compile_seconds": took,
    }
    return facts | modelled(settings, system, runs, step, records)


def modelled(
    settings: Settings,
    system: System,
    runs: list[Planned],
    step: Cost,
    records: dict[str, Cost],
) -> dict[str, float]:
    """Seconds of a lane's step; share of the time of records."""
    card = CARDS[CARD]
    work = work_of(system, runs, weights=0)
    training, recording = seconds(work, step, records, card, settings)
    return {
        "step_seconds": step.seconds(card, settings.of_device),
        "record_share": recording / (training + recording),
    }


def row_or_problem(path: Path, target: Target) -> dict[str, Any]:
    try:
        return row(path, target)
    except Exception as error:  # whatever the compiler says
        problem = str(error).partition("\n")[0][:200]
        print(f"{path.stem}: {problem}", file=sys.stderr)
        return {"sweep": path.stem, "problem": problem}


def main() -> None:
    target = named_target(CARD)
    paths = [path for folder in FOLDERS for path in sorted(Path(folder).glob("*.toml"))]
    wanted = [path for path in paths if not sys.argv[1:] or path.stem in sys.argv[1:]]
    rows = []
    for path in wanted:
        rows.append(row_or_problem(path, target))
        print(rows[-1], file=sys.stderr)
    print(json.dumps({"card": target.kind, "jax": jax.__version__, "rows": rows}))


if __name__ == "__main__":
    main()
