"""The fixed cast of the tests, and what they do through the true services.

alice owns the project "Icons"; bob ranks in it, dave is its engineer, erin its admin. charlie is a stranger to it: he
owns "Zebras". The rendering worker is played by `render`: it draws small real PNG files into the real storage, and
speaks through the same contracts as the true one.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import Barrier
from typing import Any, TypeVar

from django.db import connections, transaction
from django.utils import timezone
from easel.accounts.models import User
from easel.accounts.roles import Role
from easel.accounts.services import create_token, create_user
from easel.annotation import services as annotation
from easel.annotation.access import assignment_for
from easel.annotation.gathering import gather
from easel.annotation.models import Annotation, Assignment, Item
from easel.common.jobs import complete, hold
from easel.forms.models import Template
from easel.forms.services import load_gallery
from easel.images.models import GenerationRequest
from easel.images.services import claim_render, record_images, request_images
from easel.projects.models import Project
from easel.projects.services import add_member, create_project
from easel.prompts.models import Prompt
from easel.prompts.parsing import Parsed, Row
from easel.prompts.services import add_prompts
from easel.registry.models import ModelVersion
from easel.registry.services import register_folder
from PIL import Image
from rest_framework.test import APIClient

from generation.storage import Storage
from generation.types import Claim, Lease, Manifest, RenderedImage, RenderedImages, RenderRequest

TEMPLATE = "rlhf-image-ranking-batch"
API = "/api/v1"
T = TypeVar("T")
CLAIM = Claim(worker="a test", lanes=("live", "batch"))


@dataclass(frozen=True)
class Cast:
    """Everybody, and both projects."""

    alice: User
    bob: User
    charlie: User
    dave: User
    erin: User
    project: Project
    foreign: Project
    model: ModelVersion


def make_cast(at: datetime | None = None) -> Cast:
    """Bring everybody on stage. Needs a model folder named `painter` (the fixture `model_folders` makes one)."""
    at = at or timezone.now()
    if not Template.objects.filter(key=TEMPLATE).exists():  # a test that committed has emptied the database
        load_gallery(at)
    version = Template.objects.get(key=TEMPLATE).latest()
    alice, bob, charlie, dave, erin = (create_user(name, None) for name in ("alice", "bob", "charlie", "dave", "erin"))
    project = create_project("Icons", version, alice, at)
    add_member(project, bob, Role.ANNOTATOR, at)
    add_member(project, dave, Role.ENGINEER, at)
    add_member(project, erin, Role.ADMIN, at)
    foreign = create_project("Zebras", version, charlie, at)
    model = register_folder("Painter", "painter", "Apache-2.0", at)
    return Cast(alice, bob, charlie, dave, erin, project, foreign, model)


def make_model_folder(folder: Path) -> Path:
    """Write the smallest folder that the registry takes for a diffusers model."""
    (folder / "unet").mkdir(parents=True)
    (folder / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    (folder / "unet" / "model.safetensors").write_bytes(len(b"{}").to_bytes(8, "little") + b"{}")
    return folder


def client_of(user: User | None) -> APIClient:
    """Return a client with a token of the user's; None is a stranger without an account."""
    client = APIClient()
    if user is not None:
        _, key = create_token(user, "tests")
        client.credentials(HTTP_AUTHORIZATION=f"Token {key}")
    return client


def browser_of(user: User) -> APIClient:
    """Return a client that is signed in with a session, as a browser is."""
    client = APIClient()
    client.force_login(user)
    return client


def make_user(name: str, project: Project, role: str = Role.ANNOTATOR, kind: str = User.Kind.HUMAN) -> User:
    """Make one more account, with a role in a project."""
    user = create_user(name, None, kind=kind)
    add_member(project, user, role, timezone.now())
    return user


def make_prompts(project: Project, *texts: str) -> list[Prompt]:
    """Add prompts to a project."""
    rows = [Row(number, text) for number, text in enumerate(texts, start=1)]
    prompts, rejected = add_prompts(project, Parsed(rows, []), timezone.now())
    assert not rejected
    return prompts


