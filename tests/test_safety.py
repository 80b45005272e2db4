"""What a sweep and its readers do on disks, accounts and names that are unusual."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import ROOT, mostly_slow
from test_faults import SHORT, assert_same, grokmap, trained, whole

from grokmap import disk, store
from grokmap.engine import devices
from grokmap.engine.compile_cache import choose_cache
from grokmap.errors import LockedError, ResultError
from grokmap.session import checkpoint, lock, session

__all__ = ["grokmap", "whole"]  # fixtures
REFERENCE = ROOT / "results/quickstart-reference"


def at_chunk(number: int, act: Callable[[], Any]) -> Callable[[Any], bool]:
    """`Stop.__call__`, which does something else once it is asked so many times."""
    ask, asked = session.Stop.__call__, 0

    def __call__(self: Any) -> bool:
        nonlocal asked
        asked += 1
        if asked == number:
            act()
        return bool(ask(self))

    return __call__


def replace() -> None:
    os.rename("results/s", "elsewhere")
    os.mkdir("results/s")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("act", "left"),
    [
        (lambda: os.rename("results/s", "elsewhere"), None),
        (replace, []),
        (lambda: shutil.rmtree("results/s"), None),
    ],
)
def test_a_folder_that_is_moved_or_deleted_stops_the_sweep(
    grokmap: Any,
    whole: Path,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[], Any],
    left: list[str] | None,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(session.Stop, "__call__", at_chunk(25, act))
        code, _, err = grokmap("sweep", "s.toml", *SHORT)
    assert code == 2
    assert err.splitlines()[-1].startswith("grokmap: results/s: moved or deleted")
    there = Path("results/s")
    assert (sorted(os.listdir(there)) if there.exists() else None) == left
    moved = Path("elsewhere")
    if moved.exists():
        # What was in training when it happened went with the folder, too.
        assert checkpoint.places(moved)
        assert grokmap("sweep", "elsewhere")[0] == 0
        assert_same(moved, whole)


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_written_fails_no_run(
    grokmap: Any, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = disk.write_file

    def full(root: Path, name: str, data: bytes) -> Path:
        if name.endswith(checkpoint.LATEST):
            with monkeypatch.context() as patch:
                patch.setattr(disk, "_write", no_space)
                return write(root, name, data)
        return write(root, name, data)

    def no_space(handle: int, data: bytes) -> None:
        os.close(handle)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(disk, "write_file", full)
        code, _, err = grokmap("sweep", "s.toml", *SHORT, "--checkpoint", "0s")
    said = [line for line in err.splitlines() if line.startswith("grokmap: ")]
    assert code == 2 and len(said) == 1
    assert said[0].endswith("latest.npz: cannot be written: No space left on device")
    assert not Path("results/s", store.FAILED).exists()
    assert not [*Path("results/s").rglob("*.tmp")]
    assert_same(trained(Path(), "gd, two systems", *SHORT), whole)


def test_files_follow_the_umask(grokmap: Any) -> None:
    before = os.umask(0o002)
    try:
        assert grokmap("sweep", "s.toml", "-s", "n_steps=500")[0] == 0
        assert grokmap("curves", "results/s", "--format", "png")[0] == 0
    finally:
        os.umask(before)
    for path in (Path("results/s"), *Path("results/s").rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o775 if path.is_dir() else 0o664), path


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_the_file_system_has_no_locks_the_file_keeps_others_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(*arguments: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    monkeypatch.setattr(lock, "SETTLE_SECONDS", 0.01)
    said: list[str] = []
    with lock.locked(tmp_path, said.append):
        assert "no locks" in said[0]
        with pytest.raises(LockedError, match=f"process {os.getpid()}"):
            with lock.locked(tmp_path):
                pass
    with lock.locked(tmp_path, said.append):  # let go
        pass
    ended = subprocess.Popen(["true"])
    ended.wait()
    holder = {"pid": ended.pid, "host": socket.gethostname(), "token": "0" * 16}
    (tmp_path / lock.LOCK).write_text(json.dumps(holder))
    with lock.locked(tmp_path, said.append):
        assert "taking over" in said[-1]


def test_two_that_start_at_once_without_locks_do_not_both_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_comes_first(seconds: float) -> None:
        holder = {"pid": 1, "host": "elsewhere", "token": "0" * 16}
        (tmp_path / lock.LOCK).write_text(json.dumps(holder))

    def flock(*arguments: Any) -> None:
        raise OSError(errno.ENOLCK, "")

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    monkeypatch.setattr(lock.time, "sleep", other_comes_first)
    with pytest.raises(LockedError, match="process 1 on elsewhere"):
        with lock.locked(tmp_path):
            pass


@pytest.mark.parametrize(
    ("number", "written"), [(errno.EINVAL, True), (errno.EIO, False)]
)
def test_a_file_system_may_know_no_sync_but_not_fail_at_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, written: bool
) -> None:
    def fsync(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    if written:
        disk.write_file(tmp_path, "a/b", b"data")
        assert (tmp_path / "a/b").read_bytes() == b"data"
    else:
        with pytest.raises(ResultError, match="b: cannot be written: Input/output"):
            disk.write_file(tmp_path, "a/b", b"data")
        assert [p.name for p in tmp_path.rglob("*")] == ["a"]


def test_a_user_without_a_home_keeps_no_compiled_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert choose_cache().folder is None
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nothing")
    assert choose_cache().folder is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = choose_cache().folder
    assert folder is not None and folder.parent == tmp_path / "grokmap/compiled"


def test_cores_are_counted_where_no_process_is_bound_to_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert devices.n_cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert devices.n_cores() == 1


NAMES = ["~/x", "a b", "a=b", "-rf", "file:/x", "s3:/x", "x\ny", "%20", "*", "ä\u202e"]


@pytest.mark.parametrize("name", mostly_slow(NAMES, ("x\ny",)))
def test_folders_of_any_name_are_written_and_read(grokmap: Any, name: str) -> None:
    small = ("-s", "n_steps=200", "-s", "width=8")
    assert grokmap("sweep", "s.toml", *small, f"--out={name}")[0] == 0
    assert (Path(name) / store.RUNS).is_file()
    drawn = ("phase-diagram", "--format", "svg")
    for command in (("status",), ("verify",), drawn, ("classify",)):
        code, out, err = grokmap(*command, "--", name)
        assert code == 0, err
        assert all(letter.isprintable() or letter == "\n" for letter in out + err)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Another user, who owns nothing here; ourselves, unless we are root."""
    user = os.geteuid()
    os.seteuid(65534 if user == 0 else user)
    try:
        yield
    finally:
        os.seteuid(user)


