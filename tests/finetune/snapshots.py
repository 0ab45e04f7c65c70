"""Small true snapshots for tests: preferences among drawn images, in a storage of the test's own."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from functools import cache
from itertools import combinations
from uuid import UUID

from PIL import Image

from finetune.types import Judgement, Preference, SnapshotImage, Split
from generation.storage import Storage


@cache
def picture(number: int, size: int = 16) -> bytes:
    """Return a PNG of a colour of its own."""
    file = io.BytesIO()
    Image.new("RGB", (size, size), (number % 256, number // 256 % 256, 128)).save(file, "PNG")
    return file.getvalue()


def image(storage: Storage, number: int, size: int = 16) -> SnapshotImage:
    """Store a picture and return what a preference says of it."""
    content = picture(number, size)
    return SnapshotImage(
        candidate=UUID(int=number),
        key=storage.put(content, "png"),
        sha256=hashlib.sha256(content).hexdigest(),
        width=size,
        height=size,
        model="Painter",
        seed=number,
    )


def preference(
    storage: Storage,
    number: int,
    groups: Sequence[Sequence[Sequence[int]]] = (((0,), (1,), (2,)),),
    *,
    split: Split = "train",
    prompt: str | None = None,
    size: int = 16,
) -> Preference:
    """Return what one or more annotators said about the images of one item; ranked first is best."""
    judgements = tuple(
        Judgement(annotator=f"someone {who}", groups=tuple(map(tuple, said)), active_ms=1_500)
        for who, said in enumerate(groups)
    )
    count = 1 + max(place for said in groups for group in said for place in group)
    places = [{place: rank for rank, group in enumerate(said) for place in group} for said in groups]
    pairs = []
    for a, b in combinations(range(count), 2):
        said = [(one[a] < one[b]) + 0.5 * (one[a] == one[b]) for one in places if a in one and b in one]
        if said:
            pairs.append((a, b, sum(said) / len(said), float(len(said))))
    return Preference(
        item=UUID(int=number),
        split=split,
        prompt=prompt or f"an icon of {number} apples",
        images=tuple(image(storage, 64 * number + place, size) for place in range(count)),
        judgements=judgements,
        strengths=tuple((count - 1) / 2 - place for place in range(count)),
        pairs=tuple((a, b, p) for a, b, p, _ in pairs),
        pair_weights=tuple(weight for *_, weight in pairs),
    )
