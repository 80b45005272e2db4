"""`grokmap forecast`: when runs that memorised will grok, and how well it knows."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from grokmap.analysis.systems import ALL, coordinate
from grokmap.classify import read_criteria
from grokmap.cli.events import json_rows
from grokmap.cli.opened import EVERYWHERE, open_result
from grokmap.cli.options import Figures
from grokmap.cli.outputs import file_name, name_of, outputs, print_files
from grokmap.cli.places import Where
from grokmap.result.forecast import Forecast, draw, find

LINES = 20  # forecasts printed


def forecast_result(
    path: Path,
    criteria: str,
    figures: Figures,
    out: Path | None,
    as_json: bool,
    where: Where = EVERYWHERE,
) -> None:
    """Prints the score and forecasts, writes both tables, and draws the score."""
    to = outputs(path, out, figures, as_json)
    rules = read_criteria(criteria)
    result = open_result(path, where)
    forecast = find(result, rules)
    name, scored = (
        file_name(name, rules, result.place) for name in ("forecast", "forecast-score")
    )
    file = to.table(forecast.table, name)
    score_file = to.table(forecast.hindcasts, scored)
    if as_json:
        facts = {"file": name_of(file), "score_file": name_of(score_file)}
        tables = {"score": forecast.score, "forecasts": forecast.table}
        print(json.dumps(facts | {k: json_rows(v) for k, v in tables.items()}))
    else:
        _print_score(forecast.score)
        _print_forecasts(forecast)
        print_files(file, score_file)
    drawing = draw(forecast, to.look)
    to.figure(drawing.figure, drawing.data, name)


def _print_score(score: pd.DataFrame) -> None:
    print("runs whose answer is known, forecast from other cells:")
    print("  cut at        runs  in the 80% interval  error (baseline), log2")
    for system, rows in score.groupby("system", sort=False):
        if system != ALL:
            print(f"  {system}:")
        for row in rows.itertuples():
            print(
                f"  {row.cut:<12}{row.n_runs:>6}{row.coverage:>16.0%}"
                f"{row.error:>18.2f} ({row.baseline_error:.2f})"
            )


def _print_forecasts(forecast: Forecast) -> None:
    ahead = forecast.table
    print(f"runs cut by their budget, when they grok if they grok at all: {len(ahead)}")
    shown = ahead.sort_values("t_grok_median").head(LINES)
    places = shown.assign(**{k: coordinate(shown, k) for k in forecast.axes})
    for place, row in zip(
        places[forecast.axes].to_dict("records"), shown.itertuples(), strict=True
    ):
        where = "".join(f"  {k} {_short(v)}" for k, v in place.items() if pd.notna(v))
        flag = "  extrapolated" if row.extrapolated else ""
        print(
            f"  {row.run_id}{where}  at {row.step:.0f}: {_steps(row.t_grok_median)} "
            f"[{_steps(row.t_grok_low)}, {_steps(row.t_grok_high)}]{flag}"
        )
    if len(ahead) > LINES:
        print(f"  ... and {len(ahead) - LINES} more, later")


def _steps(value: float) -> str:
    """Four significant digits, never in scientific notation."""
    return f"{float(f'{value:.4g}'):.0f}"


def _short(value: object) -> str:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return f"{value:.6g}" if is_number else str(value)
