"""Who renders a request: the engine, or the service that its model names."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Protocol

from generation.storage import Storage
from generation.types import RenderedImage, RenderRequest

_NEVER = Event()


class Renderer(Protocol):
    """Makes the images of requests; see `generation.engine.Engine.render`."""

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
        """Make every image of `request`. Raises a RenderError."""


class Renderers:
    """Hands each request to the renderer of its model's location.

    engine: called when a model of this machine is to be rendered, and not before: it loads torch.
    """

    def __init__(self, engine: Callable[[], Renderer], api: Renderer) -> None:
        self._engine = engine
        self._api = api

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
        """Make every image of `request`. Raises a RenderError."""
        renderer = self._api if request.model.location.startswith("api:") else self._engine()
        renderer.render(request, storage, on_images=on_images, on_note=on_note, on_step=on_step, stop=stop)
