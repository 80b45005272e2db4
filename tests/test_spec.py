from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tomli_w
from conftest import ROOT, small_sweep
from hypothesis import given
from hypothesis import strategies as st
from test_tasks import NO_IMAGES

from grokmap.errors import SpecError
from grokmap.models import MODELS
from grokmap.optimizers import OPTIMIZERS
from grokmap.order_parameters import ORDER_PARAMETERS
from grokmap.plan import (
    count_runs,
    expand,
    plan_runs,
    plan_table,
    read_sweep,
    sweep_schema,
)
from grokmap.spec import Control, Run, Sweep, System
from grokmap.spec.axis import round12
from grokmap.spec.words import (
    ALWAYS_READ,
    CHOSEN_CONTROLS,
    SYSTEM_FIELDS,
    control_identity,
    run_id,
    system_identity,
)
from grokmap.tasks import TASKS

GOOD = """
name = "x"
task = "modular_addition"
modulus = 17
learning_rate = 0.05
horizon = 6
[axes]
alpha = "0:0.6:7"
weight_decay = "log:1e-3:1:10"
train_fraction = 0.6
width = 64
seed = "range:0:2:1"
"""


def problems(read: Any, text: str, *overrides: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        read(text, *overrides)
    return caught.value.problems


def test_reads_fixed_and_swept(read: Any) -> None:
    sweep = read(GOOD)
    assert sweep.swept == ("alpha", "weight_decay", "seed")
    assert count_runs(sweep) == 140
    assert sweep.width == (64,)
    # By default all that the task has: no teacher here.
    every = set(ORDER_PARAMETERS)
    asked = {k for k, v in ORDER_PARAMETERS.items() if v.on_request}
    assert "weight_motion" in asked
    assert set(sweep.order_parameters) == every - asked - {"teacher_overlap"}


def test_overrides_replace_fixed_and_swept_keys(read: Any) -> None:
    sweep = read(GOOD, "alpha=0.3", "width=32,64", "activation=relu", "center=true")
    assert sweep.alpha == (0.3,)
    assert sweep.width == (32, 64)
    assert sweep.activation == "relu"
    assert sweep.center is True


def test_resolved_document_reads_back_to_the_same_sweep(read: Any) -> None:
    sweep = read(GOOD)
    document = tomllib.loads(tomli_w.dumps(sweep.resolved()))
    assert Sweep.from_resolved(document) == sweep


# Each edit of the good file, and what its one line must say.
BAD = [
    ("modulus = 17", "modulus = 17\nepochs = 3", "unknown key 'epochs'"),
    ("horizon = 6", "horizon = 6\nactivaton = 'relu'", "did you mean 'activation'"),
    (
        'task = "modular_addition"',
        'task = "modular_additon"',
        "did you mean 'modular_addition",
    ),
    ("modulus = 17", "modulus = 'p'", "modulus = 'p': 'p' is no number"),
    ("modulus = 17", "modulus = true", "modulus = True"),
    ("horizon = 6", "horizon = 6\ncenter = 1", "center = 1: should be true or false"),
    ('alpha = "0:0.6:7"', 'alpha = ""', "alpha = '': an empty axis"),
    ('alpha = "0:0.6:7"', "alpha = []", "an empty axis"),
    ('alpha = "0:0.6:7"', 'alpha = "0.6:0:7"', "from 0.6 down to 0"),
    ('alpha = "0:0.6:7"', 'alpha = "0:0.6:7.5"', "whole number, not 7.5"),
    ('alpha = "0:0.6:7"', "alpha = [0, 0.5, 0]", "given twice"),
    ('alpha = "0:0.6:7"', "alpha = 3", "exponent of the width"),
    ("width = 64", "width = 0", "width = 0: should be at least 1"),
    ("width = 64", "width = 64.5", "whole numbers only, not 64.5"),
    ("[axes]", "weight_decay = 1\n[axes]", "at the top and under [axes]"),
    ('"log:1e-3:1:10"', "-0.1", "weight_decay = -0.1: should be at least 0"),
    ('"log:1e-3:1:10"', "nan", "weight_decay = nan: nan is not finite"),
    ('"log:1e-3:1:10"', "inf", "not finite"),
    ("train_fraction = 0.6", "train_fraction = 1", "should be below 1"),
    ("train_fraction = 0.6", "train_fraction = 0", "should be above 0"),
    ("train_fraction = 0.6", "train_fraction = 0.9999", "leaves no test example"),
    ("train_fraction = 0.6", "train_fraction = 1e-6", "leaves no train example"),
    ("train_fraction = 0.6", "", "missing key 'train_fraction'"),
    ("horizon = 6", "", "one of horizon (decay times), n_steps (fixed) and n_epochs"),
    ("horizon = 6", "horizon = 6\nn_steps = 9", "horizon and n_steps found"),
    ("horizon = 6", "n_steps = 9\nmax_steps = 9", "goes with horizon"),
    ("horizon = 6", "horizon = 6\nmax_steps = 9\nmin_steps = 10", "above max_steps"),
    ("horizon = 6", "horizon = 6\nbeta1 = 0.9", "beta1: ignored by optimizer 'gd'"),
    ("horizon = 6", "horizon = 6\nrecords_per_octave = 48", "a power of two"),
    ("horizon = 6", "horizon = 6\norder_parameters = ['snrr']", "did you mean 'snr'"),
    (
        "horizon = 6",
        "horizon = 6\nexpensive_order_parameters_per_octave = 16",
        "at most order_parameters_per_octave = 8",
    ),
    (
        "horizon = 6",
        "horizon = 6\nexpensive_order_parameters_per_octave = 3",
        "a power of two",
    ),
    ('name = "x"', 'name = "../x"', "letters, digits"),
    ("[axes]", "[axis]", "did you mean 'axes'"),
    ("[axes]", "[axes]\nhorizon = 6", "horizon cannot be swept"),
    ("horizon = 6", 'horizon = 6\nmomentum = "0.1,0.2"', "put it under [axes]"),
    ("seed = ", 'learning_rate = "0:"\nseed = ', "stands at the top"),
    ('"range:0:2:1"', '"range:0:999999:1"', "at most 1000000 in one sweep"),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD, ids=lambda x: str(x)[:40])
def test_bad_input_is_one_clear_line(
    read: Any, old: str, new: str, message: str
) -> None:
    assert GOOD.count(old) == 1
    assert any(message in line for line in problems(read, GOOD.replace(old, new)))


def test_all_problems_at_once(read: Any) -> None:
    text = GOOD
    for old, new, _ in (BAD[0], BAD[2], BAD[6], BAD[12], BAD[18], BAD[27]):
        text = text.replace(old, new)
    found = "\n".join(problems(read, text))
    for _, _, message in (BAD[0], BAD[2], BAD[6], BAD[12], BAD[18], BAD[27]):
        assert message in found
    assert len(found.splitlines()) == 6


def test_composite_modulus_for_division(read: Any) -> None:
    text = GOOD.replace("addition", "division").replace("17", "'16,17'")
    text = text.replace("modulus = '16,17'\n", "").replace("[axes]", "[axes]\nMODULUS")
    text = text.replace("MODULUS", "modulus = '16,17'")
    assert any("modulus = 16" in line for line in problems(read, text))
    assert not any("modulus = 17" in line for line in problems(read, text))


@pytest.mark.parametrize("control", CHOSEN_CONTROLS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_swept_control_must_be_read(read: Any, control: str, optimizer: str) -> None:
    overrides = (f"optimizer={optimizer}", f"{control}=0.1,0.2")
    if not OPTIMIZERS[optimizer].decays:
        overrides += ("weight_decay=0",)
    if OPTIMIZERS[optimizer].needs_hidden:
        overrides += ("model=mlp", "depth=2")
    if not OPTIMIZERS[optimizer].has_decay_time:
        overrides += ("horizon=none", "n_steps=100")
    if control in OPTIMIZERS[optimizer].controls:
        assert control in read(GOOD, *overrides).swept
    else:
        assert "ignored by optimizer" in problems(read, GOOD, *overrides)[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"alpha = ", "not TOML"),
        (b"\xff\xfe", "not a text file"),
        (b"x = " + b"[" * 5000, "5000 lists and tables; at most 1000"),
        (b"x = " + b"[" * 900, "not TOML"),
        (b"x." * 5000 + b"x = 1", "5001 parts of a key; at most 16"),
        (b'x = ["""a"""", {' + b'"'.join([b"b."] * 20) + b"b = 1}]", "not TOML|parts"),
        (b"#" * (1 << 21), "no sweep file"),
    ],
)
def test_unreadable_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=message):
        read_sweep(path)
    with pytest.raises(SpecError, match="a folder"):
        read_sweep(tmp_path)
    with pytest.raises(SpecError, match="cannot be read"):
        read_sweep(tmp_path / "none.toml")


