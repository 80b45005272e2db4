"""The commands that look at results."""

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
    Theory,
    Where,
    shared,
)


@shared
def phase_diagram(
    result: Result,
    x: Annotated[
        str | None,
        typer.Option(help="Swept axis, or decay_rate [weight_decay, or another]."),
    ] = None,
    y: Annotated[
        str | None,
        typer.Option(help="Another; none: lines against x [alpha, or another]."),
    ] = None,
    colour: Annotated[
        str,
        typer.Option(
            help="Right map: delay_ratio, t_grok, t_mem, delay, p_grok, or a recorded "
            "quantity."
        ),
    ] = "delay_ratio",
    when: Annotated[
        str, typer.Option(help="When that quantity is taken: final, t_mem.")
    ] = "final",
    theory: Theory = None,
    where: Where = GIVEN,
    criteria: Rules = "default",
    figures: Figures = GIVEN,
    out: Out = None,
    plugin: Plugins = None,
) -> None:
    """Draw the phases of RESULT and the map of t_grok / t_mem or another quantity.

    Where one number is swept: t_mem, t_grok and P(grok) against it.
    """
    from grokmap.cli.figures import Diagram, draw_phase_diagram

    diagram = Diagram(x, y, colour, when, theory)
    draw_phase_diagram(result, diagram, criteria, figures, out, where)


@shared
def compare(
    result: Result,
    other: Annotated[
        Path | None,
        typer.Argument(metavar="OTHER", help="Another; or give --by instead."),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="AXIS=A,B",
            help="Two values of an axis of RESULT, in place of OTHER.",
        ),
    ] = None,
    x: Annotated[
        str | None, typer.Option(help="Swept axis [weight_decay, or another].")
    ] = None,
    y: Annotated[
        str | None,
        typer.Option(help="Another; none: lines against x [alpha, or another]."),
    ] = None,
    colour: Annotated[
        str,
        typer.Option(help="The change that is drawn: as of phase-diagram."),
    ] = "t_grok",
    where: Where = GIVEN,
    criteria: Rules = "default",
    figures: Figures = GIVEN,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """What differs between two results, or two values of an axis, cell by cell."""
    from grokmap.cli.compare import Question, compare_results

    question = Question(by, x, y, colour, where)
    compare_results(result, other, question, criteria, figures, out, as_json)


@shared
def curves(
    result: Result,
    run: Annotated[list[str] | None, typer.Option("--run", help=ONE_RUN)] = None,
    show: Annotated[
        str | None,
        typer.Option(help="Comma-separated order parameters [some that tell phases]."),
    ] = None,
    theory: Theory = None,
    where: Where = GIVEN,
    criteria: Rules = "default",
    figures: Figures = GIVEN,
    out: Out = None,
    plugin: Plugins = None,
) -> None:
    """Draw trajectories of the runs named, or of one run per phase."""
    from grokmap.cli.figures import draw_curves

    draw_curves(result, run or [], show, criteria, figures, out, where, theory)


def report(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="RESULT...", help="Folders of results, side by side."),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The page, one file.")
    ] = Path("report.html"),
    show: Annotated[
        str | None,
        typer.Option(help="Comma-separated quantities with curves [what has room]."),
    ] = None,
    over: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated swept axes, --x among them: edges over all of these, "
            "with sliders."
        ),
    ] = None,
    x: Annotated[
        str, typer.Option(help="With --over: axis the edges are on.")
    ] = "weight_decay",
    criteria: Rules = "default",
    live: Annotated[
        bool, typer.Option("--live", help="Write it again until all runs are done.")
    ] = False,
    every: Annotated[
        str, typer.Option(help="With --live: how often, such as 30s, 5m.")
    ] = "30s",
    plugin: Plugins = None,
) -> None:
    """Write a page to click in: maps of RESULTs, and the curves behind each cell."""
    from grokmap.cli.places import read_names
    from grokmap.cli.report import write_report

    options = (show, live, every, read_names(over), x)
    raise typer.Exit(write_report(results, out, criteria, *options))


@shared
def classify(
    result: Result,
    where: Where = GIVEN,
    criteria: Rules = "default",
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Label the runs of RESULT by CRITERIA; nothing is trained again."""
    from grokmap.cli.results import classify_result

    classify_result(result, criteria, as_json, out, where)


def status(result: Result, plugin: Plugins = None, as_json: Json = False) -> None:
    """Runs planned, done and missing, their phases, and who is at work on them."""
    from grokmap.cli.results import print_status

    print_status(result, as_json)


def show(
    result: Result,
    run: Annotated[str, typer.Argument(metavar="RUN", help=ONE_RUN)],
    criteria: Rules = "default",
    reproduce: Annotated[
        bool, typer.Option("--reproduce", help="Print the command that makes it again.")
    ] = False,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Everything known of one run."""
    from grokmap.cli.results import print_command, show_run

    if reproduce:
        print_command(result, run)
    else:
        show_run(result, run, criteria, as_json)
