"""The tour's contact sheet: what the model made before it was taught, and after, from the same seeds."""

from __future__ import annotations

from collections import defaultdict
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from easel.common.storage import storage
from easel.evaluation.models import Evaluation
from easel.images.models import Candidate

ROWS = 12  # prompts
SIDE = 96  # pixels
GAP = 8
CAPTION = 18
WIDTH = 320  # of a side, at least: the words above it need it
PAPER, INK, QUIET = "#ffffff", "#1a1a1a", "#666666"


def contact_sheet(evaluation: Evaluation, target: Path) -> None:
    """Write a PNG with a row for each of some prompts: the images of A at the left, those of B at the right."""
    images: dict[str, dict[object, list[Candidate]]] = defaultdict(lambda: defaultdict(list))
    for one in Candidate.objects.filter(request=evaluation.request_id).select_related("prompt").order_by("position"):
        images[one.prompt.text][one.model_id].append(one)
    rows = sorted(images.items())
    rows = rows[:: max(1, len(rows) // ROWS)][:ROWS]
    columns = max((len(of[evaluation.a_id]) for _, of in rows), default=0)
    half = max(columns * (SIDE + GAP), WIDTH)
    font = ImageFont.load_default(size=12)
    sheet = Image.new("RGB", (2 * half + 3 * GAP, CAPTION + GAP + len(rows) * (SIDE + CAPTION + GAP)), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((GAP, 4), f"before: {evaluation.a.name}", INK, font)
    pen.text((2 * GAP + half, 4), f"after: {evaluation.b.name}", INK, font)
    for number, (prompt, of) in enumerate(rows):
        top = CAPTION + GAP + number * (SIDE + CAPTION + GAP)
        pen.text((GAP, top), prompt, QUIET, font)
        for left, model in ((GAP, evaluation.a_id), (2 * GAP + half, evaluation.b_id)):
            for place, one in enumerate(of[model][:columns]):
                with Image.open(BytesIO(storage().read(one.key))) as picture:
                    small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
                sheet.paste(small, (left + place * (SIDE + GAP), top + CAPTION))
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(target, "PNG", optimize=True)
