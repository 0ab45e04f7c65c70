"""The pages of generation without a browser: what they ask for, what they refuse and keep, and what they cost."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from django.utils.html import escape
from easel.common import jobs
from easel.images import services
from easel.images.models import Candidate, Chunk, GenerationRequest
from easel.prompts.models import ConditioningImage, Prompt
from easel.registry.models import ModelVersion
from PIL import Image
from pytest_django import DjangoAssertNumQueries

from generation.types import MAX_SEED, Failure, Lease, Progress
from tests import cast as stage
from tests.cast import Cast

ALLOWED_QUERIES = 24  # for a page with everything on it, however much that is


@pytest.fixture
def browser(cast: Cast) -> Client:
    """alice's browser."""
    client = Client()
    client.force_login(cast.alice, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def sketcher(cast: Cast) -> ModelVersion:
    """Another model."""
    return ModelVersion.objects.create(
        name="Sketcher", family="FluxPipeline", location="hub:pens/sketcher", sha256="a" * 64, created_at=timezone.now()
    )


def path_of(cast: Cast, rest: str = "generations/") -> str:
    """A page of alice's project."""
    return f"/projects/{cast.project.pk}/{rest}"


def ask(browser: Client, cast: Cast, rest: str = "generations/", **fields: Any) -> Any:
    """Send the form."""
    return browser.post(path_of(cast, rest), {"models": [cast.model.pk], "images_per_prompt": 2, **fields})


def test_several_models_are_asked_for_the_same_prompts_and_seeds(
    cast: Cast, browser: Client, sketcher: ModelVersion
) -> None:
    stage.make_prompts(cast.project, "a fox", "a hen")
    models = [cast.model.pk, sketcher.pk]
    made = ask(browser, cast, models=models, seed_policy="listed", seeds="5, 7", steps=9, scheduler="unipc")
    request = GenerationRequest.objects.get()
    assert made.headers["Location"] == path_of(cast, f"generations/#request-{request.pk}")
    assert {request.model, *request.compared.all()} == {cast.model, sketcher}
    assert (request.images_total, request.settings["steps"], request.settings["scheduler"]) == (8, 9, "unipc")
    seeds = {slot.seed for chunk in Chunk.objects.all() for prompt in chunk.render_prompts() for slot in prompt.slots}
    assert seeds == {5, 7}


def test_the_same_seeds_for_every_prompt_are_drawn_by_easel(cast: Cast, browser: Client) -> None:
    stage.make_prompts(cast.project, "a fox", "a hen")
    ask(browser, cast, seed_policy="shared")
    found = [[slot.seed for slot in one.slots] for chunk in Chunk.objects.all() for one in chunk.render_prompts()]
    assert len(found) == 2
    assert found[0] == found[1]
    assert len(set(found[0])) == 2


@pytest.mark.parametrize(
    ("which", "texts"),
    [({"which": "all"}, ["a fox", "a hen"]), ({}, ["a fox", "a hen"]), ({"which": "bare"}, ["a hen"])],
)
def test_all_prompts_or_those_without_images(
    cast: Cast, browser: Client, which: dict[str, str], texts: list[str]
) -> None:
    fox, _ = stage.make_prompts(cast.project, "a fox", "a hen")
    stage.generate(cast, [fox])
    stage.work_off()
    ask(browser, cast, **which)
    assert [prompt.text for prompt in stage.claim().prompts] == texts


def test_chosen_prompts_and_a_new_one(cast: Cast, browser: Client) -> None:
    _, hen = stage.make_prompts(cast.project, "a fox", "a hen")
    ask(browser, cast, which="chosen", prompts=[hen.pk])
    assert [prompt.text for prompt in stage.claim().prompts] == ["a hen"]
    for _ in range(2):  # the second time it is in the project already
        ask(browser, cast, which="new", text="an owl", negative="blurry")
        (prompt,) = stage.claim().prompts
        assert (prompt.text, prompt.negative) == ("an owl", "blurry")
    assert Prompt.objects.filter(text="an owl").count() == 1


@pytest.mark.parametrize(
    ("fields", "where", "words"),
    [
        ({"models": []}, "models", "Choose at least one model."),
        ({"models": [uuid4()]}, "models", "There is no such model here."),
        ({"which": "chosen"}, "prompts", "Tick at least one prompt."),
        ({"which": "chosen", "prompts": ["x"]}, "prompts", "x"),
        ({"which": "new"}, "text", "Type the prompt."),
        ({"which": "new", "text": "x" * 10_001}, "text", "at most 10000 characters"),
        ({"images_per_prompt": 65}, "images_per_prompt", "less than or equal to 64"),
        ({"images_per_prompt": ""}, "images_per_prompt", "required"),
        ({"seed_policy": "listed", "seeds": "1"}, "seeds", "1 seed for 2 images a prompt: type one seed for each"),
        ({"seed_policy": "listed", "seeds": "1, two"}, "seeds", "'two' is no seed"),
        ({"seed_policy": "listed", "seeds": f"1, {MAX_SEED + 1}"}, "seeds", "is no seed"),
        ({"steps": 151}, "steps", "less than or equal to 150"),
        ({"guidance_scale": -1}, "guidance_scale", "greater than or equal to 0"),
        ({"guidance_scale": "nan"}, "guidance_scale", "Enter a number"),
        ({"width": 65}, "width", "65 is no multiple of 8; 64 or 72 is."),
        ({"height": 4096}, "height", "less than or equal to 2048"),
        ({"scheduler": "magic"}, "scheduler", "magic is not one of the available choices"),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_nothing_typed_is_lost(
    cast: Cast, browser: Client, fields: dict[str, Any], where: str, words: str
) -> None:
    stage.make_prompts(cast.project, "a fox")
    typed = {"negative": "no such word elsewhere", "steps": 33, **fields}
    refused = ask(browser, cast, **typed)
    page = refused.content.decode()
    assert refused.status_code == 400
    error = page.split(f'id="id_{where}_error">')[1].split("</p>")[0]
    assert escape(words) in error
    assert "no such word elsewhere" in page
    assert f'value="{typed["steps"]}"' in page
    assert not GenerationRequest.objects.exists()
    assert Prompt.objects.count() == 1, "a refused form adds no prompt"

    tried = ask(browser, cast, "generations/previews/", **typed)
    if where not in {"images_per_prompt", "seeds"}:
        assert tried.status_code == 400
    assert f'id="id_{where}_error" hx-swap-oob="true"' in tried.content.decode()


def test_what_is_out_of_sight_is_not_asked_for_and_refuses_nothing(cast: Cast, browser: Client) -> None:
    stage.make_prompts(cast.project, "a fox")
    made = ask(browser, cast, which="all", prompts=["x"], seed_policy="own", seeds="1, two", text="")
    assert made.status_code == 302


def picture(width: int = 24, height: int = 16, colour: str = "red", name: str = "sky.png") -> SimpleUploadedFile:
    """A file to upload."""
    out = BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "PNG")
    return SimpleUploadedFile(name, out.getvalue(), "image/png")


def test_images_start_from_an_uploaded_picture(cast: Cast, browser: Client) -> None:
    stage.make_prompts(cast.project, "a fox")
    ask(browser, cast, start="inpaint", start_file=picture(), start_mask=picture(colour="white"), strength=0.5)
    claimed = stage.claim()
    (prompt,) = claimed.prompts
    assert prompt.conditioning
    assert (prompt.conditioning.kind, claimed.settings.strength) == ("inpaint", 0.5)
    ask(browser, cast, start="outpaint", start_file=picture(), left=8, control_scale=1)
    (prompt,) = stage.claim().prompts
    assert prompt.conditioning
    assert prompt.conditioning.margins
    assert prompt.conditioning.margins.left == 8


def test_a_picture_outlives_a_mistake_elsewhere_on_the_form(cast: Cast, browser: Client) -> None:
    stage.make_prompts(cast.project, "a fox")
    refused = ask(browser, cast, start="image", start_file=picture(), steps=900)
    assert refused.status_code == 400
    kept = ConditioningImage.objects.get()
    assert f'name="start_picture" value="{kept.pk}"' in refused.content.decode()
    assert ask(browser, cast, start="image", start_picture=kept.pk, steps=9).status_code == 302
    assert GenerationRequest.objects.get().conditioning == kept


@pytest.mark.parametrize(
    ("fields", "where", "words"),
    [
        ({"start": "image"}, "start_file", "Choose a picture."),
        ({"start": "image", "start_picture": str(uuid4())}, "start_file", "is no conditioning image of this project"),
        ({"start": "image", "start_file": b"<svg/>"}, "start_file", "is no PNG, JPEG or WebP picture"),
        ({"start": "inpaint", "start_file": None}, "start_mask", "Inpainting needs a mask"),
        ({"start": "outpaint", "start_file": None}, "left", "Outpainting needs a margin"),
        ({"start": "image", "start_file": None, "strength": 2}, "strength", "less than or equal to 1"),
        ({"start": "control", "start_file": None}, "models", "has no ControlNet"),
    ],
)
def test_what_is_wrong_with_a_picture_is_told_at_its_field(
    cast: Cast, browser: Client, fields: dict[str, Any], where: str, words: str
) -> None:
    stage.make_prompts(cast.project, "a fox")
    if "start_file" in fields:
        content = fields["start_file"]
        fields = fields | {"start_file": SimpleUploadedFile("sky.png", content) if content else picture()}
    refused = ask(browser, cast, **fields)
    assert refused.status_code == 400
    assert words in refused.content.decode().split(f'id="id_{where}_error">')[1].split("</p>")[0]
    assert not GenerationRequest.objects.exists()


def test_too_many_images_of_one_prompt_are_refused_at_the_number(
    cast: Cast, browser: Client, sketcher: ModelVersion
) -> None:
    stage.make_prompts(cast.project, "a fox")
    refused = ask(browser, cast, models=[cast.model.pk, sketcher.pk], images_per_prompt=40)
    assert refused.status_code == 400
    error = refused.content.decode().split('id="id_images_per_prompt_error">')[1].split("</p>")[0]
    assert "80 images of one prompt are too many" in error


def test_a_preview_is_one_live_image_of_the_first_prompt_and_never_an_item(
    cast: Cast, browser: Client, sketcher: ModelVersion
) -> None:
    stage.make_prompts(cast.project, "a fox", "a hen")
    stage.generate(cast, list(Prompt.objects.all()))
    tried = ask(browser, cast, "generations/previews/", models=[cast.model.pk, sketcher.pk], images_per_prompt=4)
    assert tried.status_code == 200
    assert 'hx-trigger="every 500ms"' in tried.content.decode()
    first, second = stage.claim(), stage.claim()
    assert (first.lane, second.lane) == ("live", "live"), "before the batch that waits"
    assert [prompt.text for prompt in first.prompts] == ["a fox"]
    assert first.prompts[0].slots == second.prompts[0].slots, "both models get the same seed"
    assert len(first.prompts[0].slots) == 1

    query = "&".join(
        f"request={pk}" for pk in GenerationRequest.objects.filter(kind="preview").values_list("pk", flat=True)
    )
    poll = path_of(cast, f"generations/previews/?{query}")
    jobs.heartbeat(Progress(lease=first.lease, done=0, total=1, step=3, steps=8), timezone.now())
    assert "step 3 of 8" in browser.get(poll).content.decode()
    for one in (first, second):
        services.record_images(stage.render(one), timezone.now())
    done = browser.get(poll).content.decode()
    assert "hx-trigger" not in done
    assert done.count("<img") == 2
    assert not GenerationRequest.objects.ungathered(cast.project).filter(kind="preview").exists()
    assert "1 image</strong>" not in browser.get(path_of(cast)).content.decode(), "the list is without previews"


def test_a_preview_is_cancelled(cast: Cast, browser: Client) -> None:
    stage.make_prompts(cast.project, "a fox")
    ask(browser, cast, "generations/previews/")
    pk = GenerationRequest.objects.get().pk
    ended = browser.delete(path_of(cast, f"generations/previews/?request={pk}"))
    assert "cancelled" in ended.content.decode()
    assert services.claim_render(stage.CLAIM, timezone.now()) is None
    assert browser.delete(path_of(cast, f"generations/previews/?request={pk}")).status_code == 200


def test_another_projects_request_is_no_preview_of_this_one(cast: Cast, browser: Client) -> None:
    stage.make_prompts(cast.foreign, "a zebra")
    foreign = stage.generate(cast, list(cast.foreign.prompts.all()), 1, cast.foreign, kind="preview")
    shown = browser.get(path_of(cast, f"generations/previews/?request={foreign.pk}&request=x")).content.decode()
    assert "Painter" not in shown
    browser.delete(path_of(cast, f"generations/previews/?request={foreign.pk}"))
    assert stage.claim().prompts[0].text == "a zebra", "it was not cancelled"


def test_a_request_is_paused_resumed_and_cancelled(cast: Cast, browser: Client) -> None:
    request = stage.generate(cast, stage.make_prompts(cast.project, "a fox"))

    def act(name: str) -> str:
        answer = browser.post(f"/generations/{request.pk}/{name}/", follow=True)
        return str(answer.content.decode())

    assert "The request is paused." in act("pause")
    assert services.claim_render(stage.CLAIM, timezone.now()) is None
    assert "The request goes on." in act("resume")
    assert stage.claim()
    assert "The request is cancelled." in act("cancel")
    assert "This request was cancelled already." in act("cancel")


def test_more_like_this_fills_the_form_with_an_images_settings(cast: Cast, browser: Client) -> None:
    fox, _ = stage.make_prompts(cast.project, "a fox", "a hen")
    stage.generate(cast, [fox], 1, seeds=[77])
    stage.work_off()
    one = Candidate.objects.get()
    page = browser.get(path_of(cast, f"generations/?like={one.pk}")).content.decode()
    assert 'name="which" value="chosen" checked' in page
    assert f'name="prompts" value="{fox.pk}" checked' in page
    for name, value in {"steps": 20, "guidance_scale": 5.0, "width": 16, "seeds": 77}.items():
        field = page.split(f'name="{name}"')[1].split(">")[0]
        assert f'value="{value}"' in field
    for wrong in ("x", uuid4()):
        assert browser.get(path_of(cast, f"generations/?like={wrong}")).status_code == 200


def test_the_gallery_counts_what_it_filters(cast: Cast, browser: Client, sketcher: ModelVersion) -> None:
    stage.make_prompts(cast.project, "a red fox", "a hen")
    request = stage.generate(cast, list(Prompt.objects.all()), 2, compared=[sketcher])
    stage.work_off()
    stage.generate(cast, [Prompt.objects.get(text="a hen")], 1, seeds=[5])
    stage.work_off()

    def shown(query: str) -> tuple[int, str]:
        page = browser.get(path_of(cast, f"images/?{query}"))
        return page.content.decode().count("data-image"), page.content.decode()

    assert shown("")[0] == 9
    assert shown(f"model={sketcher.pk}")[0] == 4
    assert shown("seed=5")[0] == 1
    assert shown("q=FOX+red")[0] == 4
    assert shown(f"request={request.pk}&q=hen&model={cast.model.pk}")[0] == 2
    _, page = shown("q=hen")
    assert 'Painter <span class="number">3</span>' in page
    assert 'Sketcher <span class="number">2</span>' in page
    assert "No image matches" in shown("seed=6")[1]
    assert "A seed is a whole number" in shown("seed=six")[1]
    assert "There is no model &#x27;x&#x27;" in shown("model=x")[1]
    assert shown(f"model={cast.foreign.pk}&request={cast.foreign.pk}&q=%00")[0] == 0


def test_the_gallery_goes_on_where_it_ended_with_its_filters(cast: Cast, browser: Client) -> None:
    for prompts in (
        stage.make_prompts(cast.project, *(f"icon {n}" for n in range(20))),
        list(Prompt.objects.all())[:5],
    ):
        stage.generate(cast, prompts, 4)
        stage.work_off()
    seen: list[str] = []
    query = "?q=icon"
    while query:
        page = browser.get(path_of(cast, f"images/{query}"), headers={"HX-Request": "true"}).content.decode()
        seen += [part.split('"')[0] for part in page.split('name="image" value="')[1:]]
        query = page.split('hx-get="')[1].split('"')[0].replace("&amp;", "&") if "more-rows" in page else ""
    assert len(seen) == len(set(seen)) == 100
    newest = GenerationRequest.objects.latest("pk")
    assert set(seen[:20]) == {str(pk) for pk in newest.candidates.values_list("pk", flat=True)}


def test_side_by_side_says_in_words_what_differs(cast: Cast, browser: Client, sketcher: ModelVersion) -> None:
    stage.generate(cast, stage.make_prompts(cast.project, "a fox", "a hen"), 1, compared=[sketcher])
    stage.work_off()
    one = Candidate.objects.order_by("prompt", "position").first()
    assert one
    page = browser.get(path_of(cast, f"images/side-by-side/?models_of={one.pk}")).content.decode()
    assert "They differ in model; all else is the same." in page
    assert 'rel="next"' in page
    others = [str(pk) for pk in Candidate.objects.values_list("pk", flat=True)]
    query = "&".join(f"image={pk}" for pk in [*others[:2], str(uuid4()), "x", others[0]])
    assert (
        "2 images of the address are not shown"
        in browser.get(path_of(cast, f"images/side-by-side/?{query}")).content.decode()
    )
    stage.generate(cast, stage.make_prompts(cast.foreign, "a zebra"), 2, cast.foreign)
    stage.work_off()
    foreign = "&".join(f"image={one.pk}" for one in Candidate.objects.filter(prompt__text="a zebra"))
    page = browser.get(path_of(cast, f"images/side-by-side/?{foreign}")).content.decode()
    assert "Choose two to four images" in page
    assert "zebra" not in page


@pytest.mark.parametrize(
    "rest", ["generations/", "generations/?like={}", "images/", "images/?q=icon", "images/side-by-side/?models_of={}"]
)
def test_pages_cost_the_same_however_much_is_on_them(
    cast: Cast,
    browser: Client,
    sketcher: ModelVersion,
    django_assert_max_num_queries: DjangoAssertNumQueries,
    rest: str,
) -> None:
    def more(requests: int) -> None:
        start = Prompt.objects.count()
        prompts = stage.make_prompts(cast.project, *(f"icon {start + n}" for n in range(3)))
        for _ in range(requests):
            stage.generate(cast, prompts, 2, compared=[sketcher])
            stage.work_off()
            stage.generate(cast, prompts)
            failure = Failure(lease=stage.claim().lease, code="broken", reason="It broke.", retryable=False)
            jobs.fail(failure, timezone.now())
            stage.generate(cast, prompts)
            lease: Lease = stage.claim().lease
            jobs.heartbeat(Progress(lease=lease, done=0, total=12, step=1, steps=8), timezone.now())

    def cost() -> int:
        path = path_of(cast, rest.format(Candidate.objects.latest("pk").pk))
        with django_assert_max_num_queries(ALLOWED_QUERIES) as queries:
            assert browser.get(path).status_code == 200
        return len(queries)

    more(1)
    few = cost()
    more(4)
    assert cost() <= few


def test_an_imported_image_tells_what_its_file_said(cast: Cast, browser: Client) -> None:
    stage.make_items(cast, 1)
    said = {"generator": "ComfyUI", "seed": 2**70, "steps": 31, "guidance": 6.5, "sampler": "dpmpp_2m"}
    Candidate.objects.update(manifest={}, seed=None, metadata={"file": "castle.png", "notes": [], "image": said})
    page = browser.get(path_of(cast, "images/")).content.decode()
    for value in ("no seed", str(2**70), "31", "6.5", "dpmpp_2m", "ComfyUI castle.png"):
        assert value in page
    assert "easel verify" not in page
    assert "More like this" not in page


@pytest.mark.parametrize(
    "rest", ["generations/", "generations/prompts/", "generations/previews/", "images/", "images/side-by-side/"]
)
def test_annotators_see_neither_models_nor_seeds(cast: Cast, rest: str) -> None:
    stage.make_items(cast, 1)
    bob = Client()
    bob.force_login(cast.bob, backend="django.contrib.auth.backends.ModelBackend")
    refused = bob.get(path_of(cast, rest))
    assert refused.status_code == 403
    one = Candidate.objects.first()
    assert one
    for secret in (cast.model.name, str(one.seed), str(one.pk)):
        assert secret not in refused.content.decode()
