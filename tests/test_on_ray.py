"""Shards as tasks of Ray, with a made-up Ray; `test_ray.py` has a real one."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import ROOT
from shard_sweeps import TEXT

from grokmap import submit
from grokmap.errors import SpecError
from grokmap.process import watched
from grokmap.submit import Job, engine_named, on_ray


class RayError(Exception):
    """As in `ray.exceptions`, and those below it."""


class RayTaskError(RayError):
    pass


class TaskCancelledError(RayError):
    pass


class Reference:
    def __init__(self) -> None:
        self.made = Future[int]()

    def future(self) -> Future[int]:
        return self.made


class FakeRay:
    """Keeps what was asked of it; its tasks end when a test says so."""

    exceptions = SimpleNamespace(
        RayError=RayError,
        RayTaskError=RayTaskError,
        TaskCancelledError=TaskCancelledError,
    )

    def __init__(self, **resources: float) -> None:
        self.resources = resources
        self.asked: list[tuple[Any, dict[str, Any], tuple[Any, ...]]] = []
        self.references: list[Reference] = []
        self.cancelled: list[tuple[Reference, bool]] = []

    def cluster_resources(self) -> dict[str, float]:
        return self.resources

    def remote(self, function: Any) -> Any:
        def options(**options: Any) -> Any:
            def start(*args: Any) -> Reference:
                self.asked.append((function, options, args))
                self.references.append(Reference())
                return self.references[-1]

            return SimpleNamespace(remote=start)

        return SimpleNamespace(options=options)

    def cancel(self, reference: Reference, force: bool) -> None:
        self.cancelled.append((reference, force))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "s", ("/home/ada/s.toml",), 3)


def engine_on(ray: FakeRay, job: Job, monkeypatch: pytest.MonkeyPatch) -> on_ray.Ray:
    monkeypatch.setattr(on_ray, "connected", lambda address: ray)
    return on_ray.Ray(job)


@pytest.mark.parametrize(
    ("has", "asks", "n_gpus", "n_cpus", "cores", "variables"),
    [
        ({"CPU": 8.0}, {}, 0, 1, 1, {"JAX_PLATFORMS": "cpu"}),
        ({"CPU": 8.0}, {"cpus": "4"}, 0, 4, 4, {"JAX_PLATFORMS": "cpu"}),
        ({"CPU": 8.0, "GPU": 2.0}, {}, 1, 1, 0, {}),
        ({"CPU": 8.0, "GPU": 2.0}, {"gpus": "2"}, 2, 1, 0, {}),
        ({"CPU": 8.0, "GPU": 2.0}, {"gpus": "0"}, 0, 1, 1, {"JAX_PLATFORMS": "cpu"}),
        # Of nodes that are not there yet.
        ({"CPU": 8.0}, {"gpus": "1"}, 1, 1, 0, {}),
    ],
)
def test_a_task_asks_for_what_a_shard_needs(
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
    has: dict[str, float],
    asks: dict[str, str],
    n_gpus: int,
    n_cpus: int,
    cores: int,
    variables: dict[str, str],
) -> None:
    ray = FakeRay(**has)
    engine_on(ray, job._replace(asks=asks), monkeypatch).start([2])
    ((function, options, args),) = ray.asked
    assert function is watched.run
    assert (options["num_gpus"], options["num_cpus"]) == (n_gpus, n_cpus)
    assert options["max_retries"] == 3 and options["name"] == "s 2/3"
    words = ["-m", "grokmap", "sweep", "/home/ada/s.toml"]
    words += ["--out", str(job.path), "--shard", "2/3"]
    log = "shards/0002.log"
    assert args == (words, str(job.path), log, cores, variables, os.getcwd())


@pytest.mark.parametrize(
    ("ending", "code", "noted"),
    [
        (0, 0, ""),
        (75, 75, ""),
        (TaskCancelledError("cancelled"), 75, ""),
        (RayTaskError("Traceback\n  x\nNo module named 'grokmap'\n"), 1, "No module"),
        (RayError("The node died."), -9, "Ray: The node died.\n"),
        (RayError(""), -9, "Ray: RayError\n"),
    ],
)
def test_how_a_task_ends_is_an_exit_code(
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
    ending: int | Exception,
    code: int,
    noted: str,
) -> None:
    ray = FakeRay(CPU=1.0)
    (task,) = engine_on(ray, job, monkeypatch).start([1])
    assert task.poll() is None
    future = ray.references[0].made
    if isinstance(ending, int):
        future.set_result(ending)
    else:
        future.set_exception(ending)
    assert task.poll() == code
    log = job.path / "shards/0001.log"
    assert (noted in log.read_text()) if noted else not log.exists()


def test_a_task_is_asked_to_stop_and_not_killed(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = FakeRay(CPU=1.0)
    first, second = engine_on(ray, job, monkeypatch).start([1, 3])
    second.stop()
    assert ray.cancelled == [(ray.references[1], False)]


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A package ray that connects as the real one does: it takes SIGTERM for itself."""
    calls: list[str | None] = []

    def init(address: str | None, **options: Any) -> None:
        calls.append(address)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if address == "auto":
            raise ConnectionError("Could not find any running Ray instance.")

    made = SimpleNamespace(init=init, is_initialized=lambda: len(calls) > 1)
    monkeypatch.setitem(sys.modules, "ray", made)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return SimpleNamespace(calls=calls, made=made)


