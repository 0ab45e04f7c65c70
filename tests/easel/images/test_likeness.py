"""What images look like: copies are near, other pictures are not, and groups are found without comparing all pairs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import combinations
from time import perf_counter

import numpy as np
import pytest
from easel.images import hashing
from easel.images.likeness import NEAR, distance, groups_of, hash_of
from easel.images.models import Candidate
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from tests.cast import Cast, make_items

DISTINCT = 40


def picture(seed: int, size: int = 256) -> Image.Image:
    """A picture of its own: blurred blots of colour."""
    chance = np.random.default_rng(seed)
    image = Image.new("RGB", (size, size), tuple(int(c) for c in chance.integers(0, 255, 3)))
    pen = ImageDraw.Draw(image)
    for _ in range(12):
        x, y, r = (int(v) for v in chance.integers(0, size, 3))
        pen.ellipse((x - r // 3, y - r // 3, x + r // 3, y + r // 3), fill=tuple(chance.integers(0, 255, 3).tolist()))
    return image.filter(ImageFilter.GaussianBlur(3))


def stored(image: Image.Image, kind: str = "PNG", **how: int) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def copies(image: Image.Image) -> Iterator[bytes]:
    """What happens to a picture on its way through other hands."""
    yield stored(image, "JPEG", quality=70)
    yield stored(image, "WEBP", quality=80)
    yield stored(image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS))
    yield stored(ImageEnhance.Color(image).enhance(1.05))


def test_copies_of_a_picture_are_near_and_other_pictures_are_not() -> None:
    known = {seed: hash_of(stored(picture(seed))) for seed in range(DISTINCT)}
    far = [distance(one, other) for one, other in combinations(known.values(), 2)]
    near = [distance(known[seed], hash_of(copy)) for seed in known for copy in copies(picture(seed))]
    assert max(near) <= NEAR
    assert min(far) > NEAR


def test_a_red_apple_and_a_green_one_do_not_look_the_same() -> None:
    hashes = []
    for colour in ("#d13b34", "#3a8f53", "#3567b5"):
        image = Image.new("RGB", (64, 64), "#f4f2ee")
        ImageDraw.Draw(image).ellipse((12, 12, 52, 52), fill=colour)
        hashes.append(hash_of(stored(image)))
    assert min(distance(one, other) for one, other in combinations(hashes, 2)) > NEAR


def test_what_is_clear_is_seen_on_white() -> None:
    clear = Image.new("RGBA", (64, 64), (200, 30, 30, 0))
    ImageDraw.Draw(clear).rectangle((20, 20, 44, 44), fill=(10, 20, 200, 255))
    white = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(white).rectangle((20, 20, 44, 44), fill=(10, 20, 200))
    assert distance(hash_of(stored(clear)), hash_of(stored(white))) <= NEAR


def by_all_pairs(hashes: list[int]) -> list[set[int]]:
    """The groups, by comparing every image with every other."""
    groups = [{one} for one in range(len(hashes))]
    for one, other in combinations(range(len(hashes)), 2):
        if distance(hashes[one], hashes[other]) <= NEAR and groups[one] is not groups[other]:
            joined = groups[one] | groups[other]
            for member in joined:
                groups[member] = joined
    return groups


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_groups_are_those_that_comparing_all_pairs_gives(data: st.DataObject) -> None:
    seeds = data.draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=8))
    hashes = []
    for _ in range(data.draw(st.integers(1, 40))):
        flips = data.draw(st.lists(st.integers(0, 63), max_size=6))
        value = data.draw(st.sampled_from(seeds)) & (2**64 - 1)
        for bit in flips:
            value ^= 1 << bit
        hashes.append(value - 2**64 if value >= 2**63 else value)
    expected = [min(group) for group in by_all_pairs(hashes)]
    assert groups_of(hashes) == expected


def test_nothing_is_in_no_group() -> None:
    assert groups_of([]) == []


def test_a_hundred_thousand_images_take_seconds() -> None:
    chance = np.random.default_rng(1)
    hashes = chance.integers(-(2**63), 2**63, 100_000, dtype=np.int64)
    hashes[50_000:50_500] = hashes[:500] ^ np.int64(0b1010)  # 500 pairs
    hashes[60_000:65_000] = hashes[0]  # and five thousand copies of one
    start = perf_counter()
    found = np.array(groups_of(hashes.tolist()))
    seconds = perf_counter() - start
    print(f"{seconds:.2f} s for 100,000 images")
    assert (found[50_000:50_500] == np.arange(500)).all()
    assert (found[60_000:65_000] == 0).all()
    assert len(set(found.tolist())) == 100_000 - 500 - 5_000
    assert seconds < 20


def test_images_are_hashed_once_and_a_lost_file_holds_nobody_up(cast: Cast) -> None:
    make_items(cast, 5)
    lost = Candidate.objects.order_by("id")[2]
    Candidate.objects.filter(pk=lost.pk).update(key="aa/" + "0" * 64 + ".png", preview_key="")
    rounds = []
    while done := hashing.hash_some():
        rounds.append(done)
    assert rounds == [16, 4]
    assert set(Candidate.objects.exclude(pk=lost.pk).values_list("likeness", flat=True)) == {1}
    lost.refresh_from_db()
    assert (lost.likeness, lost.phash) == (Candidate.Likeness.UNREADABLE, None)


@pytest.mark.parametrize("bits", [0, 1, 63, -1, 2**63 - 1, -(2**63)])
def test_a_hash_is_as_far_from_itself_as_nothing(bits: int) -> None:
    assert distance(bits, bits) == 0
    assert groups_of([bits, bits]) == [0, 0]
