"""A person's profile: keys, direction of text, blur, declined categories, goal and breaks."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from easel.accounts.keymap import ACTS, FREE, RESERVED, keys_of
from easel.accounts.models import User
from easel.accounts.profile import FIELDS, change_profile
from easel.common.errors import InvalidInput
from easel.projects.models import Project


@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """Show how a person likes to work, and change it."""
    user = request.user
    assert isinstance(user, User)
    shown: dict[str, Any] = {name: getattr(user, name) for name in FIELDS}
    faults: dict[str, str] = {}
    if request.method == "POST":
        shown = _wanted(request.POST)
        try:
            change_profile(user, shown)
        except InvalidInput as refusal:
            faults = {name: " ".join(words) for name, words in refusal.fields.items()}
        else:
            messages.success(request, "Saved. A ranking page that is open follows when it is reloaded.")
            return redirect("profile")
    offered = sorted(
        {category for one in Project.objects.of(user) for category in one.sensitive_categories}, key=str.casefold
    )
    declined = {category.casefold() for category in shown["declined"]}
    chosen = keys_of({name: key for name, key in shown["keys"].items() if key})
    context = {
        "shown": shown,
        "faults": faults,
        "directions": User.Direction.choices,
        "keys_now": chosen,
        "groups": _groups(chosen, faults),
        "keymap": {
            "acts": {act.name: {"label": act.label, "usual": act.usual} for act in ACTS},
            "free": sorted(FREE),
            "reserved": RESERVED,
        },
        "offered": [(category, category.casefold() in declined) for category in offered],
        "others": ", ".join(one for one in shown["declined"] if one not in offered),
    }
    return render(request, "accounts/profile.html", context)


def _groups(chosen: dict[str, str], faults: dict[str, str]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The acts with their keys, under the headings of their groups."""
    found: dict[str, list[dict[str, Any]]] = {}
    for act in ACTS:
        row = {"act": act, "key": chosen[act.name], "fault": faults.get(f"keys.{act.name}", "")}
        found.setdefault(act.group, []).append(row)
    return list(found.items())


def _wanted(posted: QueryDict) -> dict[str, Any]:
    """What the form asks for; what is no number stays text, and is refused as such."""
    keys = {act.name: posted.get(f"key_{act.name}", "").strip() for act in ACTS}
    declined = posted.getlist("declined") + [one.strip() for one in posted.get("others", "").split(",")]
    return {
        "keys": {name: key for name, key in keys.items() if key},
        "text_direction": posted.get("text_direction", ""),
        "blur": "blur" in posted,
        "declined": [one for one in declined if one],
        "session_goal": _number(posted.get("session_goal", "")),
        "break_after": _number(posted.get("break_after", "")),
    }


def _number(text: str) -> int | str | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else (text or None)