ANALYSES = {
    "classify": ("runs",),
    "boundaries": ("boundaries",),
    "uncertainty": ("uncertainty",),
    "order-parameters": ("order-parameters",),
    "laws": ("laws",),
    "early-stopping": (
        "early-stopping-patience=1",
        "early-stopping-warnings-patience=1",
        "early-stopping-rules",
    ),
}
DRAWN = ("phase-diagram", "curves")


@pytest.fixture(scope="module")
def closed() -> Iterator[Path]:
    """A result where others may look but not write."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        path = Path(folder) / "r"
        shutil.copytree(REFERENCE, path)
        for inside in (path, *path.rglob("*")):
            os.chmod(inside, 0o555 if inside.is_dir() else 0o444)
        yield path
        for inside in (path, *path.rglob("*")):
            os.chmod(inside, 0o755)


# Tables and a figure in `make test`; the others go the same way.
QUICK = ("boundaries", "uncertainty", "phase-diagram", "classify")


@pytest.mark.parametrize("command", mostly_slow([*ANALYSES, *DRAWN], QUICK))
def test_a_read_only_result_is_analysed(
    grokmap: Any, closed: Path, tmp_path: Path, command: str
) -> None:
    before = {path: path.stat().st_mtime_ns for path in closed.rglob("*")}
    form = ("--format", "svg") if command not in ("classify", "boundaries") else ()
    more = ("--no-budget",) if command == "boundaries" else ()
    more += ("--patience", "1") if command == "early-stopping" else ()
    # First as ourselves: nobody may be unable to read what Python has yet to import.
    code, out, err = grokmap(command, str(closed), *form, *more, "--out", "mine/a")
    assert code == 0, err
    written = {str(path) for path in Path("mine").iterdir()}
    assert written <= set(out.splitlines()) | {out.partition(":")[0]}
    for table in ANALYSES.get(command, ()):
        assert len(pd.read_parquet(f"mine/a-{table}.parquet")) > 0
    assert command not in DRAWN or written == {"mine/a.svg"}
    with as_nobody():
        code, out, err = grokmap(command, str(closed), *form, *more)
    hint = "cannot be written; --out FILE writes elsewhere"
    if command in DRAWN:
        assert code == 2 and hint in err
    else:
        assert code == 0 and err.count(f"{hint}; nothing was written") == 1 and out
    assert {path: path.stat().st_mtime_ns for path in closed.rglob("*")} == before


def test_leftovers_are_known_by_the_token_of_the_folder(tmp_path: Path) -> None:
    with lock.locked(tmp_path):
        token = json.loads((tmp_path / lock.LOCK).read_text())["token"]
    ours, other = f".{token}-0.tmp", ".0000-0.tmp"
    (tmp_path / "trajectories").mkdir()
    for name in (ours, other, f"trajectories/{ours}"):
        (tmp_path / name).write_text("half")
    with lock.locked(tmp_path):
        assert json.loads((tmp_path / lock.LOCK).read_text())["token"] == token
        disk.remove_leftovers(tmp_path, store.FOLDERS)
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")}
    assert left == {lock.LOCK, other, "trajectories"}


def test_a_result_that_is_a_link_or_below_one_works(grokmap: Any, whole: Path) -> None:
    Path("far").mkdir()
    Path("results").symlink_to("far")
    Path("far/real").mkdir()
    Path("far/s").symlink_to("real")
    assert grokmap("sweep", "s.toml", *SHORT)[0] == 0
    assert Path("far/s").is_symlink()
    assert_same(Path("far/real"), whole)
    assert grokmap("curves", "results/s", "--format", "svg")[0] == 0
    assert len([*Path("far/real/figures").iterdir()]) == 1


def finding(**changes: Any) -> str:
    row = dict.fromkeys(store.comparisons.FINDING, "x") | {"holds": True} | changes
    return json.dumps({"ended": "then", "findings": [row]})


COMPARISONS = {
    "not JSON": "{",
    "deep": "[" * 100_000,
    "another kind": json.dumps({"findings": {"a": 1}}),
    "a verdict of text": finding(holds="yes"),
    "a number for a text": finding(quantity=3),
    "no findings": json.dumps({"findings": []}),
    "a pipe": None,
    "forged": finding().replace("then", r"then\u001b[2J\ngrokmap: all is well"),
}


@pytest.mark.parametrize("kind", COMPARISONS)
def test_the_list_reads_any_comparison(command_line: Any, kind: str) -> None:
    folder = Path("kept/levi-integrals")
    folder.mkdir(parents=True)
    text = COMPARISONS[kind]
    if text is None:
        os.mkfifo(folder / store.COMPARISON)
    else:
        (folder / store.COMPARISON).write_text(text)
    code, out, err = command_line("reproduce", "--out", "kept")
    assert (code, err) == (0, "")
    assert all(letter.isprintable() or letter == "\n" for letter in out)
    assert "\ngrokmap" not in out and ("damaged" in out) == (kind != "forged")


@pytest.mark.parametrize("kind", ["a pipe", "a device", "large", "deep", "forged"])
def test_criteria_are_a_small_regular_file(command_line: Any, kind: str) -> None:
    file = Path("c.toml")
    if kind == "a pipe":
        os.mkfifo(file)
    elif kind == "a device":
        file.symlink_to("/dev/zero")
    else:
        texts = {"large": "#" * 10**7, "deep": "a" + ".a" * 20_000 + " = 1"}
        texts["forged"] = r'phases = ["\u001b[2J", "b", "c", "d"]'
        file.write_text(texts[kind])
    code, out, err = command_line("classify", str(REFERENCE), "--criteria", "c.toml")
    assert code == 2 and not out and len(err.splitlines()) == 1
    assert "c.toml" in err and err.strip().isprintable()
