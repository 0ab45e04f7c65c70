"""The settings of a generation that an annotator may turn."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from easel.forms.components.base import AnswerError, BaseComponent, FormView, Group, Value, checked_number

Side = Annotated[int, Field(ge=64, le=2_048, multiple_of=8)]


class Settings(BaseComponent):
    """Steps, guidance, size and seed, each where it is offered; the others are the model's own."""

    title: ClassVar[str] = "Generation settings"
    group: ClassVar[Group] = "generation"

    type: Literal["settings"]
    steps: bool = Field(default=True, description="Offer the number of denoising steps.")
    most_steps: int = Field(default=50, ge=1, le=150, description="At most this many steps.")
    guidance: bool = Field(default=True, description="Offer how closely the prompt is followed.")
    sizes: tuple[tuple[Side, Side], ...] = Field(
        default=(), max_length=10, description="Widths and heights to choose from, pixels; empty: the model's own."
    )
    seed: bool = Field(default=False, description="Offer the seed, to render the same images again.")

    @property
    def asks(self) -> bool:
        """Whether it is filled in for an attempt."""
        return True

    def misfit(self, form: FormView) -> str:
        """Settings need the button that generates."""
        if "generate" not in form.types:
            return "sets a generation, and the form has no generate button; add one after it, or remove this component"
        return ""

    def ask(self, value: Value) -> dict[str, Any]:
        """Take {"steps", "guidance_scale", "size": [width, height], "seed"}, those that are offered."""
        if not isinstance(value, dict):
            raise AnswerError('must be an object, as {"steps": 20}')
        offered = {"steps": self.steps, "guidance_scale": self.guidance, "size": bool(self.sizes), "seed": self.seed}
        if unknown := [name for name in value if not offered.get(name)]:
            raise AnswerError(f"names {unknown[0][:40]!r}, which this form does not offer")
        found: dict[str, Any] = {}
        if value.get("steps") is not None:
            found["steps"] = checked_number(value["steps"], 1, self.most_steps, whole=True)
        if value.get("guidance_scale") is not None:
            found["guidance_scale"] = checked_number(value["guidance_scale"], 0, 30)
        if value.get("size") is not None:
            if value["size"] not in [list(size) for size in self.sizes]:
                raise AnswerError("has a size that this form does not offer")
            found["width"], found["height"] = value["size"]
        made: dict[str, Any] = {"settings": found}
        if value.get("seed") is not None:
            made["seed"] = checked_number(value["seed"], 0, 2**32 - 1, whole=True)
        return made
