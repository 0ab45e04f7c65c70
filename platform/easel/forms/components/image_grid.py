"""The item's images, side by side."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from easel.forms.components.base import BaseComponent


class ImageGrid(BaseComponent):
    """Shows the candidates in an order of the annotator's own."""

    type: Literal["image_grid"]
    count: int = Field(default=4, ge=2, le=9, description="Images an item.")
