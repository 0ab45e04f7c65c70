"""Images that were made elsewhere become candidates, with what their files say."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from easel.annotation.gathering import gather
from easel.annotation.models import Item
from easel.annotation.template_uses import use_template
from easel.cli import easel as command
from easel.forms.services import publish
from easel.images import imports
from easel.images.models import Candidate, GenerationRequest, ImageImport
from easel.images.progress import progress_of_one
from easel.prompts.models import Prompt
from easel.registry.models import ModelVersion
from PIL import Image
from rest_framework.test import APIClient

from tests.cast import API, Cast, annotate, browser_of, client_of
from tests.easel.images.test_metadata import FILES, TEXT, needs_files, photo, picture


def a1111(prompt: str, seed: int, model: str = "Dreamer", **more: str) -> bytes:
    """Return a PNG with A1111's text, of a colour of its own."""
    text = f"{prompt}\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: {seed}, Model: {model}"
    colour = (seed % 256, seed // 256 % 256, 77)
    return picture(Image.new("RGB", (40, 30), colour), parameters=text, **more)


def send(client: APIClient, cast: Cast, *files: tuple[str, bytes], **data: str) -> Any:
    """Import files as scripts do."""
    body = {"files": [SimpleUploadedFile(name, content) for name, content in files], **data}
    return client.post(f"{API}/projects/{cast.project.pk}/images/", body, format="multipart")


def test_files_become_candidates_with_their_making_and_the_same_pixels(cast: Cast, alice: APIClient) -> None:
    original = a1111("a fox", 42)
    answer = send(alice, cast, ("fox.png", original))
    assert answer.status_code == 201
    body = answer.json()
    assert (body["created"], body["rejected"]) == (1, [])
    candidate = Candidate.objects.get(pk=body["images"][0]["id"])
    assert (candidate.prompt.text, candidate.seed, candidate.model.name) == ("a fox", 42, "Dreamer")
    assert (candidate.chunk, candidate.manifest, candidate.width, candidate.height) == (None, {}, 40, 30)
    assert candidate.model.kind == ModelVersion.Kind.IMPORTED
    assert candidate.metadata["file"] == "fox.png"
    assert candidate.metadata["image"]["sampler"] == "Euler"
    request = GenerationRequest.objects.with_progress().get(pk=body["generation"])
    assert (request.kind, request.state, request.images_done, request.percent) == ("import", "done", 1, 100)

    from easel.common.storage import storage

    stored = storage().read(candidate.key)
    assert b"Steps" not in stored
    with Image.open(io.BytesIO(stored)) as ours, Image.open(io.BytesIO(original)) as theirs:
        assert ours.convert("RGB").tobytes() == theirs.convert("RGB").tobytes()
    listed = alice.get(f"{API}/generations/{request.pk}/candidates/").json()["results"]
    assert [one["id"] for one in listed] == [str(candidate.pk)]
    assert listed[0]["metadata"]["image"]["generator"] == "A1111"
    assert alice.get(f"/images/{candidate.pk}/").status_code == 200


def test_images_of_one_prompt_can_be_ranked_and_single_ones_wait_for_nothing(cast: Cast, alice: APIClient) -> None:
    files = [(f"{n}.png", a1111("a fox", n, f"Model {n % 2}")) for n in range(4)]
    send(alice, cast, *files, ("hen.png", a1111("a hen", 9)))
    assert gather(timezone.now(), cast.project) == 1
    assert gather(timezone.now(), cast.project) == 0
    item = Item.objects.get()
    assert (item.prompt.text, item.candidates.count()) == ("a fox", 4)
    assert GenerationRequest.objects.get().gathered_at is not None
    assert len(annotate(cast.project, cast.bob)) == 1
    lines = b"".join(alice.get(f"{API}/projects/{cast.project.pk}/export/").streaming_content).decode()  # type: ignore[attr-defined]
    assert "a fox" in lines


@pytest.mark.parametrize(("count", "sizes"), [(2, [2]), (4, [4]), (5, [3, 2]), (9, [3, 3, 3]), (17, [4, 4, 3, 3, 3])])
def test_more_than_the_form_shows_are_dealt_out_evenly(cast: Cast, count: int, sizes: list[int]) -> None:
    uploads = [imports.Upload(f"{n}.png", a1111("a fox", n)) for n in range(count)]
    found = imports.read_files(cast.project, uploads)
    imports.import_pictures(cast.project, found, cast.alice, timezone.now())
    gather(timezone.now(), cast.project)
    assert sorted((item.candidates.count() for item in Item.objects.all()), reverse=True) == sizes
    assert Candidate.objects.exclude(items=None).count() == count


def test_imported_images_are_items_each_where_the_form_judges_each_by_itself(cast: Cast, alice: APIClient) -> None:
    form: dict[str, object] = {"components": [{"type": "image", "name": "image"}, {"type": "rating", "name": "good"}]}
    use_template(cast.project, publish(cast.project.template_version.template, form, timezone.now()))
    sent = [("fox.png", a1111("a fox", 1)), ("hen.png", a1111("a hen", 2))]
    generation = send(alice, cast, *sent).json()["generation"]
    request = GenerationRequest.objects.with_progress().get(pk=generation)
    assert progress_of_one(request, timezone.now()).live
    assert gather(timezone.now(), cast.project) == 2
    assert gather(timezone.now(), cast.project) == 0
    assert [item.candidates.count() for item in Item.objects.all()] == [1, 1]
    request = GenerationRequest.objects.with_progress().get(pk=generation)
    assert not progress_of_one(request, timezone.now()).live
    send(alice, cast, *((f"{n}.png", a1111("a cat", n)) for n in range(3, 6)))
    assert gather(timezone.now(), cast.project) == 3


def test_a_single_imported_image_is_waited_for_by_nobody_where_forms_compare(cast: Cast, alice: APIClient) -> None:
    generation = send(alice, cast, ("fox.png", a1111("a fox", 1))).json()["generation"]
    request = GenerationRequest.objects.with_progress().get(pk=generation)
    assert not progress_of_one(request, timezone.now()).live
    assert gather(timezone.now(), cast.project) == 0


def test_the_same_picture_is_named_and_taken_once(cast: Cast, alice: APIClient) -> None:
    first = send(alice, cast, ("a.png", a1111("a fox", 1)), ("b.png", a1111("a fox", 1, note="other")))
    assert first.json()["rejected"] == [{"file": "b.png", "reason": "is the same picture as a.png."}]
    again = send(alice, cast, ("c.png", a1111("a fox", 1)))
    assert again.status_code == 201
    assert (again.json()["created"], again.json()["generation"]) == (0, None)
    assert again.json()["rejected"] == [{"file": "c.png", "reason": "is in the project already."}]
    assert GenerationRequest.objects.count() == 1


def test_a_bad_file_is_named_and_the_others_are_imported(cast: Cast, alice: APIClient) -> None:
    whole = a1111("a fox", 1)
    answer = send(
        alice, cast, ("empty.png", b" "), ("cut.png", whole[:-40]), ("plain.png", picture()), ("fox.png", whole),
        ("page.png", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"),
        ("graph.png", picture(Image.new("RGB", (9, 9)), prompt='{"3": ')),
    ).json()  # fmt: skip
    assert answer["created"] == 1
    reasons = {one["file"]: one["reason"] for one in answer["rejected"]}
    assert reasons["empty.png"] == "is no PNG, JPEG or WebP picture. Save it as one of these."
    assert reasons["cut.png"].startswith("is damaged: ")
    assert reasons["plain.png"] == "does not say its prompt. Give one for it."
    assert reasons["page.png"] == "is no PNG, JPEG or WebP picture. Save it as one of these."
    assert reasons["graph.png"].startswith("does not say its prompt (ComfyUI's prompt is no JSON")
    assert all("\n" not in reason for reason in reasons.values())


def test_what_is_typed_counts_for_files_that_say_nothing(cast: Cast, alice: APIClient) -> None:
    answer = send(
        alice, cast, ("a.png", a1111("a fox", 1)), ("b.jpg", photo("JPEG")), prompt="a hen", model="Midjourney 6"
    ).json()
    assert [(one["model"], one["seed"]) for one in answer["images"]] == [("Dreamer", 1), ("Midjourney 6", None)]
    texts = {str(prompt.pk): prompt.text for prompt in Prompt.objects.all()}
    assert [texts[one["prompt"]] for one in answer["images"]] == ["a fox", "a hen"]


def test_a_seed_beyond_64_bits_is_kept_with_the_metadata_and_said(cast: Cast, alice: APIClient) -> None:
    comment = b"UNICODE\x00" + TEXT.encode("utf-16-be")
    body = send(alice, cast, ("neko.jpg", photo("JPEG", comment))).json()["images"][0]
    assert body["seed"] is None
    assert body["notes"] == [
        "Its seed 18446744073709551615 does not fit into 64 bits; it is kept with the metadata only."
    ]
    candidate = Candidate.objects.get()
    assert candidate.metadata["image"]["seed"] == 2**64 - 1
    assert (candidate.prompt.text, candidate.prompt.negative) == ("猫と林檎、「赤い」", "ぼやけた")
    assert send(alice, cast, ("big.png", a1111("a fox", 2**63 - 1))).json()["images"][0]["seed"] == 2**63 - 1


def test_an_imported_model_shares_no_name_with_one_that_has_weights(cast: Cast, alice: APIClient) -> None:
    send(alice, cast, ("a.png", a1111("a fox", 1, "Painter")))
    send(alice, cast, ("b.png", a1111("a fox", 2, "Painter")))
    names = ModelVersion.objects.filter(kind="imported").values_list("name", flat=True)
    assert list(names) == ["Painter (imported)"]
    answer = alice.post(f"{API}/projects/{cast.project.pk}/generations/", {"model": "Painter (imported)"})
    assert answer.status_code == 400


def test_a_prompt_that_is_there_already_is_used(cast: Cast, alice: APIClient) -> None:
    alice.post(f"{API}/projects/{cast.project.pk}/prompts/", {"prompts": ["a fox"]})
    send(alice, cast, ("a.png", a1111("a fox", 1)), ("b.png", a1111("a fox", 2)))
    assert Prompt.objects.get().candidates.count() == 2


@needs_files
def test_every_shared_file_is_imported_or_refused_in_one_line(cast: Cast, alice: APIClient) -> None:
    answer = send(alice, cast, *((path.name, path.read_bytes()) for path in FILES if path.stat().st_size)).json()
    assert answer["created"] + len(answer["rejected"]) == len(FILES) - 1
    assert answer["created"] >= 4  # the files are cropped to one pixel each, so many of them are the same picture
    for one in answer["rejected"]:
        assert "does not say its prompt" in one["reason"] or "same picture" in one["reason"]


def test_too_many_files_and_none_are_refused(cast: Cast, alice: APIClient) -> None:
    tiny = picture()
    answer = send(alice, cast, *((f"{n}.png", tiny) for n in range(51)))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    answer = send(alice, cast)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["files"])


def test_the_page_shows_what_was_read_and_imports_it_once(cast: Cast) -> None:
    browser = browser_of(cast.alice)
    address = f"/projects/{cast.project.pk}/images/import/"
    assert browser.get(address).status_code == 200
    files = [SimpleUploadedFile(f"{n}.png", a1111("a <b>fox</b>", n)) for n in range(2)]
    broken = SimpleUploadedFile("broken.png", b"\x89PNG and no more")
    answer = browser.post(address, {"images": [*files, broken]}, format="multipart")
    assert answer.status_code == 302
    assert not Candidate.objects.exists() and not Prompt.objects.exists()
    page = browser.get(answer["Location"]).content.decode()
    assert "a &lt;b&gt;fox" in page and "<b>fox" not in page
    assert "broken.png" in page and "is damaged" in page and "Dreamer" in page
    preview = ImageImport.objects.get()
    shown = browser.get(f"/projects/{cast.project.pk}/images/imports/{preview.pk}/0/")
    assert shown["Content-Type"] == "image/webp"
    assert browser.get(f"/projects/{cast.project.pk}/images/imports/{preview.pk}/2/").status_code == 404
    assert browser.post(answer["Location"])["Location"] == f"/projects/{cast.project.pk}/images/"
    assert Candidate.objects.count() == 2
    assert browser.post(answer["Location"]).status_code == 409
    assert browser.get(answer["Location"]).status_code == 200
    charlies = answer["Location"].replace(str(cast.project.pk), str(cast.foreign.pk))
    assert browser_of(cast.charlie).get(charlies).status_code == 404


def test_a_picture_that_came_in_the_meantime_is_not_imported_twice(cast: Cast, alice: APIClient) -> None:
    browser = browser_of(cast.alice)
    file = SimpleUploadedFile("a.png", a1111("a fox", 1))
    address = f"/projects/{cast.project.pk}/images/import/"
    confirm = browser.post(address, {"images": [file]}, format="multipart")["Location"]
    send(alice, cast, ("a.png", a1111("a fox", 1)))
    assert "is in the project already" in browser.post(confirm, follow=True).content.decode()
    assert Candidate.objects.count() == 1


def test_the_page_refuses_an_empty_form_beside_its_field(cast: Cast) -> None:
    answer = browser_of(cast.alice).post(f"/projects/{cast.project.pk}/images/import/", {}, format="multipart")
    assert answer.status_code == 400
    assert "No image is there." in answer.content.decode()


def test_a_folder_is_imported_with_its_table(cast: Cast, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    (folder / "fox").mkdir(parents=True)
    (folder / "fox" / "1.png").write_bytes(a1111("a fox", 1))
    (folder / "fox" / "2.jpg").write_bytes(photo("JPEG"))
    (folder / "silent.webp").write_bytes(photo("WEBP"))
    (folder / "notes.txt").write_text("not an image")
    (folder / "metadata.csv").write_text(
        "file,prompt,negative,model,seed\nfox/2.jpg,a fox,,Flux,18446744073709551616\n"
    )
    options = ["import-images", "--project", str(cast.project.pk), str(folder)]
    done = CliRunner().invoke(command, [*options, "--json"])
    assert done.exit_code == 0, done.output
    body = json.loads(done.stdout)
    assert body["created"] == 2
    assert body["rejected"] == [{"file": "silent.webp", "reason": "does not say its prompt. Give one for it."}]
    assert {one.model.name for one in Candidate.objects.all()} == {"Dreamer", "Flux"}
    again = CliRunner().invoke(command, [*options, "--prompt", "a hen"])
    assert "1 images imported, 2 files not taken." in again.stdout
    assert "fox/1.png is in the project already." in again.stderr


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (b"name\n", "has no column 'file'"),
        (b"file,colour\n", "has a column 'colour'"),
        (b"file,seed\na.png,many\n", "line 2: seed 'many' is no whole number"),
        (b"file\n\xff\n", "is not UTF-8"),
        (b'file,prompt\n"a,b\n', "Mend its quotes"),
    ],
)
def test_a_broken_table_is_refused_in_one_line(cast: Cast, tmp_path: Path, table: bytes, says: str) -> None:
    (tmp_path / "a.png").write_bytes(a1111("a fox", 1))
    (tmp_path / "metadata.csv").write_bytes(table)
    done = CliRunner().invoke(command, ["import-images", "--project", str(cast.project.pk), str(tmp_path)])
    assert done.exit_code == 1
    assert says in str(done.exception)
    assert not Candidate.objects.exists()


def test_only_those_who_manage_a_project_import(cast: Cast) -> None:
    file = ("a.png", a1111("a fox", 1))
    assert send(client_of(cast.dave), cast, file).status_code == 403
    assert send(client_of(cast.bob), cast, file).status_code == 403
    assert send(client_of(cast.charlie), cast, file).status_code == 404
    assert not Candidate.objects.exists()


def test_a_download_of_an_imported_image_says_what_its_file_said(cast: Cast, alice: APIClient) -> None:
    from easel.images.metadata import read_metadata

    send(alice, cast, ("neko.jpg", photo("JPEG", b"UNICODE\x00" + TEXT.encode("utf-16-be"))))
    answer: Any = alice.get(f"/images/{Candidate.objects.get().pk}/download/")
    found = read_metadata(Image.open(io.BytesIO(b"".join(answer.streaming_content))))
    assert found is not None
    assert (found.generator, found.prompt, found.seed) == ("A1111", "猫と林檎、「赤い」", 2**64 - 1)
