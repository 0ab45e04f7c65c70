"""Live attempts: asked for, watched, cancelled, and listed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.annotation.api import (
    AssignmentSerializer,
    CandidateOfItemSerializer,
    PromptOfItemSerializer,
    render_assignment,
)
from easel.annotation.live import assignments_of, unfinished
from easel.annotation.models import Assignment
from easel.common.errors import Conflict
from easel.common.pagination import NewestFirst
from easel.common.schema import documented, documented_list
from easel.images import services
from easel.images.access import attempt_for
from easel.images.attempts import attempt
from easel.images.models import GenerationRequest
from easel.images.progress import RequestProgress, progress_of_all
from easel.projects.access import project_for

OPEN = "true: only what a page that is opened again goes on with, which is the newest one where it is unfinished."

OUTCOMES = {
    Assignment.State.OPEN: "open",
    Assignment.State.SUBMITTED: "ranked",
    Assignment.State.SURPLUS: "ranked",
    Assignment.State.SKIPPED: "skipped",
}


class NewAttemptSerializer(serializers.Serializer[Any]):
    """What was entered in the form."""

    values = serializers.DictField(
        help_text='By component name, as {"prompt": "a red apple", "model": "id"}: what the form asks before Generate.'
    )
    vary = serializers.UUIDField(
        required=False, allow_null=True, help_text="An image of the caller's own attempts that the new ones start from."
    )

    template_version = serializers.UUIDField(
        required=False, help_text="The version of the form that was filled in; another one than the project's is a 409."
    )


class AttemptProgressSerializer(serializers.Serializer[RequestProgress]):
    """How far an attempt has come."""

    done = serializers.IntegerField(source="request.images_done", help_text="Images.")
    total = serializers.IntegerField(source="request.images_total", help_text="Images.")
    step = serializers.IntegerField(help_text="Denoising steps done of the images at hand.")
    steps = serializers.IntegerField()
    note = serializers.CharField(help_text="What the worker is doing, in words.")


class ModelOfAttemptSerializer(serializers.Serializer[Any]):
    """The model that was chosen."""

    id = serializers.UUIDField()
    name = serializers.CharField()


class AttemptSerializer(serializers.Serializer[RequestProgress]):
    """An attempt, its settings, and its images so far, in the order in which they will be ranked."""

    id = serializers.UUIDField(source="request.pk")
    state = serializers.ChoiceField(
        choices=["queued", "running", "paused", "cancelled", "done", "failed"], source="request.state"
    )
    error = serializers.SerializerMethodField(help_text="Why it failed, or null.")
    progress = serializers.SerializerMethodField()
    prompt = PromptOfItemSerializer(source="request.attempt.prompt")
    model = ModelOfAttemptSerializer(source="request.model")
    settings = serializers.DictField(source="request.settings", help_text="What is null is the model's own default.")
    values = serializers.DictField(source="request.attempt.values", help_text="As they were entered.")
    varies = serializers.UUIDField(
        source="request.attempt.varies_id", allow_null=True, help_text="The image that it started from."
    )
    candidates = serializers.SerializerMethodField(help_text="Those that are there; each keeps its place.")
    outcome = serializers.SerializerMethodField(
        help_text="waiting for images, open to be ranked, ranked, or skipped; without all images it stays waiting."
    )
    created_at = serializers.DateTimeField(source="request.created_at")

    @extend_schema_field(AttemptProgressSerializer)
    def get_progress(self, progress: RequestProgress) -> dict[str, Any]:
        """Return how far it has come."""
        return AttemptProgressSerializer(progress).data

    def get_error(self, progress: RequestProgress) -> str | None:
        """Return the reasons of what failed, each once."""
        return " ".join(one.reason for one in progress.failed) or None

    @extend_schema_field(CandidateOfItemSerializer(many=True))
    def get_candidates(self, progress: RequestProgress) -> list[dict[str, Any]]:
        """Return what is there of its images."""
        return [
            {"id": str(one.pk), "url": f"/images/{one.pk}/", "width": one.width, "height": one.height}
            for one in progress.request.made
        ]

    @extend_schema_field(serializers.ChoiceField(choices=["waiting", "open", "ranked", "skipped"]))
    def get_outcome(self, progress: RequestProgress) -> str:
        """Tell what came of it."""
        assignment = self._assignment(progress)
        return OUTCOMES[Assignment.State(assignment.state)] if assignment else "waiting"

    def _assignment(self, progress: RequestProgress) -> Assignment | None:
        found: dict[UUID, Assignment] = self.context["assignments"]
        return found.get(progress.request.pk)


class WatchedAttemptSerializer(AttemptSerializer):
    """An attempt with the assignment that its images become."""

    assignment = serializers.SerializerMethodField(help_text="Once all images are there, until it is submitted.")

    @extend_schema_field(AssignmentSerializer(allow_null=True))
    def get_assignment(self, progress: RequestProgress) -> dict[str, Any] | None:
        """Return what is to be ranked."""
        assignment = self._assignment(progress)
        if assignment is None or assignment.state != Assignment.State.OPEN:
            return None
        return render_assignment(assignment)


def _told(serializer: type[AttemptSerializer], requests: list[GenerationRequest]) -> list[dict[str, Any]]:
    context = {"assignments": assignments_of(requests)}
    return [serializer(one, context=context).data for one in progress_of_all(requests, timezone.now())]


class ProjectAttempts(APIView):
    """The caller's attempts in a project."""

    @documented_list("attempts_list", AttemptSerializer, OpenApiParameter("open", bool, description=OPEN))
    def get(self, request: Request, pk: UUID) -> Response:
        """List the caller's own attempts, newest first."""
        assert isinstance(request.user, User)
        project = project_for(request.user, pk, Act.RANK)
        only_open = request.query_params.get("open", "") in {"1", "true"}
        mine = unfinished if only_open else GenerationRequest.objects.attempts_of
        rows = mine(project, request.user)
        pages = NewestFirst()
        page = pages.paginate_queryset(rows, request, view=self) or []
        return pages.get_paginated_response(_told(AttemptSerializer, page))

    @documented(
        "attempts_create",
        request=NewAttemptSerializer,
        answers={202: WatchedAttemptSerializer},
        errors=(400, 409, 429),
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Have images made of what was entered; what the caller still had running here is cancelled."""
        assert isinstance(request.user, User)
        project = project_for(request.user, pk, Act.RANK)
        data = NewAttemptSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        valid = data.validated_data
        version = valid.get("template_version", project.template_version_id)
        if version != project.template_version_id:
            raise Conflict("The form of this project has changed. Reload the page; what you typed is kept.")
        made = attempt(project, valid["values"], request.user, timezone.now(), valid.get("vary"))
        return Response(_told(WatchedAttemptSerializer, [attempt_for(request.user, made.pk)])[0], status=202)


class AttemptDetail(APIView):
    """One of the caller's own attempts."""

    @documented("attempts_retrieve", answers={200: WatchedAttemptSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        """Return how far it has come, its images so far, and what is to be ranked once all are there."""
        return Response(_told(WatchedAttemptSerializer, [attempt_for(request.user, pk)])[0])


class AttemptCancel(APIView):
    """The end of an attempt."""

    @documented("attempt_cancel_create", answers={202: WatchedAttemptSerializer}, errors=(409,))
    def post(self, request: Request, pk: UUID) -> Response:
        """Cancel: what is made stays in the history, what is at work stops at its next denoising step."""
        services.cancel(attempt_for(request.user, pk), timezone.now())
        return Response(_told(WatchedAttemptSerializer, [attempt_for(request.user, pk)])[0], status=202)
