"""A project's settings and its overlap, for scripts. Only those who manage a project meet them: whoever ranks must not
know how often they are measured.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.accounts.roles import Act
from easel.annotation.distribution import MAX_OVERLAP, change_overlap
from easel.annotation.models import Recount, rule_of
from easel.annotation.settings import services
from easel.annotation.settings.forms import LONGEST_CATEGORY, MOST_CATEGORIES
from easel.annotation.stopping import Rule
from easel.common.errors import InvalidInput
from easel.common.schema import documented
from easel.projects.access import project_for
from easel.projects.forms import MOST_IMAGES_A_DAY, MOST_ITEMS
from easel.projects.models import Project


class SettingsSerializer(serializers.ModelSerializer[Project]):
    """A project's settings."""

    limit_day = serializers.IntegerField(
        min_value=0, max_value=MOST_ITEMS, allow_null=True, required=False, help_text="null: any number."
    )
    limit_total = serializers.IntegerField(
        min_value=0, max_value=MOST_ITEMS, allow_null=True, required=False, help_text="null: any number."
    )
    gold_share = serializers.IntegerField(min_value=0, max_value=50, required=False, help_text="Percent.")
    gold_share_first = serializers.IntegerField(
        min_value=0, max_value=50, required=False, help_text="Percent, of an annotator's first 20 items."
    )
    repeat_share = serializers.IntegerField(
        min_value=0, max_value=20, required=False, help_text="Percent, from the 51st item on."
    )
    review_share = serializers.IntegerField(min_value=0, max_value=100, required=False, help_text="Percent.")
    live_quota_person = serializers.IntegerField(min_value=0, max_value=MOST_IMAGES_A_DAY, required=False)
    live_quota_project = serializers.IntegerField(min_value=0, max_value=MOST_IMAGES_A_DAY, required=False)
    hourly_cost = serializers.DecimalField(
        max_digits=8, decimal_places=2, min_value=0, allow_null=True, required=False, coerce_to_string=False
    )
    sensitive_categories = serializers.ListField(
        child=serializers.CharField(max_length=LONGEST_CATEGORY), max_length=MOST_CATEGORIES, required=False
    )

    class Meta:
        model = Project
        fields = list(services.FIELDS)


class OverlapSerializer(serializers.Serializer[Any]):
    """How many people rank each item."""

    start = serializers.IntegerField(min_value=1, max_value=MAX_OVERLAP, help_text="How many rank each item at first.")
    lead = serializers.IntegerField(
        min_value=0,
        max_value=MAX_OVERLAP,
        default=0,
        help_text="More do until the commonest verdict is so far ahead; 0: exactly `start` people.",
    )
    cap = serializers.IntegerField(
        min_value=0, max_value=MAX_OVERLAP, default=0, help_text="With a lead: at most so many."
    )


class RecountSerializer(serializers.Serializer[Any]):
    """How far the items follow a change."""

    done = serializers.IntegerField()
    total = serializers.IntegerField()
    started_at = serializers.DateTimeField()


class OverlapStateSerializer(OverlapSerializer):
    """The overlap, and how far the items follow it."""

    people = serializers.IntegerField(help_text="How many may rank here; more than that is refused.")
    recount = RecountSerializer(allow_null=True, help_text="null: all items follow it.")


class ProjectSettings(APIView):
    """A project's settings."""

    @documented("project_settings_retrieve", answers={200: SettingsSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        """Return the settings. The overlap stands beside them."""
        return Response(SettingsSerializer(project_for(request.user, pk, Act.MANAGE)).data)

    @documented(
        "project_settings_partial_update",
        request=SettingsSerializer,
        answers={200: SettingsSerializer},
        errors=(400, 409),
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        """Change some settings: all that are sent, or none. They count from the next lease on."""
        project = project_for(request.user, pk, Act.MANAGE)
        data = SettingsSerializer(project, data=request.data, partial=True)
        data.is_valid(raise_exception=True)
        sent = request.data if isinstance(request.data, dict) else {}
        if unknown := sorted(set(sent) - set(services.FIELDS)):
            told = f"There is no setting “{unknown[0][:60]}”. The settings are: {', '.join(services.FIELDS)}."
            raise InvalidInput(told, fields={unknown[0][:60]: [told]})
        services.change_settings(project, data.validated_data)
        return Response(SettingsSerializer(project_for(request.user, pk, Act.MANAGE)).data)


def _overlap(project: Project) -> dict[str, Any]:
    rule = rule_of(project)
    recount = Recount.objects.of(project)
    return OverlapStateSerializer(
        {
            "start": rule.start,
            "lead": int(rule.lead),
            "cap": rule.cap if rule.lead else 0,
            "people": services.rankers_of(project),
            "recount": recount,
        }
    ).data


_NAMES = {"overlap": "start", "overlap_lead": "lead", "overlap_cap": "cap"}


class ProjectOverlap(APIView):
    """How many people rank each item of a project."""

    @documented("project_overlap_retrieve", answers={200: OverlapStateSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        """Return the overlap, and how far the items follow the last change."""
        return Response(_overlap(project_for(request.user, pk, Act.MANAGE)))

    @documented(
        "project_overlap_update", request=OverlapSerializer, answers={202: OverlapStateSerializer}, errors=(400,)
    )
    def put(self, request: Request, pk: UUID) -> Response:
        """Change the overlap. Items follow in the background; what was answered stays, whatever the new overlap is."""
        project = project_for(request.user, pk, Act.MANAGE)
        data = OverlapSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        said = data.validated_data
        try:
            change_overlap(project, Rule(said["start"], said["lead"], said["cap"]), timezone.now())
        except InvalidInput as refusal:  # by the names of this body
            named = {_NAMES[name]: words for name, words in refusal.fields.items()}
            raise InvalidInput(refusal.detail, fields=named) from refusal
        return Response(_overlap(project_for(request.user, pk, Act.MANAGE)), status=202)
