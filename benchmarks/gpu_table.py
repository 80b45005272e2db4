"""The section on GPUs of benchmarks/README.md, from the files of `make gpu-day`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpu_kept
import numpy as np
from table_rows import head, row

Found = dict[str, Any]
Documents = dict[str, dict[str, Any]]
NOT = "not measured"


def gpu(folder: Path) -> str:
    """The section; what has no file or no row is said not to be measured."""
    documents = {part: gpu_kept.read(folder, part) for part in SECTIONS}
    lines = ["## GPU", _where(folder), ""]
    for part, (title, section) in SECTIONS.items():
        document = documents[part]
        lines += [f"### {title}", "", *_state(document)]
        if any("found" in row for row in document["rows"]):
            lines += [*section(documents), ""]
    return "\n".join(lines).strip()


def _where(folder: Path) -> str:
    """On what it was measured."""
    file = folder / "conditions.json"
    if not file.exists():
        return (
            "Not measured: no GPU has run this yet. `make gpu-day` measures it there, in 25 "
            "minutes that can be had in pieces."
        )
    own = json.loads(file.read_text())
    versions = ", ".join(f"{k} {v}" for k, v in own["versions"].items())
    return (
        f"Measured on {own['n_devices']} x {own['device']} ({own['memory'] / 2**30:.0f} GiB for "
        f"jax), Python {own['python']}, {versions}; each row's date and commit stand in "
        "`results/gpu-day/`. All figures are measured but those called compiled or modelled."
    )


def _state(document: dict[str, Any]) -> list[str]:
    """What of a part is measured, and why the rest is not."""
    state = gpu_kept.status(document)
    if state == NOT:
        return ["Not measured.", ""]
    outcomes = [row["outcome"] for row in document["rows"]]
    counts = [f"{outcomes.count(x)} {x}" for x in dict.fromkeys(outcomes)]
    lines = [f"Of {document['wanted']} measurements: {', '.join(counts)}."]
    lines += [
        f"- {_named(kept['of'])}: {kept['outcome']}: {kept['why']}"
        for kept in document["rows"]
        if "why" in kept and kept["outcome"] != "absent"
    ]
    return [*lines, ""]


def _named(of: Found) -> str:
    return ", ".join(f"{k} {v}" for k, v in of.items())


def found(document: dict[str, Any]) -> list[tuple[Found, Found]]:
    """What each row is of, and what was found."""
    return [(r["of"], r["found"]) for r in document["rows"] if "found" in r]


def figure(value: float | None, digits: int = 4) -> str:
    return NOT if value is None else f"{value:.{digits}g}"


def correctness(documents: Documents) -> list[str]:
    own = dict((of["smoke"], f) for of, f in found(documents["correctness"]))
    lines = head("the smoke sweep", "figure")
    if cpu := own.get("against a CPU"):
        lines += comparison(cpu)
        lines.append(row("agrees with the CPU, within tolerances", cpu["agrees"]))
    if again := own.get("the same again"):
        lines += [
            row("the same command, compiled again", apart(again["compiled_again"])),
            row("the same command, same programs", apart(again["same_programs"])),
            row("whole process, s", figure(again["whole_s"], 3)),
            row(
                "with its programs in the cache, s", figure(again["whole_cached_s"], 3)
            ),
        ]
    return lines


def comparison(own: Found) -> list[str]:
    worst = max(own["start"], key=own["start"].__getitem__)
    ratio = own["times_ratio"]
    return [
        row("labels as on a CPU", f"{own['same_labels']} of {own['runs']}"),
        row(
            "t_mem, t_grok: largest ratio",
            ratio if isinstance(ratio, str) else f"{ratio:.3g}",
        ),
        row(
            "early weight norm: largest relative difference", f"{own['early_norm']:.2g}"
        ),
        row("at step 0: largest difference", f"{own['start'][worst]:.2g} ({worst})"),
    ]


def apart(own: Found) -> str:
    if own["bitwise"]:
        return "equal, bit for bit"
    labels = "same labels" if own["same_labels"] else "**other labels**"
    return (
        f"{labels}; differs from step {own['first_step']} on, there by {own['largest']:.2g}; "
        f"weight norms by {own['largest_norm']:.2g} at most"
    )


def ceilings(documents: Documents) -> list[str]:
    lines = head("rate of this card", "figure")
    for of, own in found(documents["ceilings"]):
        if "product" in of:
            flops = own["flops_per_s"] / 1e12
            lines.append(row(f"products, {of['product']}, TFLOP/s", figure(flops, 3)))
        else:
            lines.append(row("copies, TB/s", figure(own["bytes_per_s"] / 1e12, 3)))
    return lines


def rates(documents: Documents) -> list[str]:
    """Run-steps/s, over the faster PyTorch loop and as shares of the card's rates."""
    products = {
        of["product"]: own["flops_per_s"]
        for of, own in found(documents["ceilings"])
        if "product" in of
    }
    copies = [
        own["bytes_per_s"]
        for _, own in found(documents["ceilings"])
        if "bytes_per_s" in own
    ]
    loops = torch_rates(documents)
    lines = head(
        "setting", "p", "N", "kernel", "precision", "lanes", "run-steps/s", "over PyTorch",
        "of the products' rate", "of the copies' rate", "compiling, s",
    )  # fmt: skip
    for of, own in found(documents["rates"]):
        rate, least = own["run_steps_per_s"], own["least"]
        loop = loops.get((of["setting"], of["p"], of["N"]))
        peak = products.get(of["precision"])
        shares = (
            rate / loop if loop else None,
            rate * least["flops"] / peak if peak else None,
            rate * least["bytes"] / copies[0] if copies else None,
            own["compile_s"],
        )
        lines.append(row(*of.values(), figure(rate), *[figure(x, 3) for x in shares]))
    return lines


