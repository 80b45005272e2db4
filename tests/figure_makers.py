"""Every figure, drawn from small results that come with the repository.

A figure that is not listed here fails `test_every_figure_is_in_the_table`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from conftest import ROOT
from matplotlib.figure import Figure

import grokmap
from grokmap import plot
from grokmap.analysis import avalanches as analysis
from grokmap.plot.lines import Line, LinePanel
from grokmap.plot.names import axis_words
from grokmap.plot.one_axis import Axis, places
from grokmap.plot.style import Look
from grokmap.result import (
    comparison_drawing,
    curves,
    early_stopping,
    forecast,
    hysteresis,
    laws,
    order_parameters,
    phase_diagram,
    scaling,
    stopping_rules,
    transition,
    uncertainty,
)

QUICK, WIDTHS = "quickstart-reference", "widths"
PLANE = plot.Plane("weight_decay", "alpha", x_log=True, y_log=False)
PHASES = plot.phases_of(("no-learning", "memorize-only", "grok", "grok"), ("grok",))
Maker = Callable[[Look], Figure]


@cache
def opened(name: str) -> Any:
    return grokmap.open(ROOT / "results" / name)


@cache
def found(find: Callable[..., Any], name: str, **options: Any) -> Any:
    """What an analysis finds in a committed result; once for all looks."""
    return find(opened(name), **options)


def of(module: Any, name: str, draw: str = "draw", **options: Any) -> Maker:
    """The figure of an analysis that finds first and draws then."""

    def make(look: Look) -> Figure:
        return getattr(module, draw)(found(module.find, name, **options), look).figure

    return make


def diagram(name: str, **options: Any) -> Maker:
    def make(look: Look) -> Figure:
        return phase_diagram.draw(opened(name), **options, look=look).figure

    return make


def compared(*names: str, x: Any = None, y: Any = None, **options: Any) -> Maker:
    """The figure of two results, or of two values of an axis; as `grokmap.compare`."""
    results = [opened(name) for name in names]

    def make(look: Look) -> Figure:
        colour = options.get("colour", "t_grok")
        change = grokmap.compare(*results, **options)
        return comparison_drawing.draw(change, colour, x, y, look).figure

    return make


def trajectories(name: str) -> Maker:
    return lambda look: curves.draw(opened(name), look=look).figure


def losses(look: Look) -> Figure:
    """Losses of the runs of one alpha."""
    runs = opened(QUICK).labelled()
    runs = runs[(runs["alpha"] == 0) & (runs["seed"] == 0)]
    return plot.loss_curves(opened(QUICK).records(), runs, "weight_decay", look)


def grids(look: Look) -> Figure:
    """Made-up phases on a grid of 10 x 10 rates."""
    rng = np.random.default_rng(0)
    names = np.array(["confusion", "memorization", "grokking", "comprehension"])
    drawn = {f"ours, seed {i}": names[rng.integers(4, size=(10, 10))] for i in range(4)}
    rates = np.geomspace(1e-5, 1e-2, 10).tolist()
    labels = ("learning rate of the decoder", "learning rate of the representation")
    agreement = rng.choice([0.5, 1.0], size=(10, 10))
    return plot.phase_grids(drawn, agreement, (rates[::-1], rates), labels, look)


def made_slice(title: str, y: Any, shift: float) -> plot.Slice:
    """A made-up wedge, and runs beside its edges."""
    x = np.geomspace(1e-4, 1, 41)
    place = np.log10(x) + 2 + shift
    heights = np.linspace(0, 1, len(y))[:, None]
    sure = 8 * (1 - heights - place**2 - shift)
    runs = pd.DataFrame(
        [
            (x[i], y[j], "grok" if sure[j, i] > 0 else "memorize-only", "laziness")
            for i in range(0, 41, 7)
            for j in range(0, len(y), max(1, len(y) // 4))
        ],
        columns=["weight_decay", "alpha", "phase", "alpha_convention"],
    )
    return plot.Slice(title, x, list(y), sure, runs)


def surfaces(look: Look) -> Figure:
    """Made-up edges over three axes, that close; in the last plane there are none."""
    alphas = np.linspace(0, 0.6, 21).tolist()
    parts = [
        made_slice(f"train fraction = {fraction:g}", alphas, shift)
        for fraction, shift in ((0.9, -0.5), (0.8, 0.0), (0.7, 0.5), (0.6, 2.5))
    ]
    return plot.surface_slices(parts, PLANE, PHASES, (1.96, 3.1), look)


def surface_of_names(look: Look) -> Figure:
    part = made_slice("", ["gd", "adamw", "muon"], -0.5)
    runs = part.runs.rename(columns={"alpha": "optimizer"})
    plane = PLANE._replace(y="optimizer")
    parts = [part._replace(runs=runs)]
    return plot.surface_slices(parts, plane, PHASES, (1.96, 3.1), look)


def avalanches(look: Look) -> Figure:
    """Sizes of made-up avalanches, with and without an excess after a transition."""
    rng = np.random.default_rng(0)
    rows = [
        (f"{n}-{seed}", seed, n, step, field, n ** (1 + rise * (step > 20)) * noise)
        for n in (81, 161, 401, 801)
        for seed in range(6)
        for step in range(0, 60, 10)
        for noise in [np.exp(0.05 * rng.standard_normal())]
        for field, rise in (("real", 0.2), ("gaussian", 0.0), ("shuffled", 0.1))
    ]
    names = ["run_id", "seed", "n", "step", "field", "total"]
    table = pd.DataFrame(rows, columns=names)
    runs = table.drop_duplicates(["run_id", "step"])
    cube = analysis.cube_of(table, dict.fromkeys(runs["run_id"], 25.0))
    return plot.avalanche_panels(
        plot.Avalanches(
            "",
            analysis.over_time(cube, 200),
            analysis.aligned(cube, 200),
            analysis.by_phase(cube, 200),
            analysis.distribution(cube, 1.1),
            1.1,
            runs.assign(gini=0.3 + 0.1 * rng.random(len(runs))),
            cube.transition.ravel(),
        ),
        look,
    )


def against_width(look: Look) -> Figure:
    """Made-up powers of the width, with and without intervals and predictions."""
    n = 2.0 ** np.arange(4, 12)
    none = np.full(len(n), np.nan)
    series = [
        plot.WidthSeries(
            f"$\\alpha$ = {a:g}", n, n**-a, 0.9 * n**-a, 1.2 * n**-a, n**-a
        )
        for a in (0.0, 0.25, 0.5)
    ]
    bare = plot.WidthSeries("quadratic", n, 1 + 3 / n, none, none, np.empty(0))
    titles = ("a motion", "the turn of a kernel early in training")
    powers = [plot.WidthPanel(title, "motion", series) for title in titles]
    return plot.width_panels(
        [*powers, plot.WidthPanel("", "mean", [bare], False)], look
    )


def rates(look: Look) -> Figure:
    """Two widths whose best rates differ in one panel and not in the other."""
    rate = np.geomspace(1e-3, 1.0, 6)

    def panel(title: str, best: dict[int, float]) -> plot.RatePanel:
        curves = [
            pd.DataFrame(
                {
                    "width": width,
                    "learning_rate": rate,
                    "value": 0.01 * np.exp(0.2 * np.log(rate / at) ** 2),
                }
            )
            for width, at in best.items()
        ]
        table = pd.DataFrame(
            {"width": [*best], "learning_rate": [*best.values()], "value": 0.01}
        )
        return plot.RatePanel(title, "train loss", pd.concat(curves), table)

    still, falls = {32: 0.03, 512: 0.03}, {32: 0.1, 512: 0.01}
    panels = [panel("maximal update", still), panel("PyTorch's", falls)]
    return plot.rate_curves(panels, look, "6 seeds")


def spectrum(look: Look) -> Figure:
    """Noise alone, noise and two spikes, and a matrix that has not moved."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(46, 128))
    spikes = noise.copy()
    spikes[:2] += 12 * np.eye(2, 128)
    nothing = np.empty(0)
    edge, x = 18.6, np.linspace(4.6, 18.0, 50)
    panels = [
        plot.SpectrumPanel(
            title, np.linalg.svd(one, compute_uv=False), x, np.full(50, 0.07), edge
        )
        for title, one in (("$W$, step 0", noise), ("$W-W_0$, end 6000", spikes))
    ]
    panels.append(plot.SpectrumPanel("$W-W_0$, step 0", nothing, nothing, nothing, 1.0))
    return plot.spectrum_panels(panels, 3, look)


