"""Folders that a stranger has prepared: each is refused with one line, and nothing of it runs or is read whole."""

from __future__ import annotations

import json
import os
import pickle
import resource
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone
from easel.registry.models import ModelVersion
from easel.registry.services import HASHED_ON_A_PAGE, BrokenModel, NewModel, add_model

from tests.easel.registry.folders import safetensors

pytestmark = pytest.mark.django_db
INDEX = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}
Trap = Callable[[Path, Path], None]


class Canary:
    """Runs a command when it is unpickled."""

    def __init__(self, sung: Path) -> None:
        self.sung = sung

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.sung}",)


def a_pickle(name: str) -> Trap:
    """A file that runs a command when it is unpickled."""
    return lambda folder, sung: _write(folder / name, pickle.dumps(Canary(sung)))


def an_index(**parts: object) -> Trap:
    """A model index that names these parts."""
    return lambda folder, sung: _write(folder / "model_index.json", json.dumps(INDEX | parts).encode())


def a_file(name: str, content: bytes) -> Trap:
    """One more file."""
    return lambda folder, sung: _write(folder / name, content)


def a_link(name: str, target: str) -> Trap:
    """A link to somewhere else."""
    return lambda folder, sung: (folder / name).symlink_to(target)


def a_sparse_giant(folder: Path, sung: Path) -> None:
    """Ten gigabytes that take no room on the disk, after a table of contents of nothing."""
    with (folder / "unet" / "giant.safetensors").open("wb") as file:
        file.write(safetensors())
        file.truncate(10 * 2**30)


def a_pipe(folder: Path, sung: Path) -> None:
    """Whoever opens it waits for ever."""
    os.mkfifo(folder / "unet" / "pipe.safetensors")


def a_socket(folder: Path, sung: Path) -> None:
    """A socket; bound by a short relative name, for its path may be too long."""
    here = Path.cwd()
    os.chdir(folder)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("s.json")
    finally:
        os.chdir(here)


def a_crowd(folder: Path, sung: Path) -> None:
    """More files than any model has."""
    for number in range(5_001):
        _write(folder / "many" / str(number), b"")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


CANARIES: dict[str, tuple[Trap, str]] = {
    "a pickle beside the weights": (a_pickle("unet/diffusion_pytorch_model.bin"), "model.bin of .* is pickled"),
    "a pickle of another name": (a_pickle("vae/weights.PT"), "weights.PT of .* is pickled"),
    "a pickle that calls itself safetensors": (a_pickle("unet/more.safetensors"), "is no safetensors file"),
    "a numpy archive": (a_file("x.npz", b"PK"), "is pickled"),
    "code of its own": (a_file("unet/modeling.py", b"import os"), "modeling.py of .* is code"),
    "compiled code": (a_file("unet/fast.so", b"\x7fELF"), "fast.so of .* is code"),
    "a pipeline of its own": (an_index(_class_name="my_pipeline"), "not the name of a pipeline"),
    "a pipeline in a file": (an_index(_class_name=["pipeline.py", "MyPipeline"]), "not the name of a pipeline"),
    "a part from another library": (an_index(vae=["os", "system"]), "its vae is a class of 'os'"),
    "a part from its own file": (an_index(vae=["my_vae.py", "VAE"]), "its vae is a class of 'my_vae.py'"),
    "a part from below a library": (an_index(vae=["diffusers.os", "x"]), "is a class of 'diffusers.os'"),
    "a class that is none": (an_index(vae=["diffusers", "__import__('os')"]), "its vae is a class of"),
    "a part elsewhere": (an_index(**{"../../etc": ["diffusers", "UNet2DConditionModel"]}), "is no part"),
    "a list of libraries": (an_index(vae=[["diffusers"], "VAE"]), "its vae is a class of"),
    "remote code": (a_file("unet/config.json", b'{"auto_map": {"AutoModel": "evil.Model"}}'), "names code of its own"),
    "a link to a secret": (a_link("secret.json", "/etc/hostname"), "secret.json of .* leads out of the model"),
    "a link to a folder": (a_link("vae", "/etc"), "vae of .* leads out of the model"),
    "a link up": (a_link("up", ".."), "up of .* leads out of the model"),
    "a link to nothing": (a_link("gone.json", "nowhere"), "gone.json of .* cannot be read"),
    "a link to itself": (a_link("loop.json", "loop.json"), "loop.json of .* cannot be read"),
    "a pipe": (a_pipe, "pipe.safetensors of .* is no ordinary file"),
    "a socket": (a_socket, "s.json of .* is no ordinary file"),
    "a giant": (a_sparse_giant, "giant.safetensors is no safetensors file: it has 10,737,418,240 bytes"),
    "a table larger than the file": (a_file("unet/a.safetensors", b"\xff" * 8 + b"{}"), "is no safetensors file"),
    "a table of other sizes": (
        a_file("unet/a.safetensors", safetensors(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}')),
        "is no safetensors file: it has",
    ),
    "a table of riddles": (a_file("unet/a.safetensors", safetensors(b'{"a":{"data_offsets":"x"}}')), "is no safetens"),
    "a table of brackets": (a_file("unet/a.safetensors", safetensors(b"[" * 200_000)), "is no safetensors file"),
    "an empty weights file": (a_file("unet/a.safetensors", b""), "is no safetensors file"),
    "an index without an end": (a_file("model_index.json", b"[" * 200_000), "is no diffusers model index"),
    "a huge index": (a_file("model_index.json", b" " * (9 * 2**20)), "is larger than 8 MB"),
    "thousands of files": (
        a_crowd,
        "more than 5,000 files",
    ),
}


@pytest.mark.parametrize("name", CANARIES)
def test_a_trap_is_refused_with_one_line_and_nothing_of_it_runs(model_folders: Path, tmp_path: Path, name: str) -> None:
    trap, message = CANARIES[name]
    sung = tmp_path / "sung"
    trap(model_folders / "painter", sung)
    began = time.monotonic()
    with pytest.raises(BrokenModel, match=message) as caught:
        add_model(NewModel("folder:painter"), None, timezone.now())
    assert time.monotonic() - began < 3
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700
    assert not sung.exists()
    assert not ModelVersion.objects.exists()


def test_the_canary_sings_where_somebody_does_load_it(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Canary(tmp_path / "sung")))
    assert (tmp_path / "sung").exists()


@pytest.mark.parametrize("name", ["painter", "loras/painter"])
def test_a_folder_that_is_a_link_out_of_the_model_folders_is_refused(
    model_folders: Path, tmp_path: Path, name: str
) -> None:
    (model_folders / "painter").rename(tmp_path / "elsewhere")
    (model_folders / name).parent.mkdir(exist_ok=True)
    (model_folders / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BrokenModel, match="is a link that leads out of"):
        add_model(NewModel(f"folder:{name}"), None, timezone.now())


def test_ten_gigabytes_of_weights_are_not_read_for_a_page(model_folders: Path) -> None:
    table = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 10 * 2**30]}}).encode()
    with (model_folders / "painter" / "unet" / "model.safetensors").open("wb") as file:
        file.write(safetensors(table))
        file.truncate(8 + len(table) + 10 * 2**30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    model = add_model(NewModel("folder:painter"), None, timezone.now(), hash_up_to=HASHED_ON_A_PAGE)
    assert time.monotonic() - began < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # kilobytes
    assert model.sha256 == ""
    assert "10.0 GB are too much to hash on a page" in model.note
