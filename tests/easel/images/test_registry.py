"""Model folders become model versions; other weights are another version."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.utils import timezone
from easel.registry.models import ModelVersion
from easel.registry.services import BrokenModel, register_folder

from tests.cast import make_model_folder


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
        ("../models/painter/..", "", "no folder with a model_index.json"),
        ("painter", "not json", "is no diffusers model index"),
        ("painter", "[]", "is no diffusers model index"),
        ("painter", "{}", "is no diffusers model index"),
        ("painter", "\udcff", "is no diffusers model index"),
        ("painter", '{"_class_name": "StableDiffusionPipeline"}', "holds no .safetensors file"),
    ],
)
def test_a_broken_folder_is_refused_with_the_remedy(
    model_folders: Path, folder: str, damage: str, message: str
) -> None:
    if damage:
        (model_folders / "painter" / "model_index.json").write_text(damage, errors="surrogateescape")
        (model_folders / "painter" / "unet" / "model.safetensors").rename(model_folders / "painter" / "model.bin")
    with pytest.raises(BrokenModel, match=message):
        register_folder("Painter", folder, "", timezone.now())
    assert not ModelVersion.objects.exists()


@pytest.mark.django_db
def test_two_folders_cannot_take_the_same_name(model_folders: Path) -> None:
    register_folder("Painter", "painter", "", timezone.now())
    make_model_folder(model_folders / "other")
    with pytest.raises(BrokenModel, match="Painter"):
        register_folder("Painter", "other", "", timezone.now())
