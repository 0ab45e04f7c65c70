"""Prompts come in as text, as tables and as JSON; a row that is not taken is named with its reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from easel.prompts.models import Prompt, PromptImport
from pytest_django import Settings
from rest_framework.test import APIClient

from tests.cast import API, Cast, browser_of


def upload(client: APIClient, cast: Cast, name: str, content: bytes) -> Any:
    """Send a file as scripts do."""
    return client.post(
        f"{API}/projects/{cast.project.pk}/prompts/", {"file": SimpleUploadedFile(name, content)}, format="multipart"
    )


def texts(cast: Cast) -> list[str]:
    """Return the project's prompts."""
    return [prompt.text for prompt in Prompt.objects.of_project(cast.project)]


def test_a_text_file_gives_one_prompt_a_line_and_blank_lines_only_separate(cast: Cast, alice: APIClient) -> None:
    answer = upload(alice, cast, "prompts.txt", b"a fox\n\n  a hen  \r\n\n")
    assert answer.status_code == 201
    assert answer.json() == {"created": 2, "rejected": []}
    assert texts(cast) == ["a fox", "a hen"]


def test_a_table_gives_prompts_negatives_and_the_other_columns_as_metadata(cast: Cast, alice: APIClient) -> None:
    table = '\ufeffPrompt,negative,Category\n"a fox, red",blurry,animals\n"two\nlines",,\n'.encode()
    assert upload(alice, cast, "prompts.csv", table).json() == {"created": 2, "rejected": []}
    fox, lines = Prompt.objects.of_project(cast.project)
    assert (fox.text, fox.negative, fox.metadata) == ("a fox, red", "blurry", {"Category": "animals"})
    assert (lines.text, lines.negative, lines.metadata) == ("two\nlines", "", {})


def test_tabs_separate_in_a_tsv_file(cast: Cast, alice: APIClient) -> None:
    upload(alice, cast, "prompts.tsv", b"prompt\tseason\na fox, red\twinter\n")
    assert Prompt.objects.get(project=cast.project).metadata == {"season": "winter"}


def test_bad_rows_are_left_out_and_named_by_their_line(cast: Cast, alice: APIClient) -> None:
    table = 'prompt,note\na fox,\n,empty\na,b,c\n"two\nlines",\na fox,again\n' + "x" * 10_001 + ",\nze\0ro,\n"
    answer = upload(alice, cast, "prompts.csv", table.encode())
    assert answer.status_code == 201
    assert answer.json() == {
        "created": 2,
        "rejected": [
            {"row": 3, "reason": "column 'prompt' is empty. Fill it or delete the row."},
            {"row": 4, "reason": "has 3 columns, the header has 2. Quote texts that hold a comma."},
            {"row": 7, "reason": "is the same prompt as row 2"},
            {"row": 8, "reason": "column 'prompt' has 10,001 characters; at most 10,000 are taken. Shorten it."},
            {"row": 9, "reason": "column 'prompt' holds a zero byte. Remove it."},
        ],
    }
    assert texts(cast) == ["a fox", "two\nlines"]


def test_an_open_quote_is_reported_with_its_line_and_what_stands_before_it_is_kept(
    cast: Cast, alice: APIClient
) -> None:
    answer = upload(alice, cast, "prompts.csv", b'prompt\na fox\n"a hen\na cow\n').json()
    assert answer["created"] == 1
    assert [row["row"] for row in answer["rejected"]] == [3]
    assert "mend its quotes" in answer["rejected"][0]["reason"]


