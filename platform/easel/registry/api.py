"""Model versions."""

from __future__ import annotations

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.common.pagination import page_of
from easel.common.schema import documented_list
from easel.registry.models import ModelVersion


class ModelVersionSerializer(serializers.ModelSerializer[ModelVersion]):
    """A model that images can be generated with."""

    class Meta:
        model = ModelVersion
        fields = ["id", "name", "family", "sha256", "licence", "created_at"]


class Models(APIView):
    """The registered models."""

    @documented_list("models_list", ModelVersionSerializer)
    def get(self, request: Request) -> Response:
        """List the models, newest first."""
        return page_of(self, request, ModelVersion.objects.order_by("-id"), ModelVersionSerializer)
