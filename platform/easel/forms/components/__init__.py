"""The closed vocabulary of a template. A new component is one folder and its lines in this list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from easel.forms.components.all_bad import AllBad
from easel.forms.components.base import Answer, AnswerContext, AnswerError, BaseComponent, LayoutComponent
from easel.forms.components.best_worst import BestWorst
from easel.forms.components.checkbox import Checkbox
from easel.forms.components.columns import Columns
from easel.forms.components.count import Count
from easel.forms.components.date import Date
from easel.forms.components.divider import Divider
from easel.forms.components.generate import Generate
from easel.forms.components.group import Group
from easel.forms.components.image import Image
from easel.forms.components.image_flags import ImageFlags
from easel.forms.components.image_grid import ImageGrid
from easel.forms.components.image_ratings import ImageRatings
from easel.forms.components.input import Input
from easel.forms.components.markdown import Markdown
from easel.forms.components.model_select import ModelSelect
from easel.forms.components.negative_prompt import NegativePrompt
from easel.forms.components.number import Number
from easel.forms.components.pairwise import Pairwise
from easel.forms.components.prompt import Prompt
from easel.forms.components.radio import Radio
from easel.forms.components.ranking import Ranking
from easel.forms.components.rating import Rating
from easel.forms.components.reference_image import ReferenceImage
from easel.forms.components.region_marks import RegionMarks
from easel.forms.components.select import Select
from easel.forms.components.settings import Settings
from easel.forms.components.slider import Slider
from easel.forms.components.tabs import Tabs
from easel.forms.components.tags import Tags
from easel.forms.components.textarea import Textarea
from easel.forms.components.word_marks import WordMarks

COMPONENTS: tuple[type[BaseComponent], ...] = (
    # inputs
    Input, Textarea, Number, Slider, Rating, Radio, Checkbox, Select, Tags, Date,
    # generation
    Prompt, NegativePrompt, ModelSelect, Settings, Count, Generate,
    # media
    ImageGrid, Image, ReferenceImage, Markdown, Divider,
    # judgement
    Ranking, Pairwise, BestWorst, ImageRatings, ImageFlags, AllBad, RegionMarks, WordMarks,
    # layout
    Group, Columns, Tabs,
)  # fmt: skip
FOLDER = Path(__file__).resolve().parent

if TYPE_CHECKING:
    Component = BaseComponent
else:
    Component = Annotated[Union[COMPONENTS], Field(discriminator="type")]  # noqa: UP007 -- made of the list
    for _component in COMPONENTS:
        if issubclass(_component, LayoutComponent):
            _component.model_rebuild(_types_namespace={"Component": Component})

BY_TYPE: dict[str, type[BaseComponent]] = {
    component.__module__.rpartition(".")[2]: component for component in COMPONENTS
}

__all__ = [
    "BY_TYPE",
    "COMPONENTS",
    "FOLDER",
    "Answer",
    "AnswerContext",
    "AnswerError",
    "BaseComponent",
    "Component",
    "LayoutComponent",
]
