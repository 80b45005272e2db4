"""Times of memorising and of grokking against the width.

Whether t_N = t_inf (1 + c/N), Eq. 20 of the survey *Grokking as a Phase Transition in
Neural Networks* (2026). The work that it names, Guillen, Misof and Gerken (arXiv
2508.11522), has nothing on times: the formula is the survey's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from grokmap import plot
from grokmap.analysis.statistics import percentile_interval, resample_weights
from grokmap.arrays import Floats
from grokmap.reproduce.finding import WORDS, Finding
from grokmap.reproduce.reproduction import Reproduction
from grokmap.reproduce.trained import Trained

SWEEP = "grok-time-width"
# alpha, and which time. At alpha = 0 a decay time is as many steps at every width.
CASES = (
    *((0.0, "t_mem"), (0.0, "t_grok r")),
    *((0.125, "t_mem"), (0.125, "t_grok r"), (0.125, "t_grok")),
)
FITTED_TO = 256  # forms are fitted up to this width and predict the wider ones
WITHIN = 0.05  # of a predicted time


class Clock(NamedTuple):
    """words, label: of tables, and of an axis. time: (labelled runs) -> the time of
    each, NaN where it never comes."""

    words: str
    label: str
    time: Callable[[pd.DataFrame], Floats]


CLOCKS = {
    "t_mem": Clock(
        "t_mem in steps",
        r"$t_{\mathrm{mem}}$ in steps",
        lambda runs: runs["t_mem"].to_numpy(float),
    ),
    "t_grok": Clock(
        "t_grok in steps",
        r"$t_{\mathrm{grok}}$ in steps",
        lambda runs: runs["t_grok"].to_numpy(float),
    ),
    "t_grok r": Clock(
        "t_grok in decay times",
        r"$t_{\mathrm{grok}}$ in decay times",
        lambda runs: runs["t_grok"].to_numpy(float) * runs["decay_rate"].to_numpy(),
    ),
}


class Form(NamedTuple):
    """How times depend on the width: ln t_N = ln t(lambda) + value(c, N / narrowest).

    ends: of c, in units of the narrowest width (equal: no parameter).
    """

    words: str
    value: Callable[[Floats, Floats], Floats]
    ends: tuple[float, float]


# c in units of N, or of sqrt N, over the narrowest width: above -1, where times are 0.
C_OVER_N = (-0.95, 200.0)
FORMS = {
    "constant": Form("t", lambda c, n: 0 * c * n, (0.0, 0.0)),
    "1/N": Form("t (1 + c/N)", lambda c, n: np.log1p(c / n), C_OVER_N),
    "1/sqrt N": Form(
        "t (1 + c/sqrt N)", lambda c, n: np.log1p(c / np.sqrt(n)), C_OVER_N
    ),
    "power": Form("t N^-b", lambda b, n: -b * np.log(n), (-3.0, 3.0)),
}
PLACES = 1501  # at which c is tried


class Times(NamedTuple):
    """Times at one alpha: widths [W], decays [K], log: [W, K, S] ln t, NaN in a whole
    cell where a seed never got there (those that did are the fast ones)."""

    widths: Floats
    decays: Floats
    log: Floats


def times(runs: pd.DataFrame, clock: str) -> Times:
    """Of runs of one alpha. A width without one whole cell is left out."""
    table = runs.assign(time=CLOCKS[clock].time(runs))
    cells = table.pivot_table(
        index=["width", "weight_decay"], columns="seed", values="time", dropna=False
    )
    widths, decays = (np.unique(cells.index.get_level_values(i)) for i in (0, 1))
    log = np.log(cells.to_numpy(float)).reshape(len(widths), len(decays), -1)
    log[np.isnan(log).any(axis=2)] = np.nan
    known = np.isfinite(log).any(axis=(1, 2))
    return Times(widths[known].astype(float), decays.astype(float), log[known])


def means(found: Times) -> Floats:
    """[B, W, K] mean ln t by resamples of seeds, the data first."""
    n = found.log.shape[2]
    weights = resample_weights(n) / n
    return np.moveaxis(found.log @ weights.T, -1, 0)


class Fit(NamedTuple):
    """c [B], in units of the narrowest width (of N^-b: b); ln t [B, K]."""

    c: Floats
    log: Floats


def fit(form: Form, widths: Floats, mean: Floats) -> Fit:
    """Least squares of mean ln t [B, W, K], t free at each weight decay; the same
    cells are known in all B."""
    n, known = widths / widths[0], np.isfinite(mean[0]).astype(float)
    low, high = np.arcsinh(form.ends)  # c may be of any size
    c = np.sinh(np.linspace(low, high, PLACES))[:, None]
    values = form.value(c, n)  # [G, W]
    share = known / known.sum(axis=0)
    filled = np.where(known > 0, mean, 0.0)
    centred = (filled - np.sum(share * filled, axis=1, keepdims=True)) * known
    middle = values @ share  # [G, K]
    square = values**2 @ known - middle**2 * known.sum(axis=0)
    cost = square.sum(axis=1) - 2 * centred.sum(axis=2) @ values.T
    best = np.argmin(cost, axis=1)
    return Fit(c[best, 0], np.sum(share * filled, axis=1) - middle[best])


def extrapolated(form: Form, widths: Floats, mean: Floats) -> Floats:
    """[B, W, K] ln t at all widths, of a fit to those up to `FITTED_TO`."""
    near = widths <= FITTED_TO
    fitted = fit(form, widths[near], mean[:, near])
    along = form.value(fitted.c[:, None], widths / widths[0])
    return fitted.log[:, None] + along[..., None]


def beyond(form: Form, widths: Floats, mean: Floats) -> Floats:
    """[B] geometric mean over weight decays of predicted over measured t at the
    widest."""
    gap = extrapolated(form, widths, mean)[:, -1] - mean[:, -1]
    return np.asarray(np.exp(np.nanmean(gap, axis=1)))


def compare(trained: Mapping[str, Trained]) -> list[Finding]:
    """c and its sign, how well each form predicts wider networks, and whether one c
    serves all weight decays."""
    runs = trained[SWEEP].runs
    findings = []
    for alpha, clock in CASES:
        found = times(runs[runs["alpha"] == alpha], clock)
        at = f"{CLOCKS[clock].words}, alpha = {alpha:g}"
        findings += [_sign(found, at), _ahead(found, at)]
        findings += [_one_c(found, at)] if clock != "t_mem" else []
    return findings


def _sign(found: Times, at: str) -> Finding:
    form, n = FORMS["1/N"], found.log.shape[2]
    drawn = fit(form, found.widths, means(found)).c * found.widths[0]
    low, high = percentile_interval(drawn[1:], n)
    widths = f"N = {found.widths[0]:.0f} to {found.widths[-1]:.0f}"
    return Finding(
        f"c of t_inf (1 + c/N), {at}, {widths}",
        "c > 0",
        WORDS,
        "interval above 0",
        f"{drawn[0]:.3g}",
        f"{low:.3g} to {high:.3g} (95%)",
        bool(low > 0),
    )


class Ahead(NamedTuple):
    """Predicted over measured time at the widest network, with its 95% interval."""

    ratio: float
    low: float
    high: float


def ahead(found: Times) -> dict[str, Ahead]:
    """How well each form, fitted to the narrower networks, predicts the widest."""
    mean, n = means(found), found.log.shape[2]
    drawn = {name: beyond(form, found.widths, mean) for name, form in FORMS.items()}
    return {
        name: Ahead(float(v[0]), *percentile_interval(v[1:], n))
        for name, v in drawn.items()
    }


def _ahead(found: Times, at: str) -> Finding:
    """Of the survey's form; the others stand beside it."""
    by = ahead(found)
    words = [
        f"{ratio:.3g} by {FORMS[name].words} ({low:.3g} to {high:.3g})"
        for name, (ratio, low, high) in by.items()
    ]
    return Finding(
        f"predicted over measured {at}, N = {found.widths[-1]:.0f}, by t (1 + c/N) "
        f"fitted to N <= {FITTED_TO} (others beside it, 95%)",
        "1",
        WORDS,
        f"± {WITHIN:g}",
        "; ".join(sorted(words, key=lambda word: "c/N" not in word)),
        "",
        bool(abs(by["1/N"].ratio - 1) <= WITHIN),
    )


