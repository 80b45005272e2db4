"""What each way to compute the first layer takes on a GPU that need not be here.

    python benchmarks/gpu_kernels.py > benchmarks/results/gpu_kernels.json

Compiles one step of training, and the chunk that lanes run, for an H100 (extra `gpu`;
no GPU is needed, and none is used): floating-point operations and bytes that a lane's
step reads and writes as XLA counts them, temporary memory a lane, and a modelled time
(`grokmap.engine.modelled`). Nothing is measured. Sizes: those of
`sweeps/alpha-lambda.toml` at its largest and smallest train fraction.
"""

from __future__ import annotations

import json
from typing import Any

import jax

from grokmap import plan
from grokmap.engine import modelled
from grokmap.engine.compiled import build_program, compile_system
from grokmap.engine.settings import choose_settings
from grokmap.engine.target import CARDS, Target, named_target
from grokmap.models import KERNELS

CARD = "h100"
FRACTIONS = (0.7, 0.3)
LANES = (64, 128)


def row(kernel: str, fraction: float, target: Target) -> dict[str, Any]:
    overrides = ["order_parameters=[]", f"train_fraction={fraction}"]
    runs = plan.plan_runs(plan.read_sweep("sweeps/alpha-lambda.toml", overrides))
    system, n_train = runs[0].run.system, runs[0].n_train
    settings = choose_settings(system, runs, lanes=1, target=target)
    settings = settings._replace(kernel=kernel)
    program = build_program(system, settings)
    step = modelled.cost_of(program.step, program, settings)
    temporary = [
        compile_system(system, settings._replace(lanes=lanes))
        .chunk.memory_analysis()
        .temp_size_in_bytes
        for lanes in LANES
    ]
    products = n_train * system.width * system.modulus
    return {
        "kernel": kernel,
        "fraction": fraction,
        "flops": step.flops,
        "flops_over_nNp": step.flops / products,
        "bytes": step.bytes,
        "temporary_bytes": (temporary[1] - temporary[0]) / (LANES[1] - LANES[0]),
        "modelled_seconds": step.seconds(CARDS[CARD], LANES[0]),
    }


def main() -> None:
    target = named_target(CARD)
    rows = [row(k, fraction, target) for fraction in FRACTIONS for k in KERNELS]
    print(json.dumps({"card": target.kind, "jax": jax.__version__, "rows": rows}))


if __name__ == "__main__":
    main()
