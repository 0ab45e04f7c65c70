"""Diffusion-DPO: teach a model by pairs of images of which people prefer one (Wallace et al. 2023, arXiv:2311.12908).

    python -m finetune.dpo finetune/configs/dpo.yaml --snapshot FOLDER --out FOLDER --learning_rate 1e-4
    accelerate launch --num_processes 4 -m finetune.dpo finetune/configs/dpo.yaml ...

A LoRA adapter is trained; switched off, the same network is the reference. Latents and embeddings are computed once.
Both images of a pair get the same time and noise. The same command goes on from the last checkpoint after a stop.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

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
    loss: Literal["sigmoid", "ipo", "hinge", "robust"] = field(
        default="sigmoid", metadata={"help": "sigmoid is Diffusion-DPO; see finetune/losses.py."}
    )
    smoothing: float = field(default=0.0, metadata={"help": "Share of wrong labels that the robust loss expects."})
    ties: bool = field(default=False, metadata={"help": "Also learn from pairs of which neither image is better."})
    flip: bool = field(default=False, metadata={"help": "Mirror half of the pairs."})
    width: int | None = field(default=None, metadata={"help": "Pixels; by default what most images have."})
    height: int | None = field(default=None, metadata={"help": "Pixels; by default what most images have."})
    images_at_once: int = field(default=16, metadata={"help": "Images in one forward pass; fewer need less memory."})
    cache_on_disk: bool = field(default=False, metadata={"help": "Keep latents and embeddings in OUT, not in memory."})


@dataclass(frozen=True)
class Pair:
    """Two images of one prompt, the preferred one first."""

    prompt: str
    winner: SnapshotImage
    loser: SnapshotImage
    preferred: float
    """Share of the judgements that prefer it, 0.5 to 1: the soft label."""
    weight: float


def pairs_of(rows: Iterable[Preference], *, ties: bool = False) -> list[Pair]:
    """Return the pairs of a snapshot's rows. Of a tie nothing is learned but to stay: left out unless asked for."""
    found = []
    for row in rows:
        for (a, b, share), weight in zip(row.pairs, row.pair_weights, strict=True):
            if weight > 0 and (ties or share != 0.5):
                winner, loser = (a, b) if share >= 0.5 else (b, a)
                preferred = max(share, 1 - share)
                found.append(Pair(row.prompt, row.images[winner], row.images[loser], preferred, weight))
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
    settings = defaults.fill("dpo", weights, settings)
    identity = _identity(config, settings, snapshot)

    pairs = pairs_of(opening.read_rows(snapshot, "train"), ties=config.ties)
    if not pairs:
        raise SnapshotEmptyError(
            f"snapshot {snapshot.name}: no pair of its training rows has a preferred image, so nothing is learned. "
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

    ranked = [image for pair in pairs for image in (pair.winner, pair.loser)]
    images = [*ranked, *(image for row in unseen for image in row.images)]
    width, height = common_size(((image.width, image.height) for image in ranked), loaded.size_factor)
    size = (config.width or width, config.height or height)
    cache = Cache(loaded, snapshot, size, out / "cache" if config.cache_on_disk else None)
    texts = [*(pair.prompt for pair in pairs), *(row.prompt for row in unseen)]
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
        numbers = draws.batch(len(pairs), batch, settings.seed, step)
        chosen = [pairs[number] for number in numbers]
        while True:
            try:
                sums = _gradients(chosen, config, settings, step, predictor, cache, room, state, parameters)
                break
            except (RuntimeError, MemoryError) as error:
                if not memory.is_out_of_memory(error):
                    raise
            room.shrink(least=2)
        devices.add_up([*devices.gradients(parameters), sums])
        norm = torch.nn.utils.clip_grad_norm_(parameters, settings.clip or math.inf)
        figures = _figures(sums, len(chosen))
        if not all(map(math.isfinite, (*figures.values(), float(norm)))):
            stopped = f"the loss of step {step + 1} is no number"
            here = _last_good(folder, predictor, step, NotANumberError, stopped, settings)
            break
        optimizer.step()
        step += 1
        seconds = time.monotonic() - started
        values = figures | {
            "learning_rate": optimizer.param_groups[0]["lr"],
            "images_per_s": 2 * len(chosen) / seconds,
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
    pairs: Sequence[Pair],
    config: Config,
    settings: TrainSettings,
    step: int,
    predictor: Predictor,
    cache: Cache,
    room: Room,
    state: PartialState,
    parameters: Sequence[torch.nn.Parameter],
) -> Tensor:
    """Put this process's share of the batch's gradient into the parameters, and return its sums, see `_figures`."""
    for parameter in parameters:
        parameter.grad = None
    device: torch.device = state.device
    beta, total = settings.beta or 1.0, sum(pair.weight for pair in pairs)
    sums = torch.zeros(7, device=device)
    mine = devices.share_of(list(enumerate(pairs)), state)
    together = max(1, room.images // 2)
    for start in range(0, len(mine), together):
        part = mine[start : start + together]
        latents, noise, times, text = _draw(part, config, settings, step, predictor, cache)
        with devices.autocast(device):
            with adapters.reference(predictor.network):
                reference = errors(predictor.residual(latents, noise, times, text)).view(2, -1)
            residual = predictor.residual(latents, noise, times, text)
        policy = errors(residual).view(2, -1)
        guarded = policy
        if settings.guard is not None:
            share = losses.guard(residual[: len(part)], residual[len(part) :], settings.guard)
            guarded = torch.stack([policy[0], losses.scale_gradient(policy[1], share)])
        preferred = torch.tensor([pair.preferred for _, pair in part], device=device)
        weight = torch.tensor([pair.weight / total for _, pair in part], device=device)
        each = losses.dpo(guarded, reference, beta, preferred=preferred, kind=config.loss, smoothing=config.smoothing)
        (weight * each).sum().backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            winner, loser = losses.implicit_reward(policy, reference, beta)
            right = (winner > loser).float() + 0.5 * (winner == loser).float()
            wrong = torch.sigmoid(loser - winner)
            per_pair = [weight * each, policy[0], reference[0], policy[1], reference[1], right, wrong]
            sums += torch.stack([one.sum() for one in per_pair])
    return sums


def _draw(
    part: Sequence[tuple[int, Pair]],
    config: Config,
    settings: TrainSettings,
    step: int,
    predictor: Predictor,
    cache: Cache,
) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
    """Return latents, noise, times and text of pairs, first all winners, then all losers: (2B, ...)."""
    shape = cache.shape(part[0][1].winner.key)
    noises, jitters, uniform, flips, texts = [], [], [], [], []
    for place, pair in part:
        source = draws.generator(settings.seed, "pair", step, place)
        time_of, dropped, mirrored = torch.rand(3, generator=source).tolist()
        uniform.append(time_of)
        texts.append("" if dropped < (settings.prompt_dropout or 0.0) else pair.prompt)
        flips.append(config.flip and mirrored < 0.5)
        noises.append(draws.noise(shape, source))
        jitters.append(draws.noise(torch.Size([2, *shape]), source))
    keys = [*(pair.winner.key for _, pair in part), *(pair.loser.key for _, pair in part)]
    jitter = torch.stack(jitters).transpose(0, 1).flatten(0, 1)
    latents = cache.latents(keys, jitter, flips * 2)
    noise = torch.stack(noises * 2).to(latents.device)
    times = predictor.times(torch.tensor(uniform * 2)).to(latents.device)
    return latents, noise, times, cache.text(texts * 2)


def _figures(sums: Tensor, pairs: int) -> dict[str, float]:
    """Return the figures of a step from the sums over its pairs: loss, errors of policy and reference, and so on."""
    loss, winner, winner_before, loser, loser_before, right, wrong = sums.double().tolist()
    return {
        "loss": loss,
        "winner_error": winner / winner_before - 1,
        "loser_error": loser / loser_before - 1,
        "implicit_accuracy": right / pairs,
        "mean_sigma": wrong / pairs,  # sigma(-d): how much of the gradient is left
    }


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
    return said | {"snapshot_sha256": opening.snapshot_hash(snapshot), "method": "dpo"}


if __name__ == "__main__":
    from finetune.command import main

    main(Config, train)
