"""Exports as streams."""

from __future__ import annotations

import tempfile
from uuid import UUID

from django.http import FileResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.text import slugify
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.views import APIView

from easel.accounts.roles import Act
from easel.common.errors import InvalidInput, StorageUnavailable
from easel.common.schema import documented
from easel.projects.access import project_for
from easel.projects.models import Project
from easel.snapshots import exports
from easel.snapshots.formats import FORMATS, format_named
from generation.storage import StorageError

_FLAGS = {"": False, "0": False, "false": False, "1": True, "true": True}


def export_response(project: Project, format_: str, *, include_simulated: bool) -> HttpResponseBase:
    """Answer an export as a download. Raises InvalidInput for an unknown format, and one that needs another form."""
    wanted = format_named(format_)
    name = f"{slugify(project.name) or 'project'}-annotations{wanted.mark}"
    if wanted.lines is not None:
        lines = wanted.lines(project, include_simulated=include_simulated)
        response = StreamingHttpResponse(lines, content_type=wanted.content_type)
        response.headers["Content-Disposition"] = f'attachment; filename="{name}.{wanted.suffix}"'
        return response
    # Parquet ends with its index, so it is written to a file first: unnamed, gone with the answer even after a kill.
    file = tempfile.TemporaryFile()  # noqa: SIM115 -- the response closes it
    try:
        exports.write_trl(project, file, include_simulated=include_simulated)
    except StorageError as error:
        raise StorageUnavailable(str(error)) from error
    file.seek(0)
    return FileResponse(file, as_attachment=True, filename=f"{name}.parquet", content_type=wanted.content_type)


class ProjectExport(APIView):
    """A project's annotations as a file."""

    @documented(
        "export_retrieve",
        answers={
            (200, "application/x-ndjson"): OpenApiTypes.BINARY,
            (200, "application/vnd.apache.parquet"): OpenApiTypes.BINARY,
            (200, "text/csv"): OpenApiTypes.BINARY,
        },
        errors=(400, 503),
        parameters=[
            OpenApiParameter("format", str, enum=list(FORMATS), default="jsonl", description="The file's format."),
            OpenApiParameter("include_simulated", bool, default=False, description="With simulated annotators."),
        ],
    )
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        """Stream the export."""
        project = project_for(request.user, pk, Act.EXPORT)
        flag = request.query_params.get("include_simulated", "").lower()
        if flag not in _FLAGS:
            raise InvalidInput(
                "include_simulated must be true or false.", fields={"include_simulated": ["true or false"]}
            )
        return export_response(project, request.query_params.get("format", "jsonl"), include_simulated=_FLAGS[flag])
