"""The generated tables of README and docs, each from code or committed results."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from conftest import ROOT

from grokmap import hysteresis, store, transition_order, transitions
from grokmap.cli.order_parameters import compared
from grokmap.models import ALPHA_CONVENTIONS
from grokmap.order_parameters import HEALTH, ORDER_PARAMETERS
from grokmap.spec import sweep_schema
from grokmap.train import VOCABULARY

Stored = tuple[pd.DataFrame, pd.DataFrame]


def stored(name: str) -> Stored:
    """(runs, trajectories) of a committed result."""
    path = ROOT / "results" / name
    trajectories, unreadable = store.read_trajectories(path)
    assert unreadable == []
    return pd.read_parquet(path / store.RUNS), trajectories


def markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def number(value: float) -> str:
    if math.isnan(value):
        return "-"
    if abs(value) >= 1e4:
        return f"{value:.0e}".replace("e+0", "e").replace("e+", "e")
    return f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"


def order_parameter_names() -> str:
    tells = [f"`{n}`" for n, entry in ORDER_PARAMETERS.items() if entry.tells]
    rest = [f"`{n}`" for n in ORDER_PARAMETERS if f"`{n}`" not in tells]
    always = ", ".join(f"`{name}`" for name in HEALTH)
    return (
        f"Tell memorising from grokked networks: {', '.join(tells)}. Do not, or have "
        f"no such task yet: {', '.join(rest)}.\nAlways recorded: {always}."
    )


def definitions() -> str:
    head = ["name", "symbol", "meaning", "range", "cost", "defined on", "reference"]
    rows = []
    for name, entry in ORDER_PARAMETERS.items():
        symbol = entry.symbol.replace("|", r"\|")
        low, high = (f"{x:.3g}".replace("inf", "∞") for x in entry.bounds)
        tasks = "any task" if entry.tasks is None else "group tasks"
        tasks = tasks if entry.tasks != () else "tasks with a teacher: none yet"
        cells = [f"`{name}`", f"${symbol}$", entry.meaning, f"{low} to {high}"]
        rows.append([*cells, entry.cost, tasks, entry.reference])
    return markdown(head, rows)


KINDS = ("random", "memorising", "grokked", "collapsed")


def values_of_known_networks(name: str, result: Stored) -> dict[str, list[float]]:
    """Values of one quantity in the stored runs of sweeps/order-parameters.toml."""
    runs, trajectories = result
    wanted = trajectories[["run_id", "step", name]]
    never, grok, lost = (
        runs[runs["phase"] == phase]
        for phase in ("memorize-only", "grok", "no-learning")
    )
    final = f"final_{name}"
    at_t_mem = [transitions.values_at(wanted, x, name, "t_mem") for x in (never, grok)]
    return {
        "random": wanted.loc[wanted["step"] == 0, name].tolist(),
        "memorising": [*never[final], *at_t_mem[0], *at_t_mem[1]],
        "grokked": grok[final].tolist(),
        # A network that has decayed below float32's reach has no value.
        "collapsed": lost[final].dropna().tolist(),
    }


def known_networks() -> str:
    addition = stored("order-parameters")
    multiplication = stored("order-parameters-multiplication")
    head = ["", *KINDS, "grokked, a b mod p", "tells"]
    rows = []
    for name, entry in ORDER_PARAMETERS.items():
        if entry.known is None:
            continue
        values = values_of_known_networks(name, addition)
        other = values_of_known_networks(name, multiplication)["grokked"]
        cells = [_spread(values[kind]) for kind in KINDS]
        tells = "yes" if entry.known.tells else "no"
        rows.append([f"`{name}`", *cells, _spread(other), tells])
    return markdown(head, rows)


def _spread(values: list[float]) -> str:
    if not values:
        return "undefined"
    low, high = number(min(values)), number(max(values))
    return low if low == high else f"{low} to {high}"


def first_movers() -> str:
    runs, trajectories = stored("quickstart-reference")
    moves = transitions.summary(trajectories, runs, compared())
    head = ["", "t_half / t_grok", "quartiles", "runs", "at t_mem", "at the end", "AUC"]
    rows = []
    for row in moves.to_dict("records"):
        half, low, high = (
            f"{1 / row[key]:.2f}" for key in ("lead", "lead_q75", "lead_q25")
        )
        cells = [f"`{row['quantity']}`", half, f"{low} to {high}", str(row["n_runs"])]
        ends = [number(row["before"]), number(row["after"]), f"{row['auc']:.2f}"]
        rows.append([*cells, *ends])
    return markdown(head, rows).replace("nan to nan", "-").replace("nan", "-")


def rqi_of_memorising() -> str:
    """How far rqi gets in the quickstart's memorize-only runs, and what they are."""
    runs, trajectories = stored("quickstart-reference")
    memorise = runs[runs["phase"] == "memorize-only"]
    highest = trajectories.groupby("run_id")["rqi"].max()
    memorise = memorise.assign(highest=memorise["run_id"].map(highest).to_numpy())
    chance = 1 / runs["modulus"].iloc[0]
    head = ["final test accuracy", "runs", "censored", "highest rqi", "rqi < 0.1"]
    rows = []
    edges = [0, 2 * chance, 0.3, 0.6, 0.95]
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        own = memorise[memorise["final_test_accuracy"].between(low, high, "left")]
        counts = [len(own), int(own["censored"].sum())]
        small = int((own["highest"] < 0.1).sum())
        top = number(own["highest"].max())
        cells = [f"{low:.2g} to {high:.2g}", *map(str, counts), top, str(small)]
        rows.append(cells)
    return markdown(head, rows)


