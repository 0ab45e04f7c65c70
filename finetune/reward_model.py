"""The network that says how much an image would be liked for a prompt, and the one file that it is kept in.

`reward.safetensors` holds the weights and, in its header, the configuration and the tokenizer: one file is one model,
so it lies in storage under the hash of its bytes as an adapter does.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoTokenizer, CLIPConfig, CLIPImageProcessor, CLIPModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from finetune import words
from finetune.errors import WrongBaseError
from finetune.pictures import square
from generation.storage import Storage, StorageError, model_folder, weights_hash
from generation.types import ModelReference

FILE = "reward.safetensors"
FORMAT = "easel reward model 1"
BATCH = 64


class RewardModelConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]  # transformers has few types
    """What the network is made of. clip: the configuration of a CLIP model; without one the encoders are our own."""

    model_type = "easel-reward"

    def __init__(
        self,
        clip: dict[str, Any] | None = None,
        size: int = 64,  # pixels of a side
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        deviation: Sequence[float] = (0.5, 0.5, 0.5),
        vocabulary: int = 1,
        length: int = 32,  # tokens of a prompt, the rest is not read
        width: int = 128,
        **others: Any,
    ) -> None:
        super().__init__(**{"num_labels": 1, **others})
        self.clip = clip
        self.size = size
        self.mean, self.deviation = list(mean), list(deviation)
        self.vocabulary, self.length, self.width = vocabulary, length, width


class RewardModel(PreTrainedModel):  # type: ignore[no-untyped-call]
    """(N, 3, size, size) uint8 pictures and (N, L) tokens -> (N, 1) rewards; only their differences mean anything."""

    config_class = RewardModelConfig
    config: RewardModelConfig

    def __init__(self, config: RewardModelConfig) -> None:
        super().__init__(config)
        width: Any = config.width
        if config.clip:
            self.clip: Any = CLIPModel(CLIPConfig.from_dict(config.clip)).requires_grad_(False)
            width = self.clip.config.projection_dim
        else:
            self.image = OwnImageEncoder(width)
            self.text = OwnTextEncoder(config.vocabulary, config.length, width)
        self.head = nn.Sequential(nn.Linear(3 * width, config.width), nn.GELU(), nn.Linear(config.width, 1))
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, pixels: Tensor, input_ids: Tensor, attention_mask: Tensor, **_: Any) -> SequenceClassifierOutput:
        shape = (1, 3, 1, 1)
        mean, deviation = (
            torch.tensor(each, device=pixels.device).view(shape) for each in (self.config.mean, self.config.deviation)
        )
        seen = (pixels.float() / 255 - mean) / deviation
        if self.config.clip:
            with torch.no_grad():
                image, text = self._by_clip(seen, input_ids, attention_mask)
        else:
            image, text = self.image(seen), self.text(input_ids, attention_mask)
        return SequenceClassifierOutput(logits=self.head(torch.cat([image, text, image * text], dim=1)))

    def _by_clip(self, seen: Tensor, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return CLIP's two embeddings, each with unit variance on average: a head learns badly from tiny numbers."""
        picture = self.clip.vision_model(pixel_values=seen).pooler_output
        sentence = self.clip.text_model(input_ids=input_ids, attention_mask=attention_mask).pooler_output
        image, text = self.clip.visual_projection(picture), self.clip.text_projection(sentence)
        scale = image.shape[1] ** 0.5
        return scale * functional.normalize(image, dim=1), scale * functional.normalize(text, dim=1)

    def _init_weights(self, module: nn.Module) -> None:
        """Torch's own initialisation is the one that is meant; transformers asks for a method all the same."""


class OwnImageEncoder(nn.Module):
    """(N, 3, S, S) -> (N, width): strided convolutions, then the mean over all places."""

    def __init__(self, width: int) -> None:
        super().__init__()
        sizes = (3, 32, 64, 96, width)
        self.body = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1), nn.GroupNorm(8, b), nn.GELU())
                for a, b in itertools.pairwise(sizes)
            )
        )
        self.out = nn.Linear(2 * width, width)

    def forward(self, pictures: Tensor) -> Tensor:
        places = self.body(pictures).flatten(2)
        mean_and_peak = torch.cat([places.mean(2), places.amax(2)], dim=1)
        return functional.layer_norm(self.out(mean_and_peak), (self.out.out_features,))


class OwnTextEncoder(nn.Module):
    """(N, L) tokens -> (N, width): one layer of a transformer, then the mean over the words."""

    def __init__(self, vocabulary: int, length: int, width: int) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(0.02 * torch.randn(length, width))
        self.layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.words(input_ids) + self.places[: input_ids.shape[1]]
        hidden = self.layer(hidden, src_key_padding_mask=attention_mask == 0)
        kept = attention_mask[..., None].float()
        mean = (hidden * kept).sum(1) / kept.sum(1).clamp(min=1)
        return functional.layer_norm(mean, (mean.shape[1],))


