"""Every block of code in README and docs runs as it stands there.

A page is followed from its first block to its last in an empty folder that holds the
results of `FOLDERS`: files are written, Python is executed in one namespace, commands
run in a shell. What cannot be run here stands in `NOT_RUN`, with the reason.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pytest
import typer
from conftest import ROOT

from grokmap.cli import app

GROUP: Any = typer.main.get_command(app)
DOCS = sorted(p for at in ("*.md", "systems/*.md") for p in (ROOT / "docs").glob(at))
PAGES = [
    *("README.md", "benchmarks/README.md", "results/README.md"),
    *(path.relative_to(ROOT).as_posix() for path in DOCS),
]
# Results in the folder in which a page is followed, and the committed ones they are.
FOLDERS = {
    "quickstart": "quickstart-reference",
    "quickstart-reference": "quickstart-reference",
    "from-elsewhere": "quickstart-reference",
    "refined": "refined",
    "finite-size": "finite-size",
    "hysteresis": "hysteresis",
}
# Pages whose blocks take minutes together: `make test-slow`.
SLOW = {
    *("README.md", "docs/index.md", "docs/faq.md", "docs/gpu.md"),
    *("docs/figures.md", "docs/report.md", "docs/compare.md", "docs/own-task.md"),
}

OTHER_MACHINE = "checks bits of records that another processor made"
ELSEWHERE = "run by tests/{}".format
# (page, how a command or a block begins): why it is not run here.
NOT_RUN = {
    ("README.md", "make demo"): "makes an environment; `.ci/run` does so",
    ("README.md", "make test"): "the tests themselves",
    ("README.md", "import grokmap"): ELSEWHERE("test_docs.py"),
    ("README.md", "def readout_norm_ratio"): ELSEWHERE("test_docs.py"),
    ("README.md", "grokmap sweep alpha-lambda"): "needs the extra gpu",
    ("README.md", "grokmap refine"): "trains for minutes; run by tests/test_refine.py",
    ("README.md", "grokmap avalanche"): ELSEWHERE("test_gradients.py"),
    ("README.md", "grokmap spectrum"): ELSEWHERE("test_spectrum.py"),
    ("README.md", "grokmap reproduce"): "trains for half an hour",
    ("README.md", "grokmap weights"): OTHER_MACHINE,
    ("docs/cluster.md", "#!/bin/bash"): ELSEWHERE("test_cluster_recipe.py"),
    ("docs/gpu.md", "pip install"): "installs packages; needs a GPU",
    ("docs/gpu.md", "grokmap sweep alpha-lambda --time"): "needs a GPU",
    ("docs/plugins.md", "grokmap sweep"): ELSEWHERE("test_plugins.py"),
    ("docs/plugins.md", "grokmap phase-diagram"): ELSEWHERE("test_plugins.py"),
    ("docs/weights.md", "grokmap weights"): OTHER_MACHINE,
    ("docs/weights.md", "import numpy"): ELSEWHERE("test_weights.py"),
}
BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>file): (?P<name>.*?) -->\n)?"
    r"^```(?P<language>\w+)\n(?P<text>.*?)^```$",
    flags=re.M | re.S,
)


class Block(NamedTuple):
    """A fenced block; name: of the file that it is, if it is one."""

    page: str
    language: str
    name: str | None
    text: str


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text()
    return [
        Block(page, match["language"], match["name"], match["text"])
        for match in BLOCK.finditer(text)
    ]


def commands(block: Block) -> list[str]:
    """What is run of a block: its commands, or the whole of it."""
    if block.language != "console":
        return [block.text]
    return re.findall(r"^\$ (.*)$", block.text, flags=re.M)


def reason(page: str, text: str) -> str | None:
    """Why a command or block is not run, if it is not."""
    found = [
        why
        for (where, start), why in NOT_RUN.items()
        if where == page and text.startswith(start)
    ]
    return found[0] if found else None


def runs(block: Block) -> bool:
    runnable = block.language in ("python", "bash", "console")
    return runnable and any(
        reason(block.page, text) is None for text in commands(block)
    )


def followed() -> list[Any]:
    pages = [page for page in PAGES if any(map(runs, blocks(page)))]
    slow = pytest.mark.slow
    return [pytest.param(p, marks=slow) if p in SLOW else p for p in pages]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of a user who has trained a little and has `grokmap` on the PATH."""
    for name, kept in FOLDERS.items():
        shutil.copytree(ROOT / "results" / kept, tmp_path / "results" / name)
    program = tmp_path / "bin/grokmap"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m grokmap "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.chdir(tmp_path)
    yield tmp_path


def follow(block: Block, names: dict[str, Any]) -> None:
    """Does what a reader of the block would do."""
    if block.name:
        Path(block.name).write_text(block.text)
        return
    for text in commands(block):
        if reason(block.page, text):
            continue
        if block.language == "python":
            exec(compile(text, block.page, "exec"), names)
        else:
            shell(text)


def shell(text: str) -> None:
    done = subprocess.run(["bash", "-e", "-c", text], capture_output=True, text=True)
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", followed())
def test_a_page_can_be_followed(page: str, folder: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.name or runs(block):
            follow(block, names)


def test_what_is_not_run_is_still_there() -> None:
    for page, start in NOT_RUN:
        there = [text for block in blocks(page) for text in commands(block)]
        assert any(text.startswith(start) for text in there), (page, start)
    assert {page for page, _ in NOT_RUN} | SLOW <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_blocks_are_of_languages_that_are_followed(page: str) -> None:
    for block in blocks(page):
        assert block.language in {"python", "bash", "console", "toml", "json"}
        if block.language == "toml":
            assert tomllib.loads(block.text)
        if block.language == "json":
            assert json.loads(block.text)


def test_a_block_that_fails_is_seen(folder: Path) -> None:
    for language, text in (
        ("python", "assert False"),
        ("console", "$ false"),
        ("bash", "false\ntrue"),
    ):
        with pytest.raises(AssertionError):
            follow(Block("page.md", language, None, text), {})


@pytest.mark.parametrize("page", [*PAGES, "docs/tutorial.ipynb"])
def test_commands_that_are_named_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    if page.endswith(".ipynb"):
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n".join(cell.source for cell in cells)
    for name in re.findall(r"(?:^ {4}|`|\$ )grokmap ([a-z-]+)\b", text, flags=re.M):
        assert name in GROUP.commands, name
