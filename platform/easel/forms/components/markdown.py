"""A text for the annotator, written by the admin."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from easel.forms.components.base import BaseComponent


class Markdown(BaseComponent):
    """Shows a Markdown text; HTML in it is shown as text."""

    type: Literal["markdown"]
    text: str = Field(max_length=10_000)
