"""System, Control, Run: what is trained, and the content hash that names it.

Static and traced are the physicist's system and control parameters: everything in a
`System` changes the compiled program; every number in a `Control` flows through it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from typing import Any, NamedTuple

from grokmap.spec.axis import round12

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class System:
    """What changes the compiled program. One `System` is one compile.

    Every field that a later version adds has a default, and defaults are left out of
    the hash: so old run ids stay valid. For that reason a default never changes.

    A size of 0 is not read by the task or the model. noisy: which of `NOISES` are on.
    filter_window: gradients that a filter averages; 0: a running average.
    kernel_examples: on how many examples the tangent kernel is recorded.
    plugins: NAME VERSION of those that its task, model, activation, loss or optimizer
    comes from.
    """

    task: str
    modulus: int = 0
    width: int = 0
    model: str = "two_layer"
    activation: str = "quadratic"
    alpha_convention: str = "laziness"
    center: bool = False
    bias: bool = False
    loss: str = "mse"
    optimizer: str = "gd"
    precision: str = "float32"
    records_per_octave: int = 64
    order_parameters: tuple[str, ...] = ()
    order_parameters_per_octave: int = 8
    expensive_order_parameters_per_octave: int = 2
    ramped: bool = False
    depth: int = 0
    embedding: int = 0
    n_inputs: int = 0
    n_examples: int = 0
    n_relevant: int = 0
    batch_size: int = 0
    tolerance: float = 0.0
    perp_grad: bool = False
    noisy: tuple[str, ...] = ()
    published_seed: int = -1
    plugins: tuple[str, ...] = ()
    batch_replacement: bool = True
    kernel_examples: int = 0
    parameterization: str = "convention"
    ramp_of: str = "weight_decay"
    decay_bias: bool = True
    decay_embedding: bool = True
    schedule: str = "constant"
    filter_window: int = 0
    blocks: int = 1
    heads: int = 4
    head_dim: int = 0
    layer_norm: str = "none"
    split: str = "random"
    held_out: str = "none"
    held_out_size: int = 0
    read_at: str = "equals"


class Combination(NamedTuple):
    """One value of each choice that a sweep may sweep; fields of `System`."""

    task: str
    model: str
    activation: str
    alpha_convention: str
    loss: str
    optimizer: str
    precision: str
    center: bool
    bias: bool
    perp_grad: bool
    batch_replacement: bool
    parameterization: str
    decay_bias: bool
    decay_embedding: bool
    schedule: str
    layer_norm: str
    split: str
    held_out: str
    read_at: str


class Control(NamedTuple):
    """Control parameters of one run: scalars here, arrays of lanes under `vmap`.

    A control that is not read (the optimizer has no such setting, or the run no ramp)
    keeps its default here, and is left out of the run id and null in every table.

    weight_decay: lambda; of a ramped run, where the ramp begins and ends (see
    `weight_decay_at`). ramp_factor: its largest weight decay over this, above 1.
    ramp_steps: steps of the way up; the way down takes as many.
    The rest stands with the keys of a sweep file (`keys.Keys`).
    """

    alpha: float
    weight_decay: float
    train_fraction: float
    learning_rate: float
    momentum: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    ramp_factor: float = 1.0
    ramp_steps: float = 0.0
    label_noise: float = 0.0
    dropout: float = 0.0
    gradient_noise: float = 0.0
    temperature: float = 0.0
    embedding_learning_rate: float = 1e-3
    adam_learning_rate: float = 1e-3
    nonlinearity: float = 0.0
    gradient_avalanche: float = 0.0
    warmup_steps: float = 0.0
    schedule_steps: float = 0.0
    final_share: float = 0.0
    sam_radius: float = 0.0
    filter_strength: float = 0.0
    filter_decay: float = 0.98
    norm_clamp: float = 0.0
    norm_clamp_step: float = 0.0
    temperature_logits: float = 1.0
    chain: float = 0.0
    initial_scale: float = 1.0
    embedding_scale: float = 1.0
    sextic_decay: float = 0.0


ALWAYS_READ = ("alpha", "weight_decay", "train_fraction", "learning_rate")
CHOICES = Combination._fields
SYSTEM_FIELDS = tuple(f.name for f in fields(System))
# Absent from tables where every system has the default, as from those of earlier
# versions; as they are written there.
LATER_FIELDS = {
    f.name: "" if f.default == () else f.default
    for f in fields(System)[SYSTEM_FIELDS.index("depth") :]
}
SYSTEM_SIZES = (
    "modulus",
    "width",
    "depth",
    "embedding",
    "n_inputs",
    "n_examples",
    "n_relevant",
)
# Sizes with a default, read by some models.
MODEL_NUMBERS = ("blocks", "heads", "head_dim")
# Numbers where 0 or -1 has a meaning.
SYSTEM_NUMBERS = (
    *("batch_size", "published_seed", "filter_window", *MODEL_NUMBERS),
    "held_out_size",
)
# Several words in one field.
SYSTEM_LISTS = ("order_parameters", "noisy", "plugins")
RAMP_CONTROLS = ("ramp_factor", "ramp_steps")
# What is ramped: weight decay alone; or temperature with it (and decay of sixth order),
# the noise sigma^2 of a posterior whose prior stays, of variance temperature / decay.
NOISE_RAMP = "noise"
RAMPS = ("weight_decay", NOISE_RAMP)
# Noise, what else is done by a strength, and other starts: read by every run in which
# they are not at their default, where they change the program.
NOISES = (
    *("label_noise", "dropout", "gradient_noise", "gradient_avalanche"),
    *("warmup_steps", "sam_radius", "filter_strength", "norm_clamp"),
    *("temperature_logits", "chain", "initial_scale", "embedding_scale"),
    "sextic_decay",
)
# What runs read beside one of these where it is on.
READ_WITH = {"filter_strength": "filter_decay", "norm_clamp": "norm_clamp_step"}
CONTROL_FIELDS = Control._fields
CONTROL_DEFAULTS: dict[str, float] = Control._field_defaults
# Absent from results of earlier versions.
LATER_CONTROLS = CONTROL_FIELDS[CONTROL_FIELDS.index("ramp_factor") :]
# Read by some optimizers, models or activations.
CHOSEN_CONTROLS = tuple(
    f
    for f in CONTROL_FIELDS
    if f not in (*ALWAYS_READ, *RAMP_CONTROLS, *NOISES, *READ_WITH.values())
)


class Run(NamedTuple):
    """One network trained once."""

    run_id: str
    system: System
    control: Control
    seed: int


# Keys of earlier versions, still read in sweep files and results, and what they are
# called now. Run ids and the columns of tables hold the earlier names for ever.
RENAMED = {"dear_order_parameters_per_octave": "expensive_order_parameters_per_octave"}
STORED_AS = {now: before for before, now in RENAMED.items()}


def with_new_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with keys of earlier versions called as they are now."""
    return {RENAMED.get(key, key): value for key, value in values.items()}


