"""Generated tables of docs/systems.md: every task and every model."""

from __future__ import annotations

from table_format import markdown

from grokmap.models import MODELS
from grokmap.tasks import TASKS


def tasks() -> str:
    head = ["task", "y", "inputs", "sizes", "examples", "losses"]
    rows = [
        [
            f"`{name}`",
            task.formula.replace("|", r"\|"),
            task.inputs,
            ", ".join(f"`{size}`" for size in task.sizes) or "fixed",
            "drawn by each run" if task.drawn and not task.shuffled else "one table",
            ", ".join(f"`{loss}`" for loss in task.losses),
        ]
        for name, task in TASKS.items()
    ]
    return markdown(head, rows)


def models() -> str:
    head = ["model", "inputs", "sizes", "further controls", "conventions of alpha"]
    rows = [
        [
            f"`{name}`",
            ", ".join(model.inputs),
            ", ".join(f"`{size}`" for size in model.sizes) or "none",
            ", ".join(f"`{control}`" for control in model.controls) or "none",
            ", ".join(f"`{convention}`" for convention in model.conventions),
        ]
        for name, model in MODELS.items()
    ]
    return markdown(head, rows)


SYSTEM_TABLES = {
    ("docs/systems.md", "tasks"): tasks,
    ("docs/systems.md", "models"): models,
}
