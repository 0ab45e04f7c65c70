"""A form as the ranking page renders it: the same parts for an annotator's item and for a preview."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.templatetags.static import static

from easel.forms.components import BaseComponent
from easel.forms.definition import Definition

Part = dict[str, Any]
SAMPLES = 9
SAMPLE_PROMPT = "a 3d icon of a red apple on a yellow background"


@dataclass(frozen=True)
class FormPage:
    """The parts of a form, as templates include them and as the page's script reads them."""

    before: list[Part]
    """What stands above the images, or everything where the form has none."""
    images: Part | None
    """The image grid, where it is no part of a layout."""
    after: list[Part]
    types: list[str]
    """Every type of component in it: the scripts and styles that the page needs."""
    live: bool
    guided: bool
    """Whether the guidelines stand beside a prompt that is shown; else they stand in the bar."""

    @property
    def shows_images(self) -> bool:
        """Whether there are images anywhere in it."""
        return bool({"image_grid", "image"} & set(self.types))

    @property
    def definition(self) -> Part:
        """For the page's script."""
        middle = [self.images] if self.images else []
        return {"components": [*self.before, *middle, *self.after]}


def page_of(form: Definition) -> FormPage:
    """Split a form at its images; each component gets its template and the words that name it."""
    parts = list(_parts(form.components))
    prompt = next((part for part in _flat(parts) if part["type"] == "prompt" and part["mode"] == "shown"), {})
    prompt["first"] = True
    at = next((index for index, part in enumerate(parts) if part["type"] in {"image_grid", "image"}), None)
    types = sorted({component.type for component in form.walk()})
    if at is None:
        return FormPage(parts, None, [], types, form.live, guided="type" in prompt)
    return FormPage(parts[:at], parts[at], parts[at + 1 :], types, form.live, guided="type" in prompt)


def _parts(components: Iterable[BaseComponent]) -> Iterable[Part]:
    for component in components:
        yield {
            **component.model_dump(mode="json", exclude={"components"}),
            "template": f"components/{component.type}/field.html",
            "shown": component.label or component.title,
            "answered": component.answers,
            "components": list(_parts(component.children)),
        }


def _flat(parts: Iterable[Part]) -> Iterable[Part]:
    for part in parts:
        yield part
        yield from _flat(part["components"])


def sample_of(form: Definition) -> Part:
    """An assignment as the API shows it, with images that come with Easel: for a form that is tried out."""
    shown = form.images
    talk = [
        {"role": "user", "content": "What should I paint first with watercolours?"},
        {"role": "assistant", "content": "A single piece of fruit: one light, one shadow, three colours."},
    ]
    return {
        "id": "sample",
        "template_version": "",
        "draft": None,
        "item": {
            "id": "sample",
            "prompt": {
                "id": "sample",
                "text": SAMPLE_PROMPT if shown else talk[0]["content"],
                "negative": "",
                "messages": None if shown else talk,
                "reference": {"url": static("easel/samples/0.webp"), "width": 64, "height": 64} if shown else None,
            },
            "candidates": [
                {"id": f"c{number}", "url": static(f"easel/samples/{number}.webp"), "width": 64, "height": 64}
                for number in range(1, shown + 1)
            ],
        },
    }
