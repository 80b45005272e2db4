"""No analysis pools a swept axis: planted results over every key that can be swept.

At the first value of the key runs grok above some weight decay, at the second none do.
What pools both sees a mixture.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SMALL, mostly_slow

import grokmap
from grokmap import plan, store
from grokmap.arrays import Ints
from grokmap.errors import SpecError
from grokmap.plan import read_sweep
from grokmap.plot.names import NO_BREAK, axis_symbol
from grokmap.plot.trajectories import run_titles
from grokmap.result import Result, curves, phase_diagram, refine
from grokmap.spec import Sweep
from grokmap.spec.sweep import SWEEPABLE

DECAYS = [1e-4, 1e-3, 1e-2, 1e-1]
MLP = {"model": "mlp", "depth": 1, "activation": "relu", "alpha_convention": "standard"}
TEACHER = {"task": "sparse_parity", "modulus": None, "model": "mlp", "depth": 1}
TEACHER |= {"activation": "relu", "alpha_convention": "standard"}
TEACHER |= {"n_inputs": 8, "n_examples": 60, "n_relevant": 2}
ADAM = {"optimizer": "adamw", "momentum": None}
EMBEDDED = {"model": "embedding_mlp", "depth": 1, "embedding": 8}
EMBEDDED |= {"activation": "relu", "alpha_convention": "standard", "optimizer": "adamw"}
TOKEN_MLP = {"model": "token_mlp", "alpha_convention": "normal"}
TRANSFORMER = {k: v for k, v in EMBEDDED.items() if k != "depth"}
TRANSFORMER |= {"model": "transformer"}
PUBLISHED = {**EMBEDDED, "task": "plain_addition"}
# Two values of each key, and what else a sweep over it needs.
SWEPT: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "task": (["modular_addition", "modular_subtraction"], {}),
    "model": (["two_layer", "mlp"], {"depth": 1}),
    "activation": (["quadratic", "relu"], {}),
    "alpha_convention": (["laziness", "literal"], {}),
    "parameterization": (["convention", "mup"], {}),
    "loss": (["mse", "cross_entropy"], {}),
    "optimizer": (["gd", "adamw"], {}),
    "precision": (["float32", "tf32"], {}),
    "center": ([False, True], {}),
    "bias": ([False, True], {}),
    "perp_grad": ([False, True], {}),
    "batch_size": ([8, 16], {}),
    "batch_replacement": ([True, False], {"batch_size": 8}),
    "published_seed": ([0, 58], PUBLISHED),
    "modulus": ([7, 11], {}),
    "width": ([8, 16], {}),
    "depth": ([1, 2], MLP),
    "embedding": ([8, 16], EMBEDDED),
    "n_inputs": ([8, 9], TEACHER),
    "n_examples": ([60, 80], TEACHER),
    "n_relevant": ([2, 3], TEACHER),
    "train_fraction": ([0.5, 0.7], {}),
    "learning_rate": ([0.05, 0.1], {}),
    "momentum": ([0.0, 0.9], {}),
    "beta1": ([0.8, 0.9], ADAM),
    "beta2": ([0.9, 0.99], ADAM),
    "epsilon": ([1e-8, 1e-6], ADAM),
    "label_noise": ([0.0, 0.1], {}),
    "dropout": ([0.0, 0.1], {}),
    "gradient_noise": ([0.0, 0.1], {}),
    "gradient_avalanche": ([0.0, 0.5], {}),
    "chain": ([0, 3], {}),
    "initial_scale": ([1.0, 2.0], {}),
    "embedding_scale": ([1.0, 2.0], {**EMBEDDED, **TOKEN_MLP}),
    "sextic_decay": ([0.0, 0.1], {}),
    "temperature": ([0.0, 0.1], {"optimizer": "langevin"}),
    "embedding_learning_rate": ([1e-3, 1e-2], EMBEDDED),
    "adam_learning_rate": ([1e-3, 1e-2], {**MLP, "optimizer": "muon", "depth": 2}),
    "split": (["random", "unordered"], {}),
    "held_out": (["difference", "rows"], {"held_out_size": 1}),
    "held_out_size": ([1, 2], {"held_out": "rows"}),
    "blocks": ([1, 2], TRANSFORMER),
    "heads": ([1, 2], TRANSFORMER),
    "head_dim": ([2, 4], TRANSFORMER),
    "layer_norm": (["none", "pre"], TRANSFORMER),
    "read_at": (["equals", "last"], TRANSFORMER),
    "schedule": (["linear", "cosine"], {"schedule_steps": 50}),
    "warmup_steps": ([0, 10], {}),
    "schedule_steps": ([50, 100], {"schedule": "cosine"}),
    "final_share": ([0.0, 0.1], {"schedule": "cosine", "schedule_steps": 50}),
    "sam_radius": ([0.0, 0.1], {}),
    "filter_strength": ([0.0, 2.0], {}),
    "filter_decay": ([0.9, 0.98], {"filter_strength": 2.0}),
    "filter_window": ([0, 10], {"filter_strength": 2.0}),
    "norm_clamp": ([0.0, 1.0], {}),
    "norm_clamp_step": ([0, 100], {"norm_clamp": 1.0}),
    "temperature_logits": ([1.0, 2.0], {}),
    "decay_bias": ([True, False], {"bias": True}),
    "decay_embedding": ([True, False], {**EMBEDDED, **TOKEN_MLP}),
    "nonlinearity": ([0.1, 0.2], {"activation": "polynomial"}),
    "ramp_factor": ([10.0, 100.0], {"ramp_steps": 50, "n_steps": None}),
    "ramp_steps": ([50, 100], {"ramp_factor": 10.0, "n_steps": None}),
}


def sweep_of(key: str) -> Sweep:
    values, other = SWEPT[key]
    base = {**SMALL, **other}
    document = {k: v for k, v in base.items() if v is not None and k != key}
    del document["alpha"], document["weight_decay"]
    if "n_steps" in document:
        # Long enough that a run which has not grokked is decided.
        document |= {"horizon": 12, "max_steps": 10**9}
        del document["n_steps"]
    axes = {"alpha": [0.5, 1.0], "weight_decay": DECAYS, "seed": [0, 1], key: values}
    return read_sweep({**document, "axes": axes})


def planted(key: str, folder: Path) -> Result:
    """A result folder in which runs at the first value of `key` grok from the second
    weight decay on, and those at the second value never do."""
    sweep = sweep_of(key)
    planned = plan.plan_runs(sweep)
    table = plan.plan_table(planned, sweep)
    folder.mkdir()
    store.write_spec(folder, sweep)
    store.write_plan(folder, table)
    first = table[key] == SWEPT[key][0][0]
    groks = first & (table["weight_decay"] > DECAYS[0])
    records = [_records(run, yes) for run, yes in zip(planned, groks, strict=True)]
    step, values = (np.concatenate(part) for part in zip(*records, strict=True))
    names = [run.run.run_id for run in planned]
    rows = np.repeat(np.arange(len(names)), N_RECORDS)
    store.write_batch(folder, names, rows, step, READ, values, {})
    return grokmap.open(folder)


N_RECORDS = 6
READ = tuple(k for k in store.LABELS_READ if not k.startswith("held_out"))


def _records(run: plan.Planned, groks: bool) -> tuple[Ints, Any]:
    """Memorised at step 10; grokked at 40, or never; to the end of its budget."""
    # Three in the last octave, without which nothing tells that a run has settled.
    late = [-(-run.n_steps * share // 4) for share in (2, 3, 4)]
    step = np.array([0, 10, 40, *late])
    train = np.array([0.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    test = np.array([0.0, 0.0, 1.0, 1.0, 1.0, 1.0]) if groks else np.zeros(N_RECORDS)
    values = {"train_accuracy": train, "test_accuracy": test, "weight_norm": train + 1}
    values |= {"train_loss": 1.01 - train, "test_loss": 1.01 - test}
    values["zero_loss_fraction"] = np.zeros(N_RECORDS)
    return step, np.stack([values[k] for k in READ], 1).astype("f4")


KEYS = [key for key in SWEEPABLE if key not in ("alpha", "weight_decay", "seed")]


# A number, a choice, a size and a noise in `make test`, all others in `make test-slow`.
KEPT = ("train_fraction", "optimizer", "depth", "label_noise", "ramp_steps")


@pytest.fixture(params=mostly_slow(KEYS, KEPT))
def swept(request: Any, tmp_path: Path) -> tuple[str, Result]:
    return request.param, planted(request.param, tmp_path / "result")


def test_every_sweepable_key_is_planted() -> None:
    assert set(KEYS) == set(SWEPT)


def test_no_analysis_pools_a_swept_axis(swept: tuple[str, Result]) -> None:
    key, result = swept
    first, second = result.axis(key).values
    edges = result.boundaries(budget=False)
    of_key = edges.groupby(key)["status"].unique()
    # Of a ramp, whose weight decay comes back, no budget decides that it will not grok.
    never = {"undecided"} if key.startswith("ramp_") else {"no grok"}
    assert not never & set(of_key[first]) and set(of_key[second]) == never
    assert edges.groupby(key).size().to_dict() == {first: 4, second: 4}

    cells = result.uncertainty()
    assert (cells["n_runs"] == 2).all()  # seeds, and nothing else, are replicas
    groks = cells["weight_decay"].gt(DECAYS[0]) & cells[key].eq(first)
    # Of a cell in which nothing is decided there is no share.
    undecided = key.startswith("ramp_") & ~groks
    assert (cells["p_grok"].eq(groks) | (cells["p_grok"].isna() & undecided)).all()

    drawing = phase_diagram.draw(result)
    assert set(drawing.data["p_grok"]) == {0.0, 1.0}
    titles = [axes.get_title(loc="left") for axes in drawing.figure.axes[:2]]
    words = f"{axis_symbol(key)} = ".replace(" ", NO_BREAK)
    assert all(
        title.startswith(f"({letter}) {words}")
        for letter, title in zip("ab", titles, strict=True)
    )
    assert len({title[4:] for title in titles}) == 2

    only = phase_diagram.draw(result, at={key: second}).data
    assert set(only["p_grok"]) == {0.0} and key not in only


def test_refine_trains_where_the_edges_are(swept: tuple[str, Result]) -> None:
    key, result = swept
    points = refine.next_points(result, refine.Wanted(batch=8))
    first = result.axis(key).values[0]
    # A ramp leaves everything undecided, which more runs do not change.
    assert set(points[key]) == (set() if key.startswith("ramp_") else {first})


def test_titles_of_curves_name_every_coordinate(swept: tuple[str, Result]) -> None:
    key, result = swept
    axes = [axis.name for axis in result.axes]
    titles = run_titles(curves.read(result.runs, axes), axes)
    assert len(set(titles)) == len(result.plan)
    words = f"{axis_symbol(key)} = ".replace(" ", NO_BREAK)
    assert all(words in title for title in titles)


def test_choices_are_no_axis_of_a_plane_and_integers_have_nothing_between(
    tmp_path: Path,
) -> None:
    choice, whole = (planted(key, tmp_path / key) for key in ("optimizer", "depth"))
    for result, key in ((choice, "optimizer"), (whole, "depth")):
        with pytest.raises(SpecError, match="swept here: alpha, weight_decay$"):
            refine.check(result, refine.Wanted(y=key))
    with pytest.raises(SpecError, match="is a choice, which has no order"):
        choice.boundaries(y="optimizer")
    cells = phase_diagram.draw(whole, y="depth").data
    # The first depth groks at both alphas, which have panels of their own.
    assert cells.groupby("alpha")["p_grok"].mean().to_dict() == {0.5: 3 / 8, 1.0: 3 / 8}
