"""Import of existing images, for scripts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.schema import documented
from easel.images import imports
from easel.images.import_forms import uploads_of
from easel.images.models import Candidate
from easel.projects.access import project_for
from easel.prompts.models import MAX_TEXT
from easel.registry.imported import MAX_NAME


class SaidSerializer(serializers.Serializer[Any]):
    """What counts for files that do not say it themselves."""

    prompt = serializers.CharField(required=False, default="", allow_blank=True, max_length=MAX_TEXT)
    model = serializers.CharField(required=False, default="", allow_blank=True, max_length=MAX_NAME)


class ImportedImageSerializer(serializers.Serializer[Candidate]):
    """A candidate that came of a file."""

    id = serializers.UUIDField()
    file = serializers.CharField(source="metadata.file")
    prompt = serializers.UUIDField(source="prompt_id")
    model = serializers.CharField(source="model.name")
    seed = serializers.IntegerField(allow_null=True)
    notes = serializers.ListField(child=serializers.CharField(), source="metadata.notes")


class RefusedFileSerializer(serializers.Serializer[Any]):
    """A file that was not taken."""

    file = serializers.CharField()
    reason = serializers.CharField()


class ImportedSerializer(serializers.Serializer[imports.Imported]):
    """What an import did."""

    generation = serializers.UUIDField(source="request.pk", allow_null=True, default=None)
    created = serializers.SerializerMethodField()
    images = ImportedImageSerializer(many=True, source="candidates")
    rejected = RefusedFileSerializer(many=True)

    def get_created(self, done: imports.Imported) -> int:
        """Return how many candidates were made."""
        return len(done.candidates)


class ProjectImages(APIView):
    """Images from elsewhere."""

    parser_classes = [MultiPartParser]

    @documented(
        "images_create",
        request={
            "multipart/form-data": {
                "type": "object",
                "properties": {
                    "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    "prompt": {"type": "string", "description": "For files that do not say their prompt."},
                    "model": {"type": "string", "description": "For files that do not say their model."},
                },
                "required": ["files"],
            }
        },
        answers={201: ImportedSerializer},
        errors=(400, 413, 415),
    )
    def post(self, request: Request, pk: UUID) -> Response:
        """Import PNG, JPEG and WebP files, with what they say of their making; the others are named with a reason."""
        assert isinstance(request.user, User)
        project = project_for(request.user, pk, Act.MANAGE)
        data = SaidSerializer(data=request.data)
        data.is_valid(raise_exception=True)
        said = imports.Said(prompt=data.validated_data["prompt"].strip(), model=data.validated_data["model"].strip())
        found = imports.read_files(project, uploads_of(request.FILES.getlist("files"), said))
        done = imports.import_pictures(project, found, request.user, timezone.now())
        return Response(ImportedSerializer(done).data, status=201)
