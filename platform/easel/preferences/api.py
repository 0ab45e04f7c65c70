"""A project's quality and its annotators', as of the last measurement."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.pagination import page_of
from easel.common.schema import documented, documented_list
from easel.common.tables import csv_response
from easel.preferences import panels
from easel.preferences.access import quality_for
from easel.preferences.models import AnnotatorQuality, ProjectQuality
from easel.preferences.tables import table_named
from easel.projects.access import project_for


class ShareSerializer(serializers.Serializer[Any]):
    """A figure with its 95 % interval; null where nothing can be said."""

    rate = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    n = serializers.IntegerField(help_text="What it rests on: cases, or items for agreement.")


class CategoryOfQualitySerializer(serializers.Serializer[Any]):
    """The items of one category of prompts."""

    name = serializers.CharField(help_text="Empty: prompts without a category.")
    items = serializers.IntegerField()
    done = serializers.IntegerField()
    annotations = serializers.IntegerField()
    agreement = ShareSerializer(help_text="Of pairs.")
    all_bad = ShareSerializer(help_text="Of annotations.")


class QualitySerializer(serializers.Serializer[ProjectQuality]):
    """A project's figures."""

    measured_at = serializers.DateTimeField(allow_null=True, help_text="Null: nothing was measured yet.")
    kind = serializers.ChoiceField(
        choices=User.Kind.choices, source="found.kind", help_text="Whose figures: simulated only without people."
    )
    annotations = serializers.IntegerField(source="found.annotations")
    annotators = serializers.IntegerField(source="found.annotators")
    recent = serializers.IntegerField(source="found.recent", help_text="Annotations of the last 24 hours.")
    recent_annotators = serializers.IntegerField(source="found.recent_annotators")
    days = serializers.DictField(
        child=serializers.IntegerField(), source="found.days", help_text="Annotations of each day (UTC) that has any."
    )
    items = serializers.IntegerField(source="found.items")
    items_done = serializers.IntegerField(source="found.items_done")
    remaining = serializers.IntegerField(source="found.remaining", help_text="Annotations that items still want.")
    days_left = serializers.SerializerMethodField(help_text="At the recent pace; null: nobody works.")
    alpha = ShareSerializer(source="found.alpha", help_text="Krippendorff's alpha, ordinal.")
    tau = ShareSerializer(source="found.tau", help_text="Kendall's tau-b.")
    pairs = ShareSerializer(source="found.pairs", help_text="Pairs of images on which two people agree.")
    gold = ShareSerializer(source="found.gold", help_text="Gold items that were passed.")
    active_ms = serializers.IntegerField(source="found.active_ms")
    usable_pairs = serializers.IntegerField(source="found.usable_pairs")
    images_cost = serializers.FloatField(source="found.images_cost", allow_null=True)
    cost_per_pair = serializers.SerializerMethodField(help_text="Null: the project's hourly_cost is not set.")
    categories = CategoryOfQualitySerializer(source="found.categories", many=True)

    @extend_schema_field(serializers.FloatField(allow_null=True))
    def get_days_left(self, quality: ProjectQuality) -> float | None:
        """Return how long what is left takes."""
        return panels.pace_of(quality.found, quality.measured_at).days_left

    @extend_schema_field(serializers.FloatField(allow_null=True))
    def get_cost_per_pair(self, quality: ProjectQuality) -> float | None:
        """Return what a usable pair costs."""
        cost = panels.cost_of(quality.found, quality.project.hourly_cost)
        return cost.per_pair if cost else None


class FlagSerializer(serializers.Serializer[Any]):
    """Something that should be looked at."""

    code = serializers.CharField()
    text = serializers.CharField()
    numbers = serializers.DictField(child=serializers.FloatField())


class HabitSerializer(serializers.Serializer[Any]):
    """How often somebody gives an answer, beside others."""

    rate = serializers.FloatField(allow_null=True)
    others = serializers.FloatField(allow_null=True)
    error = serializers.FloatField(allow_null=True, help_text="Standard error of the difference.")
    n = serializers.IntegerField()


class PlaceSerializer(serializers.Serializer[Any]):
    """How often the image shown at a place was ranked first."""

    share = serializers.FloatField()
    chance = serializers.FloatField()
    error = serializers.FloatField()


class PositionSerializer(serializers.Serializer[Any]):
    """Whether somebody prefers places to images."""

    items = serializers.IntegerField()
    places = PlaceSerializer(many=True)
    alarm = serializers.IntegerField(allow_null=True, help_text="The place, from 0, that is beyond 3 standard errors.")


class AnnotatorQualitySerializer(serializers.Serializer[AnnotatorQuality]):
    """An annotator's figures."""

    annotator = serializers.UUIDField(source="annotator_id")
    username = serializers.CharField(source="annotator.username")
    kind = serializers.ChoiceField(choices=User.Kind.choices, source="annotator.kind")
    measured_at = serializers.DateTimeField()
    annotations = serializers.IntegerField(source="found.annotations")
    active_ms = serializers.IntegerField(source="found.active_ms", help_text="Gold and repeats too.")
    median_ms = serializers.FloatField(source="found.median_ms", allow_null=True)
    last = serializers.DateTimeField(source="found.last", allow_null=True)
    gold = ShareSerializer(source="found.gold")
    consistency = ShareSerializer(source="found.consistency", help_text="Of pairs, when items come again.")
    agreement = ShareSerializer(source="found.agreement", help_text="Of pairs, with others.")
    others_agreement = serializers.FloatField(source="found.others_agreement", allow_null=True)
    reliability = serializers.FloatField(source="found.reliability", allow_null=True)
    overlaps = serializers.IntegerField(source="found.overlaps")
    position = PositionSerializer(source="found.position")
    ties = HabitSerializer(source="found.ties")
    all_bad = HabitSerializer(source="found.all_bad")
    fast = ShareSerializer(source="found.fast")
    flags = FlagSerializer(source="found_flags", many=True)
    recommendation = serializers.CharField(source="verdict", help_text="Empty, or in words; only by several flags.")


class ProjectQualityDetail(APIView):
    """The quality of a project."""

    @documented("quality_retrieve", answers={200: QualitySerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        """Return the figures of the last measurement; one is made within half a minute of a new annotation."""
        _, quality = quality_for(request.user, pk)
        return Response(QualitySerializer(quality).data)


class ProjectAnnotators(APIView):
    """The annotators of a project."""

    @documented_list("quality_annotators_list", AnnotatorQualitySerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """List annotators with their figures and flags."""
        project = project_for(request.user, pk, Act.INSPECT)
        return page_of(self, request, AnnotatorQuality.objects.of_project(project), AnnotatorQualitySerializer)


class ProjectQualityTable(APIView):
    """A chart's table."""

    @documented("quality_table_retrieve", answers={(200, "text/csv"): OpenApiTypes.BINARY})
    def get(self, request: Request, pk: UUID, name: str) -> StreamingHttpResponse:
        """Stream a table as CSV: throughput, agreement, categories, annotators."""
        project, quality = quality_for(request.user, pk)
        table = table_named(name, project, quality)
        return csv_response(name, table.names, table.rows)
