"""A line between two parts of a form."""

from __future__ import annotations

from typing import ClassVar, Literal

from easel.forms.components.base import BaseComponent, Group


class Divider(BaseComponent):
    """A line between two parts of the form; a label on it names what follows."""

    title: ClassVar[str] = "Divider"
    group: ClassVar[Group] = "media"

    type: Literal["divider"]
