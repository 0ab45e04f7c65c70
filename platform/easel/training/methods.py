"""The methods in words, and the settings that their form offers."""

from __future__ import annotations

from dataclasses import dataclass

from easel.training.models import FinetuneRun
from finetune.types import TrainSettings

M = FinetuneRun.Method

SENTENCES: dict[str, str] = {
    M.LISTWISE: "Learns from whole rankings: the best before the second, the second before the third. The choice for 3 "
    "images and more.",
    M.DPO: "Learns from pairs: of two images of a prompt, the preferred one becomes likelier. The usual choice for 2 "
    "images.",
    M.RWR: "Learns from the images themselves, the better ranked the more. Simple, gentle, and the weakest.",
    M.REWARD: "Makes no pictures: learns to predict what people prefer, and scores images with it.",
}

REWARD_DEFAULTS = TrainSettings(steps=400, learning_rate=1e-3, batch=32, warmup_steps=20, clip=1.0, checkpoint_every=25)
"""What `finetune.reward.Config` has; a test compares them, for the platform does not import torch."""


@dataclass(frozen=True)
class Knob:
    """A setting as the form shows it."""

    name: str
    label: str
    help: str
    methods: frozenset[str]
    advanced: bool = True


_PICTURES = frozenset({M.LISTWISE, M.DPO, M.RWR})
_ALL = frozenset(M.values)
KNOBS = (
    Knob("steps", "Steps", "More steps learn more, and stray further from the base.", _ALL, advanced=False),
    Knob("learning_rate", "Learning rate", "As 1e-4. Too high, and the pictures break.", _ALL, advanced=False),
    Knob("beta", "Beta", "Pull back to the base: higher stays closer.", frozenset({M.LISTWISE, M.DPO}), advanced=False),
    Knob(
        "temperature", "Temperature", "Lower lets the best images count more.", frozenset({M.RWR}), advanced=False
    ),
    Knob("seed", "Seed", "Same seed, same data, same weights.", _ALL, advanced=False),
    Knob("batch", "Batch", "Rankings, pairs or images that one step learns from.", _ALL),
    Knob("lora_rank", "LoRA rank", "Size of the adapter.", _PICTURES),
    Knob("lora_alpha", "LoRA alpha", "How strongly the adapter counts.", _PICTURES),
    Knob("warmup_steps", "Warm-up steps", "The learning rate rises over these.", _ALL),
    Knob("decay", "Decay", "0 to 1: the last share of the steps, over which the learning rate falls to 0.", _PICTURES),
    Knob("prompt_dropout", "Prompt dropout", "Share learned without the prompt, 0 to 1.", _PICTURES),
    Knob("clip", "Gradient clip", "Largest norm of the gradient.", _ALL),
    Knob("guard", "Guard of winners", "0 to 1; keeps losers from dragging winners along. Empty: none.",
         frozenset({M.DPO})),
    Knob("stop_above", "Stop above", "Ends when held-out winners are this much less likely: 0.02 is 2%.", _PICTURES),
    Knob("checkpoint_every", "Checkpoint every", "Steps; each checkpoint makes a row of samples.", _ALL),
    Knob("gradient_checkpointing", "Save memory", "Computes activations twice: slower, for large models.", _PICTURES),
)  # fmt: skip
