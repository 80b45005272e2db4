"""What a shell hands over after -s, and whole numbers in any form, file or -s."""

from __future__ import annotations

from typing import Any

import pytest
from test_spec import GOOD, problems

from grokmap.plan import expand
from grokmap.spec import Sweep
from grokmap.spec.axis import MAX_POINTS, expand_axis
from grokmap.spec.words import SYSTEM_NUMBERS

ADAMW = GOOD.replace("horizon = 6", 'optimizer = "adamw"\nHERE')
# Key, a whole number that it takes; the line that stands in the good file, if any.
WHOLE = {
    "n_steps": 100_000,
    "n_epochs": 500,
    "min_steps": 1000,
    "max_steps": 100_000,
    "batch_size": 100,
    "filter_window": 16,
    "blocks": 2,
    "held_out_size": 2,
    "heads": 4,
    "head_dim": 0,
    "published_seed": -1,
    "records_per_octave": 64,
    "order_parameters_per_octave": 16,
    "expensive_order_parameters_per_octave": 4,
    "kernel_examples": 16,
    "modulus": 23,
    "width": 100,
    "seed": 1000,
}

TRANSFORMER = (
    "model=transformer",
    "embedding=8",
    "alpha_convention=standard",
    "alpha=1",
)
# What has to stand beside a key for it to be read.
BESIDE = {
    "filter_window": ("filter_strength=1",),
    "held_out_size": ("held_out=rows",),
    **dict.fromkeys(("blocks", "heads", "head_dim"), TRANSFORMER),
}


def identity(sweep: Sweep) -> tuple[dict[str, Any], list[str]]:
    return sweep.resolved(), [run.run_id for run in expand(sweep)]


def ways(number: int) -> list[str]:
    digits = f"{number:.0e}" if float(f"{number:.0e}") == number else f"{number}e0"
    return [str(number), f"{number}.0", digits, digits.replace("e", "E")]


def test_every_key_of_a_whole_number_is_tried() -> None:
    schema = Sweep.model_json_schema()["properties"]
    for key, entry in schema.items():
        kinds = [kind.get("type") for kind in (entry, *entry.get("anyOf", ()))]
        if "integer" in kinds and "array" not in kinds:
            assert key in WHOLE
    assert set(SYSTEM_NUMBERS) <= set(WHOLE)


@pytest.mark.parametrize(("key", "number"), WHOLE.items())
def test_a_whole_number_may_be_written_as_a_real_one(
    read: Any, key: str, number: int
) -> None:
    budget = [] if key in ("n_steps", "n_epochs") else ["horizon=6"]
    budget += BESIDE.get(key, ())
    text = ADAMW.replace("HERE", "")
    for name in ("modulus = 17", "width = 64", 'seed = "range:0:2:1"'):
        text = text.replace(name, "" if name.startswith(f"{key} ") else name)
    made = [identity(read(text, *budget, f"{key}={way}")) for way in ways(number)]
    lines = [text.replace("[axes]", f"{key} = {way}\n[axes]") for way in ways(number)]
    made += [identity(read(line, *budget)) for line in lines]
    assert len(made) == 8 and all(one == made[0] for one in made)
    values = made[0][0]
    assert values.get(key, number) == number and not isinstance(values.get(key), float)
    for wrong in (f"{number + 0.5}", "1e-3", "nan", "inf"):
        assert any(key in line for line in problems(read, text, f"{key}={wrong}"))


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        *(("", ()), ("none", ()), ("[]", ())),
        *(("rqi", ("rqi",)), ("rqi,snr", ("rqi", "snr")), ("rqi, snr", ("rqi", "snr"))),
        *(('["rqi", "snr"]', ("rqi", "snr")), ("[rqi,snr]", ("rqi", "snr"))),
        *((" rqi , snr,", ("rqi", "snr")), ("'rqi', 'snr'", ("rqi", "snr"))),
    ],
)
def test_order_parameters_are_listed_as_typed(
    read: Any, text: str, chosen: tuple[str, ...]
) -> None:
    assert read(GOOD, f"order_parameters={text}").order_parameters == chosen
    if "'" not in text and "[" not in text:
        inside = GOOD.replace("[axes]", f'order_parameters = "{text}"\n[axes]')
        assert read(inside).order_parameters == chosen


@pytest.mark.parametrize("key", ["center", "bias", "perp_grad"])
def test_switches_take_the_words_of_a_shell(read: Any, key: str) -> None:
    for word in ("true", "True", "TRUE", "yes", "on", "1"):
        assert getattr(read(GOOD, f"{key}={word}"), key) is True
    for word in ("false", "False", "no", "off", "0"):
        assert getattr(read(GOOD, f"{key}={word}"), key) is False
    for word in ("maybe", "2", "none", "[]"):
        assert any(key in line for line in problems(read, GOOD, f"{key}={word}"))


