"""Every kind of caller, and rows of the matrix in few words.

A row says, for a method, the status that each caller gets. Methods that a row does not name must answer 405.
"""

from __future__ import annotations

from collections.abc import Collection

MEMBERS = ("viewer", "annotator", "reviewer", "engineer", "admin")
OUTSIDE = ("stranger", "foreign admin", "deactivated")
"""Who gets 404: also one who was an admin of both projects, and is let in no more."""
CALLERS = ("anonymous", *OUTSIDE, *MEMBERS)

INSPECTORS = ("viewer", "reviewer", "engineer", "admin")
RANKERS = ("annotator", "reviewer", "admin")
REVIEWERS = ("reviewer", "admin")
MAKERS = ("engineer", "admin")
MANAGERS = ("admin",)

Statuses = dict[str, int]
Row = dict[str, Statuses]


def api(who: Collection[str], status: int = 200, *, anonymous: int = 401) -> Statuses:
    """These members may, other members may not, and for everybody else it does not exist."""
    outside = dict.fromkeys(OUTSIDE, 404)
    return {"anonymous": anonymous, **outside, **{role: status if role in who else 403 for role in MEMBERS}}


def page(who: Collection[str], status: int = 200) -> Statuses:
    """The same of a page, which leads to signing in who has not."""
    return api(who, status, anonymous=302)


def act(who: Collection[str]) -> Statuses:
    """The same of a form, which leads on once it is sent."""
    return page(who, 302)


def all_of(anonymous: int, others: int) -> Statuses:
    """All who are signed in get the same."""
    return dict.fromkeys(CALLERS, others) | {"anonymous": anonymous}


def bobs_own(status: int = 200, *, anonymous: int = 401) -> Statuses:
    """The annotator's own: not even an admin may have it."""
    return dict.fromkeys(CALLERS, 404) | {"anonymous": anonymous, "annotator": status}
