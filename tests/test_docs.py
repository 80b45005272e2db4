"""README and docs stay true: commands parse, outputs are real, tables are generated.

To write the generated parts anew: python tests/test_docs.py
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from conftest import ROOT
from tables import TABLES

from grokmap.cli import app
from grokmap.plan import count_runs, read_sweep

README = ROOT / "README.md"
GROUP = typer.main.get_command(app)


def generated(text: str, title: str, table: str) -> str:
    pattern = rf"(<!-- table: {title} -->\n).*?(<!-- end -->)"
    return re.sub(pattern, lambda m: m[1] + table + "\n" + m[2], text, flags=re.S)


def real_output(text: str) -> str:
    """Text with the block after each `output:` mark filled in by running it."""

    def fill(match: re.Match[str]) -> str:
        command = match[1]
        words = [sys.executable, "-m", *shlex.split(command)]
        done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
        block = f"```console\n$ {command}\n{done.stdout}```"
        return f"<!-- output: {command} -->\n{block}"

    return re.sub(r"<!-- output: (.*?) -->\n```console\n.*?```", fill, text, flags=re.S)


@pytest.mark.parametrize("place", TABLES, ids=str)
def test_tables_are_generated(place: tuple[str, str]) -> None:
    text = (ROOT / place[0]).read_text()
    assert f"<!-- table: {place[1]} -->" in text
    assert generated(text, place[1], TABLES[place]()) == text


def test_shown_output_is_real() -> None:
    text = README.read_text()
    assert "<!-- output:" in text
    assert real_output(text) == text


def commands() -> list[str]:
    text = README.read_text()
    lines = re.findall(r"^\$ (grokmap .*?)(?:\s+#.*)?$", text, flags=re.M)
    assert len(lines) >= 10
    return [line.split(" > ")[0] for line in lines]


@pytest.mark.parametrize("line", commands())
def test_commands_of_the_readme_parse(line: str) -> None:
    name, *rest = shlex.split(line)[1:]
    command = GROUP.commands[name]  # type: ignore[attr-defined]
    command.make_context(name, rest)  # raises on an unknown option
    for word in rest:
        if word.startswith("sweeps/"):
            assert (ROOT / word).is_file()


def test_every_command_is_in_the_readme() -> None:
    shown = {shlex.split(line)[1] for line in commands()}
    assert shown == set(GROUP.commands)  # type: ignore[attr-defined]


def test_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.M))
    shown = set(re.findall(r"(?:\$ |`)make ([a-z-]+)", README.read_text()))
    assert {"demo", "test"} <= shown <= targets
    ci = (ROOT / ".ci/run").read_text()
    assert {"lint", "type", "docs", "smoke", "test", "test-slow"} <= set(ci.split())


def test_the_example_sweep_is_valid(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", README.read_text(), flags=re.S)
    tomllib.loads(block)
    path = tmp_path / "mine.toml"
    path.write_text(block)
    assert count_runs(read_sweep(path)) == 7 * 10 * 2 * 4


def test_the_example_order_parameter_works() -> None:
    import jax
    from conftest import gaussian, snapshot

    from grokmap.order_parameters import learning, table

    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.S)
    (code,) = (b for b in blocks if "Snapshot" in b)
    names = {**vars(learning), **vars(table), "jax": jax}
    exec(code, names)
    assert float(names["readout_norm_ratio"](snapshot(*gaussian(7, 8)))) > 0
    entry = re.search(r'"readout_norm_ratio": (OrderParameter\(.*\)),', code)
    assert entry and eval(entry[1], names).bounds == (0.0, table.INFINITY)


def test_the_example_in_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.S)
    (code,) = (b for b in blocks if "import grokmap" in b)
    kept = ROOT / "results/quickstart-reference"
    lines = [line for line in code.splitlines() if "grokmap.sweep(" not in line]
    assert len(lines) == len(code.splitlines()) - 1
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec("\n".join(lines).replace("results/quickstart", str(kept)), names)
    assert len(names["result"].runs) == 140
    assert (tmp_path / "diagram.png").read_bytes().startswith(b"\x89PNG")


def test_links_hold() -> None:
    folders = (ROOT / "docs", ROOT / "docs/systems", ROOT / "results")
    pages = [README, *(page for at in folders for page in sorted(at.glob("*.md")))]
    for page in pages:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            made = link.startswith("generated/")  # when the site is built
            assert made or (page.parent / link).exists(), f"{page.name}: {link}"


def section(page: str, title: str) -> str:
    text = (ROOT / page).read_text()
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_map_of_the_code_names_what_there_is() -> None:
    text = section("docs/design.md", "Map of the code")
    package = ROOT / "grokmap"
    files = set(re.findall(r"`([a-z_/]+(?:\.py|/))`", text)) - {"grokmap/"}
    names = {path.name for path in package.rglob("*.py")}
    for file in files:
        places = (package / file, ROOT / file)
        assert file in names or any(p.exists() for p in places), file
    modules = {p.name for p in package.glob("[a-z]*.py")}
    folders = {f"{p.parent.name}/" for p in package.glob("*/__init__.py")}
    assert modules | folders <= files, modules | folders
    found = re.findall(r"`(\w+)`[^|`]* in `([a-z_/]+\.py)`", text)
    assert ("rqi", "order_parameters/spectra.py") in found
    for name, file in found:
        place = rf"^(def|class) {name}\b|^{name}\b.* = "
        assert re.search(place, (package / file).read_text(), re.M), name


def test_the_recipes_name_the_tables_there_are() -> None:
    text = section("docs/design.md", "How to add things")
    code = "\n".join(path.read_text() for path in (ROOT / "grokmap").rglob("*.py"))
    tables = set(re.findall(r"`([A-Z_]{4,})`", text))
    assert "ORDER_PARAMETERS" in tables
    for name in tables:
        assert re.search(rf"^{name}\b.* = ", code, re.M), name


if __name__ == "__main__":
    for (name, title), table in TABLES.items():
        path = ROOT / name
        path.write_text(generated(path.read_text(), title, table()))
    README.write_text(real_output(README.read_text()))