def spikes(look: Look) -> Figure:
    """Spikes long before t_grok, in two networks."""
    t_grok = np.geomspace(200, 2000, 6)
    times = pd.DataFrame(
        {"weight_decay": [3, 3, 1, 1, 0.3, 0.3], "t_grok": t_grok, "t_spike": 25.0}
    ).assign(t_mem=50.0)
    panels = [plot.TimesPanel(name, times) for name in ("three layers", "transformer")]
    return plot.spike_times(panels, look)


def energies(look: Look) -> Figure:
    """Made-up energies at three weight decays, and equations that miss the last."""
    step = np.append(0, np.geomspace(1, 4000, 60))
    panels = []
    for i, decay in enumerate(("0.0015", "0.0043", "0.018")):
        signal = 0.5 + 4 / (1 + (500 / np.maximum(step, 1)) ** 2)
        energy = 100 * np.array([signal, 2 * np.exp(-step / 3000)]).T
        late = step > 40
        said = energy[late] * (1 + 0.3 * i)
        panels.append(
            plot.EnergyPanel(f"λ = {decay}", step, energy, step[late], said, (40, 900))
        )
    return plot.energy_panels(panels, look)


def held(look: Look) -> Figure:
    """Runs of three seeds around an exponential in rho."""
    rho = np.repeat([0.85, 0.95, 1.0, 1.05], 3)
    t_grok = 2.3 * np.exp(7.6 * rho) * np.tile([0.9, 1.0, 1.15], 4)
    published = {r: 2.3 * float(np.exp(7.6 * r)) for r in (0.85, 0.95, 1.05, 1.25)}
    runs = pd.DataFrame({"rho": rho, "t_grok": t_grok})
    return plot.held_times(runs, published, look)


