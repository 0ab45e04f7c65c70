"""Reward-weighted regression: teach a model its best images again (Lee et al. 2023, arXiv:2302.12192).

    python -m finetune.rwr finetune/configs/rwr.yaml --snapshot FOLDER --out FOLDER --temperature 0.5
    accelerate launch --num_processes 4 -m finetune.rwr finetune/configs/rwr.yaml ...

The ordinary training loss, each image weighted by exp(reward / temperature) within its prompt. The honest simple
baseline: no reference and no losers, so one forward pass, and nothing that tells the model what to avoid. The reward is
the image's strength in the snapshot. The same command goes on from the last checkpoint after a stop.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor

from finetune import adapters, checkpoints, defaults, devices, draws, losses, opening, samples
from finetune.caching import Cache, common_size
from finetune.checkpoints import Checkpoint
from finetune.devices import Room
from finetune.errors import FinetuneError, NotANumberError, SnapshotEmptyError, WorseThanBaseError
from finetune.held_out import ROWS, HeldOut
from finetune.outcome import OnGrid, OnPoint, Outcome
from finetune.prediction import Predictor, errors, predictor_of
from finetune.schedule import learning_rate
from finetune.types import MetricPoint, Preference, SamplePrompt, SnapshotImage, TrainSettings
from generation import memory
from generation.storage import ADAPTER_FILE
from generation.types import RenderSettings


@dataclass(frozen=True)
class Config:
    """Where from, where to, and the knobs that only the command line has; the others are `TrainSettings`."""

    base: str = field(metadata={"help": "Folder of the diffusers model to start from."})
    snapshot: str = field(metadata={"help": "Folder of the snapshot to learn from."})
    out: str = field(metadata={"help": "Folder for checkpoints, samples and the adapter."})
    adapters: list[str] = field(
        default_factory=list, metadata={"help": "Adapters of earlier fine-tunes to start on: FOLDER or FOLDER@SCALE."}
    )
    flip: bool = field(default=False, metadata={"help": "Mirror half of the images."})
    width: int | None = field(default=None, metadata={"help": "Pixels; by default what most images have."})
    height: int | None = field(default=None, metadata={"help": "Pixels; by default what most images have."})
    images_at_once: int = field(default=16, metadata={"help": "Images in one forward pass; fewer need less memory."})
    cache_on_disk: bool = field(default=False, metadata={"help": "Keep latents and embeddings in OUT, not in memory."})


@dataclass(frozen=True)
class Example:
    """An image and what it counts; 1 on average within its prompt."""

    prompt: str
    image: SnapshotImage
    weight: float


def examples_of(rows: Iterable[Preference], temperature: float) -> list[Example]:
    """Return the images of a snapshot's rows, without prompts of which no image is better than another."""
    by_prompt: dict[str, list[tuple[SnapshotImage, float]]] = {}
    for row in rows:
        by_prompt.setdefault(row.prompt, []).extend(zip(row.images, row.strengths, strict=True))
    found = []
    for prompt, ranked in by_prompt.items():
        rewards = [reward for _, reward in ranked]
        if min(rewards) < max(rewards):
            weights = losses.reward_weights(rewards, temperature)
            found += [Example(prompt, image, weight) for (image, _), weight in zip(ranked, weights, strict=True)]
    return found


