"""Sweep files come from colleagues: each is a valid sweep or a clear error.

The slow test tries 100,000 inputs (`make test-slow`), the fast one 1,000.
"""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from conftest import ROOT

from grokmap.errors import SpecError
from grokmap.plan import NAMES, count_runs, read_sweep
from grokmap.spec.sweep import KEYS, MAX_RUNS

FILES = [p.read_text() for p in sorted((ROOT / "sweeps").glob("*.toml"))]
WORDS = [name for names in NAMES.values() for name in names]
SCRAPS = [
    *("0:1:5", "log:1e-3:1:4", "logint:8:64:3", "range:0:4:1", "0.1,0.2", ":::", "1:"),
    *("0:1:1000000000", "range:0:1e9:1", "log:-1:1:3", "log:0:1:3", "nan", "inf", "-0"),
    *("1e400", "٣", "0x10", "1_000", "", " ", ",", "0,,1", "../../etc", "a/b", "\x00"),
    *("${HOME}", "__import__('os')", "{{7*7}}", "аlpha", "modular_аddition", "🙂"),
    *("\n", "7\ngrokmap: done", "\x1b[2J", "\u202e7", "\u2028", "\ud800", "9" * 5000),
]
NUMBERS = [0, 1, -1, 2, 7, 23, 2**31, 2**63 - 1, 0.0, 0.5, 1e-300, 1e300, -0.0]
NUMBERS += [float("inf"), float("nan"), float("-inf"), 10**30]


def value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(8 if depth < 10 else 5)
    if kind < 2:
        return rng.choice(NUMBERS)
    if kind < 4:
        return rng.choice([*SCRAPS, *WORDS])
    if kind == 4:
        return rng.random() < 0.5
    if kind == 5:
        return {rng.choice(SCRAPS): value(rng, depth + 1)}
    return [value(rng, depth + 1) for _ in range(rng.randrange(4))]


def document(rng: random.Random) -> str:
    """Keys that exist and some that do not, with values of any kind."""
    keys = rng.sample([*KEYS, *SCRAPS, "axes"], rng.randrange(12))
    made: dict[str, Any] = {"name": "x", "task": "modular_addition", "modulus": 7}
    made |= {key: value(rng) for key in keys}
    if rng.random() < 0.5:
        made["axes"] = {key: value(rng) for key in rng.sample(KEYS, 3)}
    return tomli_w.dumps(made)


def mutated(rng: random.Random) -> str:
    """A shipped sweep file with some characters changed, taken out or doubled."""
    text = list(rng.choice(FILES))
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(text))
        text[at] = rng.choice(
            ["", text[at] * 2, chr(rng.randrange(1, 0x2FF)), "9", '"']
        )
    return "".join(text)


def noise(rng: random.Random) -> str:
    size = rng.randrange(40)
    return "".join(chr(rng.randrange(0x3FF)) for _ in range(size))


def inputs(count: int, seed: int) -> Iterator[tuple[str, list[str]]]:
    """Sweep files, each with some overrides of the command line."""
    rng = random.Random(seed)
    keys = [*KEYS, *SCRAPS]
    for _ in range(count):
        text = rng.choice([document, mutated, mutated, noise])(rng)
        values = [*SCRAPS, *map(str, NUMBERS), noise(rng)]
        n = rng.choice([0, 0, 1, 2])
        yield text, [f"{rng.choice(keys)}={rng.choice(values)}" for _ in range(n)]


@pytest.mark.parametrize("count", [1_000, pytest.param(30_000, marks=pytest.mark.slow)])
def test_any_file_is_a_sweep_or_a_clear_error(tmp_path: Path, count: int) -> None:
    file = tmp_path / "fuzz.toml"
    valid = refused = 0
    for text, overrides in inputs(count, seed=count):
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            sweep = read_sweep(file, overrides)
        except SpecError as error:
            refused += 1
            assert error.problems
            for line in error.problems:
                assert 0 < len(line) < 1000 and line.isprintable(), (text, overrides)
                assert "Traceback" not in line
        else:
            valid += 1
            assert 1 <= count_runs(sweep) <= MAX_RUNS
            assert "/" not in sweep.name and not sweep.name.startswith(".")
    # Both happen often enough that neither is all there is to see.
    assert valid > count / 100 and refused > count / 10
    print(f"{valid} valid, {refused} refused")


@pytest.mark.parametrize(
    "text",
    [
        'modulus = 7\n[axes]\nalpha = "0:0.5:1000000000"',
        'modulus = 7\n[axes]\nseed = "range:0:1000000000:1"',
        'modulus = 7\nalpha = "logint:1:1e18:1e12"',
        "alpha = " + "[" * 300 + "]" * 300,
        "\n".join(f"[{'a.' * 10}b{i}]\nx = 1" for i in range(2000)),
    ],
    ids=["points", "range", "logint", "nested", "tables"],
)
def test_sizes_are_checked_before_memory_is_spent(tmp_path: Path, text: str) -> None:
    file = tmp_path / "big.toml"
    file.write_text('name = "x"\ntask = "modular_addition"\n' + text)
    tracemalloc.start()
    try:
        with pytest.raises(SpecError):
            read_sweep(file)
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()


def test_a_file_of_a_gigabyte_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "huge.toml"
    with file.open("wb") as handle:
        handle.truncate(2**30)
    tracemalloc.start()
    try:
        with pytest.raises(SpecError, match="no sweep file"):
            read_sweep(file)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("key", "hint"), [("аlpha", "alpha"), ("wеight_decay", "weight_decay")]
)
def test_look_alikes_are_named(tmp_path: Path, key: str, hint: str) -> None:
    # The first letters are Cyrillic.
    file = tmp_path / "x.toml"
    file.write_text(f'name = "x"\ntask = "modular_addition"\n"{key}" = 0\n', "utf-8")
    with pytest.raises(SpecError) as error:
        read_sweep(file)
    assert any("unknown key" in line and hint in line for line in error.value.problems)