def laziness() -> str:
    centred, plain = stored("laziness"), stored("quickstart-reference")
    slowest = plain[0]["weight_decay"].min()
    plain = (plain[0][plain[0]["weight_decay"] == slowest], plain[1])
    columns = [drift_by_alpha(*result) for result in (centred, plain)]
    width = int(centred[0]["width"].iloc[0])
    head = ["alpha", "f - f_0 at t_mem", "times N^(2 alpha)", "f at t_mem"]
    rows = [
        [
            f"{alpha:.1f}",
            f"{drift:.2e}",
            f"{drift * width ** (2 * alpha):.4f}",
            f"{columns[1][alpha]:.3f}",
        ]
        for alpha, drift in columns[0].items()
    ]
    return markdown(head, rows)


def drift_by_alpha(runs: pd.DataFrame, trajectories: pd.DataFrame) -> pd.Series:
    """Median ntk_drift at t_mem over the seeds of each alpha."""
    drift = transitions.values_at(trajectories, runs, "ntk_drift", "t_mem")
    return runs.assign(drift=drift).groupby("alpha")["drift"].median()


# The survey's list of what happens at t_grok (P parameters, N neurons).
CLAIMS = {
    "rqi": "from about 0 to about 1",
    "effective_rank": "drops from O(√P) to O(1)",
    "participation_ratio": "drops from O(N) to O(1)",
    "kernel_alignment": "jumps from O(1/P) to O(1)",
    "snr": "crosses 1",
}


def survey_claims() -> str:
    runs, trajectories = stored("survey2026")
    moves = transitions.summary(trajectories, runs, compared()).set_index("quantity")
    head = ["", "the survey", "at step 0", "at t_mem", "at the end", "t_half / t_grok"]
    rows = []
    for name, claim in CLAIMS.items():
        start = trajectories.loc[trajectories["step"] == 0, name].median()
        row = moves.loc[name]
        half = row["t_half_over_t_grok"]
        ends = [number(x) for x in (start, row["before"], row["after"])]
        rows.append(
            [f"`{name}`", claim, *ends, "-" if np.isnan(half) else f"{half:.2f}"]
        )
    return markdown(head, rows)


def keys() -> str:
    properties = sweep_schema(VOCABULARY)["properties"]
    rows = []
    for key, entry in properties.items():
        if key != "axes":
            default = entry.get("default", "required")
            if isinstance(default, list):
                default = default[0]
            meaning = entry["description"]
            rows.append([f"`{key}`", meaning, _values(entry), str(default)])
    return markdown(["key", "meaning", "values", "default"], rows).replace("None", "-")


def _values(entry: dict) -> str:
    if "enum" in entry or "enum" in entry.get("items", {}):
        return ", ".join(entry.get("enum") or entry["items"]["enum"])
    kind = next((x for x in entry.get("anyOf", [entry]) if "type" in x), {})
    words = {"minimum": "≥", "exclusiveMinimum": ">"}
    words |= {"maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {kind[k]:g}" for k, sign in words.items() if k in kind]
    return ", ".join([kind.get("type", ""), *bounds])


