"""The commands for several processes and machines: merge, submit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grokmap.cli.options import Folder, Json, On, Override, Plugins


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


def submit(
    spec: Annotated[
        Path,
        typer.Argument(metavar="SPEC", help="As of `grokmap sweep`."),
    ],
    shards: Annotated[int, typer.Option(min=1, help="Parts to cut the sweep into.")],
    on: On = "local",
    gpus: Annotated[
        int | None,
        typer.Option(min=0, help="slurm, ray: GPUs of each shard [ray: 1 if any]."),
    ] = None,
    cpus: Annotated[
        int | None, typer.Option(min=1, help="slurm, ray: cores of each shard.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="ray: of the cluster [as of ray.init].")
    ] = None,
    override: Override = None,
    out: Folder = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="As of `grokmap sweep`, for each shard.")
    ] = None,
    lanes: Annotated[
        int | None, typer.Option(min=1, help="As of `grokmap sweep`.")
    ] = None,
    tile: Annotated[
        int | None, typer.Option(min=1, help="As of `grokmap sweep`.")
    ] = None,
    extend: Annotated[
        bool, typer.Option("--extend", help="As of `grokmap sweep`.")
    ] = False,
    time: Annotated[
        str | None,
        typer.Option(help="slurm: wall time, e.g. 4h; shards stop 5 minutes earlier."),
    ] = None,
    partition: Annotated[str | None, typer.Option(help="slurm: partition.")] = None,
    sbatch: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="slurm: option of sbatch; repeatable."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be started.")
    ] = False,
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Train SPEC in shards, then merge; run again to do what is missing.

    A shard that is stopped or dies goes on as long as it makes progress. Ctrl-C stops
    all in good order.
    """
    from grokmap.cli.submitting import Asked, submit_sweep
    from grokmap.spec.shipped import sweep_file

    values = {"--checkpoint": checkpoint, "--lanes": lanes, "--tile": tile}
    words = [w for k, v in values.items() if v is not None for w in (k, str(v))]
    words += ["--extend"] if extend else []
    words += [w for each in plugin or [] for w in ("--plugin", _absolute(each))]
    overrides = tuple(override or ())
    asks = {
        **{"gpus": gpus, "cpus": cpus, "time": time, "partition": partition},
        "sbatch": "\n".join(sbatch) if sbatch else None,
        "address": address,
    }
    given = {key: str(value) for key, value in asks.items() if value is not None}
    asked = Asked(sweep_file(spec), overrides, out, on, shards, tuple(words), given)
    raise typer.Exit(submit_sweep(asked, dry_run, as_json))


def _absolute(plugin: str) -> str:
    """A plugin's file by its whole path; a module by its name."""
    return str(Path(plugin).absolute()) if Path(plugin).is_file() else plugin
