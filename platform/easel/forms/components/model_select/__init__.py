"""Which model generates."""

from __future__ import annotations

from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from easel.forms.components.base import AnswerError, BaseComponent, FormView, Group, Value


class ModelSelect(BaseComponent):
    """Which of some models generates the images; without a list, any that can."""

    title: ClassVar[str] = "Model"
    group: ClassVar[Group] = "generation"

    type: Literal["model_select"]
    models: tuple[UUID, ...] = Field(
        default=(),
        max_length=50,
        description="Ids of the model versions that are offered; empty: all that can generate.",
    )

    @property
    def asks(self) -> bool:
        """Whether it is filled in for an attempt."""
        return True

    def misfit(self, form: FormView) -> str:
        """A choice of the model needs the button that generates."""
        if "generate" not in form.types:
            return "chooses a model, and the form has no generate button; add one after it, or remove this component"
        return ""

    def ask(self, value: Value) -> dict[str, Any]:
        """Take the id of a model that is offered."""
        try:
            model = UUID(value) if isinstance(value, str) else None
        except ValueError:
            model = None
        if model is None:
            raise AnswerError("must be the id of a model")
        if self.models and model not in self.models:
            raise AnswerError("names a model that this form does not offer; choose another one")
        return {"model": model}
