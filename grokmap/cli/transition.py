"""`grokmap transition`: of which order is the transition?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from grokmap.analysis import transition_order as order
from grokmap.cli.events import json_rows
from grokmap.cli.opened import open_result
from grokmap.cli.options import Figures
from grokmap.cli.outputs import name_of, outputs, placed, print_files
from grokmap.cli.places import Where
from grokmap.result.transition import draw, find


class Question(NamedTuple):
    """What is judged, and where; see the options of `grokmap transition`."""

    quantity: str
    x: str
    where: Where
    ramps: Path | None

    @property
    def quantities(self) -> list[str]:
        return [name.strip() for name in self.quantity.split(",")]

    def name(self, place: Mapping[str, Any]) -> str:
        """File name without suffix of the cells, which are of every quantity."""
        of_axis = [] if self.x == "weight_decay" else [self.x]
        return placed("-".join(["transition", *of_axis]), place)

    @property
    def of_quantity(self) -> str:
        """What a file of the chosen quantities has behind its name."""
        chosen = [] if self.quantity == "test_accuracy" else self.quantities[:3]
        return "".join(f"-{name}" for name in chosen)

    def evidence_name(self, place: Mapping[str, Any]) -> str:
        """Of the evidence: from cells of every quantity, from loops of the chosen."""
        name = self.name(place).replace("transition", "transition-evidence", 1)
        return name + (f"-hysteresis{self.of_quantity}" if self.ramps else "")


def judge_transition(
    path: Path, question: Question, figures: Figures, out: Path | None, as_json: bool
) -> None:
    """Prints and writes evidence and verdict, and draws what they are made of."""
    to = outputs(path, out, figures, as_json)
    wanted, ramps = question.quantities, question.ramps
    loops = None if ramps is None else open_result(ramps)
    result = open_result(path, question.where)
    place = result.place
    transition = find(result, wanted, question.x, loops=loops)
    file = to.table(transition.cells, question.name(place))
    evidence_file = to.table(transition.table, question.evidence_name(place))
    if as_json:
        rows = json_rows(transition.table[transition.table["quantity"].isin(wanted)])
        facts = {"verdict": transition.verdict, "all": transition.verdicts}
        print(json.dumps({"file": name_of(file), **facts, "evidence": rows}))
    else:
        _print_evidence([row for row in transition.evidence if row.quantity in wanted])
        _print_verdicts(transition.verdict, transition.verdicts)
        print_files(file, evidence_file)
    drawing = draw(transition)
    name = question.name(place) + question.of_quantity
    to.figure(drawing.figure, drawing.data, name)


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
