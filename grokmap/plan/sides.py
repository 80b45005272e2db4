"""Whether a split leaves examples, and whole units of its structure, on each side."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from grokmap.spec import Sweep, System, n_train_of
from grokmap.spec.words import Combination
from grokmap.tasks import TASKS
from grokmap.tasks.splits import (
    NONE,
    RANDOM,
    SPLITS,
    is_square,
    n_held_out,
    sizes_of,
)


def check_structure(part: Sweep, chosen: Combination, system: System) -> Iterator[str]:
    """Whether a structured split leaves whole units on both sides."""
    task, size = TASKS[chosen.task], system.held_out_size
    if (chosen.held_out == NONE) != (size == 0):
        yield (
            f"held_out = {chosen.held_out!r} with held_out_size = {size}: give both, "
            "or neither"
        )
        return
    if chosen.split == RANDOM and chosen.held_out == NONE:
        return
    if not is_square(task, system) or max(part.published_seed) >= 0:
        able = "tasks of all pairs of tokens, such as modular_addition"
        yield f"split, held_out: not for task {chosen.task!r}; for {able}"
        return
    p = task.shape(system).n_tokens
    if chosen.split not in (RANDOM, "unordered"):
        if chosen.held_out != NONE:
            yield (
                f"held_out = {chosen.held_out!r}: goes with split = 'random' or "
                f"'unordered', not with {chosen.split!r}"
            )
        else:
            yield from _check_units(part, chosen.split, p)
    elif size >= p:
        yield f"held_out_size = {size}: below {p}, or nothing is left"
    else:
        left = p * p - n_held_out(system, p)
        for fraction in part.train_fraction:
            if n_train_of(fraction, p * p) >= left:
                yield (
                    f"train_fraction = {fraction}: {left} of the {p * p} pairs are not "
                    "held out, and some have to be left for the test set"
                )


def _check_units(part: Sweep, split: str, p: int) -> Iterator[str]:
    sizes = sizes_of(split, p)[1:p]
    for fraction in part.train_fraction:
        n_train = n_train_of(fraction, p * p)
        if n_train not in sizes:
            near = sizes[np.argsort(np.abs(sizes - n_train))[:2]]
            ways = " or ".join(f"{n / p**2:.9g}" for n in sorted(near))
            yield (
                f"train_fraction = {fraction}: not whole units of split {split!r} "
                f"({SPLITS[split].unit}); the nearest that are: {ways}"
            )


def check_split(part: Sweep, n_examples: int, where: str) -> Iterator[str]:
    for fraction in part.train_fraction:
        n_train = n_train_of(fraction, n_examples)
        if not 0 < n_train < n_examples:
            side = "train" if n_train == 0 else "test"
            yield (
                f"train_fraction = {fraction}: leaves no {side} example of the "
                f"{n_examples} of {where}"
            )
