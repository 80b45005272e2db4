"""Compiled programs are kept where no other machine writes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from grokmap.engine import compile_cache
from grokmap.process import file_system

# As Linux writes it; \040 is a blank.
MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:40 / /home rw,relatime - nfs4 server:/home rw,vers=4.2
24 23 8:2 / /home/local rw - xfs /dev/sdb1 rw
25 22 0:41 / /scratch\040two rw master:3 - fuse.sshfs host:/x rw
26 22 0:42 / /proj rw - lustre mds@tcp:/proj rw
27 26 8:3 / /proj rw - ext4 /dev/sdc1 rw
28 22 0:43 / /homes rw - ext4 /dev/sdd1 rw
broken line
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    file = tmp_path / "mountinfo"
    file.write_text(MOUNTS)
    return file


@pytest.mark.parametrize(
    ("folder", "kind", "shared"),
    [
        ("/home/ada/.cache/x", "nfs4", True),
        ("/home", "nfs4", True),
        ("/home/local/ada", "xfs", False),
        ("/homes/ada", "ext4", False),
        ("/scratch two/ada", "fuse.sshfs", True),
        ("/proj/ada", "ext4", False),  # the later mount hides the earlier
        ("/var/tmp", "ext4", False),
    ],
)
def test_the_file_system_of_a_folder_is_that_of_its_mount(
    mounts: Path, folder: str, kind: str, shared: bool
) -> None:
    assert file_system.type_of(Path(folder), mounts) == kind
    assert file_system.is_shared(Path(folder), mounts) == shared


def test_where_mounts_are_not_told_nothing_is_taken_for_shared(tmp_path: Path) -> None:
    assert file_system.type_of(tmp_path, tmp_path / "none") == ""
    assert not file_system.is_shared(tmp_path, tmp_path / "none")


@pytest.fixture
def shared_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A home on NFS and a temporary folder of the machine."""
    home, machine = tmp_path / "home", tmp_path / "machine"
    home.mkdir()
    machine.mkdir()
    table = tmp_path / "mountinfo"
    table.write_text(
        f"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:1 / {home} rw - nfs4 s:/h rw\n"
    )
    monkeypatch.setattr(file_system, "MOUNTS", table)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setattr(compile_cache.tempfile, "gettempdir", lambda: str(machine))
    return home, machine


def test_a_shared_home_gets_a_folder_of_the_machine(
    shared_home: tuple[Path, Path],
) -> None:
    home, machine = shared_home
    found = compile_cache.choose_cache()
    assert found.folder == machine / f"grokmap-{os.getuid()}" / "compiled"
    assert found.folder.is_dir()
    assert found.folder.parent.stat().st_mode & 0o777 == 0o700
    assert "nfs4" in found.why
    assert not (home / ".cache").exists()
    assert compile_cache.choose_cache().folder == found.folder


@pytest.mark.parametrize("laid", ["open", "link", "file"])
def test_a_folder_that_others_could_have_laid_is_not_trusted(
    shared_home: tuple[Path, Path], laid: str
) -> None:
    _, machine = shared_home
    there = machine / f"grokmap-{os.getuid()}"
    if laid == "open":
        there.mkdir()
        there.chmod(0o777)
    elif laid == "link":
        (machine / "elsewhere").mkdir(mode=0o700)
        there.symlink_to(machine / "elsewhere")
    else:
        there.write_text("")
    found = compile_cache.choose_cache()
    assert found.folder is None and "grokmap-" in found.why


def test_doctor_says_where_and_why(
    command_line: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    code, out, _ = command_line("doctor", "--json")
    assert code == 0 and json.loads(out)["compile_cache_why"] == "the user's cache"
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/x")
    code, out, _ = command_line("doctor")
    assert code == 0 and "(JAX_COMPILATION_CACHE_DIR)" in out