# What these runs are called, on any machine, for ever. A change here orphans every
# stored result: add fields with defaults instead, and never change a default.
GOLDEN: dict[tuple[tuple[str, Any], ...], str] = {
    (): "a2cee0c6f88ccf46",
    (("alpha", 0.3),): "52c5bbb6e4e2ebb2",
    (("weight_decay", 0.0),): "c1e6784efafebadd",
    (("optimizer", "adamw"), ("loss", "cross_entropy")): "784e513d77e0631b",
    (("seed", 7), ("momentum", 0.9)): "18a03c4ff5eab60d",
}


@pytest.mark.parametrize("changes", GOLDEN)
def test_golden_run_ids(changes: tuple[tuple[str, Any], ...]) -> None:
    sweep = small_sweep(order_parameters=("snr",), **dict(changes))
    runs = list(expand(sweep))
    assert [run.run_id for run in runs] == [GOLDEN[changes]]


def test_run_id_is_the_hash_of_this_text() -> None:
    text = (
        '{"control":{"alpha":0.0,"learning_rate":0.05,"momentum":0.0,'
        '"train_fraction":0.6,"weight_decay":0.001},"schema":1,"seed":0,'
        '"system":{"modulus":7,"order_parameters":["snr"],'
        '"task":"modular_addition","width":16}}'
    )
    expected = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    assert GOLDEN[()] == expected


