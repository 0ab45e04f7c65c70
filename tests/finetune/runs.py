"""Requests for runs on the tiny model: a snapshot in storage, small enough that a step takes milliseconds."""

from __future__ import annotations

import random
from io import BytesIO
from pathlib import Path
from uuid import UUID, uuid5

from PIL import Image

from finetune import snapshot
from finetune.types import (
    Judgement,
    Method,
    Preference,
    SamplePrompt,
    SnapshotImage,
    SnapshotReference,
    StoredFile,
    TrainRequest,
    TrainSettings,
)
from generation.storage import Storage
from generation.types import Lease, ModelReference

IMAGES = 3
ROWS = 6
QUICK = TrainSettings(steps=12, batch=2, checkpoint_every=4, lora_rank=2, learning_rate=1e-3, warmup_steps=0, decay=0)


def id_of(name: str) -> UUID:
    """Return the same id for the same name."""
    return uuid5(UUID(int=1), name)


def picture(storage: Storage, name: str) -> SnapshotImage:
    """Put a small picture of its own into storage."""
    draw = random.Random(name)
    content = BytesIO()
    Image.frombytes("RGB", (16, 16), draw.randbytes(16 * 16 * 3)).save(content, "PNG")
    key = storage.put(content.getvalue(), "png")
    return SnapshotImage(candidate=id_of(name), key=key, sha256=Path(key).stem, width=16, height=16, model="Tiny")


def row(storage: Storage, name: str, images: int = IMAGES, *, tied: bool = False) -> Preference:
    """A ranking of images by one annotator: the first is the best."""
    split = "validation" if name.endswith("0") else "train"
    pairs = tuple((a, b, 0.5 if tied else 1.0) for a in range(images) for b in range(a + 1, images))
    groups = (tuple(range(images)),) if tied else tuple((place,) for place in range(images))
    return Preference(
        item=id_of(name),
        split=split,
        prompt=f"icon {name}",
        images=tuple(picture(storage, f"{name} {place}") for place in range(images)),
        judgements=(Judgement(annotator="one", groups=groups),),
        strengths=tuple(0.0 if tied else (images - 1) / 2 - place for place in range(images)),
        pairs=pairs,
        pair_weights=(1.0,) * len(pairs),
    )


def freeze(storage: Storage, folder: Path, *, images: int = IMAGES, tied: bool = False) -> SnapshotReference:
    """Write a snapshot and put its files into storage, as the platform does."""
    rows = [row(storage, f"of {number}", images, tied=tied) for number in range(ROWS)]
    made = snapshot.write(folder, rows, storage, snapshot.Facts(name="Six rows"), copy_images=False)
    files = tuple(
        StoredFile(name=path.name, key=storage.put_file(path), bytes=path.stat().st_size)
        for path in sorted(folder.iterdir())
        if path.is_file()
    )
    return SnapshotReference(id=id_of("snapshot"), name="Six rows", sha256=made.sha256, files=files)


def request(
    storage: Storage,
    frozen: SnapshotReference,
    name: str = "run",
    method: Method = "dpo",
    settings: TrainSettings = QUICK,
    base: ModelReference | None = None,
) -> TrainRequest:
    """Ask for a run, with one sample prompt."""
    return TrainRequest(
        lease=Lease(job=id_of(f"job of {name}"), token=id_of("token"), attempt=1),
        run=id_of(name),
        method=method,
        base=base or ModelReference(id=id_of("tiny"), name="Tiny", location="folder:tiny"),
        snapshot=frozen,
        settings=settings,
        samples=(SamplePrompt(text="icon", seed=1),),
        storage_url=storage.url,
    )
