"""Prompts of a project."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.documents import fault_of
from easel.common.errors import InvalidInput
from easel.common.media import send
from easel.common.pagination import OldestFirst, page_of
from easel.common.parsers import StrictJSONParser
from easel.common.pictures import MAX_BYTES
from easel.common.schema import documented, documented_list
from easel.projects.access import project_for
from easel.prompts import services
from easel.prompts.access import picture_for
from easel.prompts.conditioning import MULTIPLE, File, add_picture
from easel.prompts.models import ConditioningImage, Prompt
from easel.prompts.parsing import MAX_ROWS, Parsed, Rejected, Row, check_rows, parse_file
from generation.types import Margins

MAX_METADATA_BYTES = 64 * 1024


class PromptSerializer(serializers.ModelSerializer[Prompt]):
    """A prompt."""

    metadata = serializers.DictField()

    class Meta:
        model = Prompt
        fields = ["id", "text", "negative", "metadata", "conditioning", "held_out", "created_at"]


class PromptListSerializer(serializers.Serializer[Any]):
    """Prompts to add: each a text, or an object with text, negative, metadata, conditioning (a picture's id), held_out.

    A conversation has messages instead of a text, as [{"role": "user", "content": "..."}]. What is held out is kept for
    evaluations: nothing is ever trained on it.
    """

    prompts = serializers.ListField(child=serializers.JSONField(), min_length=1, max_length=MAX_ROWS)


class RejectedSerializer(serializers.Serializer[Any]):
    """A row that was not taken."""

    row = serializers.IntegerField(help_text="Counted from 1.")
    reason = serializers.CharField()


class AddedSerializer(serializers.Serializer[Any]):
    """What an import did."""

    created = serializers.IntegerField()
    rejected = RejectedSerializer(many=True)


class ProjectPrompts(APIView):
    """A project's prompts."""

    parser_classes = [StrictJSONParser, MultiPartParser]

    @documented_list("prompts_list", PromptSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """List the prompts in the order in which they came."""
        project = project_for(request.user, pk, Act.INSPECT)
        return page_of(self, request, Prompt.objects.of_project(project), PromptSerializer, OldestFirst)

    @documented(
        "prompts_create",
        request={
            "application/json": PromptListSerializer,
            "multipart/form-data": {
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}},
                "required": ["file"],
            },
        },
        answers={201: AddedSerializer},
        errors=(400, 413, 415),
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Add prompts: a JSON list, or a file upload (.txt, .csv, .tsv, .json, .jsonl) as `file`."""
        project = project_for(request.user, pk, Act.MANAGE)
        upload = request.FILES.get("file")
        if isinstance(upload, UploadedFile):
            parsed = parse_file(upload.name or "file", _read(upload), settings.MAX_PROMPT_UPLOAD_BYTES)
        else:
            data = PromptListSerializer(data=request.data)
            data.is_valid(raise_exception=True)
            parsed = _parse_list(data.validated_data["prompts"], ConditioningImage.objects.ids_of(project))
        created, rejected = services.add_prompts(project, parsed, timezone.now())
        body = {"created": len(created), "rejected": [{"row": one.row, "reason": one.reason} for one in rejected]}
        return Response(body, status=201)


def _read(upload: UploadedFile[Any]) -> bytes:
    # One byte more than is taken is enough to know that a file is too large; a huge one is never held in memory.
    content = upload.read(settings.MAX_PROMPT_UPLOAD_BYTES + 1)
    assert isinstance(content, bytes)
    return content


def _parse_list(entries: list[Any], pictures: set[str]) -> Parsed:
    rows: list[Row | Rejected] = []
    for number, entry in enumerate(entries, start=1):
        if isinstance(entry, str):
            rows.append(Row(number, entry.strip()))
            continue
        talks = isinstance(entry, dict) and entry.get("messages") is not None
        if not isinstance(entry, dict) or not isinstance(entry.get("text", "" if talks else None), str):
            rows.append(Rejected(number, "has no text; give a string or {'text': ...}"))
            continue
        negative, metadata, held_out = (
            entry.get("negative", ""),
            entry.get("metadata", {}),
            entry.get("held_out", False),
        )
        if unknown := set(entry) - {"text", "negative", "metadata", "conditioning", "held_out", "messages"}:
            rows.append(Rejected(number, f"has an unknown key {sorted(unknown)[0]!r}; put it into metadata"))
        elif not isinstance(negative, str) or not isinstance(metadata, dict):
            rows.append(Rejected(number, "negative must be a text and metadata an object"))
        elif not isinstance(held_out, bool):
            rows.append(Rejected(number, "held_out must be true or false"))
        elif fault := fault_of(metadata, MAX_METADATA_BYTES):
            rows.append(Rejected(number, f"metadata {fault}"))
        elif (picture := entry.get("conditioning")) is not None and picture not in pictures:
            rows.append(Rejected(number, "conditioning is no picture of this project; upload it first"))
        else:
            text, said = entry.get("text", "").strip(), {"messages": entry["messages"]} if talks else {}
            rows.append(Row(number, text, negative.strip(), {**metadata, **said}, picture or "", held_out, talks))
    return check_rows("prompts", rows)


def _multiple_of_8(pixels: int) -> None:
    if pixels % MULTIPLE:
        below = pixels // MULTIPLE * MULTIPLE
        raise serializers.ValidationError(f"{pixels} is no multiple of {MULTIPLE}; give {below} or {below + MULTIPLE}.")


class MarginsSerializer(serializers.Serializer[Any]):
    """By how many pixels a picture grows."""

    left = serializers.IntegerField(default=0, min_value=0, max_value=1024, validators=[_multiple_of_8])
    top = serializers.IntegerField(default=0, min_value=0, max_value=1024, validators=[_multiple_of_8])
    right = serializers.IntegerField(default=0, min_value=0, max_value=1024, validators=[_multiple_of_8])
    bottom = serializers.IntegerField(default=0, min_value=0, max_value=1024, validators=[_multiple_of_8])


class NewPictureSerializer(MarginsSerializer):
    """A picture that images start from; the margins are for outpainting."""

    kind = serializers.ChoiceField(ConditioningImage.Kind.choices)


class PictureSerializer(serializers.ModelSerializer[ConditioningImage]):
    """A picture that images start from."""

    url = serializers.SerializerMethodField(help_text="Where the picture is, as it was stored.")
    margins = MarginsSerializer(allow_null=True)

    class Meta:
        model = ConditioningImage
        fields = ["id", "kind", "width", "height", "margins", "url", "created_at"]

    def get_url(self, picture: ConditioningImage) -> str:
        """Return the picture's address."""
        return f"/conditioning/{picture.pk}/"


class NewPictureAnswerSerializer(PictureSerializer):
    """A picture that was stored, and what was changed about it."""

    notes = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta(PictureSerializer.Meta):
        fields = [*PictureSerializer.Meta.fields, "notes"]


class ProjectConditioning(APIView):
    """A project's pictures that images start from."""

    parser_classes = [MultiPartParser]

    @documented_list("conditioning_list", PictureSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """List the pictures, newest first."""
        project = project_for(request.user, pk, Act.INSPECT)
        return page_of(self, request, ConditioningImage.objects.of_project(project), PictureSerializer)

    @documented(
        "conditioning_create",
        request={
            "multipart/form-data": {
                "type": "object",
                "properties": {
                    "kind": {"type": "string", "enum": ConditioningImage.Kind.values},
                    "image": {"type": "string", "format": "binary"},
                    "mask": {"type": "string", "format": "binary", "description": "Inpainting: white is made anew."},
                    **{side: {"type": "integer"} for side in ("left", "top", "right", "bottom")},
                },
                "required": ["kind", "image"],
            }
        },
        answers={201: NewPictureAnswerSerializer},
        errors=(400, 413, 415),
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Store a picture's pixels, turned upright and cut to multiples of 8 pixels; `notes` says what changed."""
        assert isinstance(request.user, User)
        project = project_for(request.user, pk, Act.GENERATE)
        data = NewPictureSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        kind, given = data.validated_data["kind"], request.data
        image, mask = _picture(request, "image"), _picture(request, "mask")
        if image is None:
            message = "The picture is missing. Send it as a file named 'image'."
            raise InvalidInput(message, fields={"image": [message]})
        sides = {side: data.validated_data[side] for side in ("left", "top", "right", "bottom")}
        named = kind == ConditioningImage.Kind.OUTPAINT or any(side in given for side in sides)
        added = add_picture(
            project, kind, image, request.user, timezone.now(), mask=mask, margins=Margins(**sides) if named else None
        )
        body = PictureSerializer(added.picture).data
        return Response({**body, "notes": added.notes}, status=201)


def _picture(request: Request, name: str) -> File | None:
    upload = request.FILES.get(name)
    return File(upload.name or name, upload.read(MAX_BYTES + 1)) if isinstance(upload, UploadedFile) else None


class ConditioningPicture(APIView):
    """The picture itself."""

    @documented("conditioning_picture_retrieve", answers={(200, "image/png"): OpenApiTypes.BINARY})
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        """Send the picture as it was stored."""
        return send(picture_for(request.user, pk).image_key, "image/png", "picture.png")
