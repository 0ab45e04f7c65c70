"""The closed vocabulary of a template. A new component is one module and one line in `COMPONENTS`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from easel.forms.components.all_bad import AllBad
from easel.forms.components.base import Answer, AnswerContext, AnswerError
from easel.forms.components.image_grid import ImageGrid
from easel.forms.components.markdown import Markdown
from easel.forms.components.prompt import Prompt
from easel.forms.components.ranking import Ranking
from easel.forms.components.textarea import Textarea

COMPONENTS = (Prompt, ImageGrid, Markdown, Ranking, AllBad, Textarea)
Component = Annotated[
    Prompt | ImageGrid | Markdown | Ranking | AllBad | Textarea,
    Field(discriminator="type"),
]

__all__ = [
    "COMPONENTS",
    "AllBad",
    "Answer",
    "AnswerContext",
    "AnswerError",
    "Component",
    "ImageGrid",
    "Markdown",
    "Prompt",
    "Ranking",
    "Textarea",
]