def test_the_signals_of_the_driver_stay_its_own(package: Any) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert on_ray.connected(None) is package.made
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(SpecError, match="--address auto: no Ray cluster to be used"):
        on_ray.connected("auto")
    assert signal.getsignal(signal.SIGTERM) is before
    on_ray.connected("auto")  # as the program that uses grokmap has connected already
    assert package.calls == [None, "auto"]


def test_an_address_where_nothing_listens_is_refused_at_once(package: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
            with pytest.raises(SpecError) as raised:
                on_ray.connected(address)
            assert f"--address {address}: no Ray cluster" in str(raised.value)
        unused.listen()
        on_ray.connected(f"127.0.0.1:{port}")
    assert package.calls == [f"127.0.0.1:{port}"]


def test_without_ray_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "no_such_package").mkdir()  # a folder is no package
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(submit.NEEDS, "ray", "no_such_package")
    with pytest.raises(SpecError) as raised:
        engine_named("ray")
    assert "pip install 'grokmap[ray]'" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.fixture
def as_if_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(submit.NEEDS, "ray")


def test_a_dry_run_prints_the_tasks(as_if_installed: None, command_line: Any) -> None:
    Path("s.toml").write_text(TEXT)
    words = ("submit", "s.toml", "--shards", "2", "--on", "ray", "--dry-run")
    code, out, err = command_line(*words, "--gpus", "1", "--cpus", "4")
    head, *lines = out.splitlines()
    assert code == 0 and err == ""
    assert head == "# one Ray task a line: num_cpus=4, num_gpus=1"
    here = Path().absolute()
    options = ["--out", str(here / "results/s"), "--shard", "2/2"]
    sweep = [sys.executable, "-m", "grokmap", "sweep", str(here / "s.toml")]
    assert len(lines) == 2 and shlex.split(lines[1]) == [*sweep, *options]
    assert not Path("results").exists()


@pytest.mark.parametrize(
    "option", [("--gpus", "1"), ("--cpus", "1"), ("--address", "auto")]
)
def test_options_of_ray_are_refused_elsewhere(
    command_line: Any, option: tuple[str, str]
) -> None:
    Path("s.toml").write_text(TEXT)
    words = ("submit", "s.toml", "--shards", "2", *option)
    code, out, err = command_line(*words, "--dry-run")
    assert code == 2 and out == ""
    assert f"{option[0]}: not for --on local; for " in err and "--on ray" in err


def test_a_command_runs_with_its_log_cores_and_variables(tmp_path: Path) -> None:
    shown = (
        "import os; print(len(os.sched_getaffinity(0)), os.environ['A'], os.getcwd())"
    )
    code = f"{shown}; raise SystemExit(7)"
    words = (["-c", code], str(tmp_path), "shards/0004.log")
    assert watched.run(*words, 1, {"A": "b"}, str(tmp_path)) == 7
    assert watched.run(*words, 10**6, {"A": "c"}, "/no/such/folder") == 7
    first, second = (tmp_path / "shards/0004.log").read_text().splitlines()
    assert first == f"1 b {tmp_path}"
    # More cores than there are: bound to none.
    assert second == f"{len(os.sched_getaffinity(0))} c {os.getcwd()}"


def test_a_command_that_a_signal_kills_has_the_code_of_shells(tmp_path: Path) -> None:
    killed = "import os; os.kill(os.getpid(), 9)"
    assert watched.run(["-c", killed], str(tmp_path), "log", 0, {}, "") == 128 + 9


def test_no_two_commands_have_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "CORE", "grokmap-test")
    n = len(os.sched_getaffinity(0))
    cores, kept = watched.free_cores(1)
    assert cores == [min(os.sched_getaffinity(0))]
    assert watched.free_cores(n) == ([], [])
    rest, more = watched.free_cores(n - 1)
    assert sorted(cores + rest) == sorted(os.sched_getaffinity(0))
    for each in kept + more:
        each.close()
    again, kept = watched.free_cores(n)
    for each in kept:
        each.close()
    assert len(again) == n


COUNTED = """
import signal, sys, time
def stop(number, frame):
    print("signal", number, flush=True)
signal.signal(signal.SIGTERM, stop)
print("begun", flush=True)
until = time.monotonic() + {seconds}
while time.monotonic() < until:
    time.sleep(0.05)
print("ended", flush=True)
sys.exit(75)
"""
RUN = (
    "import sys; from grokmap.process import watched; sys.exit(watched.run(*{args!r}))"
)


def runner(folder: Path, seconds: float) -> subprocess.Popen[bytes]:
    """A process that waits for a command, which counts signals and takes its time."""
    command = ["-c", COUNTED.format(seconds=seconds)]
    code = RUN.format(args=(command, str(folder), "log", 0, {}, ""))
    process = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    wait_for(folder / "log", "begun")
    return process


def wait_for(file: Path, text: str) -> None:
    deadline = time.monotonic() + 60
    while not (file.exists() and text in file.read_text()):
        assert time.monotonic() < deadline, f"no {text!r}"
        time.sleep(0.05)


def test_ctrl_c_is_waited_for(tmp_path: Path) -> None:
    process = runner(tmp_path, 3)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 75
    assert (tmp_path / "log").read_text() == "begun\nsignal 15\nended\n"


def test_a_command_whose_waiter_is_killed_is_told_so_once(tmp_path: Path) -> None:
    process = runner(tmp_path, 3)
    process.kill()
    process.wait()
    wait_for(tmp_path / "log", "ended")
    assert (tmp_path / "log").read_text() == "begun\nsignal 15\nended\n"
