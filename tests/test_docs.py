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

import pandas as pd
import pytest
import typer
from conftest import ROOT

from grokmap.cli import app
from grokmap.models import ALPHA_CONVENTIONS
from grokmap.order_parameters import HEALTH, ORDER_PARAMETERS, OrderParameter
from grokmap.spec import read_sweep, sweep_schema
from grokmap.train import VOCABULARY

README = ROOT / "README.md"
GROUP = typer.main.get_command(app)


def order_parameters_table() -> str:
    rows = ["| name | symbol | meaning | range | reference |", "|---|---|---|---|---|"]
    for name, entry in ORDER_PARAMETERS.items():
        symbol = entry.symbol.replace("|", r"\|")
        meaning = entry.meaning + _where(entry)
        cells = [f"`{name}`", f"${symbol}$", meaning, _range(entry), entry.reference]
        rows.append(f"| {' | '.join(cells)} |")
    also = ", ".join(f"`{name}`" for name in HEALTH)
    return "\n".join([*rows, "", f"Always: {also}."])


def _where(entry: OrderParameter) -> str:
    return " (additive tasks)" if entry.tasks else ""


def _range(entry: OrderParameter) -> str:
    low, high = entry.bounds
    return f"{low:.3g} to {high:.3g}".replace("inf", "∞")


def keys_table() -> str:
    properties = sweep_schema(VOCABULARY)["properties"]
    rows = ["| key | meaning | values | default |", "|---|---|---|---|"]
    for key, entry in properties.items():
        if key != "axes":
            default = entry.get("default", "required")
            if isinstance(default, list):
                default = default[0]
            meaning = entry["description"]
            rows.append(f"| `{key}` | {meaning} | {_values(entry)} | {default} |")
    return "\n".join(rows).replace("None", "-")


def _values(entry: dict) -> str:
    if "enum" in entry or "enum" in entry.get("items", {}):
        return ", ".join(entry.get("enum") or entry["items"]["enum"])
    number = next((x for x in entry.get("anyOf", [entry]) if "type" in x), {})
    words = {"minimum": "≥", "exclusiveMinimum": ">"}
    words |= {"maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {number[k]:g}" for k, sign in words.items() if k in number]
    return ", ".join([number.get("type", ""), *bounds])


def conventions_table() -> str:
    rows = ["| convention | f | alpha |", "|---|---|---|"]
    for name, entry in ALPHA_CONVENTIONS.items():
        kind = "a factor, above 0" if entry.multiplies else "an exponent of N, 0 to 2"
        rows.append(f"| `{name}` | {entry.formula} | {kind} |")
    return "\n".join(rows)


def survey_table() -> str:
    runs = pd.read_parquet(ROOT / "results/survey2026/runs.parquet").sort_values("seed")
    rows = ["| | t_mem | t_grok | t_grok / t_mem |", "|---|---|---|---|"]
    rows.append("| published (one seed, logged every 100 steps) | 200 | 14600 | 73 |")
    for run in runs.itertuples():
        rows.append(
            f"| seed {run.seed} | {run.t_mem} ± {run.t_mem_resolution} "
            f"| {run.t_grok} ± {run.t_grok_resolution} | {run.delay_ratio:.0f} |"
        )
    return "\n".join(rows)


TABLES = {
    ("README.md", "order parameters"): order_parameters_table,
    ("docs/sweep-files.md", "keys"): keys_table,
    ("docs/sweep-files.md", "conventions"): conventions_table,
    ("docs/reproductions.md", "survey2026"): survey_table,
}


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
    assert "make test" in ci and "make smoke" in ci


def test_the_example_sweep_is_valid(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", README.read_text(), flags=re.S)
    tomllib.loads(block)
    path = tmp_path / "mine.toml"
    path.write_text(block)
    assert read_sweep(path, vocabulary=VOCABULARY).n_runs == 7 * 10 * 2 * 4


def test_the_example_order_parameter_works() -> None:
    import jax
    from conftest import gaussian, snapshot

    from grokmap import order_parameters as op

    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.S)
    (code,) = (b for b in blocks if "Snapshot" in b)
    names = {**vars(op), "jax": jax}
    exec(code, names)
    assert float(names["readout_norm_ratio"](snapshot(*gaussian(7, 8)))) > 0
    entry = re.search(r'"readout_norm_ratio": (OrderParameter\(.*\)),', code)
    assert entry and eval(entry[1], names).bounds == (0.0, op.INFINITY)


def test_readme_is_short_and_links_hold() -> None:
    text = README.read_text()
    assert len(text.splitlines()) <= 150
    pages = [README, *sorted((ROOT / "docs").glob("*.md")), ROOT / "results/README.md"]
    for page in pages:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


if __name__ == "__main__":
    for (name, title), table in TABLES.items():
        path = ROOT / name
        path.write_text(generated(path.read_text(), title, table()))
    README.write_text(real_output(README.read_text()))
