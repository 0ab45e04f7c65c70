"""The forms that compare two models and send simulated annotators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms

from easel.common.errors import Refusal
from easel.evaluation.holding import learned_from
from easel.evaluation.services import ADAPTIVE, MAX_OVERLAP
from easel.evaluation.simulation import MAX_ANNOTATORS, MAX_RANKINGS, NOISE
from easel.evaluation.tastes import MAX_NOISE, TASTES
from easel.projects.models import Membership, Project
from easel.prompts.models import Prompt
from easel.registry.models import ModelVersion

TASTE_CHOICES = [
    (name, f"{name}: they prefer {taste.words}" if taste.measure else f"{name}: they rank at random")
    for name, taste in TASTES.items()
]


def _percent_field(label: str, initial: float, help_text: str) -> forms.IntegerField:
    return forms.IntegerField(
        min_value=0, max_value=round(100 * MAX_NOISE), initial=round(100 * initial), label=label, help_text=help_text
    )


class EvaluateForm(forms.Form):
    """Which two models, on which prompts, judged by whom."""

    WHICH: ClassVar = [("held_out", "The held-out prompts"), ("all", "All of the project")]
    WHO: ClassVar = [("people", "People of this project"), ("simulated", "Simulated annotators with a known taste")]
    ASKS: ClassVar = [("adaptive", "As many people as it takes"), ("fixed", "A fixed number")]

    a = forms.ModelChoiceField(
        queryset=ModelVersion.objects.none(), label="A, the baseline", help_text="What B must beat."
    )
    b = forms.ModelChoiceField(queryset=ModelVersion.objects.none(), label="B, the challenger")
    which = forms.ChoiceField(choices=WHICH, label="Prompts")
    images_per_prompt = forms.IntegerField(
        min_value=1,
        max_value=32,
        initial=1,
        label="Images a prompt, of each model",
        help_text="Each is compared with the other model’s of the same seed. With two or more, diversity is measured.",
    )
    who = forms.ChoiceField(choices=WHO, initial="people", label="Judges")
    taste = forms.ChoiceField(choices=TASTE_CHOICES, required=False)
    noise = _percent_field("Wrong answers, percent", 0, "0 never errs; 50 answers at random.")
    asks = forms.ChoiceField(choices=ASKS, required=False)
    overlap = forms.IntegerField(
        min_value=1,
        max_value=MAX_OVERLAP,
        initial=1,
        label="Judges for each comparison",
        help_text="Two or more show how far judges agree.",
    )

    def __init__(self, project: Project, data: Mapping[str, Any] | None = None, initial: dict[str, Any] | None = None):
        self.project = project
        self.held_out = Prompt.objects.held_out(project).count()
        self.prompts = Prompt.objects.of_project(project).count()
        self.learned_from = learned_from(project).count()
        self.people = Membership.objects.rankers(project).count()
        start = {
            "which": "held_out" if self.held_out else "all",
            "asks": "adaptive" if self.people >= ADAPTIVE.start else "fixed",
        } | (initial or {})
        super().__init__(data, initial=start)
        for name in ("a", "b"):
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset = ModelVersion.objects.renderable()
        self.fields["noise"].required = False
        self.fields["overlap"].required = False

    def clean_overlap(self) -> int:
        """A fixed number is 1 where none is given: the field is put aside where people are asked adaptively."""
        return self.cleaned_data["overlap"] or 1

    def asked(self) -> dict[str, Any]:
        """What `start_evaluation` takes."""
        clean = self.cleaned_data
        simulated = clean["who"] == "simulated"
        return {
            "a": clean["a"],
            "b": clean["b"],
            "prompts": list(Prompt.objects.of_project(self.project)) if clean["which"] == "all" else None,
            "images_per_prompt": clean["images_per_prompt"],
            "judges": f"simulated:{clean['taste']}" if simulated else "people",
            "noise": (clean["noise"] or 0) / 100 if simulated else 0.0,
            "overlap": clean["overlap"],
            "adaptive": clean["asks"] == "adaptive" and not simulated,
        }

    def refuse(self, refusal: Refusal) -> None:
        """Show a refusal at the field that it is about, where there is one."""
        names = {"prompts": "which", "judges": "who", "adaptive": "asks"}
        for name in refusal.fields:
            if names.get(name, name) in self.fields:
                self.add_error(names.get(name, name), refusal.detail)
                return
        self.add_error(None, refusal.detail)


class SimulateForm(forms.Form):
    """Which simulated annotators rank how much."""

    taste = forms.ChoiceField(choices=TASTE_CHOICES)
    rankings = forms.IntegerField(min_value=1, max_value=MAX_RANKINGS, initial=500, label="Rankings, together")
    annotators = forms.IntegerField(min_value=1, max_value=MAX_ANNOTATORS, initial=3)
    noise = _percent_field(
        "Wrong answers, percent", NOISE, "Of the pairs of images that their taste tells apart. 50 is at random."
    )

    def asked(self) -> dict[str, Any]:
        """What `start_simulation` takes."""
        return {**self.cleaned_data, "noise": self.cleaned_data["noise"] / 100}
