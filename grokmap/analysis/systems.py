"""Systems: runs that differ in nothing but alpha, weight decay and seed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pandas as pd

from grokmap.spec.axis import word
from grokmap.spec.sweep import SWEEPABLE
from grokmap.spec.words import CONTROL_DEFAULTS, NOISES, RAMP_CONTROLS, SYSTEM_SIZES

VARIABLES = ("alpha", "weight_decay", "seed")
ALL = "all"


def varying(runs: pd.DataFrame, beside: Collection[str] = VARIABLES) -> list[str]:
    """The keys of a sweep in which the runs differ, in the order of `SWEEPABLE`.

    What a run does not read, because of another of its choices, tells no runs apart.
    """
    return [
        key
        for key in SWEEPABLE
        if key in runs and key not in beside and coordinate(runs, key).nunique() > 1
    ]


def coordinate(runs: pd.DataFrame, key: str) -> pd.Series:
    """[runs] a key's values, null where it is not read."""
    values = runs[key]
    if key in (*RAMP_CONTROLS, *NOISES):  # runs without one differ from those with it
        without = CONTROL_DEFAULTS[key] if key in NOISES else 0.0
        return values.astype(float).fillna(without)
    return values.where(values != 0) if key in SYSTEM_SIZES else values


def with_coordinates(runs: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """`runs` with these keys' columns as `coordinate` has them."""
    return runs.assign(**{key: coordinate(runs, key) for key in keys})


def system_of(runs: pd.DataFrame) -> pd.Series:
    """[runs] the system of each in words, such as "width=64"; ALL if there is one."""
    names = places(runs, varying(runs))
    return names.where(names != "", ALL)


def places(runs: pd.DataFrame, keys: Sequence[str]) -> pd.Series:
    """[runs] where each stands on some axes, such as "width=64, depth=2"."""
    rows = with_coordinates(runs, keys)[list(keys)].to_numpy(object)
    words = [
        ", ".join(
            f"{k}={word(v)}" for k, v in zip(keys, row, strict=True) if pd.notna(v)
        )
        for row in rows
    ]
    return pd.Series(words, runs.index, dtype=object)
