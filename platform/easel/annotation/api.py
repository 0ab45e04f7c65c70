"""Leasing, drafting, submitting and skipping."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.annotation import services
from easel.annotation.access import assignment_for
from easel.annotation.desk import Desk, LimitReached, Paused, desk_of
from easel.annotation.gold.services import TRAINING_ITEMS, take
from easel.annotation.models import Annotation, Assignment, Item
from easel.annotation.progress import day_of
from easel.annotation.review.returned import returned_to
from easel.common.pagination import page_of
from easel.common.schema import documented, documented_list
from easel.images.models import GenerationRequest
from easel.projects.access import project_for
from easel.projects.models import Project
from easel.prompts.conversations import ROLES

DAY_MS = 86_400_000
MOST_HELD = 10
UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class MessageSerializer(serializers.Serializer[Any]):
    """What somebody said in a conversation."""

    role = serializers.ChoiceField(ROLES)
    content = serializers.CharField()


class ReferenceSerializer(serializers.Serializer[Any]):
    """The picture that the images of a prompt start from."""

    url = serializers.CharField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()


class PromptOfItemSerializer(serializers.Serializer[Any]):
    """The prompt of an item."""

    id = serializers.UUIDField()
    text = serializers.CharField()
    negative = serializers.CharField()
    messages = MessageSerializer(many=True, allow_null=True, help_text="The conversation that it is; null: a text.")
    reference = ReferenceSerializer(allow_null=True)


class CandidateOfItemSerializer(serializers.Serializer[Any]):
    """An image to rank; nothing tells which model made it."""

    id = serializers.UUIDField()
    url = serializers.CharField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()


class ItemSerializer(serializers.Serializer[Any]):
    """What is ranked; the candidates stand in this annotator's own order."""

    id = serializers.UUIDField()
    prompt = PromptOfItemSerializer()
    candidates = CandidateOfItemSerializer(many=True)
    sensitive = serializers.BooleanField(help_text="Its images are blurred until asked for.")


class DraftSerializer(serializers.Serializer[Any]):
    """What was entered so far."""

    answers = serializers.DictField()
    version = serializers.IntegerField(min_value=0, max_value=2**31 - 2)


class ReturnedSerializer(serializers.Serializer[Any]):
    """Why work came back."""

    comment = serializers.CharField(help_text="Of the reviewer.")


class TrainingSerializer(serializers.Serializer[Any]):
    """How far a training round has come."""

    number = serializers.IntegerField(help_text="Which item of the round this is, from 1.")
    of = serializers.IntegerField()


class FeedbackSerializer(serializers.Serializer[Any]):
    """What somebody in training is told of an answer."""

    passed = serializers.BooleanField(allow_null=True)
    note = serializers.CharField()
    expected = serializers.ListField(child=serializers.ListField(child=serializers.UUIDField()))


class BlockedSerializer(serializers.Serializer[Any]):
    """Why no item is given out now."""

    code = serializers.CharField(help_text="paused or limit_reached")
    detail = serializers.CharField()


class AssignmentSerializer(serializers.Serializer[Any]):
    """A lease."""

    id = serializers.UUIDField()
    expires_at = serializers.DateTimeField()
    template_version = serializers.UUIDField()
    item = ItemSerializer()
    draft = DraftSerializer(allow_null=True)
    returned = ReturnedSerializer(required=False, help_text="Where a reviewer sent it back.")
    training = TrainingSerializer(required=False, help_text="Where it is answered to learn.")


class HoldingSerializer(serializers.Serializer[Any]):
    """The assignments that the page has already."""

    holding = serializers.ListField(
        child=serializers.UUIDField(),
        required=False,
        max_length=MOST_HELD,
        default=list,
        help_text="Assignments that the caller has already; left out, the oldest open one is resumed.",
    )


class SubmissionSerializer(HoldingSerializer):
    """A ranking and the other answers, by component name."""

    answers = serializers.DictField(help_text='As {"ranking": [["id"], ["id", "id"]], "all_bad": false}')
    active_ms = serializers.IntegerField(min_value=0, max_value=DAY_MS, help_text="Active time, milliseconds.")


class AnnotationIdSerializer(serializers.Serializer[Any]):
    """The stored annotation."""

    id = serializers.UUIDField()


class SubmittedSerializer(serializers.Serializer[Any]):
    """The stored annotation and what to rank next."""

    annotation = AnnotationIdSerializer()
    next = AssignmentSerializer(allow_null=True)
    blocked = BlockedSerializer(required=False, help_text="Where `next` is null: what stands in the way.")
    feedback = FeedbackSerializer(required=False, help_text="In training.")


class SkipSerializer(HoldingSerializer):
    """Why an item is skipped."""

    reason = serializers.ChoiceField(choices=list(services.SKIP_REASONS.items()))


class SkippedSerializer(serializers.Serializer[Any]):
    """What to rank next."""

    next = AssignmentSerializer(allow_null=True)
    blocked = BlockedSerializer(required=False, help_text="Where `next` is null: what stands in the way.")


