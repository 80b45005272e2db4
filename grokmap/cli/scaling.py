"""`grokmap scaling`: how the transition and its times depend on size."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from grokmap.analysis.scaling import Ensemble
from grokmap.classify import read_criteria
from grokmap.cli.events import json_rows
from grokmap.cli.opened import open_result
from grokmap.cli.options import Figures
from grokmap.cli.outputs import (
    file_name,
    name_of,
    outputs,
    placed,
    print_files,
)
from grokmap.cli.places import Where, numbers
from grokmap.errors import shown
from grokmap.result.scaling import Scaling, draw, find


class Question(NamedTuple):
    """What is scaled with what; see the options of `grokmap scaling`."""

    size: str
    x: str
    quantity: str
    where: Where
    between: str | None
    log: bool | None
    clock: str

    def name(self, place: Mapping[str, Any]) -> str:
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
        return "-".join([placed(name, place), *between])

    def values(self) -> dict[str, Any]:
        """The options as `result.scaling.find` takes them."""
        between = None
        if self.between is not None:
            between = tuple(numbers(self.between, "--between", "LOW,HIGH", 2))
        values = self._asdict() | {"between": between}
        del values["where"]
        return values


def scale_result(
    path: Path,
    question: Question,
    criteria: str,
    figures: Figures,
    out: Path | None,
    as_json: bool,
) -> None:
    """Prints and writes the table, and draws the figure."""
    to = outputs(path, out, figures, as_json)
    rules = read_criteria(criteria)
    result = open_result(path, question.where)
    scaling = find(result, **question.values(), criteria=rules)
    name = file_name(question.name(result.place), rules)
    file = to.table(scaling.table, name)
    if as_json:
        print(json.dumps({"file": name_of(file), "found": json_rows(scaling.table)}))
    else:
        _print(path, scaling)
        print_files(file)
    drawing = draw(scaling, to.look)
    to.figure(drawing.figure, drawing.data, name)


def _print(path: Path, scaling: Scaling) -> None:
    e, table = scaling.ensemble, scaling.table
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


def _head(words: str, row: dict[str, object], ensemble: Ensemble) -> str:
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
