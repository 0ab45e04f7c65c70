"""What a template's use means: the dry run, the project that moves to a version, the template that is deleted."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.annotation import template_uses
from easel.annotation.dry_run import dry_run
from easel.common.schema import documented
from easel.forms import comparison, drafts
from easel.forms.api import MAX_COUNT, TemplateSerializer
from easel.projects.access import project_for, template_for, version_for


class TemplateChangeSerializer(serializers.Serializer[Any]):
    """A template's name and description."""

    name = serializers.CharField(max_length=100, required=False)
    description = serializers.CharField(max_length=2_000, required=False, allow_blank=True)


class DryRunRequestSerializer(serializers.Serializer[Any]):
    """What is to be tried."""

    version = serializers.IntegerField(
        min_value=1, max_value=MAX_COUNT, required=False, help_text="A version's number; left out: the draft."
    )


class ReasonSerializer(serializers.Serializer[Any]):
    """Why some answers would be refused."""

    name = serializers.CharField(help_text="The component's name.")
    label = serializers.CharField()  # type: ignore[assignment]  # fields have a label too; this one is a field
    reason = serializers.CharField()
    count = serializers.IntegerField()
    examples = serializers.ListField(child=serializers.CharField(), help_text="Ids of annotations, at most 5.")


class DryRunSerializer(serializers.Serializer[Any]):
    """What a dry run found."""

    total = serializers.IntegerField(help_text="Annotations that were collected.")
    looked_at = serializers.IntegerField(help_text="The newest of them, at most `limit`.")
    limit = serializers.IntegerField()
    accepted = serializers.IntegerField()
    refused = serializers.IntegerField()
    reasons = ReasonSerializer(many=True)


class UseSerializer(serializers.Serializer[Any]):
    """The version that a project is to use."""

    version = serializers.UUIDField(help_text="The id of a published version.")


class MovedSerializer(serializers.Serializer[Any]):
    """What happened to a project's items."""

    template_version = serializers.UUIDField(source="template_version.pk")
    items_moved = serializers.IntegerField(help_text="Items that nobody had begun.")
    items_kept = serializers.IntegerField(help_text="Items that wait and keep their version.")


class TemplateDetail(APIView):
    """One template."""

    @documented("templates_retrieve", answers={200: TemplateSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        """Return a template."""
        return Response(TemplateSerializer(template_for(request.user, pk, Act.INSPECT)).data)

    @documented(
        "templates_partial_update",
        request=TemplateChangeSerializer,
        answers={200: TemplateSerializer},
        errors=(400,),
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        """Change a template's name or description."""
        template = template_for(request.user, pk, Act.BUILD)
        data = TemplateChangeSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        words = {"name": template.name, "description": template.description} | data.validated_data
        drafts.change_template(template, **words)
        return Response(TemplateSerializer(template_for(request.user, pk, Act.BUILD)).data)

    @documented("templates_destroy", answers={204: None}, errors=(409,))
    def delete(self, request: Request, pk: UUID) -> Response:
        """Delete a template that no project uses and no answers belong to."""
        assert isinstance(request.user, User)
        template_uses.delete_template(template_for(request.user, pk, Act.BUILD), request.user)
        return Response(status=204)


class TemplateDryRun(APIView):
    """What a definition would make of the collected answers."""

    @documented(
        "template_dry_run_create", request=DryRunRequestSerializer, answers={200: DryRunSerializer}, errors=(400,)
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Check the collected answers against the draft, or a version; nothing is changed."""
        assert isinstance(request.user, User)
        template = template_for(request.user, pk, Act.INSPECT)
        data = DryRunRequestSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        state = data.validated_data.get("version", comparison.DRAFT)
        form = comparison.form_at(template, state)
        assert form is not None
        return Response(DryRunSerializer(dry_run(template, form, request.user)).data)


class TemplateOfProject(APIView):
    """The version that a project uses."""

    @documented("project_template_update", request=UseSerializer, answers={200: MovedSerializer}, errors=(400,))
    def put(self, request: Request, pk: UUID) -> Response:
        """Have the project use a version: new items get it, and those that nobody has begun."""
        project = project_for(request.user, pk, Act.MANAGE)
        data = UseSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        version = version_for(request.user, data.validated_data["version"])
        return Response(MovedSerializer(template_uses.use_template(project, version)).data)
