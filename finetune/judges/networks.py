"""The two networks that look at a picture of the built-in model and say what it shows.

They are made as unlike each other as two small networks can be, so that what fools one need not fool the other: `Taste`
is a convolutional net that sees local edges first, `Referee` a transformer that sees 64 squares at once.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from safetensors.torch import load_file
from torch import Tensor, nn

from finetune.types import Judge
from generation.builtin import data

HERE = Path(__file__).parent
HEADS = ("subject", "style", "colour", "background")


class Card(BaseModel):
    """What stands beside a judge's weights: what its answers mean, how it was made, and how often it is right."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    judge: Judge
    subjects: tuple[tuple[str, ...], ...]
    """The answers of the subject head, in order: the Unicode name, then the nouns that a prompt may call it by."""
    styles: tuple[str, ...] = data.STYLES
    colours: tuple[str, ...] = tuple(data.COLOURS)
    backgrounds: tuple[str, ...] = tuple(data.BACKGROUNDS)
    recipe: dict[str, str | int | float]
    parameters: int
    accuracy: dict[str, str]
    """On real pictures whose combination of the four neither judge was trained on: right/asked for each head."""
    agreement: dict[str, str] = {}
    """On generated pictures: how often both judges answer alike, for each head; empty where not measured."""


class Taste(nn.Module):
    """(B, 3, 64, 64) in -1..1 -> logits of each head: five strided convolutions, then all 2x2 places at once."""

    def __init__(self, subjects: int) -> None:
        super().__init__()
        widths = (3, 32, 64, 96, 128, 160)
        self.body = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
                for a, b in itertools.pairwise(widths)
            )
        )
        self.heads = _heads(widths[-1] * 4, subjects)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = F.dropout(self.body(images).flatten(1), 0.2, self.training)
        return {name: head(features) for name, head in self.heads.items()}


class Referee(nn.Module):
    """(B, 3, 64, 64) in -1..1 -> logits of each head: a transformer over 64 squares of 8 pixels, and their mean."""

    def __init__(self, subjects: int, width: int = 128, layers: int = 3) -> None:
        super().__init__()
        self.squares = nn.Linear(3 * 8 * 8, width)
        self.places = nn.Parameter(0.02 * torch.randn(64, width))
        self.layers = nn.ModuleList(Layer(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.heads = _heads(width, subjects)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        squares = images.view(-1, 3, 8, 8, 8, 8).permute(0, 2, 4, 1, 3, 5).reshape(-1, 64, 3 * 8 * 8)
        features = self.squares(squares) + self.places  # (B, 64, width)
        for layer in self.layers:
            features = layer(features)
        features = F.dropout(self.norm(features).mean(1), 0.1, self.training)
        return {name: head(features) for name, head in self.heads.items()}


class Layer(nn.Module):
    """One layer of a transformer, (B, N, width) -> the same; plain products, which train fastest in bf16 on a CPU."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.count = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.questions = nn.Linear(width, 3 * width)
        self.answer = nn.Linear(width, width)
        self.think = nn.Sequential(nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width))

    def forward(self, features: Tensor) -> Tensor:
        many, places, width = features.shape
        parts = self.questions(self.before(features)).view(many, places, 3, self.count, width // self.count)
        q, k, v = parts.permute(2, 0, 3, 1, 4)  # each (B, heads, N, width / heads)
        attention = (q @ k.transpose(-1, -2) * (width // self.count) ** -0.5).softmax(-1)
        mixed = (attention.to(v.dtype) @ v).transpose(1, 2).reshape(many, places, width)
        features = features + self.answer(mixed)
        return features + cast(Tensor, self.think(self.between(features)))


def _heads(width: int, subjects: int) -> nn.ModuleDict:
    sizes = (subjects, len(data.STYLES), len(data.COLOURS), len(data.BACKGROUNDS))
    return nn.ModuleDict({name: nn.Linear(width, size) for name, size in zip(HEADS, sizes, strict=True)})


NETWORKS: dict[Judge, type[Taste] | type[Referee]] = {"taste": Taste, "referee": Referee}


def load(judge: Judge, folder: Path = HERE) -> tuple[nn.Module, Card]:
    """Return a shipped judge, ready to look at pictures, and its card."""
    card = Card.model_validate(json.loads((folder / f"{judge}.json").read_text(encoding="utf-8")))
    network = NETWORKS[judge](len(card.subjects))
    weights: dict[str, Any] = {
        name: value.float() if value.is_floating_point() else value
        for name, value in load_file(folder / f"{judge}.safetensors").items()
    }
    network.load_state_dict(weights)
    return network.eval(), card


@torch.no_grad()
def look(network: nn.Module, images: data.Bytes, batch: int = 100) -> dict[str, Tensor]:
    """(N, 64, 64, 3) uint8 -> (N, answers) probabilities for each head."""
    parts = [network(to_tensor(images[start : start + batch])) for start in range(0, len(images), batch)]
    return {name: torch.cat([part[name] for part in parts]).softmax(1) for name in HEADS}


def to_tensor(images: data.Bytes) -> Tensor:
    """(N, 64, 64, 3) uint8 -> (N, 3, 64, 64) float in -1..1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
