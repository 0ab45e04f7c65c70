"""Groups of which one is in view."""

from __future__ import annotations

from typing import ClassVar, Literal

from easel.forms.components.base import FormView, Group, LayoutComponent


class Tabs(LayoutComponent):
    """Groups of which one is in view; each tab is named by its group's label."""

    title: ClassVar[str] = "Tabs"
    group: ClassVar[Group] = "layout"

    type: Literal["tabs"]

    def misfit(self, form: FormView) -> str:
        """Each tab is a group."""
        if wrong := [part for part in self.components if part.type != "group"]:
            return f"holds {wrong[0].name!r}, which is no group; each tab is a group with components in it"
        return ""
