"""Templates: the gallery's and those that a project makes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.errors import NotFound
from easel.common.pagination import OldestFirst, page_of
from easel.common.schema import documented, documented_list
from easel.forms import comparison, drafts
from easel.forms.api import (
    MAX_COUNT,
    DraftOfTemplateSerializer,
    DraftToSaveSerializer,
    MadeTemplateSerializer,
    SavedDraftSerializer,
    TemplateSerializer,
    TemplateVersionSerializer,
    render_draft,
)
from easel.forms.models import Template, TemplateDraft
from easel.projects import template_services
from easel.projects.access import project_for, template_for, templates_of


class NewTemplateSerializer(serializers.Serializer[Any]):
    """What makes a template: another one to begin with, a definition, or neither."""

    name = serializers.CharField(max_length=100)
    description = serializers.CharField(max_length=2_000, required=False, default="", allow_blank=True)
    definition = serializers.DictField(required=False, help_text="As a file that was exported has it.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add `from`, which Python keeps for itself."""
        start = serializers.CharField(
            max_length=60, required=False, help_text="The id or key of a template to begin with a copy of."
        )
        return {**super().get_fields(), "from": start}

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        """Take one beginning."""
        if "from" in data and "definition" in data:
            raise serializers.ValidationError({"from": "name a template to begin with or send a definition, not both"})
        return data


class PublicationSerializer(serializers.Serializer[Any]):
    """The draft that is to be published."""

    draft_version = serializers.IntegerField(
        min_value=1, max_value=MAX_COUNT, help_text="The `version` of the draft that you looked at."
    )
    note = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)


class ChangeSerializer(serializers.Serializer[Any]):
    """One difference in words."""

    kind = serializers.CharField(help_text="added, removed, renamed, moved or changed")
    name = serializers.CharField()
    words = serializers.CharField()


class PropertySerializer(serializers.Serializer[Any]):
    """A property of a component."""

    what = serializers.CharField()
    value = serializers.CharField()
    changed = serializers.BooleanField()


class SideSerializer(serializers.Serializer[Any]):
    """A component as one of the two states has it."""

    name = serializers.CharField()
    title = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # fields have a label too; this one is a field
    depth = serializers.IntegerField()
    lines = PropertySerializer(many=True)


class DifferenceSerializer(serializers.Serializer[Any]):
    """A component side by side."""

    kind = serializers.CharField(help_text="same, added, removed, renamed, moved or changed")
    old = SideSerializer(allow_null=True)
    new = SideSerializer(allow_null=True)


class DifferencesSerializer(serializers.Serializer[Any]):
    """What changed from one state of a template to another."""

    to = serializers.CharField(source="new", help_text="A version's number, or draft.")
    changes = ChangeSerializer(many=True)
    rows = DifferenceSerializer(many=True)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add `from`, which Python keeps for itself."""
        start = serializers.IntegerField(source="old", help_text="A version's number; 0: nothing.")
        return {"from": start, **super().get_fields()}


class Templates(APIView):
    """The templates that the caller may read."""

    @documented_list("templates_list", TemplateSerializer)
    def get(self, request: Request) -> Response:
        """List the gallery's templates and those of the caller's projects."""
        assert isinstance(request.user, User)
        return page_of(self, request, templates_of(request.user).order_by("id"), TemplateSerializer, OldestFirst)


def named_for(user: User, value: str, field: str = "template") -> Template:
    """Return the template of that id or key that the user may read. Raises ValidationError under the field's name."""
    found = templates_of(user).named(value)
    if found is None:
        problem = f"There is no template {value!r} here. GET /api/v1/templates/ lists those that you may use."
        raise serializers.ValidationError({field: [problem]})
    return found


