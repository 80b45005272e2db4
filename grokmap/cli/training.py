"""The commands that train: sweep, refine, weights, reproduce."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grokmap.cli.options import (
    ONE_RUN,
    At,
    Folder,
    Json,
    On,
    Override,
    Plugins,
    Result,
    Rules,
    Shards,
    TimeBudget,
)

SPEC = (
    "Sweep file (TOML), result folder to go on with, or, where nothing here is called "
    "so, the name of a shipped sweep (see `grokmap sweeps`)."
)


def sweep(
    spec: Annotated[
        Path,
        typer.Argument(metavar="SPEC", help=SPEC),
    ],
    override: Override = None,
    out: Folder = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")
    ] = False,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            help="With --dry-run: a card that need not be here (a100, h100, h200, l4).",
        ),
    ] = None,
    time_budget: TimeBudget = None,
    checkpoint: Annotated[
        str,
        typer.Option(
            help="Time between checkpoints of the runs in training: 30s, 2m, inf."
        ),
    ] = "2m",
    lanes: Annotated[
        int | None, typer.Option(min=1, help="Runs trained together [chosen].")
    ] = None,
    tile: Annotated[
        int | None, typer.Option(min=1, help="Examples per gradient tile [chosen].")
    ] = None,
    extend: Annotated[
        bool,
        typer.Option("--extend", help="Allow a larger budget; go on with cut runs."),
    ] = False,
    keep_going: Annotated[
        bool,
        typer.Option(help="After a run fails, train the others (exit 3 at the end)."),
    ] = True,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="k/K",
            help="Only part k of K, in shards/ of the result folder; see `merge`.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print events as lines of JSON.")
    ] = False,
    plugin: Plugins = None,
) -> None:
    """Train every run of SPEC; run again to do what is missing."""
    from grokmap.cli.dry_run import dry_run_sweep
    from grokmap.cli.sweep import Given, options_of, run_sweep
    from grokmap.errors import SpecError
    from grokmap.spec.shard import read_shard
    from grokmap.spec.shipped import sweep_file

    options = options_of(
        time_budget,
        checkpoint,
        lanes=lanes,
        tile=tile,
        extend=extend,
        keep_going=keep_going,
        shard=None if shard is None else read_shard(shard),
    )
    given = Given(sweep_file(spec), tuple(override or ()), out, options, as_json)
    if target:
        from grokmap.cli.on_card import dry_run_on

        if not dry_run:
            raise SpecError("--target: goes with --dry-run: nothing runs on it")
        raise typer.Exit(dry_run_on(given, target))
    raise typer.Exit(dry_run_sweep(given) if dry_run else run_sweep(given))


def refine(
    result: Result,
    over: Annotated[
        str | None,
        typer.Option(
            help="Comma-separated axes, --x among them: place its edges over all of "
            "them at once, by a model of all runs [in rows of --y]."
        ),
    ] = None,
    precision: Annotated[
        float,
        typer.Option(
            help="Half-width of each edge's 95% interval, with --over of half of them "
            "(decades if log)."
        ),
    ] = 0.08,
    max_runs: Annotated[int, typer.Option(help="Runs beside the grid, at most.")] = 500,
    x: Annotated[str, typer.Option(help="Axis the edges are on.")] = "weight_decay",
    y: Annotated[str, typer.Option(help="Axis of the rows.")] = "alpha",
    at: At = None,
    y_precision: Annotated[
        float | None, typer.Option(help="Closest distance of rows [its span / 24].")
    ] = None,
    criteria: Rules = "default",
    batch: Annotated[
        int | None,
        typer.Option(
            min=1, help="Runs a round, about [the lanes; with --over 4 to 64]."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the next round; train nothing.")
    ] = False,
    time_budget: TimeBudget = None,
    shards: Shards = 0,
    on: On = "local",
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Train where the edges of the wedge are uncertain, until they are known."""
    from grokmap.cli.places import read_names, read_where
    from grokmap.cli.refine import refine_result
    from grokmap.cli.sweep import Given, options_of
    from grokmap.result.refine import Wanted

    given = Given(result, (), result, options_of(time_budget), as_json)
    place = read_where(at).at
    limits = (precision, y_precision, max_runs, criteria, batch)
    wanted = Wanted(x, y, *limits, place, read_names(over))
    raise typer.Exit(refine_result(given, wanted, dry_run, on, shards))


def weights(
    result: Result,
    run: Annotated[str, typer.Argument(metavar="RUN", help=ONE_RUN)],
    at: Annotated[
        str, typer.Option(help="Comma-separated: t_mem, t_grok, end, or steps.")
    ] = "t_grok",
    as_json: Json = False,
    plugin: Plugins = None,
) -> None:
    """Train RUN again and keep its weights in RESULT, as safetensors."""
    from grokmap.cli.weights import keep_weights

    keep_weights(result, run, at, as_json)


def reproduce(
    name: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Of the list; without one, the list."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All that need no GPU, or all where one is.")
    ] = False,
    max_cost: Annotated[
        str | None,
        typer.Option(
            help="The cheapest that fit together in e.g. 30min; names the rest."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="Folder of what is trained and found.")
    ] = Path("results/reproduce"),
    time_budget: TimeBudget = None,
    shards: Shards = 0,
    on: On = "local",
    as_json: Json = False,
) -> None:
    """Published results against ours: trains what is missing, prints verdicts.

    Without a name it lists the reproductions, their cost and their last verdict.

    Exit code 0 if all were compared, whatever the verdicts; 3 if runs or comparisons
    failed.
    """
    if name or every:
        from grokmap.cli.reproduce import Wanted, reproduce_results

        names = tuple(name or ())
        more = (time_budget, as_json, on, shards)
        raise typer.Exit(reproduce_results(Wanted(names, every, max_cost, out, *more)))
    from grokmap.cli.comparisons import list_reproductions

    list_reproductions(out, max_cost or time_budget, as_json)
