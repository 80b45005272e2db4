"""The tutorial runs from its first cell to its last, and is committed as it ran.

To execute it again after a change: python tests/test_tutorial.py
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from conftest import ROOT

NOTEBOOK = ROOT / "docs/tutorial.ipynb"
MOST_BYTES = 400_000
PROGRESS = re.compile(r"(\d+)/(\d+) runs .*ETA 0s")


def read() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def executed(notebook: Any, folder: Path) -> Any:
    """The notebook after a run in a fresh kernel; raises what a cell raised."""
    resources = {"metadata": {"path": str(folder)}}
    client = nbclient.NotebookClient(notebook, timeout=120, resources=resources)
    return client.execute()


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def digest(notebook: Any) -> str:
    """Of the code; kept in the notebook when it is executed."""
    sources = "\0".join(cell.source for cell in code_cells(notebook))
    return hashlib.sha256(sources.encode()).hexdigest()[:16]


def shown(cell: Any) -> list[dict[str, str]]:
    """What a cell displays, by format; without the log lines of other libraries."""
    outputs = [output for output in cell.outputs if output.output_type != "stream"]
    return [output["data"] for output in outputs]


def texts(cell: Any) -> list[str]:
    return [data["text/plain"] for data in shown(cell)]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return executed(read(), tmp_path_factory.mktemp("tutorial"))


def test_it_was_executed_as_it_stands() -> None:
    kept = read()
    assert kept.metadata["executed"] == digest(kept)
    counts = [cell.execution_count for cell in code_cells(kept)]
    assert counts == list(range(1, len(counts) + 1))


@pytest.mark.slow
def test_it_still_shows_what_it_shows(fresh: Any) -> None:
    kept = code_cells(read())
    for was, now in zip(kept, code_cells(fresh), strict=True):
        kinds = [[sorted(data) for data in shown(cell)] for cell in (was, now)]
        assert kinds[0] == kinds[1], now.source
    (was, now) = (
        texts(next(cell for cell in cells if "pivot" in cell.source))
        for cells in (kept, code_cells(fresh))
    )
    assert was == now  # the phases
    assert all(phase in now[0] for phase in ("grok", "memorize-only", "no-learning"))


@pytest.mark.slow
def test_its_figures_are_pictures(fresh: Any) -> None:
    pictures = ["image/png" in data for c in code_cells(fresh) for data in shown(c)]
    assert sum(pictures) == 3


@pytest.mark.slow
def test_progress_is_one_line_that_is_renewed(fresh: Any) -> None:
    (cell,) = (c for c in code_cells(fresh) if "= grokmap.sweep(sweep)" in c.source)
    (line,) = texts(cell)
    match = PROGRESS.match(line)
    assert match and match[1] == match[2] == "42", line


def test_it_is_small_and_names_no_machine() -> None:
    text = NOTEBOOK.read_text()
    assert len(text) < MOST_BYTES
    cells = code_cells(read())
    assert all(o.output_type != "stream" for cell in cells for o in cell.outputs)
    plain = "\n".join(t for cell in cells for t in texts(cell))
    assert "grok" in plain
    assert not re.search(r"(?<![\w.])/\w+/", plain), plain


if __name__ == "__main__":
    notebook = executed(read(), ROOT)
    for cell in code_cells(notebook):
        cell.metadata.pop("execution", None)  # times of day
    notebook.metadata["executed"] = digest(notebook)
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, NOTEBOOK)
