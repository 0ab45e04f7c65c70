"""Measure a text-to-icon folder with a judge that only ever saw real pictures; prints one JSON table.

    python -m generation.builtin.evaluate --judge .easel/train/judge.safetensors > table.json

The judge is a small CNN with one answer each for subject, style, colour and background. Its own accuracy, on
combinations of the four that it was not trained on, stands in the table: no score can be trusted beyond it.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from generation.builtin import data
from generation.builtin.train_vae import to_tensor

CPU = torch.device("cpu")
UNKNOWN = -100  # what cross_entropy ignores: a natural colour has no name to be right about
HEADS = ("subject", "style", "colour", "background")


class Judge(nn.Module):
    """(B, 3, 64, 64) in -1..1 -> the scores of each subject, style, colour and background."""

    def __init__(self, subjects: int) -> None:
        super().__init__()
        widths = (3, 32, 64, 96, 128, 160)
        self.body = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
                for a, b in itertools.pairwise(widths)
            )
        )
        sizes = {"subject": subjects, "style": len(data.STYLES), "colour": 10, "background": 10}
        self.heads = nn.ModuleDict({name: nn.Linear(widths[-1] * 4, size) for name, size in sizes.items()})

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.body(images).flatten(1)
        return {name: head(F.dropout(features, 0.2, self.training)) for name, head in self.heads.items()}


def labels(attributes: list[data.Attributes], subjects: list[data.Subject]) -> dict[str, Tensor]:
    """What the judge should answer for each picture, (N,) indices for each head."""
    colours, backgrounds = list(data.COLOURS), list(data.BACKGROUNDS)
    return {
        "subject": torch.tensor([subjects.index(one.subject) for one in attributes]),
        "style": torch.tensor([data.STYLES.index(one.style) for one in attributes]),
        "colour": torch.tensor([colours.index(one.colour) if one.colour else UNKNOWN for one in attributes]),
        "background": torch.tensor([backgrounds.index(one.background) for one in attributes]),
    }


def is_for_testing(one: data.Attributes) -> bool:
    """One combination in ten is kept from the judge's training."""
    return zlib.crc32(f"{one.subject.name}/{one.style}/{one.colour}/{one.background}".encode()) % 10 == 7


def draw(sprites: data.Sprites, count: int, seed: int, testing: bool) -> tuple[data.Bytes, list[data.Attributes]]:
    """Real pictures for the judge, of its training combinations or its testing ones; both hold held-out colours."""
    rng = np.random.default_rng(seed)
    attributes: list[data.Attributes] = []
    while len(attributes) < count:
        one = sprites.sample(rng)
        if one.colour:  # a held-out colour is as good as any other here: the judge must know it when it sees it
            one = dataclasses.replace(one, colour=list(data.COLOURS)[rng.integers(len(data.COLOURS))])
            if not sprites.is_visible(one.subject, one.style, one.colour, one.background):
                continue
        if is_for_testing(one) is testing:
            attributes.append(one)
    return np.stack([data.render(sprites, one, rng, flips=0.25) for one in attributes]), attributes


def train_judge(sprites: data.Sprites, path: Path, count: int = 16_000, epochs: int = 6) -> Judge:
    """The judge, trained now or read from `path`."""
    torch.manual_seed(1)
    judge = Judge(len(sprites.subjects))
    if path.exists():
        judge.load_state_dict(load_file(path))
        return judge.eval()
    images, attributes = draw(sprites, count, seed=101, testing=False)
    answers = labels(attributes, sprites.subjects)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=2e-3, weight_decay=0.01)
    steps = epochs * count // 64
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps)
    for _ in range(steps):
        picked = torch.randint(count, (64,))
        batch = to_tensor(images[picked.numpy()], CPU)
        # Half of the batch is blurred and all is noisy, or the judge would judge the autoencoder's softness.
        batch[:32] = F.avg_pool2d(F.pad(batch[:32], (0, 1, 0, 1), mode="replicate"), 2, stride=1)
        scores = judge(batch + 0.06 * torch.randn_like(batch))
        loss = torch.stack([F.cross_entropy(scores[name], answers[name][picked]) for name in HEADS]).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(judge.state_dict(), path)
    return judge.eval()


@torch.no_grad()
def answers_of(judge: Judge, images: data.Bytes) -> dict[str, Tensor]:
    """(N, 64, 64, 3) uint8 -> the judge's (N,) answer for each head."""
    parts = [judge(to_tensor(images[start : start + 100], CPU)) for start in range(0, len(images), 100)]
    return {name: torch.cat([part[name] for part in parts]).argmax(1) for name in HEADS}


def agreement(judge: Judge, images: data.Bytes, wanted: dict[str, Tensor]) -> dict[str, str]:
    """How many pictures the judge finds right, `right/asked`, for each head."""
    got = answers_of(judge, images)
    asked = {name: wanted[name] != UNKNOWN for name in HEADS}
    return {name: f"{int((got[name] == wanted[name])[asked[name]].sum())}/{int(asked[name].sum())}" for name in HEADS}


