"""The reward model: a network that learns from preferences how much an image would be liked for a prompt.

    python -m finetune.reward --snapshot SNAPSHOT_FOLDER --out OUTPUT_FOLDER [--clip CLIP_FOLDER]
    python -m finetune.reward finetune/configs/reward.yaml --steps 200

Bradley-Terry (1952) on `trl.RewardTrainer`: the chance that image a is put before b is sigmoid(r_a - r_b). Where people
disagree, the share p of those who preferred a is the label, so that a tie counts half; every prompt counts the same,
however many pairs it has; a margin can ask for more distance where people agree.

Image and text encoders come frozen from any local CLIP folder, or are small ones of our own, trained from nothing. What
it writes is one file, OUT/reward.safetensors (see `finetune.reward_model`). It scores images for evaluations and
unranked ones for reward-weighted regression. It is no judge of truth: what is trained against it learns to please it.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Any

from generation.env import quieten_libraries

quieten_libraries(hub_download=False)  # before the libraries below are imported

import torch  # noqa: E402
import yaml  # noqa: E402
from datasets import Dataset, disable_progress_bars  # noqa: E402
from torch import Tensor  # noqa: E402
from torch.nn import functional  # noqa: E402
from transformers import PreTrainedTokenizerFast, PrinterCallback, TrainerCallback  # noqa: E402
from transformers.trainer_utils import get_last_checkpoint  # noqa: E402
from trl import TrlParser  # type: ignore[attr-defined]  # noqa: E402  # trl exports lazily
from trl.trainer.reward_config import RewardConfig  # noqa: E402
from trl.trainer.reward_trainer import RewardTrainer  # noqa: E402

from finetune import reward_model, snapshot, words  # noqa: E402
from finetune.devices import memory_mb  # noqa: E402
from finetune.errors import (  # noqa: E402
    FinetuneError,
    NotANumberError,
    OutOfMemoryError,
    SnapshotEmptyError,
    WrongConfigError,
)
from finetune.outcome import OnPoint, Outcome  # noqa: E402
from finetune.pictures import open_picture, square  # noqa: E402
from finetune.types import MetricPoint, Preference, SnapshotImage, TrainSettings  # noqa: E402
from generation import memory  # noqa: E402

PATIENCE = 6  # checks of the held-out loss without a better one, after which training stops
IN_MEMORY = 2**30  # bytes of decoded pictures that are kept


@dataclass(frozen=True)
class Config:
    """Every knob. The same names in a YAML file and on the command line."""

    snapshot: str = field(metadata={"help": "Folder of a snapshot."})
    out: str = field(metadata={"help": "Folder for the checkpoints and reward.safetensors; a second start goes on."})
    clip: str = field(default="", metadata={"help": "Folder of a CLIP model to stand on; empty: encoders of our own."})
    steps: int = field(default=400, metadata={"help": "Optimizer steps, at most."})
    learning_rate: float = field(default=1e-3, metadata={"help": "Highest rate of AdamW, falling as a cosine."})
    batch: int = field(default=32, metadata={"help": "Pairs that one step learns from."})
    warmup_steps: int = field(default=20, metadata={"help": "Steps in which the rate rises from nothing."})
    margin: float = field(default=0.0, metadata={"help": "Distance asked for where all agree; less where they do not."})
    weight_decay: float = field(default=0.05, metadata={"help": "Of AdamW."})
    clip_norm: float = field(default=1.0, metadata={"help": "Largest norm of the gradient."})
    mirror: bool = field(default=True, metadata={"help": "Mirror the two images of a pair half of the time."})
    checkpoint_every: int = field(default=25, metadata={"help": "Steps between two checks of the held-out pairs."})
    seed: int = field(default=0, metadata={"help": "Seed of weights, order and mirroring."})


def config_of(snapshot_folder: Path, out: Path, settings: TrainSettings, clip: Path | None = None) -> Config:
    """Return a Config for the settings of a run, with our own defaults for what they leave open."""
    said = {
        "steps": settings.steps,
        "learning_rate": settings.learning_rate,
        "batch": settings.batch,
        "warmup_steps": settings.warmup_steps,
        "clip_norm": settings.clip,
        "checkpoint_every": settings.checkpoint_every,
        "seed": settings.seed,
    }
    config = Config(snapshot=str(snapshot_folder), out=str(out), clip=str(clip or ""))
    return replace(config, **{name: value for name, value in said.items() if value is not None})  # type: ignore[arg-type]


# -- what it learns from -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """Two images of one prompt, the more preferred first."""

    prompt: str
    chosen: SnapshotImage
    rejected: SnapshotImage
    preferred: float
    """Share of the judgements that prefer the first, 0.5 (a tie) to 1."""
    weight: float
    """Within its prompt; the weights of a prompt add up to 1."""


def pairs_of(preferences: Sequence[Preference]) -> list[Pair]:
    """Return the pairs of a split. Each prompt weighs 1 in all, shared out by the judgements behind its pairs."""
    totals: dict[str, float] = {}
    for one in preferences:
        totals[one.prompt] = totals.get(one.prompt, 0.0) + sum(one.pair_weights)
    pairs = []
    for one in preferences:
        for (a, b, p), weight in zip(one.pairs, one.pair_weights, strict=True):
            if weight > 0:
                first, second = (a, b) if p >= 0.5 else (b, a)
                share = weight / totals[one.prompt]
                pairs.append(Pair(one.prompt, one.images[first], one.images[second], max(p, 1 - p), share))
    return pairs


def read_pairs(folder: Path) -> tuple[list[Pair], list[Pair]]:
    """Return the pairs to learn from and the held-out ones. Raises SnapshotEmptyError where nothing can be learned."""
    learned, held_out = (pairs_of(list(snapshot.read(folder, split))) for split in ("train", "validation"))
    if not learned:
        raise SnapshotEmptyError(f"{folder.name} has no pairs to learn from. Take a snapshot of more rankings.")
    if all(pair.preferred == 0.5 for pair in learned):
        raise SnapshotEmptyError(f"{folder.name} holds ties only: no image is better than another. Collect rankings.")
    return learned, held_out


class Pictures:
    """The images of a snapshot as the network takes them, each decoded once while memory allows."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size = folder, size
        self._kept: dict[str, Tensor] = {}

    def __call__(self, image: SnapshotImage) -> Tensor:
        """Return (3, size, size) uint8. Raises SnapshotBrokenError, ImageUnreadableError."""
        if image.key in self._kept:
            return self._kept[image.key]
        pixels = square(open_picture(snapshot.image_bytes(self.folder, image), image.key), self.size)
        if len(self._kept) * pixels.numel() < IN_MEMORY:
            self._kept[image.key] = pixels
        return pixels


