"""Tiny base models and snapshots that a few steps can learn from."""

from __future__ import annotations

import gc
import io
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from PIL import Image

from finetune import snapshot
from finetune.types import Judgement, Preference, SnapshotImage
from generation.env import quieten_libraries
from generation.storage import Storage

os.environ.setdefault("OMP_NUM_THREADS", "1")
quieten_libraries(hub_download=False)

Groups = tuple[tuple[int, ...], ...]
Freeze = Callable[..., Path]
WARM_FIRST: Groups = ((0,), (1,), (2,))


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base of each family. Only for reading: all tests share it."""
    import torch

    from tests.finetune.tiny import save_tiny_v_model
    from tests.generation import tiny

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("bases")
    save_tiny_v_model(folder / "v")
    tiny.save_tiny_model(folder / "epsilon")
    tiny.save_tiny_xl_model(folder / "xl")
    tiny.save_tiny_sd3_model(folder / "sd3")
    tiny.save_tiny_flux_model(folder / "flux")
    gc.collect()
    gc.freeze()  # as the worker does: collecting garbage does not look at the libraries' modules each time
    return folder


@pytest.fixture
def freeze(tmp_path: Path) -> Freeze:
    """Return a writer of snapshots: warm, grey and cold pictures of each prompt, ranked as `groups` says."""

    def write(
        name: str = "snapshot", *, groups: Groups = WARM_FIRST, train: int = 6, held_out: int = 2, size: int = 16
    ) -> Path:
        storage = Storage((tmp_path / f"{name} files").as_uri())
        rows = [_row(storage, number, groups, number >= train, size) for number in range(train + held_out)]
        snapshot.write(tmp_path / name, rows, storage, snapshot.Facts(name=name))
        return tmp_path / name

    return write


@pytest.fixture(scope="session")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of rankings of three, the warm picture first. Only for reading."""
    folder = tmp_path_factory.mktemp("ranked")
    storage = Storage((folder / "files").as_uri())
    rows = [_row(storage, number, WARM_FIRST, number >= 6, 16) for number in range(8)]
    snapshot.write(folder / "snapshot", rows, storage, snapshot.Facts(name="ranked"))
    return folder / "snapshot"


def _row(storage: Storage, number: int, groups: Groups, held_out: bool, size: int) -> Preference:
    count = sum(map(len, groups))
    place = {image: rank for rank, group in enumerate(groups) for image in group}
    pairs: list[tuple[int, int, float]] = [
        (a, b, 0.5 + 0.5 * ((place[a] < place[b]) - (place[a] > place[b])))
        for a in range(count)
        for b in range(a + 1, count)
    ]
    mean = sum(place.values()) / count
    values: dict[str, Any] = {
        "item": UUID(int=number),
        "split": "validation" if held_out else "train",
        "prompt": f"thing {number % 3}",
        "images": tuple(_picture(storage, number, image, size) for image in range(count)),
        "judgements": (Judgement(annotator="bob", groups=groups),),
        "strengths": tuple(mean - place[image] for image in range(count)),
        "pairs": tuple(pairs),
        "pair_weights": (1.0,) * len(pairs),
    }
    return Preference(**values)


def _picture(storage: Storage, number: int, warmth: int, size: int) -> SnapshotImage:
    """Store a noisy picture: warmth 0 is orange, 1 grey, 2 blue."""
    drawn = random.Random(f"{number} {warmth}")
    colour = ((200, 100, 50), (120, 100, 120), (50, 100, 200))[warmth % 3]
    pixels = bytes(
        min(255, max(0, round(channel + drawn.gauss(0, 20)))) for _ in range(size * size) for channel in colour
    )
    content = io.BytesIO()
    Image.frombytes("RGB", (size, size), pixels).save(content, "PNG")
    key = storage.put(content.getvalue(), "png")
    return SnapshotImage(
        candidate=UUID(int=3 * number + warmth), key=key, sha256=Path(key).stem, width=size, height=size, model="Tiny"
    )
