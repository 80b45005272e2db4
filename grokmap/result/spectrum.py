"""The singular values of one matrix of a run, and of its motion, along training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from grokmap import plot
from grokmap.classify import GROK
from grokmap.errors import SpecError, short
from grokmap.result.caption import caption
from grokmap.result.drawing import Drawing
from grokmap.result.moments import RunTimes, moment_of, step_at
from grokmap.result.result import Result
from grokmap.spec.names import nearest
from grokmap.theory import spiked

if TYPE_CHECKING:  # it loads jax, and a figure of known spectra need not
    from grokmap.engine.restored import Reached

MOMENTS = (0, "t_mem", "t_grok", "end")
WEIGHTS, MOTION = "W", "W - W_0"


class Spectrum(NamedTuple):
    """One matrix along one run.

    table: moment, step, matrix (W, W - W_0), rank, value (singular values, descending),
    sigma (noise level by the median), edge (that noise's largest value and a margin),
    outlier (beyond it), strength (of the spike that stands there in such noise,
    `theory.spiked.strength`; NaN inside the bulk).
    """

    run_id: str
    matrix: str
    shape: tuple[int, ...]
    table: pd.DataFrame
    caption: str = ""


def typical(result: Result) -> str:
    """The id of the grokked run of median t_grok, or the first that is done.

    Raises:
      ResultError: nothing is done.
    """
    runs = result.labelled()
    grokked = runs[runs["phase"] == GROK].sort_values("t_grok", kind="stable")
    row = runs.iloc[0] if grokked.empty else grokked.iloc[(len(grokked) - 1) // 2]
    return str(row["run_id"])


def moments_of(
    result: Result, run_id: str, moments: Sequence[int | str] = MOMENTS
) -> dict[str, int]:
    """Steps by moment, in order. Of the usual ones those that the run has.

    Raises:
      SpecError: a moment that was asked for and that the run has not.
    """
    if tuple(moments) != MOMENTS:
        steps = {str(at): step_at(result.path, run_id, at) for at in moments}
    else:
        runs = result.labelled().set_index("run_id").loc[run_id]
        times = RunTimes(runs["t_mem"], runs["t_grok"], runs["n_steps"])
        known = {str(at): moment_of(times, at) for at in moments}
        steps = {at: step for at, step in known.items() if step is not None}
    return dict(sorted(steps.items(), key=lambda pair: pair[1]))


def find(
    result: Result,
    reached: Sequence[Reached],
    moments: dict[str, int],
    matrix: str = "first",
) -> Spectrum:
    """Spectra of a matrix W_t and of W_t - W_0 at each moment.

    Args:
      reached: the run at step 0 and at each moment, as `session.gradients.reached_at`
        gives it; moments: as of `moments_of`; matrix: the name of an array.

    Raises:
      SpecError: the network has no such matrix.
    """
    leaves = {one.step: one.leaves for one in reached}
    run_id = reached[0].run.run_id
    start = _matrix(leaves[0], matrix)
    parts = []
    for moment, step in moments.items():
        now = _matrix(leaves[step], matrix)
        for name, values in ((WEIGHTS, now), (MOTION, now - start)):
            facts = {"moment": moment, "step": step, "matrix": name}
            if values.any():
                parts.append(spectrum_of(values).assign(**facts))
    runs = result.labelled()
    words = caption(result, runs[runs["run_id"] == run_id])
    table = pd.concat(parts, ignore_index=True)
    front = ["moment", "step", "matrix"]
    table = table[front + [key for key in table if key not in front]]
    return Spectrum(run_id, matrix, start.shape, table, words)


def spectrum_of(matrix: npt.NDArray[Any]) -> pd.DataFrame:
    """rank, value, sigma, edge, outlier, strength of a matrix other than 0.

    Columns as of `Spectrum`.
    """
    values = np.linalg.svd(np.asarray(matrix, np.float64), compute_uv=False)
    sigma = spiked.noise_level(values, matrix.shape)
    edge = sigma * np.sqrt(spiked.largest_power(matrix.shape))
    strength = spiked.strength(values, matrix.shape, sigma)
    return pd.DataFrame(
        {
            "rank": np.arange(1, len(values) + 1),
            "value": values,
            "sigma": sigma,
            "edge": edge,
            "outlier": values > edge,
            "strength": np.where(values > edge, strength, np.nan),
        }
    )


def _matrix(leaves: dict[str, npt.NDArray[Any]], name: str) -> npt.NDArray[Any]:
    matrices = [key for key, leaf in leaves.items() if leaf.ndim == 2]
    if name not in matrices:
        raise SpecError(f"--matrix {short(name)!r}; {nearest(name, matrices)}")
    return leaves[name]


def summary(spectrum: Spectrum) -> pd.DataFrame:
    """moment, step, matrix, outliers, top (largest value over the edge), strength (of
    its spike over the threshold sigma (m n)^(1/4)); one row a matrix and moment."""
    rows = []
    keys = ["moment", "step", "matrix"]
    for key, part in spectrum.table.groupby(keys, sort=False):
        first = part.iloc[0]
        level = spiked.threshold(spectrum.shape, float(first["sigma"]))
        found = {
            "outliers": int(part["outlier"].sum()),
            "top": first["value"] / first["edge"],
            "strength": first["strength"] / level,
        }
        rows.append(dict(zip(keys, key, strict=True)) | found)
    return pd.DataFrame(rows)


def draw(spectrum: Spectrum, look: plot.Look = plot.PAPER) -> Drawing:
    """A row of panels for W and one for W - W_0, a column a moment."""
    table = spectrum.table
    moments = list(dict.fromkeys(zip(table["moment"], table["step"], strict=True)))
    panels = [
        _panel(spectrum, str(moment), int(step), matrix)
        for matrix in (WEIGHTS, MOTION)
        for moment, step in moments
    ]
    words = f"run {spectrum.run_id}, matrix {spectrum.matrix}"
    made = plot.spectrum_panels(
        panels, len(moments), look, f"{words}; {spectrum.caption}"
    )
    return Drawing(made, table)


def _panel(
    spectrum: Spectrum, moment: str, step: int, matrix: str
) -> plot.SpectrumPanel:
    table = spectrum.table
    own = table[(table["step"] == step) & (table["matrix"] == matrix)]
    own = own[own["moment"] == moment]
    when = "step" if moment.isdigit() else plot.TIMES.get(moment, moment)
    title = f"${matrix.replace(' - ', '-')}$, {when} {step}"
    if own.empty:
        nothing = np.empty(0)
        return plot.SpectrumPanel(title, nothing, nothing, nothing, 1.0)
    sigma, edge = float(own["sigma"].iloc[0]), float(own["edge"].iloc[0])
    x = np.linspace(*spiked.bulk(spectrum.shape, sigma), 200)
    density = spiked.density(x, spectrum.shape, sigma)
    return plot.SpectrumPanel(title, own["value"].to_numpy(), x, density, edge)
