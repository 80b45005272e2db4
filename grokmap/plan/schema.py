"""The JSON schema of sweep files."""

from __future__ import annotations

from typing import Any

from grokmap.plan.choices import NAMES
from grokmap.spec import AXES, Sweep
from grokmap.spec.axis import GRAMMAR
from grokmap.spec.words import CHOICES


def sweep_schema() -> dict[str, Any]:
    """JSON schema of a sweep file, for editors; names as enumerations."""
    schema = Sweep.model_json_schema()
    properties: dict[str, Any] = schema["properties"]
    for key, names in NAMES.items():
        enum = {"enum": sorted(names), "type": "string"}
        several = {"type": "array", "items": enum}
        properties[key] |= several if key == "order_parameters" else enum
        properties[key].pop("anyOf", None)
    for key in {*CHOICES} - NAMES.keys():
        properties[key] |= {"type": "boolean"}
        properties[key].pop("anyOf", None)
    axes = {k: properties[k] for k in AXES} | {
        k: _swept(properties[k]) for k in CHOICES
    }
    properties["axes"] = {
        "type": "object",
        "additionalProperties": False,
        "description": f"swept keys; each axis: a list or {GRAMMAR}",
        "properties": axes,
    }
    # What else a sweep needs may stand at the top or under [axes].
    schema["required"] = ["name"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _swept(choice: dict[str, Any]) -> dict[str, Any]:
    """A choice under [axes]: one value, or a list of several, or names in one text."""
    one = {k: choice[k] for k in ("type", "enum") if k in choice}
    listed = {"type": "array", "items": one, "minItems": 1, "uniqueItems": True}
    texts = [{"type": "string", "pattern": ","}] if "enum" in one else []
    return {"description": choice["description"], "anyOf": [one, listed, *texts]}
