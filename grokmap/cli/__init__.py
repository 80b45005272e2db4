"""The command line: parse, call, print, exit code. Results on stdout, the rest on
stderr. Heavy imports stand inside the commands, so that --help starts at once. The
commands that train are in `training`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from grokmap import __version__
from grokmap.cli import cluster, training
from grokmap.cli.options import (
    ONE_RUN,
    At,
    Figures,
    Formats,
    Json,
    Near,
    Out,
    Plugins,
    Result,
    Rules,
    Style,
    Width,
)
from grokmap.errors import GrokmapError, shown

USAGE_ERROR: Any = typer.BadParameter.__base__  # of typer's own click, or of click
# The help that a bare `grokmap` raises, in versions of click where it is an error.
BARE: Any = getattr(sys.modules[USAGE_ERROR.__module__], "NoArgsIsHelpError", ())


@contextmanager
def _usage_errors_shown() -> Iterator[None]:
    try:
        yield
    except USAGE_ERROR as error:
        if not isinstance(error, BARE):  # which quotes nothing, and has lines
            error.message = shown(error.message)
        raise


# The commands in --help, by what they are for.
RUN, LOOK, ANALYSE = "Run", "Look", "Analyse"
THEORY, INSPECT = "Compare with theory", "Inspect"
PANELS = (RUN, LOOK, ANALYSE, THEORY, INSPECT)


class _Commands(TyperGroup):
    """The commands, in panels; what a user typed stands `shown` in usage errors."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        # Typer draws panels only where it reads help as markup.
        for panel in PANELS:
            rows = [
                (name, command.short_help or "")
                for name, command in self.commands.items()
                if getattr(command, "rich_help_panel", None) == panel
            ]
            with formatter.section(panel):
                formatter.write_dl(rows)

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _usage_errors_shown():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _usage_errors_shown():
            return super().invoke(ctx)


app = typer.Typer(
    name="grokmap",
    cls=_Commands,
    help="Phase diagrams of grokking.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # it would take every [hint] for markup
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command(rich_help_panel=RUN)(training.sweep)
app.command(rich_help_panel=RUN)(cluster.submit)
app.command(rich_help_panel=RUN)(cluster.merge)


@app.command("phase-diagram", rich_help_panel=LOOK)
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
    at: At = None,
    near: Near = None,
    criteria: Rules = "default",
    formats: Formats = "png,pdf",
    style: Style = "paper",
    width: Width = None,
    out: Out = None,
    plugin: Plugins = None,
) -> None:
    """Draw the phases of RESULT and the map of t_grok / t_mem or another quantity.

    Where one number is swept: t_mem, t_grok and P(grok) against it.
    """
    from grokmap.cli.figures import Diagram, draw_phase_diagram
    from grokmap.cli.places import read_where

    diagram, where = Diagram(x, y, colour, when), read_where(at, near)
    figures = Figures(formats, style, width)
    draw_phase_diagram(result, diagram, criteria, figures, out, where)


