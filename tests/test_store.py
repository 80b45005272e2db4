from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import small_sweep

from grokmap import plan, store
from grokmap.classify import classify, classify_parts
from grokmap.errors import ResultError
from grokmap.session.lock import locked

COLUMNS = ("train_loss", "train_accuracy", "test_accuracy", "zero_loss_fraction", "snr")


@pytest.fixture
def result(tmp_path: Path) -> Path:
    path = tmp_path / "result"
    sweep = small_sweep(seed="0,1")
    with locked(path):
        store.write_spec(path, sweep)
        planned = plan.plan_runs(sweep)
        store.write_plan(path, plan.plan_table(planned, sweep))
    return path


def write(path: Path, ids: list[str], n_steps: int = 3) -> Path:
    run = np.repeat(np.arange(len(ids)), n_steps)
    step = np.tile(np.arange(n_steps), len(ids))
    values = np.arange(len(run) * 5, dtype=np.float32).reshape(-1, 5)
    values[0, 4], values[1, 4] = np.nan, np.inf
    return store.write_batch(path, ids, run, step, COLUMNS, values, {"seconds": 2.0})


def test_store_out_is_store_in(result: Path) -> None:
    write(result, ["b", "a"])
    write(result, ["c"])
    table, unreadable = store.read_trajectories(result)
    assert unreadable == []
    assert table["run_id"].tolist() == list("aaabbbccc")
    assert table["step"].tolist() == [0, 1, 2] * 3
    own = table[table["run_id"] == "b"]
    assert own["train_loss"].tolist() == [0, 5, 10]
    # Undefined and infinite values are null, never NaN in the file.
    assert own["snr"].isna().tolist() == [True, True, False]
    file = store.batch_files(result)[0]
    assert pq.read_table(file)["snr"].null_count == 2
    assert pq.read_schema(file).field("snr").type == pa.float32()
    some, _ = store.read_trajectories(result, ["train_loss"], ["a"])
    assert list(some.columns) == ["run_id", "step", "train_loss"] and len(some) == 3


def is_string(file: Path) -> bool:
    kind = pq.read_schema(file).field("run_id").type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def test_run_ids_are_strings_in_every_table(result: Path) -> None:
    # Where one table has categories and another strings, polars joins nothing.
    write(result, ["b", "a"])
    longer = write(result, ["b", "c"], n_steps=5)
    store.keep_longest(result)  # writes what is left of the first file as a new one
    (other,) = set(store.batch_files(result)) - {longer}
    store.write_found(result, pd.DataFrame({"run_id": ["a", "b", "c"]}))
    for file in (longer, other, result / "plan.parquet", result / "runs.parquet"):
        assert is_string(file)


def test_files_with_categories_of_run_ids_are_read_beside_others(result: Path) -> None:
    new = write(result, ["c"])
    old = write(result, ["b", "a"])
    table = pq.read_table(old)
    table = table.set_column(0, "run_id", table["run_id"].dictionary_encode())
    pq.write_table(table, old.with_name("old.parquet"))  # as they once were written
    old.unlink()
    assert store.stored(result).steps == dict.fromkeys("abc", 2)
    assert store.read_trajectories(result)[0]["run_id"].tolist() == list("aaabbbccc")
    for name in ("a.parquet", "z.parquet"):  # the first file's types are the folder's
        new = new.rename(new.with_name(name))
        plain = pd.read_parquet(result / "trajectories")
        assert sorted(plain["run_id"].astype(str)) == list("aaabbbccc")


def batch(ids: list[str]) -> tuple[Any, ...]:
    """Arguments of `Writer.write`: one record a run."""
    rows = np.arange(len(ids))
    return ids, rows, rows, COLUMNS, np.ones((len(ids), 5), np.float32), {}


class SlowDisk(NamedTuple):
    """Where writing waits for `gate`; `written`: runs that are there."""

    written: list[str]
    gate: threading.Event


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> SlowDisk:
    """Writing a batch waits for the gate, and fails if its first run is "bad"."""
    written, gate = disk = SlowDisk([], threading.Event())

    def write_batch(path: Path, ids: list[str], *rest: Any) -> None:
        assert gate.wait(60)
        if ids[0] == "bad":
            raise ResultError("cannot be written: disk full")
        written.extend(ids)

    monkeypatch.setattr(store.trajectories, "write_batch", write_batch)
    return disk


def test_writer_is_write_batch(result: Path) -> None:
    direct = store.write_batch(result, *batch(["a", "b"])).read_bytes()
    store.batch_files(result)[0].unlink()
    with store.Writer(result) as writer:
        writer.write(*batch(["a", "b"]))
    assert store.batch_files(result)[0].read_bytes() == direct


