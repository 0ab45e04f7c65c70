"""Listwise fine-tuning: teach a model by whole rankings, as Plackett-Luce chose them with implicit rewards for worths.

    python -m finetune.listwise finetune/configs/listwise.yaml --snapshot FOLDER --out FOLDER --beta 1000
    accelerate launch --num_processes 4 -m finetune.listwise finetune/configs/listwise.yaml ...

What Diffusion-DPO is for pairs (Wallace et al. 2023, arXiv:2311.12908), this is for three images and more: one forward
pass an image, where all pairs of K would need K - 1. At K = 2 it is Diffusion-DPO. A LoRA adapter is trained; switched
off, the same network is the reference. All images of an item get the same time and noise. The same command goes on from
the last checkpoint after a stop.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from torch import Tensor

from finetune import adapters, checkpoints, defaults, devices, draws, losses, opening, samples
from finetune.caching import Cache, common_size
from finetune.checkpoints import Checkpoint
from finetune.devices import Room
from finetune.errors import FinetuneError, NotANumberError, SnapshotEmptyError, WorseThanBaseError, WrongMethodError
from finetune.held_out import ROWS, HeldOut
from finetune.outcome import OnGrid, OnPoint, Outcome
from finetune.prediction import Predictor, errors, predictor_of
from finetune.schedule import learning_rate
from finetune.types import Judgement, MetricPoint, Preference, SamplePrompt, SnapshotImage, TrainSettings
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
    flip: bool = field(default=False, metadata={"help": "Mirror half of the rankings."})
    width: int | None = field(default=None, metadata={"help": "Pixels; by default what most images have."})
    height: int | None = field(default=None, metadata={"help": "Pixels; by default what most images have."})
    images_at_once: int = field(default=16, metadata={"help": "Images in one forward pass; fewer need less memory."})
    cache_on_disk: bool = field(default=False, metadata={"help": "Keep latents and embeddings in OUT, not in memory."})


@dataclass(frozen=True)
class Ranking:
    """The images of one item, and how each annotator ranked them."""

    prompt: str
    images: tuple[SnapshotImage, ...]
    ranks: tuple[tuple[int, ...], ...]
    """Of each judgement, or each chain that it gives, the rank of each image, as `losses.plackett_luce` takes them."""
    weights: tuple[float, ...]
    """Of each of the ranks."""
    pairs: tuple[tuple[int, int], ...]
    """Preferred image and other of each pair on which the judgements together decide."""


def rankings_of(rows: Iterable[Preference]) -> list[Ranking]:
    """Return the rankings of a snapshot's rows, without judgements that order nothing or call everything bad."""
    found = []
    for row in rows:
        judgements = [one for one in row.judgements if one.weight > 0 and not one.all_bad and len(one.groups) > 1]
        if judgements:
            told = [chain for one in judgements for chain in _chains(one)]
            ranks = tuple(tuple(losses.ranks_of(groups, len(row.images))) for groups, _ in told)
            pairs = tuple((a, b) if share > 0.5 else (b, a) for a, b, share in row.pairs if share != 0.5)
            found.append(Ranking(row.prompt, row.images, ranks, tuple(weight for _, weight in told), pairs))
    return found


