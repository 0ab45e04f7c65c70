"""Finding candidates again: the filters of the gallery, and what differs between images that stand side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, F, Model, OuterRef, Q, QuerySet
from django.db.models.functions import Mod
from django.http import QueryDict

from easel.common.paging import Page
from easel.images.models import Candidate, GenerationRequest
from easel.images.progress import RequestProgress
from easel.projects.models import Project
from generation.types import MAX_SEED

Row = TypeVar("Row", bound=Model)
COUNTED = 10_000
"""Images that a page counts one by one; beyond, it says "more than"."""
SIDE_BY_SIDE = 4
MAX_WORDS = 300
THUMBS = 8


@dataclass(frozen=True)
class Wanted:
    """What a gallery shows: each filter narrows it, None and "" do not."""

    model: UUID | None = None
    seed: int | None = None
    words: str = ""
    """Every word must stand in the prompt, in any case."""
    request: UUID | None = None
    problems: tuple[tuple[str, str], ...] = ()
    """(field, what is wrong with it); a gallery with problems is empty."""

    @classmethod
    def of(cls, query: QueryDict) -> Wanted:
        """Read the filters of an address; what cannot be read becomes a problem, never an error."""
        problems: list[tuple[str, str]] = []
        seed = None
        if text := query.get("seed", "").strip():
            seed = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
            if not 0 <= seed <= MAX_SEED:
                problems.append(("seed", f"A seed is a whole number from 0 to {MAX_SEED}."))
                seed = None
        found: dict[str, UUID | None] = {}
        for name in ("model", "request"):
            try:
                found[name] = UUID(asked) if (asked := query.get(name, "")) else None
            except ValueError:
                problems.append((name, f"There is no {name} {asked[:60]!r}. Choose one of the list."))
        words = " ".join(query.get("q", "").replace("\0", "").split())[:MAX_WORDS]
        return cls(found.get("model"), seed, words, found.get("request"), tuple(problems))

    def __bool__(self) -> bool:
        return bool(self.model or self.seed is not None or self.words or self.request or self.problems)

    @property
    def query(self) -> str:
        """The filters as the query of an address: whoever is given it sees the same."""
        named = {"model": self.model, "seed": self.seed, "q": self.words or None, "request": self.request}
        return urlencode({name: value for name, value in named.items() if value is not None})

    def but(self, **changes: Any) -> Wanted:
        """The same filters with some changed."""
        return replace(self, **changes)

    def of_project(self, project: Project) -> QuerySet[Candidate]:
        """The project's candidates that are wanted."""
        found: QuerySet[Candidate] = Candidate.objects.of_project(project)
        if self.problems:
            return found.none()
        if self.model:
            found = found.filter(model=self.model)
        if self.seed is not None:
            found = found.filter(seed=self.seed)
        if self.request:
            found = found.filter(request=self.request)
        return containing(found, "prompt__text", self.words)


def containing(rows: QuerySet[Row], column: str, words: str) -> QuerySet[Row]:
    """Those in whose column every word stands, in any case and order."""
    for word in words.replace("\0", "")[:MAX_WORDS].split():
        rows = rows.filter(**{f"{column}__icontains": word})
    return rows


def page_of_images(candidates: QuerySet[Candidate], after: str, size: int) -> Page:
    """Some candidates and where the next ones begin: the newest request first, and a prompt's images together.

    Ids do not tell the order in which the images of a request were made, so that annotators cannot tell it either.
    `after` is the id of the last one that is known; one that is not there begins anew.
    """
    pks = _uuids([after])
    if pks and (last := Candidate.objects.filter(pk=pks[0]).first()) is not None:
        candidates = candidates.filter(
            Q(request__lt=last.request_id)
            | Q(request=last.request_id, prompt__gt=last.prompt_id)
            | Q(request=last.request_id, prompt=last.prompt_id, position__gt=last.position)
        )
    found = list(candidates.order_by("-request_id", "prompt_id", "position")[: size + 1])
    return Page(found[:size], str(found[size - 1].pk) if len(found) > size else None)


@dataclass(frozen=True)
class Shelf:
    """One way to narrow a gallery: its name, its images, and the address that shows them."""

    name: str
    images: int
    query: str
    chosen: bool


