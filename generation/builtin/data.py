"""Pictures and captions for the built-in model: emoji sprites, recoloured, placed on a background, and described.

    python -m generation.builtin.data --sheet sheet.png     # fetch, rasterise, and look at what training sees

A sample is a subject in one of five styles, in its natural colour or one of ten, on one of ten backgrounds. Its caption
names the subject always and the rest only sometimes; what it leaves out was sampled uniformly, so a silent prompt stays
diverse.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import subprocess
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
DEFAULT_CACHE = REPOSITORY / ".easel/cache/builtin"

IMAGE_SIZE = 64  # pixels
SPRITE_SIZE = 128  # pixels
PIXEL_GRID = 16  # a pixel-art picture is 16 x 16 squares, so one square is one latent of the f4 VAE

FLUENT_3D = "@lobehub/fluent-emoji-3d@1.1.0"
FLUENT_FLAT = "@iconify-json/fluent-emoji-flat@1.2.6"
FLUENT_HIGH_CONTRAST = "@iconify-json/fluent-emoji-high-contrast@1.2.6"
NOTO = "@iconify-json/noto@1.2.9"
EMOJI_NAMES = "unicode-emoji-json@0.9.0"

STYLES = ("3d", "flat", "silhouette", "cartoon", "pixel art")
SOURCE_OF_STYLE = {
    "3d": FLUENT_3D,
    "flat": FLUENT_FLAT,
    "silhouette": FLUENT_HIGH_CONTRAST,
    "cartoon": NOTO,
    "pixel art": FLUENT_FLAT,
}
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (225, 40, 45),
    "orange": (250, 135, 25),
    "yellow": (250, 210, 45),
    "green": (60, 170, 70),
    "teal": (30, 180, 180),
    "blue": (45, 105, 230),
    "purple": (140, 70, 205),
    "pink": (250, 115, 180),
    "brown": (130, 80, 45),
    "gray": (140, 144, 150),
}
BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "white": (255, 255, 255),
    "black": (16, 16, 20),
    "gray": (185, 188, 194),
    "red": (222, 68, 68),
    "orange": (250, 168, 85),
    "yellow": (252, 228, 120),
    "green": (130, 200, 130),
    "blue": (110, 165, 240),
    "purple": (160, 120, 215),
    "pink": (250, 180, 210),
}
NATURAL = ""  # the colour the artist chose; it has no word either

TEMPLATES = (
    "{a_style} icon of {a_thing}{on}",
    "{a_style} icon of {a_thing}{on}",
    "{style} {thing}{on}",
    "{a_thing}{in_style}{on}",
    "{thing} icon{in_style}{on}",
)


@dataclasses.dataclass(frozen=True)
class Subject:
    """One thing the model can draw: its Unicode name and the nouns that captions call it by, the main one first."""

    name: str
    nouns: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Attributes:
    """Everything that is decided about one picture before it is drawn."""

    subject: Subject
    style: str
    colour: str
    background: str


@dataclasses.dataclass(frozen=True)
class Saying:
    """How often a caption says each word that it could say."""

    style: float = 0.45
    colour: float = 0.7
    background: float = 0.6


def read_subjects(path: Path = HERE / "subjects.txt", limit: int | None = None) -> list[Subject]:
    """The subjects of a list file, in its order: `unicode name = main noun | synonym`."""
    subjects = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, nouns = line.partition("=")
            subjects.append(Subject(name.strip(), tuple(noun.strip() for noun in nouns.split("|"))))
    return subjects[:limit]


# -- captions ----------------------------------------------------------------------------------------------------------


def caption(attributes: Attributes, rng: np.random.Generator, saying: Saying | None = None) -> str:
    """One of several sentences for these attributes, each word but the noun said only with its probability."""
    saying = saying or Saying()
    said = rng.random(3)
    style = attributes.style if said[0] < saying.style else ""
    colour = attributes.colour if said[1] < saying.colour else ""
    background = attributes.background if said[2] < saying.background else ""
    noun = attributes.subject.nouns[0] if rng.random() < 0.6 else str(rng.choice(attributes.subject.nouns))
    thing = _join(colour, noun)
    text = str(rng.choice(TEMPLATES)).format(
        a_style=with_article(style) if style else "an",
        style=style,
        thing=thing,
        a_thing=with_article(thing),
        in_style=f" in {style} style" if style else "",
        on=f" on {with_article(background)} background" if background else "",
    )
    return _join(*text.split())


def describe(noun: str, style: str = "", colour: str = "", background: str = "") -> str:
    """The plainest caption, used to prompt and to evaluate: `a 3d icon of a red apple on a white background`."""
    head = f"{with_article(style)} icon" if style else "an icon"
    tail = f" on {with_article(background)} background" if background else ""
    return f"{head} of {with_article(_join(colour, noun))}{tail}"


def with_article(words: str) -> str:
    """`an orange cat`, `a 3d icon`; plurals such as `cherries` get an article too, which the model does not mind."""
    return f"{'an' if words[0] in 'aeio' or words.startswith('um') else 'a'} {words}"


def vocabulary(subjects: list[Subject]) -> list[str]:
    """Every word a caption can hold, sorted: the model's whole language."""
    words = {"a", "an", "icon", "of", "on", "background", "in", "style"}
    for phrase in (*STYLES, *COLOURS, *BACKGROUNDS, *(noun for subject in subjects for noun in subject.nouns)):
        words.update(phrase.split())
    return sorted(words)


