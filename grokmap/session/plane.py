"""A plane of two swept axes as text, filled in as runs end: a letter a grid point."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pandas as pd
from rich.text import Text

from grokmap.classify import PHASES
from grokmap.spec.axis import Axis
from grokmap.spec.words import STORED_AS

# A letter beside each colour, since not everybody sees, or prints, colours.
LETTERS = {"no-learning": "N", "memorize-only": "M", "grok": "G"}
DIVERGED, FAILED, WAITING = "x", "!", "."
FEWEST_COLUMNS, FEWEST_ROWS = 4, 2  # of cells; with less room there is no plane
GUTTER = 9  # letters before the cells: a value of y, and a space
WIDEST = 8  # letters of a cell: room for most values of x below it
LINES_AROUND = 3  # the axes' names, the values of x, the legend
PREFERRED = ("weight_decay", "alpha")  # x and y, as in the phase diagram


class Mark(NamedTuple):
    """What one run, or most runs of a cell, came to. phase: empty where it failed."""

    phase: str
    is_undecided: bool = False
    is_diverged: bool = False

    @property
    def letter(self) -> str:
        if not self.phase:
            return FAILED
        if self.is_diverged:
            return DIVERGED
        letter = LETTERS[self.phase]
        return letter.lower() if self.is_undecided else letter


def chosen_axes(axes: Sequence[Axis]) -> tuple[Axis | None, Axis | None]:
    """(x, y) of the plane: weight_decay and alpha where both are swept, else the two
    longest axes but the seeds'; None for what there is not."""
    by_name = {axis.name: axis for axis in axes if axis.name != "seed"}
    if all(name in by_name for name in PREFERRED):
        return by_name[PREFERRED[0]], by_name[PREFERRED[1]]
    longest = sorted(by_name.values(), key=lambda axis: -len(axis.values))[:2]
    x, y = (*longest, None, None)[:2]
    return x, y


