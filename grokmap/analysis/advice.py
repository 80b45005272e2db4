"""What to do next where a sweep got stuck: counts, what they mean, what to change.

A pure function of the labelled runs and the sweep. Which command makes the change is
the command line's affair (`cli/pasted.py`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grokmap.classify import CRITERIA, GROK, MEMORIZE_ONLY, NO_LEARNING
from grokmap.spec import Sweep
from grokmap.spec.axis import Axis
from grokmap.spec.budgets import ended_by, longer, raised, steps_of
from grokmap.spec.words import STORED_AS

FEWEST = 4  # runs of which anything is said
MOST = 3  # pieces of advice at once
NEARLY_ALL, MANY, A_FIFTH, SOME = (
    0.9,
    0.5,
    0.2,
    0.1,
)  # shares of runs from which something is said
FEW_SEEDS = 3
# Ways to follow advice: another sweep beside this one; this one with a larger budget,
# or with more points of an axis; `grokmap refine`; a look at one run's curves.
NEW, EXTEND, GROW, REFINE, CURVES = "new", "extend", "grow", "refine", "curves"


class Advice(NamedTuple):
    """One thing that was found, and what to do about it.

    topic: in a word or two. n_true: runs, rows or edges of which it is true; of: of so
    many.
    text: what was found and what it calls for. how: one of the ways above; settings:
    key=value for it, of CURVES the run. run_steps: what it would train if its runs
    ended as these did, NaN if it cannot be told; seconds: the same by what a step of
    these runs took, NaN likewise.
    """

    topic: str
    n_true: int
    of: int
    text: str
    how: str
    settings: tuple[str, ...] = ()
    run_steps: float = math.nan
    seconds: float = math.nan


def advise(runs: pd.DataFrame, sweep: Sweep) -> list[Advice]:
    """The most pressing advice, at most MOST; none for a sweep that needs none.

    Args:
      runs: labelled by the default criteria; cost_s, the seconds each took, if known.
      sweep: that they are of. Of ramps nothing is said, nor of fewer than FEWEST runs.
    """
    if len(runs) < FEWEST or sweep.ramped:
        return []
    found = (item for rule in RULES for item in rule(runs, sweep))
    return list(found)[:MOST]


def larger_budget(sweep: Sweep, runs: pd.DataFrame) -> tuple[str, ...]:
    """The budgets, doubled, that give every censored run more steps, as key=value.

    runs: labelled, with `censored` and `decay_rate`. Where none is censored, every run.
    """
    return raised(sweep, longer(sweep, _open(runs)["decay_rate"]))


def _open(runs: pd.DataFrame) -> pd.DataFrame:
    """The censored runs; all, if none is."""
    censored = runs["censored"].to_numpy(bool)
    return runs[censored] if censored.any() else runs


def _diverged(runs: pd.DataFrame, sweep: Sweep) -> Iterator[Advice]:
    k, n = int(runs["diverged"].sum()), len(runs)
    if k >= SOME * n:
        rate = min(sweep.learning_rate) / 4
        text = (
            f"the loss was no longer finite in {k} of {n} runs: a smaller learning rate"
        )
        yield _new("diverged", k, n, text, runs, f"learning_rate={rate:.3g}")


def _no_learning(runs: pd.DataFrame, sweep: Sweep) -> Iterator[Advice]:
    n, bars = len(runs), CRITERIA["default"]
    none = runs[(runs["phase"] == NO_LEARNING) & ~runs["diverged"]]
    if len(none) < NEARLY_ALL * n:
        return
    rising = none["train_accuracy_trend"] > bars.settled_accuracy
    falling = none["train_loss_trend"] < -bars.settled_loss
    k = int((rising | falling).sum())
    if k >= MANY * n:
        word = (
            "accuracy was still rising"
            if rising.sum() >= MANY * k
            else ("loss was still falling")
        )
        text = (
            f"train {word} in {k} of {n} runs, and nothing was learned: a larger "
            "learning rate or more steps"
        )
        if sweep.learning_rate_choice == "auto":
            yield _extend("no learning", k, n, text, runs, sweep)
        else:
            yield _new("no learning", k, n, text, runs, "learning_rate=auto")
    elif smaller := _grown(sweep, "weight_decay", above=False):
        text = (
            f"{len(none)} of {n} runs learned nothing and came to rest: a smaller "
            "weight decay"
        )
        yield _grow("no learning", len(none), n, text, runs, sweep, smaller)


def _censored(runs: pd.DataFrame, sweep: Sweep) -> Iterator[Advice]:
    k, n = int(runs["censored"].sum()), len(runs)
    if k >= A_FIFTH * n:
        why = _why_open(_open(runs), sweep)
        text = f"{k} of {n} runs are undecided (censored): {why}; go on with them"
        yield _extend("undecided", k, n, text, runs, sweep)


def _why_open(runs: pd.DataFrame, sweep: Sweep) -> str:
    """How many of the censored `runs` a setting cut short, and how many were followed
    for all of their horizon."""
    cut = runs["horizon_fraction"].to_numpy(float) < 1
    by = [ended_by(sweep, rate) for rate in runs["decay_rate"][cut]]
    # A run that its shortest length ended has a horizon that is shorter still.
    counts = Counter("horizon" if key == "min_steps" else key for key in by)
    parts = [f"{n} {_were(n)} cut short by {key}" for key, n in counts.most_common()]
    rest = runs[~cut]
    if n := len(rest):
        moves = int((~rest["partial"].to_numpy(bool)).sum())
        how = [f"still move{'s' * (n == 1)}"] * (moves > 0)
        how += [f"{'is' if n == 1 else 'are'} partial"] * (moves < n)
        parts += [
            f"{n} {_were(n)} followed for the whole horizon and {' or '.join(how)}"
        ]
    return ", ".join(parts)


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


def _dead(runs: pd.DataFrame, sweep: Sweep) -> Iterator[Advice]:
    k, n = int(runs["dead"].sum()), len(runs)
    smaller = _grown(sweep, "weight_decay", above=False)
    if k >= MANY * n and smaller:
        text = f"the weights vanished in {k} of {n} runs: a smaller weight decay"
        yield _grow("dead", k, n, text, runs, sweep, smaller)


def _stalled(runs: pd.DataFrame, sweep: Sweep) -> Iterator[Advice]:
    k, n = int(runs["stalled"].sum()), len(runs)
    if k >= SOME * n and "cross_entropy" in sweep.points("loss"):
        text = (
            f"the train loss reached exactly 0 in float32 in {k} of {n} runs, which "
            "stops their training: a loss that does not"
        )
        yield _new("stalled", k, n, text, runs, "loss=stablemax")


def _collapsed(runs: pd.DataFrame, sweep: Sweep) -> Iterator[Advice]:
    lost = runs[runs["collapsed"] & ~runs["dead"]]
    if len(lost) >= SOME * len(runs):
        text = (
            f"{len(lost)} of {len(runs)} runs learned and lost it again: look at one; "
            "a smaller learning rate or weight decay may hold it"
        )
        run = (str(lost["run_id"].iloc[0]),)
        yield Advice("collapsed", len(lost), len(runs), text, CURVES, run)


def _edges(runs: pd.DataFrame, sweep: Sweep) -> Iterator[Advice]:
    """Which side of weight decay the region of grokking goes on at, beyond the axis."""
    known = (_decided(row) for row in _rows(runs, sweep, "weight_decay"))
    rows = [row for row in known if len(row) > 1]
    with_grok = [row for row in rows if any(row.values())]
    n_grok = int((runs["phase"] == GROK).sum())
    for above, end, word in ((True, max, "largest"), (False, min, "smallest")):
        k = sum(row.get(end(sweep.weight_decay), False) for row in with_grok)
        more = _grown(sweep, "weight_decay", above)
        if with_grok and k >= MANY * len(with_grok) and more:
            text = (
                f"even the {word} weight decay groks in {k} of {len(with_grok)} rows: "
                f"the edge lies {'above' if above else 'below'} the axis"
            )
            yield _grow("no edge", k, len(with_grok), text, runs, sweep, more)
    decided = (runs["phase"] == MEMORIZE_ONLY) & ~runs["censored"]
    k, more = int(decided.sum()), _grown(sweep, "weight_decay", above=True)
    if not n_grok and k >= MANY * len(runs) and more:
        text = f"{k} of {len(runs)} runs memorise and rest, none groks: more decay"
        yield _grow("no grok", k, len(runs), text, runs, sweep, more)


def _no_delay(runs: pd.DataFrame, sweep: Sweep) -> Iterator[Advice]:
    grok = runs[runs["phase"] == GROK]
    k, n = int(grok["comprehension"].sum()), len(grok)
    if n >= FEWEST and k >= NEARLY_ALL * n:
        fraction = 0.75 * min(sweep.train_fraction)
        text = (
            f"t_grok is below twice t_mem in {k} of {n} runs that grok, so there is no "
            "delay: a smaller train fraction, or a larger alpha"
        )
        yield _new("no delay", k, n, text, runs, f"train_fraction={fraction:.3g}")


def _seeds(runs: pd.DataFrame, sweep: Sweep) -> Iterator[Advice]:
    n_seeds = len(sweep.seed)
    real = {axis.name for axis in sweep.axes if axis.is_real}
    rows = _rows(runs, sweep, "weight_decay")
    beside = [is_open for row in rows for is_open in _open_beside(row)]
    k, n = beside.count(False), len(beside)
    # Where most edges are open, more steps come before more runs.
    if n_seeds >= FEW_SEEDS or k == 0 or k < MANY * n:
        return
    text = (
        f"{k} edge{'s' * (k > 1)} rest{'s' * (k == 1)} on {n_seeds} "
        f"seed{'s' * (n_seeds > 1)} a cell: add "
    )
    if {"alpha", "weight_decay"} <= real:
        yield Advice("few seeds", k, n, f"{text}runs beside them", REFINE)
    else:
        seeds = [*sweep.seed, *(s for s in range(100) if s not in sweep.seed)]
        more = ("seed", tuple(seeds[: n_seeds + 4]))
        yield _grow("few seeds", k, n, f"{text}seeds", runs, sweep, more)


# The most pressing first.
RULES: tuple[Callable[[pd.DataFrame, Sweep], Iterator[Advice]], ...] = (
    _diverged,
    _no_learning,
    _dead,
    _stalled,
    _censored,
    _collapsed,
    _edges,
    _no_delay,
    _seeds,
)


class _Cell(NamedTuple):
    """groks: whether most of its decided runs grok, None if it has none; is_open:
    whether some run of it is undecided."""

    groks: bool | None
    is_open: bool


def _decided(row: dict[float, _Cell]) -> dict[float, bool]:
    """Only cells with a decided run, since what is undecided is no edge."""
    return {v: cell.groks for v, cell in row.items() if cell.groks is not None}


def _open_beside(row: dict[float, _Cell]) -> Iterator[bool]:
    """Of each edge along a row, whether a cell beside it has an undecided run; what is
    all undecided beyond the last cell that groks hides one."""
    cells = list(row.values())
    known = [i for i, cell in enumerate(cells) if cell.groks is not None]
    if known:
        ends = ((known[0], 0), (known[-1], len(cells) - 1))
        yield from (True for own, end in ends if own != end and cells[own].groks)
    for a, b in pairwise(known):
        if cells[a].groks != cells[b].groks:
            yield any(cell.is_open for cell in cells[a : b + 1])


def _rows(runs: pd.DataFrame, sweep: Sweep, name: str) -> Iterator[dict[float, _Cell]]:
    """Along the axis, for each point of the others: its cells by their value of it, in
    order."""
    if name not in sweep.swept:
        return
    others = [
        STORED_AS.get(axis.name, axis.name)
        for axis in sweep.axes
        if axis.name not in (name, "seed")
    ]
    groups: Any = (
        (part for _, part in runs.groupby(others, dropna=False)) if others else (runs,)
    )
    for row in groups:
        is_open = row["censored"].astype(bool)
        groks = (row["phase"] == GROK).astype(float).where(~is_open)
        shares = groks.groupby(row[name]).mean()
        some_open = is_open.groupby(row[name]).any()
        yield {
            float(v): _Cell(None if math.isnan(share) else share > 0.5, bool(open_))
            for v, share, open_ in zip(shares.index, shares, some_open, strict=True)
        }


def _grown(sweep: Sweep, name: str, above: bool) -> tuple[str, tuple[Any, ...]] | None:
    """The axis with two more points beyond an end, as far apart as those next to it;
    None where it may have none there, or is not swept over numbers."""
    axis = next((a for a in sweep.axes if a.name == name and a.is_real), None)
    if axis is None:
        return None
    more = [float(f"{value:.6g}") for value in _beyond(axis, above)]
    if not more or min(more) <= 0:
        return None
    return name, (*axis.values, *more) if above else (*reversed(more), *axis.values)


def _beyond(axis: Axis, above: bool) -> list[float]:
    values = sorted(v for v in axis.values if v > 0 or not axis.is_log)
    if len(values) < 2 or (not above and values[0] != min(axis.values)):
        return []  # nothing is below 0
    end, next_to_it = (values[-1], values[-2]) if above else (values[0], values[1])
    if axis.is_log:
        return [end * (end / next_to_it) ** k for k in (1, 2)]
    return [end + (end - next_to_it) * k for k in (1, 2)]


def _new(
    topic: str, k: int, n: int, text: str, runs: pd.DataFrame, *settings: str
) -> Advice:
    """Advice that takes another sweep of as many steps."""
    steps = float(runs["n_steps"].sum())
    return _costed(Advice(topic, k, n, text, NEW, settings, steps), runs)


def _extend(
    topic: str, k: int, n: int, text: str, runs: pd.DataFrame, sweep: Sweep
) -> Advice:
    """Advice that takes more steps of the undecided runs."""
    own = _open(runs)
    grown = longer(sweep, own["decay_rate"])
    rows = own[["decay_rate", "budget_steps", "n_steps"]].to_numpy(float)
    steps = sum(_after(sweep, grown, *row[:2]) - row[2] for row in rows)
    settings = raised(sweep, grown)
    return _costed(Advice(topic, k, n, text, EXTEND, settings, float(steps)), runs)


def _after(sweep: Sweep, grown: Sweep, rate: float, budget: float) -> int:
    """Steps under the larger budget of a run that now has `budget` of them."""
    of_epoch = 1 if sweep.n_epochs is None else round(budget / sweep.n_epochs)
    return steps_of(grown, rate, of_epoch)


def _grow(
    topic: str,
    k: int,
    n: int,
    text: str,
    runs: pd.DataFrame,
    sweep: Sweep,
    axis: tuple[str, Sequence[Any]],
) -> Advice:
    """Advice that takes more points of an axis."""
    name, values = axis
    share = len(values) / len(sweep.points(name)) - 1
    steps = share * float(runs["n_steps"].sum())
    setting = f"{name}={','.join(map(repr, values))}"
    return _costed(Advice(topic, k, n, text, GROW, (setting,), steps), runs)


def _costed(advice: Advice, runs: pd.DataFrame) -> Advice:
    """With the seconds that its steps would take, as long as those of these runs."""
    if "cost_s" not in runs:
        return advice
    known = runs[np.isfinite(runs["cost_s"].to_numpy(float))]
    steps = float(known["n_steps"].sum())
    if not steps:
        return advice
    return advice._replace(
        seconds=advice.run_steps * float(known["cost_s"].sum()) / steps
    )
