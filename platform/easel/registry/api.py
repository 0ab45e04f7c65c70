"""Model versions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.common.pagination import page_of
from easel.common.schema import documented, documented_list
from easel.registry.access import model_for, require_site_admin
from easel.registry.models import ModelVersion
from easel.registry.services import HASHED_ON_A_PAGE, ON_A_HUB, NewModel, add_model

NEW_KINDS = [(kind.value, kind.label) for kind in (*ON_A_HUB, ModelVersion.Kind.API)]


class ModelVersionSerializer(serializers.ModelSerializer[ModelVersion]):
    """A model that images are generated with."""

    base: serializers.PrimaryKeyRelatedField[ModelVersion] = serializers.PrimaryKeyRelatedField(
        read_only=True, allow_null=True, help_text="What it was made from, or lies on."
    )

    class Meta:
        model = ModelVersion
        fields = ["id", "name", "kind", "base", "family", "location", "sha256", "licence", "note", "created_at"]


class NewModelSerializer(serializers.Serializer[Any]):
    """A model to register."""

    location = serializers.CharField(max_length=200, help_text="folder:NAME, hub:OWNER/NAME or api:NAME")
    name = serializers.CharField(max_length=90, required=False, default="", help_text="Left out: the location's.")
    licence = serializers.CharField(max_length=100, required=False, default="", allow_blank=True)
    kind = serializers.ChoiceField(
        choices=NEW_KINDS,
        required=False,
        default="",
        help_text="Left out: what its files say. Only a hub model that is not in this machine's cache needs it.",
    )
    base = serializers.CharField(
        max_length=100, required=False, allow_null=True, default=None, help_text="A model version's id or name."
    )
    note = serializers.CharField(max_length=2_000, required=False, default="", allow_blank=True)

    def validate_base(self, value: str | None) -> ModelVersion | None:
        """Find the base model."""
        found = ModelVersion.objects.named(value) if value else None
        if value and found is None:
            raise serializers.ValidationError(f"There is no model {value!r}. GET /api/v1/models/ lists them.")
        return found


class Models(APIView):
    """The registered models."""

    @documented_list("models_list", ModelVersionSerializer)
    def get(self, request: Request) -> Response:
        """List the models, newest first."""
        return page_of(self, request, ModelVersion.objects.order_by("-id"), ModelVersionSerializer)

    @documented(
        "models_create", request=NewModelSerializer, answers={201: ModelVersionSerializer}, errors=(400, 409, 413, 415)
    )
    def post(self, request: Request) -> Response:
        """Register a model; site admins only. What is registered already is answered as it is."""
        by = require_site_admin(request.user)
        given = NewModelSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = add_model(NewModel(**given.validated_data), by, timezone.now(), hash_up_to=HASHED_ON_A_PAGE)
        return Response(ModelVersionSerializer(made).data, status=201)


class ModelDetail(APIView):
    """One model version."""

    @documented("models_get", answers={200: ModelVersionSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        """Return a model version."""
        return Response(ModelVersionSerializer(model_for(pk)).data)
