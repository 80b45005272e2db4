"""Commands as lines that a shell reads back, whatever files are called."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path


def argument(path: Path) -> str:
    """A path that no command takes for an option: -rf -> ./-rf."""
    text = str(path)
    return f"./{text}" if text.startswith("-") else text


def pasted(words: Iterable[str]) -> str:
    """The words as one line that a shell reads back as they are.

    It is printable: control characters, and bytes that are no text, stand in $'...'
    of bash, ksh and zsh.
    """
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    letters = (
        chr(byte) if 32 <= byte < 127 and byte not in b"'\\" else f"\\x{byte:02x}"
        for byte in os.fsencode(word)
    )
    return f"$'{''.join(letters)}'"
