"""How a person likes to work: read, checked and written here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from easel.accounts.keymap import differences, faults_of, keys_of
from easel.accounts.models import User
from easel.common.errors import InvalidInput

FIELDS = ("keys", "text_direction", "blur", "declined", "session_goal", "break_after")
MOST_DECLINED = 50
LONGEST_CATEGORY = 100
GOALS = (1, 1000)
BREAKS = (5, 240)


def profile_of(user: User) -> dict[str, Any]:
    """Return a person's profile, with the key of every act."""
    return {name: getattr(user, name) for name in FIELDS} | {"keys": keys_of(user.keys)}


def change_profile(user: User, wanted: Mapping[str, Any]) -> None:
    """Store what changed; what is left out stays as it is.

    Of `keys` only what differs from the usual ones is kept. Raises InvalidInput with all that is wrong, each at its
    field ("keys.skip").
    """
    changes = dict(wanted)
    faults: dict[str, str] = {}
    for name, value in changes.items():
        if name not in FIELDS:
            faults[name] = f"A profile has no “{name[:60]}”. It has: {', '.join(FIELDS)}."
        else:
            faults |= _FAULTS[name](value)
    if faults:
        raise InvalidInput(" ".join(faults.values()), fields={name: [words] for name, words in faults.items()})
    if "keys" in changes:
        changes["keys"] = differences(changes["keys"])
    if "declined" in changes:
        changes["declined"] = _once(changes["declined"])
    for name, value in changes.items():
        setattr(user, name, value)
    if changes:
        User.objects.filter(pk=user.pk).update(**changes)


def _once(categories: list[str]) -> list[str]:
    """Trimmed, and each once, however it is written."""
    return list({category.strip().casefold(): category.strip() for category in categories}.values())


def _of_keys(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {"keys": "The keys are no object of acts and their keys. Write them as {“skip”: “K”}."}
    return {f"keys.{act}": words for act, words in faults_of(value).items()}


def _of_direction(value: Any) -> dict[str, str]:
    known = ", ".join(User.Direction.values)
    fits = isinstance(value, str) and value in User.Direction.values
    return {} if fits else {"text_direction": f"There is no text direction {value!r:.40}. Choose one of: {known}."}


def _of_blur(value: Any) -> dict[str, str]:
    return {} if isinstance(value, bool) else {"blur": "Blur is on or off: write true or false."}


def _of_declined(value: Any) -> dict[str, str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        return {"declined": "The declined categories are no list of texts. Write them as [“violence”]."}
    if len(value) > MOST_DECLINED:
        return {"declined": f"{len(value)} categories are declined; at most {MOST_DECLINED} can be."}
    for one in value:
        if not one.strip():
            return {"declined": "A declined category is empty. Write its name or delete it."}
        if len(one.strip()) > LONGEST_CATEGORY:
            most = LONGEST_CATEGORY
            return {
                "declined": f"The category “{one.strip()[:30]}…” has {len(one.strip())} characters; at most {most}."
            }
        if "\x00" in one:
            return {"declined": "A declined category holds a character that no text can have (NUL). Delete it."}
    return {}


def _whole(name: str, words: str, least: int, most: int, unit: str) -> Any:
    def fault(value: Any) -> dict[str, str]:
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and least <= value <= most):
            return {}
        return {name: f"{words} is no whole number from {least} to {most} {unit}. Leave it empty for none."}

    return fault


_FAULTS = {
    "keys": _of_keys,
    "text_direction": _of_direction,
    "blur": _of_blur,
    "declined": _of_declined,
    "session_goal": _whole("session_goal", "The session goal", *GOALS, "items"),
    "break_after": _whole("break_after", "The time to a break", *BREAKS, "minutes"),
}
