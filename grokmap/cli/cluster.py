"""The commands for several processes and machines: merge, submit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grokmap.cli.options import Json, Plugins


def merge(
    result: Annotated[
        Path, typer.Argument(metavar="DIR", help="Result folder to unite into.")
    ],
    others: Annotated[
        list[Path] | None,
        typer.Argument(metavar="OTHER", help="Result folders of the same sweep."),
    ] = None,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Unite in DIR what its shards, and OTHER result folders, have done.

    Nothing is removed; at any time, again. Exit code 6 where two have a run otherwise:
    DIR keeps the first.
    """
    from grokmap.cli.merging import merge_results

    raise typer.Exit(merge_results(result, others or [], as_json))
