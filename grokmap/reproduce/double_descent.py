"""Double descent over examples, neurons and time: a linear teacher with noisy labels.

Over the number of examples the student is linear and all is known in closed form
(`theory.ridgeless`), run by run. Over the number of neurons it has one hidden layer of
relu, whose N (d + 1) weights can fit n examples from about N = n / (d + 1) on.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.analysis.statistics import student_interval
from grokmap.arrays import Floats
from grokmap.engine.restored import network_of
from grokmap.reproduce.finding import NUMBER, RECOMPUTED, WORDS, Finding
from grokmap.reproduce.trained import Trained
from grokmap.theory import ridgeless

EXAMPLES, WIDTHS = "descent-examples", "descent-width"
NEAR = 10  # |n - d| from which the mean over draws has a variance to speak of
# Set before the runs. That second falls are counted by run, and that descent is plain,
# was decided once the first had shown medians over seeds, and momentum, to fall twice.
ERRORS_WITHIN, EXACT_WITHIN, FACTOR = 3.0, 0.01, 1.5
FALL_WITHIN = 0.1  # of the lowest losses, by which a later one may lie above
TIMES = (20, 40, 160)  # n whose losses along time are drawn


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """Over n against closed forms, over N by where the peak is, and along time."""
    examples, widths = trained[EXAMPLES], trained[WIDTHS]
    by_n, by_width = of_examples(examples), of_widths(widths)
    return [
        *_risks(by_n, examples),
        _peak_at_d(by_n),
        _exact(examples),
        *_peaks(by_width),
        _second_falls(examples, "n", by_n),
        _second_falls(widths, "N", by_width),
        _lowest(by_n, "n"),
        _lowest(by_width[by_width["alpha"] == 0], "N, alpha = 0"),
        _lowest(by_width[by_width["alpha"] > 0], "N, alpha = 1"),
    ]


def of_examples(trained: Trained) -> pd.DataFrame:
    """run_id, size (n), seed, end, low: test loss at the end, and its lowest."""
    runs = trained.runs
    n = (runs["train_fraction"] * runs["n_examples"]).round().astype(int)
    return _ends(trained, n, runs["n_inputs"])


def of_widths(trained: Trained) -> pd.DataFrame:
    """The same with size N and alpha; peak: n / (d + 1)."""
    runs = trained.runs
    n = runs["train_fraction"] * runs["n_examples"]
    return _ends(trained, runs["width"], n / (runs["n_inputs"] + 1))


def _ends(trained: Trained, size: pd.Series, peak: pd.Series) -> pd.DataFrame:
    lowest = trained.trajectories.groupby("run_id")["test_loss"].min()
    runs = trained.runs.assign(
        size=size, peak=peak, end=trained.runs["final_test_loss"]
    )
    runs["low"] = runs["run_id"].map(lowest)
    return runs[["run_id", "size", "peak", "alpha", "seed", "end", "low"]]


def _risks(by_n: pd.DataFrame, trained: Trained) -> list[Finding]:
    d = int(trained.runs["n_inputs"].iloc[0])
    sigma = float(trained.runs["label_noise"].iloc[0])
    findings = []
    for n, own in by_n.groupby("size"):
        size = int(str(n))
        if abs(size - d) < NEAR:
            continue
        mean, low, high = student_interval(own["end"].to_numpy(float))
        error = own["end"].std(ddof=1) / len(own) ** 0.5
        expected = ridgeless.risk(size, d, sigma)
        findings.append(
            Finding(
                f"test loss at rest, d = {d}, n = {size}",
                f"{expected:.3g}",
                NUMBER,
                f"± {ERRORS_WITHIN:g} standard errors of the mean",
                f"{mean:.3f}",
                f"95%: {low:.3f} to {high:.3f}, {len(own)} seeds",
                bool(abs(mean - expected) <= ERRORS_WITHIN * error),
            )
        )
    return findings


def _peak_at_d(by_n: pd.DataFrame) -> Finding:
    medians = by_n.groupby("size")["end"].median()
    d = int(by_n["peak"].iloc[0])
    return Finding(
        "n with the largest median test loss at the end",
        f"{d} (n = d)",
        NUMBER,
        "that of the grid",
        f"{medians.idxmax()}",
        f"median there {medians.max():.1f}",
        bool(medians.idxmax() == d),
    )


def predicted(trained: Trained) -> pd.DataFrame:
    """run_id, step, test_loss recorded, and exact: that of descent in float64 on the
    run's own examples."""
    tables = []
    for one in trained.weights((0,)):
        network = network_of(one.run, one.leaves)
        # f = W.x / sqrt(d), and descent is of W.
        x = network.inputs.astype(np.float64) / np.sqrt(network.inputs.shape[1])
        y, train = network.labels[:, 0].astype(np.float64), network.train
        own = trained.trajectories[trained.trajectories["run_id"] == one.run.run_id]
        own = own[["run_id", "step", "test_loss"]].sort_values("step")
        rate, steps = one.run.control.learning_rate, own["step"].to_numpy(float)
        losses = ridgeless.losses_at(
            x[train], y[train], x[~train], y[~train], rate, steps
        )
        tables.append(own.assign(exact=losses))
    return pd.concat(tables, ignore_index=True)