def plain_run_id(run: Run) -> str:
    """The id of one run from one document, as any JSON library writes it."""
    default = System(task="", modulus=0, width=0)
    system = {
        k: getattr(run.system, k)
        for k in SYSTEM_FIELDS
        if k in ("task", "modulus", "width")
        or getattr(run.system, k) != getattr(default, k)
    }
    reads = {
        *ALWAYS_READ,
        *OPTIMIZERS[run.system.optimizer].controls,
        *MODELS[run.system.model].controls,
        *run.system.noisy,
    }
    control = {k: round12(float(getattr(run.control, k))) + 0.0 for k in reads}
    identity = {"schema": 1, "system": system, "control": control, "seed": run.seed}
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


ODD = [0, 1, 0.0, -0.0, 1.0, 1e-12, 1e-5, 1e16, 0.1 + 0.2, 1 / 3, 5e-324, 123456789]
NUMBER = st.sampled_from(ODD) | st.floats(-1e30, 1e30) | st.integers(-(10**18), 10**18)
SYSTEM = st.builds(
    System,
    task=st.sampled_from(sorted(TASKS)) | st.text(),
    modulus=st.integers(2, 1024),
    width=st.integers(1, 65536),
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    center=st.booleans(),
    order_parameters=st.sampled_from([(), ("snr",), ("snr", "rqi")]),
)


@given(SYSTEM, st.builds(Control, *[NUMBER] * 8), st.integers(0, 2**32 - 1))
def test_run_id_is_the_hash_of_its_whole_identity(
    system: System, control: Control, seed: int
) -> None:
    reads = OPTIMIZERS[system.optimizer].controls
    name = run_id(system_identity(system), control_identity(control, reads), seed)
    assert name == plain_run_id(Run(name, system, control, seed))


