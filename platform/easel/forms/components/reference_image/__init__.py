"""The picture that the images start from."""

from __future__ import annotations

from typing import ClassVar, Literal

from easel.forms.components.base import BaseComponent, Group


class ReferenceImage(BaseComponent):
    """Shows the picture that the candidates were made from, where the prompt has one: the source of an edit."""

    title: ClassVar[str] = "Reference image"
    group: ClassVar[Group] = "media"

    type: Literal["reference_image"]
