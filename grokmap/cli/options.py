"""Arguments and options that several commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from grokmap.cli.places import Where as Where
else:
    Where = Any  # its module loads all axes, for which --help does not wait

ONE_RUN = (
    "Run id, its beginning, or coordinates: alpha=0.2,weight_decay=0.01 (the nearest)."
)
Result = Annotated[
    Path, typer.Argument(metavar="RESULT", help="Folder of a sweep's results.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Rules = Annotated[
    str,
    typer.Option(
        "--criteria",
        help="default, held-out, liu2022, survey2026, or a .toml file.",
    ),
]
At = Annotated[
    list[str] | None,
    typer.Option(help="axis=value: the runs there alone; repeat for more axes [all]."),
]
Near = Annotated[
    list[str] | None,
    typer.Option(help="axis=value: the same at the nearest value, which is said."),
]
Theory = Annotated[
    str | None,
    typer.Option(
        help="What a theory predicts of these runs, drawn over them: lazy, mean-field."
    ),
]
Formats = Annotated[
    str, typer.Option("--format", help="Comma-separated: png, pdf, svg; csv, parquet.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Path without suffix [names inside RESULT]."),
]
Style = Annotated[
    str, typer.Option(help="Letters of figures: paper (8 pt), talk (14 pt).")
]
Width = Annotated[
    str | None,
    typer.Option(
        help="Of figures: single, double, aps, nature, neurips, ..., or inches."
    ),
]


class Figures(NamedTuple):
    """What a user wants of the figures of a command: suffixes, and as `plot.look_of`
    takes them the style and the width."""

    formats: str
    style: str = "paper"
    width: str | None = None


GIVEN: Any = None  # of the parameters that `shared` makes of options
# Parameters of a command: the options that make each, and their defaults.
SHARED: dict[str, dict[str, tuple[Any, Any]]] = {
    "where": {"at": (At, None), "near": (Near, None)},
    "figures": {
        "formats": (Formats, "png,pdf"),
        "style": (Style, "paper"),
        "width": (Width, None),
    },
}


def shared(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with the options of `SHARED` in place of its parameters where, which
    --at and --near make, and figures."""
    signature, parameters = inspect.signature(command, eval_str=True), []
    for parameter in signature.parameters.values():
        options = SHARED.get(parameter.name)
        parameters += [parameter] if options is None else list(_declared(options))

    @wraps(command)
    def with_options(**values: Any) -> None:
        from grokmap.cli.places import read_where

        for name in SHARED.keys() & signature.parameters.keys():
            parts = [values.pop(option) for option in SHARED[name]]
            values[name] = read_where(*parts) if name == "where" else Figures(*parts)
        command(**values)

    made: Any = with_options  # what typer reads
    made.__signature__ = signature.replace(parameters=parameters)
    made.__annotations__ = {p.name: p.annotation for p in parameters}
    return with_options


def _declared(options: dict[str, tuple[Any, Any]]) -> Iterator[inspect.Parameter]:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    for name, (annotation, default) in options.items():
        yield inspect.Parameter(name, kind, default=default, annotation=annotation)


TimeBudget = Annotated[
    str | None,
    typer.Option(help="Stop in good order after e.g. 45m, 1h30m, 2d (exit 75)."),
]

Override = Annotated[
    list[str] | None,
    typer.Option("-s", "--set", help="key=value in place of the file's."),
]
Folder = Annotated[
    Path | None, typer.Option("--out", help="Result folder [results/NAME].")
]
Shards = Annotated[
    int, typer.Option(min=0, help="Train in so many shards at once [in this process].")
]
On = Annotated[str, typer.Option(help="Where shards run: local, slurm, ray.")]


def load_plugins(ctx: typer.Context, sources: list[str] | None) -> list[str]:
    """Imports the plugins that were asked for, before the command reads any name."""
    if sources and not ctx.resilient_parsing:
        from grokmap.cli.doctor import start_jax
        from grokmap.plugins import load

        start_jax()  # a plugin may use jax as it is imported
        for source in sources:
            load(source)
    return sources or []


Plugins = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        metavar="MODULE",
        callback=load_plugins,
        help="File or module with tasks, order parameters, ... of yours; repeatable.",
    ),
]
