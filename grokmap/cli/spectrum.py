"""`grokmap spectrum`: singular values of a matrix along a run."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from grokmap.cli.doctor import start_jax
from grokmap.cli.events import json_rows
from grokmap.cli.opened import open_result, say
from grokmap.cli.options import Figures
from grokmap.cli.outputs import name_of, outputs, print_files
from grokmap.cli.results import find_run
from grokmap.errors import SpecError
from grokmap.result.spectrum import draw, find, moments_of, summary, typical
from grokmap.session.gradients import reached_at
from grokmap.spec.moments import moments


def show_spectrum(
    path: Path,
    run: str | None,
    at: str,
    matrix: str,
    figures: Figures,
    out: Path | None,
    as_json: bool,
) -> None:
    """Prints outliers by moment, writes all singular values, and draws them."""
    to = outputs(path, out, figures, as_json)
    try:
        wanted = moments(at)
    except ValueError as error:
        raise SpecError(f"--at: {error}") from None
    result = open_result(path)
    run_id = typical(result) if run is None else find_run(path, run)
    steps = moments_of(result, run_id, wanted)
    start_jax()
    reached = reached_at(path, {run_id: {0, *steps.values()}}, say)
    spectrum = find(result, reached, steps, matrix)
    name = "spectrum" if matrix == "first" else f"spectrum-{matrix}"
    file = to.table(spectrum.table, name)
    rows = summary(spectrum)
    if as_json:
        facts = {"file": name_of(file), "run_id": run_id, "matrix": matrix}
        print(json.dumps(facts | {"shape": spectrum.shape, "moments": json_rows(rows)}))
    else:
        shape = " by ".join(map(str, spectrum.shape))
        print(f"run {run_id}, {matrix} ({shape})")
        _print_rows(rows)
        print_files(file)
    drawing = draw(spectrum, to.look)
    to.figure(drawing.figure, drawing.data, name)


def _print_rows(rows: pd.DataFrame) -> None:
    for matrix, part in rows.groupby("matrix", sort=False):
        print(f"{matrix}:")
        for row in part.to_dict("records"):
            spike = ""
            if row["outliers"]:
                spike = f", its spike {row['strength']:.2f} times the threshold"
            print(
                f"  {row['moment']:<8} step {row['step']:<8} {row['outliers']:>3} "
                f"outliers, the largest value at {row['top']:.2f} of the edge{spike}"
            )
