"""How many images are generated."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from easel.forms.components.base import BaseComponent, FormView, Group, Value, checked_number


class Count(BaseComponent):
    """How many images an attempt makes; without this component as many as the image grid shows."""

    title: ClassVar[str] = "Number of images"
    group: ClassVar[Group] = "generation"

    type: Literal["count"]
    min: int = Field(default=2, ge=1, le=9)
    max: int = Field(default=9, ge=1, le=9)

    @property
    def asks(self) -> bool:
        """Whether it is filled in for an attempt."""
        return True

    @model_validator(mode="after")
    def _min_is_not_above_max(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} must not be above max {self.max}")
        return self

    def misfit(self, form: FormView) -> str:
        """The number of images needs the button that generates, and must suit how they are judged."""
        if "generate" not in form.types:
            return "counts images, and the form has no generate button; add one after it, or remove this component"
        if "image_grid" in form.types and self.min < 2:
            return "lets one image be made, and an image grid is for two or more; raise its min to 2"
        if "pairwise" in form.types and (self.min, self.max) != (2, 2):
            return "lets more than two images be made, and a pairwise choice is between two; set min and max to 2"
        return ""

    def ask(self, value: Value) -> dict[str, Any]:
        """Take a whole number within the limits."""
        return {"count": checked_number(value, self.min, self.max, whole=True)}