def n_train_of(train_fraction: float, n_examples: int) -> int:
    """Training examples of a run: the nearest whole number to the fraction."""
    return round(train_fraction * n_examples)


def weight_decay_at(step: Any, control: Control) -> Any:
    """lambda(t) of a ramped run: geometric up in T = ramp_steps, then down in as many.

    lambda(t) = lambda F^(1 - |1 - t/T|), lambda = weight_decay, F = ramp_factor; from
    t = 2 T on it is lambda. The step from t to t + 1 decays by it. Numbers of the host
    or traced, or arrays that broadcast.
    """
    return control.weight_decay * _factor_at(step, control)


def control_at(step: Any, control: Control, ramp_of: str) -> Control:
    """The control parameters of a ramped run at a step; ramp_of: one of `RAMPS`."""
    factor = _factor_at(step, control)
    ramped = control._replace(weight_decay=control.weight_decay * factor)
    if ramp_of == NOISE_RAMP:
        return ramped._replace(
            temperature=control.temperature * factor,
            sextic_decay=control.sextic_decay * factor,
        )
    return ramped


def _factor_at(step: Any, control: Control) -> Any:
    share = 1.0 - abs(1.0 - step / control.ramp_steps)
    return control.ramp_factor ** (share * (share > 0))


def run_id(system: str, control: str, seed: int) -> str:
    """16 hex digits of blake2b over canonical JSON of exactly (system, control, seed).

    Args:
      system: `system_identity` of the system.
      control: `control_identity` of all control parameters.
      seed: seeds the split and the initial weights.
    """
    # Canonical: keys sorted, no spaces. Put together from parts, since a sweep of a
    # million runs has few systems and few points on each axis.
    text = (
        f'{{"control":{control},"schema":{SCHEMA_VERSION},"seed":{seed},'
        f'"system":{system}}}'
    )
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def system_identity(system: System) -> str:
    """Canonical JSON of the fields of `system` that differ from their defaults."""
    changed = {
        STORED_AS.get(f.name, f.name): getattr(system, f.name)
        for f in fields(system)
        if f.default is MISSING or getattr(system, f.name) != f.default
    }
    return json.dumps(changed, sort_keys=True, separators=(",", ":"))


def control_identity(control: Control, reads: tuple[str, ...]) -> str:
    """Canonical JSON of the control parameters that are read.

    reads: names of those that are read beside `ALWAYS_READ`; the others are left out.
    """
    names = sorted((*ALWAYS_READ, *reads))
    pairs = [f'"{name}":{_number(getattr(control, name))}' for name in names]
    return "{" + ",".join(pairs) + "}"


@lru_cache(maxsize=1 << 16)
def _number(value: float) -> str:
    # 0.0 and -0.0 are one number, so they must be one run.
    return json.dumps(round12(float(value)) + 0.0)
