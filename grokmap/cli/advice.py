"""Advice where a sweep got stuck: a line each on stderr, with a command that works."""

from __future__ import annotations

from typing import Any

from grokmap.analysis.advice import Advice
from grokmap.cli.opened import say
from grokmap.cli.pasted import advice_command
from grokmap.durations import human_time
from grokmap.errors import GrokmapError
from grokmap.result import Result
from grokmap.result.status import plain


def advice_of(result: Result) -> list[Advice]:
    """What there is to say; nothing where the runs cannot be read, which others say."""
    try:
        return result.advice()
    except GrokmapError:
        return []


def say_advice(result: Result) -> None:
    """Says it, each piece with its command and what that would cost."""
    for item in advice_of(result):
        cost = ""
        if item.seconds == item.seconds:
            cost = f" (about {human_time(item.seconds)}, as these runs took)"
        say(f"{item.text}: `{advice_command(result.path, item)}`{cost}")


def facts_of(result: Result) -> list[dict[str, Any]]:
    """The same as JSON."""
    return [
        {key: plain_or_list(value) for key, value in item._asdict().items()}
        | {"command": advice_command(result.path, item)}
        for item in advice_of(result)
    ]


def plain_or_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else plain(value)
