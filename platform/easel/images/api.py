"""Generation requests and candidates."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import FileResponse, HttpResponse, HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from pydantic import ValidationError
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.errors import NotFound
from easel.common.pagination import page_of
from easel.common.schema import documented, documented_list
from easel.common.storage import storage
from easel.images import services
from easel.images.access import candidate_for, generation_for
from easel.images.models import Candidate, GenerationRequest
from easel.projects.access import project_for
from easel.prompts.models import Prompt
from easel.registry.models import ModelVersion
from generation.storage import StorageError
from generation.types import MAX_SEED, RenderSettings


class SettingsSerializer(serializers.Serializer[Any]):
    """How to render; what is left out is the model's default."""

    steps = serializers.IntegerField(required=False, allow_null=True)
    guidance_scale = serializers.FloatField(required=False, allow_null=True)
    width = serializers.IntegerField(required=False, allow_null=True, help_text="Pixels, a multiple of 8.")
    height = serializers.IntegerField(required=False, allow_null=True, help_text="Pixels, a multiple of 8.")
    scheduler = serializers.CharField(required=False)


class NewGenerationSerializer(serializers.Serializer[Any]):
    """What to generate."""

    model = serializers.CharField(max_length=100, help_text="A model version's id or name.")
    images_per_prompt = serializers.IntegerField(min_value=1, max_value=64, default=4)
    seeds = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=MAX_SEED),
        required=False,
        min_length=1,
        max_length=64,
        help_text="One for each image; every prompt uses these. Left out: every image has a seed of its own.",
    )
    settings = SettingsSerializer(required=False)
    prompts = serializers.ListField(
        child=serializers.UUIDField(),
        required=False,
        min_length=1,
        help_text="Prompt ids; left out: all of the project's.",
    )

    def validate_model(self, value: str) -> ModelVersion:
        """Find the model."""
        found = ModelVersion.objects.named(value)
        if found is None:
            raise serializers.ValidationError(f"There is no model {value!r}. GET /api/v1/models/ lists them.")
        return found

    def validate_settings(self, value: dict[str, Any]) -> RenderSettings:
        """Check the settings against the worker's contract."""
        try:
            return RenderSettings.model_validate(value)
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(str(part) for part in problem["loc"])
            raise serializers.ValidationError(f"{where}: {problem['msg']}") from error


class ProgressSerializer(serializers.Serializer[GenerationRequest]):
    """Images done, of all."""

    done = serializers.IntegerField(source="images_done")
    total = serializers.IntegerField(source="images_total")


class CandidateSerializer(serializers.ModelSerializer[Candidate]):
    """A candidate with where its image is and how it was made."""

    url = serializers.SerializerMethodField(help_text="Where its image is.")
    settings = serializers.DictField(source="manifest", help_text="All that is needed to render it again.")

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
            "created_at",
        ]

    def get_url(self, candidate: Candidate) -> str:
        """Return the image's address."""
        return f"/images/{candidate.pk}/"


class GenerationSerializer(serializers.ModelSerializer[GenerationRequest]):
    """A generation request and how far it has come."""

    state = serializers.ChoiceField(choices=["queued", "running", "done", "failed"])
    progress = ProgressSerializer(source="*")
    settings = serializers.DictField()
    error = serializers.SerializerMethodField(help_text="Why parts of it failed, or null.")
    candidates = serializers.SerializerMethodField(help_text="The address of its candidates.")

    class Meta:
        model = GenerationRequest
        fields = [
            "id", "model", "settings", "images_per_prompt", "state", "progress", "error", "candidates", "created_at",
        ]  # fmt: skip

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
        data = NewGenerationSerializer(data=request.data)
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


class CandidateImage(APIView):
    """A candidate's image: for pages with a session, for scripts with a token."""

    @documented("candidate_image_retrieve", answers={(200, "image/png"): OpenApiTypes.BINARY})
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        """Send the image to a member of its project; nginx sends the bytes where one stands in front."""
        candidate = candidate_for(request.user, pk)
        if settings.MEDIA_ACCEL:
            response: HttpResponseBase = HttpResponse(content_type="image/png")
            response.headers["X-Accel-Redirect"] = settings.MEDIA_ACCEL.rstrip("/") + "/" + candidate.key
        else:
            try:
                response = FileResponse(storage().open(candidate.key), content_type="image/png")
            except StorageError as error:
                raise NotFound("image file") from error
        # The file never changes, but who may see it can: the browser may keep it, nobody in between.
        response.headers["Cache-Control"] = "private, max-age=86400, immutable"
        response.headers["Content-Disposition"] = 'inline; filename="image.png"'
        return response
