"""What each method learns from the same labels: listwise, pairs (DPO) and reward-weighted regression, side by side.

    python -m tests.benchmarks.methods --seeds 3 --json methods.json

The built-in model makes four candidates of each prompt. Simulated annotators who like one style rank them with 20 %
noise, as `easel simulate` does. Each method learns from the same snapshot with its default settings, and paints
held-out prompts from the same seeds as the base. A comparison is won by the image that a judge of that taste, without
noise, likes more; what the prompts say, and how far the images of one prompt are apart, the other judge measures
(finetune/judges).
The platform is left out: `easel tour` goes the same way through it. Half an hour a seed on two CPU cores.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import io
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from easel.evaluation.tastes import TASTES, ranking
from easel.preferences.aggregate import aggregate
from easel.preferences.intervals import win_rate
from PIL import Image

from finetune import score, snapshot
from finetune.types import (
    Judge,
    Judgement,
    Preference,
    ScoreImage,
    ScoreRequest,
    SnapshotImage,
    TrainSettings,
)
from generation.storage import Storage
from generation.types import Lease

REPOSITORY = Path(__file__).resolve().parents[2]
BASE = REPOSITORY / "generation" / "builtin" / "easel-icons"
PROMPTS = REPOSITORY / "platform" / "easel" / "tour" / "prompts.csv"
METHODS = ("listwise", "dpo", "rwr")
CANDIDATES = 4
ANNOTATORS = 4
NOISE, TIES = 0.2, 0.1
VARIED, COMPARED = 1.0, 1.5  # guidance of the candidates, and of the comparison
SIDE = 64  # pixels
ATTRIBUTES = ("subject", "style", "colour", "background")


@dataclass(frozen=True)
class Picture:
    """A picture in storage, and what it was to show."""

    prompt: str
    key: str


def paint(pipe: Any, prompts: Sequence[str], guidance: float, first_seed: int, storage: Storage) -> list[Picture]:
    """Paint CANDIDATES pictures of each prompt, in their order."""
    flat = [(prompt, first_seed + place) for place, prompt in enumerate(p for p in prompts for _ in range(CANDIDATES))]
    made = []
    for start in range(0, len(flat), 16):
        part = flat[start : start + 16]
        drawn = pipe(
            [prompt for prompt, _ in part],
            num_inference_steps=8,
            guidance_scale=guidance,
            generator=[torch.Generator().manual_seed(seed) for _, seed in part],
        ).images
        for (prompt, _), picture in zip(part, drawn, strict=True):
            file = io.BytesIO()
            picture.save(file, "PNG")
            made.append(Picture(prompt, storage.put(file.getvalue(), "png")))
    return made


def measure(pictures: Sequence[Picture], judge: Judge, storage: Storage) -> tuple[list[dict[str, float]], float]:
    """Return what a judge sees in each picture, and how far the pictures of one prompt are apart."""
    request = ScoreRequest(
        lease=Lease(job=UUID(int=0), token=UUID(int=0), attempt=1),
        judge=judge,
        images=tuple(ScoreImage(id=UUID(int=n), key=one.key, prompt=one.prompt) for n, one in enumerate(pictures)),
        storage_url=storage.url,
    )
    found = score.score(request, storage)
    values = {one.id.int: one.values for one in found.scores}
    return [values[number] for number in range(len(pictures))], found.diversity or 0.0


def judged(pictures: Sequence[Picture], taste: str, seed: int, storage: Storage) -> list[Preference]:
    """Have the simulated annotators rank the candidates of each prompt; one item in twenty is for validation."""
    values, _ = measure(pictures, "taste", storage)
    rows = []
    for start in range(0, len(pictures), CANDIDATES):
        part, seen = pictures[start : start + CANDIDATES], values[start : start + CANDIDATES]
        judgements = tuple(
            Judgement(
                annotator=f"simulated-{person}",
                groups=tuple(
                    tuple(group) for group in ranking(seen, taste, NOISE, TIES, Random(f"{seed}/{person}/{start}"))
                ),
                simulated=True,
            )
            for person in range(ANNOTATORS)
        )
        together = aggregate(CANDIDATES, judgements)
        rows.append(
            Preference(
                item=uuid4(),
                split="validation" if start // CANDIDATES % 20 == 0 else "train",
                prompt=part[0].prompt,
                images=tuple(
                    SnapshotImage(
                        candidate=uuid4(), key=one.key, sha256=Path(one.key).stem, width=SIDE, height=SIDE, model="base"
                    )
                    for one in part
                ),
                judgements=judgements,
                strengths=together.strengths,
                pairs=together.pairs,
                pair_weights=together.pair_weights,
            )
        )
    return rows


def compare(before: Sequence[Picture], after: Sequence[Picture], taste: str, storage: Storage) -> dict[str, float]:
    """Return the win rate of `after` with its interval, and its fidelity and diversity by those of `before`."""
    liked = [[TASTES[taste].utility(one) for one in measure(side, "taste", storage)[0]] for side in (before, after)]
    gain = np.array(liked[1]) - np.array(liked[0])
    scores = np.where(np.abs(gain) < TIES, 0.5, (gain > 0).astype(float))
    rate = win_rate(scores, [one.prompt for one in before])
    assert rate.estimate is not None
    assert rate.low is not None
    assert rate.high is not None
    fidelity, apart = [], []
    for side in (before, after):
        values, diversity = measure(side, "referee", storage)
        right = [one[name] for one in values for name in ATTRIBUTES if name in one]
        fidelity.append(float(np.mean(right)))
        apart.append(diversity)
    return {
        "win_rate": rate.estimate,
        "low": rate.low,
        "high": rate.high,
        "fidelity_ratio": fidelity[1] / fidelity[0],
        "diversity_ratio": apart[1] / apart[0],
    }


def contact_sheet(before: Sequence[Picture], after: Sequence[Picture], storage: Storage, target: Path) -> None:
    """Write the first twelve prompts' pictures, before at the left and after at the right."""
    sheet = Image.new("RGB", ((2 * CANDIDATES) * SIDE + 8, 12 * SIDE), "white")
    for side, left in ((before, 0), (after, CANDIDATES * SIDE + 8)):
        for place, one in enumerate(side[: 12 * CANDIDATES]):
            with Image.open(io.BytesIO(storage.read(one.key))) as picture:
                sheet.paste(picture, (left + place % CANDIDATES * SIDE, place // CANDIDATES * SIDE))
    sheet.save(target)


def base() -> Any:
    """Return the built-in model, as it is shipped."""
    pipe = StableDiffusionPipeline.from_pretrained(BASE, torch_dtype=torch.float32)  # type: ignore[no-untyped-call]
    pipe.set_progress_bar_config(disable=True)
    return pipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--taste", choices=[name for name, one in TASTES.items() if one.measure], default="3d")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--items", type=int, default=125, help="prompts to learn from")
    parser.add_argument("--held-out", type=int, default=60, help="prompts to compare on")
    parser.add_argument("--steps", type=int, help="optimizer steps; the default of each method if left out")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheets", type=Path, help="folder for contact sheets")
    arguments = parser.parse_args()
    with PROMPTS.open(newline="") as file:
        rows = list(csv.DictReader(file))
    train = [row["prompt"] for row in rows if row["held_out"] == "no"][: arguments.items]
    held_out = [row["prompt"] for row in rows if row["held_out"] == "yes"][: arguments.held_out]
    found: list[dict[str, Any]] = []
    print(f"{'method':10} seed   win rate             fidelity  diversity  steps  seconds")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        storage = Storage(f"file://{work / 'storage'}")
        pipe = base()
        before = paint(pipe, held_out, COMPARED, 500_000, storage)
        for seed in range(arguments.seeds):
            candidates = paint(pipe, train, VARIED, 10_000 * (seed + 1), storage)
            said = judged(candidates, arguments.taste, seed, storage)
            labels = work / f"snapshot-{seed}"
            snapshot.write(labels, said, storage, snapshot.Facts(name=f"seed {seed}", include_simulated=True))
            for method in arguments.methods:
                trainer = importlib.import_module(f"finetune.{method}")
                out = work / f"{method}-{seed}"
                outcome = trainer.train(
                    trainer.Config(base=str(BASE), snapshot=str(labels), out=str(out)),
                    TrainSettings(seed=seed, steps=arguments.steps),
                )
                taught = base()
                taught.load_lora_weights(str(out))
                after = paint(taught, held_out, COMPARED, 500_000, storage)
                figures = compare(before, after, arguments.taste, storage)
                seconds = outcome.values["seconds"]
                found.append({"method": method, "seed": seed, "steps": outcome.steps, "seconds": seconds} | figures)
                rate = "{win_rate:.3f} ({low:.3f}, {high:.3f})".format(**figures)
                beside = "{fidelity_ratio:8.3f}  {diversity_ratio:9.3f}".format(**figures)
                print(f"{method:10} {seed:4}   {rate}  {beside}  {outcome.steps:5}  {seconds:7.0f}", flush=True)
                if arguments.sheets:
                    arguments.sheets.mkdir(parents=True, exist_ok=True)
                    contact_sheet(before, after, storage, arguments.sheets / f"{method}-{seed}.png")
                if arguments.json:
                    arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