def torch_rates(documents: Documents) -> dict[tuple[str, int, int], float]:
    """Run-steps/s of the faster of both loops, by case."""
    best: dict[tuple[str, int, int], float] = {}
    for of, own in found(documents["pytorch"]):
        key = (of["setting"], of["p"], of["N"])
        best[key] = max(best.get(key, 0.0), own["run_steps_per_s"])
    return best


def pytorch(documents: Documents) -> list[str]:
    lines = head("setting", "p", "N", "first layer", "run-steps/s")
    return lines + [
        row(*of.values(), figure(own["run_steps_per_s"]))
        for of, own in found(documents["pytorch"])
    ]


def costs(documents: Documents) -> list[str]:
    """Records and refilling in steps of a lane; then the model against measured."""
    lines = head(
        "sweep", "lanes", "kernel", "step, us", "dense record, steps", "cheap", "expensive",
        "filling a lane, steps", "compiling, s",
    )  # fmt: skip
    for of, own in found(documents["costs"]):
        if "sweep" in of:
            step = own["step_s"]
            each = [own["record_s"].get(k) for k in ("dense", "cheap", "expensive")]
            each.append(own["fill_s"] / own["lanes"])
            shown = [figure(x / step, 3) if x is not None else "-" for x in each]
            us, compiling = figure(1e6 * step, 3), figure(own["compile_s"], 3)
            lines.append(row(*of.values(), own["kernel"], us, *shown, compiling))
    return [*lines, "", *model(documents)]