def test_writer_goes_on_until_two_batches_wait(
    result: Path, slow_disk: SlowDisk
) -> None:
    written, gate = slow_disk
    with store.Writer(result) as writer:
        writer.write(*batch(["a"]))
        writer.write(*batch(["b"]))
        third = threading.Thread(target=writer.write, args=batch(["c"]))
        third.start()
        third.join(0.2)
        assert third.is_alive() and written == []
        gate.set()
        third.join(60)
        assert not third.is_alive()
    assert written == ["a", "b", "c"]


@pytest.mark.parametrize("before", [0, 1, 5])
@pytest.mark.parametrize("after", [0, 1, 5])
def test_writer_raises_what_its_thread_met(
    result: Path, slow_disk: SlowDisk, before: int, after: int
) -> None:
    written, gate = slow_disk
    gate.set()
    with pytest.raises(ResultError, match="disk full"):
        with store.Writer(result) as writer:
            for run_id in ["good"] * before + ["bad"] + ["late"] * after:
                writer.write(*batch([run_id]))
    # Whatever was handed over before the error was raised is written.
    assert written[:before] == ["good"] * before
    assert len(written) - before <= min(after, store.trajectories.WAITING)


def test_writer_raises_at_the_next_write(result: Path, slow_disk: SlowDisk) -> None:
    written, gate = slow_disk
    with store.Writer(result) as writer:
        writer.write(*batch(["bad"]))
        writer.write(*batch(["b"]))
        gate.set()
        with pytest.raises(ResultError, match="disk full"):
            writer.write(*batch(["c"]))  # waits for the first, and never hands over
        writer.write(*batch(["d"]))  # an error is raised once
    assert written == ["b", "d"]


@pytest.mark.parametrize("first", ["a", "bad"])
def test_an_error_through_the_writer_wins_and_all_is_written(
    result: Path, slow_disk: SlowDisk, first: str
) -> None:
    written, gate = slow_disk
    with pytest.raises(KeyError):
        with store.Writer(result) as writer:
            writer.write(*batch([first]))
            writer.write(*batch(["b"]))
            gate.set()
            raise KeyError
    assert written == [i for i in (first, "b") if i != "bad"]


def test_a_folder_that_cannot_be_written_is_an_error_of_the_writer(
    result: Path,
) -> None:
    (result / "trajectories").write_text("in the way")
    with pytest.raises(ResultError, match="cannot be written"):
        with store.Writer(result) as writer:
            writer.write(*batch(["a"]))


def mixed(path: Path) -> pd.DataFrame:
    """A folder such as years of resuming leave, and its plan.

    Files of other columns, runs that stand in two files, whole or cut off, a record
    twice in a file, a file of another program's types, and an unreadable one.
    """
    ids = [f"{i:x}" for i in (7, 3, 9, 0, 5, 8, 1, 4, 2, 6)]
    random = np.random.default_rng(0)

    def add(own: list[str], n_steps: int, columns: tuple[str, ...]) -> Path:
        run = np.repeat(np.arange(len(own)), n_steps)
        step = np.tile(np.arange(n_steps), len(own))
        values = random.random((len(run), len(columns)), np.float32).round(1)
        values[random.random(values.shape) < 0.1] = np.nan
        return store.write_batch(path, own, run, step, columns, values, {})

    old, new = COLUMNS[:4], (*reversed(COLUMNS), "rqi")
    add(ids[:3], 20, old)
    add(ids[2:5], 7, new)  # the third again, cut off and with other values
    add(ids[5:7], 12, COLUMNS)
    add(ids[4:6], 30, new)
    add([*ids[6:8], ids[6]], 9, (*old, "gini"))
    foreign = pq.read_table(add(ids[8:9], 5, COLUMNS)).to_pandas()
    foreign = foreign.astype({"run_id": "string", "step": "int32", "snr": "float64"})
    foreign.to_parquet(path / "trajectories" / "foreign.parquet")
    (path / "trajectories" / "broken.parquet").write_bytes(b"PAR1")
    return pd.DataFrame({"run_id": ids, "decay_rate": 0.01, "horizon": None})


@pytest.mark.parametrize("columns", [None, store.REQUIRED, (*store.REQUIRED, "rqi")])
@pytest.mark.parametrize("part_rows", [1, 100, 10**9])
def test_labels_of_parts_are_those_of_the_whole(
    result: Path,
    monkeypatch: pytest.MonkeyPatch,
    part_rows: int,
    columns: tuple[str, ...] | None,
) -> None:
    monkeypatch.setattr(store.trajectories, "PART_ROWS", part_rows)
    planned = mixed(result)
    trajectories, unreadable = store.read_trajectories(result, columns)
    whole = classify(trajectories, planned)
    assert len(whole) == 9  # the last run is not done
    skipped: list[str] = []
    parts = store.trajectory_parts(result, skipped, columns)
    pd.testing.assert_frame_equal(classify_parts(parts, planned), whole)
    assert skipped == unreadable and len(skipped) == 1


