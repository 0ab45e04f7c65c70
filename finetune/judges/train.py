"""Train the two judges on real pictures, each on its own share of them; writes weights and cards beside this file.

    OMP_NUM_THREADS=1 nice python -m finetune.judges.train taste
    OMP_NUM_THREADS=1 nice python -m finetune.judges.train referee
    python -m finetune.judges.train agreement --folder generation/builtin/easel-icons

A combination of subject, style, colour and background belongs to `taste`, to `referee`, or (one in ten) to neither:
both are measured on the last. The drawings that the combinations are made from are the same, for there are no others.
Needs `resvg-py` and, the first time, npm packages: see `generation.builtin.data`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from finetune.judges.networks import HEADS, HERE, NETWORKS, Card, load, look, to_tensor
from finetune.types import Judge
from generation.builtin import data

UNKNOWN = -100  # what cross_entropy ignores: a natural colour has no name to be right about
Share = Literal["taste", "referee", "testing"]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How one judge is made."""

    seed: int
    pictures: int = 20_000
    epochs: int = 7
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.01


RECIPES: dict[Judge, Recipe] = {
    "taste": Recipe(seed=11, learning_rate=4e-3),
    "referee": Recipe(seed=23, epochs=12, learning_rate=2e-3, weight_decay=0.05),
}


def share_of(one: data.Attributes) -> Share:
    """Whose picture this is: 45 % of the combinations are one judge's, 45 % the other's, 10 % nobody's."""
    place = zlib.crc32(f"{one.subject.name}|{one.style}|{one.colour}|{one.background}".encode()) % 20
    return "taste" if place < 9 else "referee" if place < 18 else "testing"


def draw(sprites: data.Sprites, count: int, seed: int, share: Share) -> tuple[data.Bytes, list[data.Attributes]]:
    """`count` real pictures of one share and what they show; colours kept from the model are among them."""
    rng = np.random.default_rng(seed)
    attributes: list[data.Attributes] = []
    while len(attributes) < count:
        one = sprites.sample(rng)
        if one.colour:
            one = dataclasses.replace(one, colour=list(data.COLOURS)[rng.integers(len(data.COLOURS))])
            if not sprites.is_visible(one.subject, one.style, one.colour, one.background):
                continue
        if share_of(one) == share:
            attributes.append(one)
    return np.stack([data.render(sprites, one, rng, flips=0.25) for one in attributes]), attributes


def answers(attributes: list[data.Attributes], subjects: list[data.Subject]) -> dict[str, Tensor]:
    """What a judge should say of each picture: (N,) indices for each head."""
    place = {subject: index for index, subject in enumerate(subjects)}
    colours, backgrounds = list(data.COLOURS), list(data.BACKGROUNDS)
    return {
        "subject": torch.tensor([place[one.subject] for one in attributes]),
        "style": torch.tensor([data.STYLES.index(one.style) for one in attributes]),
        "colour": torch.tensor([colours.index(one.colour) if one.colour else UNKNOWN for one in attributes]),
        "background": torch.tensor([backgrounds.index(one.background) for one in attributes]),
    }


def soften(judge: Judge, images: Tensor) -> Tensor:
    """Blur and noise, (B, 3, 64, 64): without them a judge would judge the softness of a generated picture.

    The two judges meet other kinds of softness: `taste` a box blur, `referee` a smaller picture made large again.
    """
    images, half = images.clone(), len(images) // 2
    if judge == "taste":
        images[:half] = F.avg_pool2d(F.pad(images[:half], (0, 1, 0, 1), mode="replicate"), 2, stride=1)
        return images + 0.06 * torch.randn_like(images)
    small = F.interpolate(images[:half], size=int(torch.randint(32, 56, ())), mode="area")
    images[:half] = F.interpolate(small, size=data.IMAGE_SIZE, mode="bilinear", align_corners=False)
    tint = 0.05 * torch.randn(len(images), 3, 1, 1)
    return (images + tint + 0.04 * torch.randn_like(images)).clamp(-1.2, 1.2)


def train(judge: Judge, recipe: Recipe, images: data.Bytes, wanted: dict[str, Tensor], subjects: int) -> nn.Module:
    """The judge, trained on these pictures."""
    torch.manual_seed(recipe.seed)
    network = NETWORKS[judge](subjects)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    per_epoch = len(images) // recipe.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, recipe.epochs * per_epoch)
    for epoch in range(recipe.epochs):
        began, total = time.monotonic(), 0.0
        for picked in torch.randperm(len(images))[: per_epoch * recipe.batch].view(per_epoch, -1):
            with torch.autocast("cpu", torch.bfloat16):
                scores = network(soften(judge, to_tensor(images[picked.numpy()])))
            loss = torch.stack([F.cross_entropy(scores[name].float(), wanted[name][picked]) for name in HEADS]).sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
        seconds = time.monotonic() - began
        sys.stdout.write(f"{judge}: epoch {epoch + 1}, loss {total / per_epoch:.3f}, {seconds:.0f} s\n")
        sys.stdout.flush()
    return network.eval()


