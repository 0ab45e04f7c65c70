"""The command line of the trainers: a YAML file with every knob, and options that overrule it.

python -m finetune.dpo finetune/configs/dpo.yaml --learning_rate 1e-4
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import yaml
from PIL import Image
from pydantic import ValidationError

from finetune.errors import FinetuneError, WrongConfigError
from finetune.types import MetricPoint, SamplePrompt, TrainSettings
from generation.types import RenderSettings

_HELP = "See finetune.types.TrainSettings; empty: what fits the base."


def parse(config: type[Any], arguments: Sequence[str]) -> tuple[Any, TrainSettings, list[str]]:
    """Return a trainer's config, the settings, and the prompts of its samples. Raises WrongConfigError."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    from trl.scripts.utils import TrlParser

    given = list(arguments)
    if given and not given[0].startswith("-"):
        given.insert(0, "--config")
    knobs = dataclasses.make_dataclass(
        "Knobs",
        [
            (name, field.annotation, dataclasses.field(default=field.default, metadata={"help": _HELP}))
            for name, field in TrainSettings.model_fields.items()
        ],
    )
    painted = dataclasses.make_dataclass(
        "Painted",
        [("samples", list[str], dataclasses.field(default_factory=list, metadata={"help": "Prompts of the samples."}))],
    )
    kinds: Any = [config, knobs, painted]
    parser = TrlParser(dataclass_types=kinds)
    try:
        read, said, prompts = parser.parse_args_and_config(given)
        return read, TrainSettings.model_validate(vars(said)), list(prompts.samples)
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(map(str, problem["loc"]))
        raise WrongConfigError(f"{name}: {problem['msg']} (got {problem['input']!r})") from error
    except (ValueError, OSError, yaml.YAMLError) as error:
        raise WrongConfigError(f"the configuration cannot be read: {' '.join(str(error).split())}") from error


def main(config: type[Any], train: Callable[..., Any], arguments: Sequence[str] | None = None) -> None:
    """Train as the command line says: figures as JSON lines, samples into OUT/samples.

    SIGTERM or Ctrl-C ends it at the next step, with a checkpoint. A refusal is one line and exit status 2.
    """
    from accelerate import PartialState

    from finetune import devices

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def on_point(point: MetricPoint) -> None:
        figures = {name: float(f"{value:.5g}") for name, value in point.values.items()}
        sys.stdout.write(json.dumps({"step": point.step} | figures) + "\n")
        sys.stdout.flush()

    try:
        read, settings, prompts = parse(config, sys.argv[1:] if arguments is None else arguments)

        def on_grid(step: int, images: Sequence[Image.Image]) -> None:
            folder = Path(read.out) / "samples"
            folder.mkdir(parents=True, exist_ok=True)
            for number, image in enumerate(images):
                image.save(folder / f"step-{step:06d}-{number}.png")

        outcome = train(
            read,
            settings,
            samples_of=[SamplePrompt(text=text, seed=number) for number, text in enumerate(prompts)],
            sample_settings=RenderSettings(),
            on_point=on_point,
            on_grid=on_grid,
            should_stop=stop.is_set,
        )
    except FinetuneError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
    except (RuntimeError, MemoryError) as error:
        if (full := devices.full_memory(error)) is None:
            raise
        sys.stderr.write(f"{full}\n")
        raise SystemExit(2) from None
    if PartialState().is_main_process:
        ended = outcome.stopped or ("told to stop; the same command goes on from here" if outcome.interrupted else "")
        sys.stderr.write(f"{outcome.adapter}: {outcome.steps} steps{'; ' if ended else ''}{ended}\n")
