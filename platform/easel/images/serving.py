"""The images themselves: what everybody in a project sees, and the originals for those who may know."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.http import FileResponse, HttpResponse, HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request
from rest_framework.views import APIView

from easel.common.errors import NotFound
from easel.common.schema import documented
from easel.common.storage import storage
from easel.images import downloads
from easel.images.access import candidate_for, original_for
from easel.images.previews import preview_key
from generation.storage import StorageError


class CandidateImage(APIView):
    """A candidate as people see it: for pages with a session, for scripts with a token."""

    @documented("candidate_image_retrieve", answers={(200, "image/webp"): OpenApiTypes.BINARY})
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        """Send the image, without metadata, to a member of its project; nginx sends the bytes where there is one."""
        return send(preview_key(candidate_for(request.user, pk)), "image/webp", "image.webp")


def send(key: str, content_type: str, name: str) -> HttpResponseBase:
    """Answer with a stored file. No header tells its true name, its age or its key."""
    if settings.MEDIA_ACCEL:
        response: HttpResponseBase = HttpResponse(content_type=content_type)
        response.headers["X-Accel-Redirect"] = settings.MEDIA_ACCEL.rstrip("/") + "/" + key
    else:
        try:
            response = FileResponse(storage().open(key), content_type=content_type)
        except StorageError as error:
            raise NotFound("image file") from error
    # The file never changes, but who may see it can: the browser may keep it, nobody in between.
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    response.headers["Content-Disposition"] = f'inline; filename="{name}"'
    return response


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
