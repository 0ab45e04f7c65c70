"""Evaluations, promotions, the leaderboard and simulated annotators."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.errors import InvalidInput
from easel.common.pagination import page_of
from easel.common.schema import documented, documented_list
from easel.evaluation import services
from easel.evaluation import simulation as simulated
from easel.evaluation.access import evaluation_for, simulation_for
from easel.evaluation.figures import Beside, result_of
from easel.evaluation.leaderboard import Board, Row, board_of
from easel.evaluation.models import Evaluation, Simulation
from easel.evaluation.results import Tally
from easel.evaluation.selecting import Asked, asked_next
from easel.evaluation.tastes import MAX_NOISE, TASTES
from easel.images.services import MAX_IMAGES_PER_PROMPT
from easel.projects.access import project_for
from easel.prompts.models import Prompt
from easel.registry.models import ModelVersion
from generation.types import MAX_SEED


def _model(value: str) -> ModelVersion:
    found = ModelVersion.objects.named(value)
    if found is None:
        raise serializers.ValidationError(f"There is no model {value[:100]!r}. GET /api/v1/models/ lists them.")
    return found


class NewEvaluationSerializer(serializers.Serializer[Any]):
    """What to compare, and who judges."""

    a = serializers.CharField(max_length=100, help_text="The baseline: a model version's id or name.")
    b = serializers.CharField(max_length=100, help_text="The challenger.")
    prompts = serializers.ListField(
        child=serializers.UUIDField(),
        required=False,
        min_length=1,
        help_text="Prompt ids; left out: the project's held-out ones.",
    )
    images_per_prompt = serializers.IntegerField(
        min_value=1, max_value=MAX_IMAGES_PER_PROMPT // 2, default=1, help_text="Of each model."
    )
    judges = serializers.CharField(
        max_length=60, default="people", help_text="people, or simulated:TASTE as simulated:3d."
    )
    noise = serializers.FloatField(
        min_value=0, max_value=MAX_NOISE, default=0.0, help_text="Of simulated judges: the share of wrong answers."
    )
    overlap = serializers.IntegerField(
        min_value=1, max_value=services.MAX_OVERLAP, default=1, help_text="Annotators that judge each comparison."
    )
    adaptive = serializers.BooleanField(
        default=False,
        help_text="By people: 3 judge each comparison, then more until one verdict leads by 3, 9 at most; `overlap` is "
        "left aside.",
    )
    seeds = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=MAX_SEED),
        required=False,
        min_length=1,
        max_length=MAX_IMAGES_PER_PROMPT // 2,
        help_text="One for each image; every prompt uses these. Left out: every prompt has seeds of its own.",
    )

    def validate_a(self, value: str) -> ModelVersion:
        """Find the baseline."""
        return _model(value)

    def validate_b(self, value: str) -> ModelVersion:
        """Find the challenger."""
        return _model(value)


class TallySerializer(serializers.Serializer[Tally]):
    """Votes, counted."""

    win_rate = serializers.FloatField(
        source="rate.estimate", allow_null=True, help_text="Of b, ties half; null: no votes."
    )
    low = serializers.FloatField(source="rate.low", help_text="Of the 95 % interval, clustered by prompt.")
    high = serializers.FloatField(source="rate.high")
    n = serializers.IntegerField(source="votes")
    prompts = serializers.IntegerField()
    won = serializers.IntegerField()
    tied = serializers.IntegerField()
    lost = serializers.IntegerField()


class CategorySerializer(TallySerializer):
    """The votes of one category of prompts."""

    category = serializers.CharField()


class BesideSerializer(serializers.Serializer[Beside]):
    """A figure of both models."""

    name = serializers.CharField()
    a = serializers.FloatField(allow_null=True)
    b = serializers.FloatField(allow_null=True)
    ratio = serializers.FloatField(allow_null=True, help_text="b by a.")


class ResultSerializer(TallySerializer):
    """What has been shown by now."""

    verdict = serializers.CharField(help_text="In one sentence.")
    outcome = serializers.ChoiceField(choices=["better", "worse", "open", "none"])
    categories = CategorySerializer(many=True)
    agreement = serializers.FloatField(allow_null=True, help_text="How often two judges agree; null: one judge each.")
    beside = BesideSerializer(many=True)


class EvaluationSerializer(serializers.ModelSerializer[Evaluation]):
    """An evaluation and how far it is."""

    state = serializers.ChoiceField(choices=["generating", "judging", "done", "paused", "cancelled", "failed"])
    judges = serializers.CharField(source="judges_in_words")
    generation = serializers.UUIDField(source="request_id")
    overlap = serializers.IntegerField(source="request.overlap")
    overlap_lead = serializers.IntegerField(
        source="request.overlap_lead", help_text="Beyond `overlap`, more judge until a verdict leads so far; 0: nobody."
    )
    overlap_cap = serializers.IntegerField(source="request.overlap_cap", help_text="With a lead: so many at most.")
    comparisons = serializers.IntegerField(source="items_total")
    judged = serializers.IntegerField(source="items_done", help_text="Comparisons with all their judgements.")

    class Meta:
        model = Evaluation
        fields = [
            "id", "a", "b", "judges", "state", "generation", "overlap", "overlap_lead", "overlap_cap", "comparisons",
            "judged", "created_at",
        ]  # fmt: skip


class EvaluationDetailSerializer(EvaluationSerializer):
    """An evaluation with its result."""

    result = serializers.SerializerMethodField()

    class Meta(EvaluationSerializer.Meta):
        fields = [*EvaluationSerializer.Meta.fields, "result"]

    @extend_schema_field(ResultSerializer)
    def get_result(self, evaluation: Evaluation) -> dict[str, Any]:
        """Return what has been shown by now."""
        return result_body(evaluation)


def result_body(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation's result as the API and the command line tell it."""
    found = result_of(evaluation)
    agreement = found.agreement.estimate if found.agreement else None
    return {
        **TallySerializer(found.tally).data,
        "verdict": found.sentence,
        "outcome": found.tally.outcome,
        "categories": [{"category": name, **TallySerializer(tally).data} for name, tally in found.categories],
        "agreement": agreement,
        "beside": [BesideSerializer(one).data for one in found.beside],
    }


