"""Gradients of runs as fields, real and without correlations, and their avalanches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from grokmap.arrays import Floats, Ints
from grokmap.avalanches.graphs import graph_of
from grokmap.avalanches.nulls import NULLS
from grokmap.avalanches.probe import Probe, Sizes, sizes_of, thresholds

REAL = "real"


class Gradients(NamedTuple):
    """Of the training loss of one run, all n parameters in one order.

    steps: [K]; values: [K, n], with signs; layers: [n] number of the array that each
    parameter is in: arrays in order of their names, as in first, first_bias, readout,
    readout_bias; in matrices the weights into a neuron side by side.
    """

    run_id: str
    seed: int
    steps: Ints
    values: npt.NDArray[np.float32]
    layers: Ints


def snapshots(
    gradients: Iterable[Gradients],
    probe: Probe = Probe(),
    graph: str = "barabasi_albert",
    nulls: Sequence[str] = tuple(NULLS),
    fixed: bool = False,
) -> pd.DataFrame:
    """Avalanches of every run at every step, a row each and field.

    Args:
      graph: of GRAPHS; drawn by the run's seed, the same for all fields of a run.
      nulls: of NULLS. fixed: whether a run has one threshold, that of its first
        snapshot, in the place of one a snapshot.

    Returns:
      run_id, seed, n, step, field ("real" or a null), and those of `Sizes`.
    """
    parts = [
        rows for one in gradients for rows in _of_run(one, probe, graph, nulls, fixed)
    ]
    return pd.concat(parts, ignore_index=True)


def fields_of(one: Gradients, nulls: Sequence[str]) -> Iterator[tuple[str, Floats]]:
    """(name, [K, n]) of the gradients themselves, then of each null."""
    yield REAL, np.asarray(one.values, np.float64)
    for name in nulls:
        place = list(NULLS).index(name)
        rng = np.random.default_rng([one.seed, len(one.layers), place])
        yield name, NULLS[name](np.asarray(one.values, np.float64), one.layers, rng)


def _of_run(
    one: Gradients, probe: Probe, graph: str, nulls: Sequence[str], fixed: bool
) -> Iterator[pd.DataFrame]:
    """The rows of each field, all probed in one call."""
    fields = dict(fields_of(one, nulls))
    values = np.concatenate(list(fields.values()))
    k = len(one.steps)
    threshold = None
    if fixed:
        threshold = np.repeat(thresholds(values[::k], probe.percentile), k)
    drawn = graph_of(graph, len(one.layers), one.seed)
    sizes = sizes_of(values, drawn, probe, threshold)
    # A gradient that is not finite has no avalanche.
    bad = ~np.isfinite(one.values).all(axis=1)
    facts = {"run_id": one.run_id, "seed": one.seed, "n": len(one.layers)}
    for i, field in enumerate(fields):
        own = Sizes(*(np.where(bad, 0, x[i * k : (i + 1) * k]) for x in sizes))
        yield pd.DataFrame(facts | {"step": one.steps, "field": field} | own._asdict())
