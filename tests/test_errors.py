"""A user's own text, however made, stays inside one line of a message."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from conftest import ROOT

from grokmap.errors import GrokmapError, SpecError, short, shown
from grokmap.plan import read_sweep

HOSTILE = {
    "line": "a\ngrokmap: all is well",
    "return": "a\rgrokmap: all is well",
    "line separator": "a\u2028b",
    "next line": "a\x85b",
    "terminal": "a\x1b[2J\x1b]0;title\x07b",
    "c1": "a\x9b2Jb",
    "delete": "a\x7fb",
    "bidi": "a\u202eb\u2066c",
    "invisible": "a\u200bb\ufeff",
    "surrogate": "a\ud800b",
    "undecodable byte": os.fsdecode(b"a\xff\xfeb"),
    "null": "a\x00b",
}
# What a command line and a file name can hold.
ARGUMENTS = {k: v for k, v in HOSTILE.items() if k not in ("null", "surrogate")}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_text_that_is_not_printable_is_shown_escaped(text: str) -> None:
    found = shown(text)
    assert found.isprintable() and found != text
    assert shown(found) == found
    assert found.encode().decode() == found  # a lone surrogate cannot be printed
    assert GrokmapError([text, "b"]).problems == [found, "b"]
    assert str(GrokmapError(text)) == found


@pytest.mark.parametrize("text", ["", "x y", "données/λ=0.1", "日本", "a\\nb", "🙂"])
def test_printable_text_is_shown_as_it_is(text: str) -> None:
    assert shown(text) == text == short(text)


@pytest.mark.parametrize("text", ["x" * 81, "\n" * 41, "\U0010ffff" * 10**6])
def test_a_long_text_is_cut(text: str) -> None:
    assert len(short(text)) == 80 and short(text).endswith("...")


SWEEP = ["sweep", str(ROOT / "sweeps/smoke.toml")]
RESULT = str(ROOT / "results/quickstart-reference")
PLACES = {
    "override": [*SWEEP, "-s", "{}"],
    "key": [*SWEEP, "-s", "{}=1"],
    "value": [*SWEEP, "-s", "width={}"],
    "name": [*SWEEP, "-s", "optimizer={}"],
    "list": [*SWEEP, "-s", "order_parameters={}"],
    "part of an axis": [*SWEEP, "-s", "alpha=0,{}"],
    "field of an axis": [*SWEEP, "-s", "alpha=0:1:{}"],
    "file": ["sweep", "missing/{}.toml"],
    "folder": ["status", "missing/{}"],
    "criteria": ["classify", RESULT, "--criteria", "{}"],
    "criteria file": ["classify", RESULT, "--criteria", "missing/{}.toml"],
    "reproduction": ["reproduce", "{}"],
    "run": ["show", RESULT, "{}"],
    "colour": ["phase-diagram", RESULT, "--colour", "{}"],
    "axis": ["phase-diagram", RESULT, "--x", "{}"],
    "option": [*SWEEP, "--{}"],
    "number": [*SWEEP, "--lanes", "{}"],
    "command": ["{}"],
    "argument": ["status", RESULT, "{}"],
}


@pytest.mark.parametrize("place", PLACES)
def test_an_error_is_one_printable_line_whatever_a_user_types(
    command_line: Any, place: str
) -> None:
    for text in ARGUMENTS.values():
        code, out, err = command_line(*(w.format(text) for w in PLACES[place]))
        assert code == 2 and not out
        assert all(line.isprintable() for line in err.removesuffix("\n").split("\n"))
        assert not any(line.startswith("grokmap: all") for line in err.splitlines())


def test_keys_and_values_of_a_file_stay_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "\x1b[2Jx\n.toml"
    for text in HOSTILE.values():
        if "\ud800" in text or "\udcff" in text:
            continue  # no TOML
        document = {"name": text, "task": text, text: text, "axes": {text: [text]}}
        document |= {"modulus": text, "width": [text], "order_parameters": [text]}
        file.write_text(tomli_w.dumps(document))
        with pytest.raises(SpecError) as error:
            read_sweep(file)
        assert len(error.value.problems) > 5
        assert all(line.isprintable() for line in error.value.problems)


def test_a_name_that_is_no_text_can_be_said(tmp_path: Path) -> None:
    # The program itself: what is printed has to reach a file of UTF-8.
    command = [sys.executable, "-m", "grokmap", "sweep", b"missing/\xff\n.toml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True)
    assert done.returncode == 2
    assert rb"missing/\udcff\n.toml: cannot be read" in done.stderr
    assert done.stderr.count(b"\n") == 1
