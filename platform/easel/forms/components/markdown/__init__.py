"""A text for the annotator, written by the admin."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from easel.forms.components.base import BaseComponent, Group


class Markdown(BaseComponent):
    """Shows a Markdown text; HTML in it is shown as text."""

    title: ClassVar[str] = "Text"
    group: ClassVar[Group] = "media"

    type: Literal["markdown"]
    text: str = Field(max_length=10_000)
