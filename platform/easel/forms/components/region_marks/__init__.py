"""Places on an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from easel.forms.components.base import (
    Answer,
    AnswerContext,
    AnswerError,
    BaseComponent,
    FormView,
    Group,
    Options,
    by_letter,
    checked_option,
    checked_text,
    of_candidates,
)

DIGITS = 4  # of a fraction: a tenth of a pixel at 1,000 pixels


class RegionMarks(BaseComponent):
    """Boxes and points drawn on images: `{"c1": [{"x": 0.1, "y": 0.2, "w": 0.3, "h": 0.3, "kind": "artifact"}]}`.

    x, y, w and h are fractions of the image's width and height, from its top left corner; a point has no size
    (w = h = 0). The kinds follow rich human feedback (Liang et al. 2024, arXiv:2312.10240): artifacts, misalignment.
    """

    title: ClassVar[str] = "Region marks"
    group: ClassVar[Group] = "judgement"
    answers: ClassVar[bool] = True

    type: Literal["region_marks"]
    kinds: Options = Field(description="What a mark can mean.")
    shape: Literal["box", "point", "both"] = "both"
    notes: bool = Field(default=False, description="Whether a mark may have a few words.")
    most: int = Field(default=10, ge=1, le=50, description="At most this many marks an image.")

    def misfit(self, form: FormView) -> str:
        """Marks on images need images."""
        return form.needs_images(self, "marks places on images")

    def check(self, answer: Answer, context: AnswerContext) -> Answer:
        """Take marks within images of the item."""
        checked = {}
        for candidate, marks in of_candidates(answer, context).items():
            if not isinstance(marks, list):
                raise AnswerError("must hold a list of marks for each image")
            if len(marks) > self.most:
                raise AnswerError(f"has {len(marks)} marks on one image; at most {self.most} are taken")
            if marks:
                checked[candidate] = [self._mark(mark) for mark in marks]
        return checked

    def _mark(self, mark: Any) -> dict[str, Any]:
        if not isinstance(mark, dict) or not {"x", "y", "kind"} <= set(mark) <= {"x", "y", "w", "h", "kind", "note"}:
            raise AnswerError(
                'holds a mark that is none; one is {"x": 0.1, "y": 0.2, "w": 0.3, "h": 0.3, "kind": "..."}'
            )
        x, y, w, h = (self._fraction(mark.get(side, 0)) for side in ("x", "y", "w", "h"))
        if x + w > 1.0005 or y + h > 1.0005:
            raise AnswerError("holds a mark that reaches out of its image")
        if self.shape == "point" and (w or h):
            raise AnswerError("holds a box, and this template takes points")
        if self.shape == "box" and not (w and h):
            raise AnswerError("holds a point, and this template takes boxes")
        checked = {"x": x, "y": y, "w": w, "h": h, "kind": checked_option(mark["kind"], self.kinds)}
        if mark.get("note"):
            if not self.notes:
                raise AnswerError("holds a note, and this template takes none")
            checked["note"] = checked_text(mark["note"], 200, lines=False)
        return checked

    def _fraction(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise AnswerError("holds a mark whose place is no fraction of the image, from 0 to 1")
        return round(float(value), DIGITS)

    def words(self, answer: Answer, letters: Mapping[str, str], text: str) -> str:
        """As `A: 2 x Looks wrong (six fingers); B: 1 x Looks wrong`."""
        found = {}
        for one, marks in answer.items():
            said = []
            for kind in self.kinds:
                if of_kind := [mark for mark in marks if mark["kind"] == kind.value]:
                    notes = ", ".join(mark["note"] for mark in of_kind if mark.get("note"))
                    said.append(f"{len(of_kind)} x {kind.label or kind.value}{f' ({notes})' if notes else ''}")
            found[one] = ", ".join(said)
        return by_letter(found, letters)

    def columns(self) -> tuple[str, ...]:
        """How many marks there are of each kind."""
        return tuple(f"{self.name}.{kind.value}" for kind in self.kinds)

    def cells(self, answer: Answer) -> dict[str, object]:
        """How many marks there are of each kind; their places are in the JSONL export."""
        marks = [mark["kind"] for found in answer.values() for mark in found]
        return {f"{self.name}.{kind.value}": marks.count(kind.value) for kind in self.kinds}
