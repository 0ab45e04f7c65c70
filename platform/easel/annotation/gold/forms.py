"""The forms that make gold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django import forms

from easel.annotation.gold.automatic import KINDS, MOST
from easel.annotation.gold.making import MAX_NOTE
from easel.common.errors import Refusal


class GoldForm(forms.Form):
    """The right order of an item's images, a place for each; why; and what for."""

    all_bad = forms.BooleanField(required=False, label="All of these images are bad, and that is to be said")
    note = forms.CharField(
        required=False,
        max_length=MAX_NOTE,
        label="Why",
        help_text="Annotators in training read it after their answer.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    training = forms.BooleanField(required=False, label="For training rounds, and not among others")

    def __init__(self, images: Sequence[UUID], data: Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(data, **options)
        self.images = images
        places = [("", "anywhere"), *((str(n), str(n)) for n in range(1, len(images) + 1))]
        for letter, pk in zip("ABCDEFGHIJKLMNOP", images, strict=False):
            self.fields[f"place-{pk}"] = forms.ChoiceField(
                choices=places, required=False, label=f"Place of image {letter}"
            )

    @property
    def places(self) -> list[forms.BoundField]:
        """The fields of the images, in their order."""
        return [self[f"place-{pk}"] for pk in self.images]

    def ranking(self) -> list[list[str]]:
        """Return the order that was given, best first; those that may stand anywhere are absent."""
        given = {str(pk): int(self.cleaned_data[f"place-{pk}"] or 0) for pk in self.images}
        return [[pk for pk, place in given.items() if place == at] for at in sorted({*given.values()} - {0})]

    def refuse(self, refusal: Refusal) -> None:
        """Show why it was refused."""
        self.add_error(None, refusal.detail)


class AutomaticForm(forms.Form):
    """How much gold to make of spoilt images, and how."""

    count = forms.IntegerField(
        min_value=1, max_value=MOST, initial=20, label="Gold items", help_text="Each of another item, drawn by chance."
    )
    kinds = forms.MultipleChoiceField(choices=list(KINDS.items()), initial=list(KINDS), label="What is done, in turn")
    training = forms.BooleanField(required=False, label="For training rounds, and not among others")

    def refuse(self, refusal: Refusal) -> None:
        """Show why it was refused, beside the field that it is about."""
        for field, problems in (refusal.fields or {"": [refusal.detail]}).items():
            self.add_error(field if field in self.fields else None, problems)