@app.command(rich_help_panel=ANALYSE)
def boundaries(
    result: Result,
    x: Annotated[str, typer.Option(help="Axis the edges are on.")] = "weight_decay",
    y: Annotated[str, typer.Option(help="Axis of the rows.")] = "alpha",
    at: At = None,
    near: Near = None,
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
    from grokmap.cli.places import read_where

    where = read_where(at, near)
    find_boundaries(result, x, y, criteria, budget, as_json, out, where)


app.command(rich_help_panel=RUN)(training.refine)
app.command(rich_help_panel=RUN)(training.weights)
app.command(rich_help_panel=THEORY)(training.reproduce)


@app.command(rich_help_panel=ANALYSE)
def uncertainty(
    result: Result,
    x: Annotated[str, typer.Option(help="Swept axis.")] = "weight_decay",
    y: Annotated[str, typer.Option(help="Swept axis.")] = "alpha",
    at: At = None,
    near: Near = None,
    criteria: Rules = "default",
    formats: Formats = "png,pdf",
    style: Style = "paper",
    width: Width = None,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """P(phase) and t_grok with intervals, and labels that other bars would change."""
    from grokmap.cli.places import read_where
    from grokmap.cli.uncertainty import map_uncertainty

    where = read_where(at, near)
    figures = Figures(formats, style, width)
    map_uncertainty(result, x, y, criteria, figures, out, as_json, where)


@app.command("order-parameters", rich_help_panel=ANALYSE)
def order_parameters(
    result: Result,
    at: At = None,
    near: Near = None,
    criteria: Rules = "default",
    formats: Formats = "png,pdf",
    style: Style = "paper",
    width: Width = None,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Which quantity moves first where runs grok, and which tell phases apart."""
    from grokmap.cli.order_parameters import compare_order_parameters
    from grokmap.cli.places import read_where

    where = read_where(at, near)
    figures = Figures(formats, style, width)
    compare_order_parameters(result, criteria, figures, out, as_json, where)


@app.command(rich_help_panel=ANALYSE)
def scaling(
    result: Result,
    size: Annotated[str, typer.Option(help="width or modulus.")] = "width",
    x: Annotated[str, typer.Option(help="Swept axis across it.")] = "weight_decay",
    quantity: Annotated[
        str, typer.Option(help="Order parameter of the Binder cumulant.")
    ] = "test_accuracy",
    at: At = None,
    near: Near = None,
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
    formats: Formats = "png,pdf",
    style: Style = "paper",
    width: Width = None,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Finite-size scaling: crossings, Binder cumulant, data collapse, times by size."""
    from grokmap.cli.places import read_where
    from grokmap.cli.scaling import Question, scale_result

    where = read_where(at, near)
    question = Question(size, x, quantity, where, between, log, clock)
    figures = Figures(formats, style, width)
    scale_result(result, question, criteria, figures, out, as_json)


@app.command(rich_help_panel=ANALYSE)
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
    at: At = None,
    near: Near = None,
    formats: Formats = "png,pdf",
    style: Style = "paper",
    width: Width = None,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """How avalanches of gradients grow with the network, against shuffled gradients.

    Trains the runs of RESULT again for their gradients.
    """
    from grokmap.avalanches import Probe
    from grokmap.cli.avalanches import measure_avalanches
    from grokmap.cli.places import read_where
    from grokmap.result.avalanches import Question

    probe = Probe(percentile, passed, keeps)
    question = Question(snapshots, log, graph, probe, size, fixed)
    figures, where = Figures(formats, style, width), read_where(at, near)
    measure_avalanches(result, question, scan, figures, out, as_json, where)


@app.command(rich_help_panel=ANALYSE)
def hysteresis(
    result: Result,
    quantity: Annotated[str, typer.Option(help="A recorded quantity.")] = (
        "test_accuracy"
    ),
    at: At = None,
    near: Near = None,
    formats: Formats = "png,pdf",
    style: Style = "paper",
    width: Width = None,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Loops of runs whose weight decay is ramped up and down, against the ramp rate."""
    from grokmap.cli.hysteresis import measure_hysteresis
    from grokmap.cli.places import read_where

    where = read_where(at, near)
    figures = Figures(formats, style, width)
    measure_hysteresis(result, quantity, figures, out, as_json, where)


@app.command(rich_help_panel=ANALYSE)
def transition(
    result: Result,
    quantity: Annotated[
        str, typer.Option(help="Comma-separated quantities to judge and draw.")
    ] = "test_accuracy",
    x: Annotated[str, typer.Option(help="Swept axis across the boundary.")] = (
        "weight_decay"
    ),
    at: At = None,
    near: Near = None,
    ramps: Annotated[
        Path | None,
        typer.Option("--hysteresis", help="Folder of ramped runs: adds their loops."),
    ] = None,
    formats: Formats = "png,pdf",
    style: Style = "paper",
    width: Width = None,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """First order or continuous: what many seeds and widths say of a boundary."""
    from grokmap.cli.places import read_where
    from grokmap.cli.transition import Question, judge_transition

    question = Question(quantity, x, read_where(at, near), ramps)
    figures = Figures(formats, style, width)
    judge_transition(result, question, figures, out, as_json)


@app.command(rich_help_panel=THEORY)
def laws(
    result: Result,
    at: At = None,
    near: Near = None,
    criteria: Rules = "default",
    formats: Formats = "png,pdf",
    style: Style = "paper",
    width: Width = None,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Which law t_grok follows, by censored fits, and how far the times collapse."""
    from grokmap.cli.laws import compare_laws
    from grokmap.cli.places import read_where

    figures = Figures(formats, style, width)
    compare_laws(result, criteria, figures, out, as_json, read_where(at, near))


@app.command(rich_help_panel=ANALYSE)
def forecast(
    result: Result,
    at: At = None,
    near: Near = None,
    criteria: Rules = "default",
    formats: Formats = "png,pdf",
    style: Style = "paper",
    width: Width = None,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """When runs that memorised will grok, with 80% intervals, and how well it knows."""
    from grokmap.cli.forecast import forecast_result
    from grokmap.cli.places import read_where

    figures = Figures(formats, style, width)
    forecast_result(result, criteria, figures, out, as_json, read_where(at, near))


@app.command("early-stopping", rich_help_panel=ANALYSE)
def early_stopping(
    result: Result,
    patience: Annotated[
        str | None,
        typer.Option(help="Comma-separated patience after t_mem [0.5,1,2,...,32]."),
    ] = None,
    unit: Annotated[
        str, typer.Option(help="Of the patience: t_mem, decay-times, steps.")
    ] = "t_mem",
    at: At = None,
    near: Near = None,
    criteria: Rules = "default",
    formats: Formats = "png,pdf",
    style: Style = "paper",
    width: Width = None,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """What stopping soon after memorisation would have cost, and what warns of it."""
    from grokmap.cli.early_stopping import judge_early_stopping
    from grokmap.cli.places import read_where

    where = read_where(at, near)
    figures = Figures(formats, style, width)
    judge_early_stopping(result, patience, unit, criteria, figures, out, as_json, where)


@app.command(rich_help_panel=LOOK)
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
    at: At = None,
    near: Near = None,
    criteria: Rules = "default",
    formats: Formats = "png,pdf",
    style: Style = "paper",
    width: Width = None,
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """What differs between two results, or two values of an axis, cell by cell."""
    from grokmap.cli.compare import Question, compare_results
    from grokmap.cli.places import read_where

    question = Question(by, x, y, colour, read_where(at, near))
    figures = Figures(formats, style, width)
    compare_results(result, other, question, criteria, figures, out, as_json)


@app.command(rich_help_panel=LOOK)
def curves(
    result: Result,
    run: Annotated[list[str] | None, typer.Option("--run", help=ONE_RUN)] = None,
    show: Annotated[
        str | None,
        typer.Option(help="Comma-separated order parameters [some that tell phases]."),
    ] = None,
    at: At = None,
    near: Near = None,
    criteria: Rules = "default",
    formats: Formats = "png,pdf",
    style: Style = "paper",
    width: Width = None,
    out: Out = None,
    plugin: Plugins = None,
) -> None:
    """Draw trajectories of the runs named, or of one run per phase."""
    from grokmap.cli.figures import draw_curves
    from grokmap.cli.places import read_where

    where = read_where(at, near)
    figures = Figures(formats, style, width)
    draw_curves(result, run or [], show, criteria, figures, out, where)


@app.command(rich_help_panel=LOOK)
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
    from grokmap.cli.report import write_report

    raise typer.Exit(write_report(results, out, criteria, show, live, every))


@app.command(rich_help_panel=LOOK)
def classify(
    result: Result,
    at: At = None,
    near: Near = None,
    criteria: Rules = "default",
    out: Out = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Label the runs of RESULT by CRITERIA; nothing is trained again."""
    from grokmap.cli.places import read_where
    from grokmap.cli.results import classify_result

    classify_result(result, criteria, as_json, out, read_where(at, near))


@app.command(rich_help_panel=LOOK)
def status(result: Result, plugin: Plugins = None, as_json: Json = False) -> None:
    """Runs planned, done and missing, their phases, and who is at work on them."""
    from grokmap.cli.results import print_status

    print_status(result, as_json)


@app.command(rich_help_panel=LOOK)
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


@app.command(rich_help_panel=INSPECT)
def verify(result: Result, plugin: Plugins = None, as_json: Json = False) -> None:
    """Check that RESULT is whole, and say what the next sweep would do."""
    from grokmap.cli.verify import verify_result

    raise typer.Exit(verify_result(result, as_json))


@app.command(rich_help_panel=INSPECT)
def doctor(as_json: Json = False) -> None:
    """Versions, devices, and combinations known to be bad."""
    from grokmap.cli.doctor import print_report

    print_report(as_json)


@app.command(rich_help_panel=INSPECT)
def sweeps(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Prints this one: redirect it for a copy."),
    ] = None,
    as_json: Json = False,
) -> None:
    """The sweeps that come with grokmap: their purpose, their runs, their cost.

    In a copy, change `name`: it decides the result folder.
    """
    from grokmap.cli.sweeps import list_sweeps, print_sweep

    if name is None:
        list_sweeps(as_json)
    else:
        print_sweep(name, as_json)


@app.command(rich_help_panel=INSPECT)
def schema(plugin: Plugins = None) -> None:
    """JSON schema of sweep files, for editors."""
    import json

    from grokmap.plan import sweep_schema

    print(json.dumps(sweep_schema(), indent=2))


for _command in app.registered_commands:
    # The whole first line: the list of commands would cut it off at 45 letters.
    _command.short_help = (_command.callback.__doc__ or "").partition("\n")[0]


def _version(value: bool) -> None:
    if value:
        print(f"grokmap {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Version."),
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """The `grokmap` program. A user's mistake is one line on stderr, no traceback."""
    if os.name != "posix":
        print("grokmap: runs on Linux and macOS; on Windows, use WSL", file=sys.stderr)
        sys.exit(2)
    try:
        app(args=arguments)
    except GrokmapError as error:
        for problem in error.problems:
            print(f"grokmap: {problem}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:  # where no command foresaw it: a disk that fails, ...
        name = f"{error.filename}: " if error.filename else ""
        line = shown(f"{name}{error.strerror or error}")
        print(f"grokmap: {line}", file=sys.stderr)
        sys.exit(2)
    except MemoryError:
        print("grokmap: out of memory", file=sys.stderr)
        sys.exit(2)
