"""Conversations as prompts: messages of a system, a user and an assistant, as TRL has them. Pure."""

from __future__ import annotations

from typing import Any

from easel.common.documents import fault_of

ROLES = ("system", "user", "assistant")
MAX_MESSAGES = 100
MAX_CONTENT = 20_000
"""Characters of one message."""
MAX_BYTES = 256 * 1024
"""Of a whole conversation, as JSON."""


def messages_fault(messages: Any) -> str | None:
    """Say why something is no conversation, and how to mend it; None where it is one."""
    if not isinstance(messages, list) or not messages:
        return 'messages must be a list, as [{"role": "user", "content": "..."}].'
    if len(messages) > MAX_MESSAGES:
        return f"messages has {len(messages):,} entries; at most {MAX_MESSAGES} are taken. Shorten the conversation."
    if fault := fault_of(messages, MAX_BYTES):
        return f"messages {fault}."
    for number, message in enumerate(messages, start=1):
        if fault := _message_fault(message):
            return f"messages, entry {number}: {fault}"
    if not any(message["role"] == "user" for message in messages):
        return "messages holds no message of the user. Add the one that the assistant answers."
    return None


def _message_fault(message: Any) -> str | None:
    if not isinstance(message, dict) or not {"role", "content"} <= set(message):
        return 'must be {"role": ..., "content": ...}.'
    if unknown := sorted(set(message) - {"role", "content"}):
        return f"has an unknown key {unknown[0][:40]!r}; a message has a role and a content. Remove it."
    if message["role"] not in ROLES:
        return f"role is {str(message['role'])[:40]!r}; write {', '.join(ROLES[:-1])} or {ROLES[-1]}."
    if not isinstance(message["content"], str):
        return "content must be a text."
    if not message["content"].strip():
        return "content is empty. Fill it or delete the message."
    if len(message["content"]) > MAX_CONTENT:
        return f"content has {len(message['content']):,} characters; at most {MAX_CONTENT:,} are taken. Shorten it."
    return None


def said_last(messages: list[dict[str, str]]) -> str:
    """The last message of the user in a conversation: what it is called by in lists, and compared by."""
    return next(message["content"] for message in reversed(messages) if message["role"] == "user").strip()
