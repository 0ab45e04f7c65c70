"""How far generation requests have come, as pages show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from easel.common.models import Job
from easel.images.models import Candidate, GenerationRequest
from easel.images.services import failures
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

    @property
    def live(self) -> bool:
        """Whether a page should look again soon: images or the items made of them are still to come."""
        if self.request.state in {"queued", "running"}:
            return True
        return self.request.state == "done" and self.request.gathered_at is None and self.request.images_per_prompt > 1

    @property
    def seconds_left(self) -> float | None:
        """Time until the last image at the present pace."""
        if not self.per_second:
            return None
        return (self.request.images_total - self.request.images_done) / self.per_second


def progress_of(project: Project, at: datetime, limit: int) -> list[RequestProgress]:
    """Return the newest requests of a project with their progress."""
    return [progress_of_one(request, at) for request in GenerationRequest.objects.of_project(project)[:limit]]


def progress_of_one(request: GenerationRequest, at: datetime) -> RequestProgress:
    """Return how far a request, read with its progress, has come."""
    failed = _failed(request) if request.chunks_dead else ()
    if request.state != "running":
        return RequestProgress(request, None, failed)
    # Several workers may share a request: the one that began last has the newest to tell.
    job = Job.objects.filter(chunk__request=request, state=Job.State.RUNNING).order_by("-claimed_at").first()
    said = (job.step, job.steps, job.note) if job else (0, 0, "")
    return RequestProgress(request, Candidate.objects.pace(request, at), failed, *said)


def _failed(request: GenerationRequest) -> tuple[Failed, ...]:
    reasons: dict[str, list[int]] = {}
    for job in failures(request):
        reasons.setdefault(job.error, []).append(max(job.total - job.done, 0))
    return tuple(Failed(reason, len(images), sum(images)) for reason, images in reasons.items())


def images_on_their_way(project: Project) -> int:
    """Return how many images workers still have to make."""
    unfinished = GenerationRequest.objects.ungathered(project).with_progress()
    return sum(one.images_total - one.images_done for one in unfinished if one.state in {"queued", "running"})