def model(documents: Documents) -> list[str]:
    """A lane's step, of the engine's own kernel in float32: modelled and measured."""
    steps = best_steps(documents)
    lines = head(
        "setting", "p", "N", "GFLOP (compiled)", "MiB moved (compiled)", "us (modelled)",
        "us (measured, best lanes)", "measured over modelled",
    )  # fmt: skip
    for of, own in modelled(documents):
        step, case = own["step"], tuple(of["modelled"].values())
        seconds, measured = step["modelled_s"], steps.get(case)
        ratio = measured / seconds if measured and seconds else None
        us = [
            figure(1e6 * seconds, 3) if seconds else "of no card that is known",
            figure(measured and 1e6 * measured, 3),
        ]
        size = figure(step["flops"] / 1e9, 3), figure(step["bytes"] / 2**20, 3)
        lines.append(row(*case, *size, *us, figure(ratio, 3)))
    if shares := fitted_shares(documents):
        lines += [
            "",
            f"The model's shares of the card's rates that fit these steps best: {shares[0]:.3g} of "
            f"float32, {shares[1]:.3g} of the bandwidth (in use: `FLOPS_SHARE`, `BANDWIDTH_SHARE`).",
        ]
    return lines


def modelled(documents: Documents) -> list[tuple[Found, Found]]:
    return [(of, own) for of, own in found(documents["costs"]) if "modelled" in of]


def best_steps(documents: Documents) -> dict[tuple[Any, ...], float]:
    """Seconds of a lane's step at the best number of lanes, by case."""
    steps: dict[tuple[Any, ...], float] = {}
    for of, own in found(documents["rates"]):
        if (of["kernel"], of["precision"]) == ("gather_product", "float32"):
            key = (of["setting"], of["p"], of["N"])
            steps[key] = min(own["step_s"], steps.get(key, own["step_s"]))
    return steps


def fitted_shares(documents: Documents) -> tuple[float, float] | None:
    """Shares of a card's float32 rate and bandwidth by which the model fits best.

    By least squares of relative errors; None of fewer than three cases.
    """
    steps = best_steps(documents)
    rows = []
    for of, own in modelled(documents):
        measured = steps.get(tuple(of["modelled"].values()))
        if measured and own["card"]:
            flops, bandwidth = own["card"]
            parts = own["step"]["flops"] / flops, own["step"]["bytes"] / bandwidth
            rows.append([part / measured for part in parts])
    if len(rows) < 3:
        return None
    (flops, bandwidth), *_ = np.linalg.lstsq(np.array(rows), np.ones(len(rows)))
    return float(1 / flops), float(1 / bandwidth)


def memory(documents: Documents) -> list[str]:
    lines = head(
        "lanes", "left when trained", "GiB (compiled)", "GiB taken at most", "of GiB"
    )
    for _, own in found(documents["memory"]):
        sizes = [own[k] for k in ("compiled_bytes", "peak_bytes", "limit_bytes")]
        shown = [figure(x and x / 2**30, 3) for x in sizes]
        lines.append(row(own["lanes"], own["used"], *shown))
    return lines


def precisions(documents: Documents) -> list[str]:
    lines = head(
        "precision", "labels as on a CPU", "times: largest ratio", "early norm"
    )
    for of, own in found(documents["precisions"]):
        ratio = own["times_ratio"]
        shown = ratio if isinstance(ratio, str) else f"{ratio:.3g}"
        labels = f"{own['same_labels']} of {own['runs']}"
        lines.append(row(of["precision"], labels, shown, f"{own['early_norm']:.2g}"))
    return lines


def sweep(documents: Documents) -> list[str]:
    lines = head(
        "sweep", "runs over", "of", "run-steps/s of the last day", "its run-steps"
    )
    return lines + [
        row(
            of["sweep"], own["done"], own["runs"], figure(own["run_steps_per_s"]),
            own["run_steps"],
        )
        for of, own in found(documents["sweep"])
    ]  # fmt: skip


SECTIONS: dict[str, tuple[str, Callable[[Documents], list[str]]]] = {
    "correctness": ("Correctness on a GPU", correctness),
    "ceilings": ("Rates of the card", ceilings),
    "rates": ("Training on a GPU", rates),
    "pytorch": ("PyTorch on the same card", pytorch),
    "costs": ("Records, refilling, compiling, and the model", costs),
    "memory": ("Memory of a GPU", memory),
    "precisions": ("Labels in other precisions", precisions),
    "sweep": ("A large sweep on a GPU", sweep),
}
