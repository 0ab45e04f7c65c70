"""The prompt of the item: shown, or written by the annotator."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from easel.forms.components.base import BaseComponent, FormView, Group, Value, checked_text


class Prompt(BaseComponent):
    """The text that the images are generated for: shown, or written here in a live form.

    A prompt that is a conversation is shown as one.
    """

    title: ClassVar[str] = "Prompt"
    group: ClassVar[Group] = "generation"

    type: Literal["prompt"]
    mode: Literal["shown", "input"] = Field(
        default="shown", description="input: the annotator writes it, and the images are generated then."
    )
    placeholder: str = Field(default="", max_length=200)
    max_length: int = Field(default=1_000, ge=1, le=5_000, description="Characters.")

    @property
    def asks(self) -> bool:
        """Whether it is filled in for an attempt."""
        return self.mode == "input"

    def misfit(self, form: FormView) -> str:
        """An input needs the button that generates."""
        if self.asks and "generate" not in form.types:
            return "asks for a prompt, and the form has no generate button; add one after it, or set its mode to shown"
        return ""

    def ask(self, value: Value) -> dict[str, Any]:
        """Take the prompt's text."""
        return {"prompt": checked_text(value, self.max_length)}