def _one_c(found: Times, at: str) -> Finding:
    """Whether the intervals of c at each weight decay have a point in common."""
    mean, n = means(found), found.log.shape[2]
    values, ends = [], []
    for k in range(len(found.decays)):
        known = np.isfinite(mean[0, :, k])
        widths = found.widths[known]
        drawn = fit(FORMS["1/N"], widths, mean[:, known, k : k + 1]).c * widths[0]
        values.append(float(drawn[0]))
        ends.append(percentile_interval(drawn[1:], n))
    lows, highs = zip(*ends, strict=True)
    listed = ", ".join(
        f"{c:.3g} ({low:.3g} to {high:.3g})"
        for c, (low, high) in zip(values, ends, strict=True)
    )
    decays = ", ".join(f"{decay:g}" for decay in found.decays)
    return Finding(
        f"c at each weight decay ({decays}), {at}",
        "one c of task and architecture",
        WORDS,
        "95% intervals have a point in common",
        listed,
        "",
        bool(max(lows) <= min(highs)),
    )


def figure(trained: Mapping[str, Trained]) -> Figure:
    """t_grok against the width, and 1 + c/N as fitted to the narrower networks."""
    runs = trained[SWEEP].runs
    panels = []
    for alpha, clock in CASES:
        if clock == "t_mem":
            continue
        found = times(runs[runs["alpha"] == alpha], clock)
        title = rf"$\alpha$ = {alpha:g}"
        panels.append(plot.WidthPanel(title, CLOCKS[clock].label, _series(found)))
    return plot.width_panels(panels)


