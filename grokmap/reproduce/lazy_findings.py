"""The lazy limit against trained networks: the survey's lemma, Eq. 18, memorisation.

Exponents and ratios are taken seed by seed, and the intervals are Student's over seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.analysis.statistics import student_interval
from grokmap.arrays import Floats
from grokmap.engine.linearised import at_infinite_width
from grokmap.reproduce.finding import OWN, WORDS, Finding
from grokmap.reproduce.lazy_runs import (
    gaps,
    own,
    planned,
    predicted,
    predicted_times,
    with_norms,
)
from grokmap.reproduce.trained import Trained
from grokmap.theory import lazy

WIDE, WIDEST = 512, 2048


# ---- findings of values, one a seed


def _interval(values: Floats) -> str:
    mean, low, high = (float(x) for x in student_interval(values))
    return f"{mean:.4g} ({low:.4g} to {high:.4g}, 95%)"


def _spread(values: Floats) -> str:
    return f"{values.min():.4g} to {values.max():.4g}"


def ratio(quantity: str, values: Floats, within: float) -> Finding:
    """Whether the mean of measured over predicted [seeds] is within 1 ± within."""
    holds = bool(abs(values.mean() - 1) <= within)
    words = _interval(values), _spread(values)
    return Finding(quantity, "1", OWN, f"± {within:g}", *words, holds)


def exponent(
    quantity: str, expected: float, within: float, values: Floats, source: str
) -> Finding:
    """Whether the mean of exponents [seeds] is within expected ± within."""
    holds = bool(abs(values.mean() - expected) <= within)
    words = _interval(values), _spread(values)
    return Finding(quantity, f"{expected:g}", source, f"± {within:g}", *words, holds)


def slopes(table: pd.DataFrame, x: str, y: str) -> Floats:
    """Exponent of y in x of each seed, by least squares of logarithms."""
    return np.array(
        [
            np.polynomial.polynomial.polyfit(np.log(part[x]), np.log(part[y]), 1)[1]
            for _, part in table.groupby("seed")
        ]
    )


# ---- the lemma


def compare_limit(trained: Mapping[str, Trained]) -> list[Finding]:
    """Gaps by width and alpha, times, plateaus, and losses with decay."""
    return [
        *_by_width(),
        _by_alpha(),
        *_times(trained["lazy-width"].runs),
        *_plateaus(trained["lazy-width"].runs),
        *_with_decay(trained["lazy-decay"]),
    ]


def _by_width() -> Iterable[Finding]:
    for predict, words, expected, within in (
        (own, "the run's own initial kernel", -1.0, 0.25),
        (at_infinite_width, "the kernel of infinite width", -0.5, 0.15),
    ):
        table = gaps("lazy-width", "width", predict)
        means = table.groupby("width")["gap"].mean()
        at = f"N = {means.index.min()} to {means.index.max()}, alpha = 1/2"
        yield exponent(
            f"exponent in N of |f - f_lazy| / |y|, {words}, {at}",
            expected,
            within,
            slopes(table, "width", "gap"),
            OWN,
        )
        yield Finding(
            f"|f - f_lazy| / |y|, {words}, N = {', '.join(map(str, means.index))}",
            "0 as N grows",
            WORDS,
            "falls at every doubling",
            ", ".join(f"{gap:.3g}" for gap in means),
            "",
            bool((np.diff(means) < 0).all()),
        )


def _by_alpha() -> Finding:
    table = gaps("lazy-alpha", "alpha", own)
    table["laziness"] = WIDE ** table["alpha"]
    table = table[table["alpha"] <= 0.5]
    return exponent(
        f"exponent in K = N^alpha of |f - f_lazy| / |y|, own kernel, N = {WIDE}, "
        "alpha = 0.1 to 0.5",
        -2.0,
        0.5,
        slopes(table, "laziness", "gap"),
        OWN,
    )


def _times(runs: pd.DataFrame) -> Iterable[Finding]:
    for width, predict, words, within in (
        (WIDE, own, "own kernel", 0.03),
        (WIDEST, own, "own kernel", 0.03),
        (WIDEST, at_infinite_width, "kernel of infinite width", 0.1),
    ):
        some = runs[runs["width"] == width]
        times = predicted_times(some, "lazy-width", predict)
        values = some["t_mem"].to_numpy(float) / times
        yield ratio(f"t_mem over predicted, {words}, N = {width}", values, within)


def _plateaus(runs: pd.DataFrame) -> Iterable[Finding]:
    for width, predict, words, within in (
        (WIDE, own, "own kernel", 0.02),
        (WIDEST, own, "own kernel", 0.02),
        (WIDEST, at_infinite_width, "kernel of infinite width", 0.1),
    ):
        some = runs[runs["width"] == width]
        steps = some["n_steps"].to_numpy()
        loss = predicted(some, "lazy-width", predict, "test_loss", steps)
        values = some["final_test_loss"].to_numpy(float) / loss
        text = f"test loss at step {steps.max()} over predicted, {words}, N = {width}"
        yield ratio(text, values, within)


def _with_decay(trained: Trained) -> Iterable[Finding]:
    """Training losses at fractions of the decay time, over predicted ones.

    A network of degree 3 left to decay has outputs f_0 exp(-3 r t), a linear one
    f_0 (3 exp(-r t) - 2): squares that differ by about 2 r t.
    """
    for times, close in ((0.03, True), (1.0, False)):
        for decay, runs in trained.runs.groupby("weight_decay"):
            values = _loss_ratios(trained.trajectories, runs, times)
            yield Finding(
                f"train loss over predicted at r t = {times:g}, lambda = {decay:g}, "
                "N = 1024",
                "1" if close else "not 1: the kernel has shrunk",
                OWN,
                "± 0.1" if close else "off by more than 0.1",
                _interval(values),
                _spread(values),
                bool((abs(values.mean() - 1) <= 0.1) == close),
            )


def _loss_ratios(records: pd.DataFrame, runs: pd.DataFrame, times: float) -> Floats:
    """[runs] at the record nearest to so many decay times."""
    found = []
    for run_id, run in runs.groupby("run_id"):
        mine = records[records["run_id"] == run_id].sort_values("step")
        place = (mine["step"] - times / run["decay_rate"].iloc[0]).abs().argmin()
        row = mine.iloc[place]
        loss = predicted(run, "lazy-decay", own, "train_loss", [row["step"]])[0]
        found.append(row["train_loss"] / loss)
    return np.array(found)


# ---- Eq. 18


def compare_readout(trained: Mapping[str, Trained]) -> list[Finding]:
    """Exponents of t_mem in eta, in the kernel's norm, and in n."""
    rate = with_norms(trained["lazy-rate"].runs, "lazy-rate")
    kernel = with_norms(trained["lazy-kernel"].runs, "lazy-kernel")
    modulus = with_norms(trained["lazy-modulus"].runs, "lazy-modulus")
    at = f"N = {WIDE}"
    return [
        exponent(
            f"exponent of t_mem in eta = 0.0002 to 0.0032, {at}",
            -1.0,
            0.05,
            slopes(rate, "learning_rate", "t_mem"),
            WORDS,
        ),
        exponent(
            f"exponent of t_mem in |K_0|, weights N(0, s^2), s = 0.4 to 1, {at}",
            -1.0,
            0.1,
            slopes(kernel, "norm", "t_mem"),
            WORDS,
        ),
        exponent(
            f"exponent of t_mem eta |K_0| / n in n, p = 7 to 23, {at}",
            0.0,
            0.2,
            slopes(modulus.assign(t=modulus["t_mem"] * modulus["norm"]), "n", "t"),
            WORDS,
        ),
        *(
            ratio(
                f"t_mem over predicted, own kernel, {name}, {at}",
                runs["t_mem"].to_numpy(float) / predicted_times(runs, sweep, own),
                0.03,
            )
            for sweep, name, runs in (
                ("lazy-rate", "all eta", rate),
                ("lazy-kernel", "all s", kernel),
                ("lazy-modulus", "all p", modulus),
            )
        ),
    ]


