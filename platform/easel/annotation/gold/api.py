"""Gold and training, for scripts. Only those who manage a project meet it: whoever ranks must not know the answers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.annotation.gold import automatic, making
from easel.annotation.gold.access import gold_for
from easel.annotation.gold.figures import Rate, rates_of
from easel.annotation.gold.scoring import expected_order
from easel.annotation.models import Gold
from easel.annotation.review.access import annotation_for, item_for
from easel.common.errors import Conflict, InvalidInput
from easel.common.pagination import NewestFirst
from easel.common.schema import documented, documented_list
from easel.projects.access import project_for

STATES = ("in use", "waiting", "retired")
RANKING = serializers.ListField(
    child=serializers.ListField(child=serializers.UUIDField(), max_length=16), max_length=16
)


class PassRateSerializer(serializers.Serializer[Rate]):
    """How often gold was answered, and as expected."""

    scored = serializers.IntegerField()
    passed = serializers.IntegerField()
    doubtful = serializers.BooleanField(help_text="Most good annotators answer otherwise: it may be wrong.")


class MadePictureSerializer(serializers.Serializer[Any]):
    """An image that was made for gold."""

    candidate = serializers.UUIDField(source="candidate_id")
    original = serializers.UUIDField(source="original_id")
    how = serializers.CharField()


class GoldSerializer(serializers.Serializer[Any]):
    """An item whose right answer is known."""

    id = serializers.UUIDField(source="item_id", help_text="Of its item.")
    prompt = serializers.CharField(source="item.prompt.text")
    source = serializers.ChoiceField(choices=Gold.Source.choices)  # type: ignore[assignment]  # a name of rest_framework
    candidates = serializers.SerializerMethodField(help_text="All of its images.")
    ranking = serializers.SerializerMethodField(
        help_text="The right answer as an order; images that may stand anywhere are absent."
    )
    pairs = serializers.SerializerMethodField(help_text="[better, worse]: each is to be in this order.")
    all_bad = serializers.BooleanField(source="answer.all_bad", allow_null=True, help_text="null: it is not asked.")
    pictures = MadePictureSerializer(many=True)
    note = serializers.CharField()
    training = serializers.BooleanField()
    state = serializers.ChoiceField(choices=STATES)
    rate = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()

    @extend_schema_field(serializers.ListField(child=serializers.UUIDField()))
    def get_candidates(self, gold: Gold) -> list[str]:
        """Return its images' ids."""
        return [str(one.pk) for one in gold.item.candidates.all()]

    @extend_schema_field(RANKING)
    def get_ranking(self, gold: Gold) -> list[list[str]]:
        """Return the right answer as an order."""
        return expected_order(gold.answer)

    @extend_schema_field(serializers.ListField(child=serializers.ListField(child=serializers.UUIDField())))
    def get_pairs(self, gold: Gold) -> list[list[str]]:
        """Return what is to be before what."""
        pairs: list[list[str]] = gold.answer["pairs"]
        return pairs

    @extend_schema_field(PassRateSerializer())
    def get_rate(self, gold: Gold) -> dict[str, Any]:
        """Return how it does."""
        return dict(PassRateSerializer(self.context["rates"].get(gold.pk, Rate())).data)


class NewGoldSerializer(serializers.Serializer[Any]):
    """What to make gold of: an item with its right order, or an annotation that is right."""

    item = serializers.UUIDField(required=False, help_text="An ordinary item; a copy of it becomes gold.")
    ranking = serializers.ListField(
        child=serializers.ListField(child=serializers.UUIDField(), max_length=16),
        max_length=16,
        required=False,
        default=list,
        help_text="The right order, best first. Images that share a place, or are absent, may stand anywhere.",
    )
    all_bad = serializers.BooleanField(
        required=False, allow_null=True, default=None, help_text="Whether all images are to be called bad; null: open."
    )
    annotation = serializers.UUIDField(required=False, help_text="In place of item, ranking and all_bad.")
    note = serializers.CharField(required=False, default="", allow_blank=True, max_length=making.MAX_NOTE)
    training = serializers.BooleanField(required=False, default=False)


class GoldChangeSerializer(serializers.Serializer[Any]):
    """What to change; what is left out stays as it is."""

    note = serializers.CharField(required=False, allow_blank=True, max_length=making.MAX_NOTE)
    training = serializers.BooleanField(required=False)
    state = serializers.ChoiceField(choices=("in use", "retired"), required=False)


