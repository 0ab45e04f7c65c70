"""Tables as CSV, a line at a time, with no cell that a spreadsheet runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from django.http import StreamingHttpResponse


def csv_lines(names: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[bytes]:
    """Yield a table as CSV: a line of names, and one for each row."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    for cells in _chain(names, rows):
        sink.seek(0)
        sink.truncate()
        writer.writerow(map(defused, cells))
        yield sink.getvalue().encode()


def _chain(names: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[Iterable[object]]:
    yield names
    yield from rows


def csv_response(name: str, names: Iterable[str], rows: Iterable[Iterable[object]]) -> StreamingHttpResponse:
    """Answer a table as a download; `name` is the file's, without its ending."""
    response = StreamingHttpResponse(csv_lines(names, rows), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def defused(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula: a text that begins as one gets an apostrophe before it."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{cell}"
    return cell
