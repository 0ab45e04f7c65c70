"""Forms of the project pages."""

from __future__ import annotations

from django import forms

from easel.accounts.roles import Role
from easel.forms.models import Template

MOST_IMAGES_A_DAY = 1_000_000
USUAL = "rlhf-image-ranking-batch"
"""The key of the template that a project begins with where nothing else is chosen."""


class NewProjectForm(forms.Form):
    """A new project."""

    name = forms.CharField(max_length=100, help_text="For example: Icons, round 1")
    template = forms.ModelChoiceField(
        queryset=Template.objects.published(),
        initial=lambda: Template.objects.named(USUAL),
        empty_label=None,
        help_text="What annotators fill in.",
    )
    overlap = forms.IntegerField(
        min_value=1,
        max_value=50,
        initial=1,
        label="People an item",
        help_text="How many annotators rank each prompt's images. More people: steadier results, more work.",
    )


class SettingsForm(forms.Form):
    """A project's name, its guidelines, and how many images annotators may have made."""

    name = forms.CharField(max_length=100)
    guidelines = forms.CharField(
        required=False,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 14}),
        help_text="Markdown. Annotators can open it beside every item.",
    )
    live_quota_person = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=MOST_IMAGES_A_DAY,
        label="Images a person a day",
        help_text="How many one annotator may have generated in the form; the count starts anew at 00:00 UTC. 0: none.",
    )
    live_quota_project = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=MOST_IMAGES_A_DAY,
        label="Images of all a day",
        help_text="How many all annotators together may have generated. 0: none.",
    )


class InvitationForm(forms.Form):
    """A new invitation link."""

    role = forms.ChoiceField(choices=Role.choices, initial=Role.ANNOTATOR)
    days = forms.IntegerField(min_value=1, max_value=90, initial=7, label="Valid for (days)")
    max_uses = forms.IntegerField(min_value=1, max_value=1_000, initial=1, label="Number of people")


class RoleForm(forms.Form):
    """A member's new role."""

    role = forms.ChoiceField(choices=Role.choices)
