"""Shards as jobs of Slurm: with a made-up submitit, squeue and scancel."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from shard_sweeps import TEXT

import grokmap
from grokmap import submit
from grokmap.errors import SpecError
from grokmap.process import carrier
from grokmap.submit import Job, batch, queue, slurm

LISTENS = """
import signal, sys, time
def stop(number, frame):
    print(signal.Signals(number).name, flush=True)
    time.sleep(0.5)
    sys.exit(75)
signal.signal(signal.SIGXCPU, stop)
print("begun", flush=True)
time.sleep(60)
"""
DEAF = "print('begun', flush=True); import time; time.sleep(60)"


def carried(folder: Path, code: str, **environment: str) -> subprocess.Popen[bytes]:
    """A process that carries a Python program, as the job 12_3 of Slurm."""
    given = repr([[sys.executable, "-c", code], str(folder / "log"), str(folder)])
    ids = {"SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3"}
    text = "import sys; from grokmap.process.carrier import carry"
    return subprocess.Popen(
        [sys.executable, "-c", f"{text}; sys.exit(carry(*{given}) % 256)"],
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or ids)},
    )


def wait_for_log(folder: Path) -> None:
    deadline = time.monotonic() + 60
    while not ((folder / "log").exists() and "begun" in (folder / "log").read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("code", [0, 3, 75])
def test_a_job_writes_how_its_command_ended(tmp_path: Path, code: int) -> None:
    program = f"print('said'); raise SystemExit({code})"
    assert carried(tmp_path, program, SLURM_JOB_ID="7").wait(60) == code
    assert queue.exit_codes(tmp_path) == {"7": code}
    assert (tmp_path / "log").read_text() == "said\n"


@pytest.mark.parametrize("name", carrier.NAMES)
def test_a_signal_stops_the_command_in_good_order(tmp_path: Path, name: str) -> None:
    """Also where it reaches the command as well, and comes again."""
    process = carried(tmp_path, LISTENS)
    wait_for_log(tmp_path)
    (child,) = (
        Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    )
    number = getattr(signal, name)
    os.kill(int(child), number)
    for _ in range(2):
        process.send_signal(number)
        time.sleep(0.1)
    assert process.wait(60) == 75
    assert queue.exit_codes(tmp_path) == {"12_3": 75}
    assert (tmp_path / "log").read_text().split()[:2] == ["begun", "SIGXCPU"]


def test_a_command_that_does_not_listen_yet_counts_as_stopped(tmp_path: Path) -> None:
    process = carried(tmp_path, DEAF)
    wait_for_log(tmp_path)
    process.send_signal(signal.SIGUSR2)
    assert process.wait(60) == 75


def test_a_command_that_is_killed_has_died(tmp_path: Path) -> None:
    carried(tmp_path, "import os; os.kill(os.getpid(), 9)").wait(60)
    assert queue.exit_codes(tmp_path) == {"12_3": -9}


def test_wall_time_leaves_five_minutes() -> None:
    assert batch.budget_of({"time": "4h"}) == ["--time-budget", "14100s"]
    assert batch.minutes_of({"time": "4h"}) == 240
    assert batch.minutes_of({"time": "1-00:30:40"}) == 1470
    assert batch.budget_of({}) == [] and batch.minutes_of({}) is None
    for short_ in ("9m59s", "inf", "4 hours long"):
        with pytest.raises(SpecError, match="--time"):
            batch.minutes_of({"time": short_})


def test_options_of_sbatch() -> None:
    asks = {"sbatch": "account=physics\n--constraint=a100&nv\nexclusive", "cpus": "4"}
    made = batch.parameters(Path("/nowhere/s"), 3, asks)
    assert made["additional_parameters"] == {
        **{"no-requeue": True, "account": "physics"},
        **{"constraint": "a100&nv", "exclusive": True},
    }
    assert made["cpus_per_task"] == "4" and made["srun_args"] == ["--cpus-per-task=4"]
    assert made["partition"] is made["gpus_per_node"] is made["time"] is None
    assert made["job_name"] == batch.job_name(Path("/nowhere/s"))
    assert made["job_name"].startswith("grokmap-s-")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time=4:00:00", "use --time"),
        ("cpus_per_task=2", "use --cpus"),
        ("--requeue", "grokmap sets it"),
        ("account=", "KEY=VALUE"),
        ("=x", "KEY=VALUE"),
        ("a b=c", "KEY=VALUE"),
    ],
)
def test_options_of_sbatch_that_are_set_here(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        batch.extra_of({"sbatch": text})


class Executor:
    """As submitit's: takes arrays, names jobs, or refuses."""

    arrays: list[list[int]] = []
    refuses = ""
    environment: dict[str, str] = {}

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def update_parameters(self, **parameters: Any) -> None:
        assert parameters["array_parallelism"] == 3

    def map_array(self, function: Any, commands: Any, logs: Any, at: Any) -> list[Any]:
        if Executor.refuses:
            raise RuntimeError(Executor.refuses)
        Executor.environment = dict(os.environ)
        assert function is carrier.carry and set(at) == {str(self.folder)}
        numbers = [int(command[-3].split("/")[0]) for command in commands]
        assert [Path(log).name for log in logs] == [f"{n:04d}.log" for n in numbers]
        Executor.arrays.append(numbers)
        array = len(Executor.arrays)
        return [types.SimpleNamespace(job_id=f"{array}_{k}") for k in range(len(logs))]


