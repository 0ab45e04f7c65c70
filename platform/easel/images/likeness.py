"""What an image looks like, in 64 bits, and which images look the same. Pure: no Django.

The hash is a perceptual one (the lowest frequencies of a discrete cosine transform, as in Zauner 2010), with a half for
the colours: icons often differ by nothing else, and a hash of the brightness alone calls a red apple and a green one
the same. Of the real pictures that were measured (tests/easel/images/test_likeness.py), copies that were made smaller
or stored as JPEG or WebP differ in 2 bits mostly and in 5 at worst; pictures that one model made of the same prompt and
seed before and after its fine-tune, which are well worth ranking, differ in 6 or more; others in 27.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from easel.common.pictures import open_picture

NEAR = 4
"""Bits that differ, at most, between images that look the same."""
SIDE = 32  # pixels of the copy that is looked at
BANDS = ((0, 13), (13, 13), (26, 13), (39, 13), (52, 12))
"""(shift, width) of five parts of a hash: two that differ in 4 bits at most have one part in common."""
STEPS = (-28, -16, -8, -3, 3, 8, 16, 28)  # of the mean of a colour difference, 0 is grey

Hashes = NDArray[np.uint64]


@lru_cache(maxsize=1)
def _cosines() -> NDArray[np.float64]:
    k = np.arange(SIDE)
    return np.cos(np.pi * (2 * k[None, :] + 1) * k[:, None] / (2 * SIDE))


def hash_of(content: bytes) -> int:
    """Return what an image file looks like, as a signed 64-bit number. Raises BadPicture for what is no picture."""
    image = open_picture("the image", content)
    if image.mode != "RGB":
        clear = image.convert("RGBA")
        image = Image.new("RGB", clear.size, "white")
        image.paste(clear, mask=clear.getchannel("A"))
    small = image.convert("YCbCr").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    pixels = np.asarray(small, dtype=np.float64)
    cosines = _cosines()
    light, blue, red = (cosines @ pixels[:, :, channel] @ cosines.T for channel in range(3))
    shape = light[:6, :6].ravel()[1:]
    bits = [*(shape > np.median(shape) + 1e-6), False]
    for colour in (blue, red):
        mean = colour[0, 0] / SIDE**2 - 128
        bits += [mean > step for step in STEPS]
        bits += list(colour[:3, :3].ravel()[1:7] > 1e-6)
    return int.from_bytes(np.packbits(np.array(bits, dtype=bool)).tobytes(), "big", signed=True)


def distance(one: int, other: int) -> int:
    """How many bits of two hashes differ."""
    return ((one ^ other) & (2**64 - 1)).bit_count()


def groups_of(hashes: Sequence[int]) -> list[int]:
    """Return for each image the number of the first image of its group; an image that is like no other is alone.

    Images are in a group where they look the same, or where others lie between them in steps that do. Not all pairs are
    compared: only those with a part of the hash in common, which is none of those that are near left out.
    """
    if not hashes:
        return []
    known, first, place = np.unique(
        np.array(hashes, dtype=np.int64).view(np.uint64), return_index=True, return_inverse=True
    )
    parents = list(range(len(known)))
    for shift, width in BANDS:
        for a, b in _near_pairs(known, shift, width):
            _join(parents, a, b)
    roots = np.array([_root(parents, one) for one in range(len(known))], dtype=np.int64)
    # The first image of a group is the earliest of all that have any of its hashes.
    earliest = np.full(len(known), len(hashes), dtype=np.int64)
    np.minimum.at(earliest, roots, first)
    found: list[int] = earliest[roots][place.ravel()].tolist()
    return found


def _near_pairs(known: Hashes, shift: int, width: int) -> list[tuple[int, int]]:
    """Pairs of different hashes that have this part in common and are near."""
    part = (known >> np.uint64(shift)) & np.uint64(2**width - 1)
    order = np.argsort(part, kind="stable")
    part, ordered = part[order], known[order]
    left = np.arange(len(known))
    found: list[tuple[int, int]] = []
    for step in range(1, len(known)):
        left = left[left + step < len(known)]
        left = left[part[left] == part[left + step]]
        if not len(left):
            break
        near = left[np.bitwise_count(ordered[left] ^ ordered[left + step]) <= NEAR]
        found += zip(order[near].tolist(), order[near + step].tolist(), strict=True)
    return found


def _root(parents: list[int], one: int) -> int:
    while parents[one] != one:
        parents[one] = parents[parents[one]]
        one = parents[one]
    return one


def _join(parents: list[int], a: int, b: int) -> None:
    a, b = _root(parents, a), _root(parents, b)
    if a != b:
        parents[max(a, b)] = min(a, b)