def count_of(candidates: QuerySet[Candidate]) -> int:
    """Count candidates, up to one more than `COUNTED`."""
    return candidates.order_by()[: COUNTED + 1].count()


def by_model(project: Project, wanted: Wanted) -> list[Shelf]:
    """The models that made wanted images, with how many, whichever of them is chosen now."""
    rows = wanted.but(model=None).of_project(project).order_by().values("model", "model__name").annotate(n=Count("*"))
    return [
        Shelf(row["model__name"], row["n"], wanted.but(model=row["model"]).query, chosen=row["model"] == wanted.model)
        for row in sorted(rows, key=lambda row: (-row["n"], row["model__name"]))
    ]


def requests_of(project: Project, chosen: UUID | None, limit: int = 50) -> list[GenerationRequest]:
    """The newest requests and the chosen one, to narrow a gallery by; `others` counts what each is compared with."""
    asked = GenerationRequest.objects.filter(project=project).exclude(kind=GenerationRequest.Kind.GOLD)
    asked = asked.select_related("model").annotate(others=Count("compared"))
    newest = list(asked.order_by("-id")[:limit])
    if chosen and all(one.pk != chosen for one in newest):
        newest += asked.filter(pk=chosen)
    return newest


def newest_of(requests: Sequence[GenerationRequest]) -> dict[UUID, list[Candidate]]:
    """A few images of each request: of one that is at work the newest, of another its first prompts'."""
    images = Candidate.objects.filter(request=OuterRef("pk"))
    ids: list[tuple[UUID, list[UUID]]] = []
    # Ordered by prompt an index has them; ordered by time all are read, and only requests at work are worth that.
    for at_work, order in ((True, ["-created_at", "-pk"]), (False, ["prompt", "position"])):
        those = [one.pk for one in requests if (one.state == "running") is at_work and one.images_done]
        few = GenerationRequest.objects.filter(pk__in=those) if those else GenerationRequest.objects.none()
        ids += few.annotate(few=ArraySubquery(images.order_by(*order).values("pk")[:THUMBS])).values_list("pk", "few")
    found = Candidate.objects.defer("manifest").in_bulk([one for _, few in ids for one in few]) if ids else {}
    return {request: [found[one] for one in few if one in found] for request, few in ids}


@dataclass(frozen=True)
class Preview:
    """A preview: how far it is, and its image once it is made."""

    progress: RequestProgress
    image: Candidate | None


def previews_of(project: Project, ids: Sequence[str]) -> list[GenerationRequest]:
    """The previews of these ids, in their order; ids that are none of the project's are left out."""
    pks = _uuids(ids)
    previews = GenerationRequest.objects.of_project(project).filter(kind=GenerationRequest.Kind.PREVIEW, pk__in=pks)
    return sorted(previews, key=lambda one: pks.index(one.pk))


def with_images(previews: Sequence[RequestProgress]) -> list[Preview]:
    """Previews with their images."""
    made = Candidate.objects.filter(request__in=[one.request.pk for one in previews])
    images = {one.request_id: one for one in made.select_related("model", "prompt")}
    return [Preview(one, images.get(one.request.pk)) for one in previews]


def of_comparisons(candidates: Sequence[Candidate]) -> set[UUID]:
    """The requests among those of these candidates in which several models were compared."""
    asked = GenerationRequest.objects.filter(pk__in={one.request_id for one in candidates}, compared__isnull=False)
    return set(asked.values_list("pk", flat=True))


def chosen_of(project: Project, ids: Sequence[str]) -> list[Candidate]:
    """The project's candidates of these ids, in their order, at most four; ids that it does not have are left out."""
    pks = _uuids(ids)[:SIDE_BY_SIDE]
    found = (
        Candidate.objects.of_project(project).select_related("prompt", "model", "request__conditioning").in_bulk(pks)
    )
    return [found[pk] for pk in pks if pk in found]


def _uuids(texts: Sequence[str]) -> list[UUID]:
    """What of these are ids, each once."""
    found: dict[UUID, None] = {}
    for text in texts:
        try:
            found[UUID(text)] = None
        except ValueError:  # an address that somebody wrote by hand: what is no id finds nothing
            continue
    return list(found)


