"""Phase diagrams of grokking.

    import grokmap

    result = grokmap.sweep("sweeps/quickstart.toml")
    result.phase_diagram()

`sweep` trains what is missing of a sweep and returns its `Result`; `open` opens the
folder of one that was trained before; `merge` unites parts that were trained apart;
`compare` says what differs between two results.
`register` adds tasks, order parameters and the like of your own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Imported when they are used: jax takes seconds to load.
if TYPE_CHECKING:
    from grokmap.classify import Criteria
    from grokmap.losses import Loss
    from grokmap.models import Activation, Model
    from grokmap.optimizers import Optimizer
    from grokmap.order_parameters import OrderParameter
    from grokmap.result import Result
    from grokmap.result.comparison import Comparison
    from grokmap.session.counts import Counts
    from grokmap.session.merge import Merged
    from grokmap.tasks import Task

__version__ = "0.1.0"
__all__ = ["compare", "merge", "open", "register", "save_weights", "sweep"]


def open(path: str | Path) -> Result:
    """The result folder of a sweep. Warns of runs that wait to be merged into it.

    Raises:
      ResultError: no result folder. SpecError: its sweep.toml is not sound.
    """
    from grokmap.result import Result

    result = Result(path)
    result.say_waiting()
    return result


def compare(
    a: Result | str | Path,
    b: Result | str | Path | None = None,
    *,
    by: Mapping[str, Sequence[Any]] | None = None,
    at: Mapping[str, Any] | None = None,
    near: Mapping[str, Any] | None = None,
    criteria: str | Criteria = "default",
    colour: str | None = None,
) -> Comparison:
    """What differs between two results, or two values of one axis, cell by cell.

    Cells are places on all axes but the seed, matched up to rounding.

    Args:
      a, b: results, or their folders.
      by: in place of b, an axis of a with two of its values, as in
        {"optimizer": ("gd", "adamw")}.
      at, near: values of other axes, as of `Result.at` and `Result.near`.
      criteria: the rules of the labels. colour: a recorded quantity that `plot` of the
        comparison will be asked for.

    Returns:
      Tables of the matched `cells`, of what changes over them (`summary`), of `labels`
      that differ and of `unmatched` cells; `plot()` draws both planes and the change.

    Raises:
      SpecError: neither b nor by, no such axis or value, or no cell in common.
      ResultError: no result folder, or nothing finished in it.
    """
    from grokmap.result.comparison import compare

    one, two = (open(x) if isinstance(x, (str, Path)) else x for x in (a, b))
    assert one is not None
    return compare(one, two, by, criteria, at, colour, near)


def merge(path: str | Path, *others: str | Path) -> Merged:
    """Unites in a result folder what its shards, and other folders of the same sweep,
    have done.

    Args:
      path: the result folder, which need not be there yet. others: result folders, from
        another machine for example; they stay as they are.

    Returns:
      How many runs are planned and done, what was taken, and the runs that two folders
      have otherwise (`taken.unequal`): of those the first is kept.

    Raises:
      ResultError: nothing to unite. OtherSweepError: a folder of another sweep.
      LockedError: the folder is being written.
    """
    import warnings

    from grokmap.session.merge import merge

    return merge(Path(path), [Path(other) for other in others], warnings.warn)


def register(
    *,
    name: str,
    version: str,
    order_parameters: Mapping[str, OrderParameter] | None = None,
    tasks: Mapping[str, Task] | None = None,
    models: Mapping[str, Model] | None = None,
    activations: Mapping[str, Activation] | None = None,
    losses: Mapping[str, Loss] | None = None,
    optimizers: Mapping[str, Optimizer] | None = None,
) -> None:
    """Adds entries to the tables for the rest of this process, as a plugin does.

    Args:
      name: what sweeps call the plugin. version: part of the identity of runs that are
        trained with its entries; give another one whenever their code changes.
      order_parameters, ...: entries by name, as in grokmap's own tables. A sweep
        records an order parameter of a plugin only where it names it.

    Raises:
      SpecError: an entry of another type, a name that is taken, or a second plugin of
        this name; nothing is added then.
    """
    from grokmap import plugins

    given = {
        "order_parameters": order_parameters,
        "task": tasks,
        "model": models,
        "activation": activations,
        "loss": losses,
        "optimizer": optimizers,
    }
    entries = {key: added for key, added in given.items() if added}
    plugins.register(name, version, entries)


def sweep(
    spec: str | Path | Mapping[str, Any],
    overrides: Sequence[str] | Mapping[str, Any] = (),
    out: str | Path | None = None,
    *,
    on_progress: Callable[[Counts], None] | None = None,
    time_budget: float = float("inf"),
    checkpoint: float = 120.0,
    lanes: int | None = None,
    tile: int | None = None,
    extend: bool = False,
    keep_going: bool = True,
    shard: str | None = None,
) -> Result:
    """Trains what is missing of a sweep; the same call goes on where it was stopped.

    Args:
      spec: the path of a sweep file or of a result folder to go on with; the name of a
        shipped sweep; TOML text; or a dict of what the TOML would hold.
      overrides: keys in place of the spec's: a dict, or "key=value" texts.
      out: the result folder (default: results/NAME).
      on_progress: called after each chunk with what is known by then (`line()`,
        `runs_done`, `total`, `rate`, `eta`, `counts`). Default: a progress line on
        stderr or in the notebook; `lambda counts: None` shows nothing.
      time_budget: seconds after which to stop in good order.
      checkpoint: seconds between two checkpoints of the runs in training.
      lanes: runs trained together; tile: examples per gradient tile (None: chosen).
      extend: whether budgets may be larger than those of the folder's sweep.
      keep_going: whether to train the others after a run has failed.
      shard: "k/K": only part k of K, in a folder of its own below `shards/`; `merge`
        unites them.

    Returns:
      The result, of a shard that of its part. Runs that failed stand in its
      failed.parquet.

    Raises:
      SpecError: the spec has problems, each named. ResultError, OtherSweepError,
      LockedError: the folder cannot be written, holds another sweep, or is being
      written. KeyboardInterrupt: it was interrupted, and what there is was kept.
    """
    from grokmap.result import Result
    from grokmap.session import Options
    from grokmap.session.library import train
    from grokmap.spec.shard import read_shard

    part = None if shard is None else read_shard(shard)
    options = Options(time_budget, checkpoint, lanes, tile, extend, keep_going, part)
    return Result(train(spec, overrides, out, options, on_progress))


def save_weights(
    result: Result | str | Path,
    run: str,
    at: int | str | Sequence[int | str] = "t_grok",
) -> list[Path]:
    """Trains a run again and keeps its weights, bit for bit those it had on a CPU.

    Args:
      result: a result, or its folder.
      run: the run's id or its beginning.
      at: one or several of "t_mem", "t_grok", "end" and steps.

    Returns:
      The files of weights, those that were kept before among them. `Result.weights`
      and `Result.network` read them.

    Raises:
      SpecError: no such run, or a time that it has not. ResultError: it is not done, or
      comes out otherwise on this device or with these versions. LockedError: the folder
      is being written.
    """
    from grokmap.engine.devices import prepared
    from grokmap.result import Result
    from grokmap.session.weights import save_weights

    known = Result(result) if isinstance(result, (str, Path)) else result
    moments = [at] if isinstance(at, (int, str)) else list(at)
    with prepared():
        return save_weights(known.path, known.find(run), moments)