@pytest.mark.parametrize(
    "changes",
    [
        {"alpha": [-0.0, 1, 1e-12, 1 / 3], "weight_decay": [0, 1.0, 1e-12]},
        {"width": "8,16", "modulus": "7,11", "momentum": "0,0.9,0.123456789012345"},
        {"optimizer": "adamw", "beta1": [0, 0.9], "epsilon": "1e-8,1e-12"},
    ],
)
def test_every_run_of_a_sweep_has_the_id_it_has_alone(changes: dict[str, Any]) -> None:
    runs = list(expand(small_sweep(seed="0,4294967295", **changes)))
    assert [run.run_id for run in runs] == [plain_run_id(run) for run in runs]


def test_ids_depend_on_nothing_but_system_control_seed() -> None:
    def ids(**changes: Any) -> set[str]:
        return {run.run_id for run in expand(small_sweep(**changes))}

    one = ids()
    assert ids(name="other") == one
    assert ids(n_steps=200) == one
    assert ids(n_steps=None, horizon=3.0) == one
    assert ids(beta1=0.5) == one  # gd does not read it
    assert ids(learning_rate=0.05 + 1e-16) == one
    assert ids(weight_decay=0.0) == ids(weight_decay=-0.0)
    grown = ids(alpha="0:0.6:7", seed="0,1,2")
    assert one < grown and len(grown) == 21
    others = [ids(width=17), ids(modulus=11), ids(seed=1), ids(center=True)]
    assert len(set.union(one, *others)) == 5


def test_schema_describes_every_sweep_file() -> None:
    schema = sweep_schema()
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    for path in (ROOT / "sweeps").glob("*.toml"):
        validator.validate(tomllib.loads(path.read_text()))
    wrong = {"name": "x", "task": "modular_addition", "axes": {"alpha": 0.1, "x": 1}}
    assert not validator.is_valid(wrong)
    assert not validator.is_valid({"name": "x", "task": "modular_additon"})


@pytest.mark.parametrize("path", sorted((ROOT / "sweeps").glob("*.toml")), ids=str)
def test_shipped_sweeps_are_valid_and_say_what_they_are_for(path: Path) -> None:
    if path.stem == "digits" and NO_IMAGES:
        pytest.skip(NO_IMAGES)
    sweep = read_sweep(path)
    assert sweep.name == path.stem
    comment = path.read_text().split("\nname")[0]
    assert comment.startswith("# ") and "Expect" in comment
    assert f"{count_runs(sweep):,} runs" in comment.replace("\n# ", " ")


