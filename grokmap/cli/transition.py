"""`grokmap transition`: of which order is the transition?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from grokmap.analysis import transition_order as order
from grokmap.cli.events import json_rows
from grokmap.cli.opened import open_result
from grokmap.cli.options import Figures
from grokmap.cli.outputs import name_of, outputs, print_files
from grokmap.cli.places import read_places
from grokmap.result.transition import draw, find


class Question(NamedTuple):
    """What is judged, and where; see the options of `grokmap transition`."""

    quantity: str
    x: str
    at: tuple[str, ...]
    ramps: Path | None

    @property
    def quantities(self) -> list[str]:
        return [name.strip() for name in self.quantity.split(",")]

    @property
    def name(self) -> str:
        """File name without suffix of the cells, which are of every quantity."""
        of_axis = [] if self.x == "weight_decay" else [self.x]
        return "-".join(["transition", *of_axis, *self.at])

    @property
    def of_quantity(self) -> str:
        """What a file of the chosen quantities has behind its name."""
        chosen = [] if self.quantity == "test_accuracy" else self.quantities[:3]
        return "".join(f"-{name}" for name in chosen)

    @property
    def evidence_name(self) -> str:
        """Of the evidence: from cells of every quantity, from loops of the chosen."""
        name = self.name.replace("transition", "transition-evidence", 1)
        return name + (f"-hysteresis{self.of_quantity}" if self.ramps else "")


def judge_transition(
    path: Path, question: Question, figures: Figures, out: Path | None, as_json: bool
) -> None:
    """Prints and writes evidence and verdict, and draws what they are made of."""
    to = outputs(path, out, figures, as_json)
    wanted, ramps = question.quantities, question.ramps
    loops = None if ramps is None else open_result(ramps)
    place = read_places(question.at)
    transition = find(open_result(path), wanted, question.x, place, loops)
    file = to.table(transition.cells, question.name)
    evidence_file = to.table(transition.table, question.evidence_name)
    if as_json:
        rows = json_rows(transition.table[transition.table["quantity"].isin(wanted)])
        facts = {"verdict": transition.verdict, "all": transition.verdicts}
        print(json.dumps({"file": name_of(file), **facts, "evidence": rows}))
    else:
        _print_evidence([row for row in transition.evidence if row.quantity in wanted])
        _print_verdicts(transition.verdict, transition.verdicts)
        print_files(file, evidence_file)
    drawing = draw(transition, to.look)
    to.figure(drawing.figure, drawing.data, question.name + question.of_quantity)


def _print_evidence(rows: list[order.Evidence]) -> None:
    for row in rows:
        print(f"{row.quantity}, {row.evidence}: {row.supports}")
        print(f"    {row.why}")


def _print_verdicts(verdict: str, verdicts: Mapping[str, str]) -> None:
    print(verdict)
    by_chance = 100 * order.SIGNIFICANT
    print(f"each quantity by itself ({by_chance:g}% seem to have two modes by chance):")
    for kind in (order.FIRST_ORDER, order.CONTINUOUS, order.UNDECIDED):
        names = [name for name, supported in verdicts.items() if supported == kind]
        if names:
            print(f"  {kind:<12} {', '.join(names)}")
