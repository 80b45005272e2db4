"""What each precision of matrix products does to a product, a gradient and a plane.

    python benchmarks/precision.py > benchmarks/results/precision.json

The arithmetic of tensor cores is computed on a CPU (`emulated.py`), twice: with sums
that round as float32's do, and with sums that are cut, as a tensor core's are. Nothing
is timed; all of it takes an hour or more on two cores that are not idle.

product: relative error, against float64, of Gaussian matrices of the shapes of a step
  at p = 97, N = 512, fraction 0.7.
gradient: the same of the gradient of one of the quickstart's runs, of all weights
  together: at its start, and when it has memorised.
planes: part of the quickstart's plane, and relu, cross-entropy and AdamW (`PLANES`);
  each precision against float32, run by run: runs whose label is another, and t_grok
  over that of float32 where both have grokked. To compare with: float32 with its sums
  in another order (other tiles), and with other seeds.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from emulated import ALGORITHMS, emulation, relative_error
from jax import lax

from grokmap import plan
from grokmap.classify import GROK, classify
from grokmap.engine import devices, execute, train
from grokmap.engine.settings import Settings, choose_settings
from grokmap.order_parameters import Snapshot
from grokmap.plan import effective_precision, read_sweep
from grokmap.spec import Control, Sweep, System

HERE = Path(__file__).parent
QUICKSTART = HERE.parent / "sweeps/quickstart.toml"
TILE, OTHER_TILE = None, 80  # rows that a gradient is summed over at once
KERNEL = "gather_product"  # of a GPU
# [m, k, n] of [m, k] @ [k, n]: the three with the readout, and the first layer's.
SHAPES = ((6586, 512, 97), (97, 6586, 512), (6586, 97, 512), (194, 6586, 512))
MEMORISED = 1000  # step


class Plane(NamedTuple):
    """A sweep file and overrides; seeds of the runs, and as many others."""

    sweep: Path
    overrides: tuple[str, ...]
    n_seeds: int


PLANES = {
    "quickstart": Plane(QUICKSTART, ("alpha=0:0.6:3", "order_parameters=[]"), 2),
    "adamw": Plane(HERE / "precision-adamw.toml", (), 4),
}
PLACE = ["alpha", "weight_decay", "train_fraction", "seed"]
# jax's names, by those of a sweep file; a sweep file does not know the last.
NAMES = {name: effective_precision(name, "gpu") for name in plan.PRECISIONS}
NAMES |= {"bf16x9": "BF16_BF16_F32_X9"}


class Variant(NamedTuple):
    """How a plane is trained, and what is said of it."""

    precision: str
    cut: bool = False
    other_seeds: bool = False
    tile: int | None = TILE


REFERENCE = Variant("float32")
VARIANTS = (
    Variant("float32", other_seeds=True),
    Variant("float32", tile=OTHER_TILE),
    Variant("tf32x3"),
    Variant("tf32x3", cut=True),
    Variant("bf16x6"),
    Variant("tf32"),
    Variant("bf16"),
)


def product_errors(name: str) -> list[float]:
    """Of each of `SHAPES`, under jax's name of a precision."""
    rng = np.random.default_rng(0)
    found = []
    for m, k, n in SHAPES:
        x, y = (rng.normal(size=s).astype(np.float32) for s in ((m, k), (k, n)))
        exact = np.float64(x) @ np.float64(y)
        product = jax.jit(partial(jnp.matmul, precision=name))
        found.append(relative_error([product(x, y)], [exact]))
    return found


def networks() -> dict[str, Snapshot]:
    """One of the quickstart's networks at its start and when it has memorised."""
    overrides = ["alpha=0", "weight_decay=0.01", "seed=0", "order_parameters=[]"]
    (run,) = plan.plan_runs(read_sweep(QUICKSTART, overrides))
    program = train.build(run.run.system, tile=run.n_train, max_tiles=1, kernel=KERNEL)
    control = Control(*map(jnp.float32, run.run.control))
    start = program.init(control, jnp.int32(run.n_train), jnp.uint32(0))
    steps = jax.jit(lambda lane: lax.fori_loop(0, MEMORISED, _step(program), lane))
    return {
        "start": program.snapshot(start),
        "memorised": program.snapshot(steps(start)),
    }


def _step(program: train.Program) -> Any:
    return lambda _, lane: program.step(lane)


def gradient(snapshot: Snapshot, name: str) -> list[jax.Array]:
    """Of the training loss in `first` and in `readout`."""

    def of(params: Any) -> Any:
        return snapshot.network.gradient(params, snapshot.training)[1]

    with jax.default_matmul_precision(name):
        grads = jax.jit(of)(snapshot.params)
    return [grads["first"], grads["readout"]]