def _join(*words: str) -> str:
    return " ".join(word for word in words if word)


# -- held-out pairs ----------------------------------------------------------------------------------------------------


def is_held_out(subject: Subject, colour: str, natural: str) -> bool:
    """Whether this (subject, colour) pair is kept from training, to measure composition: one in ten, by a fixed hash.

    A subject's natural colour is never held out: training shows it anyway, unnamed.
    """
    if colour in (NATURAL, natural):
        return False
    return zlib.crc32(f"{subject.name}/{colour}".encode()) % 10 == 0


def held_out_pairs(sprites: Sprites) -> list[tuple[Subject, str]]:
    """Every held-out (subject, colour) pair."""
    return [
        (subject, colour)
        for subject in sprites.subjects
        for colour in COLOURS
        if is_held_out(subject, colour, sprites.natural_colour(subject))
    ]


# -- colour ------------------------------------------------------------------------------------------------------------


def dominant_mask(rgba: Floats) -> Floats:
    """(H, W, 4) colours in 0..1 -> (H, W) weights in 0..1 of the pixels that carry the picture's main colour.

    The main colour is the most frequent hue; where little is coloured (a panda, a ghost), it is the light grey pixels.
    """
    rgb, alpha = rgba[..., :3], rgba[..., 3]
    hue, saturation, value = _hsv(rgb)
    chroma = alpha * saturation * value
    if (chroma > 0.2).sum() < 0.22 * max((alpha > 0.5).sum(), 1):
        return ((1 - _smooth(saturation, 0.25, 0.4)) * _smooth(value, 0.3, 0.5)).astype(np.float32)
    histogram = np.bincount((hue * 72).astype(int).ravel() % 72, weights=chroma.ravel(), minlength=72)
    smoothed = sum(np.roll(histogram, shift) for shift in range(-3, 4))
    peak = (int(np.argmax(smoothed)) + 0.5) / 72
    distance = np.abs((hue - peak + 0.5) % 1 - 0.5)
    return ((1 - _smooth(distance, 0.09, 0.13)) * _smooth(saturation, 0.12, 0.28)).astype(np.float32)


def recolour(rgba: Floats, colour: tuple[int, int, int]) -> Floats:
    """(H, W, 4) in 0..1 -> the same picture with only its dominant hue cluster moved to `colour`.

    Shading is kept: a pixel darker than the cluster's mean darkens the new colour, a lighter one fades it to white.
    A blue apple so keeps its green leaf and its highlight.
    """
    mask = dominant_mask(rgba)
    light = rgba[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)
    weight = mask * rgba[..., 3]
    mean = max(float((light * weight).sum() / max(weight.sum(), 1e-6)), 0.05)
    ratio = np.clip(light / mean, 0.25, 1.8)[..., None] ** 0.8
    target = np.array(colour, np.float32) / 255
    shaded = np.where(ratio <= 1, target * ratio, target + (1 - target) * np.clip(ratio - 1, 0, 1) * 0.6)
    out = rgba.copy()
    out[..., :3] += mask[..., None] * (shaded - rgba[..., :3])
    return out


