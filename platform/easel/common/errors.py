"""Refusals: what a user may be told. Anything else that is raised is a bug and is not caught."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class Refusal(Exception):
    """A request that cannot be done. `code` is stable for scripts; `detail` says what, where and how to mend it."""

    code = "refused"
    status = 400

    def __init__(
        self,
        detail: str,
        *,
        fields: Mapping[str, Sequence[str]] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fields = {name: list(messages) for name, messages in (fields or {}).items()}
        self.extra = dict(extra or {})


class InvalidInput(Refusal):
    """The input breaks a rule that its sender can mend."""

    code = "invalid"


class NotFound(Refusal):
    """There is no such thing, or none that this user may know of: the two look the same."""

    code = "not_found"
    status = 404

    def __init__(self, what: str = "this") -> None:
        super().__init__(f"There is no {what} here, or you have no access to it.")


class Forbidden(Refusal):
    """The user may see the thing but not do this with it."""

    code = "forbidden"
    status = 403


class Conflict(Refusal):
    """The thing has changed since the user looked at it."""

    code = "conflict"
    status = 409


class IllegalTransition(Conflict):
    """A row was not in a state from which this move is allowed: somebody else was first."""

    code = "illegal_transition"


class TooLarge(Refusal):
    """More bytes or rows than are taken at once."""

    code = "too_large"
    status = 413


class StorageUnavailable(Refusal):
    """A stored file cannot be read or written."""

    code = "storage_unavailable"
    status = 503
