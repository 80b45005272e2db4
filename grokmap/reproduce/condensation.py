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
from grokmap.engine.mean_field import neurons_of
from grokmap.reproduce.finding import OWN, Finding
from grokmap.reproduce.trained import END, Trained
from grokmap.theory.mean_field import carriers

SWEEP, DEGREE = "mean-field-condensation", 3
FEWEST = 256  # neurons from which exponents are taken
WIDER, STRONGER = 8, 2  # leave lambda N^(-1/3) as it is
# Set before the runs.
EXPONENT_WITHIN, RATIO_WITHIN = 0.1, 0.1


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Exponents in N at one weight decay; equal losses at equal lambda_eff."""
    return of_table(table_of(trained[SWEEP]))


def of_table(table: pd.DataFrame) -> list[Finding]:
    """Exponents at the least weight decay, and the collapse."""
    least = table[table["weight_decay"] == table["weight_decay"].min()]
    at = f"quadratic, weight_decay = {least['weight_decay'].iloc[0]:g}"
    loss = 2 * (2 / DEGREE - 1)  # it goes as the square of a small lambda_eff
    return [
        _exponent(f"train loss at rest, {at}", least, "train_loss", loss),
        _exponent(f"neurons that carry f, {at}", least, "carriers", 0.0),
        *_collapse(table),
    ]


def table_of(trained: Trained) -> pd.DataFrame:
    """width, weight_decay, seed, and at the last step train_loss and carriers."""
    runs = trained.runs.set_index("run_id")
    found = {
        one.run.run_id: carriers(neurons_of(one.leaves).neurons, DEGREE)
        for one in trained.weights((END,))
    }
    table = runs[["width", "weight_decay", "seed"]].assign(
        train_loss=runs["final_train_loss"], carriers=pd.Series(found)
    )
    return table.reset_index(drop=True)


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
    table = table_of(trained[SWEEP])
    series = [f"λ = {decay:g}" for decay in table["weight_decay"]]
    at_n = table.assign(x=table["width"], series=series)
    loss = "train loss at rest"
    return plot.power_laws(
        [
            plot.Scaling(loss, loss, at_n.assign(y=at_n["train_loss"]), -2 / 3),
            plot.Scaling(
                "neurons that carry f",
                "participation number",
                at_n.assign(y=at_n["carriers"]),
            ),
        ],
        "width N",
    )