def _exact(trained: Trained) -> Finding:
    table = predicted(trained)
    errors = (table["test_loss"] / table["exact"] - 1).abs()
    return Finding(
        "largest error of a recorded test loss from descent on the run's own examples, "
        "all runs and records (relative)",
        "0",
        RECOMPUTED,
        f"<= {EXACT_WITHIN:g}",
        f"{errors.max():.2g}",
        f"{len(errors)} records of {table['run_id'].nunique()} runs",
        bool(errors.max() <= EXACT_WITHIN),
    )


def _peaks(by_width: pd.DataFrame) -> list[Finding]:
    findings = []
    for alpha, own in by_width.groupby("alpha"):
        medians, expected = own.groupby("size")["end"].median(), own["peak"].iloc[0]
        width = int(medians.idxmax())
        ends = medians.iloc[[0, -1]].to_numpy()
        findings.append(
            Finding(
                f"N with the largest median test loss at the end, alpha = {alpha:g}",
                f"{expected:.1f} (as many weights as examples)",
                WORDS,
                f"a factor {FACTOR:g}, and both ends of the grid below",
                f"{width}",
                f"{ends[0]:.2f}, {medians.max():.2f}, {ends[1]:.2f} at the least, "
                "that and the largest N",
                bool(
                    max(width / expected, expected / width) <= FACTOR
                    and medians.max() > ends.max()
                ),
            )
        )
    return findings


def _second_falls(trained: Trained, size: str, table: pd.DataFrame) -> Finding:
    """In how many settings most runs' test losses fall, rise and fall again."""
    ordered = trained.trajectories.sort_values("step").groupby("run_id")["test_loss"]
    again = ordered.apply(lambda curve: falls_again(curve.to_numpy()))
    own = table.assign(again=table["run_id"].map(again).astype(float))
    shares = own.groupby(["size", "alpha"])["again"].mean()
    return Finding(
        f"settings in which most runs' test losses fall twice in time, over {size}",
        "some, where labels are noisy",
        WORDS,
        f"one at least; a second fall of {FALL_WITHIN:.0%} or more",
        f"{int((shares > 0.5).sum())} of {len(shares)}",
        f"{int(own['again'].sum())} of {len(own)} runs",
        bool((shares > 0.5).any()),
    )


def falls_again(curve: Floats) -> bool:
    """Whether a curve, once it has risen by FALL_WITHIN above its lowest value so far,
    falls by as much below its highest value since."""
    low, high = np.inf, -np.inf
    for value in curve:
        if high > low * (1 + FALL_WITHIN) and value < high * (1 - FALL_WITHIN):
            return True
        if value < low:
            low, high = value, value
        high = max(high, value)
    return False


def _lowest(table: pd.DataFrame, size: str) -> Finding:
    medians = table.groupby("size")["low"].median()
    above = (medians / medians.cummin()).max() - 1
    return Finding(
        f"the lowest test loss along time against {size}",
        "no peak, when stopped in time",
        WORDS,
        f"nowhere more than {FALL_WITHIN:.0%} above that of a smaller one",
        f"{above:.0%}",
        ", ".join(f"{value:.2f}" for value in medians),
        bool(above <= FALL_WITHIN),
    )


def figure(trained: Mapping[str, Trained]) -> Figure:
    """Test losses over n, over N, and along time with what descent predicts."""
    by_n, by_width = of_examples(trained[EXAMPLES]), of_widths(trained[WIDTHS])
    loss = "test loss"
    over_n = _end_and_low(by_n)
    d, sigma = int(by_n["peak"].iloc[0]), _sigma(trained[EXAMPLES])
    risks = np.array([ridgeless.risk(int(n), d, sigma) for n in over_n[0].widths])
    risks[~np.isfinite(risks)] = np.nan
    over_n[0] = over_n[0]._replace(predicted=risks)
    rich = _end_and_low(by_width[by_width["alpha"] == 0])
    return plot.width_panels([
        plot.WidthPanel("over examples", loss, over_n, x_label="examples $n$"),
        plot.WidthPanel("along time", loss, _along(trained), x_label="step"),
        plot.WidthPanel(r"over neurons, $\alpha = 0$", loss, rich),
    ])  # fmt: skip


def _end_and_low(table: pd.DataFrame) -> list[plot.WidthSeries]:
    return [_against(table, "end", "at the end"), _against(table, "low", "lowest")]


def _sigma(trained: Trained) -> float:
    return float(trained.runs["label_noise"].iloc[0])


def _against(table: pd.DataFrame, column: str, label: str) -> plot.WidthSeries:
    """Medians over seeds with quartiles."""
    groups = table.groupby("size")[column]
    middle, low, high = (groups.quantile(q).to_numpy(float) for q in (0.5, 0.25, 0.75))
    sizes = np.array(sorted(table["size"].unique()), float)
    return plot.WidthSeries(label, sizes, middle, low, high, np.empty(0))


def _along(trained: Mapping[str, Trained]) -> list[plot.WidthSeries]:
    table = predicted(trained[EXAMPLES])
    sizes = of_examples(trained[EXAMPLES])[["run_id", "size"]]
    table = table[table["step"] > 0].merge(sizes, on="run_id")
    return [_curve(table[table["size"] == n], n) for n in TIMES]


def _curve(table: pd.DataFrame, n: int) -> plot.WidthSeries:
    medians = table.groupby("step")[["test_loss", "exact"]].median().iloc[::4]
    steps = medians.index.to_numpy(float)
    none = np.full(len(steps), np.nan)
    values, exact = (medians[c].to_numpy(float) for c in ("test_loss", "exact"))
    return plot.WidthSeries(f"n = {n}", steps, values, none, none, exact)
