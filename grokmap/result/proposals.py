"""Which runs to make next so that the edges over several axes become known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import KDTree

from grokmap.analysis.acquisition import propose
from grokmap.analysis.unit_cube import are_new
from grokmap.arrays import Bools, Floats
from grokmap.engine.shards import costs_of
from grokmap.plan import plan_runs, run_at
from grokmap.result.surface import Model
from grokmap.spec import AXES, Sweep
from grokmap.spec.words import CHOICES

# Places that a round chooses among, at least, and at least for each of its runs.
CANDIDATES, EACH = 512, 4


def next_runs(
    model: Model, sweep: Sweep, fixed: dict[str, Any], batch: int, n_rounds: int
) -> pd.DataFrame:
    """The runs of the next round, one row each, one column an axis or a swept choice.

    Args:
      fixed: values of the axes that the model is not over. batch: runs, at most.
      n_rounds: rounds before this one, each of which had other candidates.
    """
    count = max(CANDIDATES, EACH * batch)
    candidates = model.cube.spread(count, skip=count * n_rounds)
    candidates = candidates[are_new(candidates, model.points)]
    candidates = candidates[~_would_be_open(candidates, model)]
    choices = [key for key in CHOICES if key in sweep.swept]
    columns = [*choices, *AXES]
    if not len(candidates):
        return pd.DataFrame(columns=columns)
    rows = model.cube.rows(candidates).assign(
        **{key: value for key, value in fixed.items() if key not in model.cube.names}
    )
    cost = _cost(sweep, rows.assign(seed=sweep.seed[0]))
    chosen = _batch(model, candidates, cost, batch)
    points = rows.iloc[chosen].reset_index(drop=True)
    seeds = _seeds(model.runs["seed"], sweep.seed, len(points))
    return points.assign(seed=seeds)[columns]


def _would_be_open(candidates: Floats, model: Model) -> Bools:
    """[k] whether the run nearest to each was cut short by its budget, as a run there
    would be, too: that takes a larger budget, and no run tells more."""
    _, nearest = KDTree(model.points).query(candidates)
    return model.open_[nearest]


def _cost(sweep: Sweep, rows: pd.DataFrame) -> Floats:
    """[k] what each run costs that takes its whole budget, in parts of the mean."""
    alone = sweep.model_copy(
        update={key: sweep.points(key)[:1] for key in AXES}
        | {key: sweep.points(key)[0] for key in CHOICES}
    )
    runs = [run_at(sweep, place) for place in rows.to_dict("records")]
    planned = plan_runs(alone, runs)[-len(runs) :]
    cost = np.array(costs_of(planned), np.float64)
    return cost / cost.mean()


def _batch(model: Model, candidates: Floats, cost: Floats, batch: int) -> list[int]:
    """Which candidates to train: all of one system, since each takes a compile, and
    runs of several do not train together."""
    compiled = list(model.cube.compiled)
    which = np.arange(len(candidates))
    if compiled:
        (first,) = propose(model.surface, candidates, cost, 1)
        own = candidates[:, compiled]
        which = np.flatnonzero((own == own[first]).all(axis=1))
    chosen = propose(model.surface, candidates[which], cost[which], batch)
    return [int(which[i]) for i in chosen]


def _seeds(made: pd.Series, seeds: Sequence[int], count: int) -> list[int]:
    """A seed for each new run: that with the fewest runs so far, so that they take
    turns."""
    n_runs = {seed: int((made == seed).sum()) for seed in seeds}
    chosen = []
    for _ in range(count):
        seed = min(seeds, key=n_runs.__getitem__)
        n_runs[seed] += 1
        chosen.append(seed)
    return chosen
