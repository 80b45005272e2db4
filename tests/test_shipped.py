"""Sweeps come with the program: by name, in a checkout as in an installed wheel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from grokmap.plan import count_runs, read_sweep
from grokmap.spec import shipped

FILES = sorted((ROOT / "sweeps").glob("*.toml"))


def test_every_sweep_of_the_repository_is_shipped_and_listed(command_line: Any) -> None:
    code, out, _ = command_line("sweeps")
    listed = " ".join(out.split())
    assert code == 0 and len(FILES) >= 18
    for file in FILES:
        entry = shipped.find(file.stem)
        assert f"{entry.name} {' '.join(entry.about.split())}" in listed
        runs = count_runs(read_sweep(file)) if _can_read(file) else 0
        assert not runs or f"{runs:,} runs" in entry.about
    rows = json.loads(command_line("sweeps", "--json")[1])["sweeps"]
    assert [row["name"] for row in rows] == [file.stem for file in FILES]


def _can_read(file: Path) -> bool:
    return file.stem != "digits"  # its images may not be installed


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_copy_is_the_file(command_line: Any, file: Path) -> None:
    for name in (file.stem, file.name):
        code, out, _ = command_line("sweeps", name)
        assert code == 0 and out == file.read_text()
    assert json.loads(command_line("sweeps", file.stem, "--json")[1])["text"] == out


@pytest.mark.slow
def test_a_sweep_is_found_by_name_and_what_is_here_comes_first(
    command_line: Any,
) -> None:
    stop = ("--time-budget", "0s")
    assert command_line("sweep", "smoke", *stop)[0] == 75
    assert json.loads(command_line("status", "results/smoke", "--json")[1])["planned"]
    text = (ROOT / "sweeps/smoke.toml").read_text()
    Path("smoke").write_text(text.replace('"smoke"', '"mine"'))
    assert command_line("sweep", "smoke", *stop)[0] == 75
    assert Path("results/mine").is_dir()
    # A result folder of that name, and a link that leads nowhere, come first, too.
    Path("smoke").unlink()
    Path("results/mine").rename("smoke")
    assert command_line("sweep", "smoke", *stop)[0] == 75
    shutil.rmtree("smoke")
    Path("smoke").symlink_to("nowhere")
    code, _, err = command_line("sweep", "smoke", *stop)
    assert code == 2 and "smoke: cannot be read" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sweeps", "quickstrat"), "did you mean 'quickstart'?"),
        (("sweeps", "Quick-Start"), "did you mean 'quickstart'?"),
        (("sweeps", "\x1b[2J"), "known: adamw, alpha-beyond"),
        (("sweep", "quickstrat"), "did you mean 'quickstart'?"),
        (("sweep", "quickstart.toml"), "`grokmap sweep quickstart`"),
        (("sweep", "sweeps/quickstart.toml"), "`grokmap sweep quickstart`"),
        (("sweep", "mine.toml"), "mine.toml: cannot be read"),
        (("sweep", "x" * 300), "no shipped sweep either"),
        (("sweep", "x" * 300 + "/y"), "cannot be read"),
    ],
)
def test_an_unknown_name_is_one_line(
    command_line: Any, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = command_line(*arguments)
    assert code == 2 and out == "" and os.listdir() == []
    assert message in err and len(err.splitlines()) == 1


def test_without_a_folder_of_sweeps_there_are_none(
    command_line: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "FOLDERS", (Path("nowhere"),))
    assert command_line("sweeps")[0] == 0
    assert command_line("sweep", "quickstart")[0] == 2


def test_the_wheel_is_told_to_take_them_along() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]
    targets = build["build"]["targets"]
    assert targets["wheel"]["force-include"] == {"sweeps": "grokmap/sweeps"}
    assert "sweeps" in targets["sdist"]["include"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel that was built from an unpacked source distribution."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    subprocess.run([*build, "-t", "sdist"], cwd=ROOT, check=True)
    (archive,) = out.glob("*.tar.gz")
    shutil.unpack_archive(archive, out, filter="data")
    source = out / archive.name.removesuffix(".tar.gz")
    subprocess.run([*build, "-t", "wheel"], cwd=source, check=True)
    return out


@pytest.mark.slow
def test_the_wheel_is_enough(built: Path, tmp_path: Path) -> None:
    """Installed away from the checkout, in an empty folder."""
    (wheel,) = built.glob("*.whl")
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "grokmap", *arguments],
            cwd=empty,
            env={**os.environ, "PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    where = [sys.executable, "-c", "import grokmap; print(grokmap.__file__)"]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    found = subprocess.run(
        where, cwd=empty, env=environment, capture_output=True, text=True
    )
    assert found.stdout.startswith(str(site))
    for file in FILES:
        assert run("sweeps", file.stem) == file.read_text()
    few = ("-s", "order_parameters=", "-s", "weight_decay=0.01,0.1")
    assert "of 4 runs" in run("sweep", "quickstart", *few, "-s", "alpha=0")
    assert (empty / "results/quickstart/runs.parquet").is_file()
    assert "4 of 4 runs done" in run("status", "results/quickstart")
    assert json.loads(run("schema"))["properties"]["alpha"]
    assert "kumar-fig1" in run("reproduce")
    assert "holds" in run("reproduce", "gromov-weights")
    assert "device" in run("doctor")
