"""The JSON schema of sweep files."""

from __future__ import annotations

from typing import Any

from grokmap.plan.choices import NAMES
from grokmap.spec import AXES, Sweep
from grokmap.spec.axis import GRAMMAR


def sweep_schema() -> dict[str, Any]:
    """JSON schema of a sweep file, for editors; names as enumerations."""
    schema = Sweep.model_json_schema()
    properties: dict[str, Any] = schema["properties"]
    for key, names in NAMES.items():
        enum = {"enum": sorted(names), "type": "string"}
        several = {"type": "array", "items": enum}
        properties[key] |= several if key == "order_parameters" else enum
        properties[key].pop("anyOf", None)
    axes = {k: properties[k] for k in AXES}
    properties["axes"] = {
        "type": "object",
        "additionalProperties": False,
        "description": f"swept keys; each axis: a list or {GRAMMAR}",
        "properties": axes,
    }
    # A required number may stand at the top or under [axes].
    schema["required"] = ["name", "task"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
