"""Names of axes and quantities as the page shows them, and marks of phases."""

from __future__ import annotations

from grokmap import plot
from grokmap.classify import Criteria

AXES = {
    "alpha": "α",
    "weight_decay": "weight decay λ",
    "decay_rate": "decay rate r (per step)",
    "train_fraction": "train fraction",
    "width": "width N",
    "modulus": "modulus p",
    "learning_rate": "learning rate η",
    "momentum": "momentum β",
    "beta1": "β₁",
    "beta2": "β₂",
    "epsilon": "ε",
}
# Beside the colour, a mark of its own: nobody has to tell colours apart.
MARKS = ("cross", "bar", "disc", "diamond")


def label(name: str) -> str:
    """A key as words: weight_decay -> weight decay λ, rqi -> rqi."""
    return AXES.get(name, name.replace("_", " "))


def phases(rules: Criteria) -> list[dict[str, object]]:
    """Name, colour, mark of each phase, and whether it is one of generalisation."""
    drawn = plot.phases_of(rules.phases, rules.generalised)
    return [
        {
            "name": name,
            "colour": drawn.colours[name],
            "mark": MARKS[rules.phases.index(name)],
            "grokked": name in drawn.grokked,
        }
        for name in dict.fromkeys(rules.phases)
    ]
