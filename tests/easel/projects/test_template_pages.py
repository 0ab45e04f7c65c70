"""The pages of templates: the gallery, making one, what publishing means, moving a project, deleting."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from easel.forms.drafts import publish_draft, save_draft
from easel.forms.models import Template
from easel.projects.template_services import make_template
from rest_framework.test import APIClient

from tests import cast as stage
from tests.cast import TEMPLATE, Cast, browser_of

NASTY = '</script><img src=x onerror="alert(1)">'


@pytest.fixture
def page(cast: Cast) -> APIClient:
    """alice's browser."""
    return browser_of(cast.alice)


@pytest.fixture
def changed(cast: Cast) -> Template:
    """A template with one version, and a draft whose ranking has fewer places."""
    definition = cast.project.template_version.definition
    template = make_template(cast.project, "Icons, changed", definition, cast.alice, timezone.now())
    publish_draft(template, 1, cast.alice, timezone.now())
    parts = [{**part, "levels": 3} if part["type"] == "ranking" else part for part in definition["components"]]
    save_draft(template, {**definition, "components": parts}, 1, cast.alice, timezone.now())
    return template


def at(cast: Cast, rest: str = "") -> str:
    """An address below the project's templates."""
    return f"/projects/{cast.project.pk}/templates/{rest}"


def text_of(answer: Any) -> str:
    """The page's text."""
    return " ".join(answer.content.decode().split())


def test_the_list_shows_the_gallery_and_says_what_will_be_made_here(cast: Cast, page: APIClient) -> None:
    text = text_of(page.get(at(cast)))
    assert "RLHF image ranking (batch)" in text
    assert "used by this project: version" in text
    assert "None yet" in text
    assert "Start empty" in text
    dave = text_of(browser_of(cast.dave).get(at(cast)))
    assert "Start empty" not in dave


@pytest.mark.parametrize("start", [TEMPLATE, ""])
def test_a_template_is_made_and_its_maker_goes_on_in_the_builder(cast: Cast, page: APIClient, start: str) -> None:
    answer = page.post(at(cast, "new/"), {"start": start}, format="multipart")
    made = Template.objects.get(belonging__project=cast.project)
    assert answer.headers["Location"] == at(cast, f"{made.pk}/build/")
    assert made.name == ("RLHF image ranking (batch), changed" if start else "Untitled template")
    assert "draft" in text_of(page.get(at(cast)))


def test_what_is_exported_can_be_imported_again(cast: Cast, page: APIClient, changed: Template) -> None:
    answer = page.get(at(cast, f"{changed.pk}/export/"))
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{changed.key}-draft.json"'
    file = json.loads(answer.content)
    assert file["name"] == "Icons, changed"
    levels = [part["levels"] for part in file["definition"]["components"] if part["type"] == "ranking"]
    assert levels == [3]
    first = json.loads(page.get(at(cast, f"{changed.pk}/export/?version=1")).content)
    assert first["definition"] == changed.latest().definition
    for content, name in ((answer.content, "Icons, changed"), (json.dumps(file["definition"]).encode(), "my form")):
        upload = SimpleUploadedFile("my-form.json", content)
        assert page.post(at(cast, "new/"), {"file": upload}, format="multipart").status_code == 302
        made = Template.objects.filter(belonging__project=cast.project).latest("id")
        assert (made.name, made.draft.definition) == (name, file["definition"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "my-form.json, line 1: "),
        (b"[]", "my-form.json holds no template"),
        (b'{"definition": 3}', "my-form.json holds no template"),
        (b"\xff\xfe\xfd", "my-form.json"),
        (b"[" * 200_000, "my-form.json"),
        (b'{"components": [], "schema_version": 2}', "made by a newer Easel (schema 2)"),
        (b" " * 600_000, "a template is smaller"),
        (b"", "empty"),
    ],
)
def test_a_file_that_holds_no_template_is_refused_with_its_place(
    cast: Cast, page: APIClient, content: bytes, said: str
) -> None:
    answer = page.post(at(cast, "new/"), {"file": SimpleUploadedFile("my-form.json", content)}, format="multipart")
    assert answer.status_code == 400
    assert said in text_of(answer)
    assert not Template.objects.filter(belonging__isnull=False).exists()


def test_publishing_shows_the_changes_and_the_dry_run_before_the_button(
    cast: Cast, page: APIClient, changed: Template
) -> None:
    stage.make_items(cast, 1)
    stage.annotate(cast.project, cast.bob)
    text = text_of(page.get(at(cast, f"{changed.pk}/publish/")))
    assert "at most 5 places → at most 3 places" in text
    assert "1 of 1 annotation would no longer be accepted" in text
    assert text.index("no longer be accepted") < text.index("Publish version 2</button>")
    answer = page.post(at(cast, f"{changed.pk}/publish/"), {"draft_version": 2, "note": "Shorter"}, format="multipart")
    assert answer.status_code == 302
    assert (changed.latest().number, changed.latest().note) == (2, "Shorter")
    assert "Nothing to publish" in text_of(page.get(at(cast, f"{changed.pk}/publish/")))


