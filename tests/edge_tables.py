"""Tables of the pages on edges of the grok wedge: where, how sharp, of what order."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from conftest import ROOT
from table_format import markdown, number, spread, stored

from grokmap import hysteresis, transition_order, transitions

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
        counts = [f"{len(v)}: {spread(v)}" if v else "0" for v in values]
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


EDGE_TABLES: dict[tuple[str, str], Callable[[], str]] = {
    ("docs/scaling.md", "finite-size scaling"): finite_size_scaling,
    ("docs/transition.md", "loop trends"): loop_trends,
    ("docs/transition.md", "loop rates"): loop_rates,
    ("docs/transition.md", "loop ranks"): loop_ranks,
    ("docs/transition.md", "boundary cells"): boundary_cells,
    ("docs/transition.md", "evidence"): order_evidence,
    ("docs/transition.md", "rqi modes"): rqi_modes,
    ("docs/transition.md", "verdicts"): order_verdicts,
}
