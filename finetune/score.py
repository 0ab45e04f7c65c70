"""Measure images: what the built-in model's judges see in them, or how a reward model likes them.

    python -m finetune.score --judge referee --folder pictures --prompt "a 3d icon of a cat"
    python -m finetune.score --reward-model reward.safetensors --folder pictures --prompt "a 3d icon of a cat"

A judge knows 64 px pictures of its own subjects only. What a prompt does not say, and what a picture of another kind
does not have, is absent from the answer: nothing is guessed.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from uuid import UUID

import numpy as np
import torch
from PIL import Image

from finetune import reward_model
from finetune.errors import FinetuneError, ImageUnreadableError
from finetune.judges.networks import NETWORKS, Card, load, look
from finetune.pictures import open_picture
from finetune.types import ImageScore, Judge, ScoreImage, ScoreRequest, ScoreResult
from generation.builtin import data
from generation.storage import Storage, StorageError

BATCH = 100  # pictures that are looked at in one call
RING = 2  # pixels at each side that show the background
PLAIN = 0.6  # share of the ring's pixels that must have its main colour for the background to count as plain
NEAR = 0.15  # distance of two colours in 0..1, below which they are the same to us
COLOURFUL = 40 / 255  # distance between a colour's channels: grays of the built-in model have up to 20, colours 70
SEEN = 0.01  # share of pixels that must differ from the background for a thing to be there
COMPARED = 64  # pictures of one prompt that are compared with one another, at most


# -- prompts -----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Said:
    """What a prompt says in the built-in model's language, as places in a judge's card; None where it is silent."""

    subject: int | None = None
    style: int | None = None
    colour: int | None = None
    background: int | None = None


def understand(prompt: str, card: Card) -> Said:
    """Read a prompt. What is said twice in different ways, as two subjects, counts as not said: nobody could judge it.

    A colour is the thing's only right before its noun; before `background`, it is the background's.
    """
    words = re.findall(r"[a-z0-9]+", prompt.lower())
    backgrounds = {
        card.backgrounds.index(word)
        for word, after in itertools.pairwise(words)
        if after == "background"
        if word in card.backgrounds
    }
    styles = {place for _, place in _phrases(words, {style: place for place, style in enumerate(card.styles)})}
    nouns = {noun: place for place, (_, *names) in enumerate(card.subjects) for noun in names}
    found = list(_phrases(words, nouns))
    subjects = {place for _, place in found}
    before = {words[at - 1] for at, _ in found if at > 0}
    colours = {card.colours.index(word) for word in before if word in card.colours}
    return Said(_only(subjects), _only(styles), _only(colours), _only(backgrounds))


def _phrases(words: list[str], meanings: dict[str, int]) -> Iterator[tuple[int, int]]:
    """Yield where each phrase stands among the words, and its meaning; of two at one place, the longer."""
    phrases = {tuple(phrase.split()): meaning for phrase, meaning in meanings.items()}
    longest = max(map(len, phrases))
    at = 0
    while at < len(words):
        for length in range(min(longest, len(words) - at), 0, -1):
            meaning = phrases.get(tuple(words[at : at + length]))
            if meaning is not None:
                yield at, meaning
                at += length - 1
                break
        at += 1


def _only(places: set[int]) -> int | None:
    return next(iter(places)) if len(places) == 1 else None


# -- pictures ----------------------------------------------------------------------------------------------------------


def colours_of(picture: data.Bytes) -> dict[str, float]:
    """Measure `warmth` and `coloured_background` of a (H, W, 3) picture; empty where its background is not plain.

    The background is the main colour of the outermost pixels. Warmth is the mean of red minus blue, -1..1, of all that
    differs from it; it is absent where nothing does.
    """
    rgb = picture.astype(np.float32) / 255
    inner = rgb[RING:-RING, RING:-RING]
    outside = np.ones(rgb.shape[:2], bool)
    outside[RING:-RING, RING:-RING] = False
    ring = rgb[outside]
    behind = np.median(ring, 0)
    if not inner.size or (np.linalg.norm(ring - behind, axis=1) < NEAR).mean() < PLAIN:
        return {}
    values = {"coloured_background": float(behind.max() - behind.min() > COLOURFUL)}
    thing = rgb[np.linalg.norm(rgb - behind, axis=2) >= NEAR]
    if len(thing) >= SEEN * outside.size:
        values["warmth"] = float((thing[:, 0] - thing[:, 2]).mean())
    return values


def judged(card: Card, said: Said, chances: dict[str, np.ndarray]) -> dict[str, float]:
    """Say of one picture whether it shows what the prompt says, and how likely each style is.

    chances: (answers,) for each head.
    """
    wanted = dataclasses.asdict(said)
    values = {name: float(chances[name].argmax() == place) for name, place in wanted.items() if place is not None}
    return values | {
        f"is_{style.replace(' ', '_')}": float(chance)
        for style, chance in zip(card.styles, chances["style"], strict=True)
    }


def distance_within(pictures: data.Bytes) -> float:
    """Mean root-mean-square distance between the pictures of one prompt, 0..1. (N, H, W, 3) uint8, N >= 2."""
    flat = torch.from_numpy(pictures.reshape(len(pictures), -1)).float() / 255
    return float(torch.pdist(flat).mean() / flat.shape[1] ** 0.5)


# -- scores ------------------------------------------------------------------------------------------------------------


def score(request: ScoreRequest, storage: Storage, on_progress: Callable[[int], None] | None = None) -> ScoreResult:
    """Measure every image of a request, prompt by prompt, and how unlike one another a prompt's images are.

    on_progress hears how many images are done. Raises ImageUnreadableError for an image that is missing or no picture,
    WrongBaseError for a reward model that is missing or none.
    """
    measure = _by_judge(request.judge) if request.judge else _by_reward_model(request, storage)
    groups: dict[str, list[ScoreImage]] = {}
    for image in request.images:
        groups.setdefault(image.prompt, []).append(image)
    scores: dict[UUID, ImageScore] = {}
    distances: list[float] = []
    done = 0
    for prompt, images in groups.items():
        small: list[data.Bytes] = []
        for start in range(0, len(images), BATCH):
            part = images[start : start + BATCH]
            pictures = [_stored_picture(image, storage) for image in part]
            for image, values in zip(part, measure(prompt, pictures), strict=True):
                scores[image.id] = ImageScore(id=image.id, values=values)
            small.extend(_at_64_pixels(picture) for picture in pictures[: COMPARED - len(small)])
            done += len(part)
            if on_progress:
                on_progress(done)
        if len(small) > 1:
            distances.append(distance_within(np.stack(small)))
    return ScoreResult(
        lease=request.lease,
        scores=tuple(scores[image.id] for image in request.images),
        diversity=float(np.mean(distances)) if distances else None,
    )


def _stored_picture(image: ScoreImage, storage: Storage) -> Image.Image:
    try:
        content = storage.read(image.key)
    except StorageError as error:
        raise ImageUnreadableError(f"Image {image.id}: {error}.") from error
    return open_picture(content, f"Image {image.id} ({image.key})")


Measure = Callable[[str, Sequence[Image.Image]], list[dict[str, float]]]


def _by_judge(judge: Judge) -> Measure:
    network, card = load(judge)

    def measure(prompt: str, pictures: Sequence[Image.Image]) -> list[dict[str, float]]:
        said = understand(prompt, card)
        values = [colours_of(np.asarray(picture)) for picture in pictures]
        known = [at for at, picture in enumerate(pictures) if picture.size == (data.IMAGE_SIZE, data.IMAGE_SIZE)]
        if known:
            chances = look(network, np.stack([np.asarray(pictures[at]) for at in known]))
            for row, at in enumerate(known):
                values[at] |= judged(card, said, {name: chance[row].numpy() for name, chance in chances.items()})
        return values

    return measure


def _by_reward_model(request: ScoreRequest, storage: Storage) -> Measure:
    assert request.reward_model is not None
    with tempfile.TemporaryDirectory(prefix="easel-reward-") as folder:
        model = reward_model.load(reward_model.find(request.reward_model, storage, Path(folder)))

    def measure(prompt: str, pictures: Sequence[Image.Image]) -> list[dict[str, float]]:
        return [{"reward": value} for value in model.score([prompt] * len(pictures), pictures)]

    return measure


def _at_64_pixels(picture: Image.Image) -> data.Bytes:
    """Pictures of all sizes are compared at the built-in model's, so that their distances are comparable too."""
    size = (data.IMAGE_SIZE, data.IMAGE_SIZE)
    return np.asarray(picture if picture.size == size else picture.resize(size, Image.Resampling.BOX))