def zone(look: Look) -> Figure:
    """Conditions met below, above and nowhere, over the wedge of the quickstart."""
    runs = opened(QUICK).labelled()
    runs = runs.assign(
        groks=runs["phase"] == "grok",
        fits=runs["t_mem"].notna(),
        strong=runs["weight_decay"] > 0.01,
        nowhere=False,
    )
    columns = {
        "measured: groks": "groks",
        "2, the network can fit": "fits",
        "1, memorising is not the minimum of F": "strong",
        "all three": "nowhere",
    }
    return plot.zone_maps(runs, columns, PLANE, look)


def layers(look: Look) -> Figure:
    """One network with intervals, one without, and one that never grokked."""
    names = ["1", "2", "t_mem", "t_grok"]
    time = np.array([100.0, 200.0, 80.0, 900.0])
    known = {"name": names, "time": time, "low": time / 2, "high": 2 * time}
    tables = [
        pd.DataFrame(known),
        pd.DataFrame(known).assign(low=np.nan, high=np.nan),
        pd.DataFrame(known).assign(time=np.nan, low=np.nan, high=np.nan),
    ]
    titles = ("hidden layers: 2", "hidden layers: 3", "hidden layers: 4")
    panels = [plot.LayerPanel(*pair) for pair in zip(titles, tables, strict=True)]
    return plot.layer_times(panels, look)


