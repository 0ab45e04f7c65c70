"""Forms of the generation page."""

from __future__ import annotations

from django import forms

from easel.registry.models import ModelVersion


class GenerateForm(forms.Form):
    """A generation request for all prompts of a project."""

    model = forms.ModelChoiceField(queryset=ModelVersion.objects.order_by("-created_at"), empty_label=None)
    images_per_prompt = forms.IntegerField(min_value=1, max_value=64, initial=4, label="Images a prompt")
    steps = forms.IntegerField(
        min_value=1, max_value=150, required=False, help_text="Denoising steps. Empty: the model's own default."
    )
    guidance_scale = forms.FloatField(
        min_value=0,
        max_value=30,
        required=False,
        help_text="How closely to follow the prompt. Empty: the model's own default.",
    )