class Cluster:
    """Slurm as an engine sees it: `queued` is what waits or runs."""

    def __init__(self, path: Path) -> None:
        self.job = Job(path, (str(path.parent / "s.toml"),), 3, {"time": "4h"})
        self.queued: frozenset[str] | None = frozenset()
        self.stopped: list[Sequence[str]] = []

    def engine(self) -> slurm.Slurm:
        return slurm.Slurm(self.job)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cluster:
    made = Cluster(tmp_path / "s")
    submitit = types.SimpleNamespace(SlurmExecutor=Executor)
    monkeypatch.setattr(slurm, "imported", lambda: submitit)
    monkeypatch.setattr(Executor, "arrays", [])
    monkeypatch.setattr(slurm, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(slurm, "LATE_SECONDS", 0.05)
    monkeypatch.setattr(queue, "listed", lambda name: made.queued)
    monkeypatch.setattr(queue, "ask_to_stop", made.stopped.append)
    return made


def end(engine: slurm.Slurm, job: str, code: int) -> None:
    assert engine.folder is not None
    (engine.folder / f"{job}.code").write_text(f"{code}\n")


def test_shards_are_one_array_and_end_by_their_files(cluster: Cluster) -> None:
    cluster.queued = frozenset({"1_0", "1_1", "1_2"})
    engine = cluster.engine()
    first, second, third = engine.start([1, 2, 3])
    assert Executor.arrays == [[1, 2, 3]]
    assert [a.poll() for a in (first, second, third)] == [None] * 3
    end(engine, "1_1", 75)
    assert [a.poll() for a in (first, second, third)] == [None, 75, None]
    (again,) = engine.start([2])  # is submitted with the next look
    assert Executor.arrays == [[1, 2, 3]] and again.poll() is None
    assert Executor.arrays == [[1, 2, 3], [2]] and again.job == "2_0"


def test_a_job_that_submits_passes_nothing_of_itself_on(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"SLURM_CONF": "/c", "SLURM_ARRAY_JOB_ID": "9", "SBATCH_QOS": "low"}
    for name, value in (told | {"SLURM_JOB_ID": "9"}).items():
        monkeypatch.setenv(name, value)
    cluster.engine().start([1])
    names = {n for n in Executor.environment if n.startswith(("SLURM", "SBATCH"))}
    assert names == {"SLURM_CONF", "SBATCH_QOS"}
    assert os.environ["SLURM_ARRAY_JOB_ID"] == "9"


def test_a_job_that_is_gone_without_a_word_has_died(cluster: Cluster) -> None:
    cluster.queued = None  # the controller is away: nothing is known
    (attempt,) = cluster.engine().start([2])
    for _ in range(2):
        assert attempt.poll() is None
        time.sleep(0.06)
    cluster.queued = frozenset()
    assert attempt.poll() is None  # its file may come late
    time.sleep(0.06)
    assert attempt.poll() == -9


def test_a_stop_is_repeated_until_the_job_has_ended(cluster: Cluster) -> None:
    cluster.queued = frozenset({"1_0", "1_1"})
    engine = cluster.engine()
    running, waiting = engine.start([1, 2])
    for attempt in (running, waiting):
        attempt.stop()
    assert running.poll() is None and waiting.poll() is None
    assert cluster.stopped == [["1_0", "1_1"]] * 2
    end(engine, "1_0", 75)
    cluster.queued = frozenset()
    assert running.poll() == 75
    time.sleep(0.06)
    assert waiting.poll() is None or waiting.poll() == 75
    time.sleep(0.06)
    assert waiting.poll() == 75


def test_jobs_of_an_earlier_process_are_taken_on(cluster: Cluster) -> None:
    cluster.engine().start([1, 2, 3])
    cluster.queued = frozenset({"1_1", "1_2"})
    engine = cluster.engine()
    first, second, third = engine.start([1, 2, 3])
    assert Executor.arrays == [[1, 2, 3], [1]]
    assert (first.job, second.job, third.job) == ("2_0", "1_1", "1_2")
    folder = engine.earlier[3][1] if engine.earlier else Path()
    (folder / "1_1.code").write_text("0\n")
    (folder / "1_2.code").write_text("75\n")
    assert second.poll() == 0 and third.poll() == 75


def test_jobs_of_other_shards_or_another_sweep_are_not_taken_on(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.engine().start([1, 2, 3])
    cluster.queued = frozenset({"1_0", "1_1", "1_2"})
    assert len(queue.noted(cluster.job.path, 3)) == 3
    assert queue.noted(cluster.job.path, 2) == {}
    (tmp_path / "s.toml").write_text("grown")
    (again,) = cluster.engine().start([2])
    assert again.job == "2_0"


@pytest.mark.slow
def test_a_shard_that_is_done_needs_no_job_again(
    cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "s.toml").write_text(TEXT.replace("3000", "20"))
    path, spec = cluster.job.path, tmp_path / "s.toml"
    cluster.engine().start([1, 2, 3])
    grokmap.sweep(spec, out=path, shard="2/3", on_progress=lambda counts: None)
    _, second, _ = cluster.engine().start([1, 2, 3])
    assert second.poll() == 0 and Executor.arrays == [[1, 2, 3], [1, 3]]
    for file in (path / "shards/0002/trajectories").iterdir():
        file.unlink()
    cluster.engine().start([2])
    assert Executor.arrays[2:] == [[2]]


def test_a_refusal_is_an_error_at_first_and_waited_for_later(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = "sbatch: error: invalid partition: moon\nsbatch: error: failed"
    monkeypatch.setattr(Executor, "refuses", refusal)
    with pytest.raises(SpecError, match="invalid partition: moon; error: failed"):
        cluster.engine().start([1])
    monkeypatch.setattr(Executor, "refuses", "")
    engine = cluster.engine()
    engine.start([1])
    monkeypatch.setattr(Executor, "refuses", "sbatch: error: try later")
    (attempt,) = engine.start([2])
    assert attempt.poll() is None and attempt.job is None
    monkeypatch.setattr(Executor, "refuses", "")
    assert attempt.poll() is None and attempt.job == "2_0"
    monkeypatch.setattr(Executor, "refuses", "sbatch: error: for good")
    monkeypatch.setattr(slurm, "MOST_REFUSED", 2)
    (last,) = engine.start([3])
    with pytest.raises(SpecError, match="for good"):
        [last.poll() for _ in range(3)]


def test_squeue_and_scancel_are_asked_as_they_understand_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    for name, said in (("squeue", "7\\n12_0\\n12_10\\n"), ("scancel", "")):
        program = f"#!/bin/sh\necho {name} \"$@\" >> {log}\nprintf '{said}'\n"
        (tmp_path / name).write_text(program)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert queue.listed("grokmap-s") == {"7", "12_0", "12_10"}
    queue.ask_to_stop(["12_0", "7"])
    user = os.getuid()
    assert log.read_text().splitlines() == [
        f"squeue --noheader --array --user {user} --name grokmap-s --format %i",
        "scancel --quiet --state=PENDING 12_0 7",
        "scancel --quiet --signal=USR1 12_0 7",
    ]
    (tmp_path / "squeue").write_text("#!/bin/sh\nexit 1\n")
    assert queue.listed("grokmap-s") is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--gpus", "1"), "--gpus: not for --on local; for --on slurm"),
        (("--sbatch", "account=a"), "--sbatch: not for --on local"),
        (("--on", "slurm"), "needs the package submitit: pip install 'grokmap[slurm]'"),
        (("--on", "slurm", "--time", "5m"), "give a shard 10 minutes or more"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    command_line: Any,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.setattr(submit, "_is_installed", lambda package: "--time" in options)
    Path("s.toml").write_text(TEXT)
    code, out, err = command_line("submit", "s.toml", "--shards", "2", *options)
    assert code == 2 and out == "" and message in err and err.count("\n") == 1
    assert not Path("results").exists()


def test_dry_run_prints_the_batch_script(tmp_path: Path) -> None:
    if importlib.util.find_spec("submitit") is None:
        pytest.skip("submitit is not installed")
    (tmp_path / "s.toml").write_text(TEXT)
    words = ("submit", "s.toml", "--shards", "3", "--on", "slurm", "--time", "4h")
    asks = ("--gpus", "1", "--partition", "long", "--sbatch", "account=physics")
    # A process of its own: submitit keeps the streams that it finds when imported.
    done = subprocess.run(
        [sys.executable, "-m", "grokmap", *words, *asks, "--dry-run"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    out = done.stdout
    assert done.returncode == 0 and done.stderr == ""
    assert out.startswith("#!/bin/bash\n")
    for line in (
        *("array=0-2%3", "time=240", "gpus-per-node=1", "partition=long"),
        *("account=physics", "no-requeue", "signal=USR2@240", "nodes=1"),
    ):
        assert f"\n#SBATCH --{line}\n" in out
    last = out.splitlines()[-1]
    assert last.startswith("# 2: ")
    assert last.endswith("--shard 3/3 --time-budget 14100s")
    assert not (tmp_path / "results").exists()
