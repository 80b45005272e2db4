"""What is printed to be pasted reads back in a shell, whatever a folder is called."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, small_sweep
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cli import TINY

from grokmap import store
from grokmap.cli.opened import open_result
from grokmap.cli.pasted import argument, extend_command, next_command, pasted

NAMES = [
    *("-rf", "--out", "-", "a b", "it's", 'say "x"', "a=b", "$HOME", "~", "*", "a;b"),
    *(
        "#1",
        "!!",
        "back\\slash",
        "line\nbreak",
        "\x1b[2Jesc",
        "\udcff",
        "été",
        "quickstart",
    ),
]


def as_read_by_a_shell(line: str) -> list[str]:
    """The words of a printed command, as bash hands them to the program."""
    show = "import json, sys; print(json.dumps(sys.argv[1:]))"
    script = f'grokmap() {{ "$PYTHON" -c "$SHOW" grokmap "$@"; }}; {line}'
    done = subprocess.run(
        ["bash", "-c", script.encode("utf-8", "surrogateescape")],
        env={**os.environ, "PYTHON": sys.executable, "SHOW": show},
        capture_output=True,
        check=True,
    )
    return list(json.loads(done.stdout))


def test_a_shell_reads_the_words_back() -> None:
    words = [*NAMES, "", "\x00"[:0], "\x7f", "'\n'", "\\x41\n"]
    line = pasted(["grokmap", *words])
    assert line.isprintable()
    assert as_read_by_a_shell(line) == ["grokmap", *words]


@settings(max_examples=10)
@given(st.lists(st.text(st.characters(exclude_characters="\x00")), max_size=5))
def test_a_shell_reads_any_words_back(words: list[str]) -> None:
    words = [word for word in words if _is_a_name(word)]
    line = pasted(["grokmap", *words])
    assert line.isprintable()
    assert as_read_by_a_shell(line) == ["grokmap", *words]


def _is_a_name(word: str) -> bool:
    """Whether a file can be called so: not every surrogate stands for a byte."""
    try:
        return os.fsdecode(os.fsencode(word)) == word
    except UnicodeEncodeError:
        return False


def test_no_path_is_taken_for_an_option() -> None:
    for name in NAMES:
        assert not argument(Path(name)).startswith("-")
        assert Path(argument(Path(name))) == Path(name)


@pytest.mark.slow
def test_the_command_that_makes_a_run_again_works_in_any_folder(
    command_line: Any,
) -> None:
    Path("tiny.toml").write_text(TINY)
    assert command_line("sweep", "tiny.toml")[0] == 0
    run_id = store.read_plan(Path("results/tiny"))["run_id"].iloc[0]
    for name in ("-rf", "--out", "a=b c", "it's $HOME", "line\nbreak", "\x1b[2Jesc"):
        shutil.move("results/tiny", Path(name))
        folder = f"./{name}"
        code, out, err = command_line("show", folder, run_id, "--reproduce")
        assert code == 0 and len(out.splitlines()) == 1, (name, err)
        program, *words = as_read_by_a_shell(out)
        assert program == "grokmap"
        # Stopped at once: that it is the right run of the right folder can be seen.
        assert command_line(*words, "--time-budget", "0s")[0] == 75
        plan = store.read_plan(Path(words[words.index("--out") + 1]))
        assert plan["run_id"].tolist() == [run_id]
        shutil.move(Path(name), "results/tiny")


def test_the_hint_to_extend_names_the_folder(command_line: Any) -> None:
    shutil.copytree(ROOT / "results/refined", "-rf a")
    result = open_result(Path("-rf a"))
    text = extend_command(result.path, result.spec, result.labelled())
    assert text == "grokmap sweep './-rf a' --extend -s n_steps=12000"


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"weight_decay": "0.1,1"}, "phase-diagram"),
        ({"seed": "0,1", "optimizer": "gd,adamw"}, "curves"),
        ({"n_steps": None, "ramp_factor": 10, "ramp_steps": 50}, "hysteresis"),
    ],
)
def test_what_comes_next_is_by_what_is_swept(change: dict[str, Any], name: str) -> None:
    sweep = small_sweep(**change)
    assert next_command(Path("-r"), sweep) == f"grokmap {name} ./-r"


@pytest.mark.slow
def test_a_sweep_that_is_whole_says_what_comes_next(command_line: Any) -> None:
    Path("tiny.toml").write_text(TINY)
    sweep = ("sweep", "tiny.toml", "-s", "weight_decay=0.01,0.1")
    assert "next: " not in command_line(*sweep, "--time-budget", "0s")[2]
    assert "next: " not in command_line(*sweep, "--shard", "1/2")[2]
    shutil.rmtree("results")
    code, _, err = command_line(*sweep)
    assert code == 0
    line = err.splitlines()[-1]
    assert line == "grokmap: next: `grokmap phase-diagram results/tiny`"
    assert command_line(*shlex.split(line.split("`")[1])[1:])[0] == 0
    code, out, err = command_line(*sweep, "--json")
    assert code == 0 and "next: " not in out + err
