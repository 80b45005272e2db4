"""What a sweep survives: each fault really caused; docs/reliability.md lists them."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import CACHE, ROOT
from shard_sweeps import assert_same

from grokmap import disk, store
from grokmap.engine import execute, filling
from grokmap.errors import LockedError, ResultError
from grokmap.session import checkpoint, display, lock, session

COMMON = """
name = "s"
task = "modular_addition"
modulus = 7
train_fraction = 0.6
order_parameters = ["snr", "ntk_drift"]
"""
SWEEPS = {
    "gd, two systems": """
learning_rate = 0.05
momentum = 0.9
n_steps = 20000
[axes]
width = [16, 24]
weight_decay = [1e-4, 1e-2]
alpha = [0, 0.3]
""",
    "adamw, cross-entropy": """
optimizer = "adamw"
loss = "cross_entropy"
activation = "relu"
bias = true
learning_rate = 1e-3
n_steps = 8000
width = 24
alpha = 0
[axes]
weight_decay = [1e-2, 1]
seed = "range:0:3:1"
""",
    "horizon, two moduli": """
learning_rate = 0.1
horizon = 3
max_steps = 8000
width = 16
alpha = 0
[axes]
modulus = [5, 7]
weight_decay = [1e-2, 0.1, 1]
train_fraction = [0.5, 0.7]
""",
}


def text_of(name: str) -> str:
    own = SWEEPS[name]
    keys = {line.split(" =")[0] for line in own.splitlines() if " =" in line}
    common = [line for line in COMMON.splitlines() if line.split(" =")[0] not in keys]
    return "\n".join(common) + own


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "grokmap", "sweep", "s.toml", *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "JAX_COMPILATION_CACHE_DIR": CACHE.name}


EXECUTE = execute.execute


def tuned(monkeypatch: pytest.MonkeyPatch, tuning: execute.Tuning) -> None:
    """Lets the command line train by other settings, which it has no options for."""
    monkeypatch.setattr(execute, "execute", partial(EXECUTE, tuning=tuning))


@pytest.fixture
def grokmap(command_line: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`command_line` beside s.toml, trained in many short chunks."""
    Path("s.toml").write_text(text_of("gd, two systems"))
    tuned(monkeypatch, execute.Tuning(cpu_chunk_flops=5e6, cpu_least_flops=1e6))
    return command_line


SHORT = ("-s", "n_steps=3000")  # of the gd sweep


def assert_longer_same(path: Path, reference: Path) -> None:
    """Bitwise the same trajectories of the runs that took the whole of `SHORT`."""
    extended, other = (store.read_trajectories(p)[0] for p in (path, reference))
    last = extended.groupby("run_id")["step"].max()
    longer = last.index[last == 3000]
    assert len(longer) > 0
    pd.testing.assert_frame_equal(
        extended[extended["run_id"].isin(longer)].reset_index(drop=True),
        other[other["run_id"].isin(longer)].reset_index(drop=True),
        check_exact=True,
    )


def stop_after(chunks: int, code: int) -> Callable[[Any], bool]:
    """In place of `Stop.__call__`: stops when it was asked so many times."""
    asked = 0

    def __call__(self: Any) -> bool:
        nonlocal asked
        asked += 1
        if asked >= chunks:
            self.code = code
        return asked >= chunks

    return __call__


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The short gd sweep, never interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    return trained(folder, "gd, two systems", *SHORT)


