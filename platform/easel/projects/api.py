"""Projects."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.pagination import page_of
from easel.common.schema import documented, documented_list
from easel.projects import services
from easel.projects.access import project_for
from easel.projects.models import Project
from easel.projects.template_api import named_for
from easel.projects.template_services import version_to_use


class ProjectSerializer(serializers.ModelSerializer[Project]):
    """A project as its members see it."""

    role = serializers.CharField(read_only=True, help_text="The caller's role.")

    class Meta:
        model = Project
        fields = [
            "id", "name", "guidelines", "template_version", "overlap", "overlap_lead", "overlap_cap", "paused_at",
            "pause_reason", "live_quota_person", "live_quota_project", "role", "created_at",
        ]  # fmt: skip
        read_only_fields = [name for name in fields if name not in {"name", "guidelines", "overlap"}]


class NewProjectSerializer(serializers.Serializer[Any]):
    """What makes a project."""

    name = serializers.CharField(max_length=100)
    template = serializers.CharField(
        max_length=60, help_text="The template's id or key, as rlhf-image-ranking-batch; its newest version is used."
    )
    guidelines = serializers.CharField(max_length=20_000, required=False, default="", allow_blank=True)
    overlap = serializers.IntegerField(min_value=1, max_value=50, required=False, default=1)


class Projects(APIView):
    """The caller's projects."""

    @documented_list("projects_list", ProjectSerializer)
    def get(self, request: Request) -> Response:
        """List the projects that the caller is a member of."""
        assert isinstance(request.user, User)
        return page_of(self, request, Project.objects.of(request.user), ProjectSerializer)

    @documented("projects_create", request=NewProjectSerializer, answers={201: ProjectSerializer}, errors=(400,))
    def post(self, request: Request) -> Response:
        """Make a project; the caller owns it."""
        assert isinstance(request.user, User)
        data = NewProjectSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        valid = data.validated_data
        project = services.create_project(
            valid["name"],
            version_to_use(named_for(request.user, valid["template"])),
            request.user,
            timezone.now(),
            guidelines=valid["guidelines"],
            overlap=valid["overlap"],
        )
        return Response(ProjectSerializer(project_for(request.user, project.pk, Act.SEE)).data, status=201)


class ProjectDetail(APIView):
    """One project."""

    @documented("projects_retrieve", answers={200: ProjectSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        """Return a project."""
        return Response(ProjectSerializer(project_for(request.user, pk, Act.SEE)).data)
