"""Images that are spoilt so that nobody would call it taste. Pure: Pillow pixels in, Pillow pixels out, by a seed.

Each way destroys what the prompt asked for, not its beauty: a quarter of a face remains of a blur that some may find
soft. Where an image changes too little (a plain shape on a plain ground hardly changes when it is blurred), noise is
put over it as well.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from PIL import Image, ImageChops, ImageFilter, ImageStat

LEAST_CHANGE = 24.0
"""Mean difference of a channel, of 255: below, an image does not count as spoilt. Two prints of a photo differ by 5."""


def _blur(image: Image.Image, chance: Random) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(max(3.0, max(image.size) / 12)))


def _noise(image: Image.Image, chance: Random) -> Image.Image:
    width, height = image.size
    noise = Image.frombytes("RGB", image.size, chance.randbytes(width * height * 3))
    return Image.blend(image, noise, 0.75)


def _blocks(image: Image.Image, chance: Random) -> Image.Image:
    """Few squares, each of which is one colour, and some of which changed places."""
    side = 8
    small = image.resize((side, side), Image.Resampling.BOX)
    places = [(x, y) for x in range(side) for y in range(side)]
    moved = chance.sample(places, len(places) // 2)
    pixels = {place: small.getpixel(place) for place in moved}
    for place, other in zip(moved, [*moved[1:], moved[0]], strict=True):
        small.putpixel(place, pixels[other])  # type: ignore[arg-type]  # pixels of an RGB image
    return small.resize(image.size, Image.Resampling.NEAREST)


def _colours(image: Image.Image, chance: Random) -> Image.Image:
    """Two values are left of each channel, channels are exchanged and turned to their opposites."""
    red, green, blue = (channel.point(lambda value: 255 * (value > 127)) for channel in image.split())
    broken = Image.merge("RGB", (ImageChops.invert(green), blue, ImageChops.invert(red)))
    return Image.blend(broken, _noise(image, chance), 0.35)


WAYS: dict[str, Callable[[Image.Image, Random], Image.Image]] = {
    "blur": _blur,
    "noise": _noise,
    "blocks": _blocks,
    "colours": _colours,
}


def spoil(image: Image.Image, way: str, seed: int) -> Image.Image:
    """Return a spoilt copy of an image, of the same size, in RGB. The same seed gives the same pixels."""
    chance = Random(seed)  # noqa: S311 -- pixels, no secret
    plain = image.convert("RGB")
    spoilt = WAYS[way](plain, chance)
    return spoilt if change(plain, spoilt) >= LEAST_CHANGE else _noise(spoilt, chance)


def change(image: Image.Image, other: Image.Image) -> float:
    """Return how far two images of one size differ: the mean over pixels and channels, 0 to 255."""
    means = ImageStat.Stat(ImageChops.difference(image.convert("RGB"), other.convert("RGB"))).mean
    return sum(means) / len(means)
