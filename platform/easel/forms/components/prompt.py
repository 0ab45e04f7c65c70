"""The prompt of the item, shown."""

from __future__ import annotations

from typing import Literal

from easel.forms.components.base import BaseComponent


class Prompt(BaseComponent):
    """Shows the text that the images were generated for."""

    type: Literal["prompt"]