class RoundSerializer(serializers.Serializer[automatic.Round]):
    """Gold that is made in the background."""

    state = serializers.CharField(help_text="going, cancelled or done")
    done = serializers.IntegerField()
    total = serializers.IntegerField()
    skipped = serializers.IntegerField(help_text="Items of which nothing could be made.")


class NewRoundSerializer(serializers.Serializer[Any]):
    """How much gold to make, and how."""

    count = serializers.IntegerField(min_value=1, max_value=automatic.MOST)
    kinds = serializers.ListField(
        child=serializers.CharField(max_length=40),
        required=False,
        default=lambda: list(automatic.KINDS),
        help_text=f"In turn: {', '.join(automatic.KINDS)}.",
    )
    training = serializers.BooleanField(required=False, default=False)


class ProposalSerializer(serializers.Serializer[making.Proposal]):
    """An item that everybody answered alike."""

    item = serializers.UUIDField(source="item.pk")
    prompt = serializers.CharField(source="item.prompt.text")
    ranking = serializers.SerializerMethodField(help_text="What everybody said; images not named are in dispute.")
    all_bad = serializers.BooleanField(source="answer.all_bad", allow_null=True)
    people = serializers.IntegerField()

    @extend_schema_field(RANKING)
    def get_ranking(self, proposal: making.Proposal) -> list[list[str]]:
        """Return what everybody said."""
        return expected_order(proposal.answer)


class ProposalsSerializer(serializers.Serializer[Any]):
    """Some proposals."""

    results = ProposalSerializer(many=True)
    after = serializers.UUIDField(allow_null=True, help_text="Give it as `after` for the next ones; null at the end.")


class ChosenSerializer(serializers.Serializer[Any]):
    """Which items."""

    items = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=500)
    training = serializers.BooleanField(required=False, default=False)


class LookedAtSerializer(serializers.Serializer[Any]):
    """What to do with gold that waits to be looked at."""

    use = serializers.ListField(child=serializers.UUIDField(), required=False, default=list, max_length=500)
    discard = serializers.ListField(child=serializers.UUIDField(), required=False, default=list, max_length=500)


class LookedAtAnswerSerializer(serializers.Serializer[Any]):
    """How many that were."""

    used = serializers.IntegerField()
    discarded = serializers.IntegerField()


class NewestGoldFirst(NewestFirst):
    """Gold is named by its item."""

    ordering = "-item_id"


def _shown(gold: Gold) -> dict[str, Any]:
    fresh = Gold.objects.of_project(gold.project).get(pk=gold.pk)
    return dict(GoldSerializer(fresh, context={"rates": rates_of(fresh.project, [fresh.pk])}).data)