def test_none_leaves_a_setting_out(read: Any) -> None:
    budget = "horizon = 6\nmax_steps = 9000\nbatch_size = 10\n"
    text = GOOD.replace("horizon = 6", budget)
    fixed = ("horizon=none", "max_steps=None", "batch_size=NONE", "n_steps=500")
    sweep = read(text, *fixed)
    assert (sweep.horizon, sweep.n_steps, sweep.batch_size) == (None, 500, (0,))
    assert any("none found" in line for line in problems(read, GOOD, "horizon=none"))
    # A name or an axis called none is no name and no axis, not the default.
    for key in ("activation", "optimizer", "task", "weight_decay", "momentum"):
        assert any(key in line for line in problems(read, GOOD, f"{key}=none"))


@pytest.mark.parametrize(
    "key", ["horizon", "n_steps", "tail", "alpha", "width", "loss", "name", "center"]
)
def test_an_empty_value_is_refused_with_the_way_out(read: Any, key: str) -> None:
    for text in (f"{key}=", f"{key} = "):
        (line,) = problems(read, GOOD, text)
        assert "no value; write -s key=value" in line
        optional = key in ("horizon", "n_steps", "tail")
        assert (f"-s {key}=none" in line) == optional


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        *(("weight_decay=.1", "weight_decay", (0.1,)), ("horizon=.5", "horizon", 0.5)),
        *(("horizon=5.", "horizon", 5.0), ("horizon=06", "horizon", 6.0)),
        *(("name=2024", "name", "2024"), ("name=1e5", "name", "1e5")),
        *(("name='x'", "name", "x"), ("axes.alpha=[0,.5]", "alpha", (0.0, 0.5))),
    ],
)
def test_numbers_and_names_as_a_shell_has_them(
    read: Any, override: str, key: str, value: Any
) -> None:
    assert getattr(read(GOOD, override), key) == value


MIXED = {
    "0,log:1e-3:1:4": [0, 1e-3, 1e-2, 1e-1, 1],
    "0, 0.5:1:3, 2": [0, 0.5, 0.75, 1, 2],
    "range:0:3:1,10,logint:32:64:2": [0, 1, 2, 10, 32, 64],
    "0:1:2,2:3:2": [0, 1, 2, 3],
}


@pytest.mark.parametrize(("text", "points"), MIXED.items())
def test_points_and_ranges_may_be_mixed(
    read: Any, text: str, points: list[float]
) -> None:
    assert expand_axis(text) == points
    by_hand = identity(read(GOOD, f"weight_decay={points}"))
    old = 'weight_decay = "log:1e-3:1:10"'
    items = ", ".join(f'"{part}"' for part in text.split(","))
    for written in (f'"{text}"', f"[{items}]"):
        file = GOOD.replace(old, f"weight_decay = {written}")
        assert identity(read(file)) == by_hand
    assert identity(read(GOOD, f"weight_decay={text}")) == by_hand
    assert identity(read(GOOD, f"weight_decay=[{text}]")) == by_hand
    assert identity(read(GOOD, f"weight_decay=[{items}]")) == by_hand


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,log:0:1:4", "starts above 0"),
        ("0,1:0.5:3", "from 1 down to 0.5"),
        ("0,,log:1e-3:1:4", "no number"),
        ("0,log:1e-3:1:4,", "no number"),
        ("0,log:1e-3:1", "three fields"),
        ("0,0:1:3", "given twice"),
        ("0:1:2.5,2", "count of points"),
        (f"2,0:1:{MAX_POINTS}", f"at most {MAX_POINTS}"),
        (",".join([f"0:1:{MAX_POINTS}"] * 1000), f"at most {MAX_POINTS}"),
    ],
)
def test_a_mixed_axis_is_refused_as_its_parts_are(
    read: Any, text: str, message: str
) -> None:
    lines = problems(read, GOOD, f"weight_decay={text}")
    assert any(message in line and len(line) < 400 for line in lines)


def test_several_points_at_the_top_are_refused_however_they_are_written(
    read: Any,
) -> None:
    for written in ('"0,1:2:3"', '["0:1:3"]', '[0, "1:2:3"]'):
        text = GOOD.replace('alpha = "0:0.6:7"', "")
        text = text.replace("[axes]", f"alpha = {written}\n[axes]")
        assert any("put it under [axes]" in line for line in problems(read, text))