# ---- memorise anything, generalise nothing


def compare_memorising(trained: Mapping[str, Trained]) -> list[Finding]:
    """Random labels memorised; addition not generalised; a linear teacher learned."""
    labels, widths = trained["lazy-labels"].runs, trained["lazy-width"].runs
    teacher = trained["lazy-teacher"]
    wide = widths[widths["width"] == WIDEST]
    chance = float(1 / wide["modulus"].iloc[0])
    first = teacher.trajectories.sort_values("step").groupby("run_id")["test_loss"]
    left = (first.last() / first.first()).to_numpy(float)
    test = wide["final_test_accuracy"].to_numpy(float)
    train = labels["final_train_accuracy"].to_numpy(float)
    return [
        Finding(
            f"train accuracy on random labels, modular addition, N = {WIDE}",
            "memorise any training set",
            WORDS,
            "1 in every run",
            f"{train.mean():.4g}",
            _spread(train),
            bool((train == 1).all()),
        ),
        Finding(
            f"test accuracy, modular addition, p = 11, N = {WIDEST}",
            "no generalisation",
            WORDS,
            f"at most chance, 1/p = {chance:.3f}",
            _interval(test),
            _spread(test),
            bool(test.mean() <= chance),
        ),
        Finding(
            f"test loss over initial one, linear teacher of 8 inputs, erf, N = {WIDE}",
            "no generalisation",
            WORDS,
            "above 0.5",
            _interval(left),
            _spread(left),
            bool(left.mean() > 0.5),
        ),
    ]


def figure_limit(trained: Mapping[str, Trained]) -> Figure:
    """One seed at three widths, with its own prediction."""
    runs, records = trained["lazy-width"][:2]
    some = runs[(runs["seed"] == 0) & runs["width"].isin((64, WIDE, WIDEST))]
    parts = []
    for run in some["run_id"]:
        steps = np.sort(records.loc[records["run_id"] == run, "step"])
        modes, descent = own(planned("lazy-width")[run].run)
        part = pd.DataFrame(lazy.records(modes, descent, steps))
        parts.append(part.assign(run_id=run, step=steps))
    said = plot.Predicted("lazy limit", pd.concat(parts))
    return plot.curves(records, some, apart=("width",), predicted=said)