def overlaps(look: Look) -> Figure:
    edges = np.linspace(0, 2, 21)
    middles = (edges[1:] + edges[:-1]) / 2
    laws = []
    for noise in (0.3, 0.15, 0.075):
        law = np.exp(-((middles / 0.3) ** 2)) + 0.1 * np.exp(
            -((middles - 1) ** 2) / noise
        )
        laws.append(plot.Law(f"$\\sigma^2$ = {noise:g}", edges, 0.9 * law, law))
    noises = np.repeat([0.3, 0.15, 0.075], 2)
    value = np.array([0.5, -0.02, 0.8, -0.04, 0.95, -0.09])
    parts = pd.DataFrame({"noise": noises, "part": ["linear", "cubic"] * 3})
    parts = parts.assign(measured=0.97 * value, predicted=value)
    return plot.overlap_laws(laws, parts, "sampled", "theory", look)


def equilibrium(look: Look) -> Figure:
    noises, sizes = np.geomspace(0.01, 1, 12), np.geomspace(300, 30_000, 12)
    ratio = np.log10(sizes[:, None] / noises[None, :])
    kinds = np.digitize(ratio, [4.0, 5.5])
    plane = plot.Equilibrium(noises, sizes, kinds, 0.02 * kinds, sizes / 1e4)
    return plot.equilibrium_map(plane, ("GFL", "GMFL-I", "GMFL-II"), look)


def three_alphas() -> Maker:
    """The diagram of every second alpha of the quickstart."""

    def make(look: Look) -> Figure:
        runs = opened(QUICK).labelled()
        runs = runs[runs["alpha"].isin([0.0, 0.2, 0.4])].assign(delay_ratio=2.0)
        return plot.phase_diagram([plot.PhasePanel("", runs)], PLANE, PHASES, look=look)

    return make


def planes(*titles: str) -> Maker:
    """The plane of the quickstart once for each title."""

    def make(look: Look) -> Figure:
        runs = opened(QUICK).labelled().assign(delay_ratio=lambda t: t["delay"] + 1)
        panels = [plot.PhasePanel(title, runs) for title in titles]
        return plot.phase_diagram(panels, PLANE, PHASES, columns=2, look=look)

    return make


TWO = [plot.place_words({"optimizer": name}) for name in ("gd", "adamw")]
EIGHT = [
    plot.place_words({"optimizer": name, "width": width, "train_fraction": share})
    for name in ("gd", "adamw")
    for width in (32, 64)
    for share in (0.5, 0.65)
]


def empty(look: Look) -> Figure:
    """A diagram in which no run groks, with weight decay 0 among the others."""
    runs = opened(QUICK).labelled()
    runs = runs[runs["phase"] != "grok"]
    zero = runs[runs["weight_decay"] == runs["weight_decay"].min()]
    runs = pd.concat([runs, zero.assign(weight_decay=0.0)])
    panel = plot.PhasePanel("", runs.assign(delay_ratio=np.nan))
    return plot.phase_diagram([panel], PLANE, PHASES, look=look)


def nothing(look: Look) -> Figure:
    """Times of runs that never memorise, of which one is undecided, from 0 on."""
    cells = pd.DataFrame({"x": [0.0, 0.1], "t_mem": np.inf, "t_grok": np.inf})
    cells = cells.assign(at=places(cells["x"].to_numpy(float), log=True))
    cells = cells.assign(p_grok=np.nan, p_grok_low=0.0, p_grok_high=1.0, value=np.nan)
    runs = cells.assign(t_mem=np.nan, t_grok=np.nan, n_steps=5000, undecided=True)
    panel = LinePanel("", [Line("", cells, runs)])
    axis = Axis(axis_words("weight_decay"), log=True)
    return plot.axis_lines([panel], axis, look=look)


