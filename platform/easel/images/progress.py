"""How far generation requests have come, as pages show it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from easel.common.models import Job
from easel.forms.models import form_of
from easel.images.models import Candidate, GenerationRequest
from easel.projects.models import Project


@dataclass(frozen=True)
class Failed:
    """What went wrong with some parts of a request."""

    reason: str
    parts: int
    images: int
    """Images that are missing because of it."""


@dataclass(frozen=True)
class RequestProgress:
    """A generation request, how quickly its images come, what its worker does, and what failed."""

    request: GenerationRequest
    per_second: float | None
    """Images a second, lately; None where it cannot be told."""
    failed: tuple[Failed, ...]
    step: int = 0
    """Denoising steps done of the batch at hand."""
    steps: int = 0
    note: str = ""
    """What its worker said last, as "loading the model"."""
    gathers: bool = True
    """Whether its images become items: one image alone only where the project's form judges each by itself."""

    @property
    def live(self) -> bool:
        """Whether a page should look again soon: images or the items made of them are still to come."""
        if self.request.state in {"queued", "running"}:
            return True
        return self.request.state == "done" and self.request.gathered_at is None and self.gathers

    @property
    def seconds_left(self) -> float | None:
        """Time until the last image at the present pace."""
        if not self.per_second:
            return None
        return (self.request.images_total - self.request.images_done) / self.per_second


def progress_of(project: Project, at: datetime, limit: int) -> list[RequestProgress]:
    """Return the newest requests of a project with their progress; previews are shown where they were asked for."""
    return progress_of_all(GenerationRequest.objects.of_project(project).shown()[:limit], at)


def progress_of_one(request: GenerationRequest, at: datetime) -> RequestProgress:
    """Return how far a request, read with its progress, has come."""
    return progress_of_all([request], at)[0]


def progress_of_all(requests: Iterable[GenerationRequest], at: datetime) -> list[RequestProgress]:
    """Return how far requests, read with their progress, have come; three queries, however many they are."""
    requests = list(requests)
    running = [one.pk for one in requests if one.state == "running"]
    paces = Candidate.objects.paces(running, at) if running else {}
    # Several workers may share a request: the one that began last has the newest to tell.
    at_work: dict[UUID, Job] = {}
    if running:
        jobs = Job.objects.filter(chunk__request__in=running, state=Job.State.RUNNING).select_related("chunk")
        at_work = {job.chunk.request_id: job for job in jobs.order_by("claimed_at")}
    failed = _failed([one.pk for one in requests if one.chunks_dead])
    gathering = _gathering([one for one in requests if one.gathered_at is None])
    return [
        RequestProgress(
            one,
            paces.get(one.pk),
            failed.get(one.pk, ()),
            *((job.step, job.steps, job.note) if (job := at_work.get(one.pk)) else (0, 0, "")),
            gathers=one.pk in gathering,
        )
        for one in requests
    ]


def _gathering(requests: list[GenerationRequest]) -> set[UUID]:
    """Those of some requests without items whose images become items once they are there."""
    found = {one.pk for one in requests if one.images_per_prompt > 1}
    alone = [one for one in requests if one.images_per_prompt == 1]
    if alone:
        versions = dict(
            Project.objects.filter(pk__in={one.project_id for one in alone}).values_list("pk", "template_version")
        )
        singles = [pk for pk in set(versions.values()) if form_of(pk).images == 1]
        found |= set(
            GenerationRequest.objects.ungathered(None, singles)
            .filter(pk__in=[one.pk for one in alone])
            .values_list("pk", flat=True)
        )
    return found


def _failed(requests: list[UUID]) -> dict[UUID, tuple[Failed, ...]]:
    """For each request: its reasons, each once, with what is missing because of it."""
    if not requests:
        return {}
    dead = Job.objects.filter(chunk__request__in=requests, state=Job.State.DEAD).order_by("id")
    found: dict[UUID, dict[str, list[int]]] = {}
    for request, reason, total, done in dead.values_list("chunk__request", "error", "total", "done"):
        found.setdefault(request, {}).setdefault(reason, []).append(max(total - done, 0))
    return {
        request: tuple(Failed(reason, len(images), sum(images)) for reason, images in reasons.items())
        for request, reasons in found.items()
    }


def images_on_their_way(project: Project) -> int:
    """Return how many images that people will rank workers still have to make."""
    audience = GenerationRequest.Audience
    for_people = GenerationRequest.objects.exclude(audience__in=[audience.SIMULATED, audience.REQUESTER])
    version = project.template_version_id
    singles = [version] if form_of(version).images == 1 else []
    unfinished = for_people.ungathered(project, singles).with_progress()
    return sum(one.images_total - one.images_done for one in unfinished if one.state in {"queued", "running"})
