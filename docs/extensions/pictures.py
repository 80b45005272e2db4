"""Draws the figures of the site from the results that the repository holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

import grokmap
from grokmap.plot.style import figure_bytes, styled
from grokmap.result import Result

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"
WITHIN = str(ROOT / "sweeps/criteria/within-6000.toml")


class Picture(NamedTuple):
    """A figure of the gallery.

    result: its folder in results/. draw: Result -> figure. command: that draws the
    same. words: what is to be seen, and where more is said, in Markdown.
    """

    title: str
    result: str
    draw: Callable[[Result], Any]
    command: str
    words: str


GALLERY: dict[str, Picture] = {
    "phase-diagram": Picture(
        "A phase diagram",
        "quickstart-reference",
        lambda result: result.phase_diagram(),
        "phase-diagram",
        "What 140 networks did, by the scale of their initial weights and their weight "
        "decay. Right: how many times later than memorising they generalised. "
        "[Concepts](../concepts.md) explains how to read it.",
    ),
    "curves": Picture(
        "Curves of single runs",
        "quickstart-reference",
        lambda result: result.curves(),
        "curves",
        "One run of each phase: accuracies, losses, the norm of the weights and some "
        "order parameters. Vertical lines are t_mem and t_grok.",
    ),
    "colour": Picture(
        "The plane coloured by an order parameter",
        "quickstart-reference",
        lambda result: result.phase_diagram(colour="rqi"),
        "phase-diagram --colour rqi",
        "Any recorded quantity can be the colour of the right map. This one asks "
        "whether the network places its inputs on circles "
        "([order parameters](../order-parameters.md)).",
    ),
    "uncertainty": Picture(
        "How sure the labels are",
        "quickstart-reference",
        lambda result: result.plot.uncertainty(),
        "uncertainty",
        "The share of runs that grok in each cell, of those that are decided, and "
        "which labels depend on the rules ([statistics](../statistics.md)).",
    ),
    "order-parameters": Picture(
        "What moves first",
        "quickstart-reference",
        lambda result: result.plot.order_parameters(),
        "order-parameters",
        "When each quantity moves, against the moment of grokking, and which of them "
        "tell phases apart ([order parameters](../order-parameters.md)).",
    ),
    "laws": Picture(
        "Laws of the grokking time",
        "quickstart-reference",
        lambda result: result.plot.laws(),
        "laws",
        "Published laws of t_grok, fitted with the runs that have not grokked yet "
        "([laws](../laws.md)).",
    ),
    "forecast": Picture(
        "Forecasts",
        "quickstart-reference",
        lambda result: result.plot.forecast(),
        "forecast",
        "When the runs that their budget cut short will grok, if they do "
        "([laws and forecasts](../laws.md)).",
    ),
    "early-stopping": Picture(
        "What stopping early would have cost",
        "early-stopping",
        lambda result: result.plot.early_stopping(),
        "early-stopping",
        "The test accuracy that is lost by stopping some time after memorisation "
        "([laws and forecasts](../laws.md)).",
    ),
    "stopping-rules": Picture(
        "Rules that stop",
        "widths",
        lambda result: result.plot.stopping_rules(),
        "early-stopping",
        "What rules that stop runs by their records miss, and what they save "
        "([laws and forecasts](../laws.md#rules-that-stop)).",
    ),
    "dense": Picture(
        "A dense grid under a fixed budget",
        "dense",
        lambda result: result.phase_diagram(criteria=WITHIN),
        "phase-diagram --criteria sweeps/criteria/within-6000.toml",
        "1,152 runs, each judged by its first 6,000 steps. The lower edge of such a "
        "wedge is that of the budget ([boundaries](../boundaries.md)).",
    ),
    "refined": Picture(
        "The same edges, refined",
        "refined",
        lambda result: result.phase_diagram(criteria=WITHIN),
        "phase-diagram --criteria sweeps/criteria/within-6000.toml",
        "A coarse grid whose runs were added where the edges were uncertain "
        "([boundaries](../boundaries.md#refinement)).",
    ),
    "one-axis": Picture(
        "Along one axis",
        "widths",
        lambda result: result.at(width=128).phase_diagram(y="none"),
        "phase-diagram --y none --at width=128",
        "When networks memorise and grok, and how many do, against the weight decay; "
        "one line for each alpha ([comparisons and slices](../compare.md)).",
    ),
    "compare": Picture(
        "Two widths compared",
        "finite-size",
        lambda result: grokmap.compare(result, by={"width": (32, 256)}).plot(),
        "compare --by width=32,256",
        "Times and P(grok) of both, and the ratio of their times in each cell that "
        "both have ([comparisons](../compare.md)).",
    ),
    "scaling": Picture(
        "Finite-size scaling",
        "finite-size",
        lambda result: result.plot.scaling(),
        "scaling",
        "P(grok), Binder's cumulant and times of networks of several widths "
        "([scaling](../scaling.md)).",
    ),
    "transition": Picture(
        "First order or continuous?",
        "finite-size",
        lambda result: result.plot.transition(),
        "transition",
        "What many seeds and widths say of the order of the transition "
        "([transition](../transition.md)).",
    ),
    "hysteresis": Picture(
        "Hysteresis",
        "hysteresis",
        lambda result: result.plot.hysteresis(),
        "hysteresis",
        "Runs whose weight decay is moved up and back down "
        "([transition](../transition.md)).",
    ),
}


def gallery() -> str:
    """The gallery's pictures with their words, as Markdown."""
    return "\n\n".join(_entry(name, entry) for name, entry in GALLERY.items())


