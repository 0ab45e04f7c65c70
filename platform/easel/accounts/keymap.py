"""The keys of the ranking page: what each act is called, its usual key, and which keys somebody may choose. Pure.

A key is written as the page writes it: "S", "Shift+Z", "Enter", "Space", "Backspace", ";". Letters are those of a Latin
keyboard; the page finds them by where they lie on others.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HELP_KEY = "?"
_NAMED = ("Enter", "Space", "Backspace", "Delete", "Insert", "Home", "End", "PageUp", "PageDown")
_SIGNS = ",.;'/\\[]`"


@dataclass(frozen=True)
class KeyAct:
    """Something that a key of the ranking page does."""

    name: str
    label: str
    usual: str
    """Its key, where a person has not chosen another."""
    group: str
    note: str = ""


ACTS = (
    KeyAct("submit", "Submit and next", "Enter", "Every item"),
    KeyAct("skip", "Skip, with a reason", "S", "Every item"),
    KeyAct("undo", "Undo", "Z", "Every item"),
    KeyAct("redo", "Redo", "Shift+Z", "Every item"),
    KeyAct("undo_submission", "Undo last submission", "U", "Every item", "While the item is still yours: ten minutes."),
    KeyAct("write", "Write in the text field", "T", "Every item"),
    KeyAct("enlarge", "Enlarge all images", "Space", "Images"),
    KeyAct("flip", "Flip between two images", "V", "Images", "C does it too, where no image is called C."),
    KeyAct("look", "Show a blurred image", "L", "Images"),
    KeyAct("look_all", "Show all blurred images", "Shift+L", "Images"),
    KeyAct("take_out", "Take an image out of the ranking", "Backspace", "Images", "0 does it too."),
    KeyAct("none", "None is acceptable; both are bad", "X", "Images"),
    KeyAct("equal", "Equally good", "E", "Images", "In forms that compare two images."),
    KeyAct("prompt", "Write the prompt", "P", "Forms that generate"),
    KeyAct("vary", "Vary the chosen image", "R", "Forms that generate"),
    KeyAct("earlier", "Earlier attempts", "H", "Forms that generate"),
)
BY_NAME = {act.name: act for act in ACTS}
USUAL = {act.name: act.usual for act in ACTS}

FREE = frozenset(
    {*_NAMED, *_SIGNS}
    | {letter for letter in string.ascii_uppercase if letter > "I"}
    | {f"Shift+{letter}" for letter in string.ascii_uppercase if letter > "I"}
)
"""Keys that any act may have. An act may keep its usual key, too, where that is none of these."""
RESERVED = {
    **dict.fromkeys((letter for letter in "ABCDEFGHI"), "the letters A to I name the images"),
    **{f"Shift+{letter}": "with Shift, the letters A to I tie images" for letter in "ABCDEFGHI"},
    **dict.fromkeys(string.digits, "digits give places"),
    **dict.fromkeys(("ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"), "arrows move to another image"),
    **dict.fromkeys("+-=_", "it enlarges and shrinks images"),
    HELP_KEY: "it opens the sheet of keys",
    "Escape": "it leaves texts and closes what is open",
    "Tab": "it moves to the next field",
}
"""Keys that stay what they are, with the reason."""


def keys_of(chosen: Mapping[str, str]) -> dict[str, str]:
    """The key of every act: what somebody has chosen, else the usual one."""
    return {name: chosen.get(name, usual) for name, usual in USUAL.items()}


def faults_of(chosen: Mapping[Any, Any]) -> dict[str, str]:
    """What is wrong with a choice of keys, by act; empty where nothing is."""
    faults: dict[str, str] = {}
    for name, key in chosen.items():
        if name not in BY_NAME:
            known = ", ".join(BY_NAME)
            faults[str(name)] = f"There is no act “{str(name)[:60]}” that a key could do. The acts are: {known}."
        elif not isinstance(key, str) or not key:
            faults[str(name)] = f"“{BY_NAME[name].label}” has no key. Press one, or leave the act out."
        elif fault := _fault_of(BY_NAME[name], key):
            faults[str(name)] = fault
    if not faults:
        faults = _conflicts({str(name): str(key) for name, key in chosen.items()})
    return faults


def differences(chosen: Mapping[str, str]) -> dict[str, str]:
    """The keys that differ from the usual ones: all that is stored."""
    return {name: chosen[name] for name in USUAL if name in chosen and chosen[name] != USUAL[name]}


def _fault_of(act: KeyAct, key: str) -> str:
    if key in FREE or key == act.usual:
        return ""
    if key in RESERVED:
        return f"“{act.label}” cannot have the key {key}: {RESERVED[key]}. Choose a letter from J to Z, or a sign."
    return f"“{act.label}” cannot have the key {key[:20]!r}. Choose a letter from J to Z, or a sign."


def _conflicts(chosen: Mapping[str, str]) -> dict[str, str]:
    """Two acts on one key: both are named, and the fault stands at the one that was chosen."""
    faults: dict[str, str] = {}
    holders: dict[str, str] = {}
    for name, key in keys_of(chosen).items():
        other = holders.setdefault(key, name)
        if other == name:
            continue
        at = name if name in differences(chosen) else other
        first, second = BY_NAME[other].label, BY_NAME[name].label
        faults[at] = f"“{first}” and “{second}” both have the key {key}. Give one of them another key."
    return faults