def conventions() -> str:
    rows = []
    for name, entry in ALPHA_CONVENTIONS.items():
        kind = "a factor, above 0" if entry.multiplies else "an exponent of N, 0 to 2"
        rows.append([f"`{name}`", entry.formula, kind])
    return markdown(["convention", "f", "alpha"], rows)


def survey_times() -> str:
    runs = stored("survey2026")[0].sort_values("seed")
    published = "published (one seed, logged every 100 steps)"
    rows = [[published, "200", "14600", "73"]]
    for run in runs.itertuples():
        mem = f"{run.t_mem} ± {run.t_mem_resolution}"
        grok = f"{run.t_grok} ± {run.t_grok_resolution}"
        rows.append([f"seed {run.seed}", mem, grok, f"{run.delay_ratio:.0f}"])
    return markdown(["", "t_mem", "t_grok", "t_grok / t_mem"], rows)


SCALING_WORDS = {
    "half": "λ at P(grok) = 1/2",
    "half_exponent": "d ln λ_half / d ln N",
    "slope_exponent": "d ln slope / d ln N",
    "p_crossing": "crossing of P(grok)",
    "binder_crossing": "crossing of U",
    "collapse_s": "collapse, S",
    "collapse_x_c": "collapse, λ_c",
    "collapse_nu": "collapse, ν",
    "t_factor": "t_grok r, over the largest N's",
    "t_rescaled": "the same at equal λ / λ_half",
    "t_correction": "c of t_N = t_∞ (1 + c/N)",
}


def finite_size_scaling() -> str:
    found = pd.read_parquet(ROOT / "results/finite-size/scaling.parquet")
    rows = []
    for name, words in SCALING_WORDS.items():
        for row in found[found["name"] == name].to_dict("records"):
            sizes = [f"{row[k]:g}" for k in ("size", "next_size") if row[k] == row[k]]
            place = f"N = {'/'.join(sizes)}" if sizes else "all N"
            place += f", λ = {row['x']:.3g}" if row["x"] == row["x"] else ""
            value, low, high = (f"{row[k]:.3g}" for k in ("value", "low", "high"))
            interval = f"{low} to {high}" if "nan" not in (low, high) else "-"
            value = value.replace("nan", "none")
            rows.append([words, place, value, interval, row["note"]])
    return markdown(["", "at", "value", "95%", "note"], rows)


def loops() -> pd.DataFrame:
    return pd.read_parquet(ROOT / "results/hysteresis/hysteresis.parquet")


RAMP = ["weight_decay", "ramp_factor"]


def ramp_name(row: dict) -> str:
    return f"{row['weight_decay']:g} to {row['weight_decay'] * row['ramp_factor']:g}"


def loop_trends() -> str:
    head = ["lambda", "area at the slowest", "b", "95%", "the loop", "came back"]
    rows = []
    for row in hysteresis.trends(loops(), RAMP).to_dict("records"):
        back = "none fell" if row["falls"] == 0 else f"{row['returns']:.0%}"
        spread = f"{row['exponent_low']:.2f} to {row['exponent_high']:.2f}"
        cells = [number(row["area"]), f"{row['exponent']:.2f}", spread]
        rows.append([ramp_name(row), *cells, row["limit"], back])
    return markdown(head, rows)


def loop_rates() -> str:
    """Area, and where the test accuracy passes 1/2 upwards and downwards."""
    rates = hysteresis.by_rate(loops(), RAMP)
    families = [own for _, own in rates.groupby(RAMP)]
    names = [ramp_name(own.iloc[0].to_dict()) for own in families]
    rows = []
    for steps in sorted(rates["ramp_steps"].unique()):
        cells = []
        for own in families:
            row = own[own["ramp_steps"] == steps].iloc[0]
            places = [number(row[k]) for k in ("up_rise", "up_fall")]
            cells.append(f"{row['area']:.2f} ({places[0]}, {places[1]})")
        rows.append([f"{steps:.0f}", *cells])
    return markdown(["steps up", *names], rows)