@pytest.mark.parametrize("chunks", [2, 9, 40, 41])
def test_a_stopped_sweep_goes_on_where_it_was(
    grokmap: Any, whole: Path, monkeypatch: pytest.MonkeyPatch, chunks: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(session.Stop, "__call__", stop_after(chunks, 75))
        code, _, err = grokmap("sweep", "s.toml", *SHORT)
    assert code == 75 and "are kept; the same command goes on" in err
    places = checkpoint.places(Path("results/s"))
    assert places and all(place.step > 0 for place in places.values())
    steps: list[int] = []
    with monkeypatch.context() as patch:
        progress = display.Display.progress
        patch.setattr(
            display.Display,
            "progress",
            lambda self, done: [steps.append(done.run_steps), progress(self, done)][1],
        )
        assert grokmap("sweep", "s.toml", *SHORT)[0] == 0
    # Nothing twice: what was trained before is not trained again.
    done = store.stored(Path("results/s")).steps
    before = sum(place.step for place in places.values())
    assert sum(steps) <= sum(done.values()) - before
    assert_same(Path("results/s"), whole)
    assert not any(Path("results/s/checkpoints").glob("*.npz"))


@pytest.mark.parametrize("damage", ["latest", "both", "another version"])
def test_a_damaged_checkpoint_costs_time_only(
    grokmap: Any, whole: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(session.Stop, "__call__", stop_after(30, 75))
        assert grokmap("sweep", "s.toml", *SHORT, "--checkpoint", "0s")[0] == 75
    folder = Path("results/s/checkpoints")
    latest, previous = folder / checkpoint.LATEST, folder / checkpoint.PREVIOUS
    assert latest.is_file() and previous.is_file()
    if damage == "another version":
        monkeypatch.setattr(filling, "made_by_of", lambda settings: "{}")
    else:
        for file in [latest, previous][: 1 + (damage == "both")]:
            data = bytearray(file.read_bytes())
            data[len(data) // 2] ^= 1
            file.write_bytes(data[: None if damage == "both" else -100])
        # Half of a file lacks its table of contents, so the one before is used.
        found = {place.file for place in checkpoint.places(Path("results/s")).values()}
        assert latest not in found or damage == "both"
    assert grokmap("sweep", "s.toml", *SHORT)[0] == 0
    assert_same(Path("results/s"), whole)


KILLS = [
    pytest.param("gd, two systems", SHORT, 2, id="gd"),
    *(pytest.param(name, (), 17, marks=pytest.mark.slow) for name in SWEEPS),
]


@pytest.mark.parametrize(("name", "options", "kills"), KILLS)
def test_killed_at_random_moments_nothing_is_lost(
    tmp_path: Path, whole: Path, name: str, options: tuple[str, ...], kills: int
) -> None:
    """SIGKILL, the same command again, until enough kills hit; then to the end."""
    rng = random.Random(f"{name} {kills}")
    if options == SHORT:
        reference = whole
    else:
        reference = trained(tmp_path / "whole", name, *options)
    folder = tmp_path / "killed"
    result = folder / "results/s"
    hits = 0
    while hits < kills:
        process = started(folder, name, *options, "--checkpoint", "0.2s")
        if rng.random() < 0.8:  # in training; else anywhere, also while it starts
            wait_for(lambda: process.poll() is not None or is_locked(result))  # noqa: B023
        time.sleep(rng.uniform(0, 3))
        process.kill()
        process.communicate()
        hits += process.returncode == -signal.SIGKILL
        if process.returncode == 0:
            assert_same(result, reference)
            shutil.rmtree(result)
    assert trained(folder, name, *options) == result
    assert_same(result, reference)
    assert not list(result.rglob(".*.tmp"))


def started(folder: Path, name: str, *options: str) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    (folder / "s.toml").write_text(text_of(name))
    return subprocess.Popen(
        command(*options), cwd=folder, env=environment(), stderr=subprocess.PIPE
    )


def trained(folder: Path, name: str, *options: str) -> Path:
    """A sweep to its end in a process of its own; its result folder."""
    process = started(folder, name, *options)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return folder / "results/s"


def is_locked(result: Path) -> bool:
    file = result / lock.LOCK
    return file.exists() and file.stat().st_size > 0


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        pytest.param([signal.SIGTERM], 75, marks=pytest.mark.slow),
        pytest.param([signal.SIGINT], 130, marks=pytest.mark.slow),
        pytest.param([signal.SIGINT, signal.SIGINT], 130, marks=pytest.mark.slow),
    ],
)
def test_signals_stop_and_the_same_command_goes_on(
    tmp_path: Path, whole: Path, signals: list[signal.Signals], expected: int
) -> None:
    # One chunk a run takes long enough to be hit.
    longer = ("-s", "n_steps=100000000", "-s", "weight_decay=1e-4", "-s", "alpha=0")
    process = started(tmp_path, "gd, two systems", *longer)
    wait_for(lambda: is_locked(tmp_path / "results/s"))
    time.sleep(1)
    for number in signals:
        process.send_signal(number)
        time.sleep(0.05)
    _, err = process.communicate(timeout=120)
    assert process.returncode == expected, err
    assert b"stopping after this chunk" in err and b"Traceback" not in err
    if len(signals) > 1:  # ended at once: what it was writing goes at the next start
        next_one = started(tmp_path, "gd, two systems", *longer, "--time-budget", "0s")
        _, err = next_one.communicate(timeout=120)
        assert next_one.returncode == 75, err
    assert not list(tmp_path.rglob("*.tmp"))
    shutil.rmtree(tmp_path / "results/s")
    assert_same(trained(tmp_path, "gd, two systems", *SHORT), whole)


def test_time_budget_stops_and_the_same_command_goes_on(
    grokmap: Any, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned(monkeypatch, execute.Tuning(cpu_chunk_flops=1e6, cpu_least_flops=5e5))
    for seconds in range(0, 60, 2):
        budget = f"{seconds}s"
        code, _, err = grokmap("sweep", "s.toml", *SHORT, "--time-budget", budget)
        assert code in (0, 75) and (code == 75 or seconds > 0), err
        if code == 0:
            break
    assert_same(Path("results/s"), whole)


@pytest.mark.slow
def test_a_full_disk_ends_the_sweep_and_the_next_goes_on(
    tmp_path: Path, whole: Path
) -> None:
    (tmp_path / "s.toml").write_text(text_of("gd, two systems"))
    # No file above 30 kB: trajectories and checkpoints are larger.
    limited = ["bash", "-c", 'ulimit -f 30; exec "$@"', "bash", *command(*SHORT)]
    full = subprocess.run(
        limited, cwd=tmp_path, env=environment(), capture_output=True, timeout=300
    )
    err = full.stderr.decode()
    assert full.returncode == 2 and "cannot be written: File too large" in err
    assert not list((tmp_path / "results").rglob("*.tmp"))
    assert_same(trained(tmp_path, "gd, two systems", *SHORT), whole)


def test_a_read_only_folder_is_refused(grokmap: Any) -> None:
    # Where another user may look: root itself may write everywhere.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        spec, closed = Path(folder) / "s.toml", Path(folder) / "closed"
        spec.write_text(text_of("gd, two systems"))
        closed.mkdir(0o555)
        # Once as ourselves, so that all is imported before the other user looks.
        assert grokmap("sweep", str(spec), *SHORT, "--time-budget", "0s")[0] == 75
        user = os.geteuid()
        os.seteuid(65534 if user == 0 else user)
        try:
            out = ("--out", str(closed / "s"))
            code, _, err = grokmap("sweep", str(spec), *SHORT, *out)
        finally:
            os.seteuid(user)
    assert code == 2 and "closed/s: cannot be written: Permission denied" in err


def test_a_live_lock_is_respected_and_named(tmp_path: Path) -> None:
    with lock.locked(tmp_path):
        with pytest.raises(LockedError, match=f"process {os.getpid()} on "):
            with lock.locked(tmp_path):
                pass
    with lock.locked(tmp_path):  # let go
        pass


@pytest.mark.parametrize(
    ("host", "silent", "taken"),
    [
        (socket.gethostname(), 0, True),  # on this machine the lock itself is the proof
        ("elsewhere", 5, False),
        ("elsewhere", 600, True),
        ("elsewhere", -5, False),  # its clock is ahead of ours
    ],
)
def test_a_lock_without_its_holder_is_taken_over_when_stale(
    tmp_path: Path, host: str, silent: float, taken: bool
) -> None:
    said: list[str] = []
    file = tmp_path / lock.LOCK
    file.write_text(json.dumps({"pid": 4711, "host": host}))
    then = time.time() - silent
    os.utime(file, (then, then))
    if taken:
        with lock.locked(tmp_path, said.append):
            assert json.loads(file.read_text())["pid"] == os.getpid()
        assert f"taking over the lock of process 4711 on {host}" in said[0]
        assert set(json.loads(file.read_text())) == {"token"}
    else:
        with pytest.raises(LockedError, match="process 4711 on elsewhere"):
            with lock.locked(tmp_path):
                pass


def test_a_lock_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.02)
    with lock.locked(tmp_path):
        os.utime(tmp_path / lock.LOCK, (0, 0))
        wait_for(lambda: (tmp_path / lock.LOCK).stat().st_mtime > 0, 10)


def flip(file: Path, rng: random.Random) -> None:
    """Flips one bit of a file, somewhere."""
    data = bytearray(file.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    file.write_bytes(data)


def test_every_flipped_bit_is_found(whole: Path, tmp_path: Path) -> None:
    rng = random.Random(0)
    for n in range(200):
        result = tmp_path / str(n)
        shutil.copytree(whole, result)
        flip(rng.choice(store.batch_files(result)), rng)
        assert len(store.stored(result).damaged) == 1
        shutil.rmtree(result)


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "foreign", "text"])
def test_damaged_trajectories_are_set_aside_and_made_again(
    grokmap: Any, whole: Path, damage: str
) -> None:
    shutil.copytree(whole, "results/s")
    file = store.batch_files(Path("results/s"))[0]
    if damage == "flipped":
        flip(file, random.Random(1))
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-300])
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "foreign":
        pd.DataFrame({"x": [1.0]}).to_parquet(file)
    else:
        file.write_text("not Parquet")
    code, out, _ = grokmap("verify", "results/s")
    assert code == 1 and str(file) in out and "the next sweep trains" in out
    code, _, err = grokmap("sweep", "s.toml", *SHORT)
    assert code == 0 and f"set aside as _damaged-{file.name}" in err
    assert_same(Path("results/s"), whole)
    code, out, _ = grokmap("verify", "results/s")
    assert code == 0 and "no problem found" in out and "may be removed" in out


