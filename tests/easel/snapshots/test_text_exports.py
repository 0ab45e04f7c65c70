"""Texts in TRL's formats: prompts with completions, and completions that are good or not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from easel.annotation.models import Assignment
from easel.forms.services import publish
from easel.projects.models import Project
from easel.prompts.models import Prompt
from rest_framework.test import APIClient

from tests import cast as stage
from tests.cast import API, Cast, browser_of
from tests.texts import CHAT, CHATS, PAIRS, QUESTION, answer, make_texts


def export(client: APIClient, cast: Cast, format_: str, **parameters: str) -> Any:
    """Ask for an export."""
    return client.get(f"{API}/projects/{cast.project.pk}/export/", {"format": format_, **parameters})


def rows(answered: Any) -> list[dict[str, Any]]:
    """Read a JSONL answer."""
    assert answered.status_code == 200, answered.content
    return [json.loads(line) for line in b"".join(answered.streaming_content).splitlines()]


def load(answered: Any, tmp_path: Path) -> Any:
    """Read a JSONL answer as trainers do."""
    import datasets

    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"".join(answered.streaming_content))
    return datasets.load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))


def test_plain_prompts_become_pairs_of_texts(cast: Cast, alice: APIClient) -> None:
    make_texts(cast, ["What is a fox?", "What is a hen?"], PAIRS)
    answer(cast, completion="An animal.", notes="easy")
    answer(cast, completion="A bird.\nIt lays eggs.")
    answered = export(alice, cast, "trl-sft")
    assert answered["Content-Disposition"] == 'attachment; filename="icons-annotations-sft.jsonl"'
    assert rows(answered) == [
        {"prompt": "What is a fox?", "completion": "An animal."},
        {"prompt": "What is a hen?", "completion": "A bird.\nIt lays eggs."},
    ]


def test_one_conversation_makes_all_pairs_conversations_so_that_a_column_has_one_type(
    cast: Cast, alice: APIClient, tmp_path: Path
) -> None:
    make_texts(cast, ["What is a fox?", {"messages": CHAT}], PAIRS)
    answer(cast, completion="An animal.")
    answer(cast, completion="Because of Rayleigh scattering.")
    found = load(export(alice, cast, "trl-sft"), tmp_path)
    assert found.column_names == ["prompt", "completion"]
    assert (
        list(found)
        == [
            {
                "prompt": [{"role": "user", "content": "What is a fox?"}],
                "completion": [{"role": "assistant", "content": "An animal."}],
            },
            {  # the annotator's answer stands instead of the assistant's
                "prompt": CHAT[:2],
                "completion": [{"role": "assistant", "content": "Because of Rayleigh scattering."}],
            },
        ]
    )


def test_rated_conversations_become_completions_that_are_good_or_not(
    cast: Cast, alice: APIClient, tmp_path: Path
) -> None:
    longer = [*CHAT, *QUESTION, {"role": "assistant", "content": "Red, then."}]
    make_texts(cast, [{"messages": CHAT}, {"messages": longer}, "nobody answered this"])
    answer(cast, rating=4)
    answer(cast, rating=3, faults=["incomplete"])
    answer(cast, rating=5)
    found = load(export(alice, cast, "trl-kto"), tmp_path)
    assert list(found) == [
        {"prompt": CHAT[:2], "completion": CHAT[2:], "label": True},
        {"prompt": longer[:4], "completion": longer[4:], "label": False},
    ]


def test_each_annotator_gives_a_row_and_surplus_and_held_out_ones_give_none(cast: Cast, alice: APIClient) -> None:
    make_texts(cast, [{"messages": CHAT}, {"messages": [*CHAT, *QUESTION, CHAT[2]]}])
    late = stage.lease(cast.project, cast.bob)
    Assignment.objects.update(expires_at=timezone.now())
    answer(cast, cast.erin, rating=5)
    stage.submit(late, {"rating": 3})
    answer(cast, rating=5)
    assert [row["label"] for row in rows(export(alice, cast, "trl-kto"))] == [True, True]
    Prompt.objects.filter(text="And at dusk?").update(held_out=True)
    assert len(rows(export(alice, cast, "trl-kto"))) == 1


def test_a_completion_in_a_group_that_is_left_out_of_exports_is_not_exported(cast: Cast, alice: APIClient) -> None:
    area = {"type": "textarea", "name": "completion", "completion": True}
    form: dict[str, object] = {"components": [{"type": "group", "name": "g", "exclude": True, "components": [area]}]}
    version = publish(cast.project.template_version.template, form, timezone.now())
    Project.objects.filter(pk=cast.project.pk).update(template_version=version)
    assert export(alice, cast, "trl-sft").status_code == 400


@pytest.mark.parametrize(
    ("key", "format_", "says"),
    [
        (CHATS, "trl-sft", "trl-sft needs a form with a text area that is the completion"),
        (PAIRS, "trl-kto", "trl-kto needs a form with a rating that says from where on an answer is good"),
    ],
)
def test_a_form_without_the_component_is_told_what_is_missing(
    cast: Cast, alice: APIClient, key: str, format_: str, says: str
) -> None:
    make_texts(cast, ["What is a fox?"], key)
    refused = export(alice, cast, format_)
    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["format"])
    assert refused.json()["detail"].startswith(says)
    assert browser_of(cast.alice).get(f"/projects/{cast.project.pk}/export/", {"format": format_}).status_code == 400


def test_the_export_page_offers_what_the_form_can_give(cast: Cast) -> None:
    def offered() -> list[str]:
        page = browser_of(cast.alice).get(f"/projects/{cast.project.pk}/export/").content.decode()
        return [key for key in ("jsonl", "csv", "trl", "trl-sft", "trl-kto") if f'id="format-{key}"' in page]

    make_texts(cast, ["What is a fox?"], PAIRS)
    answer(cast, completion="An animal.")
    assert offered() == ["jsonl", "csv", "trl-sft"]
    make_texts(cast, [{"messages": CHAT}])
    answer(cast, rating=5)
    assert offered() == ["jsonl", "csv", "trl-sft", "trl-kto"]


def test_simulated_annotators_are_left_out_unless_asked_for(cast: Cast, alice: APIClient) -> None:
    make_texts(cast, ["What is a fox?"], PAIRS)
    robot = stage.make_user("robot", cast.project, kind="simulated")
    answer(cast, robot, completion="An animal.")
    assert rows(export(alice, cast, "trl-sft")) == []
    assert len(rows(export(alice, cast, "trl-sft", include_simulated="true"))) == 1