def counterparts(candidate: Candidate) -> QuerySet[Candidate]:
    """What is ranked together with an image of a comparison, itself included: each model's of the same prompt and seed.

    By its place among the prompt's images, not by its seed: a service takes none.
    """
    request = candidate.request
    groups = max(1, request.images_per_prompt // request.images_per_item)
    return (
        Candidate.objects.filter(request=request, prompt=candidate.prompt_id)
        .annotate(group=Mod(F("position"), groups))
        .filter(group=candidate.position % groups)
        .select_related("prompt", "model")
        .order_by("position")
    )


def next_of(candidate: Candidate) -> Candidate | None:
    """The same model's next image in the same request: of the prompt's next seed, or of the next prompt."""
    later = Q(prompt=candidate.prompt_id, position__gt=candidate.position) | Q(prompt__gt=candidate.prompt_id)
    same = Candidate.objects.filter(later, request=candidate.request_id, model=candidate.model_id)
    return same.order_by("prompt", "position").first()


@dataclass(frozen=True)
class Setting:
    """One line of a comparison: a setting and its value for each image."""

    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the images do not agree in it."""
        return len(set(self.values)) > 1


def settings_of(candidates: Sequence[Candidate]) -> list[Setting]:
    """How each of the images was made, setting by setting; what none of them knows is left out."""
    columns = [said_of(one) for one in candidates]
    names = list(dict.fromkeys(name for column in columns for name in column))
    return [Setting(name, tuple(column.get(name, "–") for column in columns)) for name in names]


def in_words(settings: Sequence[Setting]) -> str:
    """Say what differs: "They differ in model and steps; all else is the same."."""
    names = [one.name.lower() if one.name != "SHA-256" else one.name for one in settings if one.differs]
    if not names:
        return "Every setting is the same."
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"They differ in {listed}; all else is the same."


def said_of(candidate: Candidate) -> dict[str, str]:
    """How an image was made, as people read it; an imported one knows less."""
    manifest = candidate.manifest or {}
    file = candidate.metadata.get("image") or {}  # what an imported file says: images.metadata.ImageMetadata
    service = manifest.get("service") or {}  # generation.types.ServiceCall
    said = {
        "Prompt": candidate.prompt.text,
        "Negative prompt": manifest.get("negative") or candidate.prompt.negative,
        "Model": candidate.model.name,
        "Seed": file.get("seed") if candidate.seed is None else candidate.seed,
        "Size": f"{candidate.width} × {candidate.height} pixels",
        "Steps": manifest.get("steps") or file.get("steps"),
        "Guidance": manifest.get("guidance_scale", file.get("guidance")),
        "Scheduler": manifest.get("scheduler") or file.get("sampler"),
        "Adapters": ", ".join(f"{one['name']} at {one['scale']:g}" for one in manifest.get("adapters") or ()),
        "ControlNet": (manifest.get("controlnet") or {}).get("name"),
        "Starts from": _start(manifest.get("conditioning")),
        "Strength": manifest.get("strength"),
        "Control strength": manifest.get("control_scale"),
        "Cost": manifest.get("cost"),
        "Service": " ".join(filter(None, (service.get("service"), service.get("model")))),
        "Imported from": " ".join(filter(None, (file.get("generator"), candidate.metadata.get("file")))),
        "Made on": " ".join(filter(None, (manifest.get("device"), manifest.get("dtype")))),
        "Libraries": ", ".join(f"{name} {version}" for name, version in (manifest.get("versions") or {}).items()),
    }
    return {
        name: f"{value:g}" if isinstance(value, float) else str(value)
        for name, value in said.items()
        if value not in (None, "")
    }


def _start(conditioning: dict[str, Any] | None) -> str:
    if not conditioning:
        return ""
    kinds = {
        "image": "a picture",
        "inpaint": "a picture, anew inside a mask",
        "outpaint": "a picture, continued beyond its edges",
        "control": "a control picture",
    }
    return f"{kinds[conditioning['kind']]} ({conditioning['image'][3:11]})"