SYSTEM_TEXT = """
name = "system"
task = "linear_teacher"
model = "mlp"
n_inputs = 5
n_examples = 40
width = 8
depth = 2
alpha = 0.5
weight_decay = 0.1
train_fraction = 0.5
learning_rate = 0.1
n_steps = 10
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("depth = 2", "", "missing key 'depth'"),
        ("n_inputs = 5", "", "missing key 'n_inputs'"),
        ("depth = 2", "depth = 0", "depth = 0: should be at least 1"),
        ("depth = 2", "depth = 2\nmodulus = 7", "modulus: ignored by task"),
        ("depth = 2", "depth = 2\nembedding = 4", "embedding: ignored by task"),
        ('"mlp"', '"transformer"\nembedding = 8', "takes no reals"),
        ("n_steps", 'loss = "cross_entropy"\nn_steps', "not defined for task"),
        ("n_steps", 'alpha_convention = "survey_code"\nn_steps', "model 'mlp' knows"),
        ("n_steps", 'optimizer = "adam"\nn_steps', "optimizer 'adam' has none"),
        ('"mlp"', '"two_layer"\noptimizer = "muon"', "no matrix between hidden layers"),
        (
            "depth = 2",
            'depth = 1\noptimizer = "muon"\nmomentum = 0.9',
            "no matrix between hidden layers",
        ),
        ("n_steps", "batch_size = 41\nn_steps", "batch_size = 41: more than"),
        ("n_steps", "temperature = 0.1\nn_steps", "temperature: ignored by"),
        ("n_steps", "published_seed = 58\nn_steps", "only for task 'plain_addition'"),
        ("n_steps", "nonlinearity = 0.1\nn_steps", "nonlinearity: ignored by"),
        ("n_steps", "dropout = 1\nn_steps", "should be below 1"),
        ("n_examples = 40", "n_examples = 1", "should be at least 2"),
        ("= 0.5\nlearning", "= 0.999\nlearning", "leaves no test example of the 40"),
        ('"linear_teacher"', '"sparse_parity"\nn_relevant = 6', "below the 6"),
    ],
)
def test_a_system_that_does_not_go_together(
    read: Any, old: str, new: str, message: str
) -> None:
    assert count_runs(read(SYSTEM_TEXT)) == 1
    text = SYSTEM_TEXT.replace(old, new)
    assert text != SYSTEM_TEXT
    assert any(message in line for line in problems(read, text)), problems(read, text)


def test_sizes_of_systems_may_be_swept(read: Any) -> None:
    text = SYSTEM_TEXT.replace("depth = 2\n", "") + '[axes]\ndepth = "1,2,3"\n'
    runs = list(expand(read(text)))
    assert [run.system.depth for run in runs] == [1, 2, 3]
    assert len({run.run_id for run in runs}) == 3


def test_noises_name_runs_only_where_they_are_on(read: Any) -> None:
    text = SYSTEM_TEXT + '[axes]\ndropout = "0.2,0,0.1"\n'
    runs = list(expand(read(text)))
    plain = list(expand(read(SYSTEM_TEXT)))
    assert [run.control.dropout for run in runs] == [0.0, 0.2, 0.1]
    assert [run.system.noisy for run in runs] == [(), ("dropout",), ("dropout",)]
    assert runs[0].run_id == plain[0].run_id
    assert len({run.run_id for run in runs}) == 3
    # Another noise at 0 is no other run.
    more = list(expand(read(text + "label_noise = 0.0\n")))
    assert [run.run_id for run in more] == [run.run_id for run in runs]


def test_resolved_specs_of_systems_read_back(read: Any) -> None:
    sweep = read(SYSTEM_TEXT + '[axes]\ndropout = "0,0.1"\n')
    document = sweep.resolved()
    assert Sweep.from_resolved(document) == sweep
    assert "modulus" not in document and "label_noise" not in document
    assert document["n_inputs"] == 5 and document["axes"] == {"dropout": [0.0, 0.1]}


def test_a_sweep_is_read_from_text_and_from_a_dict(read: Any) -> None:
    document = tomllib.loads(GOOD)
    assert read_sweep(GOOD) == read_sweep(document) == read(GOOD)
    assert read_sweep(document, ["seed=3"]).seed == (3,)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("name = \n", "^sweep: not TOML: "),
        ({"name": "a", "tusk": 1}, "^sweep: unknown key 'tusk'; did you mean 'task'"),
        ("no-such-file.toml", "^no-such-file.toml: cannot be read: No such file"),
    ],
)
def test_what_is_wrong_with_a_source_is_told(source: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        read_sweep(source)


def test_the_earlier_name_of_a_key_is_read_and_stands_in_run_ids(read: Any) -> None:
    before = "dear_order_parameters_per_octave"
    now = before.replace("dear", "expensive")
    text = GOOD.replace("horizon = 6", f"horizon = 6\n{before} = 4")
    sweep = read(text)
    assert sweep == read(text.replace(before, now)) == read(GOOD, f"{before}=4")
    assert getattr(sweep, now) == 4 and now in sweep.resolved()
    system = next(expand(sweep)).system
    identity = json.loads(system_identity(system))
    assert identity[before] == 4 and now not in identity
    table = plan_table(plan_runs(sweep), sweep)
    assert set(table[before]) == {4} and now not in table
    both = text.replace("[axes]", f"{now} = 2\n[axes]")
    assert any("keep one" in line for line in problems(read, both))
    assert Sweep.from_resolved({**sweep.resolved(), before: 4}) == sweep
