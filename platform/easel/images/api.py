"""Generation requests and candidates."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from pydantic import ValidationError
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.models import Job
from easel.common.pagination import page_of
from easel.common.schema import documented, documented_list
from easel.images import services
from easel.images.access import generation_for
from easel.images.models import Candidate, GenerationRequest
from easel.images.progress import RequestProgress, progress_of_one
from easel.projects.access import project_for
from easel.prompts.models import ConditioningImage, Prompt
from easel.registry.models import ModelVersion
from generation.types import MAX_SEED, RenderSettings


class SettingsSerializer(serializers.Serializer[Any]):
    """How to render; what is left out is the model's default."""

    steps = serializers.IntegerField(required=False, allow_null=True)
    guidance_scale = serializers.FloatField(required=False, allow_null=True)
    width = serializers.IntegerField(required=False, allow_null=True, help_text="Pixels, a multiple of 8.")
    height = serializers.IntegerField(required=False, allow_null=True, help_text="Pixels, a multiple of 8.")
    scheduler = serializers.CharField(required=False)
    strength = serializers.FloatField(
        required=False, allow_null=True, help_text="How much of a starting picture is made anew, 0 to 1."
    )
    control_scale = serializers.FloatField(
        required=False, allow_null=True, help_text="How strongly a ControlNet's picture counts, 0 to 2."
    )


class NewGenerationSerializer(serializers.Serializer[Any]):
    """What to generate."""

    model = serializers.CharField(max_length=100, required=False, help_text="A model version's id or name.")
    models = serializers.ListField(
        child=serializers.CharField(max_length=100),
        required=False,
        min_length=2,
        max_length=8,
        help_text="In place of `model`, to compare several: each makes its images from the same seeds.",
    )
    lane = serializers.ChoiceField(
        choices=["live", "batch"],
        default=Job.Lane.BATCH,
        help_text="live: somebody waits for a few images; it goes before all batch work.",
    )
    images_per_prompt = serializers.IntegerField(
        min_value=1,
        max_value=64,
        required=False,
        help_text="Of each model. Left out: 4, or for a comparison as many as there are seeds, else 1.",
    )
    seeds = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=MAX_SEED),
        required=False,
        min_length=1,
        max_length=64,
        help_text="One for each image; every prompt uses these. Left out: every image has a seed of its own.",
    )
    settings = SettingsSerializer(required=False)
    conditioning = serializers.UUIDField(
        required=False, help_text="The picture that prompts without one of their own start from."
    )
    prompts = serializers.ListField(
        child=serializers.UUIDField(),
        required=False,
        min_length=1,
        help_text="Prompt ids; left out: all of the project's but the held-out ones.",
    )

    def validate_model(self, value: str) -> ModelVersion:
        """Find the model."""
        found = ModelVersion.objects.named(value)
        if found is None:
            raise serializers.ValidationError(f"There is no model {value!r}. GET /api/v1/models/ lists them.")
        return found

    def validate_models(self, value: list[str]) -> list[ModelVersion]:
        """Find the models that are compared."""
        return [self.validate_model(one) for one in value]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Settle which models, and how many images of each."""
        if ("model" in attrs) == ("models" in attrs):
            raise serializers.ValidationError({"model": "Name either one model, or several in models."})
        compared = attrs.pop("models", None)
        attrs["model"], attrs["compared"] = (compared[0], compared[1:]) if compared else (attrs["model"], [])
        if "images_per_prompt" not in attrs:
            shown = self.context.get("images") or 4  # as many as the project's form shows
            attrs["images_per_prompt"] = len(attrs.get("seeds", [1])) if compared else shown
        return attrs

    def validate_settings(self, value: dict[str, Any]) -> RenderSettings:
        """Check the settings against the worker's contract."""
        try:
            return RenderSettings.model_validate(value)
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(str(part) for part in problem["loc"])
            raise serializers.ValidationError(f"{where}: {problem['msg']}") from error


class ProgressSerializer(serializers.Serializer[RequestProgress]):
    """How far a request has come."""

    done = serializers.IntegerField(source="request.images_done", help_text="Images.")
    total = serializers.IntegerField(source="request.images_total", help_text="Images.")
    step = serializers.IntegerField(help_text="Denoising steps done of the images at hand.")
    steps = serializers.IntegerField()
    note = serializers.CharField(help_text="What the worker is doing, in words.")
    images_per_second = serializers.FloatField(source="per_second", allow_null=True, help_text="Lately; null: unknown.")
    eta_seconds = serializers.FloatField(
        source="seconds_left", allow_null=True, help_text="Until the last image at this pace; null: unknown."
    )


class CandidateSerializer(serializers.ModelSerializer[Candidate]):
    """A candidate with where its image is and how it was made."""

    url = serializers.SerializerMethodField(help_text="Where its image is.")
    settings = serializers.DictField(source="manifest", help_text="All that is needed to render it again.")
    metadata = serializers.DictField(help_text="What an imported file said about itself.")

    class Meta:
        model = Candidate
        fields = [
            "id",
            "prompt",
            "model",
            "position",
            "seed",
            "width",
            "height",
            "sha256",
            "url",
            "settings",
            "metadata",
            "created_at",
        ]

    def get_url(self, candidate: Candidate) -> str:
        """Return the image's address."""
        return f"/images/{candidate.pk}/"


