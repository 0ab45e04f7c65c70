"""What a run is told on its command line and in its environment, read as it was meant."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from finetune import opening
from finetune.devices import Room
from finetune.errors import WrongBaseError, WrongConfigError
from finetune.types import TrainSettings
from generation.env import HubEnvironment, read_environment
from generation.storage import ADAPTER_FILE


def test_an_at_sign_in_a_folder_s_name_is_no_scale(tmp_path: Path) -> None:
    folder = tmp_path / "me@host" / "warm"
    folder.mkdir(parents=True)
    (folder / ADAPTER_FILE).write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    assert opening.adapter_hash(str(folder)) == f"{digest}@1"
    assert opening.adapter_hash(f"{folder}@0.5") == f"{digest}@0.5"
    assert opening.adapter_hash(f"{folder / ADAPTER_FILE}@-1") == f"{digest}@-1"
    with pytest.raises(WrongBaseError, match=r"^adapter 'warm@half' cannot be read"):
        opening.adapter_hash(f"{folder}@half")


@pytest.mark.parametrize("images", [0, -4])
def test_no_images_at_once_are_refused(images: int) -> None:
    with pytest.raises(WrongConfigError, match=rf"^images_at_once: {images} images are none\. Choose 1 or more\.$"):
        Room(images, TrainSettings(), torch.device("cpu"))


@pytest.mark.parametrize(
    ("said", "allowed"), [("yes", True), ("TRUE", True), ("on", True), ("off", False), ("0", False)]
)
def test_the_process_of_a_run_reads_whether_it_may_download_as_its_worker_does(
    said: str, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BROKER_URL", raising=False)
    monkeypatch.setenv("EASEL_HUB_DOWNLOAD", said)
    assert read_environment(HubEnvironment).hub_download == allowed
