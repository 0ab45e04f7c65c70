"""Forms of the registry's pages."""

from __future__ import annotations

from django import forms

from easel.registry.models import ModelVersion
from easel.registry.services import NewModel


class AddModelForm(forms.Form):
    """A model to register."""

    location = forms.CharField(
        max_length=200,
        help_text="folder:NAME below EASEL_MODEL_PATH, hub:OWNER/NAME, or api:NAME for a service.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}),
    )
    name = forms.CharField(max_length=90, required=False, help_text="Empty: the location's own name.")
    licence = forms.CharField(max_length=100, required=False, help_text="As Apache-2.0 or CreativeML-OpenRAIL-M.")
    base = forms.ModelChoiceField(
        queryset=ModelVersion.objects.none(),
        required=False,
        label="Base model",
        empty_label="None",
        help_text="What an adapter or ControlNet lies on, or what a fine-tune was made from.",
    )
    kind = forms.ChoiceField(
        choices=[("", "What its files say"), ("pipeline", "Pipeline"), ("adapter", "LoRA adapter"),
                 ("controlnet", "ControlNet"), ("api", "API service")],
        required=False,
        help_text="Needed only for a hub adapter that is not in this machine's cache.",
    )  # fmt: skip
    note = forms.CharField(max_length=2_000, required=False, widget=forms.Textarea(attrs={"rows": 3}))

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        base = self.fields["base"]
        assert isinstance(base, forms.ModelChoiceField)
        base.queryset = ModelVersion.objects.bases()

    def new_model(self) -> NewModel:
        """What was filled in."""
        return NewModel(**self.cleaned_data)
