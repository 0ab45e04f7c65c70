"""Reviews, comments on items, and adjudications over REST."""

from __future__ import annotations

from collections.abc import Mapping
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
from easel.annotation.api import AnnotationSerializer, CandidateOfItemSerializer, PromptOfItemSerializer
from easel.annotation.models import Adjudication, Annotation, Comment, Item, Review
from easel.annotation.review import services
from easel.annotation.review.access import annotation_for, comment_for, item_for, review_for
from easel.annotation.review.adjudication import adjudicate, withdraw
from easel.annotation.review.queue import FLAGS, STATES, Asked, to_review
from easel.common.errors import InvalidInput
from easel.common.pagination import OldestFirst, page_of
from easel.common.schema import documented, documented_list
from easel.projects.access import project_for

_VERDICTS = Review.Verdict.choices
MOST_COMMENT = services.MOST_COMMENT


class ReviewSerializer(serializers.ModelSerializer[Review]):
    """A verdict."""

    reviewer = serializers.CharField(source="reviewer.username")
    verdict = serializers.ChoiceField(_VERDICTS)
    comment = serializers.CharField()

    class Meta:
        model = Review
        fields = ["id", "annotation", "reviewer", "verdict", "comment", "revision", "created_at"]


class ReviewedAnnotationSerializer(AnnotationSerializer):
    """An annotation, and what reviewers said of it."""

    review_state = serializers.ChoiceField(
        [("", "nobody is to look at it"), *Annotation.ReviewState.choices], help_text="What was said of it last."
    )
    revision = serializers.IntegerField(help_text="How often it was corrected.")
    reviews = serializers.SerializerMethodField(help_text="Oldest first.")

    class Meta(AnnotationSerializer.Meta):
        fields = [*AnnotationSerializer.Meta.fields, "review_state", "revision", "reviews"]

    @extend_schema_field(ReviewSerializer(many=True))
    def get_reviews(self, annotation: Annotation) -> Any:
        """What reviewers said of it."""
        said = sorted(annotation.reviews.all(), key=lambda review: review.pk)
        return ReviewSerializer(said, many=True).data


