"""Fine-tunes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.errors import InvalidInput
from easel.common.pagination import page_of
from easel.common.schema import documented, documented_list
from easel.projects.access import project_for
from easel.registry.models import ModelVersion
from easel.snapshots.models import DatasetSnapshot
from easel.training import services
from easel.training.access import finetune_for
from easel.training.models import FinetunePoint, FinetuneRun
from easel.training.progress import RunProgress, progress_of


class NewFinetuneSerializer(serializers.Serializer[Any]):
    """What to learn from, what to teach, and how."""

    snapshot = serializers.UUIDField(help_text="A frozen snapshot of this project.")
    method = serializers.ChoiceField(
        choices=FinetuneRun.Method.choices,
        default=FinetuneRun.Method.LISTWISE,
        help_text="listwise: whole rankings. dpo: pairs. rwr: reward-weighted. reward: a model that scores images.",
    )
    base_model = serializers.CharField(
        max_length=100,
        required=False,
        help_text="A model version's id or name. Left out: the project's generator, else the newest pipeline.",
    )
    config = serializers.DictField(
        required=False, help_text="Settings by name, as steps or learning_rate; what is left out is the default."
    )

    def validate_base_model(self, value: str) -> ModelVersion:
        """Find the model."""
        found = ModelVersion.objects.named(value)
        if found is None:
            raise serializers.ValidationError(f"There is no model {value!r}. GET /api/v1/models/ lists them.")
        return found


class FinetuneProgressSerializer(serializers.Serializer[RunProgress]):
    """How far a run has come."""

    done = serializers.IntegerField(source="run.job.done", help_text="Steps.")
    total = serializers.IntegerField(source="run.steps", help_text="Steps.")
    note = serializers.CharField(source="run.job.note", help_text="What the worker is doing, in words.")
    steps_per_second = serializers.FloatField(allow_null=True, help_text="Lately; null: unknown.")
    eta_seconds = serializers.FloatField(
        source="seconds_left", allow_null=True, help_text="Until the last step at this pace; null: unknown."
    )


class FinetuneSerializer(serializers.ModelSerializer[FinetuneRun]):
    """A fine-tune, how far it has come, and what came of it."""

    state = serializers.ChoiceField(
        choices=["queued", "running", "paused", "cancelled", "done", "failed"], read_only=True
    )
    base_model: serializers.PrimaryKeyRelatedField[ModelVersion] = serializers.PrimaryKeyRelatedField(
        source="base", read_only=True
    )
    model_version: serializers.PrimaryKeyRelatedField[ModelVersion] = serializers.PrimaryKeyRelatedField(
        source="made", read_only=True, allow_null=True, help_text="What came of it; null until it is done."
    )
    config = serializers.DictField(source="settings", help_text="The settings as they were asked for.")
    filled = serializers.DictField(help_text="With every default filled in, where it is known.")
    progress = serializers.SerializerMethodField()
    metrics = serializers.DictField(
        source="values", child=serializers.FloatField(), help_text="The last figures by name, once it is done."
    )
    error = serializers.SerializerMethodField(help_text="Why it failed, or null.")
    stopped = serializers.CharField(help_text="Why it stopped before its last step; empty where it did not.")

    class Meta:
        model = FinetuneRun
        fields = [
            "id", "number", "method", "snapshot", "base_model", "config", "filled", "state", "progress", "metrics",
            "error", "stopped", "steps_done", "model_version", "device", "commit", "created_at",
        ]  # fmt: skip

    @extend_schema_field(FinetuneProgressSerializer)
    def get_progress(self, run: FinetuneRun) -> dict[str, Any]:
        """Return how far it has come."""
        return FinetuneProgressSerializer(progress_of(run, timezone.now())).data

    def get_error(self, run: FinetuneRun) -> str | None:
        """Return why it failed."""
        return run.job.error if run.state == "failed" else None


class FinetuneDetailSerializer(FinetuneSerializer):
    """A fine-tune with the figures that it has measured by now."""

    metrics = serializers.SerializerMethodField(help_text="The newest figures, by name.")  # type: ignore[assignment]

    @extend_schema_field(serializers.DictField(child=serializers.FloatField()))
    def get_metrics(self, run: FinetuneRun) -> dict[str, float]:
        """Return the newest figures."""
        return run.values or FinetunePoint.objects.newest(run)


class ProjectFinetunes(APIView):
    """A project's fine-tunes."""

    @documented_list("finetunes_list", FinetuneDetailSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """List the runs, newest first."""
        project = project_for(request.user, pk, Act.INSPECT)
        return page_of(self, request, FinetuneRun.objects.of_project(project), FinetuneSerializer)

    @documented(
        "finetunes_create", request=NewFinetuneSerializer, answers={202: FinetuneDetailSerializer}, errors=(400,)
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Start a run; a training worker does it in the background."""
        assert isinstance(request.user, User)
        project = project_for(request.user, pk, Act.TRAIN)
        data = NewFinetuneSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        given = data.validated_data
        snapshot = DatasetSnapshot.objects.filter(project=project, pk=given["snapshot"]).first()
        if snapshot is None:
            message = f"{given['snapshot']} is no snapshot of this project. Take one first."
            raise InvalidInput(message, fields={"snapshot": [message]})
        made = services.start_finetune(
            project,
            request.user,
            timezone.now(),
            snapshot=snapshot,
            base=given.get("base_model") or services.base_or_refuse(project),
            method=given["method"],
            settings=services.read_settings(given.get("config", {})),
        )
        return Response(FinetuneDetailSerializer(finetune_for(request.user, made.pk, Act.INSPECT)).data, status=202)


class FinetuneDetail(APIView):
    """One fine-tune."""

    @documented("finetunes_retrieve", answers={200: FinetuneDetailSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        """Return a run with its progress and newest figures."""
        return Response(FinetuneDetailSerializer(finetune_for(request.user, pk, Act.INSPECT)).data)


_Point = inline_serializer(
    "FinetunePoint",
    {"step": serializers.IntegerField(), "values": serializers.DictField(child=serializers.FloatField())},
)


class FinetunePoints(APIView):
    """All that a run measured."""

    @documented(
        "finetune_points_retrieve",
        answers={200: inline_serializer("FinetunePoints", {"points": _Point.__class__(many=True)})},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """Return every point, by step."""
        run = finetune_for(request.user, pk, Act.INSPECT)
        return Response({"points": [one.model_dump() for one in FinetunePoint.objects.of_run(run)]})


def _acted(request: Request, pk: UUID, act: Any) -> Response:
    act(finetune_for(request.user, pk, Act.TRAIN), timezone.now())
    return Response(FinetuneDetailSerializer(finetune_for(request.user, pk, Act.INSPECT)).data, status=202)


class FinetunePause(APIView):
    """A rest."""

    @documented("finetune_pause_create", answers={202: FinetuneDetailSerializer}, errors=(409,))
    def post(self, request: Request, pk: UUID) -> Response:
        """Pause until it is resumed; a worker stops at its next step, with a checkpoint."""
        return _acted(request, pk, services.pause)


class FinetuneResume(APIView):
    """The end of a rest."""

    @documented("finetune_resume_create", answers={202: FinetuneDetailSerializer}, errors=(409,))
    def post(self, request: Request, pk: UUID) -> Response:
        """Let a paused run go on from its last checkpoint."""
        return _acted(request, pk, services.resume)


class FinetuneCancel(APIView):
    """The end of a run."""

    @documented("finetune_cancel_create", answers={202: FinetuneDetailSerializer}, errors=(409,))
    def post(self, request: Request, pk: UUID) -> Response:
        """Cancel: what was measured stays, no model version is made."""
        return _acted(request, pk, services.cancel)


class FinetuneRetries(APIView):
    """New attempts for a run that failed."""

    @documented("finetune_retries_create", answers={202: FinetuneDetailSerializer}, errors=(409,))
    def post(self, request: Request, pk: UUID) -> Response:
        """Give a failed run three new attempts, from its last checkpoint on."""
        return _acted(request, pk, services.retry)
