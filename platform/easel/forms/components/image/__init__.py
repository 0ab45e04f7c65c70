"""The item's one image."""

from __future__ import annotations

from typing import ClassVar, Literal

from easel.forms.components.base import BaseComponent, FormView, Group


class Image(BaseComponent):
    """Shows one candidate, large: for forms that judge each image by itself."""

    title: ClassVar[str] = "Single image"
    group: ClassVar[Group] = "media"

    type: Literal["image"]

    @property
    def images(self) -> int:
        """How many images it shows."""
        return 1

    def misfit(self, form: FormView) -> str:
        """A form shows its images once."""
        return form.shows_images_once(self)
