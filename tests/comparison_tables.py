"""The generated tables of docs/comparisons.md and docs/optimizers.md."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
from conftest import ROOT
from scipy.stats import linregress
from table_format import markdown, number

from grokmap import store
from grokmap.analysis.statistics import median_survival, wilson
from grokmap.optimizers import OPTIMIZERS
from grokmap.plan import sweep_schema
from grokmap.reproduce.optimizers import survival

FIRST_CROSSINGS = "runs-first-crossing.parquet"
POINT = ["learning_rate", "weight_decay"]
# In the order of the page: folder of results/, words.
NO_DECAY = {
    "no-decay-control": "weight decay 0.5, for comparison",
    "no-decay": "as it is",
    "no-decay-epsilon": "epsilon 1e-8",
    "no-decay-batch": "batches of 32",
    "no-decay-noise": "gradient noise of 0.001",
    "no-decay-stablemax": "StableMax",
    "no-decay-perp": "perpendicular gradient",
    "no-decay-perp-stablemax": "perpendicular gradient, StableMax",
}
# Of noise in place of weight decay: words, folder, the key that says how strong it is.
NOISES = (
    ("dropout", "noise-dropout", "dropout"),
    ("dropout, cross-entropy", "noise-dropout-cross-entropy", "dropout"),
    ("gradient noise", "noise-gradient", "gradient_noise"),
    ("wrong labels", "noise-labels", "label_noise"),
)
LANGEVIN = {"0": "noise-langevin", "0.001": "noise-langevin-decay"}
BATCHES = {
    "8": "noise-batch-8",
    "32": "noise-batch",
    "128": "noise-batch-128",
    "all of them": "noise-batch-none",
}


def runs_of(name: str) -> pd.DataFrame:
    return pd.read_parquet(ROOT / "results" / name / store.RUNS)


def median_of(runs: pd.DataFrame, column: str) -> float:
    return float(median_survival(*survival(runs, column)))


def middle(values: pd.Series) -> float:
    """The median; of a frame, since pandas 2 warns of a column's without a value."""
    return float(values.astype(float).to_frame().median().iloc[0])


def shown(value: float) -> str:
    """A median; "-" where half of the runs or more are censored."""
    if not np.isfinite(value):
        return "-"
    return f"{value:.0f}" if value >= 100 else number(value)


def share(runs: pd.DataFrame) -> str:
    k, n = int(runs["t_grok"].notna().sum()), len(runs)
    low, high = (float(x) for x in wilson(k, n))
    return f"{k} of {n} ({low:.2f} to {high:.2f})"


