"""Checks that need several keys of a sweep, or the names that exist."""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Collection, Iterator

from grokmap.spec.sweep import MAX_RUNS, Sweep, TaskEntry, Vocabulary
from grokmap.spec.words import (
    ALWAYS_READ,
    OPTIMIZER_CONTROLS,
    RAMP_CONTROLS,
    n_train_of,
)


def short(text: str) -> str:
    """At most 80 characters of a user's own text, for a message."""
    return text if len(text) <= 80 else f"{text[:77]}..."


def nearest(word: str, known: Collection[str]) -> str:
    """The known name most like `word`, or all of them, for a message."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(sorted(known))}"


def check(
    sweep: Sweep, given: set[str], bad: frozenset[str], vocabulary: Vocabulary
) -> Iterator[str]:
    """Problems that need several keys or the names that exist."""
    if sweep.n_runs > MAX_RUNS:
        yield f"{sweep.n_runs} runs; at most {MAX_RUNS} in one sweep"
        return
    yield from _check_names(sweep, bad, vocabulary)
    yield from _check_budget(sweep, given, bad)
    yield from _check_ramp(sweep, given, bad)
    yield from _check_cadence(sweep, given, bad)
    optimizer = vocabulary.optimizer.get(sweep.optimizer)
    for key in OPTIMIZER_CONTROLS:
        if optimizer and key in given and key not in optimizer.controls:
            reads = ", ".join((*ALWAYS_READ, *optimizer.controls))
            yield f"{key}: ignored by optimizer {sweep.optimizer!r} (reads {reads})"
    if sweep.learning_rate_choice == "auto" and sweep.optimizer != "gd":
        yield (
            'learning_rate = "auto": for optimizer "gd" only, whose largest stable '
            "step follows from the curvature; give a number"
        )
    convention = vocabulary.alpha_convention.get(sweep.alpha_convention)
    if "alpha" not in bad and convention and convention.multiplies:
        if min(sweep.alpha) <= 0:
            name = sweep.alpha_convention
            yield f"alpha = {min(sweep.alpha)}: above 0 under convention {name!r}"
    elif "alpha" not in bad and convention and max(sweep.alpha) > 2:
        yield f"alpha = {max(sweep.alpha)}: an exponent of the width, at most 2"
    task = vocabulary.task.get(sweep.task)
    if "modulus" not in bad:
        yield from _check_modulus(sweep, task, bad)


def _check_names(
    sweep: Sweep, bad: frozenset[str], vocabulary: Vocabulary
) -> Iterator[str]:
    for key, names in vocabulary._asdict().items():
        if key in bad:
            continue
        value = getattr(sweep, key)
        chosen = (value if key == "order_parameters" else (value,)) or ()
        if len(set(chosen)) < len(chosen):
            yield f"{key}: a name is given twice"
        for name in chosen:
            if name not in names:
                word = key.removesuffix("s").replace("_", " ")
                yield f"unknown {word} {short(repr(name))}; {nearest(name, names)}"


def _check_budget(sweep: Sweep, given: set[str], bad: frozenset[str]) -> Iterator[str]:
    if bad & {"horizon", "n_steps", *RAMP_CONTROLS} or _wants_ramp(sweep):
        return
    if (sweep.horizon is None) == (sweep.n_steps is None):
        found = "both" if sweep.horizon else "neither"
        yield f"give horizon (decay times) or n_steps (fixed); {found} found"
    if sweep.n_steps is not None:
        for key in sorted(given & {"min_steps", "max_steps"}):
            yield f"{key}: goes with horizon, not with n_steps"
    elif "min_steps" in given and sweep.min_steps > sweep.max_steps:
        yield f"min_steps = {sweep.min_steps}: above max_steps = {sweep.max_steps}"


def _wants_ramp(sweep: Sweep) -> bool:
    return sweep.ramped or max(sweep.ramp_factor) > 1


def _check_ramp(sweep: Sweep, given: set[str], bad: frozenset[str]) -> Iterator[str]:
    """A ramp is wanted in every run of a sweep or in none."""
    if bad & set(RAMP_CONTROLS) or not _wants_ramp(sweep):
        return
    if min(sweep.ramp_steps) < 1:
        yield (
            "ramp_steps = 0: with a ramp_factor above 1, give the steps of the way up "
            "(1 or more), or leave both out for a constant weight_decay"
        )
    if min(sweep.ramp_factor) <= 1:
        yield (
            "ramp_factor = 1: with ramp_steps, give the largest weight decay over the "
            "smallest (above 1), or leave both out for a constant weight_decay"
        )
    if "weight_decay" not in bad and min(sweep.weight_decay) <= 0:
        yield (
            f"weight_decay = {min(sweep.weight_decay):g}: a ramp multiplies it; give "
            "its smallest value, above 0"
        )
    budgets = {key for key in ("horizon", "n_steps") if getattr(sweep, key) is not None}
    for key in sorted(budgets | given & {"min_steps", "max_steps", "tail"}):
        yield f"{key}: not with a ramp, which always takes 2 ramp_steps; leave it out"


def _check_cadence(sweep: Sweep, given: set[str], bad: frozenset[str]) -> Iterator[str]:
    cadences = (
        "records_per_octave",
        "order_parameters_per_octave",
        "dear_order_parameters_per_octave",
    )
    for key in cadences:
        value = getattr(sweep, key)
        if key not in bad and value & (value - 1):
            yield f"{key} = {value}: a power of two"
    for often, seldom in itertools.pairwise(cadences):
        limit, value = getattr(sweep, often), getattr(sweep, seldom)
        if seldom in given and not bad & {often, seldom} and value > limit:
            yield f"{seldom} = {value}: at most {often} = {limit}"


def _check_modulus(
    sweep: Sweep, task: TaskEntry | None, bad: frozenset[str]
) -> Iterator[str]:
    for modulus in sweep.modulus:
        if task and task.prime_modulus and not _is_prime(modulus):
            yield f"modulus = {modulus}: task {sweep.task!r} needs a prime"
            continue
        n_examples = task.n_examples(modulus) if task else modulus**2
        for fraction in () if "train_fraction" in bad else sweep.train_fraction:
            n_train = n_train_of(fraction, n_examples)
            if not 0 < n_train < n_examples:
                side = "train" if n_train == 0 else "test"
                yield (
                    f"train_fraction = {fraction}: leaves no {side} example of the "
                    f"{n_examples} of modulus {modulus}"
                )


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % d for d in range(2, math.isqrt(number) + 1))