class ProjectTemplates(APIView):
    """The templates that are made in a project."""

    @documented(
        "project_templates_create",
        request=NewTemplateSerializer,
        answers={201: MadeTemplateSerializer},
        errors=(400,),
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Make a template: a copy of another, from a definition, or empty. It has a draft and no version yet."""
        assert isinstance(request.user, User)
        project = project_for(request.user, pk, Act.BUILD)
        data = NewTemplateSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        valid = data.validated_data
        definition = valid.get("definition", dict(drafts.EMPTY))
        if "from" in valid:
            definition = drafts.copy_of(named_for(request.user, valid["from"], "from"))
        made = template_services.make_template(
            project, valid["name"], definition, request.user, timezone.now(), description=valid["description"]
        )
        said = TemplateSerializer(template_for(request.user, made.pk, Act.BUILD)).data
        return Response({**said, "draft": _told(made.draft)}, status=201)


def _told(draft: TemplateDraft) -> dict[str, Any]:
    problems = template_services.problems_of_draft(draft.definition)
    return dict(DraftOfTemplateSerializer(render_draft(draft, problems)).data)


class TemplateDraftDetail(APIView):
    """What the builder keeps between two versions."""

    @documented("template_draft_retrieve", answers={200: DraftOfTemplateSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        """Return the draft with its problems; templates of the gallery have none."""
        template = template_for(request.user, pk, Act.INSPECT)
        if template.home is None:
            raise NotFound("draft")
        return Response(_told(template.draft))

    @documented(
        "template_draft_update",
        request=DraftToSaveSerializer,
        answers={200: SavedDraftSerializer},
        errors=(400, 409),
    )
    def put(self, request: Request, pk: UUID) -> Response:
        """Save the draft that was begun from `version`; 409 with the newer one when there is a newer one."""
        assert isinstance(request.user, User)
        template = template_for(request.user, pk, Act.BUILD)
        data = DraftToSaveSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        valid = data.validated_data
        draft = drafts.save_draft(template, valid["definition"], valid["version"], request.user, timezone.now())
        said = {
            "version": draft.version,
            "problems": template_services.problems_of_draft(draft.definition),
            "updated_at": draft.updated_at,
        }
        return Response(SavedDraftSerializer(said).data)


class TemplateVersions(APIView):
    """A template's published versions."""

    @documented_list("template_versions_list", TemplateVersionSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """List a template's versions, oldest first."""
        template = template_for(request.user, pk, Act.SEE)
        rows = template.versions.select_related("published_by").order_by("id")
        return page_of(self, request, rows, TemplateVersionSerializer, OldestFirst)

    @documented(
        "template_versions_create",
        request=PublicationSerializer,
        answers={201: TemplateVersionSerializer, 200: TemplateVersionSerializer},
        errors=(400, 409),
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Publish the draft: 201 with the new version, 200 with the newest where the draft says the same."""
        assert isinstance(request.user, User)
        template = template_for(request.user, pk, Act.BUILD)
        data = PublicationSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        valid = data.validated_data
        version, is_new = template_services.publish(
            template, valid["draft_version"], request.user, timezone.now(), note=valid["note"]
        )
        return Response(TemplateVersionSerializer(version).data, status=201 if is_new else 200)


class TemplateVersionDetail(APIView):
    """One published version."""

    @documented("template_versions_retrieve", answers={200: TemplateVersionSerializer})
    def get(self, request: Request, pk: UUID, number: int) -> Response:
        """Return a version with its definition."""
        template = template_for(request.user, pk, Act.SEE)
        return Response(TemplateVersionSerializer(template.version_numbered(number)).data)


class TemplateDifferences(APIView):
    """What changed between two states of a template."""

    @documented(
        "template_differences_retrieve",
        answers={200: DifferencesSerializer},
        errors=(400,),
        parameters=[
            OpenApiParameter("from", str, description="A version's number; 0: nothing. Left out: the newest version."),
            OpenApiParameter("to", str, description="A version's number, or draft, which is the default."),
        ],
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """Return the differences in words, and both states side by side."""
        template = template_for(request.user, pk, Act.INSPECT)
        asked = request.query_params
        found = comparison.compare(template, asked.get("from", ""), asked.get("to", ""))
        return Response(DifferencesSerializer(found).data)
