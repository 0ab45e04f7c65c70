"""Forms of the prompt pages."""

from __future__ import annotations

from django import forms


class UploadForm(forms.Form):
    """A file of prompts."""

    file = forms.FileField(
        label="File",
        help_text="A .txt file with one prompt a line, or a .csv / .tsv file with a column named prompt.",
        widget=forms.ClearableFileInput(attrs={"accept": ".txt,.csv,.tsv"}),
        error_messages={"empty": "The file is empty. Put one prompt on each line, or a column named 'prompt'."},
    )


class PasteForm(forms.Form):
    """Prompts typed or pasted."""

    text = forms.CharField(
        label="Or paste them, one on each line", widget=forms.Textarea(attrs={"rows": 6}), max_length=1_000_000
    )