def train(
    config: Config,
    settings: TrainSettings,
    *,
    samples_of: Sequence[SamplePrompt] = (),
    sample_settings: RenderSettings | None = None,
    on_point: OnPoint = lambda point: None,
    on_grid: OnGrid = lambda step, images: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train an adapter into `config.out`, from where an earlier run into it stopped; of one that ended, its outcome.

    Where several processes train, the first one alone calls on_point and on_grid. Raises a FinetuneError.
    """
    state = devices.start_processes()
    device: torch.device = state.device
    base, snapshot, out = Path(config.base), Path(config.snapshot), Path(config.out)
    weights = defaults.weights_of(base)
    settings = defaults.fill("rwr", weights, settings)
    identity = _identity(config, settings, snapshot)

    examples = examples_of(opening.read_rows(snapshot, "train"), settings.temperature or 1.0)
    if not examples:
        raise SnapshotEmptyError(
            f"snapshot {snapshot.name}: no image of its training rows is better than another, so nothing is learned. "
            "Collect rankings that are not all ties, or widen the snapshot's filters."
        )
    unseen = opening.first(opening.read_rows(snapshot, "validation"), ROWS)

    loaded = opening.load_base(base, config.adapters, device)
    identity["base_sha256"] = loaded.sha256
    predictor = predictor_of(loaded.pipe)
    targets = adapters.ATTENTION + (adapters.BESIDE_ATTENTION if defaults.is_small(weights) else ())
    rank, alpha = settings.lora_rank or 1, settings.lora_alpha or 1.0
    parameters = adapters.put_on(predictor.network, rank=rank, alpha=alpha, targets=targets, seed=settings.seed)
    if settings.gradient_checkpointing:
        predictor.network.enable_gradient_checkpointing()

    ranked = [example.image for example in examples]
    images = [*ranked, *(image for row in unseen for image in row.images)]
    width, height = common_size(((image.width, image.height) for image in ranked), loaded.size_factor)
    size = (config.width or width, config.height or height)
    cache = Cache(loaded, snapshot, size, out / "cache" if config.cache_on_disk else None)
    texts = [*(example.prompt for example in examples), *(row.prompt for row in unseen)]
    # On disk, the others find it done; in memory, each process needs its own, and waiting would double the time.
    with state.main_process_first() if config.cache_on_disk else nullcontext():
        cache.fill(images, texts, mirrored=config.flip)

    room = Room(config.images_at_once, settings, device)
    held_out = HeldOut(unseen, predictor, cache, room, state)
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate or 0.0, fused=device.type == "cuda")
    folder = out / "checkpoints"
    here = checkpoints.restore(folder, predictor.network, predictor.part, optimizer, identity) or Checkpoint(0, {})
    step, values, stopped, interrupted = here.step, dict(here.values), "", False
    steps, batch, every = settings.steps or 1, settings.batch or 1, settings.checkpoint_every or 1
    began = time.monotonic() - values.get("seconds", 0.0)

    while step < steps:
        started = time.monotonic()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, step)
        numbers = draws.batch(len(examples), batch, settings.seed, step)
        chosen = [examples[number] for number in numbers]
        while True:
            try:
                sums = _gradients(chosen, config, settings, step, predictor, cache, room, state, parameters)
                break
            except (RuntimeError, MemoryError) as error:
                if not memory.is_out_of_memory(error):
                    raise
            room.shrink()
        devices.add_up([*devices.gradients(parameters), sums])
        norm = torch.nn.utils.clip_grad_norm_(parameters, settings.clip or math.inf)
        figures = {"loss": float(sums)}
        if not all(map(math.isfinite, (*figures.values(), float(norm)))):
            stopped = f"the loss of step {step + 1} is no number"
            here = _last_good(folder, predictor, step, NotANumberError, stopped, settings)
            break
        optimizer.step()
        step += 1
        seconds = time.monotonic() - started
        values = figures | {
            "learning_rate": optimizer.param_groups[0]["lr"],
            "images_per_s": len(chosen) / seconds,
            "memory_mb": devices.memory_mb(device),
        }

        interrupted = step < steps and devices.any_says(should_stop(), device)
        full = step % every == 0 or step == steps
        if full:
            measured = held_out.measure()
            if not all(map(math.isfinite, measured.values())):
                stopped = f"a held-out figure of step {step} is no number"
                here = _last_good(folder, predictor, step, NotANumberError, stopped, settings)
                break
            values |= measured
        if full or interrupted:
            values["seconds"] = time.monotonic() - began
            above = values.get("held_out_winner_error", 0.0)
            if full and settings.stop_above is not None and above > settings.stop_above:
                stopped = (
                    f"the preferred held-out images became {above:.1%} less likely than to the base (stop_above "
                    f"{settings.stop_above:.1%}) at step {step}"
                )
                here = _last_good(folder, predictor, step, WorseThanBaseError, stopped, settings)
                break
            if state.is_main_process:
                here = Checkpoint(step, values, measured=full)
                checkpoints.save(folder, loaded.pipe, predictor.part, optimizer, here, identity)
        if state.is_main_process:
            on_point(MetricPoint(step=step, values={name: one for name, one in values.items() if name != "seconds"}))
            if full:
                on_grid(step, samples.paint(loaded, samples_of, sample_settings or RenderSettings()))
        if interrupted:
            break

    if stopped:
        step, values = here.step, dict(here.values)
        stopped += f"; the weights are those of step {step}"
    if state.is_main_process:
        out.mkdir(parents=True, exist_ok=True)
        adapters.save(loaded.pipe, predictor.part, out)
    state.wait_for_everyone()
    device_name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return Outcome(out / ADAPTER_FILE, step, stopped, interrupted, values, settings, device_name)


def _gradients(
    examples: Sequence[Example],
    config: Config,
    settings: TrainSettings,
    step: int,
    predictor: Predictor,
    cache: Cache,
    room: Room,
    state: PartialState,
    parameters: Sequence[torch.nn.Parameter],
) -> Tensor:
    """Put this process's share of the batch's gradient into the parameters, and return its share of the loss.

    The loss is sum w err / sum w over the batch of all processes.
    """
    for parameter in parameters:
        parameter.grad = None
    device: torch.device = state.device
    total = sum(example.weight for example in examples)
    loss_so_far = torch.zeros((), device=device)
    mine = devices.share_of(list(enumerate(examples)), state)
    for start in range(0, len(mine), room.images):
        part = mine[start : start + room.images]
        latents, noise, times, text = _draw(part, config, settings, step, predictor, cache)
        with devices.autocast(device):
            each = errors(predictor.residual(latents, noise, times, text))
        weight = torch.tensor([example.weight / total for _, example in part], device=device)
        loss = (weight * each).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        loss_so_far += loss.detach()
    return loss_so_far


def _draw(
    part: Sequence[tuple[int, Example]],
    config: Config,
    settings: TrainSettings,
    step: int,
    predictor: Predictor,
    cache: Cache,
) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
    """Return latents, noise, times and text of images: (B, ...)."""
    shape = cache.shape(part[0][1].image.key)
    noises, jitters, uniform, flips, texts = [], [], [], [], []
    for place, example in part:
        source = draws.generator(settings.seed, "image", step, place)
        time_of, dropped, mirrored = torch.rand(3, generator=source).tolist()
        uniform.append(time_of)
        texts.append("" if dropped < (settings.prompt_dropout or 0.0) else example.prompt)
        flips.append(config.flip and mirrored < 0.5)
        noises.append(draws.noise(shape, source))
        jitters.append(draws.noise(shape, source))
    latents = cache.latents([example.image.key for _, example in part], torch.stack(jitters), flips)
    noise = torch.stack(noises).to(latents.device)
    times = predictor.times(torch.tensor(uniform)).to(latents.device)
    return latents, noise, times, cache.text(texts)


def _last_good(
    folder: Path, predictor: Predictor, step: int, kind: type[FinetuneError], why: str, settings: TrainSettings
) -> Checkpoint:
    """Put the last checkpoint before `step`, whose weights are no good, back. Raises `kind` where there is none."""
    found = checkpoints.go_back(folder, predictor.network, predictor.part, before=step)
    if found is None:
        raise kind(
            f"{why}, and there is no checkpoint before it. Lower learning_rate (it is {settings.learning_rate:g})."
        )
    return found


def _identity(config: Config, settings: TrainSettings, snapshot: Path) -> dict[str, Any]:
    """Return what a run that goes on from a checkpoint has in common with the one that wrote it."""
    said = dataclasses.asdict(config) | settings.model_dump()
    for name in ("base", "snapshot", "out", "images_at_once", "cache_on_disk"):
        said.pop(name)
    said["adapters"] = [opening.adapter_hash(one) for one in config.adapters]  # wherever they lie
    return said | {"snapshot_sha256": opening.snapshot_hash(snapshot), "method": "rwr"}


if __name__ == "__main__":
    from finetune.command import main

    main(Config, train)
