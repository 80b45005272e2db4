"""What holds of every figure: measured on the figure as it is laid out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from grokmap.plot.style import styled

# A key as users type it: two words and an underscore, outside of formulas.
RAW_KEY = re.compile(r"[A-Za-z]{2,}_[A-Za-z]{2,}")
SCIENTIFIC = re.compile(r"\d[eE][+-]?\d")
BAR = "<colorbar>"


def laid_out(figure: Figure) -> Any:
    """Lays the figure out; the renderer that measures its texts."""
    canvas = FigureCanvasAgg(figure)
    with styled():
        figure.draw_without_rendering()
    return canvas.get_renderer()


def panels(figure: Figure) -> list[Axes]:
    """The panels, without colour bars."""
    return [axes for axes in figure.axes if axes.get_label() != BAR]


def bars(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_label() == BAR]


def longer_than_their_bar(figure: Figure, renderer: Any) -> list[str]:
    """Labels of colour bars that reach over their ends."""
    found = []
    for bar in bars(figure):
        frame = bar.get_window_extent()
        for label in (bar.xaxis.label, bar.yaxis.label):
            box = label.get_window_extent(renderer)
            over = (
                (box.x1 > frame.x1 + 1)
                if label is bar.xaxis.label
                else (box.y1 > frame.y1 + 1)
            )
            found += [label.get_text()] if label.get_text() and over else []
    return found


def texts(figure: Figure) -> Iterator[Text]:
    for text in figure.findobj(Text):
        if isinstance(text, Text) and text.get_visible() and text.get_text().strip():
            yield text


def shown_ticks(axes: Axes, side: str) -> list[Text]:
    """The labels of the ticks that lie within the limits of an axis."""
    axis = getattr(axes, f"{side}axis")
    low, high = sorted(axis.get_view_interval())
    slack = 1e-9 * max(abs(low), abs(high))
    return [
        tick.label1 if tick.label1.get_visible() else tick.label2
        for tick in axis.get_major_ticks()
        if low - slack <= tick.get_loc() <= high + slack
        and (tick.label1.get_visible() or tick.label2.get_visible())
        and tick.label1.get_text().strip() + tick.label2.get_text().strip()
    ]


def overlapping_ticks(figure: Figure, renderer: Any) -> list[str]:
    """Pairs of labels of one axis whose boxes overlap."""
    found = []
    for axes in figure.axes:
        for side in "xy":
            boxes = [
                (t.get_text(), t.get_window_extent(renderer))
                for t in shown_ticks(axes, side)
                if t.get_text().strip()
            ]
            for i, (one, box) in enumerate(boxes):
                found += [f"{one} | {two}" for two, o in boxes[:i] if box.overlaps(o)]
    return found


def outside(figure: Figure, renderer: Any) -> list[str]:
    """Texts that reach over the figure's edge by more than a pixel."""
    found = []
    hidden: set[int] = set()  # never drawn: beyond the limits of its axis
    for axes in figure.axes:
        for side in "xy":
            hidden |= {id(t) for t in _all_ticks(axes, side)}
            hidden -= {id(t) for t in shown_ticks(axes, side)}
    width, height = figure.bbox.size
    for text in texts(figure):
        if id(text) in hidden:
            continue
        box = text.get_window_extent(renderer)
        if min(box.x0, box.y0) < -1 or box.x1 > width + 1 or box.y1 > height + 1:
            found.append(text.get_text())
    return found


def _all_ticks(axes: Axes, side: str) -> list[Text]:
    axis = getattr(axes, f"{side}axis")
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    return [label for tick in ticks for label in (tick.label1, tick.label2)]


def overlapping_titles(figure: Figure, renderer: Any) -> list[str]:
    """Titles that reach into another's or a colour bar, or labels into those of the
    panel beside."""
    boxes = []
    for bar in bars(figure):
        boxes.append(("a colour bar", bar.get_tightbbox(renderer)))
    for axes in panels(figure):
        own = [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label]  # type: ignore[attr-defined]
        boxes += [
            (t.get_text(), t.get_window_extent(renderer))
            for t in own
            if t.get_visible() and t.get_text().strip()
        ]
    for legend in figure.legends:
        boxes.append(("the legend", legend.get_window_extent(renderer)))
    caption = getattr(figure, "_supxlabel", None)
    if caption is not None:
        boxes.append((caption.get_text(), caption.get_window_extent(renderer)))
    return [
        f"{one} | {two}"
        for i, (one, box) in enumerate(boxes)
        for two, other in boxes[:i]
        if box.overlaps(other)
    ]


def beyond_their_panel(figure: Figure, renderer: Any) -> list[str]:
    """Words inside of panels that reach over the frame."""
    found = []
    for axes in panels(figure):
        frame = axes.get_window_extent()
        for text in axes.texts:
            box = text.get_window_extent(renderer)
            if box.x0 < frame.x0 or box.x1 > frame.x1:
                found.append(text.get_text())
    return found


def sizes(figure: Figure) -> set[tuple[float, float]]:
    """Of the panels, in pixels, to a pixel."""
    found: set[tuple[float, float]] = set()
    for axes in panels(figure):
        size = axes.get_window_extent().size
        if not any(np.allclose(size, other, atol=1.5) for other in found):
            found.add((float(size[0]), float(size[1])))
    return found


def raw_words(figure: Figure) -> list[str]:
    """Texts with a key as users type it, or a number as 3.4e+05."""
    found = []
    for text in texts(figure):
        plain = re.sub(r"\$[^$]*\$", "", text.get_text())
        if RAW_KEY.search(plain) or SCIENTIFIC.search(plain):
            found.append(text.get_text())
    return found


def letters(figure: Figure) -> list[str]:
    """The letters of the panels, in the order in which these were made."""
    titles = (axes.get_title(loc="left") for axes in panels(figure))
    found = (re.search(r"\(([a-z]+)\)", title) for title in titles)
    return [match.group(1) for match in found if match]


def legend_words(figure: Figure) -> list[str]:
    return [t.get_text() for legend in figure.legends for t in legend.get_texts()]
