"""Where the mean-field limit ends: neurons of degree 3 under weight decay.

For a sigma(w.x) homogeneous of degree L in (a, w), let k of N neurons be other than 0
and theta = (N/K)^(1/L) theta'. Then f = sum_{j <= k} a'_j sigma(w'_j.x) and

    F = L(f) + (lambda_eff / 2) |theta'|^2,  lambda_eff = lambda N^(2/L - 1) K^(-2/L),

without N otherwise. For L = 2 (relu) N has left: lambda_eff = lambda / K. For L = 3
(quadratic neurons) a few neurons of size N^(1/3) do with a decay of N^(-1/3) of that
which all neurons of size O(1) would pay, and training finds them: the mean over neurons
is then carried by a number of them that does not grow, so that no law of large numbers
holds and the long-time limit at fixed lambda is that without decay.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.analysis.statistics import student_interval
from grokmap.arrays import Floats
from grokmap.reproduce.finding import OWN, Finding
from grokmap.reproduce.mean_field import SWEEP as RELU
from grokmap.reproduce.mean_field import neurons_of
from grokmap.reproduce.reproduction import Reproduction
from grokmap.reproduce.trained import Trained
from grokmap.theory.mean_field import Neurons

SWEEP, DEGREE = "mean-field-condensation", 3
FEWEST = 256  # neurons from which exponents are taken
WIDER, STRONGER = 8, 2  # leave lambda N^(-1/3) as it is
# Set before the runs.
EXPONENT_WITHIN, RATIO_WITHIN = 0.1, 0.1


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Exponents in N at one weight decay; equal losses at equal lambda_eff."""
    quadratic = table_of(trained[SWEEP], DEGREE)
    relu = table_of(trained[RELU], 2)
    loss = 2 * (2 / DEGREE - 1)
    least = quadratic[quadratic["weight_decay"] == quadratic["weight_decay"].min()]
    at = f"weight_decay = {least['weight_decay'].iloc[0]:g}"
    return [
        _exponent(f"train loss at rest, quadratic, {at}", least, "train_loss", loss),
        _exponent(f"neurons that carry f, quadratic, {at}", least, "carriers", 0.0),
        _exponent("neurons that carry f, relu", relu, "carriers", 1.0),
        *_collapse(quadratic),
    ]


def table_of(trained: Trained, degree: int) -> pd.DataFrame:
    """width, weight_decay, seed, and at the last step train_loss and carriers."""
    runs = trained.runs.set_index("run_id")
    last = {run_id: (int(step),) for run_id, step in runs["n_steps"].items()}
    found = {
        one.run.run_id: carriers(neurons_of(one.leaves).neurons, degree)
        for one in trained.weights(last)
    }
    table = runs[["width", "weight_decay", "seed"]].assign(
        train_loss=runs["final_train_loss"], carriers=pd.Series(found)
    )
    return table.reset_index(drop=True)


def carriers(neurons: Neurons, degree: int) -> float:
    """Participation number (sum c)^2 / sum c^2 of c_j = |a_j| |w_j|^(L - 1), in [1, N]:
    N where all neurons carry as much of f, k where k do."""
    c = np.linalg.norm(neurons.readout, axis=1)
    c = c * np.linalg.norm(neurons.first, axis=1) ** (degree - 1)
    return float(np.sum(c) ** 2 / np.sum(c**2))


def _exponent(
    quantity: str, table: pd.DataFrame, column: str, expected: float
) -> Finding:
    """d ln y / d ln N, the mean over seeds."""
    wide = table[table["width"] >= FEWEST]
    values = wide.pivot(index="width", columns="seed", values=column)
    slopes = np.polyfit(np.log(values.index), np.log(values), 1)[0]
    mean, low, high = student_interval(slopes)
    return Finding(
        f"{quantity}: exponent in N, from N = {FEWEST}",
        f"{expected:.3g}",
        OWN,
        f"± {EXPONENT_WITHIN:g}",
        f"{mean:.3f}",
        f"95%: {low:.3f} to {high:.3f}",
        bool(abs(mean - expected) <= EXPONENT_WITHIN),
    )


def _collapse(table: pd.DataFrame) -> list[Finding]:
    """Train losses at (8 N, 2 lambda) over those at (N, lambda), equal lambda_eff."""
    by_place = table.set_index(["width", "weight_decay", "seed"])["train_loss"]
    findings = []
    for width, decay in by_place.index.droplevel("seed").unique():
        other = WIDER * width, STRONGER * decay
        if other not in by_place.index.droplevel("seed"):
            continue
        ratio: Floats = (by_place[other] / by_place[width, decay]).to_numpy()
        mean, low, high = student_interval(ratio)
        findings.append(
            Finding(
                f"train loss at rest, (N, lambda) = ({other[0]}, {other[1]:g}) over "
                f"({width}, {decay:g})",
                "1",
                OWN,
                f"± {RATIO_WITHIN:g}",
                f"{mean:.3f}",
                f"95%: {low:.3f} to {high:.3f}",
                bool(abs(mean - 1) <= RATIO_WITHIN),
            )
        )
    return findings


def figure(trained: Mapping[str, Trained]) -> Figure:
    """Losses at rest and the neurons that carry f, against N."""
    quadratic = table_of(trained[SWEEP], DEGREE)
    relu = table_of(trained[RELU], 2).assign(series="relu")
    quadratic = quadratic.assign(
        series=[f"quadratic, λ = {decay:g}" for decay in quadratic["weight_decay"]]
    )
    at_n = quadratic.assign(x=quadratic["width"])
    loss = "train loss at rest"
    return plot.power_laws(
        [
            plot.Scaling(loss, loss, at_n.assign(y=at_n["train_loss"]), -2 / 3),
            plot.Scaling(
                "neurons that carry f",
                "participation number",
                pd.concat([at_n, relu.assign(x=relu["width"])]).assign(
                    y=lambda table: table["carriers"]
                ),
            ),
        ],
        "width N",
    )


REPRODUCTIONS: dict[str, Reproduction] = {
    "mean-field-condensation": Reproduction(
        reference="this package, 2026: no limit at fixed weight decay for neurons of "
        "degree 3",
        claim="Under weight decay the outputs of a quadratic network at alpha = 0 come "
        "to be carried by a number of neurons that does not grow with N, and its loss "
        "depends on lambda N^(-1/3); relu neurons share the work.",
        setting="p = 11, 75% (relu: 85%) of the pairs, K = 1, heavy-ball gd, N = 64 to "
        "1024 (relu: 8192), 6 seeds",
        compare=compare,
        cpu_s=120,
        sweeps=(SWEEP, RELU),
        figure=figure,
    ),
}
