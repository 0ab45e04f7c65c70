"""Finding candidates again: the filters of the gallery, and what differs between images that stand side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.http import QueryDict

from easel.images.models import Candidate, GenerationRequest
from easel.projects.models import Project
from generation.types import MAX_SEED

COUNTED = 10_000
"""Images that a page counts one by one; beyond, it says "more than"."""
SIDE_BY_SIDE = 4
MAX_WORDS = 300


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
        """The project's candidates that are wanted, newest first."""
        found: QuerySet[Candidate] = Candidate.objects.of_project(project)
        if self.problems:
            return found.none()
        if self.model:
            found = found.filter(model=self.model)
        if self.seed is not None:
            found = found.filter(seed=self.seed)
        if self.request:
            found = found.filter(request=self.request)
        for word in self.words.split():
            found = found.filter(prompt__text__icontains=word)
        return found


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


def requests_of(project: Project, limit: int = 50) -> list[GenerationRequest]:
    """The newest requests, by which a gallery can be narrowed."""
    return list(GenerationRequest.objects.filter(project=project).select_related("model").order_by("-id")[:limit])


def of_comparisons(candidates: Sequence[Candidate]) -> set[UUID]:
    """The requests among those of these candidates in which several models were compared."""
    asked = GenerationRequest.objects.filter(pk__in={one.request_id for one in candidates}, compared__isnull=False)
    return set(asked.values_list("pk", flat=True))


def chosen_of(project: Project, ids: Sequence[str]) -> list[Candidate]:
    """The project's candidates of these ids, in their order, at most four; ids that it does not have are left out."""
    pks = []
    for text in ids:
        try:
            pks.append(UUID(text))
        except ValueError:
            continue
    found = Candidate.objects.of_project(project).in_bulk(list(dict.fromkeys(pks))[:SIDE_BY_SIDE])
    return [found[pk] for pk in dict.fromkeys(pks) if pk in found]


def counterparts(candidate: Candidate) -> QuerySet[Candidate]:
    """What the models of a request made of the same prompt and seed, this one included, oldest model first."""
    return (
        Candidate.objects.filter(request=candidate.request_id, prompt=candidate.prompt_id, seed=candidate.seed)
        .select_related("prompt", "model")
        .order_by("model", "position")
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
    manifest = candidate.manifest
    said = {
        "Prompt": candidate.prompt.text,
        "Negative prompt": manifest.get("negative") or candidate.prompt.negative,
        "Model": candidate.model.name,
        "Seed": "" if candidate.seed is None else str(candidate.seed),
        "Size": f"{candidate.width} × {candidate.height} pixels",
        "Steps": manifest.get("steps"),
        "Guidance": manifest.get("guidance_scale"),
        "Scheduler": manifest.get("scheduler"),
        "Adapters": ", ".join(f"{one['name']} at {one['scale']:g}" for one in manifest.get("adapters") or ()),
        "ControlNet": (manifest.get("controlnet") or {}).get("name"),
        "Starts from": _start(manifest.get("conditioning")),
        "Strength": manifest.get("strength"),
        "Control strength": manifest.get("control_scale"),
        "Cost": manifest.get("cost"),
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
