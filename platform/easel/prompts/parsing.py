"""Reading prompt files: what is taken, and why each other row is not. Pure; nothing is written here."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from easel.common.documents import fault_of
from easel.common.errors import InvalidInput, TooLarge
from easel.prompts.conversations import messages_fault, said_last
from easel.prompts.models import MAX_TEXT
from easel.prompts.records import TEXTS, messages_in, read_lines, read_list
from easel.prompts.rows import TRUTHS, BadFile, Parsed, Rejected, Row

__all__ = ["MAX_ROWS", "BadFile", "Parsed", "Rejected", "Row", "check_rows", "lines_of", "parse_file"]

MAX_ROWS = 100_000


def parse_file(name: str, content: bytes, max_bytes: int) -> Parsed:
    """Read a .txt file (one prompt a line), a .csv / .tsv one, or JSON: a list, or an object on each line (.jsonl).

    Columns of a table are `prompt` (or `text`), `messages` (a conversation, as JSON), `negative` and `held_out` (yes
    or no); others are metadata, and so are messages beside a prompt that are no list. Objects in JSON have the same
    keys.

    Raises TooLarge for a file over `max_bytes`, BadFile for one that is empty, not UTF-8 or has no prompt column.
    """
    if len(content) > max_bytes:
        raise TooLarge(
            f"{name} is larger than {max_bytes / 2**20:.0f} MB, the most that is taken at once. Split the file."
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadFile(
            f"{name}, line {line}: byte {content[error.start]:#04x} is not UTF-8. Save the file as UTF-8."
        ) from error
    if not text.strip():
        raise BadFile(f"{name} is empty. Put one prompt on each line, or a column named 'prompt'.")
    suffix = name.rpartition(".")[2].lower()
    if suffix == "txt":
        rows: Iterator[Row | Rejected] = lines_of(text)
    elif suffix in {"csv", "tsv"}:
        rows = _read_table(name, text, "\t" if suffix == "tsv" else ",")
    elif suffix == "json":
        rows = read_list(name, text)
    elif suffix in {"jsonl", "ndjson"}:
        rows = read_lines(text)
    else:
        raise BadFile(f"{name}: only .txt, .csv, .tsv, .json and .jsonl files are read. Save it as one of these.")
    return check_rows(name, rows)


def check_rows(name: str, rows: Iterable[Row | Rejected]) -> Parsed:
    """Sort rows into taken and rejected: empty, too long and repeated prompts are rejected with a reason."""
    taken: list[Row] = []
    rejected: list[Rejected] = []
    seen: dict[str, int] = {}
    for row in map(_with_its_text, rows):
        if isinstance(row, Rejected):
            rejected.append(row)
        elif reason := _fault(row):
            rejected.append(Rejected(row.number, reason))
        elif row.digest in seen:
            rejected.append(Rejected(row.number, f"is the same prompt as row {seen[row.digest]}"))
        else:
            seen[row.digest] = row.number
            taken.append(row)
        if len(taken) > MAX_ROWS:
            raise TooLarge(f"{name} has more than {MAX_ROWS:,} prompts; split it.")
    return Parsed(taken, rejected)


def _with_its_text(row: Row | Rejected) -> Row | Rejected:
    """Check the conversation of a row that has one, and give the row its text: what the user said last."""
    if isinstance(row, Rejected) or not row.talks:
        return row
    messages = row.metadata["messages"]
    if fault := messages_fault(messages):
        return Rejected(row.number, fault)
    said = said_last(messages)
    if row.text and row.text != said:
        return Rejected(row.number, "has a prompt and messages that end with another one. Leave one of them out.")
    return replace(row, text=said)


def _fault(row: Row) -> str | None:
    for column, value in (("prompt", row.text), ("negative", row.negative)):
        if len(value) > MAX_TEXT:
            return f"column '{column}' has {len(value):,} characters; at most {MAX_TEXT:,} are taken. Shorten it."
        if "\x00" in value:
            return f"column '{column}' holds a zero byte. Remove it."
    if fault := fault_of(row.metadata):
        return f"what else it holds {fault}."
    return None if row.text else "column 'prompt' is empty. Fill it or delete the row."


def lines_of(text: str) -> Iterator[Row]:
    """Read one prompt a line."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():  # blank lines only separate
            yield Row(number, line.strip())


def _read_table(name: str, text: str, delimiter: str) -> Iterator[Row | Rejected]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [column.strip() for column in next(reader)]
    except csv.Error as error:
        raise BadFile(f"{name}, line {reader.line_num}: {error}. Mend the header line.") from error
    lowered = [column.lower() for column in header]
    source = next((column for column in TEXTS if column in lowered), "")
    if not source and "messages" not in lowered:
        found = ", ".join(repr(column[:40]) for column in header[:8])
        raise BadFile(
            f"{name} has no column 'prompt'; its first line names {found}. Name the column with the texts 'prompt', or "
            "that with conversations 'messages'."
        )
    if doubled := {column for column in lowered if column and lowered.count(column) > 1}:
        raise BadFile(f"{name} names the column {sorted(doubled)[0]!r} twice. Rename one of them.")
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Rejected(
                number, f"cannot be read as CSV: {error}. The rows after it were not read either; mend its quotes."
            )
            return
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            yield Rejected(
                number, f"has {len(cells)} columns, the header has {len(header)}. Quote texts that hold a comma."
            )
            continue
        values = dict(zip(lowered, (cell.strip() for cell in cells), strict=True))
        metadata: dict[str, Any] = {
            original: values[lower]
            for original, lower in zip(header, lowered, strict=True)
            if lower and lower not in {source, "messages", "negative", "held_out"} and values[lower]
        }
        talks = False
        if cell := values.get("messages"):
            try:
                messages = messages_in(cell)
                talks = not source or isinstance(messages, list)
            except InvalidInput as refusal:
                if not source:
                    yield Rejected(number, refusal.detail)
                    continue
            # Beside a column of prompts, one called so may hold something else.
            metadata |= {"messages": messages} if talks else {header[lowered.index("messages")]: cell}
        held_out = TRUTHS.get(said := values.get("held_out", "").lower())
        if held_out is None:
            yield Rejected(number, f"column 'held_out' says {said[:40]!r}; write yes or no, or leave it empty.")
            continue
        yield Row(number, values.get(source, ""), values.get("negative", ""), metadata, held_out=held_out, talks=talks)