def test_a_draft_that_changed_meanwhile_is_looked_at_again_before_it_is_published(
    cast: Cast, page: APIClient, changed: Template
) -> None:
    answer = page.post(at(cast, f"{changed.pk}/publish/"), {"draft_version": 1}, format="multipart")
    assert answer.status_code == 409
    assert "A newer draft of this template was saved by alice" in text_of(answer)
    assert 'name="draft_version" value="2"' in text_of(answer)
    assert changed.latest().number == 1


def test_a_wrong_draft_is_led_to_the_builder(cast: Cast, page: APIClient) -> None:
    template = make_template(cast.project, "New", {"components": []}, cast.alice, timezone.now())
    text = text_of(page.get(at(cast, f"{template.pk}/publish/")))
    assert "is empty; add a component" in text
    assert "Publish version" not in text
    assert page.get(at(cast, f"{template.pk}/")).status_code == 200


def test_a_project_is_moved_after_it_was_said_what_that_means(cast: Cast, page: APIClient, changed: Template) -> None:
    stage.make_items(cast, 2)
    stage.lease(cast.project, cast.bob)
    text = text_of(page.get(at(cast, f"{changed.pk}/")))
    assert "1 item that nobody has begun moves with it" in text
    assert "1 item keeps the version" in text
    wanted = {"version": changed.latest().pk}
    answer = page.post(f"/projects/{cast.project.pk}/template/", wanted, format="multipart", follow=True)
    assert "1 item moved with it. 1 keep the version" in text_of(answer)
    cast.project.refresh_from_db()
    assert cast.project.template_version == changed.latest()
    assert page.post(f"/projects/{cast.project.pk}/template/", {"version": "x"}, format="multipart").status_code == 400


def test_a_project_can_go_back_to_an_earlier_version(cast: Cast, page: APIClient, changed: Template) -> None:
    first = changed.latest()
    second, _ = publish_draft(changed, 2, cast.alice, timezone.now())
    page.post(f"/projects/{cast.project.pk}/template/", {"version": second.pk}, format="multipart")
    text = text_of(page.get(at(cast, f"{changed.pk}/")))
    assert "This project uses version 2, the newest." in text
    assert 'href="?use=1#use"' in text
    assert "Move this project to version 1" in text_of(page.get(at(cast, f"{changed.pk}/?use=1")))
    assert "What version 2 changed since version 1" in text
    page.post(f"/projects/{cast.project.pk}/template/", {"version": first.pk}, format="multipart")
    cast.project.refresh_from_db()
    assert cast.project.template_version == first


def test_a_template_in_use_is_not_deleted_and_the_page_says_why(cast: Cast, page: APIClient, changed: Template) -> None:
    page.post(f"/projects/{cast.project.pk}/template/", {"version": changed.latest().pk}, format="multipart")
    text = text_of(page.post(at(cast, f"{changed.pk}/delete/"), follow=True))
    assert "Icons, changed is used by “Icons”. Move to another template there first" in text
    page.post(
        f"/projects/{cast.project.pk}/template/",
        {"version": Template.objects.get(key=TEMPLATE).latest().pk},
        format="multipart",
    )
    text = text_of(page.post(at(cast, f"{changed.pk}/delete/"), follow=True))
    assert "Icons, changed is deleted." in text
    assert not Template.objects.filter(pk=changed.pk).exists()


def test_a_template_of_another_project_is_met_only_where_it_is_used(cast: Cast, changed: Template) -> None:
    charlie = browser_of(cast.charlie)
    foreign = f"/projects/{cast.foreign.pk}/templates/{changed.pk}/"
    assert charlie.get(foreign).status_code == 404
    assert browser_of(cast.alice).get(foreign).status_code == 404
    gallery = Template.objects.get(key=TEMPLATE)
    assert charlie.get(f"/projects/{cast.foreign.pk}/templates/{gallery.pk}/").status_code == 200


def test_what_people_write_into_a_template_is_shown_as_text(cast: Cast, page: APIClient) -> None:
    parts = [{"type": "textarea", "name": "why", "label": NASTY, "help": NASTY}]
    template = make_template(
        cast.project, NASTY[:100], {"components": parts}, cast.alice, timezone.now(), description=NASTY
    )
    publish_draft(template, 1, cast.alice, timezone.now(), note=NASTY)
    save_draft(template, {"components": [{**parts[0], "label": "x"}]}, 1, cast.alice, timezone.now())
    for rest in ("", f"{template.pk}/", f"{template.pk}/publish/"):
        answer = page.get(at(cast, rest))
        assert answer.status_code == 200
        assert b"<img src=x" not in answer.content


def test_the_picture_of_a_gallery_template_is_sent_and_of_no_other(
    cast: Cast, page: APIClient, changed: Template
) -> None:
    assert page.get(f"/templates/{changed.key}/preview/").status_code == 404
    assert page.get("/templates/no-such/preview/").status_code == 404
