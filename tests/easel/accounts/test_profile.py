"""How a person likes to work: what is kept, and what is refused in one line."""

from __future__ import annotations

import pytest
from easel.accounts.keymap import ACTS, FREE, RESERVED, USUAL, differences, faults_of, keys_of
from easel.accounts.models import User

from tests.cast import API, Cast, browser_of, client_of


def test_the_usual_keys_are_free_of_conflicts_and_nothing_reserved_is_free() -> None:
    assert not faults_of(USUAL)
    assert len(set(USUAL.values())) == len(ACTS)
    assert not FREE & set(RESERVED)


def test_only_keys_that_differ_are_kept_and_two_acts_may_swap() -> None:
    swapped = USUAL | {"skip": "U", "undo_submission": "S"}
    assert not faults_of(swapped)
    assert differences(swapped) == {"skip": "U", "undo_submission": "S"}
    assert keys_of({"skip": "U"})["submit"] == "Enter"


@pytest.mark.parametrize(
    ("keys", "act", "words"),
    [
        ({"skip": "Z"}, "skip", "“Skip, with a reason” and “Undo” both have the key Z. Give one of them another key."),
        ({"skip": "A"}, "skip", "cannot have the key A: the letters A to I name the images."),
        ({"skip": "7"}, "skip", "cannot have the key 7: digits give places."),
        ({"skip": "?"}, "skip", "cannot have the key ?: it opens the sheet of keys."),
        ({"skip": "Escape"}, "skip", "cannot have the key Escape"),
        ({"skip": "F13"}, "skip", "cannot have the key 'F13'. Choose a letter from J to Z"),
        ({"skip": ""}, "skip", "“Skip, with a reason” has no key."),
        ({"fly": "K"}, "fly", "There is no act “fly” that a key could do. The acts are: submit, skip"),
        ({"equal": "H"}, "equal", "cannot have the key H"),
    ],
)
def test_a_wrong_key_is_refused_in_one_line(cast: Cast, keys: dict[str, str], act: str, words: str) -> None:
    answer = client_of(cast.bob).put(f"{API}/me/profile/", {"keys": keys}, format="json")
    assert answer.status_code == 400
    [line] = answer.json()["fields"][f"keys.{act}"]
    assert words in line
    assert answer.json()["detail"] == line
    cast.bob.refresh_from_db()
    assert cast.bob.keys == {}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"blur": "no"}, "blur"),
        ({"text_direction": "up"}, "text_direction"),
        ({"declined": "violence"}, "declined"),
        ({"declined": ["a" * 101]}, "declined"),
        ({"declined": [" "]}, "declined"),
        ({"declined": ["x\x00"]}, "declined"),
        ({"declined": [str(n) for n in range(51)]}, "declined"),
        ({"session_goal": 0}, "session_goal"),
        ({"session_goal": True}, "session_goal"),
        ({"break_after": 4}, "break_after"),
        ({"keys": ["S"]}, "keys"),
        ({"username": "root"}, "username"),
    ],
)
def test_a_wrong_setting_is_refused_and_nothing_is_stored(cast: Cast, body: dict[str, object], field: str) -> None:
    answer = client_of(cast.bob).put(f"{API}/me/profile/", {"session_goal": 20, **body}, format="json")
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == [field]
    assert "\n" not in answer.json()["detail"]
    assert User.objects.get(pk=cast.bob.pk).session_goal is None


def test_the_profile_is_read_back_as_it_was_written(cast: Cast) -> None:
    client = client_of(cast.bob)
    body = {
        "keys": {"skip": "K", "undo": "Z"},
        "text_direction": "rtl",
        "blur": False,
        "declined": [" Spiders ", "spiders", "blood"],
        "session_goal": 40,
        "break_after": 50,
    }
    written = client.put(f"{API}/me/profile/", body, format="json").json()
    assert written == client.get(f"{API}/me/profile/").json()
    assert written["keys"] == USUAL | {"skip": "K"}
    assert written["declined"] == ["spiders", "blood"]
    stored = User.objects.get(pk=cast.bob.pk)
    assert (stored.keys, stored.declined, stored.blur) == ({"skip": "K"}, ["spiders", "blood"], False)
    assert client.put(f"{API}/me/profile/", {"break_after": None}, format="json").json()["session_goal"] == 40


def test_the_page_saves_and_says_what_is_wrong_beside_the_key(cast: Cast) -> None:
    cast.project.sensitive_categories = ["Violence"]
    cast.project.save(update_fields=["sensitive_categories"])
    browser = browser_of(cast.bob)
    keys = {f"key_{name}": key for name, key in USUAL.items()}
    page = browser.get("/account/profile/").content.decode()
    assert 'value="Violence"' in page
    broken = {**keys, "key_skip": "Z", "text_direction": "auto", "session_goal": "many"}
    wrong = browser.post("/account/profile/", broken, format="multipart")
    shown = wrong.content.decode()
    assert "both have the key Z" in shown
    assert "The session goal is no whole number from 1 to 1000 items" in shown
    right = browser.post(
        "/account/profile/",
        {**keys, "key_skip": "K", "text_direction": "auto", "declined": "Violence", "others": "spiders, "},
        format="multipart",
    )
    assert right.status_code == 302
    stored = User.objects.get(pk=cast.bob.pk)
    assert (stored.keys, stored.declined, stored.blur) == ({"skip": "K"}, ["Violence", "spiders"], False)
