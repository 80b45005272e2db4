"""The figures of this package: their panels, titles, legends and captions.

Sizes are in letters (ems), so that a figure of larger letters is a figure of less room.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from matplotlib import figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from grokmap.plot.style import LETTERS, Look, figure_bytes, size_of

NO_BREAK = "\N{NO-BREAK SPACE}"


class Figure(figure.Figure):
    """A figure that a notebook shows, whether or not pyplot has been loaded there."""

    def _repr_png_(self) -> bytes:
        return figure_bytes(self, "png")


def blank(look: Look, ems_high: float) -> Figure:
    """An empty figure, so many letters high."""
    size = (look.width, look.inches(ems_high))
    made = Figure(figsize=size, layout="constrained")
    pad = look.inches(0.45)
    gaps: Any = {"w_pad": pad, "h_pad": pad, "wspace": 0.0, "hspace": 0.0}
    engine: Any = made.get_layout_engine()
    engine.set(**gaps)
    return made


def panels_of(figure: Figure, count: int, columns: int, **shared: Any) -> list[Any]:
    """So many panels, row by row; the last row may be short.

    shared: as of `Figure.subplots`.
    """
    rows = -(-count // columns)
    grid: Any = figure.subplots(rows, columns, squeeze=False, **shared)
    panels = list(grid.flat)
    for unused in panels[count:]:
        unused.remove()
    return panels[:count]


@lru_cache(maxsize=4096)
def length(text: str) -> float:
    """Of a line of text in letters; formulas count as they are drawn."""
    if not text.strip():
        return 0.0
    return float(TextPath((0, 0), text, 1.0, prop=FontProperties()).get_extents().x1)


def wrapped(text: str, ems: float) -> str:
    """Text in lines of at most so many letters, broken at spaces outside of formulas.

    Spaces that do not break keep what belongs together in one line, if it is not longer
    than one.
    """
    lines: list[str] = []
    for part in text.split("\n"):
        line = ""
        for word in _words(part, ems):
            longer = f"{line} {word}" if line else word
            if line and length(longer) > ems:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return "\n".join(lines)


def shortened(name: str, ems: float) -> str:
    """The name of a file, its middle left out where it is longer than a line."""
    if "$" in name or " " in name or length(name) <= ems:
        return name
    keep = next(
        k for k in range(len(name) // 2, 0, -1) if k < 2 or _cut(name, k) <= ems
    )
    return f"{name[:keep]}\N{HORIZONTAL ELLIPSIS}{name[-keep:]}"


def _cut(name: str, keep: int) -> float:
    return length(f"{name[:keep]}\N{HORIZONTAL ELLIPSIS}{name[-keep:]}")


def _words(text: str, ems: float) -> list[str]:
    """What is kept in one line: what spaces that do not break join, if it has room."""
    words: list[str] = []
    for word in _unbroken(text):
        fits = length(word) <= ems
        words += [word] if fits else _unbroken(word.replace(NO_BREAK, " "))
    return words


def _unbroken(text: str) -> list[str]:
    """The words of a text; a formula with spaces is one."""
    words: list[str] = []
    for word in text.split(" "):
        if words and words[-1].count("$") % 2:
            words[-1] += f" {word}"
        else:
            words.append(word)
    return [word for word in words if word]


def letter(i: int) -> str:
    """(a), (b), ..., (z), (aa), (ab), ..."""
    first, last = divmod(i, 26)
    head = string.ascii_lowercase[first - 1] if first else ""
    return f"({head}{string.ascii_lowercase[last]})"


def entitle(axes: Iterable[Any], titles: Sequence[str], ems: float) -> None:
    """Letters and titles above panels, in lines of so many letters."""
    for i, (place, title) in enumerate(zip(axes, titles, strict=True)):
        place.set_title(_titled(letter(i), title, ems), loc="left")


def n_lines(title: str, ems: float) -> int:
    """How many such lines a title takes."""
    return _titled(letter(0), title, ems).count("\n") + 1


def _titled(head: str, title: str, ems: float) -> str:
    share = size_of("axes.titlesize") / size_of("font.size")
    return wrapped(f"{head} {title}".rstrip(), ems / share)


def legend_above(made: Figure, look: Look, handles: Sequence[Any]) -> None:
    """A legend of all panels, in as many columns as there is room for."""
    if not handles:
        return
    share = size_of("legend.fontsize") / size_of("font.size")
    room = look.ems / share - 1.0
    lengths = [length(str(handle.get_label())) + 3.3 for handle in handles]
    most = next(n for n in range(len(handles), 0, -1) if _fits(lengths, n, room))
    rows = -(-len(handles) // most)
    made.legend(
        handles=handles,
        loc="outside upper center",
        ncols=-(-len(handles) // rows),
        frameon=False,
        handlelength=1.5,
        handletextpad=0.5,
        columnspacing=1.2,
        labelspacing=0.35,
        borderpad=0.2,
        borderaxespad=0.3,
    )


def _fits(lengths: Sequence[float], columns: int, room: float) -> bool:
    """Whether entries, filled column by column, are not wider than the room."""
    rows = -(-len(lengths) // columns)
    if columns == 1:
        return True
    widths = [max(lengths[i : i + rows]) for i in range(0, len(lengths), rows)]
    return sum(widths) <= room


def finished(made: Figure, look: Look, caption: str = "") -> Figure:
    """The figure with what is fixed in it said below, in as many lines as it takes."""
    for axes in made.axes:
        # Ticks are made when they are drawn, in the style that is set by then.
        for side in ("x", "y"):
            size = size_of(f"{side}tick.labelsize")
            axes.tick_params(axis=side, which="both", labelsize=size)
            for which in ("major", "minor"):
                sizes = {
                    "length": size_of(f"{side}tick.{which}.size"),
                    "width": size_of(f"{side}tick.{which}.width"),
                }
                axes.tick_params(axis=side, which=which, **sizes)
    if caption:
        size = 6.5 * look.letters / LETTERS
        words = wrapped(caption, (look.ems - 2.0) * look.letters / size)
        place: Any = {"x": look.inches(1.0) / look.width, "ha": "left"}
        made.supxlabel(words, fontsize=size, color="#444444", **place)
    return made


def say_nothing(axes: Any, why: str, ems: float = 8.5) -> None:
    """Words in a panel that has nothing to show."""
    words = wrapped(why, ems)
    axes.text(0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center")
