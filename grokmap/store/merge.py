"""Takes the trajectory files of other folders into a result folder. Hold it.

A file is taken as it is, under its own name, which carries the digest of its bytes: so
nothing is taken twice, and whoever is killed here has lost nothing. Of a file with runs
that the folder has already, the others are written as a file of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from grokmap import disk
from grokmap.disk import reason
from grokmap.store.files import TRAJECTORIES, UNREADABLE, metadata_of
from grokmap.store.trajectories import (
    batch_files,
    keep_longest,
    last_steps_in,
    read_batch,
    write_part,
)


class Unequal(NamedTuple):
    """A run that two files have otherwise, from some step on in some column.

    column: "" where they have no record in common.
    """

    run_id: str
    here: Path
    there: Path
    step: int
    column: str


@dataclass
class Taken:
    """What came of it.

    runs: that the folder has now and had not, or not as far; equal: that it had, bit
    for bit; unequal: that it had otherwise, left where they are; damaged: files that
    cannot be read, left where they are; makers: files by what made them.
    """

    runs: int = 0
    equal: set[str] = field(default_factory=set)
    unequal: list[Unequal] = field(default_factory=list)
    damaged: dict[Path, str] = field(default_factory=dict)
    makers: Counter[str] = field(default_factory=Counter)


class _Known(NamedTuple):
    """Where the folder has a run, and its last step there."""

    file: Path
    step: int


def take_files(path: Path, files: Mapping[Path, bool]) -> Taken:
    """Takes what trajectory files have and the folder has not.

    files: in order, and whether each is of the folder's own shards: such are linked
      rather than copied, where the file system can.
    """
    taken = Taken()
    known, twice = _known_in(path, taken)
    for file, own in files.items():
        if not (path / TRAJECTORIES / file.name).exists():
            try:
                # Who knows the bytes by their digest need not read every column.
                table = read_batch(file, [] if "-" in file.stem else None, whole=True)
            except UNREADABLE as error:
                taken.damaged[file] = reason(error)
                continue
            twice |= _take(path, file, table, known, taken, own)
    if twice and not any(each.there.parent.parent == path for each in taken.unequal):
        keep_longest(path)
    return taken


def _known_in(path: Path, taken: Taken) -> tuple[dict[str, _Known], bool]:
    """The runs that the folder has, and whether some stand twice."""
    known: dict[str, _Known] = {}
    twice = False
    for file in batch_files(path):
        try:
            table = read_batch(file, [])
        except UNREADABLE as error:
            taken.damaged[file] = reason(error)
            continue
        taken.makers[_maker(table)] += 1
        last_steps = last_steps_in(table)
        again = known.keys() & last_steps.keys()
        if again:
            twice = True
            whole = read_batch(file, run_ids=sorted(again))
            for difference in _differences(whole, file, again, known):
                if difference is not None:
                    taken.unequal.append(difference)
        for run_id, step in last_steps.items():
            if run_id not in known or step > known[run_id].step:
                known[run_id] = _Known(file, step)
    return known, twice


def _take(
    path: Path,
    file: Path,
    table: pa.Table,
    known: dict[str, _Known],
    taken: Taken,
    own: bool,
) -> bool:
    """Takes the runs of one file that are new or go further; whether some stand twice
    then."""
    last_steps = last_steps_in(table)
    again = known.keys() & last_steps.keys()
    refused: set[str] = set()
    if again:
        table = read_batch(file)
    for run_id, difference in zip(
        sorted(again), _differences(table, file, again, known), strict=True
    ):
        if difference is not None:
            taken.unequal.append(difference)
            refused.add(run_id)
        elif last_steps[run_id] <= known[run_id].step:
            taken.equal.add(run_id)
            refused.add(run_id)
    wanted = [run_id for run_id in last_steps if run_id not in refused]
    if not wanted:
        return False
    if refused:
        new = write_part(path, file, wanted)
    else:
        new = disk.take_file(path, f"{TRAJECTORIES}/{file.name}", file, own)
    taken.runs += len(wanted)
    taken.makers[_maker(table)] += 1
    known |= {run_id: _Known(new, last_steps[run_id]) for run_id in wanted}
    return not again.isdisjoint(wanted)


def _differences(
    table: pa.Table, file: Path, again: Iterable[str], known: dict[str, _Known]
) -> Iterator[Unequal | None]:
    """Of each of the runs that are known, sorted: how this file has it otherwise."""
    runs = sorted(again)
    by_file: dict[Path, list[str]] = {}
    for run_id in runs:
        by_file.setdefault(known[run_id].file, []).append(run_id)
    here = {
        run_id: part
        for other, ids in by_file.items()
        for run_id, part in _by_run(read_batch(other, run_ids=ids), ids).items()
    }
    there = _by_run(table, runs)
    for run_id in runs:
        found = _first_difference(here[run_id], there[run_id])
        yield found and Unequal(run_id, known[run_id].file, file, *found)


Records = dict[str, Any]  # step and columns, by name, in the order of steps


def _by_run(table: pa.Table, runs: Sequence[str]) -> dict[str, Records]:
    ids = np.array(table["run_id"].cast(pa.string()).to_pylist(), object)
    names = [name for name in table.column_names if name != "run_id"]
    columns = {name: table[name].to_numpy() for name in names}
    order = np.argsort(columns["step"], kind="stable")
    found: dict[str, Records] = {}
    for run_id in runs:
        rows = order[ids[order] == run_id]
        found[run_id] = {name: values[rows] for name, values in columns.items()}
    return found


def _first_difference(here: Records, there: Records) -> tuple[int, str] | None:
    """The first step at which two records of a run differ in any bit, and in what.

    A longer one has other last records than a shorter: those of both are compared.
    """
    steps, a, b = np.intersect1d(here["step"], there["step"], return_indices=True)
    if not len(steps):
        return 0, ""
    first: tuple[int, str] | None = None
    for name in (here.keys() & there.keys()) - {"step"}:
        one, other = (
            np.asarray(values, np.float64) for values in (here[name][a], there[name][b])
        )
        wrong = ~((one == other) | (np.isnan(one) & np.isnan(other)))
        if wrong.any():
            found = int(steps[wrong][0]), name
            first = found if first is None else min(first, found)
    return first


def _maker(table: pa.Table) -> str:
    """What made a file, as far as bits depend on it; as text."""
    facts = metadata_of(table.schema)
    versions = facts.get("versions")
    known = versions if isinstance(versions, dict) else {}
    words = [f"{name} {known[name]}" for name in ("grokmap", "jaxlib") if name in known]
    words += [str(facts["device"])] if "device" in facts else []
    return ", ".join(words) or "not said"