def test_a_failing_run_leaves_its_traceback_and_is_done_next_time(
    grokmap: Any, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunk, calls = execute._run_chunk, 0

    def fails_once(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError("out of luck")
        return chunk(*arguments)

    with monkeypatch.context() as broken:
        broken.setattr(execute, "_run_chunk", fails_once)
        code, out, err = grokmap("sweep", "s.toml", *SHORT)
    assert code == 3 and "out of luck" in err
    failed = pd.read_parquet("results/s/failed.parquet")
    assert 0 < len(failed) < 8 and f"{8 - len(failed)} of 8 runs" in out
    assert failed["traceback"].str.contains("RuntimeError: out of luck").all()
    assert grokmap("sweep", "s.toml", *SHORT)[0] == 0
    assert not Path("results/s/failed.parquet").exists()
    assert_same(Path("results/s"), whole)


def test_no_keep_going_stops_at_the_first_failure(
    grokmap: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def fails(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        raise RuntimeError("out of luck")

    monkeypatch.setattr(execute, "_run_chunk", fails)
    assert grokmap("sweep", "s.toml", *SHORT, "--no-keep-going")[0] == 3
    assert calls == 1


def test_a_jumping_clock_changes_nothing(
    grokmap: Any, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, real = random.Random(2), time.time
    monkeypatch.setattr(time, "time", lambda: real() + rng.uniform(-1e6, 1e6))
    code, _, err = grokmap("sweep", "s.toml", *SHORT, "--time-budget", "10m")
    assert code == 0, err
    assert_same(Path("results/s"), whole)


BUDGET = ("-s", "n_steps=900")


def test_extend_goes_on_with_the_runs_that_were_cut_short(
    grokmap: Any, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert grokmap("sweep", "s.toml", *BUDGET)[0] == 0
    code, _, err = grokmap("sweep", "s.toml", *SHORT)
    assert code == 4 and "--extend continues what it cut short" in err
    steps: list[int] = []
    progress = display.Display.progress
    monkeypatch.setattr(
        display.Display,
        "progress",
        lambda self, done: [steps.append(done.run_steps), progress(self, done)][1],
    )
    before = pd.read_parquet("results/s/runs.parquet").set_index("run_id")
    assert grokmap("sweep", "s.toml", *SHORT, "--extend")[0] == 0
    runs = pd.read_parquet("results/s/runs.parquet").set_index("run_id")
    cut = before["censored"]
    assert cut.any()
    assert (runs["n_steps"][cut] == 3000).all()
    assert (runs["n_steps"][~cut] == 900).all()
    assert sum(steps) == 2100 * cut.sum()  # from where they stood, not from step 0
    own, other = (store.read_trajectories(p)[0] for p in (Path("results/s"), whole))
    ids = runs.index[cut]
    pd.testing.assert_frame_equal(
        own[own["run_id"].isin(ids)].reset_index(drop=True),
        other[other["run_id"].isin(ids)].reset_index(drop=True),
        check_exact=True,
    )
    code, out, _ = grokmap("verify", "results/s")
    assert code == 0, out
    assert store.stored(Path("results/s")).twice == set()
    # The larger budget is the sweep's own by now.
    assert grokmap("sweep", "s.toml", *SHORT)[0] == 0
    assert grokmap("sweep", "s.toml", *BUDGET, "--extend")[0] == 4


def test_an_extension_that_is_killed_goes_on_too(
    grokmap: Any, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert grokmap("sweep", "s.toml", *BUDGET)[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(session.Stop, "__call__", stop_after(4, 75))
        assert grokmap("sweep", "s.toml", *SHORT, "--extend")[0] == 75
    assert grokmap("sweep", "s.toml", *SHORT)[0] == 0
    assert_longer_same(Path("results/s"), whole)


def test_without_room_for_ends_an_extension_begins_again(
    grokmap: Any, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "MAX_ENDS_BYTES", 0)
    assert grokmap("sweep", "s.toml", *BUDGET)[0] == 0
    assert checkpoint.places(Path("results/s")) == {}
    assert grokmap("sweep", "s.toml", *SHORT, "--extend")[0] == 0
    assert_longer_same(Path("results/s"), whole)


def test_verify_says_what_is_wrong(grokmap: Any, whole: Path) -> None:
    shutil.copytree(whole, "results/s")
    assert grokmap("verify", "results/s")[0] == 0
    runs = pd.read_parquet("results/s/runs.parquet")
    runs.assign(phase="grok").to_parquet("results/s/runs.parquet")
    code, out, _ = grokmap("verify", "results/s")
    assert code == 1 and "not as their trajectories say" in out
    assert grokmap("classify", "results/s")[0] == 0
    assert grokmap("verify", "results/s")[0] == 0
    plan = pd.read_parquet("results/s/plan.parquet")
    store.write_plan(Path("results/s"), plan.iloc[1:])
    code, out, _ = grokmap("verify", "results/s", "--json")
    found = json.loads(out)
    assert code == 1 and found["planned"] == found["done"] == 8
    assert "1 runs of sweep.toml not in it" in found["problems"][0]
    store.batch_files(Path("results/s"))[0].unlink()
    assert json.loads(grokmap("verify", "results/s", "--json")[1])["to_do"] > 0


@pytest.mark.parametrize("which", [0, -1])
def test_the_printed_command_makes_a_run_again(
    grokmap: Any, whole: Path, which: int
) -> None:
    shutil.copytree(whole, "results/s")
    runs = pd.read_parquet("results/s/runs.parquet")
    run_id = runs["run_id"].iloc[which]
    code, out, _ = grokmap("show", "results/s", run_id, "--reproduce")
    assert code == 0
    words = out.split()
    assert words[:2] == ["grokmap", "sweep"]
    assert grokmap(*words[1:])[0] == 0
    again, _ = store.read_trajectories(Path(words[-1]))
    found, _ = store.read_trajectories(Path("results/s"), None, [run_id])
    pd.testing.assert_frame_equal(again, found, check_exact=True)


def test_nothing_is_written_through_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    secret = tmp_path / "secret"
    secret.write_text("keep me")
    root, file = tmp_path / "link", tmp_path / "real/file"
    root.symlink_to(tmp_path / "real")  # a root may be a link: the user named it
    disk.write_file(root, "file", b"data")
    assert file.read_bytes() == b"data"
    file.unlink()
    file.symlink_to(secret)
    (tmp_path / "real/inside").symlink_to(tmp_path)
    for name in ("file", "inside/secret", "inside/new"):
        for act in (
            lambda name: disk.write_file(root, name, b"data"),
            lambda name: disk.rename(root, name, "other"),
            lambda name: disk.remove(root, name),
        ):
            with pytest.raises(ResultError, match="a link"):
                act(name)
    (tmp_path / "real" / lock.LOCK).symlink_to(secret)
    with pytest.raises(ResultError, match="a link"):
        with lock.locked(root):
            pass
    assert secret.read_text() == "keep me" and file.is_symlink()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"real", "link", "secret"}


def test_provenance_is_in_every_parquet_file(whole: Path) -> None:
    (session,) = json.loads((whole / store.PROVENANCE).read_text())["sessions"]
    files = sorted(whole.rglob("*.parquet"))
    assert len(files) >= 3
    for file in files:
        kept = json.loads(pq.read_schema(file).metadata[b"grokmap"])
        for key in ("versions", "commit", "device", "flags", "command", "started"):
            assert kept[key] == session[key]
        assert kept["spec_hash"] == store.spec_hash(whole)
        if file.name != store.PLAN:
            assert kept["started"] <= kept["ended"] <= session["ended"]
    for _, made in store.origins(whole):
        assert made.facts["precision"] == "float32" and made.facts["kernel"] == "gather"
        assert made.lanes >= 1 and made.tile > 0 and made.seconds > 0


@pytest.mark.parametrize("folder", sorted((ROOT / "tests/golden").iterdir()))
def test_golden_results_stay_readable(grokmap: Any, folder: Path) -> None:
    shutil.copytree(folder, "results/golden")
    written = pd.read_parquet(folder / store.RUNS)
    assert grokmap("verify", "results/golden")[0] == 0
    assert grokmap("classify", "results/golden")[0] == 0
    again = pd.read_parquet("results/golden/runs.parquet")
    # Columns may have been added since, none may be gone or hold anything else.
    pd.testing.assert_frame_equal(again[list(written.columns)], written)
    code, out, _ = grokmap("status", "results/golden", "--json")
    assert code == 0 and json.loads(out)["missing"] == 0
    assert grokmap("phase-diagram", "results/golden", "--format", "svg")[0] == 0


def test_the_table_of_faults_names_its_tests() -> None:
    text = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    table = text.split("## Faults")[1].split("## Going on")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    sources = "".join(p.read_text() for p in (ROOT / "tests").glob("test_*.py"))
    assert len(rows) >= 15
    for row in rows:
        names = [word for word in row.replace("`", " ").split() if "test_" in word]
        assert names, row
        for name in names:
            assert f"def {name.split('::')[-1].split('[')[0]}(" in sources, name