def _series(found: Times) -> list[plot.WidthSeries]:
    drawn, n = means(found), found.log.shape[2]
    lines = np.exp(extrapolated(FORMS["1/N"], found.widths, drawn[:1])[0])
    series = []
    for k, decay in enumerate(found.decays):
        known = np.isfinite(drawn[0, :, k])
        seen = np.exp(drawn[:, known, k])
        ends = np.array([percentile_interval(column, n) for column in seen[1:].T])
        label = rf"$\lambda$ = {decay:g}"
        low, high = ends.T
        points = plot.WidthSeries(
            label, found.widths[known], seen[0], low, high, lines[known, k]
        )
        series.append(points)
    return series


REPRODUCTIONS: dict[str, Reproduction] = {
    SWEEP: Reproduction(
        reference="Grokking as a Phase Transition in Neural Networks (2026), Eq. 20",
        claim="At width N grokking takes t_inf (1 + c/N), c > 0.",
        setting="a + b mod 11, quadratic, 75%, mse, gd with momentum, alpha = 0 and "
        "1/8, four weight decays, N = 16 to 1024, 12 seeds; cells in which every seed "
        "gets there",
        compare=compare,
        cpu_s=240,
        sweeps=(SWEEP,),
        explained="In decay times t_grok falls with the width, more slowly than 1/N: 1 "
        "+ c/sqrt N, fitted to N = 32 to 256, meets N = 1024. At alpha = 1/8 a decay "
        "time takes N^(1/4) as many steps, so that in steps t_grok rises instead: the "
        "sign of c is that of the clock. t_mem falls as 1/N to about N = 128 and more "
        "slowly beyond; no form tried serves all widths.",
        figure=figure,
    ),
}
