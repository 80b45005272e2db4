"""What the site makes of pages, commands and docstrings when it is built."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from conftest import ROOT

from grokmap.cli import app

GROUP: Any = typer.main.get_command(app)
DOCS = ROOT / "docs"


def extension(name: str) -> Any:
    """A module of docs/extensions."""
    if str(DOCS) not in sys.path:
        sys.path.append(str(DOCS))
    return importlib.import_module(f"extensions.{name}")


@pytest.mark.parametrize(
    ("folder", "text", "becomes"),
    [
        (DOCS, "[a](laws.md#x)", "[a](laws.md#x)"),
        (DOCS, "[a](../README.md#start)", "[a](overview.md#start)"),
        (ROOT, "[a](docs/laws.md) b", "[a](laws.md) b"),
        (ROOT, "a [b](results/README.md)", "a [b](result-folders.md)"),
        (ROOT, "![a](results/x/f.png)", "![a](../results/x/f.png)"),
        (ROOT, "[`code`](grokmap/tasks/) stays", "`code` stays"),
        (DOCS / "systems", "[a](../alpha.md)", "[a](alpha.md)"),
        (DOCS, "[a](https://arxiv.org/abs/1)", "[a](https://arxiv.org/abs/1)"),
        (DOCS, "[a](#here)", "[a](#here)"),
    ],
)
def test_links_lead_to_pages_of_the_site(folder: Path, text: str, becomes: str) -> None:
    assert extension("links").relinked(text, folder, DOCS) == becomes


def test_files_outside_are_shown_by_their_pages() -> None:
    for file, page in extension("links").SHOWN.items():
        assert (ROOT / file).is_file()
        assert f"```{{include}} ../{file}\n" in (DOCS / page).read_text()


def test_every_page_is_in_the_index() -> None:
    text = (DOCS / "index.md").read_text()
    trees = "\n".join(re.findall(r"```\{toctree\}\n(.*?)```", text, flags=re.S))
    listed = {re.sub(r".*<(.*)>", r"\1", line) for line in trees.splitlines()}
    pages = [*DOCS.glob("*.md"), *DOCS.glob("systems/*.md"), *DOCS.glob("*.ipynb")]
    names = {page.relative_to(DOCS).with_suffix("").as_posix() for page in pages}
    assert names - {"index"} == {line for line in listed if line and line[0] != ":"}


def test_the_reference_has_every_command_with_all_its_options() -> None:
    text = extension("commands").reference()
    parts = dict(re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", text, flags=re.M | re.S))
    assert set(parts) == set(GROUP.commands)
    for name, command in GROUP.commands.items():
        options = {word for parameter in command.params for word in parameter.opts}
        shown = set(re.findall(r"(?<![\w-])-{1,2}[a-z][a-z-]*", parts[name]))
        assert {word for word in options if word[0] == "-"} <= shown, name
    assert "Only part k of K, in shards/ of the result folder" in parts["sweep"]
    assert "Runs trained together \\[chosen\\]" in parts["sweep"]


def test_the_commands_of_the_gallery_parse_and_name_results() -> None:
    pictures = extension("pictures")
    lines = re.findall(r"^\$ grokmap (.*)$", pictures.gallery(), flags=re.M)
    assert len(lines) == len(pictures.GALLERY) >= 10
    for line in lines:
        name, *rest = shlex.split(line)
        GROUP.commands[name].make_context(name, [*rest])
        assert (ROOT / rest[0] / "sweep.toml").is_file()


def test_docstrings_become_lists_without_markup() -> None:
    lines = [
        "Takes *all* of |x| and `code`.",
        "",
        "Args:",
        "  first: the one,",
        "    on two lines. other_: the other.",
        "  rest, ...: more.",
        "",
        "Raises:",
        "  SpecError: a line. ResultError:",
        "  another.",
    ]
    made = extension("docstrings").restructured(lines)
    assert made[0] == r"Takes \*all\* of \|x\| and ``code``."
    assert r"- **first**: the one," in made
    assert r"  on two lines. other\_: the other." in made
    assert r"- **rest, ...**: more." in made
    assert made[-2:] == ["SpecError: a line. ResultError:", "another."]


def test_long_tables_of_evidence_are_folded() -> None:
    nodes = pytest.importorskip("docutils.nodes")
    utils = pytest.importorskip("docutils.utils")
    tables = extension("tables")

    def folds(rows: int, page: str) -> bool:
        body = nodes.tbody("", *(nodes.row() for _ in range(rows)))
        entries = [nodes.entry("", nodes.paragraph(text=t)) for t in ("law", "<x>")]
        head = nodes.thead("", nodes.row("", *entries))
        section = nodes.section("", nodes.table("", nodes.tgroup("", head, body)))
        document = utils.new_document("page")
        document.append(section)
        environment = type("", (), {"docname": page})
        config = type("", (), {"evidence_pages": {"laws"}})
        tables._fold(type("", (), {"env": environment, "config": config}), document)
        shown = [node.astext() for node in section.children if node.tagname == "raw"]
        assert shown in ([], [shown[0], "</details>"] if shown else [])
        return bool(shown) and f"Table of {rows} rows: law, &lt;x&gt;<" in shown[0]

    longest = tables.LONGEST
    assert folds(longest + 1, "laws") and folds(longest + 1, "systems/liu")
    assert not folds(longest, "laws") and not folds(longest + 1, "faq")
