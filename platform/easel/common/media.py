"""Stored files as answers."""

from __future__ import annotations

from django.conf import settings
from django.http import FileResponse, HttpResponse, HttpResponseBase

from easel.common.errors import NotFound
from easel.common.storage import storage
from generation.storage import StorageError


def send(key: str, content_type: str, name: str) -> HttpResponseBase:
    """Answer with a stored file; nginx sends the bytes where one stands in front. No header tells its age."""
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
