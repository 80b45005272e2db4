"""Help says all that the code says: no hint is lost on the way."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import typer

from grokmap.cli import PANELS, app

GROUP: Any = typer.main.get_command(app)


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", GROUP.commands)
def test_every_help_text_is_shown_as_it_is_written(
    command_line: Any, name: str
) -> None:
    code, out, _ = command_line(name, "--help")
    assert code == 0
    command = GROUP.commands[name]
    assert words(command.callback.__doc__) in words(out)
    for parameter in command.params:
        assert parameter.help, parameter.name
        assert words(parameter.help) in words(out), parameter.name


def test_hints_in_brackets_are_among_them(command_line: Any) -> None:
    helps = [p.help for c in GROUP.commands.values() for p in c.params]
    assert sum("[" in text for text in helps if text) >= 5
    assert "[results/NAME]" in command_line("sweep", "--help")[1]


def test_a_bare_command_prints_help_in_lines_into_a_pipe() -> None:
    program = [sys.executable, "-m", "grokmap"]
    bare, asked = (
        subprocess.run([*program, *more], capture_output=True, text=True)
        for more in ([], ["-h"])
    )
    assert (bare.stdout + bare.stderr).strip() == asked.stdout.strip()
    assert len(asked.stdout.splitlines()) > 40


def test_the_list_of_commands_has_whole_lines(command_line: Any) -> None:
    code, out, _ = command_line("--help")
    assert code == 0
    for name, command in GROUP.commands.items():
        first = command.callback.__doc__.splitlines()[0]
        assert words(f"{name} {first}") in words(out)


def test_the_list_of_commands_is_in_panels(command_line: Any) -> None:
    listed: dict[str, list[str]] = {}
    for line in command_line("--help")[1].splitlines():
        if line.endswith(":") and not line.startswith(" "):
            panel = listed.setdefault(line[:-1], [])
        elif line.startswith("  ") and line[2] not in " -" and listed:
            panel.append(line.split()[0])
    del listed["Options"]
    assert tuple(listed) == PANELS
    assert listed["Run"][0] == "sweep"
    assert "boundaries" in listed["Analyse"]
    assert sorted(sum(listed.values(), [])) == sorted(GROUP.commands)