def nearest_colour(rgb: Floats) -> str:
    """The name of the palette colour nearest to (3,) in 0..1."""
    names = list(COLOURS)
    palette = np.array([COLOURS[name] for name in names], np.float32) / 255
    return names[int(np.argmin(((palette - rgb) ** 2).sum(1)))]


def _hsv(rgb: Floats) -> tuple[Floats, Floats, Floats]:
    high, low = rgb.max(-1), rgb.min(-1)
    spread = np.maximum(high - low, 1e-6)
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    hue = np.where(high == r, (g - b) / spread, np.where(high == g, 2 + (b - r) / spread, 4 + (r - g) / spread))
    return (hue / 6 % 1).astype(np.float32), ((high - low) / np.maximum(high, 1e-6)).astype(np.float32), high


def _smooth(x: Floats, low: float, high: float) -> Floats:
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


# -- sprites -----------------------------------------------------------------------------------------------------------


class Sprites:
    """The drawings of every subject in every source, (128, 128, 4) float32 in 0..1, and their recoloured versions."""

    def __init__(self, subjects: list[Subject], cache: Path = DEFAULT_CACHE) -> None:
        self.subjects = subjects
        self._raw = {
            (subject.name, source): sprite
            for source in dict.fromkeys(SOURCE_OF_STYLE.values())
            for subject, sprite in zip(subjects, load_source(source, subjects, cache), strict=True)
        }
        self._coloured: dict[tuple[str, str, str], Image.Image] = {}
        self._natural: dict[tuple[str, str], Floats] = {}

    def natural_rgb(self, subject: Subject, source: str) -> Floats:
        """(3,) in 0..1: the mean of the drawing's main colour, which a background must not hide."""
        key = (subject.name, source)
        if key not in self._natural:
            rgba = self._raw[key]
            weight = (dominant_mask(rgba) * rgba[..., 3])[..., None]
            self._natural[key] = np.asarray((rgba[..., :3] * weight).sum((0, 1)) / max(weight.sum(), 1e-6), np.float32)
        return self._natural[key]

    def natural_colour(self, subject: Subject) -> str:
        """The palette name of the subject's natural colour, taken from the flat drawing."""
        return nearest_colour(self.natural_rgb(subject, FLUENT_FLAT))

    def picture(self, attributes: Attributes) -> Image.Image:
        """The 128 px drawing with straight alpha; PIL premultiplies while it resizes, so empty pixels do not bleed."""
        source = SOURCE_OF_STYLE[attributes.style]
        tint = attributes.colour
        if attributes.style == "silhouette" and tint == NATURAL:
            tint = "white" if attributes.background == "black" else "black"
        key = (attributes.subject.name, source, tint)
        if key not in self._coloured:
            rgba = self._raw[key[:2]]
            if source == FLUENT_HIGH_CONTRAST:
                solid = {"white": BACKGROUNDS["white"], "black": BACKGROUNDS["black"]} | COLOURS
                rgba = rgba.copy()
                rgba[..., :3] = np.array(solid[tint], np.float32) / 255
            elif tint:
                rgba = recolour(rgba, COLOURS[tint])
            self._coloured[key] = Image.fromarray(np.round(rgba * 255).clip(0, 255).astype(np.uint8))
        return self._coloured[key]

    def sample(self, rng: np.random.Generator, natural: float = 0.35) -> Attributes:
        """Attributes drawn uniformly, except that held-out pairs and invisible things (red on red) are drawn again."""
        while True:
            subject = self.subjects[rng.integers(len(self.subjects))]
            style = STYLES[rng.integers(len(STYLES))]
            colour = NATURAL if rng.random() < natural else list(COLOURS)[rng.integers(len(COLOURS))]
            background = list(BACKGROUNDS)[rng.integers(len(BACKGROUNDS))]
            if is_held_out(subject, colour, self.natural_colour(subject)):
                continue
            if self.is_visible(subject, style, colour, background):
                return Attributes(subject, style, colour, background)

    def is_visible(self, subject: Subject, style: str, colour: str, background: str) -> bool:
        """Whether the subject's main colour stands out from the background."""
        if colour == background:
            return False
        if colour:
            main: Floats = np.array(COLOURS[colour], np.float32) / np.float32(255)
        elif style == "silhouette":
            return True
        else:
            main = self.natural_rgb(subject, SOURCE_OF_STYLE[style])
        behind: Floats = np.array(BACKGROUNDS[background], np.float32) / np.float32(255)
        return bool(np.sqrt(((main - behind) ** 2).sum()) > 0.33)


