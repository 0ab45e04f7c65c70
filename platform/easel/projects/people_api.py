"""Invitations, notices, and the pause of a project."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.accounts.models import User
from easel.accounts.roles import Act, Role
from easel.common.pagination import page_of
from easel.common.schema import documented, documented_list
from easel.projects import notices, services
from easel.projects.access import invitation_for, notice_for, project_for
from easel.projects.api import ProjectSerializer
from easel.projects.models import Invitation, Notice


class NameSerializer(serializers.ModelSerializer[User]):
    """An account, by name."""

    class Meta:
        model = User
        fields = ["id", "username"]


class InvitationSerializer(serializers.ModelSerializer[Invitation]):
    """An invitation, without its secret."""

    state = serializers.SerializerMethodField(help_text="open, used, expired or withdrawn.")
    created_by = NameSerializer(read_only=True)

    class Meta:
        model = Invitation
        fields = ["id", "role", "state", "uses", "max_uses", "created_by", "created_at", "expires_at", "withdrawn_at"]

    def get_state(self, invitation: Invitation) -> str:
        """Say whether it still lets somebody in."""
        return invitation.state_at(timezone.now())


class MadeInvitationSerializer(InvitationSerializer):
    """An invitation that was just made."""

    link = serializers.CharField(help_text="What to send; it is told once.")

    class Meta(InvitationSerializer.Meta):
        fields = [*InvitationSerializer.Meta.fields, "link"]


class NewInvitationSerializer(serializers.Serializer[Any]):
    """What makes an invitation."""

    role = serializers.ChoiceField(Role.choices)
    days = serializers.IntegerField(min_value=1, max_value=90, default=7, help_text="How long the link lets people in.")
    max_uses = serializers.IntegerField(
        min_value=1, max_value=1_000, default=1, help_text="How many people it lets in."
    )


class ReasonSerializer(serializers.Serializer[Any]):
    """Why something is paused."""

    reason = serializers.CharField(
        max_length=services.LONGEST_REASON, help_text="Whoever asks for the next item reads it."
    )


class NoticeSerializer(serializers.ModelSerializer[Notice]):
    """Something that a project's admins should know."""

    about = NameSerializer(read_only=True, allow_null=True)
    seen_by = NameSerializer(read_only=True, allow_null=True)

    class Meta:
        model = Notice
        fields = ["id", "kind", "text", "about", "created_at", "seen_at", "seen_by"]


class ProjectInvitations(APIView):
    """A project's invitations."""

    @documented_list("invitations_list", InvitationSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """List all invitations, newest first, with those that let nobody in any more."""
        project = project_for(request.user, pk, Act.MANAGE)
        return page_of(self, request, Invitation.objects.of_project(project), InvitationSerializer)

    @documented(
        "invitations_create", request=NewInvitationSerializer, answers={201: MadeInvitationSerializer}, errors=(400,)
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Make an invitation. Its link is in this answer only."""
        assert isinstance(request.user, User)
        project = project_for(request.user, pk, Act.MANAGE)
        data = NewInvitationSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        role = data.validated_data["role"]
        limits = {"days": data.validated_data["days"], "max_uses": data.validated_data["max_uses"]}
        made, secret = services.invite(project, role, request.user, project.role, timezone.now(), **limits)
        link = request.build_absolute_uri(reverse("invitation", args=[secret]))
        return Response({**InvitationSerializer(made).data, "link": link}, status=201)


class InvitationDetail(APIView):
    """One invitation."""

    @documented("invitations_destroy", answers={204: None})
    def delete(self, request: Request, pk: UUID, invitation_pk: UUID) -> Response:
        """Withdraw an invitation: its link lets nobody in any more, and says so. Who has joined with it stays."""
        services.withdraw(invitation_for(request.user, pk, invitation_pk), timezone.now())
        return Response(status=204)


class ProjectPause(APIView):
    """The pause of a project."""

    @documented("project_pause_update", request=ReasonSerializer, answers={200: ProjectSerializer}, errors=(400,))
    def put(self, request: Request, pk: UUID) -> Response:
        """Give nobody a new item from the next lease on. What is at hand can be submitted."""
        project = project_for(request.user, pk, Act.MANAGE)
        data = ReasonSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        services.pause_project(project, data.validated_data["reason"], timezone.now())
        return Response(ProjectSerializer(project_for(request.user, pk, Act.SEE)).data)

    @documented("project_pause_destroy", answers={200: ProjectSerializer})
    def delete(self, request: Request, pk: UUID) -> Response:
        """Give out items again."""
        services.resume_project(project_for(request.user, pk, Act.MANAGE))
        return Response(ProjectSerializer(project_for(request.user, pk, Act.SEE)).data)


class ProjectNotices(APIView):
    """What a project's admins should know."""

    @documented_list(
        "notices_list",
        NoticeSerializer,
        OpenApiParameter("seen", bool, description="Those that were put away as well."),
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """List what nobody has put away yet, newest first."""
        project = project_for(request.user, pk, Act.MANAGE)
        seen = request.query_params.get("seen", "").lower() in {"1", "true"}
        rows = Notice.objects.of_project(project) if seen else Notice.objects.unseen(project)
        return page_of(self, request, rows, NoticeSerializer)


class NoticeSeen(APIView):
    """That a notice was seen."""

    @documented("notices_seen_create", answers={201: NoticeSerializer})
    def post(self, request: Request, pk: UUID) -> Response:
        """Put a notice away, for all of the project's admins. Whoever was first stays named."""
        assert isinstance(request.user, User)
        notices.put_away(notice_for(request.user, pk), request.user, timezone.now())
        return Response(NoticeSerializer(notice_for(request.user, pk)).data, status=201)
