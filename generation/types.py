"""The contracts between the platform and the workers: parsed at the border, trusted inside.

Everything that crosses the broker is one of these frozen models as JSON. A worker gets all that it needs in a
`RenderRequest` and answers with `RenderedImages`; it has no Django and no database password.
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MAX_SEED = 2**63 - 1  # torch.Generator.manual_seed takes a signed 64-bit number; imported seeds may use all of it
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
StorageKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{2}/[0-9a-f]{64}\.[a-z0-9]{2,5}$")]
Lane = Literal["live", "batch"]
Scheduler = Literal["default", "ddim", "dpmpp_2m", "euler_a", "euler_trailing", "unipc", "lcm"]
"""`euler_trailing` is what turbo and lightning models were distilled for: Euler steps that end at pure noise."""


class Contract(BaseModel):
    """A frozen message: unknown fields are refused, so that two versions never half understand each other."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WeightsReference(Contract):
    """Which weights to load: a registry entry, never a path that a user typed."""

    id: UUID
    name: str
    location: Annotated[str, StringConstraints(pattern=r"^(folder|hub|api|storage):[A-Za-z0-9][A-Za-z0-9._/-]*$")]
    """`folder:NAME` is looked up in the worker's model folders, `hub:OWNER/NAME` in its hub cache, `api:NAME` among
    the services that its environment names (there are no weights then). `storage:KEY` is an adapter that a fine-tune
    made: one safetensors file in the storage that images are in."""
    sha256: Sha256 | None = None
    """Hash over the weights (see `generation.storage.weights_hash`); the worker refuses other weights."""


class AdapterReference(WeightsReference):
    """A LoRA adapter in diffusers' format, and how strongly it counts."""

    scale: float = Field(default=1.0, ge=-4, le=4)


class ModelReference(WeightsReference):
    """A model, with the adapters on top of it and the ControlNet beside it."""

    adapters: tuple[AdapterReference, ...] = Field(default=(), max_length=8)
    controlnet: WeightsReference | None = None


class RenderSettings(Contract):
    """How to render; what is None is the model's own default."""

    steps: int | None = Field(default=None, ge=1, le=150)
    guidance_scale: float | None = Field(default=None, ge=0, le=30)
    width: int | None = Field(default=None, ge=16, le=2048, multiple_of=8)  # pixels
    height: int | None = Field(default=None, ge=16, le=2048, multiple_of=8)  # pixels
    scheduler: Scheduler = "default"
    strength: float | None = Field(default=None, gt=0, le=1)
    """How much of a starting image is made anew; only with a `Conditioning`. None: 0.8, and 1 within a mask."""
    control_scale: float | None = Field(default=None, ge=0, le=2)
    """How strongly a ControlNet's condition counts."""


class Margins(Contract):
    """Pixels by which an image grows at each side."""

    left: int = Field(default=0, ge=0, le=1024, multiple_of=8)
    top: int = Field(default=0, ge=0, le=1024, multiple_of=8)
    right: int = Field(default=0, ge=0, le=1024, multiple_of=8)
    bottom: int = Field(default=0, ge=0, le=1024, multiple_of=8)


class Conditioning(Contract):
    """A picture that images start from. Its files are in storage already, re-encoded by the platform as RGB PNG.

    image: starts from it (SDEdit). inpaint: only what is white in the mask is made anew. outpaint: the canvas grows by
    `margins`, and the new part is made. control: the picture is the condition of the model's ControlNet.
    """

    kind: Literal["image", "inpaint", "outpaint", "control"]
    image: StorageKey
    mask: StorageKey | None = None
    """One channel (L) PNG of the image's size; white is made anew. Only with `inpaint`."""
    margins: Margins | None = None
    """Only with `outpaint`."""

    @model_validator(mode="after")
    def _parts_fit_the_kind(self) -> Conditioning:
        if (self.mask is not None) != (self.kind == "inpaint"):
            raise ValueError("a mask belongs to inpainting, and inpainting needs one")
        if (self.margins is not None) != (self.kind == "outpaint"):
            raise ValueError("margins belong to outpainting, and outpainting needs them")
        return self


class RenderPrompt(Contract):
    """One text to render and the seed of each of its images."""

    id: UUID
    text: str = Field(min_length=1, max_length=10_000)
    negative: str = Field(default="", max_length=10_000)
    conditioning: Conditioning | None = None
    slots: tuple[ImageSlot, ...] = Field(min_length=1)


