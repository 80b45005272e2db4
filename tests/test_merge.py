"""Shards and folders are united without loss, doubles or silence."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from shard_sweeps import TEXT, assert_same, copied, tables

import grokmap
from grokmap import disk, store
from grokmap.classify import PHASES
from grokmap.engine.schedule import Kept, RunState
from grokmap.errors import LockedError, OtherSweepError, ResultError
from grokmap.session import lock, standing
from grokmap.session.merge import EXIT_UNEQUAL, merge
from grokmap.spec.shard import Shard

SIZES = [10, 7, 7]  # of the shards: runs of one width cost more than of the other


def quiet(counts: Any) -> None:
    pass


def sweep(out: Path, text: str = TEXT, **options: Any) -> grokmap.result.Result:
    return grokmap.sweep(text, out=out, on_progress=quiet, **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep in one process, never interrupted."""
    return sweep(tmp_path_factory.mktemp("whole") / "s").path


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep in three shards, not merged."""
    path = tmp_path_factory.mktemp("cut") / "s"
    for k in (2, 1, 3):
        assert sweep(path, shard=f"{k}/3").path == path / "shards" / f"000{k}"
    return path


@pytest.mark.slow
def test_merged_shards_are_bitwise_the_sweep(
    cut: Path, whole: Path, tmp_path: Path
) -> None:
    path = copied(cut, tmp_path / "s")
    merged = grokmap.merge(path)
    assert (merged.planned, merged.done, merged.taken.runs) == (24, 24, 24)
    assert merged.code == 0 and merged.taken.equal == set()
    assert_same(path, whole)
    # Nothing is copied, and nothing is taken away.
    for file in store.batch_files(path):
        assert file.stat().st_nlink == 2
    sessions = json.loads((path / "provenance.json").read_text())["sessions"]
    assert sorted(s["shard"] for s in sessions if "shard" in s) == ["1/3", "2/3", "3/3"]
    # Again: nothing to do, and the same bytes.
    before = {f: f.read_bytes() for f in (path / "trajectories").iterdir()}
    again = grokmap.merge(path)
    assert (again.done, again.taken.runs, again.code) == (24, 0, 0)
    assert {f: f.read_bytes() for f in (path / "trajectories").iterdir()} == before
    assert json.loads((path / "provenance.json").read_text())["sessions"] == sessions
    # The sweep itself finds nothing to do, nor does a shard of another number.
    assert grokmap.open(path).verify()["to_do"] == 0
    assert sweep(path, shard="4/5").path.name == "0004"
    assert store.batch_files(path / "shards/0004") == []


def test_each_shard_is_a_result_of_its_part(cut: Path) -> None:
    shards = [grokmap.open(cut / "shards" / f"000{k}") for k in (1, 2, 3)]
    ids = [set(each.runs["run_id"]) for each in shards]
    assert [len(part) for part in ids] == SIZES and len(set.union(*ids)) == 24
    assert all(each.verify()["problems"] == [] for each in shards)


def test_a_folder_with_shards_says_what_waits(
    cut: Path, tmp_path: Path, command_line: Any
) -> None:
    path = copied(cut, tmp_path / "s")
    for command in ("phase-diagram", "classify", "boundaries"):
        code, out, err = command_line(command, str(path))
        assert code == 2 and out == ""
        assert err.count("\n") == 1 and f"`grokmap merge {path}`" in err
        assert "24 runs are done in shards" in err
    code, out, _ = command_line("status", str(path))
    assert code == 0 and "24 of 24 runs done, 0 missing" in out
    assert "3 shards: 3 finished" in out and "24 runs are done in shards" in out
    # One of three is merged: the others wait, and the folder is not trained on.
    shutil.move(path / "shards/0002", tmp_path / "aside")
    shutil.move(path / "shards/0003", tmp_path / "aside3")
    grokmap.merge(path)
    shutil.move(tmp_path / "aside", path / "shards/0002")
    with pytest.warns(UserWarning, match=f"{SIZES[1]} runs are done in shards"):
        assert len(grokmap.open(path).runs) == SIZES[0]
    with pytest.raises(ResultError, match=f"{SIZES[1]} runs are done in shards"):
        sweep(path)
    code, _, err = command_line("sweep", str(path))
    assert code == 2 and f"{SIZES[1]} runs are done in shards" in err
    grokmap.merge(path)
    assert len(grokmap.open(path).runs) == SIZES[0] + SIZES[1]


def test_two_machines_are_united(whole: Path, cut: Path, tmp_path: Path) -> None:
    """Each has some of the runs; some both have, equally."""
    one, other = tmp_path / "one", tmp_path / "other"
    for path, kept in ((one, (1, 2)), (other, (2, 3))):
        copied(cut, path)
        for k in {1, 2, 3} - set(kept):
            shutil.rmtree(path / "shards" / f"000{k}")
        grokmap.merge(path)
        shutil.rmtree(path / "shards")
    before = {f: f.read_bytes() for f in other.rglob("*") if f.is_file()}
    merged = grokmap.merge(one, other)
    assert (merged.done, merged.taken.runs, merged.code) == (24, SIZES[2], 0)
    assert_same(one, whole)
    assert {f: f.read_bytes() for f in other.rglob("*") if f.is_file()} == before
    # Into a folder that is not there yet.
    assert grokmap.merge(tmp_path / "new", other, whole).taken.equal != set()
    assert_same(tmp_path / "new", whole)


def changed(path: Path, run: str, by: float = 1e-6) -> Path:
    """Rewrites the trajectory file that has a run, its last test loss changed."""
    (file,) = [
        f
        for f in store.batch_files(path)
        if run in pq.read_table(f)["run_id"].to_pylist()
    ]
    table = pq.read_table(file)
    frame = table.to_pandas()
    row = frame.index[frame["run_id"] == run][-1]
    frame.loc[row, "test_loss"] += np.float32(by)
    assert frame.loc[row, "test_loss"] != table.to_pandas().loc[row, "test_loss"]
    ids = list(dict.fromkeys(frame["run_id"]))
    columns = [name for name in frame if name not in ("run_id", "step")]
    place = frame["run_id"].map({name: i for i, name in enumerate(ids)}).to_numpy()
    steps, values = frame["step"].to_numpy(), frame[columns].to_numpy(np.float32)
    facts = json.loads(table.schema.metadata[b"grokmap"])
    file.unlink()
    return store.write_batch(path, ids, place, steps, columns, values, facts)


def test_runs_that_differ_are_reported_and_nothing_is_lost(
    whole: Path, cut: Path, tmp_path: Path, command_line: Any
) -> None:
    path, other = copied(cut, tmp_path / "s"), copied(whole, tmp_path / "other")
    run = str(grokmap.open(whole).runs["run_id"].iloc[5])
    file = changed(other, run)
    code, out, err = command_line("merge", str(path), str(other))
    assert code == EXIT_UNEQUAL == 6
    (line,) = [each for each in err.splitlines() if "differs" in each]
    assert run in line and "from step 3000 on in test_loss" in line
    assert str(file) in line and "shards" not in line.partition("has it,")[0]
    assert "24 of 24 runs" in out
    assert_same(path, whole)  # the first is kept
    assert file.exists()
    # So it is every time, until somebody decides.
    code, out, _ = command_line("merge", str(path), str(other), "--json")
    found = json.loads(out)
    assert code == 6 and found["done"] == 24 and found["missing"] == 0
    assert [each["run_id"] for each in found["unequal"]] == [run]
    assert found["unequal"][0]["column"] == "test_loss"
    # The file's other runs are taken where they are missing.
    new = tmp_path / "new"
    shutil.copytree(cut / "shards/0001", new / "shards/0001")
    merged = merge(new, [other])
    assert merged.done == 24 and len(merged.taken.unequal) <= 1


def test_a_longer_run_takes_the_place_of_a_shorter(whole: Path, tmp_path: Path) -> None:
    """A folder that was extended, and one that was not, in either order."""
    longer = copied(whole, tmp_path / "longer")
    sweep(longer, TEXT.replace("3000", "6000"), extend=True)
    steps = store.stored(longer).steps
    assert max(steps.values()) == 6000
    into = copied(whole, tmp_path / "into")
    merged = grokmap.merge(into, longer)
    assert merged.code == 0 and merged.taken.runs > 0
    assert store.stored(into).steps == steps and not store.stored(into).twice
    assert store.read_spec(into).n_steps == 6000
    assert_same(into, longer)
    merged = grokmap.merge(longer, whole)
    assert merged.code == 0 and merged.taken.runs == 0
    assert store.read_spec(longer).n_steps == 6000
    assert_same(longer, into)


def test_shards_extend_a_folder_from_where_its_runs_stood(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    longer = TEXT.replace("3000", "6000")
    reference = copied(whole, tmp_path / "reference")
    sweep(reference, longer, extend=True)
    path = copied(whole, tmp_path / "s")
    resumed: list[int] = []
    resume = RunState.resume

    def counted(self: RunState, kept: Kept) -> bool:
        resumed.append(kept.step)
        return resume(self, kept)

    monkeypatch.setattr(RunState, "resume", counted)
    for k in (1, 2):
        sweep(path, longer, shard=f"{k}/2", extend=True)
    assert set(resumed) == {3000}
    merged = grokmap.merge(path)
    assert merged.code == 0 and merged.taken.runs == len(resumed) > 0
    assert_same(path, reference)


def test_another_sweep_is_refused(cut: Path, whole: Path, tmp_path: Path) -> None:
    path = copied(cut, tmp_path / "s")
    other = TEXT.replace("momentum = 0.9", "momentum = 0.8")
    with pytest.raises(OtherSweepError, match="momentum had 0.9"):
        sweep(path, other, shard="4/4")
    assert not (path / "shards/0004/sweep.toml").exists()
    alone = sweep(tmp_path / "other", other, shard="1/24").path.parents[1]
    with pytest.raises(OtherSweepError, match="momentum"):
        grokmap.merge(path, alone)
    assert not (path / store.SPEC).exists() and not (path / "trajectories").exists()
    with pytest.raises(ResultError, match="no shards in it"):
        grokmap.merge(whole)
    with pytest.raises(ResultError, match="no such folder"):
        grokmap.merge(path, tmp_path / "none")


def test_more_axis_values_are_one_sweep(whole: Path, tmp_path: Path) -> None:
    more = TEXT.replace("alpha = [0, 0.3]", "alpha = [0, 0.3, 0.5]")
    grown = sweep(tmp_path / "grown", more, shard="2/2").path.parents[1]
    merged = grokmap.merge(grown, whole)
    assert merged.planned == 36 and merged.done > 24 and merged.code == 0
    assert store.read_spec(grown).alpha == (0, 0.3, 0.5)


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_a_merge_that_is_killed_anywhere_is_run_again(
    cut: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    """Ended before each of its operations on the disk in turn, as by SIGKILL."""

    class Killed(BaseException):
        pass

    names = ("replace", "link", "unlink", "mkdir", "fsync")
    real = {name: getattr(os, name) for name in names}
    # Some runs are there twice, as after a merge that was killed between two files.
    start = copied(cut, tmp_path / "start")
    shutil.copytree(cut / "shards/0001", start / "shards/0004")
    (start / "shards/0004/shard.json").write_text('{"shard": 4, "of": 4, "runs": 8}')
    for last in range(0, 1000, every):
        path = tmp_path / f"s{last}"
        shutil.copytree(start, path)
        count = 0

        def counted(name: str, last: int = last) -> Any:
            def call(*arguments: Any, **options: Any) -> Any:
                nonlocal count
                if count == last:
                    raise Killed
                count += 1
                return real[name](*arguments, **options)

            return call

        with monkeypatch.context() as patch:
            for name in names:
                patch.setattr(os, name, counted(name))
            try:
                merge(path)
            except Killed:
                done = False
            else:
                done = True
        if not done:
            for k in range(1, 5):  # nothing of the shards is gone
                assert len(store.batch_files(path / "shards" / f"000{k}")) > 0
            assert merge(path).code == 0
        assert_same(path, whole)
        assert not list(path.rglob("*.tmp"))
        shutil.rmtree(path)
        if done:
            break
    assert last > 20


def test_a_sweep_whose_shards_have_only_been_started_has_a_status(
    tmp_path: Path,
) -> None:
    os.close(disk.open_log(tmp_path / "s", store.log_name(1)))
    found = standing.whole(tmp_path / "s")
    assert (found.planned, found.done, found.shards) == (0, 0, [])
    store.make_shard_folder(tmp_path / "s", Shard(1, 2))
    found = standing.whole(tmp_path / "s")
    assert [each.state for each in found.shards] == ["stopped"]


@pytest.mark.slow
def test_shards_and_merges_killed_at_random_moments_lose_nothing() -> None:
    """A few of the 200 kills of the benchmark."""
    done = subprocess.run(
        [sys.executable, "benchmarks/shards.py", "kills"],
        cwd=ROOT,
        env={**os.environ, "KILLS": "20", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])["kills"]
    assert found["shards"] >= 5 and found["merges"] >= 2 and found["sweeps"] >= 1
    assert (found["lost"], found["twice"], found["unequal"]) == (0, 0, 0)


def test_damaged_files_of_shards_are_named_and_left(
    cut: Path, tmp_path: Path, command_line: Any
) -> None:
    path = copied(cut, tmp_path / "s")
    file = store.batch_files(path / "shards/0002")[0]
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.unlink()
    file.write_bytes(data)
    code, out, err = command_line("merge", str(path))
    assert code == 0 and f"{file}: left out: not as it was written" in err
    assert "of 24 runs" in out and "24 of 24" not in out and file.exists()
    # The shard's own command does them again.
    sweep(path, shard="2/3")
    assert grokmap.merge(path).done == 24


def test_versions_that_differ_are_noted(cut: Path, tmp_path: Path) -> None:
    path = copied(cut, tmp_path / "s")
    file = store.batch_files(path / "shards/0001")[0]
    table = pq.read_table(file)
    facts = json.loads(table.schema.metadata[b"grokmap"])
    facts["versions"]["jaxlib"] = "0.9.9"
    table = table.replace_schema_metadata({b"grokmap": json.dumps(facts).encode()})
    file.unlink()
    pq.write_table(table, file.with_name("other.parquet"))
    said: list[str] = []
    merge(path, (), said.append)
    assert any("jaxlib 0.9.9" in line and "different versions" in line for line in said)


def test_a_held_folder_is_not_merged_into(cut: Path, tmp_path: Path) -> None:
    path = copied(cut, tmp_path / "s")
    with lock.locked(path), pytest.raises(LockedError, match="being written"):
        merge(path)
    # Shards at work do not keep others from being merged.
    with lock.locked(path / "shards/0001"):
        assert merge(path).done == 24


def test_status_says_who_is_at_work(cut: Path, tmp_path: Path) -> None:
    path = copied(cut, tmp_path / "s")
    (path / "shards/0002/.lock").write_text(
        json.dumps({"pid": 12, "host": "node7", "since": time.time() - 90})
    )
    elsewhere = path / "shards/0003/.lock"
    elsewhere.write_text(json.dumps({"pid": 13, "host": "node8", "since": 0}))
    os.utime(elsewhere, (time.time() - 300, time.time() - 300))
    for each in store.batch_files(path / "shards/0003"):
        each.unlink()
    store.write_progress(
        path / "shards/0002", {"time": time.time() - 10, "left_s": 70.0}
    )
    (path / "shards/0001/shard.json").write_text('{"shard": 1, "of": 5, "runs": 10}')
    found = standing.whole(path)
    states = {each.number: each.state for each in found.shards}
    assert states == {
        1: "finished",
        2: "running",
        3: "silent",
        4: "not begun",
        5: "not begun",
    }
    running, silent = found.shards[1], found.shards[2]
    assert running.holder is not None and running.holder.host == "node7"
    assert running.left == pytest.approx(60, abs=5)
    assert silent.done == 0 and silent.holder is not None
    assert silent.holder.silent == pytest.approx(300, abs=5)
    text = "\n".join(standing.lines(found))
    assert "5 shards: 1 running, 1 silent, 2 not begun, 1 finished" in text
    assert "shard 2: 7 of 7 runs, running, process 12 on node7, since " in text
    assert re.search(r"since .*\d\d:\d\d:\d\d \(1m30s\), ETA (1m0|5)", text)
    assert "shard 3: 0 of 7 runs, silent, process 13 on node8" in text
    assert "last heard of 5m00s ago" in text
    assert (found.planned, found.done, found.waiting) == (24, 17, 17)


def test_a_dead_process_of_this_machine_is_not_at_work(tmp_path: Path) -> None:
    with lock.locked(tmp_path):
        held = lock.holder(tmp_path)
        assert held is not None and held.lives
        assert held.pid == str(os.getpid()) and held.host == socket.gethostname()
        assert abs(held.since - time.time()) < 5
    assert lock.holder(tmp_path) is None
    gone = {"pid": 2**22 + 1, "host": socket.gethostname()}
    (tmp_path / lock.LOCK).write_text(json.dumps(gone))
    held = lock.holder(tmp_path)
    assert held is not None and not held.lives and held.since != held.since


def test_an_automatic_learning_rate_is_one_for_all_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grokmap.session import folder

    text = TEXT.replace("learning_rate = 0.05", 'learning_rate = "auto"')
    text = text.replace("n_steps = 3000", "n_steps = 20")
    rates = iter([0.11, 0.12, 0.13])  # as of machines that do not agree
    monkeypatch.setattr(folder, "choose_learning_rate", lambda sweep: next(rates))
    for k in (1, 2, 3):
        sweep(tmp_path / "s", text, shard=f"{k}/3")
    merged = grokmap.merge(tmp_path / "s")
    assert merged.code == 0 and merged.done == 24
    spec = store.read_spec(tmp_path / "s")
    assert spec.learning_rate == (0.11,) and spec.learning_rate_choice == "auto"
    assert next(rates) == 0.12  # asked once
    # Of two that start at once the first to write decides.
    assert store.agree_on_rate(tmp_path / "t", 0.2) == 0.2
    assert store.agree_on_rate(tmp_path / "t", 0.3) == 0.2


def test_what_is_no_shard_of_the_sweep_is_refused(
    cut: Path, tmp_path: Path, command_line: Any
) -> None:
    file = tmp_path / "s.toml"
    file.write_text(TEXT)
    for given, message in (
        (("--shard", "25/25"), "the sweep has 24 runs"),
        (("--shard", "4/3"), "part k of K"),
        (("--out", str(cut / "shards/0001")), "shard 1/3 of"),
    ):
        code, out, err = command_line("sweep", str(file), *given)
        assert code == 2 and out == "" and message in err and err.count("\n") == 1
    code, _, err = command_line("sweep", str(cut / "shards/0001"))
    assert code == 2 and "--shard 1/3" in err


def test_links_are_not_followed(cut: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    path = tmp_path / "s"
    path.mkdir()
    (path / "shards").symlink_to(outside)
    with pytest.raises(ResultError, match="link"):
        sweep(path, shard="1/3")
    assert list(outside.iterdir()) == []
    assert store.shard_folders(path) == []


def test_a_file_is_taken_where_links_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"data")
    assert disk.take_file(tmp_path, "a/b", source, link=True).samefile(source)
    assert disk.take_file(tmp_path, "a/b", source, link=True).samefile(source)
    assert not disk.take_file(tmp_path, "a/c", source, link=False).samefile(source)

    def no_link(*arguments: Any, **options: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_link)
    taken = disk.take_file(tmp_path, "a/d", source, link=True)
    assert taken.read_bytes() == b"data" and not taken.samefile(source)
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["b", "c", "d"]


def test_labels_are_those_of_the_whole(whole: Path) -> None:
    labels = tables(whole)[2]["phase"]
    assert set(labels) <= set(PHASES) and len(labels) == 24
    assert isinstance(labels, pd.Series)
