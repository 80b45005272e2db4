"""Writes generated/commands.md: every command with its help, read off the program."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer

from grokmap.cli import PANELS
from grokmap.cli import app as program

GROUP: Any = typer.main.get_command(program)


def reference() -> str:
    """All commands in the panels of `grokmap --help`, as Markdown."""
    return "\n\n".join(_panel(panel) for panel in PANELS)


def _panel(panel: str) -> str:
    commands = {
        name: command
        for name, command in GROUP.commands.items()
        if command.rich_help_panel == panel
    }
    parts = [_command(name, command) for name, command in commands.items()]
    return "\n\n".join([f"## {panel}", *parts])


def _command(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join(["grokmap", name, *command.collect_usage_pieces(context)])
    records = [p.get_help_record(context) for p in command.get_params(context)]
    rows = [_row(*record) for record in records if record]
    table = "\n".join(["| argument or option | meaning |", "| --- | --- |", *rows])
    words = plain(command.help or "")
    return f"### {name}\n\n```text\n{usage}\n```\n\n{words}\n\n{table}"


def _row(name: str, meaning: str) -> str:
    return f"| `{name.strip()}` | {plain(meaning)} |"


def plain(text: str) -> str:
    """Text in which Markdown finds no markup but `code`; paragraphs stay paragraphs."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    return "\n\n".join(_escaped(paragraph) for paragraph in paragraphs)


def _escaped(text: str) -> str:
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(
        part if part.startswith("`") else re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", part)
        for part in parts
    )


def _write(application: Any) -> None:
    folder = Path(application.srcdir) / "generated"
    folder.mkdir(exist_ok=True)
    (folder / "commands.md").write_text(reference() + "\n")


def setup(application: Any) -> dict[str, bool]:
    application.connect("builder-inited", _write)
    return {"parallel_read_safe": True}