class ProjectEvaluations(APIView):
    """A project's evaluations."""

    @documented_list("evaluations_list", EvaluationSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """List the evaluations, newest first."""
        project = project_for(request.user, pk, Act.INSPECT)
        return page_of(self, request, Evaluation.objects.of_project(project), EvaluationSerializer)

    @documented(
        "evaluations_create",
        request=NewEvaluationSerializer,
        answers={202: EvaluationDetailSerializer},
        errors=(400, 409),
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Compare two models blindly: both make images of the same prompts and seeds, and annotators judge them."""
        assert isinstance(request.user, User)
        project = project_for(request.user, pk, Act.TRAIN)
        data = NewEvaluationSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        asked = dict(data.validated_data)
        ids = asked.pop("prompts", None)
        prompts = Prompt.objects.chosen(project, ids) if ids else None
        made = services.start_evaluation(project, request.user, timezone.now(), prompts=prompts, **asked)
        return Response(EvaluationDetailSerializer(evaluation_for(request.user, made.pk, Act.INSPECT)).data, status=202)


class EvaluationDetail(APIView):
    """One evaluation."""

    @documented("evaluation_retrieve", answers={200: EvaluationDetailSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        """Return an evaluation with its result so far."""
        return Response(EvaluationDetailSerializer(evaluation_for(request.user, pk, Act.INSPECT)).data)


class PromoteSerializer(serializers.Serializer[Any]):
    """Which of the two."""

    model = serializers.CharField(max_length=100, required=False, help_text="Id or name of a or b; left out: b.")

    def validate_model(self, value: str) -> ModelVersion:
        """Find the model."""
        return _model(value)


class PromotionSerializer(serializers.Serializer[Any]):
    """What makes the next round's images now."""

    generator = serializers.UUIDField(source="model_id")
    previous = serializers.UUIDField(source="previous_id", allow_null=True)


class EvaluationPromotion(APIView):
    """The model that makes the next round's images."""

    @documented(
        "evaluation_promotion_create",
        request=PromoteSerializer,
        answers={201: PromotionSerializer},
        errors=(400, 409),
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Make b the project's generator, or the model that is named: promoting a takes it back."""
        assert isinstance(request.user, User)
        evaluation = evaluation_for(request.user, pk, Act.MANAGE)
        data = PromoteSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        model = data.validated_data.get("model")
        made = services.promote(evaluation, request.user, timezone.now(), model)
        return Response(PromotionSerializer(made).data, status=201)


class RowSerializer(serializers.Serializer[Row]):
    """A model on the leaderboard."""

    model = serializers.UUIDField(source="model.pk")
    name = serializers.CharField(source="model.name")
    rank = serializers.IntegerField(help_text="Equal where the intervals overlap.")
    strength = serializers.FloatField(help_text="Log worth, counted from the mean of all.")
    low = serializers.FloatField()
    high = serializers.FloatField()
    weighed = serializers.FloatField(
        allow_null=True,
        help_text="The strength with each vote weighed by how unlikely its draw was; null: draws were not by what "
        "votes tell.",
    )
    won = serializers.IntegerField()
    tied = serializers.IntegerField()
    lost = serializers.IntegerField()


class AskedSerializer(serializers.Serializer[Asked]):
    """Models that are compared next, where the project asks for the comparisons that tell most."""

    models = serializers.SerializerMethodField()
    votes = serializers.IntegerField(help_text="So far, on each two of them, together.")
    probability = serializers.FloatField(help_text="Of the next draw.")

    @extend_schema_field(serializers.ListField(child=serializers.UUIDField()))
    def get_models(self, asked: Asked) -> list[str]:
        """Return their ids."""
        return [str(model.pk) for model in asked.models]


class BoardSerializer(serializers.Serializer[Board]):
    """The model versions of a project by strength."""

    votes = serializers.IntegerField()
    prompts = serializers.IntegerField()
    connected = serializers.BooleanField(help_text="Whether votes say how each two models compare.")
    rows = RowSerializer(many=True)
    asked_next = serializers.SerializerMethodField()

    @extend_schema_field(AskedSerializer(many=True))
    def get_asked_next(self, board: Board) -> list[dict[str, Any]]:
        """Return the likeliest first; empty where items come as they were made."""
        return [AskedSerializer(one).data for one in asked_next(self.context["project"])]


class ProjectLeaderboard(APIView):
    """A project's model versions by strength."""

    @documented(
        "leaderboard_retrieve",
        answers={200: BoardSerializer},
        errors=(400,),
        parameters=[
            OpenApiParameter("judges", str, enum=["people", "simulated"], default="people", description="Whose votes.")
        ],
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """Return Davidson strengths with 95 % intervals, from every blind vote between two models."""
        project = project_for(request.user, pk, Act.INSPECT)
        judges = request.query_params.get("judges", "people")
        if judges not in {"people", "simulated"}:
            message = "judges is people or simulated."
            raise InvalidInput(message, fields={"judges": [message]})
        kind = User.Kind.SIMULATED if judges == "simulated" else User.Kind.HUMAN
        return Response(BoardSerializer(board_of(project, kind), context={"project": project}).data)


class NewSimulationSerializer(serializers.Serializer[Any]):
    """Which simulated annotators rank how much."""

    taste = serializers.ChoiceField(choices=list(TASTES))
    rankings = serializers.IntegerField(min_value=1, max_value=simulated.MAX_RANKINGS)
    noise = serializers.FloatField(
        min_value=0,
        max_value=MAX_NOISE,
        default=simulated.NOISE,
        help_text="The share of decided pairs that come out the wrong way round.",
    )
    ties = serializers.FloatField(
        min_value=0, max_value=1, default=simulated.TIES, help_text="Images liked this much alike share a place."
    )
    annotators = serializers.IntegerField(min_value=1, max_value=simulated.MAX_ANNOTATORS, default=3)
    seed = serializers.IntegerField(min_value=0, max_value=2**32 - 1, default=0)


class SimulationSerializer(serializers.ModelSerializer[Simulation]):
    """Simulated annotators at work."""

    state = serializers.ChoiceField(choices=["running", "done", "ended"])

    class Meta:
        model = Simulation
        fields = [
            "id", "taste", "noise", "ties", "rankings", "done", "state", "ended", "evaluation", "created_at",
        ]  # fmt: skip


class ProjectSimulations(APIView):
    """Simulated annotators of a project."""

    @documented_list("simulations_list", SimulationSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """List those that rank what models learn from, newest first."""
        project = project_for(request.user, pk, Act.INSPECT)
        return page_of(self, request, Simulation.objects.of_project(project), SimulationSerializer)

    @documented(
        "simulations_create", request=NewSimulationSerializer, answers={202: SimulationSerializer}, errors=(400, 409)
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Send simulated annotators; exports and snapshots leave out what they rank unless asked."""
        assert isinstance(request.user, User)
        project = project_for(request.user, pk, Act.MANAGE)
        data = NewSimulationSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        made = simulated.start_simulation(project, request.user, timezone.now(), **data.validated_data)
        return Response(SimulationSerializer(made).data, status=202)


class SimulationDetail(APIView):
    """One simulation."""

    @documented("simulation_retrieve", answers={200: SimulationSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        """Return how far simulated annotators have come."""
        return Response(SimulationSerializer(simulation_for(request.user, pk, Act.INSPECT)).data)
