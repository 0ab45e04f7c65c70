"""Conversations come in as JSON or in a column; each bad row costs itself alone, and says why in one line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from easel.common.errors import Refusal
from easel.prompts.conversations import MAX_CONTENT, messages_fault
from easel.prompts.models import Prompt
from easel.prompts.parsing import parse_file
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from tests.cast import API, Cast, browser_of

SKY = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Why is the sky blue? "},
    {"role": "assistant", "content": "Blue light scatters most."},
]
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ANY_RECORD = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(["prompt", "text", "messages", "negative", "metadata", "held_out", "note"], ANY_JSON)
)


def jsonl(*records: Any) -> bytes:
    """Return JSON lines."""
    return "\n".join(json.dumps(record) for record in records).encode()


def reasons(content: bytes, name: str = "p.jsonl") -> list[tuple[int, str]]:
    """Return what is said of the rows that are not taken."""
    return [(one.row, one.reason) for one in parse_file(name, content, 2**20).rejected]


def test_the_text_of_a_conversation_is_what_the_user_said_last() -> None:
    again = [*SKY, {"role": "user", "content": "And at dusk?"}]
    rows = parse_file("p.jsonl", jsonl({"messages": SKY, "topic": "physics"}, {"messages": again}), 2**20).rows
    assert [row.text for row in rows] == ["Why is the sky blue?", "And at dusk?"]
    assert rows[0].metadata == {"messages": SKY, "topic": "physics"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.jsonl", jsonl({"prompt": "a fox", "topic": "x"}) + b"\n\n" + jsonl({"prompt": SKY}) + b"\n"),
        ("p.ndjson", jsonl({"text": "a fox", "metadata": {"topic": "x"}}, {"messages": SKY})),
        ("p.json", json.dumps([{"text": "a fox", "topic": "x"}, {"messages": SKY}]).encode()),
        ("p.csv", b'text,topic,messages\na fox,x,\n,,"' + json.dumps(SKY).replace('"', '""').encode() + b'"\n'),
    ],
)
def test_lines_lists_and_tables_hold_texts_and_conversations(name: str, content: bytes) -> None:
    found = parse_file(name, content, 2**20)
    assert found.rejected == []
    assert [(row.text, row.metadata) for row in found.rows] == [
        ("a fox", {"topic": "x"}),
        ("Why is the sky blue?", {"messages": SKY}),
    ]


def test_a_table_with_a_prompt_keeps_its_column_text_as_before() -> None:
    (row,) = parse_file("p.csv", b"prompt,text\na fox,more\n", 100).rows
    assert (row.text, row.metadata) == ("a fox", {"text": "more"})


def test_two_conversations_that_end_alike_are_two_prompts_and_a_repeated_one_is_one() -> None:
    other = [{"role": "user", "content": "Why is the sky blue?"}]
    found = parse_file("p.jsonl", jsonl({"messages": SKY}, {"messages": other}, {"messages": SKY}), 2**20)
    assert len({row.digest for row in found.rows}) == 2
    assert [(one.row, one.reason) for one in found.rejected] == [(3, "is the same prompt as row 1")]


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ("hello", 'messages must be a list, as [{"role": "user", "content": "..."}].'),
        ([], 'messages must be a list, as [{"role": "user", "content": "..."}].'),
        ([{"role": "bot", "content": "x"}], "messages, entry 1: role is 'bot'; write system, user or assistant."),
        ([*SKY, {"role": "user"}], 'messages, entry 4: must be {"role": ..., "content": ...}.'),
        ([{"role": "user", "content": " "}], "messages, entry 1: content is empty. Fill it or delete the message."),
        ([{"role": "user", "content": 7}], "messages, entry 1: content must be a text."),
        (
            [{"role": "user", "content": "x", "name": "bob"}],
            "messages, entry 1: has an unknown key 'name'; a message has a role and a content. Remove it.",
        ),
        (
            [{"role": "user", "content": "x" * (MAX_CONTENT + 1)}],
            "messages, entry 1: content has 20,001 characters; at most 20,000 are taken. Shorten it.",
        ),
        ([{"role": "user", "content": "\0"}], "messages holds a zero character; remove it."),
        (SKY * 34, "messages has 102 entries; at most 100 are taken. Shorten the conversation."),
        (SKY[2:], "messages holds no message of the user. Add the one that the assistant answers."),
    ],
)
def test_a_bad_conversation_costs_its_row_and_says_what_to_mend(messages: Any, reason: str) -> None:
    content = jsonl({"prompt": "a fox"}, {"messages": messages})
    assert reasons(content) == [(2, reason)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"prompt": ', "is no JSON: Expecting value at character 12. Mend the line."),
        (b"7", "is neither a text nor an object with a prompt or messages."),
        (b'{"prompt": 7}', "prompt must be a text."),
        (b'{"prompt": null}', "column 'prompt' is empty. Fill it or delete the row."),
        (b'{"prompt": "x", "negative": ["y"]}', "negative must be a text."),
        (b'{"prompt": "x", "held_out": "perhaps"}', "held_out must be true or false."),
        (b'{"prompt": "x", "metadata": 3}', "metadata must be an object."),
        (b'{"prompt": "\\ud800"}', "holds half a character (a lone surrogate); remove it."),
        (b'{"prompt": "x", "n": NaN}', "holds a number that is not finite."),
        (b"[" * 5_000, "is nested too deeply, or holds an endless number. Mend the line."),
        (
            b'{"prompt": "x", "messages": [{"role": "user", "content": "y"}]}',
            "has a prompt and messages that end with another one. Leave one of them out.",
        ),
    ],
)
def test_a_bad_line_costs_itself_alone(line: bytes, reason: str) -> None:
    assert reasons(b'{"prompt": "a fox"}\n' + line + b"\n") == [(2, reason)]


def test_a_cell_that_is_no_json_costs_its_row() -> None:
    ((row, reason),) = reasons(b"messages\nhello\n", "p.csv")
    assert row == 2
    assert reason.startswith("column 'messages' is no JSON; write it as [")


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b'[\n{"prompt": "a"},\n]', "p.json, line 3: "),
        (b'{"prompts": []}', "p.json holds no list. Write the prompts as [{...}, {...}]."),
        (b"[" * 100_000, "p.json cannot be read"),
    ],
)
def test_a_json_file_that_holds_no_list_is_refused_with_its_line(content: bytes, detail: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse_file("p.json", content, 2**20)
    assert detail in refused.value.detail


@given(st.lists(ANY_RECORD | ANY_JSON, max_size=4))
def test_any_records_give_rows_that_can_be_stored_or_reasons(records: list[Any]) -> None:
    found = parse_file("p.json", json.dumps(records).encode(), 2**20)
    assert len(found.rows) + len(found.rejected) == len(records)
    for row in found.rows:
        assert row.text
        assert messages_fault(row.metadata.get("messages", SKY)) is None
        json.dumps(row.metadata, allow_nan=False).encode()


def test_a_list_over_rest_takes_conversations(cast: Cast, alice: APIClient) -> None:
    prompts = [{"messages": SKY}, {"text": "a fox", "metadata": {"messages": "x"}}, {"messages": 7}]
    answer = alice.post(f"{API}/projects/{cast.project.pk}/prompts/", {"prompts": prompts}, format="json")
    told = 'messages must be a list, as [{"role": "user", "content": "..."}].'
    assert answer.json() == {
        "created": 2,
        "rejected": [{"row": 3, "reason": told}],
    }
    prompt = Prompt.objects.get(project=cast.project, text="Why is the sky blue?")
    assert (prompt.text, prompt.messages) == ("Why is the sky blue?", SKY)


def test_the_preview_and_the_list_show_a_conversation_by_its_last_words_and_length(cast: Cast) -> None:
    browser = browser_of(cast.alice)
    file = SimpleUploadedFile("p.jsonl", jsonl({"messages": SKY}))
    preview = browser.post(f"/projects/{cast.project.pk}/prompts/import/", {"file": file}, format="multipart")
    assert "messages: 3" in browser.get(preview["Location"]).content.decode()
    browser.post(preview["Location"])
    page = browser.get(f"/projects/{cast.project.pk}/prompts/").content.decode()
    assert "Why is the sky blue?" in page
    assert "messages: 3" in page
    assert "scatters" not in page


def test_metadata_that_is_called_messages_is_no_conversation(cast: Cast, alice: APIClient) -> None:
    sent = {
        "prompts": [
            {"text": "a fox", "metadata": {"messages": "three so far"}},
            {"text": "a hen", "metadata": {"messages": SKY}},
            {"messages": SKY},
        ]
    }
    answer = alice.post(f"{API}/projects/{cast.project.pk}/prompts/", sent, format="json")
    assert answer.json() == {"created": 3, "rejected": []}
    found = {one.text: one for one in Prompt.objects.filter(project=cast.project)}
    assert found["a fox"].metadata == {"messages": "three so far"}
    assert [found[text].messages for text in ("a fox", "a hen", "Why is the sky blue?")] == [None, None, SKY]


def test_a_column_messages_beside_a_prompt_may_hold_anything_else() -> None:
    found = parse_file("p.csv", b"prompt,Messages\na fox,three so far\na hen,7\n", 2**20)
    assert found.rejected == []
    assert [(row.text, row.metadata) for row in found.rows] == [
        ("a fox", {"Messages": "three so far"}),
        ("a hen", {"Messages": "7"}),
    ]
    assert reasons(b"messages\nthree so far\n", "p.csv") != []
    assert reasons(b'prompt,messages\na fox,"[]"\n', "p.csv") != []
