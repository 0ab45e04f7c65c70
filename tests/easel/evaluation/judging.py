"""The training worker that measures images, played: it sees in a picture what its first colour says."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from django.utils import timezone
from easel.evaluation.scoring import claim_scores, record_scores
from easel.registry.models import ModelVersion
from easel.registry.services import register_folder
from PIL import Image

from finetune.types import ImageScore, ScoreImage, ScoreRequest, ScoreResult, TrainClaim
from generation.storage import Storage
from tests.cast import make_model_folder

WORKER = TrainClaim(worker="a test")
Eye = Callable[[ScoreImage, bytes], dict[str, float]]


def icons(model_folders: Path, name: str = "Icons", folder: str = "easel-icons") -> ModelVersion:
    """Register the built-in model's folder (or another one)."""
    make_model_folder(model_folders / folder)
    return register_folder(name, folder, "Apache-2.0", timezone.now())


def colours(image: ScoreImage, content: bytes) -> dict[str, float]:
    """Measure a drawn picture by its colour: red is 3d, blue is a right subject, green is a coloured background."""
    with Image.open(BytesIO(content)) as opened:
        red, green, blue = opened.convert("RGB").getpixel((0, 0))  # type: ignore[misc]  # RGB has three
    seen = {"subject": float(blue % 2), "style": float(red % 2), "background": float(green % 2)}
    return {**seen, "is_3d": red / 255, "warmth": (red - blue) / 255, "coloured_background": float(green > 127)}


def measure(request: ScoreRequest, eye: Eye = colours, diversity: float | None = 0.25) -> ScoreResult:
    """Measure a request's images."""
    storage = Storage(request.storage_url)
    if request.reward_model is not None:
        eye = lambda image, content: {"reward": colours(image, content)["is_3d"]}  # noqa: E731
    scores = tuple(ImageScore(id=one.id, values=eye(one, storage.read(one.key))) for one in request.images)
    return ScoreResult(lease=request.lease, scores=scores, diversity=diversity)


def measure_all(eye: Eye = colours) -> int:
    """Measure all that waits; return how many jobs that was."""
    done = 0
    while request := claim_scores(WORKER, timezone.now()):
        record_scores(measure(request, eye), timezone.now())
        done += 1
    return done
