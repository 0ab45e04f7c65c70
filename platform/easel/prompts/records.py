"""Prompts in JSON: a file with a list, or one with an object on each line. Pure; nothing is written here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from easel.common.documents import fault_of
from easel.common.errors import InvalidInput
from easel.prompts.rows import TRUTHS, BadFile, Rejected, Row

TEXTS = ("prompt", "text")
"""Keys of a record that may hold its text, the first one that is there."""


def read_list(name: str, text: str) -> Iterator[Row | Rejected]:
    """Read a JSON file that holds a list. Raises BadFile for another one."""
    try:
        entries = json.loads(text)
    except json.JSONDecodeError as error:
        raise BadFile(f"{name}, line {error.lineno}: {error.msg}. Mend the JSON.") from error
    except (ValueError, RecursionError) as error:
        raise BadFile(f"{name} cannot be read: it is nested too deeply, or holds an endless number.") from error
    if not isinstance(entries, list):
        raise BadFile(f"{name} holds no list. Write the prompts as [{{...}}, {{...}}].")
    for number, entry in enumerate(entries, start=1):
        yield row_of(number, entry)


def read_lines(text: str) -> Iterator[Row | Rejected]:
    """Read JSON lines; blank ones only separate."""
    # Not splitlines: JSON texts may hold other line ends than these as they are.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            yield Rejected(number, f"is no JSON: {error.msg} at character {error.colno}. Mend the line.")
        except (ValueError, RecursionError):
            yield Rejected(number, "is nested too deeply, or holds an endless number. Mend the line.")
        else:
            yield row_of(number, entry)


def row_of(number: int, entry: Any) -> Row | Rejected:
    """Read a record: a text, or an object with prompt or text, or with messages; what else it holds is metadata.

    A prompt that is a list of messages is a conversation, as in TRL's conversational data sets.
    """
    if isinstance(entry, str):
        entry = {"prompt": entry}
    if not isinstance(entry, dict):
        return Rejected(number, "is neither a text nor an object with a prompt or messages.")
    if fault := fault_of(entry, zeros=True):
        return Rejected(number, f"{fault}.")
    source = next((key for key in TEXTS if entry.get(key) is not None), TEXTS[0])
    text, messages = entry.get(source), entry.get("messages")
    text = "" if text is None else text
    if isinstance(text, list) and messages is None:
        text, messages = "", text
    negative, metadata = entry.get("negative") or "", entry.get("metadata") or {}
    if not isinstance(text, str):
        return Rejected(number, f"{source} must be a text.")
    if not isinstance(negative, str):
        return Rejected(number, "negative must be a text.")
    if not isinstance(metadata, dict):
        return Rejected(number, "metadata must be an object.")
    held_out = _truth(entry.get("held_out"))
    if held_out is None:
        return Rejected(number, "held_out must be true or false.")
    used = {source, "messages", "negative", "metadata", "held_out"}
    others = {key: value for key, value in entry.items() if key not in used and value is not None}
    conversation = {} if messages is None else {"messages": messages}
    whole = {**metadata, **others, **conversation}
    return Row(number, text.strip(), negative.strip(), whole, held_out=held_out, talks=messages is not None)


def messages_in(cell: str) -> Any:
    """Read the messages in a cell of a table. Raises InvalidInput for what is no JSON."""
    try:
        return json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            'column \'messages\' is no JSON; write it as [{"role": "user", "content": "..."}], or leave it empty.'
        ) from error


def _truth(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return bool(value)
    return TRUTHS.get(value.strip().lower()) if isinstance(value, str) else None
