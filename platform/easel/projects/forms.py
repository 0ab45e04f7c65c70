"""Forms of the project pages."""

from __future__ import annotations

from typing import Any

from django import forms

from easel.accounts.models import User
from easel.accounts.roles import Role
from easel.forms.models import Template
from easel.projects.access import templates_of
from easel.projects.services import LONGEST_REASON

MOST_IMAGES_A_DAY = 1_000_000
MOST_ITEMS = 1_000_000
"""The highest limit of items that one person may rank."""
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

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["template"].queryset = templates_of(user).published()  # type: ignore[attr-defined]  # a model choice


class NewTemplateForm(forms.Form):
    """What a new template begins with: another one, a file, or nothing."""

    start = forms.CharField(max_length=60, required=False)
    file = forms.FileField(
        required=False,
        max_length=200,
        label="JSON file",
        widget=forms.ClearableFileInput(attrs={"accept": ".json,application/json", "required": True}),
        help_text="A template that was exported, here or from another Easel.",
    )


class TemplateForm(forms.Form):
    """A template's name and description."""

    name = forms.CharField(max_length=100)
    description = forms.CharField(
        required=False,
        max_length=2_000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What it asks, and when to use it: whoever chooses a template reads this.",
    )


class PublishForm(forms.Form):
    """The draft that is published, and what for."""

    draft_version = forms.IntegerField(min_value=1, max_value=2**31 - 2, widget=forms.HiddenInput)
    note = forms.CharField(
        required=False,
        max_length=500,
        label="What is it for?",
        help_text="For example: shorter, after the first round.",
    )


class UseForm(forms.Form):
    """The version that a project is to use."""

    version = forms.UUIDField()


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

    role = forms.ChoiceField(
        choices=Role.choices, initial=Role.ANNOTATOR, help_text="What each role may do: see below."
    )
    days = forms.IntegerField(min_value=1, max_value=90, initial=7, label="Valid for (days)")
    max_uses = forms.IntegerField(min_value=1, max_value=1_000, initial=1, label="Number of people")


class ReasonForm(forms.Form):
    """Why something is paused."""

    reason = forms.CharField(
        max_length=LONGEST_REASON,
        label="Reason",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Whoever asks for the next item reads it.",
    )


class MemberForm(forms.Form):
    """A member's role and limits."""

    role = forms.ChoiceField(choices=Role.choices)
    limit_day = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=MOST_ITEMS,
        label="Items a day",
        help_text="A day begins at 00:00 UTC. Empty: as the project says.",
    )
    limit_total = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=MOST_ITEMS,
        label="Items in all",
        help_text="Empty: as the project says.",
    )

    def __init__(self, by_role: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if by_role != Role.OWNER:  # only owners make owners
            self.fields["role"].choices = [one for one in Role.choices if one[0] != Role.OWNER]  # type: ignore[attr-defined]
