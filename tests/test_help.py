"""Help says all that the code says: no hint is lost on the way."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from grokmap.cli import app

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


def test_the_list_of_commands_has_whole_lines(command_line: Any) -> None:
    code, out, _ = command_line("--help")
    assert code == 0
    for name, command in GROUP.commands.items():
        first = command.callback.__doc__.splitlines()[0]
        assert words(f"{name} {first}") in words(out)
