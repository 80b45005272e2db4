"""`grokmap forecast`: when runs that memorised will grok, and how well it knows."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd

from grokmap import plot, store
from grokmap.analysis import forecast
from grokmap.classify import GROK
from grokmap.cli.outputs import name_of, outputs, print_files
from grokmap.cli.results import load_runs
from grokmap.errors import ResultError
from grokmap.result.labels import criteria_with, refuse_ramps

LINES = 20  # forecasts printed


def forecast_result(
    path: Path, criteria: str, formats: str, out: Path | None, as_json: bool
) -> None:
    """Prints the score and forecasts, writes both tables, and draws the score."""
    to = outputs(path, out, formats, as_json)
    rules = criteria_with(criteria, [GROK])
    every = load_runs(path, rules)
    refuse_ramps(path, every)
    runs = forecast.candidates(every)
    trajectories, _ = store.read_trajectories(path, list(forecast.QUANTITIES))
    try:
        known = forecast.hindcasts(trajectories, runs)
        ahead = forecast.outlook(trajectories, runs)
    except ResultError as error:
        raise ResultError(f"{path}: {error}") from None
    name = file_name("forecast", rules.name)
    score_name = file_name("forecast-score", rules.name)
    file = to.table(ahead, name)
    score_file = to.table(known, score_name)
    score = forecast.score(known)
    if as_json:
        facts = {"file": name_of(file), "score_file": name_of(score_file)}
        tables = {"score": score, "forecasts": ahead}
        rows = {k: [sound(r) for r in t.to_dict("records")] for k, t in tables.items()}
        print(json.dumps(facts | rows))
    else:
        _print(score, ahead)
        print_files(file, score_file)
    figure = plot.forecast_panels(known)
    to.figure(figure, known, name)


def _print(score: pd.DataFrame, ahead: pd.DataFrame) -> None:
    print("runs whose answer is known, forecast from other cells:")
    print("  cut at        runs  in the 80% interval  error (baseline), log2")
    for row in score.itertuples():
        print(
            f"  {row.cut:<12}{row.n_runs:>6}{row.coverage:>16.0%}"
            f"{row.error:>18.2f} ({row.baseline_error:.2f})"
        )
    print(f"runs cut by their budget, when they grok if they grok at all: {len(ahead)}")
    shown = ahead.sort_values("t_grok_median").head(LINES)
    for row in shown.itertuples():
        flag = "  extrapolated" if row.extrapolated else ""
        print(
            f"  {row.run_id}  alpha {row.alpha:g}  weight_decay {row.weight_decay:.3g}"
            f"  at {row.step:.0f}: {_steps(row.t_grok_median)} "
            f"[{_steps(row.t_grok_low)}, {_steps(row.t_grok_high)}]{flag}"
        )
    if len(ahead) > LINES:
        print(f"  ... and {len(ahead) - LINES} more, later")


def _steps(value: float) -> str:
    """Four digits that count, always written out."""
    return f"{float(f'{value:.4g}'):.0f}"


def file_name(name: str, criteria: str) -> str:
    """The name of a table or figure, telling the criteria unless they are default."""
    return name if criteria == "default" else f"{name}-{criteria}"


def sound(row: dict[Any, Any]) -> dict[Any, Any]:
    """A row as JSON has it: null for what is undefined or infinite."""
    return {
        k: None if isinstance(v, float) and not math.isfinite(v) else v
        for k, v in row.items()
    }