class HeartbeatSerializer(serializers.Serializer[Any]):
    """Until when the lease holds."""

    expires_at = serializers.DateTimeField()


class VersionSerializer(serializers.Serializer[Any]):
    """The draft's new version."""

    version = serializers.IntegerField()


class DaySerializer(serializers.Serializer[Any]):
    """The caller's progress today."""

    today = serializers.IntegerField()
    median_ms = serializers.FloatField(allow_null=True)
    left = serializers.IntegerField()


class AnnotationSerializer(serializers.ModelSerializer[Annotation]):
    """An annotation as those who inspect a project see it."""

    annotator = serializers.CharField(source="annotator.username")
    prompt = serializers.CharField(source="item.prompt.text")
    ranking = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    answers = serializers.DictField()
    shown_order = serializers.ListField(child=serializers.UUIDField(), source="assignment.shown_order")
    surplus = serializers.SerializerMethodField(help_text="It came after the item had all it needed.")

    class Meta:
        model = Annotation
        fields = [
            "id", "item", "annotator", "prompt", "shown_order", "ranking", "all_bad", "answers", "active_ms", "surplus",
            "created_at",
        ]  # fmt: skip

    def get_surplus(self, annotation: Annotation) -> bool:
        """Tell whether it came after the item had all it needed."""
        return annotation.assignment.state == Assignment.State.SURPLUS


def _submission(data: Any) -> dict[str, Any]:
    """Return what SubmissionSerializer makes of a submission. Raises ValidationError.

    A serializer copies its fields for each request, which took as long as a statement: what is plainly right is read
    without one, and anything else is left to it, so that its words stay the same.
    """
    if isinstance(data, dict):
        answers, active_ms, holding = data.get("answers"), data.get("active_ms"), data.get("holding", [])
        if (
            isinstance(answers, dict)
            and type(active_ms) is int
            and 0 <= active_ms <= DAY_MS
            and isinstance(holding, list)
            and len(holding) <= MOST_HELD
            and all(isinstance(one, str) and UUID_TEXT.fullmatch(one) for one in holding)
        ):
            return {"answers": answers, "active_ms": active_ms, "holding": [UUID(one) for one in holding]}
    read = SubmissionSerializer(data=data)
    read.is_valid(raise_exception=True)
    valid: dict[str, Any] = read.validated_data
    return valid


def render_assignment(assignment: Assignment, sensitive: Collection[str] | None = None) -> dict[str, Any]:
    """Return an assignment as the API shows it. Written by hand: this is on the path of every submission.

    sensitive: the project's sensitive categories, where they are known already.
    """
    item = assignment.item
    sensitive = item.project.sensitive_categories if sensitive is None else sensitive
    if not hasattr(assignment, "shown"):
        by_id = item.candidates.in_bulk(assignment.shown_order)
        assignment.shown = [by_id[pk] for pk in assignment.shown_order]
    shown = {
        "id": str(assignment.pk),
        "expires_at": assignment.expires_at.isoformat(),
        "template_version": str(item.template_version_id),
        "item": {
            "id": str(item.pk),
            "prompt": {
                "id": str(item.prompt_id),
                "text": item.prompt.text,
                "negative": item.prompt.negative,
                "messages": item.prompt.messages,
                "reference": _reference(item),
            },
            "candidates": [
                {"id": str(one.pk), "url": f"/images/{one.pk}/", "width": one.width, "height": one.height}
                for one in assignment.shown
            ],
            "sensitive": item.is_sensitive(sensitive),
        },
        "draft": (
            None if assignment.draft is None else {"answers": assignment.draft, "version": assignment.draft_version}
        ),
    }
    if assignment.state == Assignment.State.RETURNED:
        shown |= returned_to(assignment)
    return shown


def _reference(item: Item) -> dict[str, Any] | None:
    """The picture that an item's images start from: the prompt's own, else what was given with their request."""
    if not hasattr(item, "picture"):
        given = item.prompt.conditioning or (item.request.conditioning if item.request else None)
        item.picture, item.picture_width, item.picture_height = (
            (given.pk, given.width, given.height) if given else (None, 0, 0)
        )
    if item.picture is None:
        return None
    return {"url": f"/conditioning/{item.picture}/", "width": item.picture_width, "height": item.picture_height}


def _next_after(done: Assignment, user: User, holding: Collection[UUID]) -> dict[str, Any]:
    """Lease what comes after an assignment; after one's own live attempt comes the next prompt that one types."""
    if done.item.audience == GenerationRequest.Audience.REQUESTER:
        return {"next": None}
    try:
        return {"next": _next(done.item.project, user, holding, done.desk)}
    except (Paused, LimitReached) as refusal:  # what was submitted is stored all the same
        return {"next": None, "blocked": {"code": refusal.code, "detail": refusal.detail}}