def test_parts_are_small(result: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.trajectories, "PART_ROWS", 25)
    for i in range(20):
        write(result, [f"a{i}", f"b{i}"], n_steps=5)
    sizes = [len(part) for part in store.trajectory_parts(result, [])]
    assert sum(sizes) == 200 and max(sizes) < 25 + 10


def test_readable_by_pandas_in_one_line(result: Path) -> None:
    write(result, ["a", "b"])
    table = pd.read_parquet(result / "trajectories")
    assert set(table["run_id"]) == {"a", "b"} and len(table) == 6


def test_spec_and_plan_round_trip(result: Path) -> None:
    assert store.read_spec(result) == small_sweep(seed="0,1", tail=float("inf"))
    table = store.read_plan(result)
    assert table["seed"].tolist() == [0, 1]
    assert table["alpha"].dtype == float


def test_metadata_carries_the_schema_version(result: Path) -> None:
    write(result, ["a"])
    ((ids, made),) = store.origins(result)
    assert ids == ["a"]
    assert made.facts["schema_version"] == 1 and made.seconds == 2.0


def broken(path: Path) -> dict[str, Any]:
    """Files that are no trajectories, by the way they are not."""
    good = pq.read_table(write(path, ["z"]))
    write(path, ["z"]).unlink()
    text = good.set_column(2, "train_loss", pa.array(["x"] * 3))
    return {
        "truncated": lambda f: f.write_bytes(b"PAR1 and no more"),
        "empty": lambda f: f.write_bytes(b""),
        "no run_id": lambda f: pq.write_table(good.drop_columns("run_id"), f),
        "ids only": lambda f: pq.write_table(good.select(["run_id"]), f),
        "text": lambda f: pq.write_table(text, f),
        "a folder": lambda f: f.mkdir(),
    }


@pytest.mark.parametrize(
    "kind", ["truncated", "empty", "no run_id", "ids only", "text", "a folder"]
)
def test_foreign_files_are_set_aside_and_not_done(result: Path, kind: str) -> None:
    write(result, ["a"])
    broken(result)[kind](result / "trajectories" / "x.parquet")
    table, unreadable = store.read_trajectories(result)
    assert set(table["run_id"]) == {"a"}
    found = store.stored(result)
    assert set(found.steps) == {"a"}
    assert len(unreadable) == len(found.damaged) == 1
    assert "x.parquet: left out" in unreadable[0] and "\n" not in unreadable[0]


def test_overwritten_bytes_are_neither_read_nor_done(result: Path) -> None:
    file = write(result, ["a"], n_steps=2000)
    data = bytearray(file.read_bytes())
    data[200:400] = b"\x00" * 200
    file.write_bytes(data)
    assert store.read_trajectories(result)[0].empty
    assert store.stored(result).steps == {}


def test_half_written_files_are_not_seen(result: Path) -> None:
    write(result, ["a"])
    (result / "trajectories" / ".b.parquet.1.tmp").write_bytes(b"half")
    assert len(store.batch_files(result)) == 1


def test_of_a_run_in_two_files_the_longer_counts_and_stays(result: Path) -> None:
    write(result, ["a", "b"], n_steps=10)
    write(result, ["a"], n_steps=20)
    assert store.stored(result).twice == {"a"}
    before, _ = store.read_trajectories(result)
    assert before.groupby("run_id")["step"].max().to_dict() == {"a": 19, "b": 9}
    store.keep_longest(result)
    after, _ = store.read_trajectories(result)
    pd.testing.assert_frame_equal(after, before)
    assert store.stored(result).twice == set() and not store.stored(result).damaged
    assert sorted(ids for ids, _ in store.origins(result)) == [["a"], ["b"]]


def test_what_is_no_result_is_refused(tmp_path: Path, result: Path) -> None:
    with pytest.raises(ResultError, match="no such folder"):
        store.read_plan(tmp_path / "none")
    with pytest.raises(ResultError, match="not the result of a sweep"):
        store.read_plan(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="a file"):
        store.read_spec(tmp_path / "file")
    (result / "sweep.toml").write_text("axes = 3")
    with pytest.raises(ResultError, match="damaged"):
        store.read_spec(result)
    (result / "plan.parquet").unlink()
    with pytest.raises(ResultError, match="missing"):
        store.read_plan(result)


def test_sessions_add_up(result: Path) -> None:
    import json

    store.add_session(result, {"n": 1})
    store.add_session(result, {"n": 2})
    file = result / store.PROVENANCE
    assert [s["n"] for s in json.loads(file.read_text())["sessions"]] == [1, 2]
    file.write_text("{")
    store.add_session(result, {"n": 3})
    assert [s["n"] for s in json.loads(file.read_text())["sessions"]] == [3]
    assert (result / "provenance.unreadable.json").read_text() == "{"
