"""Images from elsewhere: read, shown, and made candidates once somebody has said yes.

An import is a generation request that comes finished: no chunk, no job. Its pixels are kept without loss, in a PNG of
our own making; what the file said about itself is kept beside them in `Candidate.metadata`.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.db import transaction
from pydantic import BaseModel, ConfigDict

from easel.accounts.models import User
from easel.common.broker import send_on_commit
from easel.common.errors import Conflict, InvalidInput, NotFound, Refusal
from easel.common.ids import uuid7_of
from easel.common.pictures import open_picture, png, upright
from easel.common.storage import storage
from easel.images.metadata import BrokenMetadata, ImageMetadata, read_metadata
from easel.images.models import Candidate, GenerationRequest, ImageImport
from easel.images.previews import preview_of
from easel.projects.models import Project
from easel.prompts.models import MAX_TEXT, Prompt
from easel.prompts.parsing import Parsed, Row
from easel.prompts.services import GATHER, add_prompts
from easel.registry.imported import MAX_NAME, imported_models

MAX_FILES = 50  # a page waits for them: 0.2 s of CPU each at 1,024 pixels
MAX_METADATA = 64 * 1024  # bytes of JSON for one image
MAX_PER_PROMPT = 64  # as GenerationRequest allows
UNKNOWN = "Unknown source"


@dataclass(frozen=True)
class Said:
    """What somebody says about files; what is empty is taken from the file itself."""

    prompt: str = ""
    negative: str = ""
    model: str = ""
    seed: int | None = None


@dataclass(frozen=True)
class Upload:
    """One file. What is `said` of it counts more than what stands in it; `fallback` counts less."""

    name: str
    content: bytes
    said: Said = Said()
    fallback: Said = Said()


class Picture(BaseModel):
    """A file that can be imported, as it waits for its confirmation. Its pixels are in storage already."""

    model_config = ConfigDict(frozen=True)

    name: str
    key: str
    preview_key: str
    sha256: str
    width: int  # pixels
    height: int  # pixels
    size: int  # bytes
    prompt: str
    negative: str
    model: str
    seed: int | None
    notes: list[str]
    image: dict[str, Any] | None
    """metadata.ImageMetadata, as JSON."""


@dataclass(frozen=True)
class Refused:
    """A file that is not taken, and why."""

    file: str
    reason: str


@dataclass
class Read:
    """What became of a number of files."""

    accepted: list[Picture] = field(default_factory=list)
    rejected: list[Refused] = field(default_factory=list)


@dataclass(frozen=True)
class Imported:
    """What an import made; `request` is None where nothing was left to import."""

    request: GenerationRequest | None
    candidates: list[Candidate]
    rejected: list[Refused]


def read_files(project: Project, uploads: Iterable[Upload]) -> Read:
    """Read files one after the other, and store their pixels. One that cannot be taken does not stop the others."""
    result = Read()
    for upload in uploads:
        try:
            result.accepted.append(_read_file(upload))
        except Refusal as refusal:
            # The name stands beside the reason wherever it is shown.
            reason = refusal.detail.removeprefix(f"{upload.name} ")
            result.rejected.append(Refused(upload.name, reason))
    return _without_doubles(project, result)


def _read_file(upload: Upload) -> Picture:
    image = open_picture(upload.name, upload.content)
    notes = []
    found: ImageMetadata | None = None
    try:
        found = read_metadata(image)
    except BrokenMetadata as broken:
        notes.append(broken.detail)
    known = found or ImageMetadata(generator="Easel")
    said, fallback = upload.said, upload.fallback
    prompt = said.prompt or known.prompt or fallback.prompt
    negative = said.negative or known.negative or fallback.negative
    if not prompt:
        why = f" ({notes[0].rstrip('.')})" if notes else ""
        raise InvalidInput(f"{upload.name} does not say its prompt{why}. Give one for it.")
    for what, text in (("prompt", prompt), ("negative prompt", negative)):
        if len(text) > MAX_TEXT:
            raise InvalidInput(
                f"{upload.name} has a {what} of {len(text):,} characters; at most {MAX_TEXT:,} are taken. "
                "Give a shorter one."
            )
    seed = known.seed if said.seed is None else said.seed
    if seed is not None and not 0 <= seed < 2**63:
        if seed >= 0:
            notes.append(f"Its seed {seed} does not fit into 64 bits; it is kept with the metadata only.")
        seed = None
    said_by_file = found.model_dump(mode="json") if found else None
    if said_by_file and len(json.dumps(said_by_file)) > MAX_METADATA:
        said_by_file["extra"] = {}
        notes.append(f"What else it says takes more than {MAX_METADATA // 1024} kB and is not kept.")
    pixels = upright(image)
    content = png(pixels)
    files = storage()
    return Picture(
        name=upload.name[:200],
        key=files.put(content, "png"),
        preview_key=files.put(preview_of(content), "webp"),
        sha256=sha256(content).hexdigest(),
        width=pixels.width,
        height=pixels.height,
        size=len(content),
        prompt=prompt,
        negative=negative,
        model=(said.model or known.model_name or fallback.model or UNKNOWN)[:MAX_NAME],
        seed=seed,
        notes=notes,
        image=said_by_file,
    )


def _without_doubles(project: Project, found: Read) -> Read:
    """Move the pictures that the project has already, or that came twice, to those that are not taken."""
    known = set(
        Candidate.objects.filter(
            request__project=project, sha256__in=[picture.sha256 for picture in found.accepted]
        ).values_list("sha256", flat=True)
    )
    result = Read(rejected=list(found.rejected))
    first: dict[str, str] = {}
    of_prompt: Counter[tuple[str, str]] = Counter()
    for picture in found.accepted:
        prompt = (picture.prompt, picture.negative)
        if picture.sha256 in known:
            result.rejected.append(Refused(picture.name, "is in the project already."))
        elif picture.sha256 in first:
            result.rejected.append(Refused(picture.name, f"is the same picture as {first[picture.sha256]}."))
        elif of_prompt[prompt] == MAX_PER_PROMPT:
            result.rejected.append(
                Refused(picture.name, f"is one more than {MAX_PER_PROMPT} of the same prompt. Import it by itself.")
            )
        else:
            first[picture.sha256] = picture.name
            of_prompt[prompt] += 1
            result.accepted.append(picture)
    return result


def keep_preview(project: Project, found: Read, by: User, at: datetime) -> ImageImport:
    """Keep what was read until somebody says yes; no candidate is made yet."""
    return ImageImport.objects.create(
        project=project,
        created_by=by,
        accepted=[picture.model_dump(mode="json") for picture in found.accepted],
        rejected=[{"file": one.file, "reason": one.reason} for one in found.rejected],
        created_at=at,
    )


@transaction.atomic
def confirm(project: Project, pk: UUID, at: datetime) -> Imported:
    """Import what a preview showed. Raises Conflict when that was done before."""
    preview = (
        ImageImport.objects.select_for_update().filter(project=project, pk=pk).select_related("created_by").first()
    )
    if preview is None:
        raise NotFound("import")
    if preview.confirmed_at is not None:
        raise Conflict("These images were imported already. They are in the gallery.")
    ImageImport.objects.filter(pk=pk).update(confirmed_at=at)
    pictures = [Picture.model_validate(one) for one in preview.accepted]
    return import_pictures(project, Read(pictures), preview.created_by, at)


@transaction.atomic
def import_pictures(project: Project, found: Read, by: User, at: datetime) -> Imported:
    """Make candidates of pictures, all or none; those of one prompt can then be ranked against each other."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)  # the same files twice at once are taken once
    found = _without_doubles(project, found)
    if not found.accepted:
        return Imported(None, [], found.rejected)
    prompts = _prompts(project, found.accepted, at)
    models = imported_models((picture.model for picture in found.accepted), by, at)
    by_prompt: defaultdict[UUID, list[Picture]] = defaultdict(list)
    for picture in found.accepted:
        by_prompt[prompts[picture.prompt, picture.negative].pk].append(picture)
    most, _ = Counter(picture.model for picture in found.accepted).most_common(1)[0]
    request = GenerationRequest.objects.create(
        project=project,
        model=models[most],
        kind=GenerationRequest.Kind.IMPORT,
        images_per_prompt=max(map(len, by_prompt.values())),
        images_total=len(found.accepted),
        created_by=by,
        created_at=at,
    )
    candidates = [
        Candidate(
            id=uuid7_of(at),
            request=request,
            prompt_id=prompt,
            model=models[picture.model],
            position=position,
            seed=picture.seed,
            key=picture.key,
            preview_key=picture.preview_key,
            sha256=picture.sha256,
            width=picture.width,
            height=picture.height,
            size=picture.size,
            manifest={},
            metadata={"file": picture.name, "notes": picture.notes, "image": picture.image},
            created_at=at,
        )
        for prompt, pictures in by_prompt.items()
        for position, picture in enumerate(pictures)
    ]
    Candidate.objects.bulk_create(candidates, batch_size=1_000)
    send_on_commit(GATHER, project=str(project.pk))
    return Imported(request, candidates, found.rejected)


def _prompts(project: Project, pictures: Sequence[Picture], at: datetime) -> dict[tuple[str, str], Prompt]:
    """Return each picture's prompt, and make those that the project does not have."""
    rows = {
        (one.prompt, one.negative): Row(number, one.prompt, one.negative)
        for number, one in enumerate(pictures, start=1)
    }
    add_prompts(project, Parsed(list(rows.values()), []), at)
    wanted = {row.digest: texts for texts, row in rows.items()}
    return {
        wanted[prompt.digest]: prompt for prompt in Prompt.objects.of_project(project).filter(digest__in=list(wanted))
    }