def _chains(judgement: Judgement) -> Iterator[tuple[Sequence[Sequence[int]], float]]:
    """Yield the groups that a judgement orders, each with its weight.

    Images that share a group without being equal were not compared: each chain takes one image of each group, as best >
    m > worst for every m between, and the chains share the judgement's weight.
    """
    if judgement.ties_are_equal:
        yield judgement.groups, judgement.weight
        return
    number = math.prod(map(len, judgement.groups))
    for chain in product(*judgement.groups):
        yield [(image,) for image in chain], judgement.weight / number


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
    settings = defaults.fill("listwise", weights, settings)
    identity = _identity(config, settings, snapshot)

    rankings = rankings_of(opening.read_rows(snapshot, "train"))
    if not rankings:
        raise SnapshotEmptyError(
            f"snapshot {snapshot.name}: no judgement of its training rows orders two images, so nothing is learned. "
            "Collect rankings that are not all ties, or widen the snapshot's filters."
        )
    if all(len(ranking.images) < 3 for ranking in rankings):
        raise WrongMethodError(
            f"snapshot {snapshot.name}: listwise learns from rankings of three images or more, and all {len(rankings)} "
            "of its training rows compare two. Choose dpo, which is the same for pairs."
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

    ranked = [image for ranking in rankings for image in ranking.images]
    images = [*ranked, *(image for row in unseen for image in row.images)]
    width, height = common_size(((image.width, image.height) for image in ranked), loaded.size_factor)
    size = (config.width or width, config.height or height)
    cache = Cache(loaded, snapshot, size, out / "cache" if config.cache_on_disk else None)
    texts = [*(ranking.prompt for ranking in rankings), *(row.prompt for row in unseen)]
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
        numbers = draws.batch(len(rankings), batch, settings.seed, step)
        chosen = [rankings[number] for number in numbers]
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
        figures = _figures(sums)
        if not all(map(math.isfinite, (*figures.values(), float(norm)))):
            stopped = f"the loss of step {step + 1} is no number"
            here = _last_good(folder, predictor, step, NotANumberError, stopped, settings)
            break
        optimizer.step()
        step += 1
        seconds = time.monotonic() - started
        values = figures | {
            "learning_rate": optimizer.param_groups[0]["lr"],
            "images_per_s": sum(len(one.images) for one in chosen) / seconds,
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
    rankings: Sequence[Ranking],
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
    total = sum(sum(ranking.weights) for ranking in rankings)
    sums = torch.zeros(8, device=state.device)
    for part in _that_fit(devices.share_of(list(enumerate(rankings)), state), room.images):
        inputs = _draw(part, config, settings, step, predictor, cache)

        def error_of(images: slice, inputs: tuple[Tensor, Tensor, Tensor, dict[str, Tensor]] = inputs) -> Tensor:
            latents, noise, times, text = inputs
            words = {name: one[images] for name, one in text.items()}
            with devices.autocast(latents.device):
                return errors(predictor.residual(latents[images], noise[images], times[images], words))

        count = len(inputs[0])
        with adapters.reference(predictor.network):
            reference = torch.cat(room.in_parts(count, error_of))
        policy = backward(
            error_of,
            count,
            lambda policy, part=part, reference=reference: _loss(part, policy, reference, settings) / total,  # type: ignore[misc]
            room.images,
        )
        sums += _sums(part, policy, reference, settings, total)
    return sums


def backward(
    error_of: Callable[[slice], Tensor], count: int, loss_of: Callable[[Tensor], Tensor], at_once: int
) -> Tensor:
    """Put the gradient of a loss of `count` images' errors into the parameters; return the errors, (count,).

    Where they do not all fit, in two passes, which give the same gradient: the errors without one, and of them
    c_k = dloss / derror_k; then the gradient of sum c_k error_k, a few images at a time.
    """
    if count <= at_once:
        errors_now = error_of(slice(0, count))
        loss_of(errors_now).backward()  # type: ignore[no-untyped-call]
        return errors_now.detach()
    parts = [slice(start, min(count, start + at_once)) for start in range(0, count, at_once)]
    with torch.no_grad():
        errors_now = torch.cat([error_of(part) for part in parts])
    errors_now.requires_grad_()
    (coefficients,) = torch.autograd.grad(loss_of(errors_now), errors_now)
    for part in parts:
        (coefficients[part] * error_of(part)).sum().backward()  # type: ignore[no-untyped-call]
    return errors_now.detach()


def _that_fit(rankings: Sequence[tuple[int, Ranking]], images: int) -> list[list[tuple[int, Ranking]]]:
    """Return the rankings in parts of at most so many images; a larger ranking is a part of its own."""
    parts: list[list[tuple[int, Ranking]]] = []
    room = 0
    for place, ranking in rankings:
        if not parts or len(ranking.images) > room:
            parts.append([])
            room = images
        parts[-1].append((place, ranking))
        room -= len(ranking.images)
    return parts


def _loss(part: Sequence[tuple[int, Ranking]], policy: Tensor, reference: Tensor, settings: TrainSettings) -> Tensor:
    """Return the weighted sum of the losses of rankings. policy, reference: errors of their images in a row."""
    rewards = losses.implicit_reward(policy, reference, settings.beta or 1.0)
    loss = torch.zeros((), device=rewards.device)
    for (_, ranking), own in zip(part, torch.split(rewards, [len(one.images) for _, one in part]), strict=True):
        ranks = torch.tensor(ranking.ranks, device=rewards.device)
        weights = torch.tensor(ranking.weights, device=rewards.device)
        loss = loss + (weights * losses.plackett_luce(own.expand(len(ranks), -1), ranks)).sum()
    return loss


def _sums(
    part: Sequence[tuple[int, Ranking]], policy: Tensor, reference: Tensor, settings: TrainSettings, total: float
) -> Tensor:
    """Return what `_figures` needs: the loss, and sums over pairs of what DPO's figures are made of."""
    winners, losers, start = [], [], 0
    for _, ranking in part:
        winners += [start + winner for winner, _ in ranking.pairs]
        losers += [start + loser for _, loser in ranking.pairs]
        start += len(ranking.images)
    rewards = losses.implicit_reward(policy, reference, settings.beta or 1.0)
    ahead = rewards[winners] - rewards[losers]
    right = (ahead > 0).float() + 0.5 * (ahead == 0).float()
    per_pair = [policy[winners], reference[winners], policy[losers], reference[losers], right, torch.sigmoid(-ahead)]
    pairs = torch.tensor(float(len(winners)), device=policy.device)
    return torch.stack([_loss(part, policy, reference, settings) / total, *(one.sum() for one in per_pair), pairs])


def _draw(
    part: Sequence[tuple[int, Ranking]],
    config: Config,
    settings: TrainSettings,
    step: int,
    predictor: Predictor,
    cache: Cache,
) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
    """Return latents, noise, times and text of the images of rankings, one ranking after another: (N, ...)."""
    shape = cache.shape(part[0][1].images[0].key)
    noises, jitters, uniform, flips, texts = [], [], [], [], []
    for place, ranking in part:
        source = draws.generator(settings.seed, "ranking", step, place)
        time_of, dropped, mirrored = torch.rand(3, generator=source).tolist()
        count = len(ranking.images)
        uniform += [time_of] * count
        texts += ["" if dropped < (settings.prompt_dropout or 0.0) else ranking.prompt] * count
        flips += [config.flip and mirrored < 0.5] * count
        noises.append(draws.noise(shape, source).expand(count, *shape))
        jitters.append(draws.noise(torch.Size([count, *shape]), source))
    keys = [image.key for _, ranking in part for image in ranking.images]
    latents = cache.latents(keys, torch.cat(jitters), flips)
    noise = torch.cat(noises).to(latents.device)
    times = predictor.times(torch.tensor(uniform)).to(latents.device)
    return latents, noise, times, cache.text(texts)


def _figures(sums: Tensor) -> dict[str, float]:
    """Return the figures of a step from the sums over its rankings' pairs."""
    loss, winner, winner_before, loser, loser_before, right, wrong, pairs = sums.double().tolist()
    if not pairs:  # judgements that contradict each other decide on none
        return {"loss": loss}
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
    return said | {"snapshot_sha256": opening.snapshot_hash(snapshot), "method": "listwise"}


if __name__ == "__main__":
    from finetune.command import main

    main(Config, train)
