"""Forms of the project pages."""

from __future__ import annotations

from django import forms

from easel.accounts.roles import Role
from easel.forms.models import Template


class NewProjectForm(forms.Form):
    """A new project."""

    name = forms.CharField(max_length=100, help_text="For example: Icons, round 1")
    template = forms.ModelChoiceField(
        queryset=Template.objects.all(), empty_label=None, help_text="What annotators fill in."
    )
    overlap = forms.IntegerField(
        min_value=1,
        max_value=50,
        initial=1,
        label="People an item",
        help_text="How many annotators rank each prompt's images. More people: steadier results, more work.",
    )


class SettingsForm(forms.Form):
    """A project's name and guidelines."""

    name = forms.CharField(max_length=100)
    guidelines = forms.CharField(
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 14}),
        help_text="Markdown. Annotators can open it beside every item.",
    )


class InvitationForm(forms.Form):
    """A new invitation link."""

    role = forms.ChoiceField(choices=Role.choices, initial=Role.ANNOTATOR)
    days = forms.IntegerField(min_value=1, max_value=90, initial=7, label="Valid for (days)")
    max_uses = forms.IntegerField(min_value=1, max_value=1_000, initial=1, label="Number of people")


class RoleForm(forms.Form):
    """A member's new role."""

    role = forms.ChoiceField(choices=Role.choices)
