"""Prompts of a project."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils import timezone
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.accounts.roles import Act
from easel.common.documents import fault_of
from easel.common.pagination import OldestFirst, page_of
from easel.common.parsers import StrictJSONParser
from easel.common.schema import documented, documented_list
from easel.projects.access import project_for
from easel.prompts import services
from easel.prompts.models import Prompt
from easel.prompts.parsing import MAX_ROWS, Parsed, Rejected, Row, check_rows, parse_file

MAX_METADATA_BYTES = 64 * 1024


class PromptSerializer(serializers.ModelSerializer[Prompt]):
    """A prompt."""

    metadata = serializers.DictField()

    class Meta:
        model = Prompt
        fields = ["id", "text", "negative", "metadata", "created_at"]


class PromptListSerializer(serializers.Serializer[Any]):
    """Prompts to add: each a text, or an object with text, negative and metadata."""

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
        """Add prompts: a JSON list, or a file upload (.txt, .csv, .tsv) as `file`."""
        project = project_for(request.user, pk, Act.MANAGE)
        upload = request.FILES.get("file")
        if isinstance(upload, UploadedFile):
            parsed = parse_file(upload.name or "file", _read(upload), settings.MAX_PROMPT_UPLOAD_BYTES)
        else:
            data = PromptListSerializer(data=request.data)
            data.is_valid(raise_exception=True)
            parsed = _parse_list(data.validated_data["prompts"])
        created, rejected = services.add_prompts(project, parsed, timezone.now())
        body = {"created": len(created), "rejected": [{"row": one.row, "reason": one.reason} for one in rejected]}
        return Response(body, status=201)


def _read(upload: UploadedFile[Any]) -> bytes:
    # One byte more than is taken is enough to know that a file is too large; a huge one is never held in memory.
    content = upload.read(settings.MAX_PROMPT_UPLOAD_BYTES + 1)
    assert isinstance(content, bytes)
    return content


def _parse_list(entries: list[Any]) -> Parsed:
    rows: list[Row | Rejected] = []
    for number, entry in enumerate(entries, start=1):
        if isinstance(entry, str):
            rows.append(Row(number, entry.strip()))
            continue
        if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
            rows.append(Rejected(number, "has no text; give a string or {'text': ...}"))
            continue
        negative, metadata = entry.get("negative", ""), entry.get("metadata", {})
        if unknown := set(entry) - {"text", "negative", "metadata"}:
            rows.append(Rejected(number, f"has an unknown key {sorted(unknown)[0]!r}; put it into metadata"))
        elif not isinstance(negative, str) or not isinstance(metadata, dict):
            rows.append(Rejected(number, "negative must be a text and metadata an object"))
        elif fault := fault_of(metadata, MAX_METADATA_BYTES):
            rows.append(Rejected(number, f"metadata {fault}"))
        else:
            rows.append(Row(number, entry["text"].strip(), negative.strip(), metadata))
    return check_rows("prompts", rows)
