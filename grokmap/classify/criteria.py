"""The rules by which trajectories become labels, and files of them."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from grokmap import disk
from grokmap.errors import SpecError

NO_LEARNING, MEMORIZE_ONLY, GROK = "no-learning", "memorize-only", "grok"
PHASES = (NO_LEARNING, MEMORIZE_ONLY, GROK)
MAX_CRITERIA_BYTES = 1 << 16
MAX_PHASE = 40  # letters of a phase's name
FLAGS = ("censored", "diverged", "stalled", "collapsed", "dead", "partial")


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """Rules by which a run is labelled. Times in steps, accuracies in [0, 1].

    train_bar, test_bar: accuracies that count as learned and as generalised.
    train_loss_bar, test_loss_bar: losses that count as the same, at or below, where
      there is no accuracy (real targets), or everywhere with `by_loss`.
    relative_loss: whether they are shares of the run's initial losses.
    strict: whether an accuracy has to exceed its bar (else: reach it).
    sustained: whether a crossing has to hold at every later record (else: the first).
    last_step: crossings after this step do not count, and a run that reached it is
      decided (None: all count, and `horizon` decides).
    horizon: weight-decay times 1/decay_rate for which a run must be followed at least
      before "it did not grok" is decided; a sweep's own horizon counts if it is longer.
    settled_loss, settled_accuracy: a run that has not grokked is decided only once it
      has settled: in its last octave of steps ln(test loss) fell by at most the one,
      and the test accuracy rose by at most the other. Of a run that has not memorised
      the training loss and accuracy count as well. Without `last_step` only.
    partial_from: share of the way from the initial test accuracy to its bar, or test
      loss, from which a run that settled without grokking is partial, not decided.
    comprehension_ratio: t_grok / t_mem below which a grok was no delay (both from
      first crossings, so that a late dip of the training accuracy makes no grok one).
    comprehension_delay: the same as a difference in steps; replaces the ratio.
    stalled_zero_loss: share of training examples with loss exactly 0 from which a run
      that has not grokked counts as stalled (softmax collapse).
    dead_norm: weight norm, over the initial one, at which a run is dead.
    judged: "test", or "held_out": whether accuracy and loss of the test examples tell
      what generalised, or those of examples held out of both sets.
    phases: names of (neither, train only, both, both without delay).
    """

    name: str = "default"
    train_bar: float = 0.99
    test_bar: float = 0.95
    train_loss_bar: float = 0.1
    test_loss_bar: float = 0.1
    relative_loss: bool = True
    by_loss: bool = False
    strict: bool = False
    sustained: bool = True
    last_step: int | None = None
    horizon: float = 6.0
    settled_loss: float = 0.03
    settled_accuracy: float = 0.05
    partial_from: float = 0.25
    comprehension_ratio: float = 2.0
    comprehension_delay: int | None = None
    stalled_zero_loss: float = 0.5
    dead_norm: float = 1e-4
    judged: Literal["test", "held_out"] = "test"
    phases: tuple[str, str, str, str] = (NO_LEARNING, MEMORIZE_ONLY, GROK, GROK)

    @property
    def generalised(self) -> tuple[str, ...]:
        """The names of the phases that count as grokked: both, with or without delay.

        Raises:
          SpecError: a phase that did not generalise has one of these names.
        """
        names = tuple(dict.fromkeys(self.phases[2:]))
        same = sorted({*self.phases[:2]} & {*names})
        if same:
            raise SpecError(
                f"criteria {self.name!r} call runs that generalised {same[0]!r}, as "
                "they call others, so that none would seem to have grokked; choose "
                "other names in `phases`"
            )
        return names


# The literature's rules; thresholds as printed or as coded (Liu et al., arXiv
# 2205.10343, Table 1: T = 1e5, a delay of 1e3 steps; the survey's code: first logged
# step above 0.99 / 0.95, ratio only).
CRITERIA: dict[str, Criteria] = {
    "default": Criteria(),
    "liu2022": Criteria(
        name="liu2022",
        train_bar=0.9,
        test_bar=0.9,
        strict=True,
        sustained=False,
        last_step=100_000,
        comprehension_delay=1000,
        phases=("confusion", "memorization", "grokking", "comprehension"),
    ),
    "survey2026": Criteria(name="survey2026", strict=True, sustained=False),
    "held-out": Criteria(name="held-out", judged="held_out"),
}


NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_BOUNDS = {
    "train_bar": (1e-6, 1.0),
    "test_bar": (1e-6, 1.0),
    "train_loss_bar": (0.0, 1e12),
    "test_loss_bar": (0.0, 1e12),
    "last_step": (1, 1e12),
    "horizon": (1e-6, 1e9),
    "settled_loss": (0.0, 1e9),
    "settled_accuracy": (0.0, 1e9),
    "partial_from": (0.0, 1.0),
    "comprehension_ratio": (1.0, 1e9),
    "comprehension_delay": (0, 1e12),
    "stalled_zero_loss": (0.0, 1.0),
    "dead_norm": (0.0, 1.0),
}


def read_criteria(name: str) -> Criteria:
    """A preset by name, or a user's own from a TOML file with fields of `Criteria`.

    Raises:
      SpecError: neither; or unknown fields, wrong types, bars outside (0, 1].
    """
    if name in CRITERIA:
        return CRITERIA[name]
    path = Path(name)
    if path.suffix != ".toml":
        raise SpecError(
            f"unknown criteria {name!r}; known: {', '.join(CRITERIA)}, or a .toml file"
        )
    try:
        table = disk.read_toml(path, MAX_CRITERIA_BYTES)
    except (OSError, ValueError, RecursionError) as error:
        why = disk.reason(error)[:80]
        raise SpecError(f"{path}: unreadable criteria: {why}") from None
    return _criteria_of({"name": path.stem, **table}, path)


def _criteria_of(table: dict[str, Any], path: Path) -> Criteria:
    from pydantic import TypeAdapter, ValidationError

    known = [f.name for f in dataclasses.fields(Criteria)]
    problems = [
        f"{path}: unknown key {key[:60]!r}; known: {', '.join(known)}"
        for key in table
        if key not in known
    ]
    sound = {k: v for k, v in table.items() if k in known}
    rules = TypeAdapter(Criteria)
    try:
        criteria = rules.validate_python(sound)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            key = str(detail["loc"][0])
            if sound.pop(key, None) is not None:
                problems.append(f"{path}: {key}: {detail['msg']}")
        criteria = rules.validate_python(sound)
    if criteria.name in CRITERIA or not re.fullmatch(NAME, criteria.name):
        problems.append(
            f"{path}: name = {criteria.name[:60]!r}: letters, digits, '.', '_', '-'; "
            f"not {', '.join(CRITERIA)}"
        )
    if not all(map(_is_phase, criteria.phases)):
        problems.append(
            f"{path}: phases: printable, 1 to {MAX_PHASE} letters, and not "
            f"{', '.join(FLAGS)}"
        )
    for field, (low, high) in _BOUNDS.items():
        given = getattr(criteria, field)
        if given is not None and not low <= given <= high:
            problems.append(f"{path}: {field} = {given}: within [{low:g}, {high:g}]")
    if criteria.strict and 1 in (criteria.train_bar, criteria.test_bar):
        problems.append(f"{path}: strict = true: nothing exceeds a bar of 1")
    if problems:
        raise SpecError(problems)
    return criteria


def _is_phase(name: str) -> bool:
    """Whether a phase may have this name: it is printed, and drawn."""
    return name not in FLAGS and name.isprintable() and 0 < len(name) <= MAX_PHASE
