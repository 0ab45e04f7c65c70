"""Model folders become model versions; other weights are another version."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from easel.common import jobs
from easel.common.errors import InvalidInput
from easel.images.models import GenerationRequest
from easel.images.services import record_images, request_images
from easel.registry.imported import imported_models
from easel.registry.models import ModelVersion, NotRenderable
from easel.registry.services import BrokenModel, NewModel, add_model, register_folder

from generation.storage import MODEL_PATH_VARIABLE, weights_hash
from generation.types import Failure
from tests import cast as stage
from tests.cast import Cast, make_model_folder
from tests.easel.registry.folders import make_adapter_folder, make_controlnet_folder, make_hub_cache


@pytest.mark.django_db
def test_registering_again_finds_the_same_version_until_the_weights_change(model_folders: Path) -> None:
    first = register_folder("Painter", "painter", "Apache-2.0", timezone.now())
    assert register_folder("Painter", "painter", "Apache-2.0", timezone.now()) == first
    (model_folders / "painter" / "unet" / "model.safetensors").write_bytes(b"\3\0\0\0\0\0\0\0{ }")
    second = register_folder("Painter", "painter", "Apache-2.0", timezone.now())
    assert (second.name, second.sha256 != first.sha256) == ("Painter 2", True)
    assert ModelVersion.objects.named("Painter") == first
    assert ModelVersion.objects.named(str(second.pk)) == second
    assert second.reference().sha256 == second.sha256


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("folder", "damage", "message"),
    [
        ("nowhere", "", "no folder with a model_index.json"),
        ("../models/painter/..", "", "is no name of a model folder"),
        ("painter", "not json", "is no diffusers model index"),
        ("painter", "[]", "is no diffusers model index"),
        ("painter", "{}", "is no diffusers model index"),
        ("painter", "\udcff", "is no diffusers model index"),
        ("painter", "[" * 100_000, "is no diffusers model index"),
        ("painter", '{"_class_name": 7}', "is no diffusers model index"),
        ("painter", '{"_class_name": "StableDiffusionPipeline", "unet": ["diffusers"]}', "'unet' is no part"),
        ("painter", '{"_class_name": "StableDiffusionPipeline", "vae": ["diffusers", "V"]}', "has no folder 'vae'"),
        ("painter", '{"_class_name": "StableDiffusionPipeline"}', "holds no .safetensors file"),
    ],
)
def test_a_broken_folder_is_refused_with_the_remedy(
    model_folders: Path, folder: str, damage: str, message: str
) -> None:
    if damage:
        (model_folders / "painter" / "model_index.json").write_text(damage, errors="surrogateescape")
    if "holds no" in message:
        (model_folders / "painter" / "unet" / "model.safetensors").unlink()
    with pytest.raises(BrokenModel, match=message) as caught:
        register_folder("Painter", folder, "", timezone.now())
    assert len(str(caught.value)) < 600
    assert not ModelVersion.objects.exists()


@pytest.mark.django_db
def test_two_folders_cannot_take_the_same_name(model_folders: Path) -> None:
    register_folder("Painter", "painter", "", timezone.now())
    make_model_folder(model_folders / "other")
    with pytest.raises(BrokenModel, match="Painter"):
        register_folder("Painter", "other", "", timezone.now())


@pytest.mark.django_db
def test_changed_weights_are_a_version_with_a_note_and_a_renamed_folder_names_its_twin(model_folders: Path) -> None:
    first = register_folder("Painter", "painter", "", timezone.now())
    (model_folders / "painter").rename(model_folders / "renamed")
    twin = add_model(NewModel("folder:renamed", name="Twin"), None, timezone.now())
    assert (twin.sha256, twin.note) == (first.sha256, "The same weights as Painter (folder:painter).")
    make_model_folder(model_folders / "painter")
    (model_folders / "painter" / "defaults.json").write_text('{"steps": 4}')
    later = register_folder("Painter", "painter", "", timezone.now())
    assert later.name == "Painter 2"
    assert later.note == "The files of folder:painter changed; Painter was made with what lay there before."


@pytest.mark.django_db
def test_of_two_folders_of_one_name_the_first_counts_and_the_other_is_mentioned(
    model_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_model_folder(tmp_path / "more" / "painter")
    (other / "defaults.json").write_text('{"steps": 4}')
    monkeypatch.setenv(MODEL_PATH_VARIABLE, f"{model_folders}{os.pathsep}{tmp_path / 'more'}")
    model = register_folder("Painter", "painter", "", timezone.now())
    assert model.sha256 == weights_hash(model_folders / "painter") != weights_hash(other)
    assert model.note == ("2 model folders hold one of this name; the first that EASEL_MODEL_PATH names is used.")


@pytest.mark.django_db
def test_adapters_and_controlnets_lie_on_a_pipeline(model_folders: Path) -> None:
    at = timezone.now()
    painter = register_folder("Painter", "painter", "", at)
    make_adapter_folder(model_folders / "inky")
    make_adapter_folder(model_folders / "loras" / "misty", b"{ }")
    make_controlnet_folder(model_folders / "edges")
    with pytest.raises(InvalidInput, match="name the base model"):
        add_model(NewModel("folder:inky"), None, at)
    with pytest.raises(InvalidInput, match="is of kind adapter, not pipeline"):
        add_model(NewModel("folder:inky", kind="pipeline", base=painter), None, at)
    inky = add_model(NewModel("folder:inky", base=painter), None, at)
    assert (inky.kind, inky.family, inky.name) == ("adapter", "StableDiffusionPipeline", "inky")
    misty = add_model(NewModel("folder:loras/misty", base=inky), None, at)
    edges = add_model(NewModel("folder:edges", base=misty), None, at)
    assert (edges.kind, edges.family) == ("controlnet", "ControlNetModel")
    with pytest.raises(InvalidInput, match="cannot lie on edges"):
        add_model(NewModel("folder:inky", name="Inky again", base=edges), None, at)

    reference = misty.reference()
    assert (reference.id, reference.location, reference.sha256) == (painter.pk, "folder:painter", painter.sha256)
    assert [(one.name, one.location, one.scale) for one in reference.adapters] == [
        ("inky", "folder:inky", 1.0),
        ("misty", "folder:loras/misty", 1.0),
    ]
    assert reference.controlnet is None
    controlled = edges.reference()
    assert controlled.controlnet is not None
    assert (controlled.location, controlled.controlnet.location) == ("folder:painter", "folder:edges")
    assert [one.name for one in controlled.adapters] == ["inky", "misty"]
    assert [one.name for one in edges.lineage()] == ["Painter", "inky", "misty", "edges"]


@pytest.mark.django_db
def test_one_adapter_on_two_bases_is_two_models(model_folders: Path) -> None:
    at = timezone.now()
    make_adapter_folder(model_folders / "inky")
    make_model_folder(model_folders / "other")
    (model_folders / "other" / "defaults.json").write_text("{}")
    painter, other = (register_folder(name, name.lower(), "", at) for name in ("Painter", "Other"))
    first = add_model(NewModel("folder:inky", base=painter), None, at)
    assert add_model(NewModel("folder:inky", base=painter), None, at) == first
    assert add_model(NewModel("folder:inky", name="Inky on other", base=other), None, at) != first


@pytest.mark.django_db
def test_what_is_known_from_imports_only_cannot_be_rendered_with(model_folders: Path) -> None:
    imported = ModelVersion.objects.create(
        name="Midjourney", kind="imported", location="imported:midjourney", created_at=timezone.now()
    )
    painter = register_folder("Painter", "painter", "", timezone.now())
    assert list(ModelVersion.objects.renderable()) == [painter]
    with pytest.raises(NotRenderable, match="imported images only"):
        imported.reference()


@pytest.mark.django_db
def test_a_service_is_registered_by_name_and_has_no_hash(model_folders: Path) -> None:
    service = add_model(NewModel("api:my-painter"), None, timezone.now())
    assert (service.kind, service.name, service.sha256) == ("api", "my-painter", "")
    assert "EASEL_API_MY_PAINTER_URL" in service.note
    assert service.reference().location == "api:my-painter"
    assert add_model(NewModel("api:my-painter"), None, timezone.now()) == service


@pytest.mark.django_db
@pytest.mark.parametrize(
    "location",
    ["", "painter", "file:///etc/passwd", "folder:", "folder:/etc", "folder:..", "folder:a/../b", "folder:a/b/c/d",
     "hub:", "hub:painter", "hub:a/b/c", "hub:../b", "hub:a/..", "api:", "api:A", "api:a/b", "api:a_b",
     "folder:a\0b", "hub:a/b\nc", "https://example.com/x"],
)  # fmt: skip
def test_what_is_no_location_is_refused(model_folders: Path, location: str) -> None:
    with pytest.raises(InvalidInput):
        add_model(NewModel(location), None, timezone.now())
    assert not ModelVersion.objects.exists()


@pytest.mark.django_db
def test_a_hub_model_is_unverified_until_a_hash_is_known(
    model_folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    absent = add_model(NewModel("hub:someone/painter"), None, timezone.now())
    assert (absent.sha256, absent.family) == ("", "")
    assert absent.note.startswith("Unverified: it is not in this machine's hub cache")
    assert absent.reference().sha256 is None

    snapshot = make_hub_cache(tmp_path / "hub", "someone/painter")
    found = add_model(NewModel("hub:someone/painter"), None, timezone.now())
    assert found == absent
    assert (found.sha256, found.family, found.note) == (weights_hash(snapshot), "StableDiffusionPipeline", "")

    (snapshot / "outside.json").symlink_to("/etc/hostname")
    with pytest.raises(BrokenModel, match="leads out of the model"):
        add_model(NewModel("hub:someone/painter"), None, timezone.now())


@pytest.mark.django_db
def test_the_first_render_fixes_the_hash_of_what_was_registered_without_one(cast: Cast) -> None:
    model = add_model(NewModel("hub:someone/painter"), None, timezone.now())
    stage.make_prompts(cast.project, "a fox")
    request_images(
        cast.project, model, list(cast.project.prompts.all()), cast.alice, timezone.now(), images_per_prompt=1
    )
    stage.work_off()
    model.refresh_from_db()
    assert model.sha256 == "0" * 64  # what the worker of the tests reports for weights that it was not told


@pytest.mark.django_db
def test_a_large_folder_is_left_for_the_worker_to_hash_and_the_command_line_can(model_folders: Path) -> None:
    unverified = add_model(NewModel("folder:painter", name="Painter"), None, timezone.now(), hash_up_to=10)
    assert unverified.sha256 == ""
    assert unverified.note.startswith("Unverified: ")
    verified = register_folder("Painter", "painter", "", timezone.now())
    assert (verified.pk, verified.note) == (unverified.pk, "")
    assert verified.sha256 == weights_hash(model_folders / "painter")


@pytest.mark.django_db
def test_an_image_of_a_service_is_not_asked_for_again(cast: Cast) -> None:
    service = add_model(NewModel("api:painter"), None, timezone.now())
    prompts = stage.make_prompts(cast.project, "a fox", "a hen")
    request_images(cast.project, service, prompts, cast.alice, timezone.now(), images_per_prompt=2)
    first = stage.claim()
    made = stage.render(first)
    record_images(made.model_copy(update={"images": made.images[:3]}), timezone.now())
    jobs.fail(
        Failure(lease=first.lease, code="service_unavailable", reason="It was busy.", retryable=True), timezone.now()
    )
    again = stage.claim(timezone.now() + timedelta(hours=1))
    assert again.lease.job == first.lease.job
    assert [(one.text, [slot.position for slot in one.slots]) for one in again.prompts] == [("a hen", [1])]
    record_images(stage.render(again), timezone.now())
    assert GenerationRequest.objects.with_progress().get().state == "done"


@pytest.mark.django_db
def test_a_controlnet_without_a_control_picture_is_refused_not_left_out(cast: Cast, model_folders: Path) -> None:
    make_controlnet_folder(model_folders / "edges")
    edges = add_model(NewModel("folder:edges", base=cast.model), None, timezone.now())
    prompts = stage.make_prompts(cast.project, "a fox")
    with pytest.raises(InvalidInput, match="edges is a ControlNet: every prompt needs a control picture"):
        request_images(cast.project, edges, prompts, cast.alice, timezone.now(), images_per_prompt=1)
    assert not GenerationRequest.objects.exists()


@pytest.mark.parametrize("kind", ["reward", "api"])
def test_a_hub_has_only_what_images_can_be_made_with(db: None, kind: str) -> None:
    with pytest.raises(InvalidInput, match=f"A hub holds no model of kind '{kind}'"):
        add_model(NewModel("hub:own/x", kind=kind), None, timezone.now())


def test_imported_models_find_a_free_name_each(cast: Cast) -> None:
    names = ["Painter", "Painter (imported)", "x" * 95 + " one", "x" * 95 + " two", "x" * 120]
    found = imported_models(names, cast.alice, timezone.now())
    assert len({one.pk for one in found.values()}) == len({one.name for one in found.values()}) == len(names)
    assert found == imported_models(names, cast.alice, timezone.now())
