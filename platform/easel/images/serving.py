"""The images themselves: what everybody in a project sees, and the originals for those who may know."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request
from rest_framework.views import APIView

from easel.common.media import send
from easel.common.schema import documented
from easel.images import downloads
from easel.images.access import candidate_for, original_for
from easel.images.previews import preview_key


class CandidateImage(APIView):
    """A candidate as people see it: for pages with a session, for scripts with a token."""

    @documented("candidate_image_retrieve", answers={(200, "image/webp"): OpenApiTypes.BINARY})
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        """Send the image, without metadata, to a member of its project; nginx sends the bytes where there is one."""
        return send(preview_key(candidate_for(request.user, pk)), "image/webp", "image.webp")


class CandidateDownload(APIView):
    """A candidate's original with everything about its making."""

    @documented("candidate_download_retrieve", answers={(200, "image/png"): OpenApiTypes.BINARY})
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        """Send the original PNG, with A1111's `parameters` and Easel's manifest in it; never to annotators."""
        candidate = original_for(request.user, pk)
        blocks, length = downloads.original_with_texts(candidate)
        response = StreamingHttpResponse(blocks, content_type="image/png")
        response.headers["Content-Length"] = str(length)
        response.headers["Content-Disposition"] = f'attachment; filename="{downloads.file_name(candidate)}"'
        response.headers["Cache-Control"] = "private, no-store"
        return response
