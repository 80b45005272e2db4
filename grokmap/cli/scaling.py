"""`grokmap scaling`: how the transition and its times depend on size."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from grokmap import plot, store
from grokmap.analysis import scaling
from grokmap.classify import GROK
from grokmap.cli.opened import open_result
from grokmap.cli.outputs import name_of, outputs, print_files
from grokmap.cli.results import load_runs
from grokmap.errors import SpecError, short, shown
from grokmap.result.labels import criteria_with
from grokmap.spec.names import nearest


class Question(NamedTuple):
    """What is scaled with what; see the options of `grokmap scaling`."""

    size: str
    x: str
    quantity: str
    at: tuple[str, ...]
    between: str | None
    log: bool | None
    clock: str

    @property
    def name(self) -> str:
        """File name without suffix, telling what differs from the default."""
        name = "scaling"
        if (self.size, self.x) != ("width", "weight_decay"):
            name += f"-{self.size}-{self.x}"
        if self.quantity != "test_accuracy":
            name += f"-{self.quantity}"
        if self.log is not None:
            name += "-log" if self.log else "-linear"
        if self.clock != "decay":
            name += f"-{self.clock}"
        # One boundary of two must not take the place of the other.
        between = [] if self.between is None else [f"between={self.between}"]
        return "-".join([name, *self.at, *between])


def scale_result(
    path: Path,
    question: Question,
    criteria: str,
    formats: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Prints and writes the table, and draws the figure."""
    to = outputs(path, out, formats, as_json)
    rules = criteria_with(criteria, [GROK])
    known = open_result(path).quantities
    if question.quantity not in known:
        near = nearest(question.quantity, known)
        raise SpecError(f"--quantity {short(question.quantity)!r}; {near}")
    runs = _runs_asked_for(path, question, load_runs(path, rules, _columns(question)))
    size, x, quantity, *_, log, clock = question
    ensemble = scaling.gather(runs, size, x, quantity, clock, log)
    found = scaling.measure(ensemble)
    name = question.name
    if rules.name != "default":
        name += f"-{rules.name}"
    file = to.table(found.table, name)
    if as_json:
        print(json.dumps({"file": name_of(file), "found": _records(found.table)}))
    else:
        _print(path, found)
        print_files(file)
    label = quantity.replace("_", " ")
    scales = plot.Scales(size, x, ensemble.log, label, clock)
    figure = plot.scaling_figure(found.table, scales)
    to.figure(figure, found.table, name)


def _columns(question: Question) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*store.LABELS_READ, question.quantity]))


def _runs_asked_for(path: Path, question: Question, runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of one (size, x, seed) grid.

    Raises:
      SpecError: the size or x is not swept; another axis is, and no value is chosen.
    """
    swept = [axis for axis in store.read_spec(path).swept if axis != "seed"]
    words = ", ".join(swept) or "nothing"
    if question.size not in scaling.SIZES:
        known = ", ".join(scaling.SIZES)
        raise SpecError(f"--size {short(question.size)!r}; known: {known}")
    if question.x == question.size:
        raise SpecError(f"--x {question.x}: is the size; choose another axis")
    for option, axis in (("--size", question.size), ("--x", question.x)):
        if axis not in swept:
            raise SpecError(f"{option} {short(axis)!r} is not swept; swept: {words}")
    others = [axis for axis in swept if axis not in (question.size, question.x)]
    runs = scaling.at(runs, others, dict(_chosen(text) for text in question.at))
    if question.between is None:
        return runs
    low, high = _numbers(question.between, "--between", "LOW,HIGH", 2)
    inside = runs[runs[question.x].between(low * (1 - 1e-9), high * (1 + 1e-9))]
    if inside[question.x].nunique() < 2:
        count = "one value" if len(inside) else "no run"
        few = f"{count} of {question.x} is between; two or more are needed"
        raise SpecError(f"--between {question.between}: {few}")
    return inside


def _chosen(text: str) -> tuple[str, float]:
    axis, _, value = text.partition("=")
    return axis.strip(), _numbers(value, f"--at {text}", "axis=value", 1)[0]


def _numbers(text: str, option: str, form: str, count: int) -> list[float]:
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count or not all(map(math.isfinite, values)):
        raise SpecError(f"{option}: {short(text)!r}; give {form}")
    return values


def _records(table: pd.DataFrame) -> list[dict[str, object]]:
    """Rows as JSON has them: null for what is not defined."""
    return [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v
         for k, v in row.items()}
        for row in table.to_dict("records")
    ]  # fmt: skip


def _print(path: Path, found: scaling.Found) -> None:
    e, table = found.ensemble, found.table
    shape = f"{len(e.sizes)} {e.size}s x {len(e.x)} {e.axis} x {e.grok.shape[2]} seeds"
    print(shown(f"{path}: {shape}"))
    cells = int((e.undecided > 0).sum())
    print(f"undecided (censored) runs: {e.undecided.sum()}; cells left out: {cells}")
    time = "decay times" if e.clock == "decay" else "steps"
    lines = {
        "half": f"{e.axis} at P(grok) = 1/2",
        "half_exponent": f"d ln of it / d ln {e.size}",
        "slope_exponent": f"d ln slope / d ln {e.size}",
        "p_crossing": "crossing of P(grok)",
        "binder_crossing": f"crossing of U({e.quantity})",
        "collapse_s": "collapse: S",
        "collapse_x_c": f"collapse: {e.axis}_c",
        "collapse_inverse_nu": "collapse: 1/nu",
        "collapse_nu": "collapse: nu",
        "t_factor": f"t_grok ({time}), relative",
        "t_rescaled": f"the same at equal {e.axis} / half",
        "t_correction": "c of t_inf (1 + c/N)",
    }
    # One c at each x is for the table: here only the one of all.
    pooled = table[(table["name"] != "t_correction") | table["x"].isna()]
    for name, words in lines.items():
        rows = pooled[pooled["name"] == name].to_dict("records")
        heads = _numbered([_head(words, row, e) for row in rows])
        for head, row in zip(heads, rows, strict=True):
            print(f"{head:<50} {_number(row)}")


def _head(words: str, row: dict[str, object], ensemble: scaling.Ensemble) -> str:
    places = []
    if not _missing(row["size"]):
        places.append(f"{ensemble.size} {row['size']:g}")
    if not _missing(row["next_size"]):
        places[-1] += f"/{row['next_size']:g}"
    if not _missing(row["x"]):
        places.append(f"{ensemble.axis} {row['x']:.3g}")
    return ", ".join([words, *places])


def _numbered(heads: list[str]) -> list[str]:
    """The heads, with "1 of 3" and so on behind those that several rows share."""
    counts, seen = Counter(heads), Counter[str]()
    numbered = []
    for head in heads:
        seen[head] += 1
        which = f", {seen[head]} of {counts[head]}" if counts[head] > 1 else ""
        numbered.append(head + which)
    return numbered


def _missing(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _number(row: dict[str, object]) -> str:
    value, low, high = (np.float64(str(row[key])) for key in ("value", "low", "high"))
    if math.isnan(value):
        return f"- ({row['note']})"
    text = f"{value:.3g}"
    if not math.isnan(low):
        text += f" [{low:.3g}, {high:.3g}]"
    return text + (f" ({row['note']})" if row["note"] else "")