def collator(pairs: Sequence[Pair], pictures: Pictures) -> Callable[[list[dict[str, Any]]], dict[str, Tensor]]:
    """Return what makes a batch of rows: the chosen images first, then the rejected ones in the same order."""

    def collate(rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        batch = [pairs[row["pair"]] for row in rows]
        images = [pair.chosen for pair in batch] + [pair.rejected for pair in batch]
        ids, mask = words.pad([row["chosen_ids"] for row in rows] + [row["rejected_ids"] for row in rows])
        return {
            "pixels": torch.stack([pictures(image) for image in images]),
            "input_ids": ids,
            "attention_mask": mask,
            "preferred": torch.tensor([pair.preferred for pair in batch]),
            "weight": torch.tensor([row["weight"] for row in rows]),
        }

    return collate


def as_dataset(pairs: Sequence[Pair], tokenizer: Any, first: int = 0) -> Dataset:
    """Return rows with the tokens that TRL expects, and the pair's number; the weights have a mean of 1."""
    mean = sum(pair.weight for pair in pairs) / len(pairs)
    tokens = [words.ids(tokenizer, pair.prompt) for pair in pairs]
    return Dataset.from_dict(
        {
            "chosen_ids": tokens,
            "rejected_ids": tokens,
            "pair": list(range(first, first + len(pairs))),
            "weight": [pair.weight / mean for pair in pairs],
        }
    )


# -- the loss ----------------------------------------------------------------------------------------------------------


def bradley_terry(difference: Tensor, preferred: Tensor, margin: float = 0.0) -> Tensor:
    """Negative log likelihood of each pair (Bradley & Terry 1952), with soft labels and a margin; (B,) -> (B,).

    difference: reward of the first image minus that of the second. preferred: share p of those who prefer the first.
    The margin (Touvron et al. 2023, arXiv:2307.09288, eq. 2) is full where all agree and none at a tie.
    """
    asked = margin * (2 * preferred - 1)
    first, second = functional.logsigmoid(difference - asked), functional.logsigmoid(asked - difference)
    return -(preferred * first + (1 - preferred) * second)


class PreferenceTrainer(RewardTrainer):
    """TRL's trainer with the loss above: where all agree and all weights are 1, it is TRL's own."""

    def __init__(self, *, margin: float, mirror: bool, **others: Any) -> None:
        super().__init__(**others)
        self._margin, self._mirror = margin, mirror

    def compute_loss(
        self, model: Any, inputs: dict[str, Tensor], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        mode = "train" if model.training else "eval"
        pixels, preferred = inputs["pixels"], inputs["preferred"]
        if mode == "train" and self._mirror:
            turned = (torch.rand(len(preferred)) < 0.5).repeat(2).to(pixels.device)  # both images of a pair alike
            pixels = torch.where(turned[:, None, None, None], pixels.flip(3), pixels)
        outputs = model(pixels=pixels, input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
        chosen, rejected = outputs.logits.squeeze(1).float().chunk(2)
        loss = (inputs["weight"] * bradley_terry(chosen - rejected, preferred, self._margin)).mean()
        if not torch.isfinite(loss):
            raise NotANumberError(
                f"the loss is no number at step {self.state.global_step + 1}. The last checkpoint is kept. "
                "Lower learning_rate."
            )
        right = torch.where(chosen == rejected, 0.5, (chosen > rejected).float())[preferred > 0.5]
        if right.numel():  # a tie has no right answer, and a mean over nothing is none
            self._metrics[mode]["accuracy"].extend(right.tolist())
        return (loss, outputs) if return_outputs else loss

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """No card in a checkpoint; the model's own is written by whoever registers it."""


# -- the run -----------------------------------------------------------------------------------------------------------


class _Watch(TrainerCallback):
    """Reports figures, stops where held-out pairs are told apart no better, and listens to orders."""

    def __init__(self, config: Config, on_point: OnPoint | None, should_stop: Callable[[], bool] | None) -> None:
        self.config, self.on_point, self.should_stop = config, on_point, should_stop
        self.stopped, self.interrupted = "", False
        self.values: dict[str, float] = {}
        self._clock, self._since = time.monotonic(), 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._clock, self._since = time.monotonic(), state.global_step

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.should_stop and state.global_step < args.max_steps and self.should_stop():
            self.interrupted = control.should_training_stop = control.should_save = True

    def on_log(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        logs: dict[str, float] = others["logs"]
        names = {"loss": "loss", "accuracy": "accuracy", "learning_rate": "learning_rate"}
        names |= {"eval_loss": "held_out_loss", "eval_accuracy": "held_out_accuracy"}
        values = {name: float(logs[key]) for key, name in names.items() if key in logs}
        if "loss" in values:
            seconds = max(time.monotonic() - self._clock, 1e-9)
            values["images_per_s"] = 2 * self.config.batch * (state.global_step - self._since) / seconds
            values["memory_mb"] = memory_mb(args.device)
            self._clock, self._since = time.monotonic(), state.global_step
        if values:
            self.values |= values
            if self.on_point:
                self.on_point(MetricPoint(step=state.global_step, values=values))

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        losses = [(log["eval_loss"], log["step"]) for log in state.log_history if "eval_loss" in log]
        best, step = min(losses)
        if state.global_step < args.max_steps and len(losses) - 1 - losses.index((best, step)) >= PATIENCE:
            self.stopped = (
                f"the held-out loss has not fallen for {PATIENCE} checks; the weights of step {step} are kept"
            )
            control.should_training_stop = True


def train(config: Config, *, on_point: OnPoint | None = None, should_stop: Callable[[], bool] | None = None) -> Outcome:
    """Train a reward model, or go on from the last checkpoint in `config.out`; keep the weights best on held-out pairs.

    Raises SnapshotEmptyError, SnapshotBrokenError, WrongBaseError, WrongConfigError, NotANumberError, OutOfMemoryError.
    """
    began = time.monotonic()
    out = Path(config.out)
    checkpoints = out / "checkpoints"
    learned, held_out = read_pairs(Path(config.snapshot))
    _same_run(config, out)
    disable_progress_bars()
    clip = Path(config.clip) if config.clip else None
    scorer = reward_model.fresh([pair.prompt for pair in learned], clip, config.seed)
    has_cuda = torch.cuda.is_available()
    watch = _Watch(config, on_point, should_stop)
    every = min(config.checkpoint_every, config.steps)
    trainer = PreferenceTrainer(
        margin=config.margin,
        mirror=config.mirror,
        model=scorer.model,
        processing_class=PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
            tokenizer_object=scorer.tokenizer, pad_token=scorer.tokenizer.id_to_token(0)
        ),
        train_dataset=as_dataset(learned, scorer.tokenizer),
        eval_dataset=as_dataset(held_out, scorer.tokenizer, len(learned)) if held_out else None,
        data_collator=collator([*learned, *held_out], Pictures(Path(config.snapshot), scorer.model.config.size)),
        callbacks=[watch],
        args=RewardConfig(
            output_dir=str(checkpoints),
            max_steps=config.steps,
            learning_rate=config.learning_rate,
            warmup_steps=config.warmup_steps,
            lr_scheduler_type="cosine",
            weight_decay=config.weight_decay,
            max_grad_norm=config.clip_norm,
            per_device_train_batch_size=config.batch,
            per_device_eval_batch_size=max(config.batch, 64),
            logging_steps=min(5, every),
            eval_strategy="steps" if held_out else "no",
            eval_steps=every,
            save_strategy="steps",
            save_steps=every,
            save_total_limit=2,
            load_best_model_at_end=bool(held_out),
            metric_for_best_model="eval_loss" if held_out else None,
            greater_is_better=False if held_out else None,
            remove_unused_columns=False,  # the collator needs those that TRL does not know
            max_length=None,
            activation_checkpointing=False,
            disable_dropout=False,
            bf16=has_cuda,
            use_cpu=not has_cuda,
            dataloader_pin_memory=has_cuda,
            report_to="none",
            disable_tqdm=True,
            logging_nan_inf_filter=False,
            seed=config.seed,
            data_seed=config.seed,
        ),
    )
    trainer.remove_callback(PrinterCallback)  # the figures are on_point's
    last = get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None  # type: ignore[no-untyped-call]
    try:
        trainer.train(resume_from_checkpoint=last)
    except (RuntimeError, MemoryError) as error:
        if not memory.is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"{config.batch} pairs at once do not fit into the memory. Lower batch, or choose a smaller CLIP model."
        ) from error
    path = out / reward_model.FILE
    best = trainer.state.best_global_step if held_out and not watch.interrupted else None
    if held_out and not watch.interrupted:
        watch.values |= _best_figures(trainer.state.log_history, best)
    reward_model.save(scorer, path)
    return Outcome(
        adapter=path,
        steps=best or trainer.state.global_step,
        stopped=watch.stopped,
        interrupted=watch.interrupted,
        values=watch.values | {"seconds": time.monotonic() - began},
        settings=TrainSettings(
            steps=config.steps,
            learning_rate=config.learning_rate,
            batch=config.batch,
            warmup_steps=config.warmup_steps,
            clip=config.clip_norm,
            checkpoint_every=config.checkpoint_every,
            seed=config.seed,
        ),
        device=torch.cuda.get_device_name() if has_cuda else "cpu",
    )


def _best_figures(history: Sequence[dict[str, float]], step: int | None) -> dict[str, float]:
    """Return the held-out figures of the weights that are kept, which need not be the last ones."""
    found = next((log for log in history if log.get("step") == step and "eval_loss" in log), {})
    names = {"eval_loss": "held_out_loss", "eval_accuracy": "held_out_accuracy"}  # of ties only, there is no accuracy
    return {name: found[key] for key, name in names.items() if key in found}


def _same_run(config: Config, out: Path) -> None:
    """Remember what this run is; raise WrongConfigError where the folder holds another."""
    identity = {name: value for name, value in asdict(config).items() if name not in {"out", "snapshot"}}
    identity["snapshot"] = snapshot.manifest_of(Path(config.snapshot)).sha256
    file = out / "run.json"
    if file.exists():
        for name, value in json.loads(file.read_text(encoding="utf-8")).items():
            if value != identity[name]:
                raise WrongConfigError(
                    f"{out} holds a run with {name} {value}, and this one has {identity[name]}. Choose another folder, "
                    "or the same settings to go on."
                )
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(identity, indent=1) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the command line says, figures as JSON lines. Return 0, or 2 after a refusal in one line.

    SIGTERM or Ctrl-C ends it at the next step, with a checkpoint.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and not given[0].startswith("-"):
        given.insert(0, "--config")
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def show(point: MetricPoint) -> None:
        figures = {name: float(f"{value:.5g}") for name, value in point.values.items()}
        sys.stdout.write(json.dumps({"step": point.step} | figures) + "\n")
        sys.stdout.flush()

    parser: Any = TrlParser
    try:
        (config,) = parser(Config).parse_args_and_config(given)
    except (ValueError, OSError, yaml.YAMLError) as error:
        sys.stderr.write(f"the configuration cannot be read: {' '.join(str(error).split())}\n")
        return 2
    try:
        outcome = train(config, on_point=show, should_stop=stop.is_set)
    except FinetuneError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    ended = outcome.stopped or ("told to stop; the same command goes on from here" if outcome.interrupted else "")
    sys.stderr.write(f"{outcome.adapter}: {outcome.steps} steps{'; ' if ended else ''}{ended}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
