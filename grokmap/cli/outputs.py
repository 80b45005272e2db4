"""Where an analysis writes its tables and figures: into the result, or beside --out."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from grokmap import disk, store
from grokmap.classify import Criteria
from grokmap.cli.options import Figures
from grokmap.errors import ResultError, SpecError, short, shown
from grokmap.plot import PAPER, Look, figure_bytes, look_of
from grokmap.result.groups import rounded

FORMATS = ("png", "pdf", "svg")
TABLES = ("csv", "parquet")  # what a figure shows, as a table
NOWHERE: Mapping[str, Any] = {}
CLOSED = "cannot be written; --out FILE writes elsewhere"


@dataclass
class Outputs:
    """Where a command writes.

    result: the folder of a sweep; out: a path without suffix in place of it; kinds: of
    figures; quiet: whether the names of figures stay unprinted; writes: False where
    nothing can be written, so that results are printed only; said: that they are; look:
    of figures.
    """

    result: Path
    out: Path | None
    kinds: tuple[str, ...] = ()
    quiet: bool = False
    writes: bool = True
    said: bool = False
    look: Look = PAPER

    def table(
        self, data: pd.DataFrame, name: str, kind: str = "parquet"
    ) -> Path | None:
        """Writes a table of the result, or beside --out; its file, if it is written.

        Raises:
          ResultError: it cannot be written.
        """
        if not self.writes:
            self._say_nothing_written()
            return None
        root, stem = self._place("")
        stem = name if self.out is None else f"{stem}-{name}"
        return store.write_export(root, f"{stem}.{kind}", data)

    def figure(
        self, figure: Figure, data: pd.DataFrame, name: str, more: str = ""
    ) -> None:
        """Writes a figure in each format, and prints the names of the files.

        data: what it shows, written where csv or parquet is among the formats.
        name: of the file in the result, without suffix; more: put behind any name.

        Raises:
          ResultError: it cannot be written.
        """
        if not self.writes:
            self._say_nothing_written()
            return
        root, stem = self._place(f"{store.FIGURES}/{name}")
        for kind in self.kinds:
            name_in_root = f"{stem}{more}.{kind}"
            if kind in TABLES:
                file = store.write_export(root, name_in_root, data)
            else:
                file = disk.write_file(root, name_in_root, figure_bytes(figure, kind))
            if not self.quiet:
                print(shown(str(file)))

    def _say_nothing_written(self) -> None:
        """Once, however many tables and figures there would be."""
        if not self.said:
            line = shown(f"{self.result}: {CLOSED}; nothing was written")
            print(f"grokmap: {line}", file=sys.stderr)
        self.said = True

    def _place(self, default: str) -> tuple[Path, str]:
        """The root to write below, and the path from there, without suffix."""
        if self.out is None:
            return self.result, default
        if self.out.is_relative_to(self.result):
            return self.result, self.out.relative_to(self.result).as_posix()
        disk.make_root(self.out.parent)
        return self.out.parent, self.out.name


def outputs(
    result: Path,
    out: Path | None,
    figures: Figures | None = None,
    quiet: bool = False,
    figure_only: bool = False,
) -> Outputs:
    """Checks what a user asked for, before any work.

    Args:
      figures: what is wanted of them, of commands that draw.
      figure_only: the figure is all that the command makes.

    Raises:
      SpecError: a suffix, style or width that is not known, or `out` names a folder.
      ResultError: no file can have such a name; nowhere to write a figure to.
    """
    place = None if out is None else _without_suffix(out)
    wanted = figures or Figures("")
    kinds = tuple(kind.strip().lower() for kind in wanted.formats.split(","))
    for kind in kinds if figures is not None else ():
        if kind not in (*FORMATS, *TABLES):
            known = ", ".join((*FORMATS, *TABLES))
            raise SpecError(f"--format {short(kind)!r}; known: {known}")
    writes = out is not None or not result.is_dir() or disk.is_writable(result)
    if not writes and figure_only:
        raise ResultError(f"{result}: {CLOSED}")
    look = look_of(wanted.style, wanted.width)
    return Outputs(result, place, kinds, quiet, writes, look=look)


def _without_suffix(out: Path) -> Path:
    if out.suffix.removeprefix(".") in (*FORMATS, *TABLES):
        out = out.with_suffix("")
    if out.name in ("", "..") or (disk.exists(out) and out.is_dir()):
        raise SpecError(f"--out {out}: a folder; name the file, without suffix")
    return out


def file_name(name: str, rules: Criteria, place: Mapping[str, Any] = NOWHERE) -> str:
    """The name of a table or figure, telling the place that it is of, if it is of one,
    and the criteria unless they are default."""
    name = placed(name, place)
    return name if rules.name == "default" else f"{name}-{rules.name}"


def placed(name: str, place: Mapping[str, Any]) -> str:
    """A name that tells a place, so that a slice never takes the whole's file."""
    return "-".join([name, *(f"{k}={rounded(v)}" for k, v in place.items())])


def name_of(file: Path | None) -> str | None:
    """Of a file, for JSON; null where it was not written."""
    return None if file is None else str(file)


def print_files(*files: Path | None) -> None:
    """The names of those that were written, one a line."""
    for file in files:
        if file is not None:
            print(shown(str(file)))
