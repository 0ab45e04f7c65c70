"""Who sees and registers models, on pages, over REST, on the command line; what the doctor says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from django.urls import reverse
from django.utils import timezone
from easel.accounts.models import User
from easel.accounts.services import create_user
from easel.cli import easel
from easel.common.errors import NotFound
from easel.images.model_figures import model_rows
from easel.images.models import Candidate
from easel.registry.models import ModelVersion
from easel.registry.services import BrokenModel, NewModel, add_model

from tests import cast as stage
from tests.cast import API, Cast, browser_of, client_of, make_model_folder
from tests.easel.registry.folders import make_adapter_folder

pytestmark = pytest.mark.django_db


@pytest.fixture
def grace(db: None) -> User:
    """The site admin, a member of no project."""
    return create_user("grace", None, site_admin=True)


def test_only_a_site_admin_registers_models(cast: Cast, grace: User, model_folders: Path) -> None:
    make_model_folder(model_folders / "other")
    (model_folders / "other" / "defaults.json").write_text('{"steps": 4}')
    body = {"location": "folder:other", "name": "Other"}
    for user in (cast.alice, cast.erin, cast.bob):
        assert client_of(user).post(f"{API}/models/", body).status_code == 403
        assert browser_of(user).get("/models/new/").status_code == 403
        assert browser_of(user).post("/models/new/", body).status_code == 403
    assert ModelVersion.objects.count() == 1

    made = client_of(grace).post(f"{API}/models/", body | {"licence": "MIT", "base": "Painter"})
    assert made.status_code == 201
    assert {**made.json(), "id": "", "created_at": ""} == {
        "id": "",
        "name": "Other",
        "kind": "pipeline",
        "base": str(cast.model.pk),
        "family": "StableDiffusionPipeline",
        "location": "folder:other",
        "sha256": made.json()["sha256"],
        "licence": "MIT",
        "note": "",
        "created_at": "",
    }
    found = client_of(cast.bob).get(f"{API}/models/{made.json()['id']}/")
    assert found.json() == made.json()
    assert [one["name"] for one in client_of(cast.bob).get(f"{API}/models/").json()["results"]] == ["Other", "Painter"]
    assert ModelVersion.objects.get(name="Other").created_by == grace
    grace.is_active = False
    grace.save()
    assert client_of(grace).post(f"{API}/models/", body).status_code == 401


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ({}, "invalid", "location"),
        ({"location": "folder:gone"}, "broken_model", "no folder with a model_index.json"),
        ({"location": "folder:../x"}, "broken_model", "is no name of a model folder"),
        ({"location": "api:x", "kind": "pipeline"}, "invalid", "is of kind api, not pipeline"),
        ({"location": "api:x", "kind": "imported"}, "invalid", "kind"),
        ({"location": "api:x", "base": "nothing"}, "invalid", "There is no model 'nothing'"),
        ({"location": "api:x", "base": "Painter"}, "invalid", "A service has no base model"),
        ({"location": "hub:a/b", "kind": "adapter"}, "invalid", "name the base model"),
        ({"location": "api:x", "name": "Painter"}, "broken_model", "another model named 'Painter'"),
        ({"location": "api:x", "name": "a\u0007b"}, "invalid", "printable"),
        ({"location": ["api:x"]}, "invalid", "location"),
    ],
)
def test_a_refusal_over_rest_says_what_is_wrong(
    cast: Cast, grace: User, body: dict[str, Any], code: str, told: str
) -> None:
    answer = client_of(grace).post(f"{API}/models/", body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert told in answer.json()["detail"]
    assert ModelVersion.objects.count() == 1


def test_a_folder_that_lies_there_is_offered_and_registered_on_the_page(
    cast: Cast, grace: User, model_folders: Path
) -> None:
    make_adapter_folder(model_folders / "loras" / "inky")
    browser = browser_of(grace)
    page = browser.get("/models/new/").content.decode()
    assert "?location=folder:loras%2Finky" in page
    assert "folder:painter" not in page, "it is registered already"
    prefilled = browser.get("/models/new/?location=folder:loras/inky").content.decode()
    assert 'value="folder:loras/inky"' in prefilled

    refused = browser.post("/models/new/", {"location": "folder:loras/inky"}, format="multipart")
    assert refused.status_code == 400
    assert "name the base model that it was made for" in refused.content.decode()

    form = {"location": "folder:loras/inky", "base": cast.model.pk}
    done = browser.post("/models/new/", form, format="multipart", follow=True)
    made = ModelVersion.objects.get(name="inky")
    assert done.redirect_chain == [(f"/models/{made.pk}/", 302)]
    assert "inky is registered." in done.content.decode()
    again = browser.post("/models/new/", form, format="multipart", follow=True)
    assert "inky is registered already." in again.content.decode()


def test_the_list_is_a_tree_and_counts_what_the_reader_may_know(cast: Cast, grace: User, model_folders: Path) -> None:
    stage.make_items(cast, 2)
    make_adapter_folder(model_folders / "inky")
    make_adapter_folder(model_folders / "misty", b"{ }")
    inky = add_model(NewModel("folder:inky", base=cast.model), None, timezone.now())
    add_model(NewModel("folder:misty", base=inky), None, timezone.now())
    add_model(NewModel("api:painter", name="A service"), None, timezone.now())
    rows = model_rows(cast.alice)
    assert [(row.model.name, row.depth, row.images, len(row.samples)) for row in rows] == [
        ("A service", 0, 0, 0),
        ("Painter", 0, 8, 4),
        ("inky", 1, 0, 0),
        ("misty", 2, 0, 0),
    ]
    for blind in (cast.bob, cast.charlie, grace):
        assert {row.images for row in model_rows(blind)} == {0}
    assert {row.images for row in model_rows(cast.dave)} == {0, 8}


def test_annotators_see_no_image_beside_the_model_that_made_it(cast: Cast) -> None:
    stage.make_items(cast, 1)
    one = Candidate.objects.all()[0]
    for path in ("/models/", f"/models/{cast.model.pk}/"):
        assert reverse("image", args=[one.pk])[:10] not in browser_of(cast.bob).get(path).content.decode()
        assert "/images/" in browser_of(cast.alice).get(path).content.decode()


def test_the_page_of_a_model_tells_all_of_it(cast: Cast, model_folders: Path) -> None:
    make_adapter_folder(model_folders / "inky")
    inky = add_model(NewModel("folder:inky", base=cast.model, note="<b>Bold</b> lines"), None, timezone.now())
    page = browser_of(cast.charlie).get(f"/models/{inky.pk}/").content.decode()
    for told in ("LoRA adapter", inky.sha256, "folder:inky", "pytorch_lora_weights.safetensors", "Painter"):
        assert told in page
    assert "&lt;b&gt;Bold" in page
    assert "inky" in browser_of(cast.charlie).get(f"/models/{cast.model.pk}/").content.decode()


def test_a_model_whose_files_were_spoilt_still_has_a_page(cast: Cast, grace: User, model_folders: Path) -> None:
    (model_folders / "painter" / "unet" / "model.safetensors").unlink()
    path = f"/models/{cast.model.pk}/"
    assert "holds no .safetensors file" in browser_of(grace).get(path).content.decode()
    page = browser_of(cast.alice).get(path).content.decode()
    assert "not what was registered" in page
    assert str(model_folders) not in page


def run(*arguments: object) -> Any:
    return CliRunner().invoke(easel, [str(one) for one in arguments], catch_exceptions=False)


def test_a_model_is_added_from_the_command_line(cast: Cast, model_folders: Path) -> None:
    make_adapter_folder(model_folders / "inky")
    result = run("add-model", "folder:inky", "--base", "Painter", "--name", "Inky", "--licence", "MIT", "--json")
    made = ModelVersion.objects.get(name="Inky")
    assert json.loads(result.stdout) == {
        "id": str(made.pk),
        "name": "Inky",
        "kind": "adapter",
        "sha256": made.sha256,
        "note": "",
    }
    assert (made.licence, made.base) == ("MIT", cast.model)
    assert run("add-model", "api:painter").stdout.startswith("painter: api, without a hash (")
    with pytest.raises(NotFound, match="model 'Nobody'"):
        run("add-model", "folder:inky", "--base", "Nobody")
    with pytest.raises(BrokenModel, match="no folder"):
        run("add-model", "folder:gone")


def doctor() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("doctor", "--json").stdout)["models"]
    return found


def test_the_doctor_names_missing_and_changed_models(cast: Cast, model_folders: Path) -> None:
    assert doctor() == {"ok": True, "detail": "1 model folders"}
    (model_folders / "painter" / "defaults.json").write_text('{"steps": 4}')
    changed = doctor()
    assert not changed["ok"]
    assert "Painter: the files of folder:painter changed" in changed["detail"]
    add_model(NewModel("folder:painter", name="Painter"), None, timezone.now())
    assert doctor() == {"ok": True, "detail": "1 model folders; Painter was replaced by newer files in folder:painter"}
    (model_folders / "painter").rename(model_folders / "gone")
    missing = doctor()
    assert not missing["ok"]
    assert "Painter 2: model 'painter': no folder" in missing["detail"]