class GenerationSerializer(serializers.ModelSerializer[GenerationRequest]):
    """A generation request and how far it has come."""

    state = serializers.ChoiceField(choices=["queued", "running", "paused", "cancelled", "done", "failed"])
    compared: serializers.PrimaryKeyRelatedField[ModelVersion] = serializers.PrimaryKeyRelatedField(
        many=True, read_only=True, help_text="The other models of a comparison."
    )
    progress = serializers.SerializerMethodField()
    settings = serializers.DictField()
    error = serializers.SerializerMethodField(help_text="Why parts of it failed, or null.")
    candidates = serializers.SerializerMethodField(help_text="The address of its candidates.")

    class Meta:
        model = GenerationRequest
        fields = [
            "id", "model", "compared", "settings", "images_per_prompt", "state", "progress", "error", "candidates",
            "created_at",
        ]  # fmt: skip

    @extend_schema_field(ProgressSerializer)
    def get_progress(self, request: GenerationRequest) -> dict[str, Any]:
        """Return how far it has come."""
        return ProgressSerializer(progress_of_one(request, timezone.now())).data

    def get_error(self, request: GenerationRequest) -> str | None:
        """Return the reasons of the dead jobs, each once."""
        if not request.chunks_dead:
            return None
        return " ".join(sorted({job.error for job in services.failures(request)}))

    def get_candidates(self, request: GenerationRequest) -> str:
        """Return where the candidates are listed."""
        return f"/api/v1/generations/{request.pk}/candidates/"


class ProjectGenerations(APIView):
    """A project's generation requests."""

    @documented_list("generations_list", GenerationSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """List the requests, newest first."""
        project = project_for(request.user, pk, Act.INSPECT)
        return page_of(self, request, GenerationRequest.objects.of_project(project), GenerationSerializer)

    @documented(
        "generations_create", request=NewGenerationSerializer, answers={202: GenerationSerializer}, errors=(400,)
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Ask for images; workers render them in the background."""
        assert isinstance(request.user, User)
        project = project_for(request.user, pk, Act.GENERATE)
        shown = project.template_version.form.images
        data = NewGenerationSerializer(data=request.data, context={"images": shown})
        data.is_valid(raise_exception=True)
        valid = data.validated_data
        made = services.request_images(
            project,
            valid["model"],
            Prompt.objects.chosen(project, valid.get("prompts")),
            request.user,
            timezone.now(),
            images_per_prompt=valid["images_per_prompt"],
            seeds=valid.get("seeds"),
            settings_=valid.get("settings"),
            lane=valid["lane"],
            compared=valid["compared"],
            conditioning=ConditioningImage.objects.chosen(project, valid.get("conditioning")),
        )
        return Response(GenerationSerializer(generation_for(request.user, made.pk, Act.INSPECT)).data, status=202)


class GenerationDetail(APIView):
    """One generation request."""

    @documented("generations_retrieve", answers={200: GenerationSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        """Return a request with its progress."""
        return Response(GenerationSerializer(generation_for(request.user, pk, Act.INSPECT)).data)


class GenerationCandidates(APIView):
    """What a generation request has made so far."""

    @documented_list("generation_candidates_list", CandidateSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """List the candidates, newest first."""
        found = generation_for(request.user, pk, Act.INSPECT)
        return page_of(self, request, Candidate.objects.filter(request=found), CandidateSerializer)


class GenerationRetries(APIView):
    """New attempts for what failed."""

    @documented("generation_retries_create", answers={202: GenerationSerializer}, errors=(409,))
    def post(self, request: Request, pk: UUID) -> Response:
        """Give the failed parts of a request three new attempts."""
        found = generation_for(request.user, pk, Act.GENERATE)
        services.retry_failed(found, timezone.now())
        return Response(GenerationSerializer(generation_for(request.user, pk, Act.INSPECT)).data, status=202)


class GenerationCancel(APIView):
    """The end of a request."""

    @documented("generation_cancel_create", answers={202: GenerationSerializer}, errors=(409,))
    def post(self, request: Request, pk: UUID) -> Response:
        """Cancel: what is made stays, what is at work stops at its next denoising step."""
        services.cancel(generation_for(request.user, pk, Act.GENERATE), timezone.now())
        return Response(GenerationSerializer(generation_for(request.user, pk, Act.INSPECT)).data, status=202)


class GenerationPause(APIView):
    """A rest."""

    @documented("generation_pause_create", answers={202: GenerationSerializer}, errors=(409,))
    def post(self, request: Request, pk: UUID) -> Response:
        """Pause until it is resumed; what is at work stops at its next denoising step."""
        services.pause(generation_for(request.user, pk, Act.GENERATE), timezone.now())
        return Response(GenerationSerializer(generation_for(request.user, pk, Act.INSPECT)).data, status=202)


class GenerationResume(APIView):
    """The end of a rest."""

    @documented("generation_resume_create", answers={202: GenerationSerializer}, errors=(409,))
    def post(self, request: Request, pk: UUID) -> Response:
        """Let a paused request go on."""
        services.resume(generation_for(request.user, pk, Act.GENERATE), timezone.now())
        return Response(GenerationSerializer(generation_for(request.user, pk, Act.INSPECT)).data, status=202)
