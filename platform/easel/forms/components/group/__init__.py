"""Components that belong together."""

from __future__ import annotations

from typing import ClassVar, Literal

from easel.forms.components.base import Group as GroupName
from easel.forms.components.base import LayoutComponent


class Group(LayoutComponent):
    """Components that belong together, under one heading; shown or hidden as one."""

    title: ClassVar[str] = "Group"
    group: ClassVar[GroupName] = "layout"

    type: Literal["group"]