def exact_gradient(snapshot: Snapshot) -> list[np.ndarray]:
    """The same in float64, of squared errors and a quadratic activation."""
    now = snapshot.training
    n = int(now.n_train)
    rows = np.asarray(now.rows)[:n]
    first, readout = (np.float64(snapshot.params[k]) for k in ("first", "readout"))
    prefactor = float(now.scale.prefactor)
    assert float(now.scale.hidden_scale) == 1.0
    a, b = np.asarray(now.data.inputs)[rows].T
    h = first[a] + first[len(first) // 2 + b]
    target = np.eye(len(readout))[np.asarray(snapshot.label)[rows]]
    error = prefactor * h**2 @ readout.T - target
    error *= 2 * prefactor / n
    slope = error @ readout * 2 * h
    grad = np.zeros_like(first)
    np.add.at(grad, a, slope)
    np.add.at(grad, len(first) // 2 + b, slope)
    return [grad, error.T @ h**2]


def errors() -> list[dict[str, Any]]:
    """A row a precision and way to sum: errors of products and of gradients."""
    snapshots = networks()
    rows = []
    for precision, name in NAMES.items():
        for cut in (False, True) if name in ALGORITHMS else (False,):
            with emulation(cut):
                product = product_errors(name)
                of = {
                    when: relative_error(gradient(s, name), exact_gradient(s))
                    for when, s in snapshots.items()
                }
            rows.append(
                {"precision": precision, "cut": cut, "product": product, "gradient": of}
            )
    return rows


def as_on_a_gpu(
    system: System, runs: Any, lanes: int | None, tile: int | None
) -> Settings:
    """Settings whose products are a GPU's, on the cores of this machine.

    The library refuses such a precision on a CPU. `platform` says gpu here, so that its
    own program for a GPU is built; `emulation` computes it.
    """
    on_cpu = dataclasses.replace(system, precision="float32")
    settings = choose_settings(on_cpu, runs, lanes, tile)
    return settings._replace(
        target=settings.target._replace(platform="gpu"),
        kernel=KERNEL,
        precision=effective_precision(system.precision, "gpu"),
    )


def sweep_of(plane: Plane, variant: Variant) -> Sweep:
    first = plane.n_seeds if variant.other_seeds else 0
    seeds = f"seed=range:{first}:{first + plane.n_seeds}:1"
    precision = f"precision={variant.precision}"
    return read_sweep(plane.sweep, [*plane.overrides, seeds, precision])


def trained(plane: Plane, variant: Variant) -> pd.DataFrame:
    """The labelled runs of a plane."""
    sweep = sweep_of(plane, variant)
    planned = plan.plan_runs(sweep)
    frames = []
    with emulation(variant.cut):
        for done in execute.execute(planned, tile=variant.tile, choose=as_on_a_gpu):
            assert isinstance(done, execute.Done), done.trace
            frame = pd.DataFrame(np.concatenate(done.values), columns=[*done.columns])
            frame.insert(0, "step", np.concatenate(done.steps))
            ids = [run.run.run_id for run in done.runs]
            frame.insert(0, "run_id", np.repeat(ids, [len(s) for s in done.steps]))
            frames.append(frame)
    return classify(pd.concat(frames), plan.plan_table(planned, sweep))


def compared(
    runs: pd.DataFrame, reference: pd.DataFrame, n_seeds: int
) -> dict[str, Any]:
    """Runs against those of the reference at the same place of the plane."""
    one, other = (r.assign(seed=r["seed"] % n_seeds) for r in (runs, reference))
    both = one.merge(other, on=PLACE, suffixes=("", "_reference"))
    assert len(both) == len(runs) == len(reference)
    grokked = both[(both["phase"] == GROK) & (both["phase_reference"] == GROK)]
    ratio = grokked["t_grok"].astype(float) / grokked["t_grok_reference"].astype(float)
    return {
        "runs": len(both),
        "other_label": int((both["phase"] != both["phase_reference"]).sum()),
        "grokked": len(grokked),
        "ratio": [float(x) for x in ratio.quantile([0.05, 0.5, 0.95])],
    }


def planes() -> list[dict[str, Any]]:
    """Every variant of every plane against that of float32."""
    rows = []
    for name, plane in PLANES.items():
        reference = trained(plane, REFERENCE)
        for variant in VARIANTS:
            found = compared(trained(plane, variant), reference, plane.n_seeds)
            rows.append({"plane": name, **variant._asdict(), **found})
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def main() -> None:
    # A lane a core, as the engine has it: products are not split over cores.
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    devices.use_all_cores()
    report = {"jax": jax.__version__, "errors": errors()}
    print(report, file=sys.stderr, flush=True)
    print(json.dumps({**report, "planes": planes()}))


if __name__ == "__main__":
    main()