def right(network: nn.Module, images: data.Bytes, wanted: dict[str, Tensor]) -> dict[str, str]:
    """How many answers are right, right/asked for each head."""
    got = {name: chances.argmax(1) for name, chances in look(network, images).items()}
    asked = {name: wanted[name] != UNKNOWN for name in HEADS}
    return {name: f"{int((got[name] == wanted[name])[asked[name]].sum())}/{int(asked[name].sum())}" for name in HEADS}


def save(network: nn.Module, card: Card, folder: Path = HERE) -> None:
    """Write half-precision weights and the card."""
    weights = {
        name: value.half().contiguous() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    save_file(weights, folder / f"{card.judge}.safetensors")
    (folder / f"{card.judge}.safetensors").chmod(0o644)
    write_card(card, folder)


def write_card(card: Card, folder: Path = HERE) -> None:
    text = json.dumps(card.model_dump(), indent=1, ensure_ascii=False)
    (folder / f"{card.judge}.json").write_text(text + "\n", encoding="utf-8")


def make(judge: Judge, sprites: data.Sprites) -> None:
    """Train one judge, measure it, and write it."""
    recipe = RECIPES[judge]
    images, attributes = draw(sprites, recipe.pictures, recipe.seed, judge)
    network = train(judge, recipe, images, answers(attributes, sprites.subjects), len(sprites.subjects))
    real, shown = draw(sprites, 2_000, seed=202, share="testing")
    subjects = tuple((subject.name, *subject.nouns) for subject in sprites.subjects)
    save(
        network,
        Card(
            judge=judge,
            subjects=subjects,
            recipe=dataclasses.asdict(recipe),
            parameters=sum(parameter.numel() for parameter in network.parameters()),
            accuracy={},
        ),
    )
    saved, card = load(judge)  # what is measured is what ships, in half precision
    measured = right(saved, real, answers(shown, sprites.subjects))
    write_card(card.model_copy(update={"accuracy": measured}))
    sys.stdout.write(f"{judge}: {card.parameters:,} parameters; right on pictures of neither's share: {measured}\n")


def measure_agreement(folder: Path, count: int = 400) -> None:
    """How often the two judges say the same of generated pictures, written into both cards."""
    from diffusers import StableDiffusionPipeline

    pipeline: Any = StableDiffusionPipeline.from_pretrained(  # type: ignore[no-untyped-call]
        folder, torch_dtype=torch.float32, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    judges = {judge: load(judge) for judge in NETWORKS}
    nouns = [names[1] for names in judges["taste"][1].subjects]
    prompts = [data.describe(nouns[index % len(nouns)]) for index in range(count)]
    images = []
    for start in range(0, count, 20):
        generators = [torch.Generator().manual_seed(start + index) for index in range(20)]
        result = pipeline(
            prompts[start : start + 20],
            num_inference_steps=8,
            guidance_scale=1.5,
            generator=generators,
            output_type="np",
        )
        images.append(np.round(result.images * 255).astype(np.uint8))
    said = {judge: look(network, np.concatenate(images)) for judge, (network, _) in judges.items()}
    alike = {
        name: f"{int((said['taste'][name].argmax(1) == said['referee'][name].argmax(1)).sum())}/{count}"
        for name in HEADS
    }
    for _, card in judges.values():
        write_card(card.model_copy(update={"agreement": alike}))
    sys.stdout.write(f"both say the same of generated pictures: {alike}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*RECIPES, "agreement"])
    parser.add_argument("--cache", type=Path, default=data.DEFAULT_CACHE)
    parser.add_argument("--subjects", type=Path, default=data.HERE / "subjects.txt")
    parser.add_argument(
        "--folder", type=Path, default=data.HERE / "easel-icons", help="the model that `agreement` asks"
    )
    arguments = parser.parse_args()
    if arguments.what == "agreement":
        measure_agreement(arguments.folder)
    else:
        make(arguments.what, data.Sprites(data.read_subjects(arguments.subjects), arguments.cache))


if __name__ == "__main__":
    main()
