"""The contracts between the platform and the training worker, and the rows that a fine-tune learns from.

Free of Django and of torch, like `generation.types`: the platform writes what the trainers read.
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints, field_validator, model_validator

from generation.types import MAX_SEED, Contract, Lease, ModelReference, RenderSettings, Sha256

Method = Literal["dpo", "listwise", "rwr", "reward"]
"""Diffusion-DPO on pairs, Plackett-Luce on whole rankings, reward-weighted regression, and the reward model."""
Split = Literal["train", "validation", "test"]
Judge = Literal["taste", "referee"]
"""Two classifiers of other architectures and other training pictures: simulated annotators rank by `taste`, evaluations
measure with `referee`, so that no model is measured by what it was taught with."""
FileKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{2}/[0-9a-f]{64}\.[a-z0-9]{2,11}$")]


class StoredFile(Contract):
    """A file in storage, and the name that it has in the folder that it belongs to."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    key: FileKey
    bytes: int = Field(ge=0)


class SnapshotImage(Contract):
    """One image of a preference. Its file lies in storage, and in a snapshot folder under `images/` + key."""

    candidate: UUID
    key: FileKey
    sha256: Sha256
    width: int = Field(gt=0)  # pixels
    height: int = Field(gt=0)  # pixels
    model: str
    seed: int | None = None


class Judgement(Contract):
    """What one annotator answered about one item, by the images' places in the preference."""

    annotator: str
    """A pseudonym: the same person has the same one in every row of a snapshot."""
    groups: tuple[tuple[int, ...], ...]
    """Best first; ties share a group; images that were not ranked are absent."""
    ties_are_equal: bool = True
    """Whether images that share a group were judged equal; else they were not compared with each other, as those
    between the best and the worst."""
    all_bad: bool = False
    weight: float = Field(default=1.0, ge=0, le=1)
    """How reliable the annotator is: 1 counts in full, 0 not at all."""
    active_ms: int = Field(default=0, ge=0)
    simulated: bool = False

    @field_validator("ties_are_equal", mode="before")
    @classmethod
    def _equal_where_it_is_not_said(cls, value: object) -> object:
        return True if value is None else value  # older files have no such column


class Preference(Contract):
    """What the annotations of one item say together: the row of a snapshot.

    Everything that a method needs derives from it: pairs with soft labels, ordered groups, rewards.
    """

    item: UUID
    split: Split
    prompt: str
    negative: str = ""
    category: str = ""
    images: tuple[SnapshotImage, ...] = Field(min_length=2, max_length=64)
    judgements: tuple[Judgement, ...] = Field(min_length=1)
    strengths: tuple[float, ...]
    """Log worth of each image, mean 0, from the aggregated judgements: the reward of reward-weighted regression."""
    pairs: tuple[tuple[int, int, float], ...]
    """(a, b, p): the weighted share of judgements that put image a before b, ties half; each two images once, a < b."""
    pair_weights: tuple[float, ...]
    """The summed weights of the judgements behind each of the pairs."""

    @model_validator(mode="after")
    def _places_exist(self) -> Preference:
        places = range(len(self.images))
        if len(self.strengths) != len(places) or len(self.pairs) != len(self.pair_weights):
            raise ValueError("a preference has one strength an image, and one weight a pair")
        for judgement in self.judgements:
            ranked = [place for group in judgement.groups for place in group]
            if len(set(ranked)) != len(ranked) or not set(ranked) <= set(places):
                raise ValueError("a judgement ranks an image twice, or one that is not there")
        if any(not 0 <= a < b < len(places) or not 0 <= p <= 1 for a, b, p in self.pairs):
            raise ValueError("a pair names two images, the lower place first, and a share of 0 to 1")
        return self


class SnapshotReference(Contract):
    """A frozen snapshot: its files in storage, and the hash over its rows and images that the trainer checks."""

    id: UUID
    name: str
    sha256: Sha256
    files: tuple[StoredFile, ...]


class SamplePrompt(Contract):
    """A fixed prompt of the grid of samples that a run renders at every checkpoint."""

    text: str = Field(min_length=1, max_length=10_000)
    seed: int = Field(ge=0, le=MAX_SEED)


