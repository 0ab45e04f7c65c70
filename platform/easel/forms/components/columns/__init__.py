"""Components side by side."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from easel.forms.components.base import Group, LayoutComponent


class Columns(LayoutComponent):
    """Components side by side, one below the other on a phone."""

    title: ClassVar[str] = "Columns"
    group: ClassVar[Group] = "layout"

    type: Literal["columns"]
    count: int = Field(default=2, ge=2, le=4, description="Columns; components fill them row by row.")