class ImageSlot(Contract):
    """One image to be made: its place among the prompt's images and its seed."""

    position: int = Field(ge=0)
    seed: int = Field(ge=0, le=MAX_SEED)


class Lease(Contract):
    """The right to work on one job. Answers that carry another token than the job's newest are refused."""

    job: UUID
    token: UUID
    attempt: int = Field(ge=1)


class RenderRequest(Contract):
    """All that a worker needs to render one job, without asking anybody."""

    lease: Lease
    lane: Lane
    model: ModelReference
    settings: RenderSettings = RenderSettings()
    prompts: tuple[RenderPrompt, ...] = Field(min_length=1)
    storage_url: str

    @property
    def total(self) -> int:
        """Images to be made by this request."""
        return sum(len(prompt.slots) for prompt in self.prompts)

    @model_validator(mode="after")
    def _prompts_are_distinct(self) -> RenderRequest:
        if len({prompt.id for prompt in self.prompts}) != len(self.prompts):
            raise ValueError("the same prompt stands twice in one request")
        return self


class ServiceCall(Contract):
    """How a paid or foreign service made an image. It takes no seed: the same call gives another image."""

    service: str
    """The `api:NAME` of the worker's environment."""
    model: str
    """The model as the service names it."""
    size: str = ""
    """What was asked for, as 1024x1024; empty: the service's own size."""
    revised_prompt: str = Field(default="", max_length=10_000)
    """What the service made of the prompt, where it says so."""


class Manifest(Contract):
    """Everything needed to render a candidate again (5-generation: reproducibility)."""

    model: str
    model_location: str = ""
    """As in `WeightsReference`; `generation.verify` finds the model by it."""
    model_sha256: Sha256 | None = None
    scheduler: str = ""
    """The scheduler's class."""
    requested_scheduler: Scheduler = "default"
    steps: int | None = None
    guidance_scale: float | None = None
    seed: int | None = None
    """What is None is unknown, because a service made the image: see `service`."""
    width: int  # pixels
    height: int  # pixels
    dtype: str = ""
    device: str
    versions: dict[str, str] = Field(default_factory=dict)
    """Library name to version: torch, diffusers, transformers."""
    batch: int = Field(default=1, ge=1)
    """Images in the call that made this one: the same bits need a batch of the same size."""
    threads: int = Field(default=1, ge=1)
    """Of torch on a CPU; another number of them adds the same numbers in another order."""
    service: ServiceCall | None = None
    """None for what was rendered here."""
    prompt: str = ""
    negative: str = ""
    adapters: tuple[AdapterReference, ...] = ()
    controlnet: WeightsReference | None = None
    conditioning: Conditioning | None = None
    strength: float | None = None
    control_scale: float | None = None
    cost: float | None = None
    """What a paid service charged for this image, in the currency of its configuration."""


class RenderedImage(Contract):
    """One finished image; its file is already in storage under the hash of its bytes."""

    prompt: UUID
    position: int = Field(ge=0)
    key: str
    sha256: Sha256
    bytes: int = Field(gt=0)
    width: int = Field(gt=0)  # pixels
    height: int = Field(gt=0)  # pixels
    manifest: Manifest


class RenderedImages(Contract):
    """A worker's answer for some or all images of its request. Sending it twice changes nothing."""

    lease: Lease
    images: tuple[RenderedImage, ...] = Field(min_length=1)


class Progress(Contract):
    """A sign of life, with how far the work has come."""

    lease: Lease
    done: int = Field(ge=0)
    total: int = Field(gt=0)
    step: int = Field(default=0, ge=0)
    """Denoising steps done of the batch at hand."""
    steps: int = Field(default=0, ge=0)
    note: str = Field(default="", max_length=200)


class ProgressReply(Contract):
    """The platform's answer to a sign of life. Where `go_on` is false the job was cancelled, paused or given away."""

    go_on: bool


class Failure(Contract):
    """Why a worker gave a job back. `retryable` is false where another attempt cannot help."""

    lease: Lease
    code: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
    reason: str = Field(min_length=1, max_length=2_000)
    retryable: bool = True


class Claim(Contract):
    """A free worker's question: is there work in one of my lanes?"""

    worker: str = Field(min_length=1, max_length=200)
    lanes: tuple[Lane, ...] = Field(min_length=1)


RenderPrompt.model_rebuild()
