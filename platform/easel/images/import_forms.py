"""The form that takes images from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from easel.common.errors import InvalidInput, TooLarge
from easel.common.pictures import MAX_BYTES
from easel.images.imports import MAX_FILES, Said, Upload
from easel.prompts.models import MAX_TEXT
from easel.registry.imported import MAX_NAME


class ManyFilesInput(forms.ClearableFileInput):
    """A file input that takes several."""

    allow_multiple_selected = True


class ImportForm(forms.Form):
    """What counts for files that do not say it themselves; the files are read apart, one by one."""

    images = forms.FileField(
        label="Images",
        required=False,
        widget=ManyFilesInput(attrs={"accept": ".png,.jpg,.jpeg,.webp", "aria-describedby": "id_images_help"}),
    )
    prompt = forms.CharField(
        label="Prompt of files that name none",
        required=False,
        max_length=MAX_TEXT,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    source = forms.CharField(label="Model of files that name none", required=False, max_length=MAX_NAME)

    def said(self) -> Said:
        """Return what counts where a file is silent."""
        return Said(prompt=self.cleaned_data["prompt"], model=self.cleaned_data["source"])


def uploads_of(files: Sequence[UploadedFile[Any]], fallback: Said) -> Iterator[Upload]:
    """Read uploaded files, one in memory at a time. Raises InvalidInput for none, TooLarge for more than are taken."""
    if not files:
        message = "No image is there. Choose one or several PNG, JPEG or WebP files."
        raise InvalidInput(message, fields={"files": [message]})
    if len(files) > MAX_FILES:
        raise TooLarge(f"{len(files):,} files are too many at once; at most {MAX_FILES}. Send them in parts.")
    # One byte more than is taken is enough to know that a file is too large.
    return (Upload(file.name or "file", file.read(MAX_BYTES + 1), fallback=fallback) for file in files)
