"""The button that generates."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from easel.forms.components.base import BaseComponent, FormView, Group


class Generate(BaseComponent):
    """The button that makes images of what was written above it. A form that has it is a live form."""

    title: ClassVar[str] = "Generate button"
    group: ClassVar[Group] = "generation"

    type: Literal["generate"]
    vary: bool = Field(default=True, description="Offer to vary one of the images, which starts from it.")
    strength: float = Field(
        default=0.6, ge=0.1, le=1, description="How much of an image is made anew when it is varied."
    )

    def misfit(self, form: FormView) -> str:
        """It needs a prompt to be written above it, and images to show."""
        if form.types.count("generate") > 1:
            return "is the second generate button; a form has one"
        if not any(part.type == "prompt" and part.asks for part in form.before(self)):
            return "has no prompt to generate from; put a prompt with the mode input above it"
        if not {"image_grid", "image"} & set(form.types):
            return "has nowhere to show its images; add an image grid below it"
        return ""
