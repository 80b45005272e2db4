"""Weights and gradients of runs that are done: trained again and compared."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from grokmap import store
from grokmap.avalanches import Gradients
from grokmap.engine.gradients import gradients_of
from grokmap.engine.restored import Reached
from grokmap.errors import ResultError
from grokmap.plan import read_sweep
from grokmap.session.folder import planned_in
from grokmap.session.weights import first_difference, stored, trained, why


def gradients_at(
    path: Path,
    wanted: Mapping[str, Collection[int]],
    say: Callable[[str], None] = lambda line: None,
) -> list[Gradients]:
    """The gradients of runs of a result at steps; arguments as of `reached_at`."""
    return list(gradients_of(reached_at(path, wanted, say, "gradients")))


def reached_at(
    path: Path,
    wanted: Mapping[str, Collection[int]],
    say: Callable[[str], None] = lambda line: None,
    what: str = "weights",
) -> list[Reached]:
    """Runs of a result at steps with their weights, each trained again to the last.

    Nothing is written. A run that comes out otherwise here than it is stored is left
    out and said: it would be another network.

    Args:
      wanted: steps by run id, 0 to the last of the run.
      what: is made of the weights, for the message.

    Raises:
      ResultError: no run came out as it is stored.
    """
    store.refuse_links(path)
    planned = planned_in(path, read_sweep(store.result_dir(path), to_train=True))
    missing = {run_id: set(steps) for run_id, steps in wanted.items() if steps}
    kept: list[Reached] = []
    problems: list[str] = []
    for runs, reached in trained(path, planned, missing, lambda: False):
        records = stored(path, runs)
        for one in reached:
            run_id = one.run.run_id
            differs = first_difference(records.get(run_id), one)
            if differs is None:
                kept.append(one)
            else:
                problems.append(why(path, run_id, differs, what))
    if problems and not kept:
        raise ResultError(problems[:1])
    for line in dict.fromkeys(problems):
        say(line)
    return kept
