"""How the API shows templates, their versions and drafts; the views that need a project stand above this layer."""

from __future__ import annotations

from functools import cache
from typing import Any

from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.common.schema import documented
from easel.forms import drafts
from easel.forms.definition import Definition
from easel.forms.models import Template, TemplateDraft, TemplateVersion

MAX_COUNT = 2**31 - 2


class TemplateSerializer(serializers.ModelSerializer[Template]):
    """A template."""

    gallery = serializers.SerializerMethodField(help_text="It comes with Easel: everybody reads it, nobody edits it.")
    project = serializers.UUIDField(
        source="home", allow_null=True, help_text="The project that it was made in; null for the gallery's."
    )
    published = serializers.IntegerField(allow_null=True, help_text="The number of its newest version.")

    class Meta:
        model = Template
        fields = ["id", "key", "name", "description", "gallery", "project", "published"]

    def get_gallery(self, template: Template) -> bool:
        """Tell whether it comes with Easel."""
        return template.home is None


class ProblemSerializer(serializers.Serializer[Any]):
    """What is wrong with a definition, and where."""

    place = serializers.CharField(help_text="As components.2.levels")
    name = serializers.CharField(help_text="The component's name, where it has one.")
    message = serializers.CharField()


class DraftOfTemplateSerializer(serializers.Serializer[Any]):
    """What the builder keeps between two versions."""

    definition = serializers.DictField()
    version = serializers.IntegerField(help_text="Counts the saves.")
    problems = ProblemSerializer(many=True)
    updated_at = serializers.DateTimeField()
    updated_by = serializers.CharField(allow_null=True)
    published = serializers.IntegerField(allow_null=True, help_text="The number of the newest version.")
    changed = serializers.BooleanField(help_text="It says something else than the newest version.")


class SavedDraftSerializer(serializers.Serializer[Any]):
    """A draft that was saved."""

    version = serializers.IntegerField()
    problems = ProblemSerializer(many=True)
    updated_at = serializers.DateTimeField()


class DraftToSaveSerializer(serializers.Serializer[Any]):
    """A draft, and the one that it was begun from."""

    definition = serializers.DictField()
    version = serializers.IntegerField(min_value=1, max_value=MAX_COUNT)


class MadeTemplateSerializer(TemplateSerializer):
    """A new template with its draft."""

    draft = DraftOfTemplateSerializer()

    class Meta(TemplateSerializer.Meta):
        fields = [*TemplateSerializer.Meta.fields, "draft"]


class TemplateVersionSerializer(serializers.ModelSerializer[TemplateVersion]):
    """A published version with its definition."""

    definition = serializers.DictField()
    published_by = serializers.CharField(source="published_by.username", default=None, allow_null=True)

    class Meta:
        model = TemplateVersion
        fields = ["id", "number", "published_at", "published_by", "note", "definition"]


def render_draft(draft: TemplateDraft, problems: list[dict[str, str]]) -> dict[str, Any]:
    """Return a draft as the API shows it, with what is wrong with it."""
    latest = draft.template.versions.order_by("-number").first()
    return {
        "definition": draft.definition,
        "version": draft.version,
        "problems": problems,
        "updated_at": draft.updated_at,
        "updated_by": draft.updated_by.username if draft.updated_by else None,
        "published": latest.number if latest else None,
        "changed": drafts.has_changed(draft, latest),
    }


@cache
def definition_schema() -> dict[str, Any]:
    """Return the JSON Schema of definitions."""
    return Definition.model_json_schema()


class TemplateSchema(APIView):
    """What a definition may hold."""

    @documented("template_schema_retrieve", answers={200: OpenApiTypes.OBJECT})
    def get(self, request: Request) -> Response:
        """Return the JSON Schema of a template's definition, all components included."""
        return Response(definition_schema())