def render(sprites: Sprites, attributes: Attributes, rng: np.random.Generator, flips: float = 0.0) -> Bytes:
    """(64, 64, 3) uint8: the drawing of these attributes, at a size and place that vary a little.

    Only a little: with sizes from half to full and free places, an hour on two cores gave blobs.
    """
    picture = sprites.picture(attributes)
    size = IMAGE_SIZE * rng.uniform(0.84, 0.9)
    x, y = (IMAGE_SIZE - size) / 2 + rng.uniform(-1, 1, 2)
    jitter = rng.normal(0, 3, 3)
    back = np.clip(np.array(BACKGROUNDS[attributes.background]) + jitter, 0, 255)
    if rng.random() < flips:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if attributes.style == "pixel art":
        # Everything is snapped to the grid and alpha is cut, or the squares would blur into their neighbours.
        cells = max(round(size * PIXEL_GRID / IMAGE_SIZE), 2)
        column, row = round(x * PIXEL_GRID / IMAGE_SIZE), round(y * PIXEL_GRID / IMAGE_SIZE)
        small = np.asarray(picture.resize((cells, cells), Image.Resampling.BOX), np.float32)
        colours = np.where(small[..., 3:] > 110, small[..., :3], back)
        grid = np.broadcast_to(back, (PIXEL_GRID * 3, PIXEL_GRID * 3, 3)).copy()
        top, left = PIXEL_GRID + row, PIXEL_GRID + column
        grid[top : top + cells, left : left + cells] = colours
        grid = grid[PIXEL_GRID : 2 * PIXEL_GRID, PIXEL_GRID : 2 * PIXEL_GRID]
        scale = IMAGE_SIZE // PIXEL_GRID
        return np.round(grid).astype(np.uint8).repeat(scale, 0).repeat(scale, 1)
    factor = SPRITE_SIZE / size
    # Drawn at twice the size and halved: a bilinear transform alone would alias.
    doubled = picture.transform(
        (IMAGE_SIZE * 2, IMAGE_SIZE * 2),
        Image.Transform.AFFINE,
        (factor / 2, 0, -x * factor, 0, factor / 2, -y * factor),
        Image.Resampling.BILINEAR,
    )
    moved = doubled.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BOX)
    front = np.asarray(moved, np.float32)
    alpha = front[..., 3:] / 255
    return np.round(front[..., :3] * alpha + back * (1 - alpha)).astype(np.uint8)


# -- packages ----------------------------------------------------------------------------------------------------------


def load_source(package: str, subjects: list[Subject], cache: Path) -> list[Floats]:
    """Each subject's drawing from one package, (128, 128, 4) float32 in 0..1, fetched and rasterised once."""
    codes = {entry["name"]: emoji for emoji, entry in _json(fetch(EMOJI_NAMES, cache), "data-by-emoji.json").items()}
    archive = fetch(package, cache)
    if package == FLUENT_3D:
        with tarfile.open(archive) as tar:
            return [_square(_webp(tar, codes[subject.name])) for subject in subjects]
    icons, names = _json(archive, "icons.json"), _json(archive, "chars.json")
    return [_square(_svg(icons, names, codes[subject.name])) for subject in subjects]


def fetch(package: str, cache: Path) -> Path:
    """The path of the package's archive in the cache folder, fetched with `npm pack` if it is not there yet."""
    cache.mkdir(parents=True, exist_ok=True)
    name, _, version = package.removeprefix("@").rpartition("@")
    archive = cache / f"{name.replace('/', '-')}-{version}.tgz"
    if not archive.exists():
        subprocess.run(["npm", "pack", "--silent", package], cwd=cache, check=True, stdout=subprocess.DEVNULL)
    return archive


