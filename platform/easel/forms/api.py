"""Templates and their versions."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.common.errors import NotFound
from easel.common.pagination import OldestFirst, page_of
from easel.common.schema import documented_list
from easel.forms.models import Template, TemplateVersion


class TemplateSerializer(serializers.ModelSerializer[Template]):
    """A template."""

    class Meta:
        model = Template
        fields = ["id", "key", "name", "description"]


class TemplateVersionSerializer(serializers.ModelSerializer[TemplateVersion]):
    """A published version with its definition."""

    definition = serializers.DictField()

    class Meta:
        model = TemplateVersion
        fields = ["id", "number", "published_at", "definition"]


class Templates(APIView):
    """The templates that projects can use."""

    @documented_list("templates_list", TemplateSerializer)
    def get(self, request: Request) -> Response:
        """List the templates."""
        return page_of(self, request, Template.objects.order_by("id"), TemplateSerializer, OldestFirst)


class TemplateVersions(APIView):
    """A template's published versions."""

    @documented_list("template_versions_list", TemplateVersionSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """List a template's versions, oldest first."""
        if not Template.objects.filter(pk=pk).exists():
            raise NotFound("template")
        rows: QuerySet[TemplateVersion] = TemplateVersion.objects.filter(template=pk).order_by("id")
        return page_of(self, request, rows, TemplateVersionSerializer, OldestFirst)
