"""The form that takes a snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from easel.annotation.models import Subset
from easel.forms.models import TemplateVersion
from easel.projects.models import Project
from easel.snapshots.filters import REVIEWS, Filters, categories_of
from easel.snapshots.services import MAX_NAME
from easel.snapshots.splits import Shares

DAY = forms.DateInput(attrs={"type": "date"})


class SnapshotForm(forms.Form):
    """What to freeze. Left as it is, it takes all annotations by people."""

    name = forms.CharField(max_length=MAX_NAME, required=False, help_text="For example: Icons, after round 2")
    since = forms.DateField(required=False, label="From", widget=DAY)
    until = forms.DateField(required=False, label="To", widget=DAY)
    template_version = forms.ModelChoiceField(
        queryset=TemplateVersion.objects.none(), required=False, empty_label="Any", label="Form"
    )
    categories = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, help_text="None ticked: all prompts."
    )
    least_agreement = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=100,
        label="Least agreement (%)",
        help_text="Leaves out items on which annotators agree less, and those that one person ranked.",
    )
    subset = forms.ModelChoiceField(
        queryset=Subset.objects.none(),
        required=False,
        empty_label="All items",
        help_text="Items that somebody chose in Curate.",
    )
    review = forms.ChoiceField(
        choices=list(REVIEWS.items()), required=False, initial="not_returned", label="Reviewers’ verdicts"
    )
    include_simulated = forms.BooleanField(required=False, label="With simulated annotators")
    validation = forms.IntegerField(min_value=0, max_value=50, initial=5, label="Validation (%)")
    test = forms.IntegerField(min_value=0, max_value=40, initial=5, label="Test (%)")
    seed = forms.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        initial=0,
        label="Seed of the split",
        help_text="The same seed puts the same prompts into the same splits, in every snapshot.",
    )

    def __init__(self, project: Project, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data)
        versions, categories = self.fields["template_version"], self.fields["categories"]
        subsets = self.fields["subset"]
        assert isinstance(versions, forms.ModelChoiceField)
        assert isinstance(subsets, forms.ModelChoiceField)
        subsets.queryset = Subset.objects.filter(project=project).order_by("name")
        assert isinstance(categories, forms.MultipleChoiceField)
        used = project.items.to_rank().values("template_version")
        versions.queryset = TemplateVersion.objects.filter(pk__in=used).select_related("template")
        categories.choices = [(name, name) for name in categories_of(project)]

    def clean(self) -> dict[str, Any]:
        """Check what belongs together."""
        clean = self.cleaned_data
        if clean.get("since") and clean.get("until") and clean["since"] > clean["until"]:
            self.add_error("until", "The last day comes before the first one.")
        return clean

    def filters(self) -> Filters:
        """The filters that are asked for."""
        clean = self.cleaned_data
        version, agreement = clean.get("template_version"), clean.get("least_agreement")
        subset = clean.get("subset")
        return Filters(
            since=clean.get("since"),
            until=clean.get("until"),
            template_version=version.pk if version else None,
            categories=tuple(clean.get("categories") or ()),
            least_agreement=agreement / 100 if agreement else None,
            subset=subset.pk if subset else None,
            review=clean.get("review") or "not_returned",
        )

    def shares(self) -> Shares:
        """The split that is asked for."""
        clean = self.cleaned_data
        return Shares(validation=clean["validation"] / 100, test=clean["test"] / 100, seed=clean["seed"])
