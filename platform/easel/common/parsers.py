"""How the API reads bodies."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from easel.common.documents import fault_of


class StrictJSONParser(JSONParser):
    """Takes JSON that can be kept; the rest is refused before any view sees it."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Read the body."""
        try:
            data = super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("JSON parse error - the body is nested too deeply.") from error
        if fault := fault_of(data, zeros=True):
            raise ParseError(f"JSON parse error - the body {fault}.")
        return data
