"""Training rounds, for scripts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.accounts.roles import Act
from easel.annotation.gold import training
from easel.annotation.gold.services import TO_PASS, TRAINING_ITEMS
from easel.annotation.models import Gold
from easel.common.schema import documented
from easel.projects.access import member_for, project_for
from easel.projects.models import Project


class TraineeSerializer(serializers.Serializer[training.Trainee]):
    """Somebody who ranks, and how far their training is."""

    member = serializers.UUIDField(source="member.pk")
    name = serializers.CharField(source="member.user.username")
    state = serializers.CharField(help_text="new, begun, failed or passed")
    answered = serializers.SerializerMethodField(help_text="Training items of this round.")
    passed = serializers.SerializerMethodField(help_text="Those of them that were as expected.")

    def get_answered(self, trainee: training.Trainee) -> int:
        """Return how many training items were answered."""
        return trainee.record.training if trainee.record else 0

    def get_passed(self, trainee: training.Trainee) -> int:
        """Return how many of them were as expected."""
        return trainee.record.training_passed if trainee.record else 0


class TrainingOfProjectSerializer(serializers.Serializer[Any]):
    """Training in a project."""

    training_required = serializers.BooleanField()
    items = serializers.IntegerField(help_text="Training items in use.")
    round = serializers.IntegerField(help_text="Items of a round.")
    to_pass = serializers.IntegerField()
    people = TraineeSerializer(many=True)


class TrainingRequiredSerializer(serializers.Serializer[Any]):
    """Whether annotators pass a training round first."""

    training_required = serializers.BooleanField()


class TrainingActSerializer(serializers.Serializer[Any]):
    """What to do."""

    act = serializers.ChoiceField(
        choices=("let_pass", "another_round"), help_text="They are no longer paused after either."
    )


def _shown(project: Project) -> dict[str, Any]:
    fresh = Project.objects.get(pk=project.pk)
    told = {
        "training_required": fresh.training_required,
        "items": Gold.objects.for_training().filter(project=project).count(),
        "round": TRAINING_ITEMS,
        "to_pass": TO_PASS,
        "people": training.trainees(project),
    }
    return dict(TrainingOfProjectSerializer(told).data)


class ProjectTraining(APIView):
    """Training in a project."""

    @documented("training_retrieve", answers={200: TrainingOfProjectSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        """Return whether training is required, and who is where in theirs."""
        return Response(_shown(project_for(request.user, pk, Act.MANAGE)))

    @documented(
        "training_update",
        request=TrainingRequiredSerializer,
        answers={200: TrainingOfProjectSerializer},
        errors=(400, 409),
    )
    def patch(self, request: Request, pk: UUID) -> Response:
        """Switch training on or off."""
        project = project_for(request.user, pk, Act.MANAGE)
        data = TrainingRequiredSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        training.require(project, required=data.validated_data["training_required"])
        return Response(_shown(project))


class MemberTraining(APIView):
    """One person's training."""

    @documented(
        "member_training_create",
        request=TrainingActSerializer,
        answers={200: TraineeSerializer},
        errors=(400, 409),
    )
    def post(self, request: Request, pk: UUID, member_pk: UUID) -> Response:
        """Let somebody pass, or give them another round."""
        member = member_for(request.user, pk, member_pk)
        data = TrainingActSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        if data.validated_data["act"] == "let_pass":
            training.let_pass(member, timezone.now())
        else:
            training.give_round(member)
        return Response(TraineeSerializer(training.trainee_of(member.project, member)).data)
