"""The vocabulary as the builder offers it: what can be added, and what can be set of each component.

All of it is read from the components themselves (their JSON Schema, title, words and examples.json): a new component is
in the builder without a line here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, get_args

from easel.forms.components import BY_TYPE, FOLDER, BaseComponent, LayoutComponent
from easel.forms.components.base import Group
from easel.forms.conditions import WORDS
from easel.forms.reading import MAX_BYTES, MAX_COMPONENTS, MAX_LAYERS

LONG_TEXT = 500
"""Characters; a text that may be longer has a box of several lines."""
LABELS = {
    "exclude": "Leave out of exports",
    "visible_if": "Show if",
    "required_if": "Required if",
    "max_length": "Longest",
}
HELP = {
    "name": "What answers and exports call it.",
    "required": "Nobody can submit without an answer.",
    "formerly": "Answers that were given under these names stay readable.",
    # Their labels say it.
    "exclude": "",
    "visible_if": "",
    "required_if": "",
}
FIRST = ("label", "name", "help")
LAST = ("required", "exclude", "visible_if", "required_if", "formerly")
OF_ANSWERS = ("required", "required_if", "exclude")
"""Properties that say something of an answer."""
ANSWERS = {
    "input": "text", "textarea": "text", "date": "day", "number": "number", "slider": "number", "rating": "number",
    "radio": "choice", "select": "choice", "checkbox": "choices", "tags": "texts", "all_bad": "flag",
    "pairwise": "pair",
}  # fmt: skip
"""What conditions can compare in an answer; of the others only whether there is one."""


@cache
def palette() -> dict[str, Any]:
    """Return the groups, the components with their controls, the words of comparisons, and the limits."""
    return {
        "groups": list(get_args(Group)),
        "components": [_offered(kind, component) for kind, component in BY_TYPE.items()],
        "comparisons": WORDS,
        "limits": {"components": MAX_COMPONENTS, "layers": MAX_LAYERS, "bytes": MAX_BYTES},
    }


def _offered(kind: str, component: type[BaseComponent]) -> dict[str, Any]:
    words = (sys.modules[component.__module__].__doc__ or component.title).strip().splitlines()[0]
    examples = json.loads((FOLDER / kind / "examples.json").read_text(encoding="utf-8"))
    return {
        "type": kind,
        "title": component.title,
        "words": words,
        "group": component.group,
        "layout": issubclass(component, LayoutComponent),
        "answers": component.answers,
        "compared": ANSWERS.get(kind, "") if component.answers else "",
        "defaults": examples["definition"],
        "properties": list(_properties(component)),
    }


def _properties(component: type[BaseComponent]) -> Iterator[dict[str, Any]]:
    schema = component.model_json_schema()
    if "$ref" in schema:  # a component that holds components refers to itself
        schema = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    found = {name: one for name, one in schema["properties"].items() if name not in {"type", "components"}}
    own = [name for name in found if name not in FIRST + LAST]
    fills = component.answers or component.asks is not BaseComponent.asks
    for name in [*FIRST, *own, *LAST]:
        one = _control(name, found[name], schema)
        # What means nothing here is shown only where it is set, so that it can be taken out.
        one["unused"] = name in OF_ANSWERS and not (fills if name == "required" else component.answers)
        yield one


def _control(name: str, schema: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, Any]:
    """Return a property as a control of the properties panel."""
    optional = any(one.get("type") == "null" for one in schema.get("anyOf", ()))
    said = next((one for one in schema.get("anyOf", ()) if one.get("type") != "null"), schema)
    control: dict[str, Any] = {
        "name": name,
        "label": LABELS.get(name, name.replace("_", " ").capitalize()),
        "help": HELP.get(name, schema.get("description", "")),
        "control": _kind(name, said, whole),
        "needed": name in whole.get("required", ()),
        "optional": optional,
    }
    if "default" in schema:
        control["default"] = schema["default"]
    limits = {
        "least": ("minimum", "exclusiveMinimum"),
        "most": ("maximum",),
        "longest": ("maxLength",),
        "choices": ("enum",),
        "entries": ("maxItems",),
    }
    for ours, theirs in limits.items():
        for one in theirs:
            if one in said:
                control[ours] = said[one]
    if control["control"] == "texts" and "maxLength" in said["items"]:
        control["longest"] = said["items"]["maxLength"]
    return control


def _kind(name: str, schema: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    """Return which control a property's schema asks for."""
    if name in {"name", "formerly"}:
        return name
    if "$ref" in schema:
        return "condition" if schema["$ref"].endswith("/Condition") else ""
    if "enum" in schema:
        return "choice"
    match schema.get("type"):
        case "boolean":
            return "flag"
        case "integer":
            return "whole"
        case "number":
            return "number"
        case "string":
            return "day" if schema.get("format") == "date" else "long" if _is_long(schema) else "text"
        case "array":
            items = schema["items"]
            if items.get("$ref", "").endswith("/Option"):
                return "options"
            if items.get("format") == "uuid":
                return "models"
            return {"array": "sizes", "string": "texts"}.get(items.get("type"), "")
    return ""


def _is_long(schema: Mapping[str, Any]) -> bool:
    return int(schema.get("maxLength", 0)) > LONG_TEXT