class Plane:
    """Counts the runs that are over by their place on two axes, over all others.

    Args:
      axes: of the sweep; table: the plan, a row a run. Runs beside the grid, as those
        of a refinement, have no place here.
    """

    def __init__(self, axes: Sequence[Axis], table: pd.DataFrame) -> None:
        self.x, self.y = chosen_axes(axes)
        self.beside = [a.name for a in axes if a not in (self.x, self.y)]
        columns = [_places(axis, table) for axis in (self.x, self.y)]
        known = zip(table["run_id"], *columns, strict=True)
        self._place = {r: (i, j) for r, i, j in known if i is not None is not j}
        self._marks: dict[tuple[int, int], Counter[Mark]] = {}

    def done(self, runs: pd.DataFrame) -> None:
        """Takes labelled runs, by the default criteria."""
        columns = (runs[k] for k in ("run_id", "phase", "censored", "diverged"))
        for run_id, phase, censored, diverged in zip(*columns, strict=True):
            if phase in LETTERS:
                self._add(run_id, Mark(phase, bool(censored), bool(diverged)))

    def failed(self, run_ids: Sequence[str]) -> None:
        for run_id in run_ids:
            self._add(run_id, Mark(""))

    def _add(self, run_id: str, mark: Mark) -> None:
        if run_id in self._place:
            self._marks.setdefault(self._place[run_id], Counter())[mark] += 1

    def text(self, width: int, height: int, colours: dict[str, str]) -> Text | None:
        """The plane in at most width x height letters; None where it has no room.

        colours: by phase. Neighbours share a cell where the grid has more points than
        there is room. y rises upwards, as in the phase diagram.
        """
        n_x = len(self.x.values) if self.x else 0
        n_y = len(self.y.values) if self.y else 1
        rows = height - LINES_AROUND
        if n_x < 2 or width < GUTTER + FEWEST_COLUMNS or rows < min(n_y, FEWEST_ROWS):
            return None
        wide = max(1, min(WIDEST, (width - GUTTER) // n_x))
        by_x = math.ceil(n_x / ((width - GUTTER) // wide))
        by_y = math.ceil(n_y / rows)
        shown = _Shown(self, colours, by_x, by_y, wide)
        lines = [shown.head(), *shown.rows(), shown.foot(), shown.legend()]
        for line in lines:
            line.truncate(width)
        return Text("\n").join(lines)

    def mark(self, columns: range, rows: range) -> Mark | None:
        """What most finished runs of these points came to; of a tie, the later phase.
        None where none is over."""
        counts: Counter[Mark] = Counter()
        for place in ((i, j) for i in columns for j in rows):
            counts += self._marks.get(place, Counter())
        if not counts:
            return None
        phase = _most(counts, lambda mark: mark.phase)
        of_phase = Counter({m: n for m, n in counts.items() if m.phase == phase})
        return Mark(
            phase,
            _most(of_phase, lambda mark: mark.is_undecided),
            _most(of_phase, lambda mark: mark.is_diverged),
        )


def _most(counts: Counter[Mark], key: Callable[[Mark], Any]) -> Any:
    """The value of `key` that most have; of a tie the later phase, or True."""
    by_key: Counter[Any] = Counter()
    for mark, count in counts.items():
        by_key[key(mark)] += count
    order = ("", *PHASES, False, True)
    return max(by_key, key=lambda value: (by_key[value], order.index(value)))


def _places(axis: Axis | None, table: pd.DataFrame) -> list[int | None]:
    """Of each run, the place of its value on the axis; 0 where there is no axis."""
    if axis is None:
        return [0] * len(table)
    place = {value: i for i, value in enumerate(axis.values)}
    return [place.get(v) for v in table[STORED_AS.get(axis.name, axis.name)].tolist()]


class _Shown(NamedTuple):
    """A plane as it is drawn: points that share a cell, letters of a cell's width."""

    plane: Plane
    colours: dict[str, str]
    by_x: int
    by_y: int
    wide: int

    def head(self) -> Text:
        plane = self.plane
        over = f" (most runs over {', '.join(plane.beside)})" if plane.beside else ""
        assert plane.x is not None
        up = f"{plane.y.name} against " if plane.y else ""
        shared = ""
        if self.by_x * self.by_y > 1:
            shared = f"; a letter for {self.by_x} x {self.by_y} points"
        return Text(f"{up}{plane.x.name}{over}{shared}", style="bold")

    def rows(self) -> list[Text]:
        y = self.plane.y
        n = len(y.values) if y else 1
        starts = range(0, n, self.by_y)
        return [self._row(range(j, min(j + self.by_y, n))) for j in reversed(starts)]

    def _row(self, points: range) -> Text:
        y = self.plane.y
        line = Text(f"{_value(y.values[points[0]]) if y else '':>{GUTTER - 1}} ")
        for columns in self._columns():
            line.append(*self._cell(self.plane.mark(columns, points)))
        return line

    def _columns(self) -> list[range]:
        n = len(self.plane.x.values) if self.plane.x else 0
        return [range(i, min(i + self.by_x, n)) for i in range(0, n, self.by_x)]

    def _cell(self, mark: Mark | None) -> tuple[str, str]:
        """Letter and style: decided filled, undecided in its colour on no ground."""
        if mark is None:
            return WAITING.center(self.wide), "dim"
        letter = mark.letter.center(self.wide)
        if mark.letter == FAILED:
            return letter, "bold red"
        colour = self.colours[mark.phase]
        if mark.is_undecided:
            return letter, colour
        return letter, f"bold {_ink(colour)} on {colour}"

    def foot(self) -> Text:
        """The values of x: at both ends, and of others as many as there is room for."""
        x = self.plane.x
        assert x is not None
        columns = self._columns()
        width = self.wide * len(columns)
        line = [" "] * width
        for place in (0, len(columns) - 1, *range(1, len(columns) - 1)):
            word = _value(x.values[columns[place][0]])
            middle = place * self.wide + (self.wide - len(word) + 1) // 2
            at = max(0, min(middle, width - len(word)))
            room = line[max(0, at - 1) : at + len(word) + 1]
            if len(word) <= width and not "".join(room).strip():
                line[at : at + len(word)] = word
        return Text(f"{'':{GUTTER}}{''.join(line)}")

    def legend(self) -> Text:
        line = Text()
        for phase in reversed(PHASES):
            line.append(*self._replace(wide=3)._cell(Mark(phase)))
            line.append(f" {phase}  ")
        line.append(f"lower case: undecided  {WAITING} not run  ")
        return line.append(f"{DIVERGED} diverged  {FAILED} failed")


def _value(value: object) -> str:
    """A value of an axis in few letters."""
    text = f"{value:.3g}" if isinstance(value, (int, float)) else str(value)
    return text[: GUTTER - 1]


def _ink(colour: str) -> str:
    """Black or white, whichever is easier to read on #rrggbb."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    light = 0.299 * red + 0.587 * green + 0.114 * blue > 128
    return "#000000" if light else "#ffffff"
