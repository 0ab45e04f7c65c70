"""Renders requests for `api:` models by asking their service. Loads no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from threading import Event
from uuid import UUID

from generation.errors import (
    RenderError,
    ServiceCannotError,
    ServiceKeyError,
    ServiceUnavailableError,
    ServiceUnknownError,
    WorkerStoppingError,
)
from generation.http_images import ImageService, Picture
from generation.services import ApiService, variable_of
from generation.storage import Storage
from generation.types import ImageSlot, Manifest, RenderedImage, RenderPrompt, RenderRequest, ServiceCall
from generation.writing import Pixels, Writer

_IN_A_ROW = 3
"""So many prompts without an answer, and no image in between: the service is away, and the rest of a job waits."""
_NEVER = Event()

Slot = tuple[RenderPrompt, ImageSlot]


class ApiRenderer:
    """Asks services for images: one image a call, several calls at a time, within the service's rate."""

    def __init__(self, services: Mapping[str, ApiService]) -> None:
        self._services = {name: ImageService(name, settings) for name, settings in services.items()}

    def render(
        self,
        request: RenderRequest,
        storage: Storage,
        *,
        on_images: Callable[[tuple[RenderedImage, ...]], None],
        on_note: Callable[[str], None] = lambda note: None,
        on_step: Callable[[int, int], None] = lambda step, steps: None,
        stop: Event = _NEVER,
    ) -> None:
        """Have every image of `request` made, into `storage`; on_images hears of each one as soon as it is there.
        A service tells no steps, so on_step hears nothing.

        One failed image costs no other. Once `stop` is set, images that are on their way are still awaited, for they
        are paid for, and no other is asked for. Raises a RenderError that says which prompts failed.
        """
        service = self._find(request)
        size = _size(request, service)
        failures: dict[UUID, RenderError] = {}
        silent: set[UUID] = set()
        slots: list[Slot] = []
        for prompt in request.prompts:
            if error := _beyond(prompt, service):
                failures[prompt.id] = error
            else:
                slots += [(prompt, slot) for slot in prompt.slots]
        on_note(f"asking api:{service.name}")
        pool = ThreadPoolExecutor(service.settings.parallel, thread_name_prefix="api")
        try:
            with Writer(storage, on_images) as writer:
                waiting: dict[Future[Picture], Slot] = {
                    pool.submit(service.make, slot[0].text, size, stop): slot for slot in slots
                }
                for done, future in enumerate(as_completed(waiting), 1):
                    prompt, slot = waiting[future]
                    if future.cancelled():
                        continue
                    try:
                        picture = future.result()
                    except RenderError as error:
                        failures[prompt.id] = error
                        if isinstance(error, ServiceUnavailableError):
                            silent.add(prompt.id)
                        hopeless = isinstance(error, ServiceKeyError | WorkerStoppingError)
                        if hopeless or len(silent) >= _IN_A_ROW:
                            for other in waiting:
                                other.cancel()
                    else:
                        silent.clear()
                        writer.add([(picture.pixels, _finish(request, service, size, prompt, slot, picture))])
                    on_note(f"image {done} of {len(slots)} from api:{service.name}")
                writer.finish()
        finally:
            pool.shutdown(cancel_futures=True)
        if failures:
            raise _summary(request, failures, any(future.cancelled() for future in waiting))

    def _find(self, request: RenderRequest) -> ImageService:
        name = request.model.location.removeprefix("api:")
        service = self._services.get(name)
        if service is None:
            raise ServiceUnknownError(
                f"model {request.model.name!r}: this worker's environment does not name the service api:{name}. "
                f"Set {variable_of(name, 'url')} and {variable_of(name, 'model')} there, and start it again."
            )
        return service


def _size(request: RenderRequest, service: ImageService) -> str:
    """Return the size to ask for. Raises ServiceCannotError where a request asks for what such a service has not."""
    settings = request.settings
    extras = {
        "steps": settings.steps is not None,
        "guidance": settings.guidance_scale is not None,
        "a scheduler": settings.scheduler != "default",
        "a strength": settings.strength is not None,
        "a control scale": settings.control_scale is not None,
        "adapters": bool(request.model.adapters),
        "a ControlNet": request.model.controlnet is not None,
    }
    if unknown := [name for name, given in extras.items() if given]:
        raise ServiceCannotError(
            f"api:{service.name} is asked by prompt and size only; the request names {', '.join(unknown)}. "
            "Leave that out, or choose a model that is rendered here."
        )
    if (settings.width is None) != (settings.height is None):
        raise ServiceCannotError(f"api:{service.name} needs both width and height, or neither.")
    return f"{settings.width}x{settings.height}" if settings.width is not None else service.settings.size


def _beyond(prompt: RenderPrompt, service: ImageService) -> ServiceCannotError | None:
    """Return why a service cannot make what a prompt wants; the other prompts are made."""
    if prompt.negative:
        return ServiceCannotError(f"api:{service.name} takes no negative prompt. Ask a model that is rendered here.")
    if prompt.conditioning is not None:
        return ServiceCannotError(f"api:{service.name} starts from no picture. Ask a model that is rendered here.")
    return None


def _finish(
    request: RenderRequest, service: ImageService, size: str, prompt: RenderPrompt, slot: ImageSlot, picture: Picture
) -> Callable[[Pixels, bytes, str], RenderedImage]:
    def finish(pixels: Pixels, content: bytes, key: str) -> RenderedImage:
        height, width = pixels.shape[:2]
        return RenderedImage(
            prompt=prompt.id,
            position=slot.position,
            key=key,
            sha256=hashlib.sha256(content).hexdigest(),
            bytes=len(content),
            width=width,
            height=height,
            manifest=Manifest(
                model=request.model.name,
                model_location=request.model.location,
                width=width,
                height=height,
                device=f"api:{service.name}",
                prompt=prompt.text,
                cost=service.settings.cost_per_image,
                service=ServiceCall(
                    service=f"api:{service.name}",
                    model=service.settings.model,
                    size=size,
                    revised_prompt=picture.revised_prompt,
                ),
            ),
        )

    return finish


def _summary(request: RenderRequest, failures: Mapping[UUID, RenderError], given_up: bool) -> RenderError:
    """Return the one error to give the job back with: the reason that a stop or another try depends on goes first."""
    order = (WorkerStoppingError, ServiceKeyError, ServiceUnavailableError)
    texts = {prompt.id: prompt.text for prompt in request.prompts}

    def rank(error: RenderError) -> int:
        return next((at for at, kind in enumerate(order) if isinstance(error, kind)), len(order))

    worst = min(failures.values(), key=rank)
    if isinstance(worst, WorkerStoppingError):
        return worst
    reasons: dict[str, list[str]] = {}
    for prompt, error in sorted(failures.items(), key=lambda failure: rank(failure[1])):
        reasons.setdefault(str(error), []).append(_short(texts[prompt]))
    rest = ", and the rest was not asked for" if given_up else ""
    told = "; ".join(f"{', '.join(named)}: {reason}" for reason, named in reasons.items())
    return type(worst)(f"{len(failures)} of {len(texts)} prompts failed{rest}. {told}"[:2_000])


def _short(text: str) -> str:
    line = " ".join(text.split())
    return f"“{line if len(line) <= 60 else line[:59] + '…'}”"