def points(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a point of the grid: how many grok, medians, mean peak accuracy."""
    rows = [
        {
            **dict(zip(POINT, point, strict=True)),
            "grokked": int(own["t_grok"].notna().sum()),
            "t_grok": median_of(own, "t_grok"),
            "t_mem": middle(own["t_mem"]),
            "delay_ratio": median_of(own, "delay_ratio"),
            "peak": own["peak_test_accuracy"].mean(),
            "decay_times": median_of(own, "t_grok") * own["decay_rate"].iloc[0],
        }
        for point, own in runs.groupby(POINT)
    ]
    return pd.DataFrame(rows)


def best_point(runs: pd.DataFrame) -> pd.Series:
    """The rule: lowest median t_grok; without one, most that grok, highest peak."""
    table = points(runs)
    order = ["t_grok", "grokked", "peak"]
    return table.sort_values(order, ascending=[True, False, False]).iloc[0]


def is_inside(runs: pd.DataFrame, best: pd.Series) -> bool:
    return all(runs[k].min() < best[k] < runs[k].max() for k in POINT)


def tuning() -> str:
    """Of each optimizer and learning rate the best weight decay; the best of all."""
    rows = []
    for name in ("adamw", "muon"):
        runs = pd.read_parquet(ROOT / "results" / name / FIRST_CROSSINGS)
        best = best_point(runs)
        assert is_inside(runs, best), f"{name}: the best point is at the grid's edge"
        for rate, own in runs.groupby("learning_rate"):
            row = best_point(own)
            chosen = rate == best["learning_rate"]
            cells = [f"`{name}`", number(rate), number(row["weight_decay"])]
            cells += [share(own[own["weight_decay"] == row["weight_decay"]])]
            cells += [shown(row[k]) for k in ("t_mem", "t_grok", "delay_ratio")]
            cells += [shown(row["decay_times"]), f"{row['peak']:.2f}"]
            rows.append([f"**{x}**" for x in cells] if chosen else cells)
    head = ["", "learning rate", "lambda", "grok (95%)", "t_mem", "t_grok"]
    return markdown([*head, "t_grok / t_mem", "t_grok r", "peak test accuracy"], rows)


def held_out() -> str:
    """What `grokmap reproduce tveit-muon` found."""
    kept = store.read_comparison(ROOT / "results/reproduce/tveit-muon")
    assert kept is not None
    keys = ("quantity", "published", "measured", "spread")
    rows = [[row[key] for key in keys] for row in kept["findings"]]
    return markdown(["", "published", "measured", "95% interval, pairs"], rows)


def depths() -> str:
    rows = []
    for (depth, decay), own in runs_of("depth").groupby(["depth", "weight_decay"]):
        times = [median_of(own, k) for k in ("t_grok", "delay_ratio")]
        cells = [str(depth), number(decay), share(own)]
        cells += [shown(middle(own["t_mem"])), *map(shown, times)]
        cells += [shown(times[0] * own["decay_rate"].iloc[0])]
        cells += [f"{own['peak_test_accuracy'].mean():.2f}"]
        rows.append([*cells, str(int(own["collapsed"].sum()))])
    head = ["depth", "lambda", "grok (95%)", "t_mem", "t_grok", "t_grok / t_mem"]
    return markdown([*head, "t_grok r", "peak test accuracy", "collapsed"], rows)


def no_decay() -> str:
    rows = []
    for name, words in NO_DECAY.items():
        for dropout, own in runs_of(name).groupby("dropout", dropna=False):
            name = f"{words}, dropout {dropout:g}" if dropout > 0 else words
            cells = [name, share(own)]
            cells += [shown(middle(own["t_mem"]))]
            cells += [shown(median_of(own, "t_grok"))]
            cells += [f"{own['peak_test_accuracy'].mean():.2f}"]
            cells += [f"{own['final_test_accuracy'].mean():.2f}"]
            zero = own["final_zero_loss_fraction"].median()
            rows.append(
                [*cells, f"{zero:.2f}", number(own["final_max_logit"].median())]
            )
    head = ["", "grok (95%)", "t_mem", "t_grok", "peak test accuracy", "at the end"]
    return markdown([*head, "loss exactly 0", "largest logit"], rows)


def within(runs: pd.DataFrame) -> str:
    """Median t_grok; where half of the runs are censored, after how many steps."""
    median = median_of(runs, "t_grok")
    if np.isfinite(median) or runs["diverged"].all():
        return shown(median)
    return f"not within {runs['n_steps'].max():,} steps"


def extremes(runs: pd.DataFrame) -> str:
    """From the first run that grokked to the last, those that did not beyond it."""
    times = runs["t_grok"].dropna()
    if times.empty:
        return "-"
    last = shown(times.max()) if len(times) == len(runs) else "beyond"
    return f"{shown(times.min())} to {last}"


def flags(runs: pd.DataFrame) -> str:
    counts = {name: int(runs[name].sum()) for name in ("diverged", "stalled")}
    return ", ".join(f"{n} {name}" for name, n in counts.items() if n) or "-"


def noise() -> str:
    rows = []
    for words, name, key in NOISES:
        for strength, own in runs_of(name).groupby(key):
            cells = [words, f"{strength:g}", share(own), shown(middle(own["t_mem"]))]
            cells += [within(own), extremes(own)]
            cells += [f"{own['peak_test_accuracy'].mean():.2f}"]
            cells += [f"{own['final_test_accuracy'].mean():.2f}"]
            cells += [number(own["final_weight_norm"].median()), flags(own)]
            rows.append(cells)
    head = ["", "strength", "grok (95%)", "t_mem", "t_grok", "all runs"]
    head += ["peak test accuracy", "at the end", "norm", "flags"]
    return markdown(head, rows)


def langevin() -> str:
    rows = []
    for words, name in LANGEVIN.items():
        for heat, own in runs_of(name).groupby("temperature"):
            median = median_of(own, "t_grok")
            product = number(heat * median) if heat and np.isfinite(median) else "-"
            cells = [words, f"{heat:g}", share(own), shown(middle(own["t_mem"]))]
            cells += [within(own), extremes(own), product]
            rows.append([*cells, f"{own['peak_test_accuracy'].mean():.2f}"])
    head = ["weight decay", "T", "grok (95%)", "t_mem", "t_grok", "all runs"]
    return markdown([*head, "T t_grok", "peak test accuracy"], rows)


def escapes() -> str:
    """Laws of t_grok over T by least squares, where every run groks without decay; and
    what the first two, fitted without the coldest T, forecast for it."""
    runs = runs_of("noise-langevin")
    heats = runs.groupby("temperature")["t_grok"]
    known = runs[heats.transform(lambda t: t.notna().all())].astype({"t_grok": float})
    cold = known[known["temperature"] < known["temperature"].max()]
    rows = [
        _escape("ln t = a + b / T (Arrhenius)", known, _inverse, _log_time),
        _escape("ln t = a - k ln T", known, _log_cold, _log_time),
        _escape("the same, the four coldest", cold, _log_cold, _log_time),
        _escape("ln (T t) = a + b / T, the four coldest", cold, _inverse, _log_product),
    ]
    head = ["law", "slope ± standard error", "scatter", "forecast of the coldest"]
    return markdown([*head, "measured there"], rows)


def _inverse(runs: pd.DataFrame) -> pd.Series:
    return 1 / runs["temperature"]


def _log_cold(runs: pd.DataFrame) -> pd.Series:
    return -np.log(runs["temperature"])


def _log_time(runs: pd.DataFrame) -> pd.Series:
    return np.log(runs["t_grok"])


def _log_product(runs: pd.DataFrame) -> pd.Series:
    return np.log(runs["temperature"] * runs["t_grok"])


Column = Callable[[pd.DataFrame], pd.Series]


def _escape(law: str, runs: pd.DataFrame, x: Column, y: Column) -> list[str]:
    fit = linregress(x(runs), y(runs))
    left = y(runs) - fit.intercept - fit.slope * x(runs)
    cells = [law, f"{number(fit.slope)} ± {number(fit.stderr)}"]
    cells.append(f"{left.std(ddof=2):.2f}")
    if y is _log_product:
        return [*cells, "-", "-"]
    coldest = runs["temperature"] == runs["temperature"].min()
    warm = linregress(x(runs[~coldest]), y(runs[~coldest]))
    forecast = np.exp(warm.intercept + warm.slope * x(runs[coldest]).iloc[0])
    measured = runs["t_grok"][coldest].median()
    return [*cells, f"{forecast:.0f}", f"{measured:.0f}"]


def noise_batches() -> str:
    tables = {words: runs_of(name) for words, name in BATCHES.items()}
    rates = sorted(pd.concat(tables.values())["learning_rate"].unique())
    rows = []
    for words, runs in tables.items():
        cells = []
        for rate in rates:
            own = runs[runs["learning_rate"] == rate]
            if own.empty:
                cells.append("-")
                continue
            median, flag = median_of(own, "t_grok"), flags(own)
            found = f"{own['t_grok'].notna().sum()} of {len(own)}; "
            peak = f"peak {own['peak_test_accuracy'].mean():.2f}"
            found += shown(median) if np.isfinite(median) else peak
            cells.append(found if flag == "-" else f"{found}; {flag}")
        rows.append([words, *cells])
    return markdown(["batch", *(f"eta {rate:g}" for rate in rates)], rows)


def formulas(text: str) -> str:
    """The sentences of a docstring that say how weights move."""
    sentences = re.split(r"\.\s", " ".join(text.split()) + " ")
    return "; ".join(s.strip() for s in sentences if "<-" in s)


def optimizers() -> str:
    rows = []
    for name, entry in OPTIMIZERS.items():
        rate = (entry.decay_rate.__doc__ or "r = 0").splitlines()[0].rstrip(".")
        controls = ", ".join(f"`{c}`" for c in entry.controls)
        rule = formulas(entry.update.__doc__ or "")
        rows.append([f"`{name}`", controls, rule, rate])
    return markdown(["", "reads", "a step", "shrinkage of the weights"], rows)


MODIFIERS = (
    "batch_size",
    "batch_replacement",
    "dropout",
    "label_noise",
    "gradient_noise",
    "perp_grad",
    "gradient_avalanche",
    "sam_radius",
    "filter_strength",
    "filter_decay",
    "filter_window",
    "norm_clamp",
    "norm_clamp_step",
    "temperature_logits",
    "decay_bias",
    "decay_embedding",
    "initial_scale",
    "embedding_scale",
    "chain",
    "sextic_decay",
)


def modifiers() -> str:
    properties = sweep_schema()["properties"]
    rows = [[f"`{key}`", properties[key]["description"]] for key in MODIFIERS]
    return markdown(["key", "meaning"], rows)


COMPARISON_TABLES: dict[tuple[str, str], Callable[[], str]] = {
    ("docs/comparisons.md", "tuning"): tuning,
    ("docs/comparisons.md", "muon"): held_out,
    ("docs/comparisons.md", "depths"): depths,
    ("docs/comparisons.md", "no decay"): no_decay,
    ("docs/comparisons.md", "noise"): noise,
    ("docs/comparisons.md", "noise batches"): noise_batches,
    ("docs/comparisons.md", "langevin"): langevin,
    ("docs/comparisons.md", "escapes"): escapes,
    ("docs/optimizers.md", "optimizers"): optimizers,
    ("docs/optimizers.md", "modifiers"): modifiers,
}