@pytest.mark.parametrize(
    ("name", "content", "code", "detail"),
    [
        ("p.csv", b"words,note\na fox,\n", "bad_file", "has no column 'prompt'; its first line names 'words', 'note'."),
        ("p.csv", b"prompt,Prompt\na fox,\n", "bad_file", "names the column 'prompt' twice"),
        ("p.csv", b'prompt,"x\n', "bad_file", "p.csv, line 1"),
        ("p.txt", b"a fox\na hen\n\xff\xfe\n", "bad_file", "p.txt, line 3: byte 0xff is not UTF-8."),
        ("p.txt", b" \n\n", "bad_file", "p.txt is empty."),
        ("p.csv", b"\n\nprompt\na fox\n", "bad_file", "has no column 'prompt'"),
        ("p.exe", b"a fox\n", "bad_file", "only .txt, .csv, .tsv, .json and .jsonl files are read"),
        ("p.txt", b"x" * 2_001, "too_large", "is larger than"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_as_a_whole(
    cast: Cast, alice: APIClient, settings: Settings, name: str, content: bytes, code: str, detail: str
) -> None:
    settings.MAX_PROMPT_UPLOAD_BYTES = 2_000
    answer = upload(alice, cast, name, content)
    assert answer.status_code == (413 if code == "too_large" else 400)
    assert answer.json()["code"] == code
    assert detail in answer.json()["detail"]
    assert texts(cast) == []


def test_an_empty_upload_is_refused(cast: Cast, alice: APIClient) -> None:
    answer = upload(alice, cast, "p.txt", b"")
    assert answer.status_code == 400
    assert "empty" in answer.json()["detail"]


def test_importing_a_file_twice_adds_nothing_the_second_time(cast: Cast, alice: APIClient) -> None:
    upload(alice, cast, "p.txt", b"a fox\na hen\n")
    answer = upload(alice, cast, "p.txt", b"a hen\na cow\n").json()
    assert answer == {"created": 1, "rejected": [{"row": 1, "reason": "is in the project already"}]}
    assert texts(cast) == ["a fox", "a hen", "a cow"]


def test_a_list_takes_texts_and_objects_and_names_what_it_does_not_take(cast: Cast, alice: APIClient) -> None:
    prompts = [
        " a fox ",
        {"text": "a hen", "negative": "blurry", "metadata": {"tag": ["bird"]}},
        7,
        {"text": "a cow", "size": 4},
        {"text": "a pig", "negative": None},
        {"text": "a cat", "metadata": {"a": "\0"}},
        {"text": ""},
        "a\0b",
    ]
    answer = alice.post(f"{API}/projects/{cast.project.pk}/prompts/", {"prompts": prompts})
    assert answer.status_code == 201
    assert answer.json()["created"] == 2
    assert [row["row"] for row in answer.json()["rejected"]] == [3, 4, 5, 6, 7, 8]
    assert Prompt.objects.get(text="a hen").metadata == {"tag": ["bird"]}


@pytest.mark.parametrize(
    "body", [{"prompts": []}, {"prompts": "a fox"}, {}, [], "a fox", 7, None, {"prompts": {"text": "a fox"}}]
)
def test_a_body_without_a_list_of_prompts_is_refused(cast: Cast, alice: APIClient, body: object) -> None:
    address = f"{API}/projects/{cast.project.pk}/prompts/"
    answer = alice.post(address, json.dumps(body), content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid"


def test_a_large_list_arrives_whole(cast: Cast, alice: APIClient, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(20):
        answer = alice.post(
            f"{API}/projects/{cast.project.pk}/prompts/", {"prompts": [f"icon {n}" for n in range(5_000)]}
        )
    assert answer.json()["created"] == 5_000


def test_the_list_is_read_page_by_page_in_the_order_of_arrival(cast: Cast, alice: APIClient) -> None:
    upload(alice, cast, "p.txt", b"\n".join(b"icon %d" % n for n in range(7)))
    seen: list[str] = []
    address: str | None = f"{API}/projects/{cast.project.pk}/prompts/?page_size=3"
    while address:
        page = alice.get(address).json()
        seen += [row["text"] for row in page["results"]]
        address = page["next"]
    assert seen == [f"icon {n}" for n in range(7)]


def test_a_preview_imports_nothing_until_it_is_confirmed_and_then_once(cast: Cast) -> None:
    browser = browser_of(cast.alice)
    file = SimpleUploadedFile("p.csv", b"prompt\na fox\n\n,\na fox\n")
    answer = browser.post(f"/projects/{cast.project.pk}/prompts/import/", {"file": file}, format="multipart")
    assert answer.status_code == 302
    assert texts(cast) == []
    preview = PromptImport.objects.get()
    assert answer["Location"].endswith(f"/prompts/imports/{preview.pk}/")
    assert browser.get(answer["Location"]).status_code == 200
    assert [row["row"] for row in preview.rejected] == [5]

    assert browser.post(answer["Location"]).status_code == 302
    assert texts(cast) == ["a fox"]
    assert browser.post(answer["Location"]).status_code == 409
    assert texts(cast) == ["a fox"]


def test_a_preview_that_meets_its_prompts_again_adds_only_the_new_ones(cast: Cast, alice: APIClient) -> None:
    browser = browser_of(cast.alice)
    address = f"/projects/{cast.project.pk}/prompts/import/"
    confirm = browser.post(address, {"text": "a fox\na hen"}, format="multipart")["Location"]
    upload(alice, cast, "p.txt", b"a fox\n")
    assert browser.post(confirm).status_code == 302
    assert texts(cast) == ["a fox", "a hen"]


def test_a_bad_upload_on_the_page_is_refused_beside_the_form(cast: Cast) -> None:
    browser = browser_of(cast.alice)
    file = SimpleUploadedFile("p.csv", b"words\na fox\n")
    answer = browser.post(f"/projects/{cast.project.pk}/prompts/import/", {"file": file}, format="multipart")
    assert answer.status_code == 400
    assert "has no column" in answer.content.decode()
    assert not PromptImport.objects.exists()


def test_another_projects_preview_does_not_exist(cast: Cast) -> None:
    confirm = browser_of(cast.alice).post(
        f"/projects/{cast.project.pk}/prompts/import/", {"text": "a fox"}, format="multipart"
    )["Location"]
    charlies = confirm.replace(str(cast.project.pk), str(cast.foreign.pk))
    assert browser_of(cast.charlie).post(charlies).status_code == 404
    assert texts(cast) == []
