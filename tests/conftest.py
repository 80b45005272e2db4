"""Strict jax for every test, both CPU cores, and networks with known answers."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from grokmap import plan
from grokmap.classify import classify
from grokmap.cli import main
from grokmap.engine import devices, execute
from grokmap.engine.lane import Lane
from grokmap.engine.train import Program, build
from grokmap.order_parameters import Snapshot
from grokmap.plan import read_sweep
from grokmap.spec import Control, Sweep, System
from grokmap.tasks import TASKS

ROOT = Path(__file__).parents[1]

# A shell's background job ignores Ctrl-C, and so would the children that tests send it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
jax.config.update("jax_numpy_rank_promotion", "raise")
# A test of its own process chooses how many devices it has.
if "GROKMAP_TEST_DEVICES" not in os.environ:
    devices.use_all_cores()
# Many tests train the same small system: it is compiled once a session.
CACHE = tempfile.TemporaryDirectory()
jax.config.update("jax_compilation_cache_dir", CACHE.name)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
# A loaded machine is slow, not wrong; and CI must see the same inputs every time.
hypothesis.settings.register_profile("grokmap", deadline=None, derandomize=True)
hypothesis.settings.load_profile("grokmap")

SMALL = {
    "name": "small",
    "task": "modular_addition",
    "modulus": 7,
    "width": 16,
    "alpha": 0.0,
    "weight_decay": 1e-3,
    "train_fraction": 0.6,
    "learning_rate": 0.05,
    "n_steps": 100,
    "order_parameters": (),  # they cost compile time; tests that need them say so
}

# The same as the text of a sweep file, but for its decay and its order parameters.
TINY_SYSTEM = """# For tests.
name = "tiny"
task = "modular_addition"
modulus = 5
width = 8
learning_rate = 0.05
n_steps = 60
alpha = 0
train_fraction = 0.6
"""

# The one place for the sizes of systems that tests make of any task and model.
SIZES = {
    "modulus": 5,
    "width": 32,
    "depth": 2,
    "embedding": 8,
    "n_inputs": 6,
    "n_examples": 60,
    "n_relevant": 3,
}


def sizes_of(*entries: Any, **other: int) -> dict[str, int]:
    """`SIZES` that these tasks and models read, of which `other` replaces some."""
    reads = {size for entry in entries for size in entry.sizes}
    return {k: v for k, v in {**SIZES, **other}.items() if k in reads}


def mostly_slow(names: Iterable[str], kept: Collection[str]) -> list[Any]:
    """Parameters of which `make test` runs those kept, `make test-slow` the others."""
    slow = pytest.mark.slow
    return [n if n in kept else pytest.param(n, marks=slow) for n in names]


def small_sweep(**changes: Any) -> Sweep:
    """A sweep of one tiny run, with keys changed; None removes a key."""
    values = {k: v for k, v in {**SMALL, **changes}.items() if v is not None}
    return Sweep.model_validate(values)


def trajectories(sweep: Sweep, **kwargs: Any) -> pd.DataFrame:
    """Trains a sweep in memory: run_id, step and all quantities."""
    frames = []
    for outcome in execute.execute(plan.plan_runs(sweep), **kwargs):
        assert isinstance(outcome, execute.Done), outcome.trace
        for run, step, values in zip(
            outcome.runs, outcome.steps, outcome.values, strict=True
        ):
            frame = pd.DataFrame(values, columns=list(outcome.columns))
            frame.insert(0, "step", step)
            frame.insert(0, "run_id", run.run.run_id)
            frames.append(frame)
    return pd.concat(frames).sort_values(["run_id", "step"], ignore_index=True)


def labelled(sweep: Sweep, **kwargs: Any) -> pd.DataFrame:
    """Trains and classifies a sweep in memory."""
    table = plan.plan_table(plan.plan_runs(sweep), sweep)
    return classify(trajectories(sweep, **kwargs), table)


@lru_cache
def program(modulus: int, width: int, **changes: Any) -> Program:
    """A system of modular addition; quadratic, mse and unit prefactor by default."""
    values = {"task": "modular_addition", "alpha_convention": "literal", **changes}
    values["order_parameters"] = ("ntk_drift",)  # so that a lane keeps its first kernel
    system = System(modulus=modulus, width=width, **values)
    n_examples = TASKS[system.task].shape(system).n_examples
    made = build(system, tile=n_examples, max_tiles=1)
    return made._replace(init=jax.jit(made.init), snapshot=jax.jit(made.snapshot))


def lane_of(
    first: np.ndarray, readout: np.ndarray, n_train: int | None = None, **changes: Any
) -> Lane:
    """A lane with these weights at step 0, the table in its own order."""
    modulus, width = first.shape[0] // 2, first.shape[1]
    control = Control(0.0, 0.0, 0.5, 0.1)
    task = changes.get("task", "modular_addition")
    n_examples = TASKS[task].shape(System(task=task, modulus=modulus)).n_examples
    n_train = n_examples // 2 if n_train is None else n_train
    init = program(modulus, width, **changes).init
    lane = init(control, jnp.int32(n_train), jnp.uint32(0))
    params = {"first": jnp.asarray(first), "readout": jnp.asarray(readout.T)}
    rows = jnp.arange(n_examples)
    return lane._replace(params=params, rows=rows, train=rows < n_train)


def snapshot(
    first: np.ndarray, readout: np.ndarray, n_train: int | None = None, **changes: Any
) -> Snapshot:
    """A network with these weights on the whole table, its first n_train in training.

    Its initial kernel is that of the weights drawn from seed 0.
    """
    modulus, width = first.shape[0] // 2, first.shape[1]
    lane = lane_of(first, readout, n_train, **changes)
    return program(modulus, width, **changes).snapshot(lane)


def gromov(modulus: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Gromov's analytic weights (arXiv 2301.02679): first [2p, N], readout [N, p]."""
    rng = np.random.default_rng(seed)
    frequency = np.resize(np.arange(1, modulus), width)
    phase = rng.uniform(0, 2 * np.pi, (2, width))
    angle = 2 * np.pi * np.outer(np.arange(modulus), frequency) / modulus
    first = np.concatenate([np.cos(angle + phase[0]), np.cos(angle + phase[1])])
    readout = np.cos(-angle - phase.sum(axis=0)).T
    return first.astype(np.float32), readout.astype(np.float32)


def gaussian(modulus: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Weights N(0, 1): first [2p, N], readout [N, p]."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(2 * modulus, width))
    readout = rng.normal(size=(width, modulus))
    return first.astype(np.float32), readout.astype(np.float32)


@contextmanager
def chunks_fail() -> Iterator[None]:
    """Meanwhile every chunk of training raises."""

    def fails(*arguments: Any) -> Any:
        raise RuntimeError("out of luck")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execute, "_run_chunk", fails)
        yield


@pytest.fixture
def command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Runs a command line in an empty folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main(list(arguments))
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, err

    return run


@pytest.fixture
def sweep_file(tmp_path: Path) -> Any:
    """Writes a sweep file from text and returns its path."""

    def write(text: str) -> Path:
        path = tmp_path / "sweep.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def read(sweep_file: Any) -> Any:
    """Reads a sweep from text, with overrides."""

    def read_text(text: str, *overrides: str) -> Sweep:
        return read_sweep(sweep_file(text), overrides)

    return read_text
