"""Items under forms of every kind: what waits is reached, and what does not fit is refused in words."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from easel.annotation.gathering import gather
from easel.annotation.models import Annotation, Item
from easel.annotation.template_uses import use_template
from easel.forms.models import Template
from easel.forms.reading import InvalidDefinition, parse_definition
from easel.projects import template_services
from easel.prompts.models import Prompt
from rest_framework.test import APIClient

from tests import cast as stage
from tests import live
from tests.cast import API, Cast

GRID = {"type": "image_grid", "name": "images", "count": 4}
INPUT = {"type": "input", "name": "words"}


def gallery(key: str) -> Any:
    """The newest version of a template of the gallery."""
    return Template.objects.get(key=key).latest()


def test_a_prompt_whose_metadata_only_looks_like_a_conversation_is_leased(cast: Cast, bob: APIClient) -> None:
    stage.make_items(cast, 1)
    Prompt.objects.update(metadata={"messages": "hello there"})
    answer = bob.post(f"{API}/projects/{cast.project.pk}/assignments/")
    assert answer.status_code == 201
    assert answer.json()["item"]["prompt"]["messages"] is None


def test_items_that_wait_stay_what_they_are_when_a_project_goes_live(cast: Cast, bob: APIClient) -> None:
    stage.make_items(cast, 2)
    before = set(Item.objects.values_list("template_version", flat=True))
    moved = use_template(cast.project, gallery("rlhf-image-ranking-live"))
    assert (moved.items_moved, moved.items_kept) == (0, 2)
    assert set(Item.objects.values_list("template_version", flat=True)) == before
    leased = bob.post(f"{API}/projects/{cast.project.pk}/assignments/").json()
    assert leased["template_version"] == str(before.pop()), "the page opens the form of that version"


def test_a_pairwise_project_asks_for_two_images(cast: Cast, alice: APIClient) -> None:
    use_template(cast.project, gallery("pairwise-arena"))
    stage.make_prompts(cast.project, "a fox")
    made = alice.post(f"{API}/projects/{cast.project.pk}/generations/", {"model": str(cast.model.pk)}).json()
    assert made["progress"]["total"] == 2


def test_a_choice_between_two_is_no_answer_about_four() -> None:
    form = parse_definition({"components": [{**GRID, "count": 2}, {"type": "pairwise", "name": "better"}]})
    with pytest.raises(Exception, match="chooses between two images, and this item has 4"):
        form.check_answers({"better": "c1"}, ["c1", "c2", "c3", "c4"])


def test_images_wait_while_a_form_shows_none(cast: Cast) -> None:
    stage.generate(cast, stage.make_prompts(cast.project, "a fox"))
    use_template(cast.project, gallery("chat-rating"))
    stage.work_off()
    gather(timezone.now(), cast.project)
    assert not Item.objects.exclude(request=None).exists()
    use_template(cast.project, gallery("rlhf-image-ranking-batch"))
    gather(timezone.now(), cast.project)
    assert Item.objects.exclude(request=None).count() == 1


@pytest.mark.parametrize("number", [10**400, -(10**400), 1e300])
def test_a_number_beyond_reason_is_refused(number: float) -> None:
    form = parse_definition({"components": [{"type": "number", "name": "n"}]})
    with pytest.raises(Exception, match="n is too large a number"):
        form.check_answers({"n": number}, ())


def test_what_is_empty_once_it_is_read_is_no_answer() -> None:
    flags = {"type": "image_flags", "name": "flags", "flags": [{"value": "bad"}]}
    form = parse_definition({"components": [GRID, {**flags, "required": True}, {"type": "textarea", "name": "why"}]})
    with pytest.raises(Exception, match="flags is required"):
        form.check_answers({"flags": {"c1": []}}, ["c1"])
    assert form.check_answers({"flags": {"c1": ["bad"]}, "why": "  "}, ["c1"]) == {"flags": {"c1": ["bad"]}}


def test_a_live_form_whose_models_are_gone_says_so_when_published_and_when_used(cast: Cast, bob: APIClient) -> None:
    gone = "01900000-0000-7000-8000-00000000dead"
    parts = [{**part, "models": [gone]} if part["type"] == "model_select" else part for part in live.FORM["components"]]
    definition = {"schema_version": 1, "components": parts}
    (problem,) = template_services.missing_models(parse_definition(definition))
    assert (problem["place"], problem["name"]) == ("components.2.models", "painter")
    template = template_services.make_template(cast.project, "Live", definition, cast.alice, timezone.now())
    with pytest.raises(InvalidDefinition, match="“painter” offers the model 01900000"):
        template_services.publish(template, 1, cast.alice, timezone.now())

    live.go_live(cast.project, definition)
    answer = live.press(bob, cast.project)
    assert answer.status_code == 400
    assert "offers models of which none exists any more" in answer.json()["fields"]["painter"][0]


def test_a_page_whose_form_has_changed_is_told_to_reload(cast: Cast, bob: APIClient) -> None:
    old = cast.project.template_version_id
    live.go_live(cast.project)
    body = {"values": {"prompt": "a fox"}, "template_version": str(old)}
    answer = bob.post(f"{API}/projects/{cast.project.pk}/attempts/", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "Reload the page" in answer.json()["detail"]


def test_an_annotation_of_two_images_is_a_ranking(cast: Cast) -> None:
    use_template(cast.project, gallery("pairwise-arena"))
    cast.project.refresh_from_db()
    stage.make_items(cast, 1, images=2)
    leased = stage.lease(cast.project, cast.bob)
    best = str(leased.shown_order[1])
    stage.submit(leased, {Template.objects.get(key="pairwise-arena").latest().form.first("pairwise") or "": best})
    assert Annotation.objects.get().ranking == [[best], [str(leased.shown_order[0])]]