def power_laws(look: Look) -> Figure:
    """Two series of errors that fall as N^(-1/2), another with one run a width."""
    rng = np.random.default_rng(0)
    widths = np.repeat([64, 256, 1024, 4096], 6)
    both = pd.concat(
        pd.DataFrame(
            {"series": f"outputs at step {step}", "x": widths, "y": y * step**0.2}
        )
        for step, y in (
            (step, widths**-0.5 * rng.lognormal(0, 0.2, len(widths)))
            for step in (16, 512)
        )
    )
    one = pd.DataFrame({"series": "relu", "x": [64, 512], "y": [40.0, 300.0]})
    panels = [
        plot.Scaling("outputs", "relative error", both, -0.5),
        plot.Scaling("neurons that carry f", "participation number", one),
    ]
    return plot.power_laws(panels, "width N", look)


def exponents(look: Look) -> Figure:
    """Made-up exponents of three systems, one of them alone in its network."""
    systems = [("relu", "modular addition"), ("relu", "digits"), ("deep", "digits")]
    rows = [
        {"network": network, "task": task, "axis": axis, "exponent": nu}
        for i, (network, task) in enumerate(systems)
        for axis, nu in (("weight_decay", 1.0 + 0.2 * i), ("train_fraction", 5.0 - i))
    ]
    table = pd.DataFrame(rows)
    table = table.assign(low=table["exponent"] - 0.2, high=table["exponent"] + 0.3)
    return plot.exponent_rows(table, look, expected={"weight_decay": -1.0})


def escapes(look: Look) -> Figure:
    """Made-up escape times, of which the coldest is none."""
    inverse = np.arange(3.0, 7.0)
    mean = np.append(np.exp(inverse[:3]) * 1.2, np.inf)
    table = pd.DataFrame({"temperature": 2.0 / inverse, "mean": mean})
    table = table.assign(low=mean / 1.3, high=mean * 1.4)
    table.loc[3, "low"] = 300.0
    return plot.escape_times(table, 2.0, 1.0, look)


def with_theory(look: Look) -> Figure:
    """Made-up lines of a theory over a measured diagram."""
    alphas = np.array([0.0, 0.3, 0.6])
    lines = (
        plot.TheoryLine("a theory: memorises up to here", 0.05 * 8**alphas, alphas),
        plot.TheoryLine(
            "a theory: generalises between", 0.002 * 8**alphas, alphas, True
        ),
    )
    runs = opened(QUICK).labelled()
    panel = plot.PhasePanel("", runs, None, lines)
    return plot.phase_diagram([panel], PLANE, PHASES, look=look)


def predicted_curves(look: Look) -> Figure:
    """A theory that says what was measured, a little later."""
    result = opened(QUICK)
    runs = result.labelled().iloc[:2]
    records = result.records(None, runs["run_id"].tolist())
    said = plot.Predicted("a theory", records.assign(step=2 * records["step"]))
    return plot.curves(records, runs, look=look, predicted=said)


