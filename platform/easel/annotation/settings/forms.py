"""The sections of the settings page, a form each."""

from __future__ import annotations

from typing import Any

from django import forms

from easel.annotation.distribution import MAX_OVERLAP
from easel.annotation.settings.services import AGREE, preset_of, tidy
from easel.annotation.stopping import Rule
from easel.projects.forms import MOST_ITEMS, SettingsForm
from easel.projects.models import Project

MOST_CATEGORIES = 100
LONGEST_CATEGORY = 100


class AboutForm(SettingsForm):
    """The project's name and guidelines, and how many images are made live."""


class OverlapForm(forms.Form):
    """How many people rank each item."""

    preset = forms.ChoiceField(choices=[(name, name) for name in ("one", "agree", "exactly", "own")])
    exactly = forms.IntegerField(required=False, min_value=2, max_value=MAX_OVERLAP, label="People an item")
    start = forms.IntegerField(required=False, min_value=1, max_value=MAX_OVERLAP, label="Start with")
    lead = forms.IntegerField(required=False, min_value=1, max_value=MAX_OVERLAP, label="Stop at a lead of")
    cap = forms.IntegerField(required=False, min_value=1, max_value=MAX_OVERLAP, label="At most")

    @classmethod
    def initial_of(cls, rule: Rule) -> dict[str, Any]:
        """Return what the form shows of a rule."""
        own = rule if rule.lead else AGREE
        return {
            "preset": preset_of(rule),
            "exactly": max(rule.start, 2),
            "start": own.start,
            "lead": int(own.lead),
            "cap": own.cap,
        }

    def clean(self) -> dict[str, Any]:
        """See that the numbers of what was chosen are there."""
        said = super().clean() or {}
        needed = {"exactly": ("exactly",), "own": ("start", "lead", "cap")}.get(said.get("preset", ""), ())
        for name in needed:
            if said.get(name) is None and name not in self.errors:
                self.add_error(name, "Say how many.")
        return said

    @property
    def rule(self) -> Rule:
        """What was chosen."""
        said = self.cleaned_data
        if said["preset"] == "own":
            return Rule(said["start"], said["lead"], said["cap"])
        return {"one": Rule(1), "agree": AGREE}.get(said["preset"]) or Rule(said["exactly"])


class LimitsForm(forms.Form):
    """How much one annotator may do, and which items come first."""

    limit_day = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=MOST_ITEMS,
        label="Items a person a day",
        help_text="A day begins at 00:00 UTC. Empty: any number. A member's own limit goes first.",
    )
    limit_total = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=MOST_ITEMS,
        label="Items a person in all",
        help_text="Keeps one person's taste from ruling. Empty: any number.",
    )
    selection = forms.ChoiceField(choices=Project.Selection.choices, label="Comparisons of models")


class GoldForm(forms.Form):
    """How annotators are measured."""

    gold_share = forms.IntegerField(
        min_value=0,
        max_value=50,
        label="Gold, percent",
        help_text="Of items. Nobody can tell them from others. 10 is usual; 0 gives none out.",
    )
    gold_share_first = forms.IntegerField(
        min_value=0,
        max_value=50,
        label="Gold of the first 20, percent",
        help_text="Of an annotator's first 20 items: who only clicks is found early.",
    )
    repeat_share = forms.IntegerField(
        min_value=0,
        max_value=20,
        label="Repeats, percent",
        help_text="Own items shown again unsaid, from the 51st on: how far people agree with themselves.",
    )
    training_required = forms.BooleanField(required=False, label="Annotators pass a training round first")


class ReviewForm(forms.Form):
    """How much is looked at by reviewers."""

    review_share = forms.IntegerField(
        min_value=0,
        max_value=100,
        label="Annotations to review, percent",
        help_text="Drawn by chance as they come in. 0: none but those that somebody asks for.",
    )


class SensitiveForm(forms.Form):
    """Which categories may upset."""

    chosen = forms.MultipleChoiceField(required=False, label="Categories of this project's prompts")
    others = forms.CharField(
        required=False,
        max_length=2_000,
        label="Others",
        help_text="With commas between them, as the column “category” of the prompts will say it.",
    )

    def __init__(self, offered: list[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["chosen"].choices = [(one, one) for one in offered]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Put both together."""
        said = super().clean() or {}
        found = tidy([*said.get("chosen", []), *said.get("others", "").split(",")])
        long = [one for one in found if len(one) > LONGEST_CATEGORY]
        if long:
            self.add_error("others", f"“{long[0][:40]}…” is longer than {LONGEST_CATEGORY} characters.")
        if len(found) > MOST_CATEGORIES:
            self.add_error("others", f"{len(found)} categories are too many; choose {MOST_CATEGORIES} or fewer.")
        said["sensitive_categories"] = found
        return said


class CostForm(forms.Form):
    """What the work costs."""

    hourly_cost = forms.DecimalField(
        required=False,
        min_value=0,
        max_digits=8,
        decimal_places=2,
        label="An annotator's hour",
        help_text="In your currency. The quality page tells what a usable pair costs. Empty: it does not.",
    )
