"""What a file of prompts holds: rows that are taken, and why each other one is not."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from easel.common.errors import InvalidInput


@dataclass(frozen=True)
class Row:
    """One prompt as it was read; `number` counts from 1 as an editor shows the file's lines or a list's entries."""

    number: int
    text: str
    negative: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    conditioning: str = ""
    """Id of the picture that its images start from."""
    held_out: bool = False
    """Whether it is kept for evaluations."""
    talks: bool = False
    """Whether it is a conversation, the `messages` of its metadata; else these are metadata as any other."""

    @property
    def digest(self) -> str:
        """What makes two prompts the same: the same text may stand with two pictures, or end two conversations."""
        parts = [self.text, self.negative, *([self.conditioning] if self.conditioning else [])]
        if self.talks:
            parts.append(json.dumps(self.metadata["messages"], sort_keys=True))
        return sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True)
class Rejected:
    """A row that is not taken, and why."""

    row: int
    reason: str


@dataclass(frozen=True)
class Parsed:
    """What a file holds."""

    rows: list[Row]
    rejected: list[Rejected]


TRUTHS = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
"""What a cell of the column held_out may say, in any case."""


class BadFile(InvalidInput):
    """A file that cannot be read as a whole."""

    code = "bad_file"