# By the function of `grokmap.plot` that draws it.
QUICK_MAKERS: dict[str, tuple[str, Maker]] = {
    "diagram": ("phase_diagram", diagram(QUICK)),
    "diagram, decay rate": ("phase_diagram", diagram(QUICK, x="decay_rate")),
    "diagram, rqi": ("phase_diagram", diagram(QUICK, colour="rqi")),
    "diagram, empty": ("phase_diagram", empty),
    "diagram, theory": ("phase_diagram", with_theory),
    "diagrams of two optimizers": ("phase_diagram", planes(*TWO)),
    "diagrams of three axes": ("phase_diagram", planes(*EIGHT)),
    "lines": ("axis_lines", diagram(QUICK, at={"alpha": 0.2}, colour="rqi")),
    "lines, empty": ("axis_lines", nothing),
    "comparison": ("comparison_maps", compared(WIDTHS, by={"width": (64, 256)})),
    "uncertainty": ("uncertainty_maps", of(uncertainty, QUICK)),
    "curves": ("curves", trajectories(QUICK)),
    "power laws": ("power_laws", power_laws),
    "curves, theory": ("curves", predicted_curves),
    "curves, one run": ("curves", trajectories("survey2026")),
    "collapse": ("master_curve", of(laws, QUICK, "draw_collapse")),
    "laws": ("law_residuals", of(laws, QUICK)),
    "forecast": ("forecast_panels", of(forecast, QUICK)),
    "early stopping": ("early_stopping", of(early_stopping, QUICK)),
    "stopping rules": ("stopping_rules", of(stopping_rules, QUICK)),
    "losses": ("loss_curves", losses),
    "avalanches": ("avalanche_panels", avalanches),
    "surfaces": ("surface_slices", surfaces),
    "surface of names": ("surface_slices", surface_of_names),
    "rates of widths": ("rate_curves", rates),
    "times of layers": ("layer_times", layers),
    "spectrum": ("spectrum_panels", spectrum),
    "spikes": ("spike_times", spikes),
    "energies": ("energy_panels", energies),
    "zone": ("zone_maps", zone),
    "grids": ("phase_grids", grids),
    "widths": ("width_panels", against_width),
    "overlaps": ("overlap_laws", overlaps),
    "equilibrium": ("equilibrium_map", equilibrium),
    "escapes": ("escape_times", escapes),
    "exponents": ("exponent_rows", exponents),
    "held": ("held_times", held),
}
SLOW_MAKERS: dict[str, tuple[str, Maker]] = {
    "diagrams of widths": ("phase_diagram", diagram(WIDTHS)),
    "diagrams of alphas": ("phase_diagram", diagram(WIDTHS, y="width")),
    "diagram, refined": ("phase_diagram", diagram("refined")),
    "diagram, dense": ("phase_diagram", diagram("dense")),
    "diagram, finite size": ("phase_diagram", diagram("finite-size", y="width")),
    "lines from 0": ("axis_lines", diagram("order-parameters")),
    "lines of widths": ("axis_lines", diagram(WIDTHS, y="none", colour="delay")),
    "lines of models": ("axis_lines", diagram("ranks", x="weight_decay", y="none")),
    "lines of depths": (
        "axis_lines",
        diagram("ranks", x="depth", y="none", at={"model": "mlp"}),
    ),
    "lines compared": (
        "axis_lines",
        compared(WIDTHS, by={"width": (64, 256)}, x="weight_decay", y="none"),
    ),
    "a line compared": (
        "axis_lines",
        compared(WIDTHS, by={"alpha": (0, 0.2)}, at={"width": 64}, colour="p_grok"),
    ),
    "comparison of alphas": (
        "comparison_maps",
        compared(WIDTHS, by={"alpha": (0, 0.4)}, colour="t_mem"),
    ),
    "comparison, refined": ("comparison_maps", compared("refined", "refined-one-seed")),
    "comparison, no change": ("comparison_maps", compared("refined", "dense")),
    "comparison with itself": ("comparison_maps", compared(QUICK, QUICK, colour="rqi")),
    "uncertainty of widths": ("uncertainty_maps", of(uncertainty, WIDTHS)),
    "curves of models": ("curves", trajectories("ranks")),
    "curves, no decay": ("curves", trajectories("no-decay-epsilon")),
    "collapse of widths": ("master_curve", of(laws, WIDTHS, "draw_collapse")),
    "laws of widths": ("law_residuals", of(laws, WIDTHS)),
    "forecast of widths": ("forecast_panels", of(forecast, WIDTHS)),
    "early stopping of widths": ("early_stopping", of(early_stopping, WIDTHS)),
    "stopping rules of widths": ("stopping_rules", of(stopping_rules, WIDTHS)),
    "undecidable stopping": ("early_stopping", of(early_stopping, "early-stopping")),
    "scaling": ("scaling_figure", of(scaling, "finite-size")),
    "transition": ("order_panels", of(transition, "finite-size")),
    "hysteresis": ("hysteresis_loops", of(hysteresis, "hysteresis")),
    "movers": ("transition_panels", of(order_parameters, QUICK)),
    "movers of models": ("transition_panels", of(order_parameters, "ranks")),
}
MAKERS = QUICK_MAKERS | SLOW_MAKERS
