"""The commands that analyse results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grokmap.cli.options import (
    GIVEN,
    ONE_RUN,
    Figures,
    Json,
    Out,
    Plugins,
    Result,
    Rules,
    Where,
    shared,
)

USUAL_RUN = f"{ONE_RUN} [one that groks]"


@shared
def boundaries(
    result: Result,
    x: Annotated[str, typer.Option(help="Axis the edges are on.")] = "weight_decay",
    y: Annotated[str, typer.Option(help="Axis of the rows.")] = "alpha",
    where: Where = GIVEN,
    criteria: Rules = "default",
    budget: Annotated[
        bool, typer.Option(help="Say how far half of the budget moves each edge.")
    ] = True,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Where the grok wedge begins and ends in each row, with intervals."""
    from grokmap.cli.boundaries import find_boundaries

    find_boundaries(result, x, y, criteria, budget, as_json, out, where)


@shared
def surface(
    result: Result,
    over: Annotated[
        str, typer.Option(help="Comma-separated swept axes, --x among them.")
    ],
    x: Annotated[str, typer.Option(help="Axis the edges are on.")] = "weight_decay",
    precision: Annotated[
        float,
        typer.Option(
            help="Half-width from which an edge is said to be not known, and why "
            "(decades if log)."
        ),
    ] = 0.1,
    places: Annotated[
        int, typer.Option(min=2, help="Places on the first of the other axes.")
    ] = 13,
    where: Where = GIVEN,
    criteria: Rules = "default",
    figures: Figures = GIVEN,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Where the grok wedge begins and ends over several axes at once, with bands.

    By a model of P(grok) over all of them, fitted to all runs.
    """
    from grokmap.cli.places import read_names
    from grokmap.cli.surface import Question, find_surface

    question = Question(read_names(over), x, precision, places)
    find_surface(result, question, criteria, as_json, figures, out, where)


@shared
def uncertainty(
    result: Result,
    x: Annotated[str, typer.Option(help="Swept axis.")] = "weight_decay",
    y: Annotated[str, typer.Option(help="Swept axis.")] = "alpha",
    where: Where = GIVEN,
    criteria: Rules = "default",
    figures: Figures = GIVEN,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """P(phase) and t_grok with intervals, and labels that other bars would change."""
    from grokmap.cli.uncertainty import map_uncertainty

    map_uncertainty(result, x, y, criteria, figures, out, as_json, where)


@shared
def order_parameters(
    result: Result,
    where: Where = GIVEN,
    criteria: Rules = "default",
    figures: Figures = GIVEN,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Which quantity moves first where runs grok, and which tell phases apart."""
    from grokmap.cli.order_parameters import compare_order_parameters

    compare_order_parameters(result, criteria, figures, out, as_json, where)


@shared
def scaling(
    result: Result,
    size: Annotated[str, typer.Option(help="width or modulus.")] = "width",
    x: Annotated[str, typer.Option(help="Swept axis across it.")] = "weight_decay",
    quantity: Annotated[
        str, typer.Option(help="Order parameter of the Binder cumulant.")
    ] = "test_accuracy",
    where: Where = GIVEN,
    between: Annotated[
        str | None, typer.Option(help="LOW,HIGH of x: one boundary only [all].")
    ] = None,
    log: Annotated[
        bool | None,
        typer.Option("--log/--linear", help="Scale of x [log above a factor 20]."),
    ] = None,
    clock: Annotated[
        str, typer.Option(help="t_grok in decay times or in steps: decay, steps.")
    ] = "decay",
    criteria: Rules = "default",
    figures: Figures = GIVEN,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Finite-size scaling: crossings, Binder cumulant, data collapse, times by size."""
    from grokmap.cli.scaling import Question, scale_result

    question = Question(size, x, quantity, where, between, log, clock)
    scale_result(result, question, criteria, figures, out, as_json)


@shared
def avalanche(
    result: Result,
    snapshots: Annotated[
        int, typer.Option(help="Steps of each run at which gradients are taken.")
    ] = 51,
    log: Annotated[
        bool, typer.Option("--log/--linear", help="How those steps are spaced.")
    ] = False,
    graph: Annotated[
        str, typer.Option(help="Graph of the parameters.")
    ] = "barabasi_albert",
    percentile: Annotated[
        float, typer.Option(help="Of |gradient|: above it parameters topple.")
    ] = 90.0,
    passed: Annotated[
        float, typer.Option(help="Share of a load that goes to the neighbours.")
    ] = 0.5,
    keeps: Annotated[
        bool, typer.Option(help="The rest stays where it was, instead of being lost.")
    ] = False,
    size: Annotated[
        str, typer.Option(help="Topplings: total, peak (sweep), largest (avalanche).")
    ] = "total",
    fixed: Annotated[
        bool, typer.Option(help="One threshold a run: that of its first step.")
    ] = False,
    scan: Annotated[
        bool, typer.Option(help="Vary percentile, share, graph and size, too.")
    ] = False,
    where: Where = GIVEN,
    figures: Figures = GIVEN,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """How avalanches of gradients grow with the network, against shuffled gradients.

    Trains the runs of RESULT again for their gradients.
    """
    from grokmap.avalanches import Probe
    from grokmap.cli.avalanches import measure_avalanches
    from grokmap.result.avalanches import Question

    probe = Probe(percentile, passed, keeps)
    question = Question(snapshots, log, graph, probe, size, fixed)
    measure_avalanches(result, question, scan, figures, out, as_json, where)


@shared
def spectrum(
    result: Result,
    run: Annotated[str | None, typer.Option(help=USUAL_RUN)] = None,
    at: Annotated[
        str, typer.Option(help="Comma-separated: t_mem, t_grok, end, or steps.")
    ] = "0,t_mem,t_grok,end",
    matrix: Annotated[
        str, typer.Option(help="Name of a matrix in the weights, such as readout.")
    ] = "first",
    figures: Figures = GIVEN,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Singular values of a matrix and of its motion, beside the bulk of noise.

    Trains one run of RESULT again for its weights.
    """
    from grokmap.cli.spectrum import show_spectrum

    show_spectrum(result, run, at, matrix, figures, out, as_json)


@shared
def hysteresis(
    result: Result,
    quantity: Annotated[str, typer.Option(help="A recorded quantity.")] = (
        "test_accuracy"
    ),
    where: Where = GIVEN,
    figures: Figures = GIVEN,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Loops of runs whose weight decay is ramped up and down, against the ramp rate."""
    from grokmap.cli.hysteresis import measure_hysteresis

    measure_hysteresis(result, quantity, figures, out, as_json, where)


@shared
def transition(
    result: Result,
    quantity: Annotated[
        str, typer.Option(help="Comma-separated quantities to judge and draw.")
    ] = "test_accuracy",
    x: Annotated[str, typer.Option(help="Swept axis across the boundary.")] = (
        "weight_decay"
    ),
    where: Where = GIVEN,
    ramps: Annotated[
        Path | None,
        typer.Option("--hysteresis", help="Folder of ramped runs: adds their loops."),
    ] = None,
    figures: Figures = GIVEN,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """First order or continuous: what many seeds and widths say of a boundary."""
    from grokmap.cli.transition import Question, judge_transition

    question = Question(quantity, x, where, ramps)
    judge_transition(result, question, figures, out, as_json)


@shared
def laws(
    result: Result,
    where: Where = GIVEN,
    criteria: Rules = "default",
    figures: Figures = GIVEN,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Which law t_grok follows, by censored fits, and how far the times collapse."""
    from grokmap.cli.laws import compare_laws

    compare_laws(result, criteria, figures, out, as_json, where)


@shared
def forecast(
    result: Result,
    where: Where = GIVEN,
    criteria: Rules = "default",
    figures: Figures = GIVEN,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """When runs that memorised will grok, with 80% intervals, and how well it knows."""
    from grokmap.cli.forecast import forecast_result

    forecast_result(result, criteria, figures, out, as_json, where)


@shared
def early_stopping(
    result: Result,
    patience: Annotated[
        str | None,
        typer.Option(help="Comma-separated patience after t_mem [0.5,1,2,...,32]."),
    ] = None,
    unit: Annotated[
        str, typer.Option(help="Of the patience: t_mem, decay-times, steps.")
    ] = "t_mem",
    where: Where = GIVEN,
    criteria: Rules = "default",
    figures: Figures = GIVEN,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """What stopping soon after memorisation would have cost, and what warns of it."""
    from grokmap.cli.early_stopping import judge_early_stopping

    judge_early_stopping(result, patience, unit, criteria, figures, out, as_json, where)
