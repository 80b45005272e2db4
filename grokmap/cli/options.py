"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

ONE_RUN = (
    "Run id, its beginning, or coordinates: alpha=0.2,weight_decay=0.01 (the nearest)."
)
Result = Annotated[
    Path, typer.Argument(metavar="RESULT", help="Folder of a sweep's results.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Rules = Annotated[
    str,
    typer.Option("--criteria", help="default, liu2022, survey2026, or a .toml file."),
]
At = Annotated[
    list[str] | None,
    typer.Option(help="axis=value: the runs there alone; repeat for more axes [all]."),
]
Near = Annotated[
    list[str] | None,
    typer.Option(help="axis=value: the same at the nearest value, which is said."),
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
