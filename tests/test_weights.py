"""Weights that are kept, during a sweep and after it, and networks made of them."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT, mostly_slow

import grokmap
from grokmap import store
from grokmap.cli import main
from grokmap.errors import ResultError, SpecError
from grokmap.losses import LOSSES
from grokmap.plan import read_sweep

SPEC = {
    "name": "kept",
    "task": "modular_addition",
    "modulus": 7,
    "width": 64,
    "train_fraction": 0.8,
    "learning_rate": 0.1,
    "weight_decay": 0.1,
    "n_steps": 1000,
    "order_parameters": [],
    "axes": {"alpha": [0.0, 0.2], "seed": [0, 1]},
}


def silent(counts: Any) -> None:
    """Shows nothing."""


def swept(out: Path, **changes: Any) -> Any:
    return grokmap.sweep({**SPEC, **changes}, out=out, on_progress=silent)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Any:
    return swept(folder / "plain")


@pytest.fixture(scope="module")
def kept(folder: Path) -> Any:
    return swept(folder / "kept", save_weights=["t_mem", "end", 100])


def same_leaves(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys() and one
    for name, leaf in one.items():
        assert leaf.dtype == np.float32
        np.testing.assert_array_equal(leaf, other[name])


def test_weights_of_a_sweep_are_those_of_the_later_command(
    plain: Any, kept: Any
) -> None:
    runs = kept.runs
    learned = runs[runs["t_mem"].notna()]
    assert len(runs) == 4 and len(learned) > 0
    steps = {(r, s) for r in runs["run_id"] for s in (100, 1000)}
    steps |= set(zip(learned["run_id"], learned["t_mem"].astype(int), strict=True))
    assert store.kept_weights(kept.path) == steps
    for run_id in learned["run_id"].head(2):
        files = grokmap.save_weights(plain, run_id, ["t_mem", "end", 100])
        assert len(files) == 3
        for at in ("t_mem", "end", 100):
            same_leaves(plain.weights(run_id, at), kept.weights(run_id, at))


def test_one_damaged_record_and_the_weights_are_refused(
    kept: Any, folder: Path
) -> None:
    own = swept(folder / "changed", axes={"alpha": [0.0]})
    (run_id,) = own.runs["run_id"]
    (file,) = store.batch_files(own.path)
    records = own.records()
    columns = [name for name in records if name not in ("run_id", "step")]
    values = records[columns].to_numpy(np.float32).copy()
    row = int(np.flatnonzero(records["step"] == 50)[0])
    values[row, columns.index("test_loss")] *= np.float32(1 + 2e-7)
    ((_, made), *_) = store.origins(own.path)
    file.unlink()
    place = np.zeros(len(records), np.int64)
    step = records["step"].to_numpy()
    store.write_batch(own.path, [run_id], place, step, columns, values, made.facts)
    grokmap.save_weights(own, run_id, 49)  # before the change
    with pytest.raises(ResultError, match="from step 50 on.*other versions.*--out"):
        grokmap.save_weights(own, run_id, [50, 60])
    assert store.kept_weights(own.path) == {(run_id, 49)}


NETWORKS = {
    "two_layer": {"axes": {"alpha": [0.2]}},
    "centred": {"axes": {"alpha": [0.2]}, "center": True, "label_noise": 0.2},
    "mlp": {"model": "mlp", "depth": 2, "activation": "relu"},
    "transformer": {"model": "transformer", "embedding": 16, "loss": "cross_entropy"},
}


@pytest.mark.parametrize("name", mostly_slow(NETWORKS, ("two_layer",)))
def test_a_network_has_the_recorded_losses_and_accuracies(
    folder: Path, name: str
) -> None:
    changes: dict[str, Any] = {"axes": {"alpha": [1.0]}, "n_steps": 300}
    if NETWORKS[name].get("model"):
        changes |= {"alpha_convention": "standard", "optimizer": "adamw"}
        changes |= {"learning_rate": 1e-3, "width": 32}
    own = swept(folder / name, save_weights="end", **{**changes, **NETWORKS[name]})
    (run,) = own.runs.itertuples()
    network = own.network(run.run_id, at="end")
    logits = network.apply(network.inputs)
    losses = np.asarray(LOSSES[own.spec.loss](logits, jnp.asarray(network.labels)))
    right = np.argmax(logits, axis=1) == network.labels
    last = own.records().iloc[-1]
    assert last["step"] == 300 and 0 < network.train.sum() < len(network.train)
    for part, rows in (("train", network.train), ("test", ~network.train)):
        np.testing.assert_allclose(losses[rows].mean(), last[f"{part}_loss"], rtol=2e-6)
        np.testing.assert_allclose(
            right[rows].mean(), last[f"{part}_accuracy"], rtol=2e-7
        )


def test_the_module_gives_the_same_outputs_and_what_is_hidden(kept: Any) -> None:
    run_id = kept.plan["run_id"].iloc[0]
    network = kept.network(run_id, at=100)
    activity = network.module.apply(
        {"params": network.params}, network.inputs, network.scale
    )
    np.testing.assert_allclose(
        activity.logits, network.apply(network.inputs), rtol=1e-6, atol=1e-7
    )
    assert activity.hidden.shape == (49, 64)


def test_a_run_has_no_weights_where_it_has_no_such_step(plain: Any) -> None:
    run_id = plain.plan["run_id"].iloc[0]
    with pytest.raises(SpecError, match="ended at step 1000, before 1001"):
        grokmap.save_weights(plain, run_id, 1001)
    with pytest.raises(SpecError, match="'soon' is no moment; give t_mem, t_grok, end"):
        grokmap.save_weights(plain, run_id, "soon")
    with pytest.raises(ResultError, match=f"grokmap weights .* {run_id} --at 7"):
        plain.weights(run_id, 7)
    runs = plain.runs
    never = runs[runs["t_grok"].isna()]["run_id"]
    assert len(never) > 0
    with pytest.raises(SpecError, match="has no t_grok: it never got there; give end"):
        plain.weights(never.iloc[0], "t_grok")


@pytest.mark.parametrize("damage", ["cut", "header", "renamed", "link", "pipe", "text"])
def test_a_damaged_file_of_weights_is_one_line(
    kept: Any, tmp_path: Path, damage: str
) -> None:
    run_id = kept.plan["run_id"].iloc[0]
    file = kept.path / store.weights_name(run_id, 100)
    sound = file.read_bytes()
    try:
        if damage == "renamed":
            other = kept.path / store.weights_name(kept.plan["run_id"].iloc[1], 100)
            file.write_bytes(other.read_bytes())
        elif damage in ("link", "pipe"):
            file.unlink()
            (tmp_path / "w").write_bytes(sound)
            os.mkfifo(file) if damage == "pipe" else file.symlink_to(tmp_path / "w")
        else:
            text = {"cut": sound[:-1], "header": b"\xff" * 8 + sound[8:], "text": b"x"}
            file.write_bytes(text[damage])
        with pytest.raises(ResultError, match=file.name) as error:
            kept.weights(run_id, 100)
        assert len(error.value.problems) == 1
    finally:
        file.unlink()
        file.write_bytes(sound)


def test_verify_looks_at_weights(kept: Any, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(kept.path, copy)
    assert grokmap.open(copy).verify()["problems"] == []
    files = sorted((copy / "weights").iterdir())
    files[0].write_bytes(files[0].read_bytes()[:-1])
    files[1].rename(files[1].with_name("0123456789abcdef-100.safetensors"))
    problems = grokmap.open(copy).verify()["problems"]
    assert len(problems) == 2
    assert any(str(files[0]) in line and "damaged" in line for line in problems)
    assert any("weights of a run that is not in the plan" in line for line in problems)


def test_weights_are_no_part_of_a_run_or_of_a_resolved_sweep(
    plain: Any, kept: Any, folder: Path
) -> None:
    assert set(plain.plan["run_id"]) == set(kept.plan["run_id"])
    assert "weights" not in (plain.path / store.SPEC).read_text()
    assert read_sweep(kept.path).save_weights == ("t_mem", "end", 100)
    # The same folder, another wish: nothing but weights is trained.
    own = swept(folder / "later")
    before = {file: file.read_bytes() for file in store.batch_files(own.path)}
    own = swept(folder / "later", save_weights=[7])
    assert {step for _, step in store.kept_weights(own.path)} == {7}
    assert {file: file.read_bytes() for file in store.batch_files(own.path)} == before


@pytest.mark.parametrize(
    "given", ["soon", [1.5], [-1], ["end", "end"], [True], ["t_grok", "1.5"]]
)
def test_what_is_no_moment_is_refused(given: Any) -> None:
    with pytest.raises(SpecError, match="save_weights"):
        read_sweep({**SPEC, "save_weights": given})


def test_moments_as_they_are_typed() -> None:
    for text in ("t_grok,1000,end", '["t_grok", 1e3, "end"]', "[t_grok,1000,end]"):
        sweep = read_sweep(SPEC, [f"save_weights={text}"])
        assert sweep.save_weights == ("t_grok", 1000, "end")
    assert read_sweep(SPEC, ["save_weights=1000"]).save_weights == (1000,)
    assert read_sweep(SPEC, ["save_weights=none"]).save_weights == ()


def test_more_than_the_bound_is_refused_before_anything_is_trained(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # 4 runs of 3 x 7 x 64 float32 numbers at two moments: 4.3e4 bytes.
    with pytest.raises(SpecError, match=r"up to 4.01e-05 GiB for 4 runs.*-s max_wei"):
        swept(folder / "large", save_weights=["end", 5], max_weights_gib=4e-5)
    assert not (folder / "large").exists()


def test_the_dry_run_says_bytes_and_steps(
    kept: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sweep", str(kept.path), "--dry-run", "-s", "save_weights=end,5"]
    for more in ([], ["--json"]):
        with pytest.raises(SystemExit) as ended:
            main([*command, *more])
        assert ended.value.code == 0
    *lines, as_json = capsys.readouterr().out.splitlines()
    report = json.loads(as_json)
    leaves = kept.weights(kept.plan["run_id"].iloc[0], "end").values()
    assert report["weights_bytes"] == 4 * 2 * sum(leaf.nbytes for leaf in leaves)
    assert report["weights_run_steps"] == 4 * 1000
    assert any("weights" in line and "4000 run-steps again" in line for line in lines)


@pytest.mark.slow
def test_the_example_of_the_docs_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs/weights.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    names: dict[str, Any] = {}
    exec(example, names)
    run = names["run"]
    record = names["result"].records(runs=[run]).set_index("step")
    (at,) = names["result"].runs.query("run_id == @run")["t_grok"].astype(int)
    accuracy = record.loc[at, "test_accuracy"]
    np.testing.assert_allclose(names["test_accuracy"], accuracy, rtol=2e-7)
    assert accuracy >= 0.95
    # The strongest frequency of each neuron holds most of its power once it groks.
    assert names["power"].shape == (128, 5)
    assert np.median(names["power"].max(axis=1)) > 0.5
    steps = {step for _, step in store.kept_weights(tmp_path / "results/weights")}
    assert {100, 1000, at} < steps and len(steps) == 4


def test_the_command_prints_the_files(
    plain: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["weights", str(plain.path), "alpha=0.2,seed=1", "--at", "3,end"])
    assert ended.value.code == 0
    shown = [Path(line) for line in capsys.readouterr().out.split()]
    run_id = plain.nearest(alpha=0.2, seed=1)["run_id"]
    assert [file.name for file in shown] == [
        f"{run_id}-3.safetensors",
        f"{run_id}-1000.safetensors",
    ]
    assert all(file.is_file() for file in shown)
