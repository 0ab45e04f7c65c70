"""Forms of the prompt pages."""

from __future__ import annotations

from typing import Any

from django import forms
from pydantic import ValidationError

from easel.prompts.models import ConditioningImage
from generation.types import Margins


class UploadForm(forms.Form):
    """A file of prompts."""

    file = forms.FileField(
        label="File",
        help_text="A .txt file with one prompt a line, a .csv / .tsv file with a column named prompt or messages, or "
        "JSON with these keys. A column held_out that says yes keeps a prompt for evaluations.",
        widget=forms.ClearableFileInput(attrs={"accept": ".txt,.csv,.tsv,.json,.jsonl"}),
        error_messages={"empty": "The file is empty. Put one prompt on each line, or a column named 'prompt'."},
    )


class PasteForm(forms.Form):
    """Prompts typed or pasted."""

    text = forms.CharField(
        label="Or paste them, one on each line", widget=forms.Textarea(attrs={"rows": 6}), max_length=1_000_000
    )


class PictureForm(forms.Form):
    """A picture that images start from."""

    KINDS = (
        (ConditioningImage.Kind.IMAGE, "Start from it (image to image)"),
        (ConditioningImage.Kind.INPAINT, "Make a part of it anew (inpainting)"),
        (ConditioningImage.Kind.OUTPAINT, "Paint around it (outpainting)"),
        (ConditioningImage.Kind.CONTROL, "Guide a ControlNet"),
    )
    PICTURES = "image/png,image/jpeg,image/webp"

    kind = forms.ChoiceField(label="What it is for", choices=KINDS)
    image = forms.FileField(
        label="Picture",
        help_text="PNG, JPEG or WebP, sides up to 2,048 pixels. Only its pixels are kept: no place, no camera.",
        widget=forms.ClearableFileInput(attrs={"accept": PICTURES}),
    )
    mask = forms.FileField(
        label="Mask, for inpainting",
        required=False,
        help_text="Of the picture's size; white is made anew.",
        widget=forms.ClearableFileInput(attrs={"accept": PICTURES}),
    )
    left = forms.IntegerField(label="Left", required=False, min_value=0, max_value=1024)
    top = forms.IntegerField(label="Top", required=False, min_value=0, max_value=1024)
    right = forms.IntegerField(label="Right", required=False, min_value=0, max_value=1024)
    bottom = forms.IntegerField(label="Bottom", required=False, min_value=0, max_value=1024)
    prompts = forms.CharField(
        label="Prompts for it, one on each line",
        required=False,
        max_length=1_000_000,
        help_text="They are added to the project with this picture. Leave it empty to choose the picture later.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    margins: Margins | None = None

    def clean(self) -> dict[str, Any]:
        """Put the margins together."""
        given = {side: self.cleaned_data.get(side) for side in ("left", "top", "right", "bottom")}
        if any(given.values()):
            try:
                self.margins = Margins.model_validate({side: pixels or 0 for side, pixels in given.items()})
            except ValidationError as error:
                for problem in error.errors():
                    self.add_error(str(problem["loc"][0]), "Give a multiple of 8.")
        return self.cleaned_data
