"""A project in the middle of its work: images, rankings of several days, one request under way and one that failed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from io import BytesIO

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from easel.accounts.models import User
from easel.accounts.roles import Role
from easel.accounts.services import create_token
from easel.annotation.access import assignment_for
from easel.annotation.gathering import gather
from easel.annotation.models import Annotation
from easel.annotation.services import submit
from easel.common import jobs
from easel.images.models import Candidate, GenerationRequest
from easel.images.services import claim_render, record_images
from easel.projects.models import Project
from easel.projects.services import change_project, invite
from easel.prompts.models import Prompt
from easel.prompts.parsing import parse_file
from easel.prompts.services import add_prompts
from PIL import Image, ImageDraw

from generation.storage import Storage
from generation.types import Failure, RenderedImage, RenderedImages, RenderRequest
from tests.browser.conftest import GUIDELINES
from tests.cast import CLAIM, Cast, claim, generate, lease, make_user, manifest

COLOURS = {
    "red": "#d13b34", "green": "#3a8f53", "blue": "#3567b5", "yellow": "#f0c43c", "purple": "#7a4ea3",
    "orange": "#e08a35", "white": "#f4f2ee", "pink": "#e7a3b5", "teal": "#3b8f8f",
}  # fmt: skip
OUT_OF_MEMORY = "The device ran out of memory at 64 x 64 pixels. Ask for smaller images or use a larger device."


def begin(cast: Cast) -> Cast:
    """alice's project has guidelines, wants two people an item, and has no prompts yet."""
    change_project(cast.project, name="Icons, round 2", guidelines=GUIDELINES)
    Project.objects.filter(pk=cast.project.pk).update(overlap=2)
    cast.project.refresh_from_db()
    return cast


def prompts_of(cast: Cast, count: int) -> list[Prompt]:
    """Add prompts of an icon on a background, some with a negative prompt, all with a column of metadata."""
    names = list(COLOURS)
    things = ("circle", "square", "triangle")
    lines = ["prompt,negative,style"]
    for n in range(count):
        colour, ground = names[n % len(names)], names[(n * 2 + 3) % len(names)]
        text = f"a flat icon of a {colour} {things[n % 3]} on a {ground} background no. {n}"
        lines.append(f"{text},{'blurry' if n % 4 == 0 else ''},flat")
    parsed = parse_file("prompts.csv", "\n".join(lines).encode(), 2**20)
    made, rejected = add_prompts(cast.project, parsed, timezone.now())
    assert not rejected
    return made


def icon(text: str, seed: int, size: int = 64) -> bytes:
    """Draw what a prompt of `prompts_of` says, a little differently for every seed."""
    words = text.split()
    colour, thing, ground = COLOURS[words[5]], words[6], COLOURS[words[9]]
    scale = 4
    image = Image.new("RGB", (size * scale, size * scale), ground)
    pen = ImageDraw.Draw(image)
    inset = (10 + seed % 12) * scale
    left, top, right, bottom = inset + seed // 7 % 9 * scale, inset, size * scale - inset, size * scale - inset
    if thing == "circle":
        pen.ellipse((left, top, right, bottom), fill=colour, outline="#222222", width=scale)
    elif thing == "square":
        pen.rounded_rectangle((left, top, right, bottom), 5 * scale, fill=colour, outline="#222222", width=scale)
    else:
        pen.polygon([((left + right) // 2, top), (right, bottom), (left, bottom)], fill=colour, outline="#222222")
    out = BytesIO()
    image.resize((size, size), Image.Resampling.LANCZOS).save(out, "PNG")
    return out.getvalue()


def drawn(request: RenderRequest) -> RenderedImages:
    """Draw the images of a job, and put their files into storage."""
    storage = Storage(request.storage_url)
    images = []
    for prompt in request.prompts:
        for slot in prompt.slots:
            content = icon(prompt.text, slot.seed)
            image = RenderedImage(
                prompt=prompt.id,
                position=slot.position,
                key=storage.put(content, "png"),
                sha256=sha256(content).hexdigest(),
                bytes=len(content),
                width=64,
                height=64,
                manifest=manifest(request, slot.seed).model_copy(update={"width": 64, "height": 64}),
            )
            images.append(image)
    return RenderedImages(lease=request.lease, images=tuple(images))


def work_off(cast: Cast) -> None:
    """Render all that waits, and gather it into items."""
    while request := claim_render(CLAIM, timezone.now()):
        record_images(drawn(request), timezone.now())
    gather(timezone.now(), cast.project)


def with_items(cast: Cast, count: int) -> Cast:
    """Make items that are ready to be ranked."""
    generate(cast, prompts_of(cast, count))
    work_off(cast)
    return cast


def fail_next(reason: str = OUT_OF_MEMORY) -> None:
    """A worker takes the next job and cannot do it."""
    failure = Failure(lease=claim().lease, code="out_of_memory", reason=reason, retryable=False)
    jobs.fail(failure, timezone.now())


def rank(
    cast: Cast, who: User, shape: str, why: str = "", *, seconds: float = 9.4, at: datetime | None = None
) -> Annotation:
    """Submit a ranking: "1234", "1(23)4" with a tie, "12" with the others unranked, "!1234" for none acceptable."""
    assignment = lease(cast.project, who)
    shown = [str(pk) for pk in assignment.shown_order]
    groups: list[list[str]] = []
    tied = False
    for mark in shape.removeprefix("!"):
        if mark in "()":
            tied = mark == "("
            groups += [[]] if tied else []
        elif tied:
            groups[-1].append(shown[int(mark) - 1])
        else:
            groups.append([shown[int(mark) - 1]])
    answers = {"ranking": groups, "all_bad": shape.startswith("!"), "rationale": why}
    with transaction.atomic():
        held = assignment_for(who, assignment.pk, lock=True)
        annotation, _ = submit(held, answers, int(seconds * 1000), timezone.now())
    if at:
        Annotation.objects.filter(pk=annotation.pk).update(created_at=at)
    return annotation


def busy(cast: Cast) -> Cast:
    """A project in the middle of its work."""
    with_items(begin(cast), 18)
    now = timezone.now()
    critic = make_user("critic", cast.project, kind=User.Kind.SIMULATED)
    for number in range(12):
        rank(cast, critic, "1234", seconds=0.8, at=now - timedelta(days=number % 7 * 2))
    for number in range(7):
        rank(cast, cast.bob, "1(23)4", seconds=6 + number, at=now - timedelta(days=number % 4, minutes=5))
    rank(cast, cast.bob, "!4321", "All of them miss the colour.", seconds=14.2, at=now - timedelta(minutes=3))
    rank(cast, cast.alice, "12", "The edge is clean.\nThe second one is too small.", seconds=75)
    rank(cast, cast.alice, "(12)(34)", seconds=8.1)
    invite(cast.project, Role.ANNOTATOR, cast.alice, Role.OWNER, now, days=7, max_uses=5)
    create_token(cast.alice, "export script on my laptop")
    return cast


def with_requests(cast: Cast) -> GenerationRequest:
    """One request failed in part, and one is under way: that one is returned."""
    prompts: Sequence[Prompt] = list(cast.project.prompts.order_by("id"))
    a_job = max(1, settings.CHUNK_IMAGES // 4)
    generate(cast, prompts[: 2 * a_job])
    fail_next()
    work_off(cast)
    running = generate(cast, prompts)
    for seconds in (9, 4):
        record_images(drawn(claim()), timezone.now() - timedelta(seconds=seconds))
    assert Candidate.objects.filter(request=running).count() == 2 * a_job * 4
    claim()
    return running
