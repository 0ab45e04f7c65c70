"""The members of a project."""

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
from easel.accounts.roles import Act, Role
from easel.annotation.people import services
from easel.annotation.people.figures import people_of
from easel.common.pagination import OldestFirst, page_of
from easel.common.schema import documented, documented_list
from easel.projects import services as projects
from easel.projects.access import member_for, project_for
from easel.projects.forms import MOST_ITEMS
from easel.projects.models import Membership
from easel.projects.people_api import ReasonSerializer


class PersonSerializer(serializers.ModelSerializer[User]):
    """Who it is."""

    name = serializers.CharField(source="display_name")

    class Meta:
        model = User
        fields = ["id", "username", "name", "kind"]


class MemberSerializer(serializers.ModelSerializer[Membership]):
    """A member of a project."""

    user = PersonSerializer(read_only=True)
    state = serializers.CharField(read_only=True, help_text="active, paused or deactivated.")
    submitted = serializers.SerializerMethodField(help_text="Items, gold and repeats too.")
    last_active = serializers.DateTimeField(
        allow_null=True, read_only=True, help_text="When they last submitted something, or signed in."
    )

    class Meta:
        model = Membership
        fields = [
            "id", "user", "role", "state", "deactivated_at", "paused_at", "pause_reason", "limit_day", "limit_total",
            "submitted", "last_active", "created_at",
        ]  # fmt: skip

    def get_submitted(self, member: Membership) -> int:
        """Say how much they have done."""
        return getattr(member, "submitted", None) or 0


class MemberChangeSerializer(serializers.Serializer[Any]):
    """What a member may do, and how much. What is left out stays as it is."""

    role = serializers.ChoiceField(Role.choices, required=False)
    limit_day = serializers.IntegerField(
        min_value=0, max_value=MOST_ITEMS, required=False, allow_null=True, help_text="null: as the project says."
    )
    limit_total = serializers.IntegerField(
        min_value=0, max_value=MOST_ITEMS, required=False, allow_null=True, help_text="null: as the project says."
    )


def _answer(request: Request, pk: UUID, member_pk: UUID) -> Response:
    project = project_for(request.user, pk, Act.MANAGE)
    return Response(MemberSerializer(people_of(project).get(pk=member_pk)).data)


class ProjectMembers(APIView):
    """A project's members."""

    @documented_list(
        "members_list",
        MemberSerializer,
        OpenApiParameter("q", str, description="Words of the name."),
        OpenApiParameter("state", str, enum=["active", "paused", "deactivated"]),
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """List the members in the order in which they came, deactivated ones too."""
        project = project_for(request.user, pk, Act.MANAGE)
        said = request.query_params
        rows = people_of(project, said.get("q", ""), said.get("state", ""))
        return page_of(self, request, rows, MemberSerializer, OldestFirst)


class MemberDetail(APIView):
    """One member."""

    @documented("members_retrieve", answers={200: MemberSerializer})
    def get(self, request: Request, pk: UUID, member_pk: UUID) -> Response:
        """Return a member."""
        member_for(request.user, pk, member_pk)
        return _answer(request, pk, member_pk)

    @documented(
        "members_partial_update", request=MemberChangeSerializer, answers={200: MemberSerializer}, errors=(400, 409)
    )
    def patch(self, request: Request, pk: UUID, member_pk: UUID) -> Response:
        """Change a member's role or limits. The last owner keeps the role."""
        member = member_for(request.user, pk, member_pk)
        data = MemberChangeSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        said = data.validated_data
        services.change_member(
            member,
            member.by_role,
            timezone.now(),
            role=said.get("role", member.role),
            limit_day=said.get("limit_day", member.limit_day),
            limit_total=said.get("limit_total", member.limit_total),
        )
        return _answer(request, pk, member_pk)

    @documented("members_destroy", answers={204: None}, errors=(409,))
    def delete(self, request: Request, pk: UUID, member_pk: UUID) -> Response:
        """End a membership; what the member did stays. A new invitation brings them back."""
        member = member_for(request.user, pk, member_pk)
        services.remove(member, member.by_role, timezone.now())
        return Response(status=204)


class MemberPause(APIView):
    """The pause of a member."""

    @documented("member_pause_update", request=ReasonSerializer, answers={200: MemberSerializer}, errors=(400,))
    def put(self, request: Request, pk: UUID, member_pk: UUID) -> Response:
        """Give a member no new item from the next lease on. What is at hand can be submitted."""
        member = member_for(request.user, pk, member_pk)
        data = ReasonSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        projects.pause_member(member, data.validated_data["reason"], timezone.now())
        return _answer(request, pk, member_pk)

    @documented("member_pause_destroy", answers={200: MemberSerializer}, errors=(409,))
    def delete(self, request: Request, pk: UUID, member_pk: UUID) -> Response:
        """Give a member items again."""
        services.resume(member_for(request.user, pk, member_pk))
        return _answer(request, pk, member_pk)


class MemberDeactivation(APIView):
    """That a member is let in no more."""

    @documented("member_deactivation_update", answers={200: MemberSerializer}, errors=(409,))
    def put(self, request: Request, pk: UUID, member_pk: UUID) -> Response:
        """Let a member in no more. What they did stays, what they hold goes to others."""
        member = member_for(request.user, pk, member_pk)
        services.deactivate(member, member.by_role, timezone.now())
        return _answer(request, pk, member_pk)

    @documented("member_deactivation_destroy", answers={200: MemberSerializer})
    def delete(self, request: Request, pk: UUID, member_pk: UUID) -> Response:
        """Let a deactivated member in again, with the role and the limits that they had."""
        member = member_for(request.user, pk, member_pk)
        projects.reactivate_member(member, member.by_role)
        return _answer(request, pk, member_pk)
