"""The item's images, side by side."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from easel.forms.components.base import BaseComponent, FormView, Group


class ImageGrid(BaseComponent):
    """Shows the candidates side by side, in an order of the annotator's own."""

    title: ClassVar[str] = "Image grid"
    group: ClassVar[Group] = "media"

    type: Literal["image_grid"]
    count: int = Field(default=4, ge=2, le=9, description="Images an item.")

    @property
    def images(self) -> int:
        """How many images it shows."""
        return self.count

    def misfit(self, form: FormView) -> str:
        """A form shows its images once, and not in a folded part."""
        return form.shows_images_once(self)
