"""`grokmap submit`: shards that stop or die go on, and all of them are merged."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import CACHE, ROOT
from shard_sweeps import TEXT, assert_same
from test_refine import SWEEP

import grokmap
from grokmap import store
from grokmap.session import lock, standing
from grokmap.submit import Job, drive, driver, local

JOB = Job(Path("/nowhere/s"), ("/nowhere/s.toml", "-s", "alpha=0,0.1"), 3)


def test_the_command_of_a_shard_can_be_run_anywhere() -> None:
    python = [sys.executable, "-m", "grokmap", "sweep"]
    given = ["/nowhere/s.toml", "-s", "alpha=0,0.1", "--out", "/nowhere/s"]
    assert JOB.command(2) == [*python, *given, "--shard", "2/3"]


class Ended:
    """An attempt that ends with a code, after it was asked so many times."""

    def __init__(self, code: int, after: int = 1) -> None:
        self.code, self.after, self.stopped = code, after, False

    def poll(self) -> int | None:
        self.after -= 1
        if self.stopped:
            return 75
        return self.code if self.after <= 0 else None

    def stop(self) -> None:
        self.stopped = True


class Scripted:
    """An engine whose shards end as they are told; 0 when nothing more is told."""

    def __init__(self, codes: dict[int, list[int]], after: int = 1) -> None:
        self.codes, self.after = codes, after
        self.starts: dict[int, int] = defaultdict(int)
        self.attempts: list[Ended] = []

    def start(self, numbers: Sequence[int]) -> list[Ended]:
        made = []
        for number in numbers:
            codes = self.codes.get(number, [])
            k = self.starts[number]
            self.starts[number] += 1
            made.append(Ended(codes[k] if k < len(codes) else 0, self.after))
        self.attempts += made
        return made

    def script(self) -> str:
        return ""


@pytest.fixture
def driven(monkeypatch: pytest.MonkeyPatch) -> Any:
    """(exit code, engine, what was said) of a job whose shards end with these codes."""
    monkeypatch.setattr(driver, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(driver, "LOCKED_SECONDS", 0.01)

    def run(
        codes: dict[int, list[int]], moves: bool = True, **options: Any
    ) -> tuple[int, Scripted, str]:
        count = iter(range(10**6))
        monkeypatch.setattr(
            driver, "progress_of", lambda job, n: (next(count) if moves else 0, 0)
        )
        engine, said = Scripted(codes, options.pop("after", 1)), list[str]()
        code = drive(JOB, engine, said.append, **options)
        return code, engine, "\n".join(said)

    return run


def test_shards_that_wait_to_begin_are_no_error(
    driven: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "REPORT_SECONDS", 0.01)
    code, _, said = driven({}, after=100)
    assert code == 0 and "none of 3 shards is at work yet" in said


def test_shards_go_on_while_they_make_progress(driven: Any) -> None:
    code, engine, said = driven({1: [75, -9, 75, 75], 3: [1]})
    assert code == 0 and engine.starts == {1: 5, 2: 1, 3: 2}
    assert "shard 1/3: stopped; it goes on" in said
    assert "shard 1/3: died (exit code -9); it goes on" in said


def test_a_shard_without_progress_is_given_up(driven: Any) -> None:
    code, engine, said = driven({2: [-9] * 9}, moves=False)
    assert code == 3 and engine.starts == {1: 1, 2: 2, 3: 1}
    assert "shard 2/3: died (exit code -9) 2 times without progress; given up" in said


def test_a_shard_that_another_writes_is_waited_for(driven: Any) -> None:
    code, engine, said = driven({2: [5] * 4}, moves=False)
    assert code == 0 and engine.starts[2] == 5
    assert "shard 2/3: written by another process" in said


def test_failed_runs_are_said_and_not_tried_for_ever(driven: Any) -> None:
    code, engine, said = driven({2: [3]})
    assert code == 3 and engine.starts[2] == 1 and "some runs failed" in said


@pytest.mark.parametrize("code", [2, 4])
def test_a_refused_sweep_stops_all(driven: Any, code: int) -> None:
    found, engine, _ = driven({2: [code] * 5, 1: [75] * 5})
    assert found == code and engine.starts[2] == 1
    assert engine.attempts[2].stopped or engine.attempts[2].after <= 0


def test_a_stop_reaches_every_shard_once(driven: Any) -> None:
    asked = iter([False] * 3 + [True] * 1000)
    code, engine, _ = driven({}, after=1000, should_stop=lambda: next(asked))
    assert code == 75 and engine.starts == {1: 1, 2: 1, 3: 1}
    assert all(attempt.stopped for attempt in engine.attempts)


@pytest.mark.parametrize(
    ("of", "cores", "gpus", "expected"),
    [
        (2, [0, 1], [], [((0,), None), ((1,), None)]),
        (1, [0, 1, 2], [], [((0, 1, 2), None)]),
        (8, [4, 5], [], [((4,), None), ((5,), None)]),
        (8, [0, 1, 2, 3], ["0", "1"], [((0, 1), "0"), ((2, 3), "1")]),
        (1, [0, 1], ["3", "4"], [((0, 1), "3")]),
        (2, [0], ["0", "1"], [((), "0"), ((0,), "1")]),
        (2, [], [], [((), None)]),
    ],
)
def test_places_share_cores_and_gpus(
    monkeypatch: pytest.MonkeyPatch,
    of: int,
    cores: list[int],
    gpus: list[str],
    expected: list[Any],
) -> None:
    monkeypatch.setattr(local, "usable_cores", lambda: cores)
    monkeypatch.setattr(local, "visible_gpus", lambda: gpus)
    assert [tuple(place) for place in local.places(of)] == expected


def test_gpus_are_those_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    assert local.visible_gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-ab")
    assert local.visible_gpus() == ["2", "GPU-ab"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert local.visible_gpus() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert local.visible_gpus() == []


def test_a_process_is_bound_to_its_cores_and_its_gpu(tmp_path: Path) -> None:
    job = Job(tmp_path, (), 1)
    shown = (
        "import os; print(os.sched_getaffinity(0), os.environ['CUDA_VISIBLE_DEVICES'])"
    )
    core = min(os.sched_getaffinity(0))
    place = local.Place((core,), "7")

    class Shown(Job):
        def command(self, number: int) -> list[str]:
            return [sys.executable, "-c", shown]

    before = os.sched_getaffinity(0)
    assert local.started(Shown(*job), 4, place).wait(60) == 0
    said = (tmp_path / "shards/0004.log").read_text()
    assert said == f"{{{core}}} 7\n" and os.sched_getaffinity(0) == before


def test_dry_run_prints_commands_that_are_right(command_line: Any) -> None:
    Path("s.toml").write_text(TEXT)
    words = ("submit", "s.toml", "--shards", "3", "-s", "alpha=0", "--extend")
    code, out, err = command_line(*words, "--dry-run")
    lines = out.splitlines()
    assert code == 0 and err == "" and len(lines) == 3
    *_, options = lines[1].partition(" -m grokmap sweep ")
    here = Path().absolute()
    assert shlex.split(options) == [
        *(str(here / "s.toml"), "-s", "alpha=0", "--extend"),
        *("--out", str(here / "results/s"), "--shard", "2/3"),
    ]
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--shards", "25"), "the sweep has 24 runs"),
        (("--shards", "2", "--on", "moon"), "no such engine; there are: local"),
        (("--shards", "2", "-s", "alpha=x"), "alpha"),
    ],
)
def test_what_cannot_be_submitted_is_one_line(
    command_line: Any, options: tuple[str, ...], message: str
) -> None:
    Path("s.toml").write_text(TEXT)
    code, out, err = command_line("submit", "s.toml", *options)
    assert code == 2 and out == "" and message in err
    assert not Path("results").exists()


def submitted(folder: Path, text: str, *options: str) -> subprocess.Popen[bytes]:
    (folder / "s.toml").write_text(text)
    words = ["submit", "s.toml", "--shards", "2", *options]
    return subprocess.Popen(
        [sys.executable, "-m", "grokmap", *words],
        cwd=folder,
        env={
            **os.environ,
            "JAX_COMPILATION_CACHE_DIR": CACHE.name,
            "PYTHONPATH": str(ROOT),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_two_local_shards_are_bitwise_the_sweep(tmp_path: Path) -> None:
    process = submitted(tmp_path, TEXT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert b"24 of 24 runs; 24 taken" in out
    whole = grokmap.sweep(TEXT, out=tmp_path / "whole", on_progress=lambda counts: None)
    assert_same(tmp_path / "results/s", whole.path)


LONG = TEXT.replace("3000", "200000")


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def holders(path: Path) -> list[int]:
    found = [lock.holder(folder) for folder in store.shard_folders(path)]
    return [int(each.pid) for each in found if each and each.lives]


@pytest.mark.slow
def test_a_killed_shard_goes_on_and_ctrl_c_stops_all(tmp_path: Path) -> None:
    path = tmp_path / "results/s"
    process = submitted(tmp_path, LONG, "--checkpoint", "0.2s")
    wait_for(lambda: len(holders(path)) == 2)
    time.sleep(3)
    victim = holders(path)[0]
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: len(holders(path)) == 2 and victim not in holders(path))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert b"died (exit code -9); it goes on" in err
    assert b"stopped; the same command goes on" in err
    assert holders(path) == [] and standing.whole(path).done < 24
    assert b"Traceback" not in err


@pytest.mark.slow
def test_shards_outlive_the_one_that_started_them(tmp_path: Path) -> None:
    """Killed, and started again while its shards are still at work."""
    path = tmp_path / "results/s"
    first = submitted(tmp_path, TEXT.replace("3000", "20000"))
    wait_for(lambda: len(holders(path)) == 2)
    first.kill()
    first.communicate()
    second = submitted(tmp_path, TEXT.replace("3000", "20000"))
    out, err = second.communicate(timeout=300)
    assert second.returncode == 0, err
    assert b"24 of 24 runs" in out
    stored = [run for ids, _ in store.origins(path) for run in ids]
    assert len(stored) == len(set(stored)) == 24


@pytest.mark.slow
def test_a_refinement_in_shards_chooses_and_trains_the_same(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(SWEEP)
    (tmp_path / "within.toml").write_text("last_step = 1200\n")
    options = ("--criteria", "within.toml", "--precision", "0.05")
    options += ("--max-runs", "8", "--batch", "4")
    for out, extra in (("one", ()), ("two", ("--shards", "2"))):
        for words in (("sweep", "s.toml", "--out", out), ("refine", out)):
            more = (*options, *extra) if words[0] == "refine" else ()
            done = subprocess.run(
                [sys.executable, "-m", "grokmap", *words, *more],
                cwd=tmp_path,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
            )
            assert done.returncode == 0, done.stderr.decode()
    points = store.read_points(tmp_path / "two")
    assert points is not None and points["round"].max() > 1
    assert len(store.shard_folders(tmp_path / "two")) == 2
    assert_same(tmp_path / "two", tmp_path / "one")