def loop_ranks() -> str:
    """What is left of networks at the slowest ramp, medians over the seeds."""
    runs, trajectories = stored("hysteresis")
    own = runs[runs["ramp_steps"] == runs["ramp_steps"].max()]
    quantities = ("effective_rank", "train_accuracy", "test_accuracy")
    at_top = {
        name: transitions.values_at(
            trajectories, own.assign(top=own["ramp_steps"]), name, "top"
        )
        for name in quantities
    }
    rows = []
    for _, family in own.groupby(RAMP):
        pairs = [
            f"{number(at_top[n][family.index].median())}, "
            f"{number(family[f'final_{n}'].median())}"
            for n in quantities
        ]
        rows.append([ramp_name(family.iloc[0].to_dict()), *pairs])
    return markdown(["lambda", *(f"`{name}`" for name in quantities)], rows)


def finite_size(name: str) -> pd.DataFrame:
    return pd.read_parquet(ROOT / f"results/finite-size/{name}.parquet")


def boundary_cells() -> str:
    cells = finite_size("transition")
    rows = []
    for name in ("test_accuracy", "train_accuracy", "rqi"):
        own = cells[cells["quantity"] == name]
        for width, of_width in own.groupby("width"):
            row = of_width[of_width["at_boundary"]].iloc[0]
            inside = of_width[
                of_width["progress"].between(*transition_order.TRANSITION)
            ]
            values = [f"{row['weight_decay']:.3g}", f"{row['mean']:.2f}"]
            values += [f"{row['dip']:.3f}", f"{row['p_dip']:.2g}", f"{row['gap']:.2f}"]
            values.append(f"{inside['binder'].min():.2f}")
            rows.append([f"`{name}`", str(width), *values])
    head = ["", "N", "lambda half-way", "mean", "dip", "p", "gap", "lowest U"]
    return markdown(head, rows)


def rqi_modes() -> str:
    """At the boundary cells of rqi: seeds whose first layer has one direction left."""
    runs = stored("finite-size")[0]
    cells = finite_size("transition")
    at = cells[cells["at_boundary"] & (cells["quantity"] == "rqi")]
    rows = []
    for cell in at.sort_values("width").itertuples():
        own = runs[
            (runs["width"] == cell.width) & (runs["weight_decay"] == cell.weight_decay)
        ]
        one = own["final_effective_rank"] < 1.5
        values = [own[mask]["final_rqi"].tolist() for mask in (one, ~one)]
        counts = [f"{len(v)}: {_spread(v)}" if v else "0" for v in values]
        rows.append([str(cell.width), f"{cell.weight_decay:.3g}", *counts])
    head = ["N", "lambda", "rank below 1.5, seeds: rqi", "others, seeds: rqi"]
    return markdown(head, rows)


def order_evidence() -> str:
    found = finite_size("transition-evidence")
    own = found[found["quantity"].isin(["test_accuracy", "rqi"])]
    rows = [
        [f"`{r.quantity}`", r.evidence, r.supports, r.why] for r in own.itertuples()
    ]
    return markdown(["", "evidence", "supports", "why"], rows)


def order_verdicts() -> str:
    found = finite_size("transition-evidence")
    rows = []
    for name, own in found.groupby("quantity", sort=False):
        own_rows = [transition_order.Evidence(*r) for r in own.to_numpy().tolist()]
        rows.append([f"`{name}`", transition_order.verdict(own_rows)[1]])
    return markdown(["", "verdict"], rows)


TABLES: dict[tuple[str, str], Callable[[], str]] = {
    ("README.md", "order parameters"): order_parameter_names,
    ("docs/sweep-files.md", "keys"): keys,
    ("docs/sweep-files.md", "conventions"): conventions,
    ("docs/reproductions.md", "survey2026"): survey_times,
    ("docs/order-parameters.md", "definitions"): definitions,
    ("docs/order-parameters.md", "known networks"): known_networks,
    ("docs/order-parameters.md", "first movers"): first_movers,
    ("docs/order-parameters.md", "rqi"): rqi_of_memorising,
    ("docs/order-parameters.md", "laziness"): laziness,
    ("docs/order-parameters.md", "survey"): survey_claims,
    ("docs/scaling.md", "finite-size scaling"): finite_size_scaling,
    ("docs/transition.md", "loop trends"): loop_trends,
    ("docs/transition.md", "loop rates"): loop_rates,
    ("docs/transition.md", "loop ranks"): loop_ranks,
    ("docs/transition.md", "boundary cells"): boundary_cells,
    ("docs/transition.md", "evidence"): order_evidence,
    ("docs/transition.md", "rqi modes"): rqi_modes,
    ("docs/transition.md", "verdicts"): order_verdicts,
}
