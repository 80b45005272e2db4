"""What is fixed in a figure, in a line: the system, the other axes, the seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from grokmap.plot import place_words
from grokmap.plot.names import value_words
from grokmap.result.result import Result
from grokmap.spec.words import SYSTEM_SIZES

# What the network is, what it learns, and numbers, in the order they are said.
NETWORK = ("model", "activation", "loss", "optimizer", "parameterization")
NUMBERS = (
    *SYSTEM_SIZES,
    *("alpha", "weight_decay", "train_fraction", "learning_rate", "momentum"),
    *("batch_size", "label_noise", "dropout", "gradient_noise", "temperature"),
)
# A size of 0 is not read; noise of 0 is none.
ZERO_SAID = ("alpha", "weight_decay")


def caption(
    result: Result, runs: pd.DataFrame, seeds: bool = True, beside: str = ""
) -> str:
    """What the runs of a figure share, how many seeds there are and what is missing.

    Args:
      runs: those drawn, with the columns of systems and controls.
      seeds: whether the figure pools them. beside: a sentence put behind.
    """
    parts = [
        ", ".join(_shared(runs, NETWORK)),
        ", ".join([*_shared(runs, ("task",)), *_numbers(runs)]),
        _seeds(runs, [axis.name for axis in result.axes]) if seeds else "",
        _missing(result),
        beside,
    ]
    return "; ".join(part for part in parts if part)


def caption_of_two(
    results: Sequence[Result],
    runs: Sequence[pd.DataFrame],
    settings: Mapping[str, tuple[Any, Any]],
) -> str:
    """The same of two results that are compared, told apart as A and B.

    settings: what tells them apart, as (in a, in b).
    """
    both = pd.concat(runs)
    seeds = [
        _seeds(table, [axis.name for axis in result.axes])
        for result, table in zip(results, runs, strict=True)
    ]
    values = [{name: pair[i] for name, pair in settings.items()} for i in (0, 1)]
    parts = [
        ", ".join(_shared(both, NETWORK)),
        ", ".join([*_shared(both, ("task",)), *_numbers(both)]),
        _one_or_both([place_words(place) for place in values]),
        _one_or_both(seeds),
        _one_or_both([_missing(result) for result in results]),
    ]
    return "; ".join(part for part in parts if part)


def _one_or_both(words: Sequence[str]) -> str:
    """What holds of both, once; else of each that it holds of."""
    if words[0] == words[1]:
        return words[0]
    return ", ".join(
        f"{x}: {said}" for x, said in zip("AB", words, strict=True) if said
    )


def _shared(runs: pd.DataFrame, names: Sequence[str]) -> list[str]:
    values = {name: runs[name].unique() for name in names if name in runs}
    return [value_words(v[0]) for v in values.values() if len(v) == 1 and v[0]]


def _numbers(runs: pd.DataFrame) -> list[str]:
    place: dict[str, Any] = {}
    for name in NUMBERS:
        values = list(runs[name].unique()) if name in runs else []
        if len(values) == 1 and pd.notna(values[0]):
            if values[0] or name in ZERO_SAID:
                place[name] = values[0]
    return [place_words(place)] if place else []


def _seeds(runs: pd.DataFrame, axes: Sequence[str]) -> str:
    others = [name for name in axes if name != "seed" and name in runs]
    counts = runs.groupby(others, dropna=False).size() if others else None
    least, most = (
        (len(runs),) * 2 if counts is None else (int(counts.min()), int(counts.max()))
    )
    many = f"{least}" if least == most else f"{least} to {most}"
    return f"{many} seed{'s' if most > 1 else ''} a cell"


def _missing(result: Result) -> str:
    """How many of the planned runs there are, where some are missing."""
    planned, done = len(result.plan), result.n_done
    return f"{done} of {planned} runs" if done < planned else ""