def _entry(name: str, entry: Picture) -> str:
    command = f"grokmap {entry.command}".split(" ", 2)
    line = " ".join([*command[:2], f"results/{entry.result}", *command[2:]])
    picture = f"![{entry.title}](gallery/{name}.png)"
    code = f"```console\n$ {line}\n```"
    return f"## {entry.title}\n\n{entry.words}\n\n{picture}\n\n{code}"


def grokking_curve() -> Any:
    """One run of the quickstart that groks, with words beside its curves."""
    result = grokmap.open(RESULTS / "quickstart-reference")
    run = result.nearest(alpha=0.1, weight_decay=0.005, seed=0)
    times = result.runs.set_index("run_id").loc[run["run_id"]]
    columns = ["train_accuracy", "test_accuracy"]
    records = result.records(columns, [run["run_id"]])
    with styled():
        return _annotated(records[records["step"] > 0], times)


def _annotated(records: Any, times: Any) -> Any:
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.set(
        xscale="log", xlabel="step of training", ylabel="share right", ylim=(0, 1.3)
    )
    axes.set_yticks([0, 0.5, 1], ["0", "50%", "100%"])
    axes.spines[["top", "right"]].set_visible(False)
    for column, colour in (("train_accuracy", "#E69F00"), ("test_accuracy", "#0072B2")):
        axes.plot(records["step"], records[column], color=colour, lw=2)
    for name, words in (("t_mem", "has memorised"), ("t_grok", "has grokked")):
        axes.axvline(times[name], color="0.6", lw=0.8, ls="--", ymax=1 / 1.3)
        text = f"{words}\n{name} = {times[name]:,.0f}"
        axes.text(times[name], 1.05, text, ha="center", va="bottom")
    middle = (times["t_mem"] * times["t_grok"]) ** 0.5
    span = {"arrowstyle": "<->", "color": "0.3"}
    ends = ((times["t_mem"], 0.62), (times["t_grok"], 0.62))
    axes.annotate("", ends[0], ends[1], arrowprops=span)
    axes.text(middle, 0.65, "the delay", ha="center", va="bottom")
    axes.text(2, 0.5, "examples it is\ntrained on", color="#B87E00", va="center")
    axes.text(95, 0.16, "examples it\nhas never seen", color="#0072B2", va="center")
    return figure


def _write(app: Any) -> None:
    folder = Path(app.srcdir) / "generated"
    (folder / "gallery").mkdir(parents=True, exist_ok=True)
    (folder / "gallery.md").write_text(gallery() + "\n")
    curve = folder / "grokking.svg"
    if _is_old(curve, "quickstart-reference"):
        curve.write_bytes(figure_bytes(grokking_curve(), "svg"))
    for name, entry in GALLERY.items():
        file = folder / f"gallery/{name}.png"
        if _is_old(file, entry.result):
            figure = entry.draw(grokmap.open(RESULTS / entry.result))
            file.write_bytes(figure_bytes(figure, "png"))


def _is_old(file: Path, result: str) -> bool:
    """Whether code or result have changed since the picture was drawn."""
    code = [*(ROOT / "grokmap").rglob("*.py"), Path(__file__)]
    data = (RESULTS / result).rglob("*.parquet")
    changed = max(path.stat().st_mtime for path in (*code, *data))
    return not file.exists() or file.stat().st_mtime < changed


def setup(app: Any) -> dict[str, bool]:
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True}