class NewReviewSerializer(serializers.Serializer[Any]):
    """What a reviewer does with an annotation."""

    verdict = serializers.ChoiceField(_VERDICTS)
    comment = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=MOST_COMMENT, help_text="Required to return it."
    )
    answers = serializers.DictField(required=False, help_text="To fix it: the right answers, by component name.")
    review_state = serializers.ChoiceField(
        [("", "none"), *Annotation.ReviewState.choices],
        required=False,
        help_text="As you saw it. Needed to decide again what was decided; with another one the answer is 409.",
    )
    revision = serializers.IntegerField(required=False, min_value=0, default=0, help_text="As you saw it.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Check what belongs together."""
        if (attrs["verdict"] == Review.Verdict.FIXED) != ("answers" in attrs):
            raise serializers.ValidationError({"answers": "Give them with the verdict fixed, and with no other."})
        return attrs


class BulkReviewSerializer(serializers.Serializer[Any]):
    """One verdict on many annotations."""

    annotations = serializers.ListField(
        child=serializers.UUIDField(), min_length=1, max_length=services.MOST_AT_ONCE, help_text="Their ids."
    )
    verdict = serializers.ChoiceField([one for one in _VERDICTS if one[0] != Review.Verdict.FIXED])
    comment = serializers.CharField(required=False, allow_blank=True, default="", max_length=MOST_COMMENT)


class RefusedReviewSerializer(serializers.Serializer[Any]):
    """An annotation on which the verdict does not stand, and why."""

    annotation = serializers.UUIDField()
    code = serializers.CharField()
    detail = serializers.CharField()


class BulkReviewedSerializer(serializers.Serializer[Any]):
    """What became of them."""

    reviews = ReviewSerializer(many=True)
    refused = RefusedReviewSerializer(many=True)


class CommentSerializer(serializers.ModelSerializer[Comment]):
    """What somebody said about an item."""

    author = serializers.CharField(source="author.username", read_only=True)

    class Meta:
        model = Comment
        fields = ["id", "item", "author", "text", "created_at"]
        read_only_fields = ["id", "item", "created_at"]


class AdjudicationSerializer(serializers.ModelSerializer[Adjudication]):
    """The last word on an item."""

    by = serializers.CharField(source="by.username", read_only=True)
    annotation = serializers.UUIDField(
        source="chosen_id", read_only=True, allow_null=True, help_text="Whose answer was taken; null: ranked anew."
    )
    ranking = serializers.ListField(child=serializers.ListField(child=serializers.CharField()), read_only=True)

    class Meta:
        model = Adjudication
        fields = ["item", "by", "annotation", "ranking", "ties_are_equal", "all_bad", "comment", "created_at"]
        read_only_fields = fields


class NewAdjudicationSerializer(serializers.Serializer[Any]):
    """How an item is decided: by an annotator's answer, or by an answer of one's own."""

    annotation = serializers.UUIDField(required=False, help_text="The annotation whose answer is taken.")
    answers = serializers.DictField(
        required=False, help_text="Or answers to the components that order images, as an annotator gives them."
    )
    comment = serializers.CharField(required=False, allow_blank=True, default="", max_length=MOST_COMMENT)


class InspectedItemSerializer(serializers.Serializer[Any]):
    """An item as those who inspect a project see it."""

    id = serializers.UUIDField()
    project = serializers.UUIDField(source="project_id")
    template_version = serializers.UUIDField(source="template_version_id")
    purpose = serializers.ChoiceField(Item.Purpose.choices)
    state = serializers.ChoiceField(Item.State.choices)
    category = serializers.CharField()
    votes = serializers.IntegerField(help_text="Annotations that count.")
    lead = serializers.FloatField(help_text="How far the commonest verdict is ahead.")
    prompt = PromptOfItemSerializer()
    candidates = CandidateOfItemSerializer(many=True)
    annotations = ReviewedAnnotationSerializer(many=True)
    comments = CommentSerializer(many=True)
    adjudication = AdjudicationSerializer(allow_null=True)
    created_at = serializers.DateTimeField()


class ProjectReviews(APIView):
    """What waits for a reviewer."""

    @documented_list(
        "reviews_list",
        ReviewedAnnotationSerializer,
        OpenApiParameter("state", str, enum=list(STATES), description="waiting if left out."),
        OpenApiParameter("annotator", UUID, description="An annotator's id."),
        OpenApiParameter("flag", str, enum=list(FLAGS), description="What is striking about them."),
        errors=(400,),
    )
    def get(self, request: Request, pk: UUID) -> Response:
        """List annotations to review, oldest first; the caller's own are not among them."""
        project = project_for(request.user, pk, Act.REVIEW)
        assert isinstance(request.user, User)
        rows = to_review(project, request.user, _asked(request.query_params))
        return page_of(
            self, request, rows.prefetch_related("reviews__reviewer"), ReviewedAnnotationSerializer, OldestFirst
        )


class AnnotationReviews(APIView):
    """Verdicts on one annotation."""

    @documented(
        "annotation_reviews_create", request=NewReviewSerializer, answers={201: ReviewSerializer}, errors=(400, 409)
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Accept, return or fix an annotation; 409 where somebody has decided in the meantime."""
        annotation = annotation_for(request.user, pk, Act.REVIEW)
        assert isinstance(request.user, User)
        data = NewReviewSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        given, now = data.validated_data, timezone.now()
        seen = services.Seen(given["review_state"], given["revision"]) if "review_state" in given else None
        if given["verdict"] == Review.Verdict.ACCEPTED:
            review = services.accept(annotation, request.user, now, given["comment"], seen)
        elif given["verdict"] == Review.Verdict.RETURNED:
            review = services.return_(annotation, request.user, now, given["comment"], seen)
        else:
            review = services.fix(annotation, request.user, now, given["answers"], given["comment"], seen)
        return Response(ReviewSerializer(review).data, status=201)


class ReviewDetail(APIView):
    """One verdict."""

    @documented("reviews_destroy", answers={204: None}, errors=(409,))
    def delete(self, request: Request, pk: UUID) -> Response:
        """Take one's own last verdict on an annotation back."""
        review = review_for(request.user, pk, Act.REVIEW)
        assert isinstance(request.user, User)
        services.undo(review, request.user)
        return Response(status=204)


class BulkReviews(APIView):
    """One verdict on many annotations."""

    @documented(
        "reviews_bulk_create", request=BulkReviewSerializer, answers={200: BulkReviewedSerializer}, errors=(400,)
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Accept or return many annotations of a project; what cannot be done is told, and the others are done."""
        project = project_for(request.user, pk, Act.REVIEW)
        assert isinstance(request.user, User)
        data = BulkReviewSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        given = data.validated_data
        rows = Annotation.objects.collected(project).in_bulk(given["annotations"])
        if missing := [str(pk) for pk in given["annotations"] if pk not in rows]:
            raise InvalidInput(
                f"This project has no annotation {missing[0]}.", fields={"annotations": [f"has no {missing[0]}"]}
            )
        chosen = [rows[pk] for pk in dict.fromkeys(given["annotations"])]
        done = services.review_all(chosen, request.user, timezone.now(), given["verdict"], given["comment"])
        refused = [{"annotation": pk, "code": why.code, "detail": why.detail} for pk, why in done.refused]
        return Response({"reviews": ReviewSerializer(done.reviews, many=True).data, "refused": refused})


class ItemDetail(APIView):
    """One item."""

    @documented("items_retrieve", answers={200: InspectedItemSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        """Return an item with its images, what annotators and reviewers said of it, and its comments."""
        return Response(_item(item_for(request.user, pk, Act.INSPECT)))


class ItemComments(APIView):
    """Comments on an item."""

    @documented_list("item_comments_list", CommentSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """List the comments, oldest first."""
        item = item_for(request.user, pk, Act.INSPECT)
        return page_of(self, request, Comment.objects.on(item), CommentSerializer, OldestFirst)

    @documented("item_comments_create", request=CommentSerializer, answers={201: CommentSerializer}, errors=(400,))
    def post(self, request: Request, pk: UUID) -> Response:
        """Say something about an item."""
        item = item_for(request.user, pk, Act.INSPECT)
        assert isinstance(request.user, User)
        data = CommentSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        made = services.remark(item, request.user, data.validated_data["text"], timezone.now())
        return Response(CommentSerializer(made).data, status=201)


class CommentDetail(APIView):
    """One comment."""

    @documented("comments_destroy", answers={204: None})
    def delete(self, request: Request, pk: UUID) -> Response:
        """Delete one's own comment."""
        comment = comment_for(request.user, pk, Act.INSPECT)
        assert isinstance(request.user, User)
        services.unsay(comment, request.user)
        return Response(status=204)


class ItemAdjudication(APIView):
    """The last word on an item."""

    @documented(
        "item_adjudication_update",
        request=NewAdjudicationSerializer,
        answers={200: AdjudicationSerializer},
        errors=(400, 409),
    )
    def put(self, request: Request, pk: UUID) -> Response:
        """Decide an item; 409 where somebody else has."""
        item = item_for(request.user, pk, Act.REVIEW)
        assert isinstance(request.user, User)
        data = NewAdjudicationSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        given = data.validated_data
        chosen = annotation_for(request.user, given["annotation"], Act.REVIEW) if "annotation" in given else None
        made = adjudicate(
            item,
            request.user,
            timezone.now(),
            chosen=chosen,
            answers=given.get("answers"),
            comment=given["comment"],
        )
        return Response(AdjudicationSerializer(made).data)

    @documented("item_adjudication_destroy", answers={204: None})
    def delete(self, request: Request, pk: UUID) -> Response:
        """Withdraw the decision: what the annotators said counts again."""
        withdraw(item_for(request.user, pk, Act.REVIEW))
        return Response(status=204)


def _asked(given: Mapping[str, str]) -> Asked:
    """What an address asks for. Raises InvalidInput for what it cannot mean."""
    for name, known in (("state", STATES), ("flag", FLAGS)):
        if given.get(name, "") not in {"", *known}:
            choices = ", ".join(known)
            raise InvalidInput(
                f"There is no {name} {given[name][:40]!r}; choose one of {choices}.",
                fields={name: [f"one of {choices}"]},
            )
    asked = Asked.of(given)
    if given.get("annotator") and asked.annotator is None:
        raise InvalidInput("annotator is no id of a user.", fields={"annotator": ["is no id"]})
    return asked


def _item(item: Item) -> dict[str, Any]:
    given = item.prompt.conditioning or (item.request.conditioning if item.request else None)
    reference = {"url": f"/conditioning/{given.pk}/", "width": given.width, "height": given.height} if given else None
    prompt = item.prompt
    words = {"id": prompt.pk, "text": prompt.text, "negative": prompt.negative, "messages": prompt.messages}
    annotations = item.annotations.select_related("annotator", "assignment", "item__prompt").order_by("id")
    candidates = [
        {"id": one.pk, "url": f"/images/{one.pk}/", "width": one.width, "height": one.height}
        for one in item.candidates.order_by("pk")
    ]
    found = {
        "id": item.pk,
        "project_id": item.project_id,
        "template_version_id": item.template_version_id,
        "purpose": item.purpose,
        "state": item.state,
        "category": item.category,
        "votes": item.votes,
        "lead": item.lead,
        "prompt": {**words, "reference": reference},
        "candidates": candidates,
        "annotations": annotations.prefetch_related("reviews__reviewer"),
        "comments": Comment.objects.on(item),
        "adjudication": getattr(item, "adjudication", None),
        "created_at": item.created_at,
    }
    return dict(InspectedItemSerializer(found).data)