def _json(archive: Path, name: str) -> dict[str, Any]:
    with tarfile.open(archive) as tar:
        member = tar.extractfile(f"package/{name}")
        assert member is not None
        content: dict[str, Any] = json.load(member)
    return content


def _code(emoji: str, variation_selector: bool) -> str:
    return "-".join(f"{ord(char):04x}" for char in emoji if variation_selector or ord(char) != 0xFE0F)


def _webp(tar: tarfile.TarFile, emoji: str) -> Image.Image:
    names = [f"package/assets/{_code(emoji, selector)}.webp" for selector in (True, False)]
    found = next(name for name in names if name in tar.getnames())
    member = tar.extractfile(found)
    assert member is not None
    return Image.open(io.BytesIO(member.read())).convert("RGBA")


def _svg(icons: dict[str, Any], names: dict[str, str], emoji: str) -> Image.Image:
    import resvg_py  # only training rasterises; whoever scores pictures needs the words of this module alone

    name = next(names[code] for code in (_code(emoji, True), _code(emoji, False)) if code in names)
    name = icons.get("aliases", {}).get(name, {}).get("parent", name)
    icon = icons["icons"][name]
    width, height = icon.get("width", icons["width"]), icon.get("height", icons["height"])
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">{icon["body"]}</svg>'
    return Image.open(io.BytesIO(resvg_py.svg_to_bytes(svg_string=svg, width=2 * SPRITE_SIZE))).convert("RGBA")


def _square(image: Image.Image) -> Floats:
    """Cropped to what is drawn, centred in a square with a thin margin: sources differ in padding, styles must not."""
    image = image.convert("RGBa").crop(image.getchannel("A").point(lambda alpha: 255 * (alpha > 8)).getbbox())
    side = max(image.size) * 1.04
    scale = SPRITE_SIZE / side
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    canvas = Image.new("RGBa", (SPRITE_SIZE, SPRITE_SIZE))
    canvas.paste(
        image.resize(size, Image.Resampling.LANCZOS), ((SPRITE_SIZE - size[0]) // 2, (SPRITE_SIZE - size[1]) // 2)
    )
    return np.asarray(np.asarray(canvas.convert("RGBA"), np.float32) / 255, np.float32)


# -- a bank of samples -------------------------------------------------------------------------------------------------


def sample_many(sprites: Sprites, count: int, seed: int) -> list[Attributes]:
    """What `make_bank` with the same arguments draws, without drawing it."""
    rng = np.random.default_rng(seed)
    return [sprites.sample(rng) for _ in range(count)]


def make_bank(sprites: Sprites, count: int, seed: int, flips: float = 0.0) -> tuple[Bytes, list[Attributes]]:
    """`count` pictures, (count, 64, 64, 3) uint8, and what each shows; captions are drawn later, anew each time."""
    attributes = sample_many(sprites, count, seed)
    rng = np.random.default_rng((seed, 1))
    images = np.empty((count, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    for index, wanted in enumerate(attributes):
        images[index] = render(sprites, wanted, rng, flips)
    return images, attributes


def contact_sheet(images: Bytes, columns: int, gap: int = 2) -> Image.Image:
    """(N, H, W, 3) uint8 pictures as rows of one sheet."""
    count, height, width, _ = images.shape
    rows = -(-count // columns)
    sheet = Image.new("RGB", (columns * (width + gap) - gap, rows * (height + gap) - gap), "white")
    for index, image in enumerate(images):
        sheet.paste(Image.fromarray(image), (index % columns * (width + gap), index // columns * (height + gap)))
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--subjects", type=Path, default=HERE / "subjects.txt")
    parser.add_argument("--sheet", type=Path, required=True)
    arguments = parser.parse_args()
    sprites = Sprites(read_subjects(arguments.subjects), arguments.cache)
    rng = np.random.default_rng(0)
    images, attributes = make_bank(sprites, 20 * 14, seed=1)
    contact_sheet(images, 20).save(arguments.sheet)
    for sample in attributes[:20]:
        print(caption(sample, rng))
    print("held out:", ", ".join(f"{colour} {subject.nouns[0]}" for subject, colour in held_out_pairs(sprites)))


if __name__ == "__main__":
    main()
