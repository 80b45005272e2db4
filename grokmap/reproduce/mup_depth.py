"""Depth in the maximal-update parameterisation: which phases there are at one to four
hidden layers, and whether layers learn one after another.

The survey asks (open question "Depth") whether deeper networks have phases of their
own, such as hierarchical grokking at different layers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokmap.analysis.series import Series, log_time, series
from grokmap.analysis.statistics import student_interval
from grokmap.arrays import Floats
from grokmap.classify import GROK, MEMORIZE_ONLY, NO_LEARNING
from grokmap.plot import LayerPanel, layer_times
from grokmap.reproduce.finding import OWN, WORDS, Finding, median
from grokmap.reproduce.reproduction import Reproduction
from grokmap.reproduce.trained import Trained

PLANE, LAYERS = "mup-depth", "mup-layers"
DEPTHS = (1, 2, 3, 4)
PHASES = (NO_LEARNING, MEMORIZE_ONLY, GROK)
LEAST_RUNS = 6  # without so many no interval is stated
# Set before the runs: a median t_grok r within this factor of that of one layer.
FACTOR = 3.0


def half_time(curve: Series) -> float:
    """First step at which half of the whole change of a quantity is made, between
    records linear in log time. NaN where it does not change."""
    change = curve.value[-1] - curve.value[0]
    if not np.isfinite(change) or change == 0:
        return float("nan")
    share = (curve.value - curve.value[0]) / change
    i = int(np.argmax(share >= 0.5))
    part = (0.5 - share[i - 1]) / (share[i] - share[i - 1])
    low, high = log_time(curve.step[i - 1]), log_time(curve.step[i])
    return float(np.exp(low + part * (high - low)))


def half_times(trained: Trained, depth: int) -> pd.DataFrame:
    """[seed] a column for each hidden layer, 1, 2, .. (by its alignment with the
    labels), and t_mem and t_grok, of the runs of one depth that grok."""
    runs = trained.runs
    runs = runs[(runs["depth"] == depth) & runs["t_grok"].notna()]
    runs = runs.set_index("run_id")
    records = trained.trajectories
    records = records[records["run_id"].isin(runs.index)]
    columns = {
        layer: {
            run: half_time(curve)
            for run, curve in series(records, f"layer_alignment_{layer}")
        }
        for layer in range(1, depth + 1)
    }
    table = pd.DataFrame(columns, index=runs.index).astype(float)
    return table.assign(
        t_mem=runs["t_mem"].astype(float), t_grok=runs["t_grok"].astype(float)
    )


def ratio_interval(ratios: Floats) -> tuple[float, float, float]:
    """(geometric mean, low, high) at 95%, by Student's t of the logarithms."""
    mean, low, high = (float(np.exp(x)) for x in student_interval(np.log(ratios)))
    return mean, low, high


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Phases, the largest decay that learns and t_grok r by depth; order of layers."""
    plane = trained[PLANE].runs
    return [
        *(_phases(plane, depth) for depth in DEPTHS),
        _largest_decay(plane),
        *(_time(plane, depth) for depth in DEPTHS[1:]),
        *(_order(trained[LAYERS], depth) for depth in DEPTHS[1:]),
    ]


def _phases(plane: pd.DataFrame, depth: int) -> Finding:
    own = plane[plane["depth"] == depth]
    counts = own["phase"].value_counts().reindex(PHASES, fill_value=0)
    said = ", ".join(f"{phase} {n}" for phase, n in counts.items())
    return Finding(
        f"phases in the plane of alpha and lambda, hidden layers: {depth}",
        "new phases (asked)" if depth > 1 else "all three",
        WORDS if depth > 1 else OWN,
        "no-learning and grok are both there",
        said,
        f"{int(own['censored'].sum())} of {len(own)} censored",
        bool(counts[NO_LEARNING] > 0 and counts[GROK] > 0),
    )


def _largest_decay(plane: pd.DataFrame) -> Finding:
    """The largest lambda of the grid at which most runs memorise, at alpha = 0."""
    own = plane[plane["alpha"] == 0]
    share = own["t_mem"].notna().groupby([own["depth"], own["weight_decay"]]).mean()
    learns = share[share > 0.5].reset_index()
    largest = learns.groupby("depth")["weight_decay"].max().reindex(DEPTHS)
    values = [float(x) for x in largest]
    return Finding(
        "largest lambda at which most runs memorise, alpha = 0, by depth",
        "falls with depth",
        OWN,
        "no rise from one layer to four",
        ", ".join(f"{x:.2g}" for x in values),
        "",
        bool(values[-1] <= values[0]),
    )


def _time(plane: pd.DataFrame, depth: int) -> Finding:
    """Over the places of the plane where runs of one layer and of `depth` both grok."""
    grokked = plane[plane["t_grok"].notna()]
    scaled = grokked["t_grok"].astype(float) * grokked["decay_rate"]
    keys = ["alpha", "weight_decay", "seed"]
    table = grokked.assign(s=scaled).pivot(index=keys, columns="depth", values="s")
    both = table.reindex(columns=list(DEPTHS))[[1, depth]].dropna()
    ratio = median(both[depth] / both[1])
    return Finding(
        f"t_grok at {depth} hidden layers over that at one, same place and seed",
        "the same clock, 1/r",
        OWN,
        f"median within a factor of {FACTOR:g}",
        f"{ratio:.3g}",
        f"{len(both)} pairs; t_grok r {median(both[1]):.2g} and "
        f"{median(both[depth]):.2g} (medians)",
        bool(1 / FACTOR <= ratio <= FACTOR),
    )


def _order(trained: Trained, depth: int) -> Finding:
    times = half_times(trained, depth).dropna()
    name = f"half-time of layer 1 over that of layer {depth}, hidden layers: {depth}"
    published = "layers grok one after another (asked)"
    tolerance = "95% interval without 1"
    if len(times) < LEAST_RUNS:
        few = f"{len(times)} runs that grok: no interval"
        return Finding(name, published, WORDS, tolerance, "-", few, False)
    ratio, low, high = ratio_interval((times[1] / times[depth]).to_numpy(float))
    each = ", ".join(f"{times[layer].median():.0f}" for layer in range(1, depth + 1))
    return Finding(
        name,
        published,
        WORDS,
        tolerance,
        f"{ratio:.3g}",
        f"95% interval {low:.2f} to {high:.2f}, {len(times)} runs; medians by layer "
        f"{each}; t_mem {times['t_mem'].median():.0f}, t_grok "
        f"{times['t_grok'].median():.0f}",
        not low <= 1 <= high,
    )


def figure(trained: Mapping[str, Trained]) -> Figure:
    """Half-times of layers at each depth, beside t_mem and t_grok."""
    panels = []
    for depth in DEPTHS:
        times = half_times(trained[LAYERS], depth).dropna()
        rows = []
        for name in times.columns:
            values = times[name].to_numpy(float)
            enough = len(values) >= LEAST_RUNS
            rows.append((str(name), *_three(values, enough)))
        columns = ["name", "time", "low", "high"]
        title = f"hidden layers: {depth}; {len(times)} of 8 runs"
        panels.append(LayerPanel(title, pd.DataFrame(rows, columns=columns)))
    return layer_times(panels)


def _three(values: Floats, enough: bool) -> tuple[float, float, float]:
    if enough:
        return ratio_interval(values)
    middle = float(np.median(values)) if len(values) else float("nan")
    return middle, float("nan"), float("nan")


REPRODUCTIONS: dict[str, Reproduction] = {
    "mup-depth": Reproduction(
        reference="Grokking as a Phase Transition in Neural Networks (2026), open "
        "question on depth",
        claim="Depth may add phases: hierarchical grokking at different layers.",
        setting="ours: a + b mod 13, 80% of the pairs, one to four hidden layers of 64 "
        "relu neurons, maximal update, mse, AdamW 0.1; 3 alphas, 4 lambdas, 2 seeds; "
        "layers at alpha = 0.3, lambda = 0.06, 8 seeds",
        compare=compare,
        cpu_s=240,
        sweeps=(LAYERS, PLANE),
        explained="no run of four layers groks on the plane within 3,000 steps (16 of "
        "24 are censored: cut short or still moving), and 3 of 8 at the place of the "
        "layers. In five times longer runs 4 of 12 grok, after 26 to 115 decay times "
        "(docs/theory.md); other learning rates were not tried.",
        figure=figure,
    ),
}