@cache
def draw(seed: int) -> bytes:
    """Return a small PNG of a colour of its own."""
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (seed % 256, seed // 256 % 256, seed // 65536 % 256)).save(file, "PNG")
    return file.getvalue()


def render(request: RenderRequest, colours: int = 2**24) -> RenderedImages:
    """Render a request as a worker does: the same request gives the same files. Few colours make few files."""
    storage = Storage(request.storage_url)
    images = []
    for prompt in request.prompts:
        for slot in prompt.slots:
            content = draw(slot.seed % colours)
            images.append(
                RenderedImage(
                    prompt=prompt.id,
                    position=slot.position,
                    key=storage.put(content, "png"),
                    sha256=sha256(content).hexdigest(),
                    bytes=len(content),
                    width=16,
                    height=16,
                    manifest=manifest(request, slot.seed),
                )
            )
    return RenderedImages(lease=request.lease, images=tuple(images))


def manifest(request: RenderRequest, seed: int) -> Manifest:
    """Return what the worker notes about an image."""
    return Manifest(
        model=request.model.name,
        model_sha256=request.model.sha256 or "0" * 64,
        scheduler="DDIMScheduler",
        steps=request.settings.steps or 20,
        guidance_scale=request.settings.guidance_scale or 5.0,
        seed=seed,
        width=16,
        height=16,
        dtype="float32",
        device="cpu",
        versions={"torch": "2.13.0"},
    )


def claim(at: datetime | None = None) -> RenderRequest:
    """Claim the next chunk; there must be one."""
    request = claim_render(CLAIM, at or timezone.now())
    assert request is not None
    return request


def work_off(colours: int = 2**24) -> int:
    """Render and record all that waits; return how many chunks that was."""
    chunks = 0
    while request := claim_render(CLAIM, timezone.now()):
        record_images(render(request, colours), timezone.now())
        chunks += 1
    return chunks


def generate(
    cast: Cast,
    prompts: Sequence[Prompt],
    images_per_prompt: int = 4,
    project: Project | None = None,
    at: datetime | None = None,
    **options: Any,
) -> GenerationRequest:
    """Ask for images as alice (or the owner of another project)."""
    project = project or cast.project
    by = cast.alice if project == cast.project else cast.charlie
    return request_images(
        project, cast.model, prompts, by, at or timezone.now(), images_per_prompt=images_per_prompt, **options
    )


def make_items(
    cast: Cast, count: int, *, project: Project | None = None, images: int = 4, colours: int = 16
) -> list[Item]:
    """Make items that are ready to be ranked: prompts, images and all."""
    project = project or cast.project
    start = project.prompts.count()
    prompts = make_prompts(project, *(f"an icon of {number} apples" for number in range(start, start + count)))
    request = generate(cast, prompts, images, project)
    work_off(colours)
    gather(timezone.now(), project)
    return list(Item.objects.filter(request=request).order_by("id"))


def answers_for(assignment: Assignment, **others: Any) -> dict[str, Any]:
    """Rank the candidates in the order in which they are shown."""
    return {"ranking": [[str(pk)] for pk in assignment.shown_order], **others}


def lease(project: Project, annotator: User, at: datetime | None = None, holding: Sequence[Any] = ()) -> Assignment:
    """Lease the next item; there must be one."""
    found = annotation.lease_next(project, annotator, at or timezone.now(), holding)
    assert found is not None
    return found


def annotate(project: Project, annotator: User, count: int = 1, **others: Any) -> list[Assignment]:
    """Have somebody rank items; returns the assignments."""
    done = []
    for _ in range(count):
        assignment = lease(project, annotator)
        submit(assignment, answers_for(assignment, **others))
        done.append(assignment)
    return done


def submit(assignment: Assignment, answers: dict[str, Any], at: datetime | None = None) -> tuple[Annotation, bool]:
    """Submit answers as the annotator, through the access door."""
    with transaction.atomic():
        held = assignment_for(assignment.annotator, assignment.pk, lock=True)
        return annotation.submit(held, answers, 1_500, at or timezone.now())


def finish(lease: Lease, at: datetime) -> None:
    """Finish a claimed job without its images, where a test is about jobs only."""
    complete(hold(lease), at)


def in_parallel(threads: int, act: Callable[[int], T]) -> list[T]:
    """Do something in many threads at the same moment, each with a database connection of its own."""
    start = Barrier(threads)

    def run(number: int) -> T:
        start.wait()
        try:
            return act(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))