def _next(project: Project, user: User, holding: Collection[UUID], desk: Desk | None = None) -> dict[str, Any] | None:
    desk = desk or desk_of(project, user)
    assignment = services.lease_next(project, user, timezone.now(), holding, desk=desk)
    if assignment is None:
        return None
    shown = render_assignment(assignment, desk.sensitive)
    if desk.trains:
        shown["training"] = {"number": desk.training + 1, "of": TRAINING_ITEMS}
    return shown


class ProjectAssignments(APIView):
    """Leases in a project."""

    @documented(
        "assignments_create",
        request=HoldingSerializer,
        answers={201: AssignmentSerializer, 204: OpenApiResponse(description="There is nothing to do.")},
        errors=(400,),
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Lease the next item, or resume an open lease."""
        assert isinstance(request.user, User)
        project = project_for(request.user, pk, Act.RANK)
        data = HoldingSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        following = _next(project, request.user, data.validated_data["holding"])
        return Response(status=204) if following is None else Response(following, status=201)


class AssignmentDetail(APIView):
    """One of the caller's own leases."""

    @documented("assignments_retrieve", answers={200: AssignmentSerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        """Return an assignment with its draft."""
        return Response(render_assignment(assignment_for(request.user, pk)))


class AssignmentAnnotation(APIView):
    """The answers of an assignment."""

    @documented(
        "assignment_annotation_update",
        request=SubmissionSerializer,
        answers={201: SubmittedSerializer, 200: SubmittedSerializer},
        errors=(400, 409),
    )
    def put(self, request: Request, pk: UUID) -> Response:
        """Submit: 201 the first time, 200 for the same answers again, 409 for others; with the next assignment."""
        assert isinstance(request.user, User)
        with transaction.atomic():  # one commit for the submission and the next lease: a commit waits for the disk
            assignment = assignment_for(request.user, pk, lock=True)
            valid = _submission(request.data)
            now = timezone.now()
            annotation, created = services.submit(assignment, valid["answers"], valid["active_ms"], now)
            answer: dict[str, Any] = {"annotation": {"id": str(annotation.pk)}}
            if created and annotation.purpose == Item.Purpose.GOLD and (told := take(assignment, annotation, now)):
                answer["feedback"] = told
            answer |= _next_after(assignment, request.user, valid["holding"])
        return Response(answer, status=201 if created else 200)


class AssignmentDraft(APIView):
    """What an annotator entered so far."""

    @documented("assignment_draft_update", request=DraftSerializer, answers={200: VersionSerializer}, errors=(400, 409))
    def put(self, request: Request, pk: UUID) -> Response:
        """Save the draft that was started from `version`; 409 with the newer one when there is a newer one."""
        assignment = assignment_for(request.user, pk)
        data = DraftSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        version = services.save_draft(assignment, data.validated_data["answers"], data.validated_data["version"])
        return Response({"version": version})


class AssignmentSkip(APIView):
    """Giving an item back."""

    @documented("assignment_skip_create", request=SkipSerializer, answers={201: SkippedSerializer}, errors=(400, 409))
    def post(self, request: Request, pk: UUID) -> Response:
        """Skip the item with a reason and lease the next one."""
        assert isinstance(request.user, User)
        with transaction.atomic():
            assignment = assignment_for(request.user, pk, lock=True)
            data = SkipSerializer(data=request.data)
            data.is_valid(raise_exception=True)
            services.skip(assignment, data.validated_data["reason"])
            following = _next_after(assignment, request.user, data.validated_data["holding"])
        return Response(following, status=201)


class AssignmentHeartbeat(APIView):
    """A sign that the annotator is still there."""

    @documented("assignment_heartbeat_update", answers={200: HeartbeatSerializer}, errors=(409,))
    def put(self, request: Request, pk: UUID) -> Response:
        """Renew the lease."""
        expires_at = services.heartbeat(assignment_for(request.user, pk), timezone.now())
        return Response({"expires_at": expires_at.isoformat()})


class AssignmentReopening(APIView):
    """Taking back a submission."""

    @documented("assignment_reopening_create", request=None, answers={200: AssignmentSerializer}, errors=(409,))
    def post(self, request: Request, pk: UUID) -> Response:
        """Take back one's last submission: its answers become the draft again. 409 where it is too late."""
        with transaction.atomic():
            services.reopen(assignment_for(request.user, pk, lock=True), timezone.now())
        return Response(render_assignment(assignment_for(request.user, pk)))


class ProjectProgress(APIView):
    """The caller's day."""

    @documented("progress_retrieve", answers={200: DaySerializer})
    def get(self, request: Request, pk: UUID) -> Response:
        """Return how many the caller ranked today, how fast, and what is left."""
        assert isinstance(request.user, User)
        project = project_for(request.user, pk, Act.RANK)
        return Response(DaySerializer(day_of(request.user, project, timezone.now())).data)


class ProjectAnnotations(APIView):
    """A project's annotations."""

    @documented_list("annotations_list", AnnotationSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """List the annotations, newest first."""
        project = project_for(request.user, pk, Act.INSPECT)
        return page_of(self, request, Annotation.objects.of_project(project), AnnotationSerializer)
