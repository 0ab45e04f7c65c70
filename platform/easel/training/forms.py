"""The form that starts a fine-tune."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms

from easel.common.errors import InvalidInput
from easel.projects.models import Project
from easel.registry.models import ModelVersion
from easel.snapshots.models import DatasetSnapshot
from easel.training import services
from easel.training.methods import KNOBS, SENTENCES, Knob
from easel.training.models import FinetuneRun
from easel.training.progress import Estimate, estimate
from finetune.types import TrainSettings


class FinetuneForm(forms.Form):
    """What to learn from, what to teach, and how."""

    snapshot = forms.ModelChoiceField(queryset=DatasetSnapshot.objects.none(), empty_label=None)
    base = forms.ModelChoiceField(queryset=ModelVersion.objects.none(), empty_label=None, label="Base model")
    method = forms.ChoiceField(choices=FinetuneRun.Method.choices, initial=FinetuneRun.Method.LISTWISE)

    def __init__(self, project: Project, data: Any = None) -> None:
        self.project = project
        snapshots = DatasetSnapshot.objects.frozen(project)
        newest, base = snapshots.first(), services.default_base(project)
        super().__init__(data, initial={"snapshot": newest and newest.pk, "base": base and base.pk})
        choices = {"snapshot": snapshots, "base": ModelVersion.objects.bases()}
        for name, queryset in choices.items():
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset = queryset
        for knob in KNOBS:
            field = forms.CharField(required=False, max_length=30, label=knob.label, help_text=knob.help)
            if knob.name == "gradient_checkpointing":
                field = forms.ChoiceField(
                    required=False,
                    choices=[("", "As the base needs it"), ("true", "Yes"), ("false", "No")],
                    label=knob.label,
                    help_text=knob.help,
                )
            else:
                field.widget.attrs |= {"inputmode": "decimal", "autocomplete": "off"}
            self.fields[knob.name] = field
        self.filled = self._filled()
        for knob in KNOBS:
            value = getattr(self.filled, knob.name, None) if self.filled else None
            if value is not None and knob.name != "gradient_checkpointing":
                self.fields[knob.name].widget.attrs["placeholder"] = f"{value:g}"

    @property
    def chosen_method(self) -> str:
        """The method that is chosen now."""
        value = self["method"].value()
        return value if value in FinetuneRun.Method.values else FinetuneRun.Method.LISTWISE

    @property
    def chosen_base(self) -> ModelVersion | None:
        """The base that is chosen now."""
        try:
            found: ModelVersion | None = self.fields["base"].clean(self["base"].value())
        except forms.ValidationError:
            return None
        return found

    def _filled(self) -> TrainSettings | None:
        """The defaults of what is chosen, or None where the base is not on this machine."""
        base = self.chosen_base
        return services.settings_with_defaults(self.chosen_method, base, TrainSettings()) if base else None

    @property
    def methods(self) -> list[tuple[str, str, str, bool]]:
        """Each method: value, label, sentence, and whether it is chosen."""
        chosen = self.chosen_method
        return [(value, label, SENTENCES[value], value == chosen) for value, label in FinetuneRun.Method.choices]

    def _knobs(self, *, advanced: bool) -> Iterator[forms.BoundField]:
        return (self[knob.name] for knob in self._shown() if knob.advanced == advanced)

    def _shown(self) -> list[Knob]:
        return [knob for knob in KNOBS if self.chosen_method in knob.methods]

    @property
    def main_knobs(self) -> list[forms.BoundField]:
        """The settings that are always seen."""
        return list(self._knobs(advanced=False))

    @property
    def advanced_knobs(self) -> list[forms.BoundField]:
        """Those that are folded."""
        return list(self._knobs(advanced=True))

    @property
    def open_advanced(self) -> bool:
        """Whether something is said in, or wrong with, what is folded."""
        return any(field.errors or field.value() for field in self.advanced_knobs)

    @property
    def planned_steps(self) -> int | None:
        """Steps that the run would take."""
        said = str(self["steps"].value() or "")
        if said.isdecimal() and len(said) < 10:
            return int(said)
        return self.filled.steps if self.filled else None

    @property
    def estimate(self) -> Estimate | None:
        """How long it would take, where a run like it is finished."""
        base, steps = self.chosen_base, self.planned_steps
        return estimate(self.chosen_method, base, steps) if base and steps else None

    def clean(self) -> dict[str, Any]:
        """Read the settings that the method has; what is left empty is its default."""
        said = {knob.name: self.cleaned_data.get(knob.name, "").strip() for knob in self._shown()}
        try:
            self.cleaned_data["settings"] = services.read_settings({name: one for name, one in said.items() if one})
        except InvalidInput as refusal:
            for name, problems in refusal.fields.items():
                self.add_error(name if name in self.fields else None, problems)
        return self.cleaned_data

    def refuse(self, refusal: Any) -> None:
        """Show a service's refusal at its fields."""
        for name, problems in refusal.fields.items() or [(None, [refusal.detail])]:
            place = {"base_model": "base"}.get(str(name), str(name))
            self.add_error(place if place in self.fields else None, problems)
