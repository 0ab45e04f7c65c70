"""What a definition says, in words: values, options, conditions. The words are the vocabulary's own descriptions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from easel.forms.components.base import BaseComponent
from easel.forms.conditions import WORDS

SHORT = 60
"""Characters of a text that are quoted."""
CONDITIONS = {
    "visible_if": ("shown only where {}", "always shown"),
    "required_if": ("an answer asked for where {}", "no answer asked for by a condition"),
}
SHORT_NAMES = {"visible_if": "shown where", "required_if": "an answer asked for where", "formerly": "named before"}


def title_of(component: BaseComponent) -> str:
    """Return what people call a component: Ranking “Rank”."""
    return f"{component.title} {quoted(component.label or component.name)}"


def quoted(text: str) -> str:
    """Quote a text, shortened to its beginning."""
    line = " ".join(text.split())
    return f"“{line if len(line) <= SHORT else line[: SHORT - 1] + '…'}”"


def value_in_words(value: Any) -> str:
    """Say a property's value."""
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return ", ".join(value_in_words(entry) for entry in value)
    if isinstance(value, dict):
        if {"name", "op"} <= set(value):
            return condition_in_words(value)
        if "value" in value:
            return quoted(str(value.get("label") or value["value"]))
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def condition_in_words(condition: Mapping[str, Any]) -> str:
    """Say a condition: “best” is “none”."""
    value = condition.get("value")
    compared = "" if value is None else f" {value:g}" if isinstance(value, float) else f" {value_in_words(value)}"
    return f"{quoted(str(condition['name']))} {WORDS[condition['op']]}{compared}"


def property_in_words(component: BaseComponent, name: str) -> str:
    """Name a property as the vocabulary describes it, without its value: "images may share a place"."""
    if name in SHORT_NAMES:
        return SHORT_NAMES[name]
    described = type(component).model_fields[name].description or ""
    first = described.split(".")[0].split(";")[0].removeprefix("Whether ")
    if not first or len(first) > SHORT or "this many" in first:
        return name.replace("_", " ")
    return first if first[:2].isupper() else first[0].lower() + first[1:]


def change_in_words(component: BaseComponent, name: str, old: Any, new: Any) -> str:
    """Say how a property changed: "at most 5 places → at most 3 places"."""
    if name in CONDITIONS:
        some, none = CONDITIONS[name]
        before, after = (some.format(condition_in_words(one)) if isinstance(one, dict) else none for one in (old, new))
        return f"now {after}; before, {before}"
    if name == "formerly":
        return f"reads what was answered under {value_in_words(new)}; before, under {value_in_words(old)}"
    described = (type(component).model_fields[name].description or "").rstrip(".")
    if "this many" in described and isinstance(old, int) and isinstance(new, int):
        form = (described[0].lower() + described[1:]).replace("this many", "{}")
        return f"{form.format(old)} → {form.format(new)}"
    words = property_in_words(component, name)
    if isinstance(old, list) and isinstance(new, list) and (listed := _list_change(old, new)):
        return f"{words}: {listed}"
    before, after = value_in_words(old), value_in_words(new)
    if before == after:  # they differ behind what is quoted, or in what the words leave out
        return f"{words}: {_first_difference(old, new)}"
    return f"{words}: {before} → {after}"


def _first_difference(old: Any, new: Any) -> str:
    before, after = (one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in (old, new))
    same = next((place for place, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), None)
    start = max(0, (min(len(before), len(after)) if same is None else same) - SHORT // 3)
    return f"“…{before[start : start + SHORT]}” → “…{after[start : start + SHORT]}”"


def _list_change(old: list[Any], new: list[Any]) -> str:
    """Say what became of the entries of a list, or nothing where they are of a kind that has no names."""
    before, after = _by_key(old), _by_key(new)
    if len(before) < len(old) or len(after) < len(new):
        return ""
    said = [f"{value_in_words(entry)} added" for key, entry in after.items() if key not in before]
    said += [f"{value_in_words(entry)} removed" for key, entry in before.items() if key not in after]
    for key, entry in after.items():
        if key in before and before[key] != entry:
            was, now = value_in_words(before[key]), value_in_words(entry)
            said.append(f"{was} is now {now}" if was != now else f"{was} changed")
    if [key for key in after if key in before] != [key for key in before if key in after]:
        said.append("in another order")
    return ", ".join(said)


def _by_key(entries: list[Any]) -> dict[str, Any]:
    """The entries by what tells them apart: the value of an option, else the whole."""
    return {
        str(entry["value"]) if isinstance(entry, dict) and "value" in entry else json.dumps(entry): entry
        for entry in entries
    }
