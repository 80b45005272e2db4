"""The command line: parse, call, print, exit code. Results on stdout, the rest on
stderr. Heavy imports stand inside the commands, so that --help starts at once. Most
commands are in `training`, `cluster`, `looking` and `analysing`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from grokmap import __version__
from grokmap.cli import analysing, cluster, looking, training
from grokmap.cli.options import Json, Plugins, Result
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
app.command("phase-diagram", rich_help_panel=LOOK)(looking.phase_diagram)
app.command(rich_help_panel=ANALYSE)(analysing.boundaries)
app.command(rich_help_panel=ANALYSE)(analysing.surface)
app.command(rich_help_panel=RUN)(training.refine)
app.command(rich_help_panel=RUN)(training.weights)
app.command(rich_help_panel=THEORY)(training.reproduce)
app.command(rich_help_panel=ANALYSE)(analysing.uncertainty)
app.command("order-parameters", rich_help_panel=ANALYSE)(analysing.order_parameters)
app.command(rich_help_panel=ANALYSE)(analysing.scaling)
app.command(rich_help_panel=ANALYSE)(analysing.avalanche)
app.command(rich_help_panel=ANALYSE)(analysing.spectrum)
app.command(rich_help_panel=ANALYSE)(analysing.hysteresis)
app.command(rich_help_panel=ANALYSE)(analysing.transition)
app.command(rich_help_panel=THEORY)(analysing.laws)
app.command(rich_help_panel=ANALYSE)(analysing.forecast)
app.command("early-stopping", rich_help_panel=ANALYSE)(analysing.early_stopping)
app.command(rich_help_panel=LOOK)(looking.compare)
app.command(rich_help_panel=LOOK)(looking.curves)
app.command(rich_help_panel=LOOK)(looking.report)
app.command(rich_help_panel=LOOK)(looking.classify)
app.command(rich_help_panel=LOOK)(looking.status)
app.command(rich_help_panel=LOOK)(looking.show)


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