# -- a model and its words ---------------------------------------------------------------------------------------------


class Scorer:
    """A reward model with its tokenizer."""

    def __init__(self, model: RewardModel, tokenizer: Tokenizer) -> None:
        self.model: Any = model
        self.tokenizer = tokenizer

    @torch.no_grad()
    def score(self, prompts: Sequence[str], pictures: Sequence[Image.Image]) -> list[float]:
        """Return the reward of each picture for its prompt."""
        self.model.eval()
        rewards: list[float] = []
        for start in range(0, len(pictures), BATCH):
            pixels = torch.stack(
                [square(picture, self.model.config.size) for picture in pictures[start : start + BATCH]]
            )
            ids, mask = words.pad([words.ids(self.tokenizer, prompt) for prompt in prompts[start : start + BATCH]])
            device = self.model.device
            logits = self.model(pixels.to(device), ids.to(device), mask.to(device)).logits
            rewards.extend(logits.squeeze(1).float().tolist())
        return rewards


def fresh(prompts: Sequence[str], clip: Path | None, seed: int) -> Scorer:
    """Return an untrained model: on a CLIP folder, else with encoders of our own that know the words of the prompts.

    Raises WrongBaseError where the folder is no CLIP model.
    """
    torch.manual_seed(seed)
    if clip is None:
        tokenizer = words.learn(prompts)
        return Scorer(RewardModel(RewardModelConfig(vocabulary=tokenizer.get_vocab_size())), tokenizer)
    try:
        encoders: Any = CLIPModel.from_pretrained(
            clip, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
        loaded: Any = AutoTokenizer.from_pretrained(clip, local_files_only=True)
        looks = CLIPImageProcessor.from_pretrained(clip, local_files_only=True)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WrongBaseError(f"{clip} is no CLIP model of safetensors with its tokenizer: {reason[:300]}") from error
    config = RewardModelConfig(
        clip=encoders.config.to_dict(),
        size=encoders.config.vision_config.image_size,
        mean=looks.image_mean,
        deviation=looks.image_std,
        length=encoders.config.text_config.max_position_embeddings,
    )
    model: Any = RewardModel(config)
    model.clip.load_state_dict(encoders.state_dict())
    tokenizer = loaded.backend_tokenizer
    tokenizer.enable_truncation(config.length)
    tokenizer.no_padding()
    return Scorer(model, tokenizer)


def is_clip(folder: Path) -> bool:
    """Tell whether a folder holds a CLIP model, whose encoders a reward model can stand on."""
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError):
        return False
    return bool(kind == "clip")


def save(scorer: Scorer, path: Path) -> None:
    """Write the model as one file, whole or not at all."""
    config = scorer.model.config.to_dict() | {"dtype": None}
    header = {"format": FORMAT, "config": json.dumps(config), "tokenizer": scorer.tokenizer.to_str()}
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in scorer.model.state_dict().items()}
    unfinished = path.with_suffix(".writing")
    save_file(weights, unfinished, metadata=header)
    unfinished.chmod(0o644)  # written for its owner only, but whoever scores must read it
    unfinished.replace(path)


def load(path: Path) -> Scorer:
    """Read a model that `save` wrote. Raises WrongBaseError for any other file."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise WrongBaseError(f"{path.name} is no reward model of Easel. Choose one that finetune.reward made.")
            model: Any = RewardModel(RewardModelConfig.from_dict(json.loads(header["config"])))
            model.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 -- no mapping
        model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
        return Scorer(model, Tokenizer.from_str(header["tokenizer"]))
    except (OSError, SafetensorError, ValueError, KeyError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WrongBaseError(f"{path.name} cannot be read as a reward model: {reason[:300]}") from error


def find(reference: ModelReference, storage: Storage, folder: Path) -> Path:
    """Return the file of a registered reward model, copied into `folder` where it lies in storage.

    Raises WrongBaseError when it is missing, or is not the one that was registered.
    """
    kind, _, place = reference.location.partition(":")
    try:
        if kind == "storage":
            storage.fetch(place, folder / FILE)  # its key is the hash of its bytes
            return folder / FILE
        found = model_folder(reference.location, having=FILE)
    except StorageError as error:
        raise WrongBaseError(f"Reward model {reference.name!r}: {error}") from error
    if reference.sha256 and weights_hash(found) != reference.sha256:
        raise WrongBaseError(f"Reward model {reference.name!r} has changed since it was registered. Register it again.")
    return found / FILE
