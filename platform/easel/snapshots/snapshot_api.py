"""Snapshots over REST."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field, inline_serializer
from pydantic import ValidationError
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.pagination import page_of
from easel.common.schema import documented, documented_list
from easel.projects.access import project_for
from easel.snapshots.access import snapshot_for
from easel.snapshots.archives import archive, folder_name
from easel.snapshots.filters import REVIEWS, Filters
from easel.snapshots.models import DatasetSnapshot
from easel.snapshots.services import MAX_NAME, take_snapshot
from easel.snapshots.splits import Shares

MAX_SEED = 2**31 - 1


class FiltersSerializer(serializers.Serializer[Any]):
    """Which annotations are taken; what is left out takes all."""

    since = serializers.DateField(required=False, allow_null=True, help_text="The first day, UTC.")
    until = serializers.DateField(required=False, allow_null=True, help_text="The last day, UTC.")
    template_version = serializers.UUIDField(required=False, allow_null=True)
    categories = serializers.ListField(
        child=serializers.CharField(max_length=200),
        required=False,
        max_length=1_000,
        help_text="Of the prompts: their column `category`.",
    )
    least_agreement = serializers.FloatField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=1,
        help_text="How often an item's annotators must agree on two images; an item with one annotator is left out.",
    )
    subset = serializers.UUIDField(required=False, allow_null=True, help_text="Only items of this subset.")
    review = serializers.ChoiceField(
        choices=list(REVIEWS.items()),
        required=False,
        help_text="By what reviewers said. Left out: not_returned, all but what was returned and not corrected.",
    )


class SplitSerializer(serializers.Serializer[Any]):
    """How the prompts are split; the rest is for training."""

    seed = serializers.IntegerField(required=False, min_value=0, max_value=MAX_SEED)
    validation = serializers.FloatField(required=False, min_value=0, max_value=0.5)
    test = serializers.FloatField(required=False, min_value=0, max_value=0.4)


class NewSnapshotSerializer(serializers.Serializer[Any]):
    """What to freeze."""

    name = serializers.CharField(max_length=MAX_NAME, required=False, help_text="Left out: Snapshot and a number.")
    filters = FiltersSerializer(required=False)
    split = SplitSerializer(required=False)
    include_simulated = serializers.BooleanField(default=False, help_text="With simulated annotators.")

    def validate_filters(self, value: dict[str, Any]) -> Filters:
        """Check what belongs together."""
        try:
            return Filters.model_validate({name: given for name, given in value.items() if given is not None})
        except ValidationError as error:
            raise serializers.ValidationError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error

    def validate_split(self, value: dict[str, Any]) -> Shares:
        """Fill in what is left out."""
        return Shares(**value)


_COUNTS = inline_serializer(
    "SnapshotCounts",
    {name: serializers.IntegerField() for name in ("rows", "prompts", "images", "judgements", "pairs")},
)
_PROGRESS = inline_serializer(
    "SnapshotProgress",
    {
        "done": serializers.IntegerField(help_text="Annotations."),
        "total": serializers.IntegerField(help_text="Annotations."),
        "note": serializers.CharField(help_text="What is being done, in words."),
    },
)


class SnapshotSerializer(serializers.ModelSerializer[DatasetSnapshot]):
    """A snapshot, how far it has come, and what is in it."""

    state = serializers.ChoiceField(choices=DatasetSnapshot.State.choices, read_only=True)
    error = serializers.CharField(read_only=True, help_text="Why it could not be frozen.")
    error_code = serializers.CharField(source="job.error_code", read_only=True)
    progress = serializers.SerializerMethodField()
    filters = serializers.DictField(help_text="As they were asked for.")
    split = serializers.SerializerMethodField()
    counts = serializers.SerializerMethodField(help_text="By split; empty until it is frozen.")
    agreement = serializers.FloatField(
        source="manifest.agreement", default=None, allow_null=True, help_text="Among annotators; null: unknown."
    )
    annotators = serializers.IntegerField(source="manifest.annotators", default=None, allow_null=True)
    remarks = serializers.ListField(
        source="manifest.remarks", child=serializers.CharField(), default=list, help_text="What a reader must know."
    )

    class Meta:
        model = DatasetSnapshot
        fields = [
            "id",
            "project",
            "name",
            "state",
            "error",
            "error_code",
            "progress",
            "filters",
            "split",
            "include_simulated",
            "counts",
            "agreement",
            "annotators",
            "remarks",
            "sha256",
            "created_at",
            "frozen_at",
        ]

    @extend_schema_field(_PROGRESS)
    def get_progress(self, snapshot: DatasetSnapshot) -> dict[str, Any]:
        """How far freezing has come."""
        return {"done": snapshot.job.done, "total": snapshot.job.total, "note": snapshot.job.note}

    @extend_schema_field(SplitSerializer)
    def get_split(self, snapshot: DatasetSnapshot) -> dict[str, Any]:
        """How the prompts are split."""
        shares = snapshot.shares()
        return {"seed": shares.seed, "validation": shares.validation, "test": shares.test}

    @extend_schema_field(serializers.DictField(child=_COUNTS))
    def get_counts(self, snapshot: DatasetSnapshot) -> dict[str, Any]:
        """What is in it, by split."""
        return snapshot.counts


class ProjectSnapshots(APIView):
    """The snapshots of a project."""

    @documented_list("snapshots_list", SnapshotSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """List them, newest first."""
        project = project_for(request.user, pk, Act.INSPECT)
        return page_of(self, request, DatasetSnapshot.objects.of_project(project), SnapshotSerializer)

    @documented("snapshots_create", request=NewSnapshotSerializer, answers={202: SnapshotSerializer}, errors=(400, 415))
    def post(self, request: Request, pk: UUID) -> Response:
        """Freeze the annotations up to now."""
        project = project_for(request.user, pk, Act.TRAIN)
        assert isinstance(request.user, User)
        asked = NewSnapshotSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        taken = take_snapshot(
            project,
            request.user,
            timezone.now(),
            name=given.get("name", ""),
            filters=given.get("filters"),
            include_simulated=given["include_simulated"],
            shares=given.get("split"),
        )
        return Response(SnapshotSerializer(taken).data, status=202)


class SnapshotDetail(APIView):
    """One snapshot."""

    @documented("snapshots_retrieve", answers={200: SnapshotSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        """Tell how far it has come, and what is in it."""
        return Response(SnapshotSerializer(snapshot_for(request.user, pk, Act.INSPECT)).data)


class SnapshotDownload(APIView):
    """A snapshot as a file."""

    @documented(
        "snapshots_download_retrieve", answers={(200, "application/zip"): OpenApiTypes.BINARY}, errors=(409, 503)
    )
    def get(self, request: Request, pk: UUID) -> StreamingHttpResponse:
        """Stream its folder, images and all, as a ZIP."""
        snapshot = snapshot_for(request.user, pk, Act.EXPORT)
        response = StreamingHttpResponse(archive(snapshot), content_type="application/zip")
        response.headers["Content-Disposition"] = f'attachment; filename="{folder_name(snapshot)}.zip"'
        return response