def main() -> int:
    """Print one JSON line for each picture of a folder, and one with their mean and diversity."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="PNG, JPEG or WebP files, all made for one prompt")
    parser.add_argument("--prompt", required=True)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--judge", choices=sorted(NETWORKS))
    which.add_argument("--reward-model", type=Path, help="a file that finetune.reward wrote")
    options = parser.parse_args()
    paths = sorted(path for path in options.folder.iterdir() if path.suffix.lower() in {".png", ".jpg", ".webp"})
    if not paths:
        parser.error(f"{options.folder} holds no .png, .jpg or .webp file")
    try:
        pictures = [open_picture(path.read_bytes(), str(path)) for path in paths]
        if options.judge:
            values = _by_judge(options.judge)(options.prompt, pictures)
        else:
            rewards = reward_model.load(options.reward_model).score([options.prompt] * len(pictures), pictures)
            values = [{"reward": value} for value in rewards]
    except FinetuneError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for path, found in zip(paths, values, strict=True):
        sys.stdout.write(
            json.dumps({"image": path.name} | {name: round(each, 4) for name, each in found.items()}) + "\n"
        )
    names = sorted({name for found in values for name in found})
    means = {name: round(float(np.mean([found[name] for found in values if name in found])), 4) for name in names}
    if len(pictures) > 1:
        means["diversity"] = round(distance_within(np.stack([_at_64_pixels(picture) for picture in pictures])), 4)
    sys.stdout.write(json.dumps({"images": len(paths)} | means) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