class ProjectGold(APIView):
    """Gold of a project."""

    @documented_list(
        "gold_list",
        GoldSerializer,
        OpenApiParameter("state", str, enum=STATES, description="All, if left out."),
        errors=(400,),
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """List gold with its answers and how it does."""
        project = project_for(request.user, pk, Act.MANAGE)
        rows = Gold.objects.of_project(project)
        if state := request.query_params.get("state", ""):
            if state not in STATES:
                raise InvalidInput(f"There is no state {state[:40]!r}; choose one of {', '.join(STATES)}.")
            rows = {"in use": rows.in_use, "waiting": rows.waiting, "retired": rows.retired}[state]()
        pages = NewestGoldFirst()
        page = pages.paginate_queryset(rows, request, view=self) or []
        rates = rates_of(project, [one.pk for one in page])
        return pages.get_paginated_response(GoldSerializer(page, many=True, context={"rates": rates}).data)

    @documented("gold_create", request=NewGoldSerializer, answers={201: GoldSerializer}, errors=(400,))
    def post(self, request: Request, pk: UUID) -> Response:
        """Make gold of an item or of an annotation."""
        assert isinstance(request.user, User)
        project = project_for(request.user, pk, Act.MANAGE)
        data = NewGoldSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        valid = data.validated_data
        options = {"note": valid["note"], "training": valid["training"]}
        if ("item" in valid) == ("annotation" in valid):
            raise InvalidInput("Name an item or an annotation to make gold of, one of the two.")
        if "annotation" in valid:
            said = annotation_for(request.user, valid["annotation"], Act.MANAGE, project)
            gold = making.make_of_annotation(said, request.user, timezone.now(), **options)
        else:
            item = item_for(request.user, valid["item"], Act.MANAGE, project)
            ranking = [[str(one) for one in group] for group in valid["ranking"]]
            answer = making.answer_of(ranking, all_bad=valid["all_bad"])
            gold = making.make(item, answer, request.user, timezone.now(), **options)
        return Response(_shown(gold), status=201)


class GoldDetail(APIView):
    """One gold item."""

    @documented("gold_retrieve", answers={200: GoldSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        """Return gold with its answer and how it does."""
        return Response(_shown(gold_for(request.user, pk)))

    @documented("gold_update", request=GoldChangeSerializer, answers={200: GoldSerializer}, errors=(400, 409))
    def patch(self, request: Request, pk: UUID) -> Response:
        """Change its note or what it is for, retire it, or bring it back. Another answer is another gold item."""
        gold = gold_for(request.user, pk)
        data = GoldChangeSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        valid = data.validated_data
        making.change(gold, note=valid.get("note"), training=valid.get("training"))
        if valid.get("state") == "retired":
            making.retire(gold, timezone.now())
        elif valid.get("state") == "in use":
            making.use(gold.project, [gold.pk])
        return Response(_shown(gold))


class ProjectGoldAutomatic(APIView):
    """Gold that is made of spoilt images and of images of other prompts."""

    @documented("gold_automatic_retrieve", answers={200: RoundSerializer, 204: OpenApiResponse(description="None.")})
    def get(self, request: Request, pk: UUID) -> Response:
        """Return how far the newest round is."""
        found = automatic.newest_round(project_for(request.user, pk, Act.MANAGE))
        return Response(RoundSerializer(found).data) if found else Response(status=204)

    @documented("gold_automatic_create", request=NewRoundSerializer, answers={202: RoundSerializer}, errors=(400, 409))
    def post(self, request: Request, pk: UUID) -> Response:
        """Have gold made in the background. It waits to be looked at before anybody gets it."""
        assert isinstance(request.user, User)
        project = project_for(request.user, pk, Act.MANAGE)
        data = NewRoundSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        made = automatic.start(project, request.user, timezone.now(), **data.validated_data)
        return Response(RoundSerializer(made).data, status=202)

    @documented("gold_automatic_cancel", answers={204: OpenApiResponse(description="Cancelled.")})
    def delete(self, request: Request, pk: UUID) -> Response:
        """Make no more; what was made waits to be looked at."""
        automatic.cancel(project_for(request.user, pk, Act.MANAGE), timezone.now())
        return Response(status=204)


class ProjectGoldUnanimous(APIView):
    """Items that everybody answered alike."""

    @documented(
        "gold_unanimous_list",
        answers={200: ProposalsSerializer},
        parameters=[OpenApiParameter("after", str, description="As answered before.")],
        errors=(400,),
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """List items whose best or worst image at least three people agree on, all of them."""
        project = project_for(request.user, pk, Act.MANAGE)
        try:
            after = UUID(text) if (text := request.query_params.get("after", "")) else None
        except ValueError as error:
            raise InvalidInput("`after` is no id; leave it out to begin at the newest.") from error
        found, then = making.proposals(project, after, 50)
        return Response(ProposalsSerializer({"results": found, "after": then}).data)

    @documented(
        "gold_unanimous_create", request=ChosenSerializer, answers={201: GoldSerializer(many=True)}, errors=(400, 409)
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Make gold of chosen ones; what is no longer unanimous is left out."""
        assert isinstance(request.user, User)
        project = project_for(request.user, pk, Act.MANAGE)
        data = ChosenSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        made = making.accept(
            project,
            data.validated_data["items"],
            request.user,
            timezone.now(),
            training=data.validated_data["training"],
        )
        if not made:
            raise Conflict("None of these items is unanimous and without gold (any more). List them again.")
        rows = Gold.objects.of_project(project).filter(pk__in=[one.pk for one in made])
        return Response(GoldSerializer(rows, many=True, context={"rates": {}}).data, status=201)


class ProjectGoldWaiting(APIView):
    """Gold that nobody has looked at yet."""

    @documented("gold_look", request=LookedAtSerializer, answers={200: LookedAtAnswerSerializer}, errors=(400,))
    def post(self, request: Request, pk: UUID) -> Response:
        """Use some of it, and discard some."""
        project = project_for(request.user, pk, Act.MANAGE)
        data = LookedAtSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        valid = data.validated_data
        used = making.use(project, valid["use"])
        return Response({"used": used, "discarded": making.discard(project, valid["discard"])})
