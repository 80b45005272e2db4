"""Compiled programs are kept whole, for all processes of a user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grokmap.engine import compile_cache
from grokmap.engine.compile_cache import exchange, own_folder

CPU = """processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: EPYC
cpu MHz\t\t: {}
flags\t\t: fpu {}
"""


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of kept programs, on a machine with a temporary folder of its own."""
    (tmp_path / "machine").mkdir()
    (tmp_path / "kept").mkdir()
    machine = str(tmp_path / "machine")
    monkeypatch.setattr(compile_cache.tempfile, "tempdir", machine)
    monkeypatch.setattr(compile_cache, "_folders", {})
    monkeypatch.setattr(compile_cache.atexit, "register", lambda *_: None)
    yield tmp_path / "kept"


def opened(kept: Path) -> Path:
    folder = own_folder(kept)
    assert folder is not None
    return folder


def test_what_one_process_compiles_others_find(kept: Path) -> None:
    (kept / "a-cache").write_bytes(b"a")
    one, two = opened(kept), opened(kept)
    assert one != two and (one / "a-cache").read_bytes() == b"a"
    (one / "b-cache").write_bytes(b"b")
    assert not (two / "b-cache").exists()
    exchange(str(one))
    exchange(str(two))
    assert (kept / "b-cache").read_bytes() == (two / "b-cache").read_bytes() == b"b"
    assert sorted(file.name for file in kept.iterdir()) == ["a-cache", "b-cache"]
    assert not (kept / "b-cache").is_symlink()


def test_of_two_that_compile_the_same_the_first_is_kept(kept: Path) -> None:
    one, two = opened(kept), opened(kept)
    (one / "a-cache").write_bytes(b"first")
    (two / "a-cache").write_bytes(b"second")
    exchange(str(one))
    exchange(str(two))
    assert (kept / "a-cache").read_bytes() == b"first"
    assert (two / "a-cache").read_bytes() == b"second"


def test_what_is_being_written_is_nobody_elses(kept: Path) -> None:
    (kept / ".a-cache.12345678").write_bytes(b"ha")  # of one that was killed
    assert list(opened(kept).iterdir()) == []


def test_a_copy_that_fails_leaves_nothing(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path, part: Path) -> None:
        part.write_bytes(b"ha")
        raise OSError(28, "No space left on device")

    one = opened(kept)
    (one / "a-cache").write_bytes(b"half and half")
    monkeypatch.setattr(compile_cache.shutil, "copyfile", full)
    exchange(str(one))
    assert list(kept.iterdir()) == []


def test_a_fork_leaves_the_folder_to_its_parent(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = opened(kept)
    (one / "a-cache").write_bytes(b"ha")
    monkeypatch.setattr(compile_cache.os, "getpid", lambda: 1)
    compile_cache._close(str(one))
    assert one.is_dir() and list(kept.iterdir()) == []


def test_folders_of_the_dead_are_removed(kept: Path) -> None:
    alive = opened(kept)
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead = alive.with_name(f"{compile_cache._prefix()}{process.pid}-x")
    dead.mkdir()
    (dead / "a-cache").symlink_to(kept / "a-cache")
    elsewhere = alive.with_name(f"grokmap-compiled-otherhost-{process.pid}-x")
    elsewhere.mkdir()
    (alive.parent / f"{compile_cache._prefix()}{process.pid}-y").symlink_to(kept)
    opened(kept)
    assert alive.is_dir() and elsewhere.is_dir() and kept.is_dir()
    assert not dead.exists()


def test_kinds_of_machines_differ_by_what_they_can_not_by_their_clock(
    tmp_path: Path,
) -> None:
    def kind(*facts: str) -> str:
        (tmp_path / "cpuinfo").write_text(CPU.format(*facts))
        return compile_cache.machine_kind(tmp_path / "cpuinfo")

    assert kind("2445.4", "avx2") == kind("3100.0", "avx2")
    assert kind("2445.4", "avx2") != kind("2445.4", "avx2 avx512f")
    assert compile_cache.machine_kind(tmp_path / "none")


COMPILES = """
import jax, jax.numpy as jnp
from grokmap.engine import devices
devices.prepare()
seen = []
jax.monitoring.register_event_listener(lambda name, **_: seen.append(name))
jax.jit(lambda x: jnp.sin(x) + 1).lower(jnp.ones(3)).compile()
devices.share_programs()
print(sum(name.endswith("cache_hits") for name in seen))
print(sum(name.endswith("cache_misses") for name in seen))
"""


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    (tmp_path / "machine").mkdir()
    place = {"XDG_CACHE_HOME": str(tmp_path), "TMPDIR": str(tmp_path / "machine")}
    env = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}

    def counts() -> list[str]:
        command = [sys.executable, "-c", COMPILES]
        return subprocess.check_output(command, env=env | place, text=True).split()

    hits, misses = counts()
    assert hits == "0" and int(misses) >= 1
    assert counts() == [misses, "0"]
    (kept,) = (tmp_path / "grokmap/compiled").iterdir()
    assert len(list(kept.iterdir())) == int(misses)
    assert list((tmp_path / "machine").iterdir()) == []


def test_doctor_says_where_and_why(
    command_line: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    code, out, _ = command_line("doctor", "--json")
    facts = json.loads(out)
    assert code == 0 and facts["compile_cache_why"] == "the user's cache"
    assert Path(facts["compile_cache"]).parent == tmp_path / "grokmap/compiled"
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/x")
    code, out, _ = command_line("doctor")
    assert code == 0 and "kept in /x (JAX_COMPILATION_CACHE_DIR)" in out