def generate(pipeline: Any, prompts: list[str], guidance: float, steps: int = 8) -> data.Bytes:
    """One picture a prompt, (N, 64, 64, 3) uint8; the seed is the prompt's place in the list."""
    images = []
    for start in range(0, len(prompts), 20):
        chunk = prompts[start : start + 20]
        generators = [torch.Generator().manual_seed(start + index) for index in range(len(chunk))]
        result = pipeline(
            chunk, num_inference_steps=steps, guidance_scale=guidance, generator=generators, output_type="np"
        )
        images.append(np.round(result.images * 255).astype(np.uint8))
    return np.concatenate(images)


def pairwise_distance(images: data.Bytes) -> float:
    """Mean root-mean-square distance between pictures of one group, over all groups. (G, K, 64, 64, 3) -> 0..1."""
    groups, size = images.shape[:2]
    flat = torch.from_numpy(images.reshape(groups, size, -1)).float() / 255
    distances = torch.cdist(flat, flat) / flat.shape[-1] ** 0.5
    return float(distances.sum() / (groups * size * (size - 1)))


def evaluate(pipeline: Any, sprites: data.Sprites, judge: Judge, guidance: float) -> dict[str, object]:
    """The whole table at one guidance scale."""
    rng, subjects = np.random.default_rng(7), sprites.subjects
    real, shown = draw(sprites, 1000, seed=202, testing=True)

    full = [sprites.sample(rng, natural=0.3) for _ in range(300)]
    prompts = [data.describe(one.subject.nouns[0], one.style, one.colour, one.background) for one in full]

    unseen = []
    for subject, colour in data.held_out_pairs(sprites) * 2:
        while True:
            one = dataclasses.replace(sprites.sample(rng), subject=subject, colour=colour)
            if one.style != "silhouette" and sprites.is_visible(subject, one.style, colour, one.background):
                break
        unseen.append(one)
    unseen_prompts = [data.describe(one.subject.nouns[0], one.style, one.colour, one.background) for one in unseen]

    silent = [
        data.describe(subject.nouns[0], background=name) for subject in subjects for name in ("white", "blue", "yellow")
    ]
    styles = answers_of(judge, generate(pipeline, silent, guidance))["style"]

    same = np.stack(
        [
            [
                data.render(sprites, dataclasses.replace(sprites.sample(rng), subject=subject, colour=""), rng)
                for _ in range(4)
            ]
            for subject in subjects
        ]
    )
    bare = [data.describe(subject.nouns[0]) for subject in subjects for _ in range(4)]
    said = [data.describe(subject.nouns[0], "3d", "", "white") for subject in subjects for _ in range(4)]
    groups = {name: generate(pipeline, wording, guidance) for name, wording in (("bare", bare), ("said", said))}
    spread = {name: pairwise_distance(images.reshape(same.shape)) for name, images in groups.items()}
    base = pairwise_distance(same)

    generate(pipeline, prompts[:4], guidance)
    began = time.perf_counter()
    generate(pipeline, prompts[:4], guidance)
    seconds = (time.perf_counter() - began) / 4
    return {
        "guidance": guidance,
        "judge on real pictures it was not trained on": agreement(judge, real, labels(shown, subjects)),
        "random fully specified prompts": agreement(
            judge, generate(pipeline, prompts, guidance), labels(full, subjects)
        ),
        "held-out subject and colour pairs": agreement(
            judge, generate(pipeline, unseen_prompts, guidance), labels(unseen, subjects)
        ),
        "style where unsaid": {name: f"{int((styles == i).sum())}/{len(silent)}" for i, name in enumerate(data.STYLES)},
        "distance within 4 candidates over distance within 4 real pictures of the subject": {
            "only the subject said": round(spread["bare"] / base, 3),
            "style and background said": round(spread["said"] / base, 3),
        },
        "subject where only the subject is said": agreement(
            judge,
            groups["bare"],
            {name: torch.full((len(bare),), UNKNOWN) for name in HEADS}
            | {"subject": torch.arange(len(subjects)).repeat_interleave(4)},
        )["subject"],
        "seconds an image, 4 at once, 8 steps": round(seconds, 3),
        "torch threads": torch.get_num_threads(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=data.DEFAULT_CACHE)
    parser.add_argument("--subjects", type=Path, default=data.HERE / "subjects.txt")
    parser.add_argument("--folder", type=Path, default=data.HERE / "easel-icons")
    parser.add_argument("--judge", type=Path, required=True, help="where the trained judge is kept")
    parser.add_argument("--guidance", type=float, nargs="+", default=[1.5])
    arguments = parser.parse_args()
    sprites = data.Sprites(data.read_subjects(arguments.subjects), arguments.cache)
    judge = train_judge(sprites, arguments.judge)
    pipeline: Any = StableDiffusionPipeline.from_pretrained(  # type: ignore[no-untyped-call]
        arguments.folder, torch_dtype=torch.float32
    )
    pipeline.set_progress_bar_config(disable=True)
    print(json.dumps([evaluate(pipeline, sprites, judge, guidance) for guidance in arguments.guidance], indent=2))


if __name__ == "__main__":
    main()