class TrainSettings(Contract):
    """Every knob of a fine-tune. None is the method's own default for that base model (see `finetune.defaults`)."""

    steps: int | None = Field(default=None, ge=1, le=100_000)
    learning_rate: float | None = Field(default=None, gt=0, le=1)
    batch: int | None = Field(default=None, ge=1, le=4_096)
    """Pairs, rankings or images that one optimizer step learns from, over all processes."""
    beta: float | None = Field(default=None, gt=0, le=100_000)
    """Effective beta of DPO and listwise: what the Diffusion-DPO paper writes as 5000 is 2500 here."""
    temperature: float | None = Field(default=None, gt=0, le=100)
    """tau of reward-weighted regression."""
    lora_rank: int | None = Field(default=None, ge=1, le=512)
    lora_alpha: float | None = Field(default=None, gt=0, le=4_096)
    warmup_steps: int | None = Field(default=None, ge=0, le=100_000)
    decay: float | None = Field(default=None, ge=0, le=1)
    """The last share of the steps, over which the learning rate falls to nothing; 0: it stays."""
    prompt_dropout: float | None = Field(default=None, ge=0, le=1)
    clip: float | None = Field(default=None, gt=0, le=1_000)
    """Largest norm of the gradient."""
    guard: float | None = Field(default=None, ge=0, le=1)
    """SDPO: how much of the loser's gradient is kept where it would make the winner worse; None: no guard."""
    stop_above: float | None = Field(default=None, gt=0, le=10)
    """Stop when the winners' held-out error is this much above the reference's: 0.02 is 2 %."""
    gradient_checkpointing: bool | None = None
    checkpoint_every: int | None = Field(default=None, ge=1, le=100_000)
    """Steps between two checkpoints, each with a grid of samples."""
    seed: int = Field(default=0, ge=0, le=2**32 - 1)


class TrainRequest(Contract):
    """All that a worker needs to fine-tune, without asking anybody."""

    lease: Lease
    run: UUID
    method: Method
    base: ModelReference
    snapshot: SnapshotReference
    settings: TrainSettings = TrainSettings()
    samples: tuple[SamplePrompt, ...] = ()
    sample_settings: RenderSettings = RenderSettings()
    storage_url: str


class MetricPoint(Contract):
    """What a run measured at one step. Errors are mean squared errors of the model's prediction."""

    step: int = Field(ge=0)
    values: dict[str, float]
    """By name: loss, implicit_accuracy (a reward model's: accuracy), winner_error and loser_error (relative to the
    reference's: 0.01 is 1 % worse), learning_rate, images_per_s, memory_mb; with the prefix held_out_ where measured on
    the validation split."""


class SampleGrid(Contract):
    """The samples that a checkpoint rendered, one an entry of the request's `samples`, in their order."""

    step: int = Field(ge=0)
    images: tuple[StoredFile, ...]


class TrainReport(Contract):
    """What a run measured and made since its last report. Points are keyed by step: twice is as good as once."""

    lease: Lease
    steps: int | None = Field(default=None, ge=1)
    """How many steps it takes in all, once it knows: defaults hang on the base model, which the platform may lack."""
    points: tuple[MetricPoint, ...] = ()
    grids: tuple[SampleGrid, ...] = ()


class TrainResult(Contract):
    """The end of a run that succeeded: the weights it made, in storage."""

    lease: Lease
    files: tuple[StoredFile, ...] = Field(min_length=1)
    """One file: an adapter in the format of diffusers, or a reward model whose header holds its configuration."""
    steps: int = Field(ge=0)
    """Optimizer steps behind the weights: fewer than asked where it stopped early."""
    stopped: str = Field(default="", max_length=500)
    """Why it stopped before its last step, in one line; empty where it did not."""
    values: dict[str, float] = Field(default_factory=dict)
    """The last figures, named as in MetricPoint; seconds is the time that training took."""
    settings: TrainSettings
    """With every default filled in."""
    commit: str = Field(default="", max_length=64)
    versions: dict[str, str] = Field(default_factory=dict)
    device: str = ""


class ScoreImage(Contract):
    """One image to be measured, and the prompt it was made for."""

    id: UUID
    key: FileKey
    prompt: str = Field(max_length=10_000)


class ScoreRequest(Contract):
    """Images to be measured by a classifier of the built-in model's pictures, or by a reward model."""

    lease: Lease
    judge: Judge | None = None
    reward_model: ModelReference | None = None
    images: tuple[ScoreImage, ...] = Field(min_length=1, max_length=20_000)
    storage_url: str

    @model_validator(mode="after")
    def _one_measure(self) -> ScoreRequest:
        if (self.judge is None) == (self.reward_model is None):
            raise ValueError("images are scored by a judge or by a reward model")
        return self


class ImageScore(Contract):
    """What was measured of one image."""

    id: UUID
    values: dict[str, float]
    """By a judge: `subject`, `style`, `colour`, `background` are 1 where the image shows what the prompt says, else 0
    (absent where the prompt is silent), `is_3d`, `is_flat`, ... one for each style the probability of it,
    `warmth` the mean of red minus blue of what is not background (-1..1), `coloured_background` 1 or 0.
    By a reward model: `reward`."""


class ScoreResult(Contract):
    """The answer to a ScoreRequest."""

    lease: Lease
    scores: tuple[ImageScore, ...]
    diversity: float | None = None
    """Mean distance between the images of one prompt (root mean square of the pixels' difference, 0..1)."""


class TrainClaim(Contract):
    """A free training worker's question: is there a run, or something to score?"""

    worker: str = Field(min_length=1, max_length=200)


class Work(Contract):
    """The answer to a TrainClaim: one of the two."""

    train: TrainRequest | None = None
    score: ScoreRequest | None = None
