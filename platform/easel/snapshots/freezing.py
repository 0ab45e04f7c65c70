"""Writing a snapshot: annotations stream by in the order of their items, and never all of them are in memory."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from hashlib import blake2b
from itertools import groupby
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.fields.json import KeyTextTransform
from django.utils import timezone

from easel.accounts.models import User
from easel.annotation.models import Adjudication, Annotation, Item
from easel.common.errors import Refusal
from easel.common.storage import storage
from easel.forms.models import TemplateVersion
from easel.preferences import reliability
from easel.preferences.aggregate import aggregate
from easel.prompts.models import Prompt
from easel.registry.models import ModelVersion
from easel.snapshots.filters import CATEGORY, chosen
from easel.snapshots.models import DatasetSnapshot
from easel.snapshots.splits import Splits, leak_among
from finetune import snapshot as folders
from finetune.types import Judgement, Preference, SnapshotImage, StoredFile

PAGE = 200  # items whose images are read at once
BEAT = 2.0  # seconds between two signs of life
ONLY_TIES = (
    "Every annotation is a tie, calls all images bad, or ranks one image alone: there is no pair to learn from. "
    "Collect rankings that put one image before another."
)
ONE_PROMPT = (
    "All annotations are of one prompt, or of prompts that say nearly the same: a model would learn that prompt and "
    "nothing else. Rank images of more prompts."
)


class NothingToLearn(Refusal):
    """A snapshot that no fine-tune could learn anything from."""

    code = "nothing_to_learn"


class SplitLeaks(Refusal):
    """Near duplicates stand in different splits. A bug of the split, found before anything was trained on it."""

    code = "split_leaks"


@dataclass
class Passed:
    """What passed by: items that are left out, by the reason, and the models that made the images of the others."""

    prompts: int = 0
    """Prompts before items were left out, near duplicates counted once."""
    near_held_out: int = 0
    disagreement: int = 0
    silent: int = 0
    """Nobody compared two of their images, or all who did call every one bad."""
    decided: int = 0
    """Items that are taken, and of which a reviewer's decision counts in place of what their annotators said."""
    models: set[UUID] = field(default_factory=set)


class Pulse:
    """Tells how far the work has come, every two seconds. `say` raises where the work has been given to another."""

    def __init__(self, say: Callable[[int, str], None], now: Callable[[], datetime] = timezone.now) -> None:
        self._say, self._now = say, now
        self._last: datetime | None = None
        self.done = 0

    def beat(self, note: str, more: int = 0) -> None:
        """Go on counting."""
        self.done += more
        now = self._now()
        if self._last is None or (now - self._last).total_seconds() >= BEAT:
            self._say(self.done, note)
            self._last = now


@dataclass(frozen=True)
class Written:
    """A snapshot's files in storage, and what is in them."""

    files: tuple[StoredFile, ...]
    manifest: folders.Manifest


def pseudonym_in(snapshot: DatasetSnapshot, annotator: UUID) -> str:
    """Return an annotator's name in one snapshot: another in every other, and nobody can trace it back."""
    key = settings.SECRET_KEY.encode()[:64]
    return blake2b(annotator.bytes, key=key, salt=snapshot.pk.bytes, digest_size=8).hexdigest()


def write(snapshot: DatasetSnapshot, pulse: Pulse) -> Written:
    """Write a snapshot's files into storage; writing it again gives the same files.

    Raises NothingToLearn, SplitLeaks, finetune.snapshot.SnapshotError for an image that is missing or has changed, and
    StorageError.
    """
    passed = Passed()
    with tempfile.TemporaryDirectory(prefix="easel-snapshot-") as root:
        folder = Path(root)

        def finish(manifest: folders.Manifest) -> folders.Manifest:
            refuse_empty(manifest, passed)
            if leak := leak_among(partial(_as_written, snapshot, folder, pulse)):
                raise SplitLeaks(
                    f"{leak.prompt[:80]!r} ({leak.split}) and {leak.other[:80]!r} ({leak.other_split}) say nearly the "
                    "same, and stand in different splits. Nothing was frozen; please report it."
                )
            models = ModelVersion.objects.filter(pk__in=passed.models).order_by("name")
            return manifest.model_copy(
                update={
                    "models": tuple(folders.ModelFact(name=one.name, licence=one.licence) for one in models),
                    "remarks": remarks(manifest, passed),
                }
            )

        rows = _preferences(snapshot, passed, pulse)
        manifest = folders.write(folder, rows, storage(), _facts(snapshot), copy_images=False, finish=finish)
        pulse.beat("storing the files")
        names = [folders.MANIFEST, folders.CARD, *(f"{split}.parquet" for split in folders.SPLITS)]
        files = tuple(
            StoredFile(name=name, key=storage().put_file(folder / name), bytes=(folder / name).stat().st_size)
            for name in names
        )
    return Written(files, manifest)


def refuse_empty(manifest: folders.Manifest, passed: Passed) -> None:
    """Raise NothingToLearn for a snapshot without rows, with ties only, or of one prompt."""
    rows = sum(counts.rows for counts in manifest.counts.values())
    if not rows:
        why = f"{passed.disagreement:,} items whose annotators agree less" if passed.disagreement else "none"
        raise NothingToLearn(f"The filters leave nothing: of the items, {why}. Ask for less agreement, or of more.")
    if min(passed.prompts, sum(counts.prompts for counts in manifest.counts.values())) == 1:
        raise NothingToLearn(ONE_PROMPT)
    if not manifest.counts["train"].pairs:
        raise NothingToLearn(ONLY_TIES)


def remarks(manifest: folders.Manifest, passed: Passed) -> tuple[str, ...]:
    """Return what a reader of the card must know, one line each."""
    found = []
    if empty := [split for split in folders.SPLITS if not manifest.counts[split].rows]:
        is_or_are = "split is" if len(empty) == 1 else "splits are"
        found.append(f"The {' and '.join(empty)} {is_or_are} empty, for there are few prompts.")
    if not manifest.counts["validation"].rows:
        found.append("Without a validation split, no run can see that it gets worse, and stop early.")
    if passed.near_held_out:
        found.append(f"Left out: {_count(passed.near_held_out, 'prompt')} that say nearly what a held-out prompt says.")
    if passed.disagreement:
        found.append(f"Left out: {_count(passed.disagreement, 'item')} whose annotators agree less than was asked.")
    if passed.silent:
        found.append(f"Left out: {_count(passed.silent, 'item')} of which nobody ranked two images, or all were bad.")
    if passed.decided:
        found.append(f"A reviewer decided {_count(passed.decided, 'item')} on which annotators disagreed.")
    return tuple(found)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _splits(snapshot: DatasetSnapshot, pulse: Pulse) -> Splits:
    prompts = Prompt.objects.filter(Exists(_chosen(snapshot).filter(item__prompt=OuterRef("pk"))))

    def texts() -> Iterator[str]:
        for text in prompts.values_list("text", flat=True).iterator(chunk_size=PAGE):
            pulse.beat("looking for prompts that say nearly the same")
            yield text

    return Splits(texts(), _held_out(snapshot), snapshot.shares())


def _chosen(snapshot: DatasetSnapshot) -> QuerySet[Annotation]:
    wanted, simulated = snapshot.wanted(), snapshot.include_simulated
    return chosen(snapshot.project, wanted, include_simulated=simulated, at=snapshot.created_at)


def _held_out(snapshot: DatasetSnapshot) -> Iterator[str]:
    prompts = Prompt.objects.held_out(snapshot.project)
    yield from prompts.values_list("text", flat=True).iterator(chunk_size=PAGE)


def _as_written(snapshot: DatasetSnapshot, folder: Path, pulse: Pulse) -> Iterator[tuple[str, str]]:
    """The prompts of the rows with their splits, from the files; held-out ones as a split of their own."""
    for split in folders.SPLITS:
        for text in folders.prompts_of(folder / f"{split}.parquet"):
            pulse.beat("checking the split")
            yield text, split
    for text in _held_out(snapshot):
        yield text, "held out"


def _facts(snapshot: DatasetSnapshot) -> folders.Facts:
    versions = TemplateVersion.objects.filter(pk__in=_chosen(snapshot).values("item__template_version"))
    return folders.Facts(
        name=snapshot.name,
        created_at=snapshot.created_at,
        template="; ".join(str(version) for version in versions.select_related("template")),
        guidelines=snapshot.project.guidelines,
        filters=snapshot.wanted().model_dump(mode="json", exclude_defaults=True),
        split_seed=snapshot.split_seed,
        include_simulated=snapshot.include_simulated,
    )


def _preferences(snapshot: DatasetSnapshot, passed: Passed, pulse: Pulse) -> Iterator[Preference]:
    """Yield the rows: what the annotations of each item say together. The splits are held no longer than it runs."""
    splits = _splits(snapshot, pulse)
    passed.prompts, passed.near_held_out = splits.groups, splits.held_out
    least = snapshot.wanted().least_agreement
    weights = _weights(snapshot, pulse)
    for page in _pages(snapshot):
        images = _images_of([item for item, _ in page], passed)
        decisions = _decisions_on([item for item, _ in page], snapshot)
        for item, every in page:
            decision = decisions.get(item)
            said = every if decision is None else [_as_decided(decision, every[0])]
            pulse.beat("weighing annotations", more=len(every))
            split = splits.of(said[0].text)
            if split is None:  # it is near a held-out prompt
                continue
            if len(images[item]) < 2:  # one image is compared with nothing
                passed.silent += 1
                continue
            places = {str(image.candidate): place for place, image in enumerate(images[item])}
            judgements = tuple(_judgement(snapshot, one, places, weights.get(one.annotator, 1.0)) for one in said)
            together = aggregate(len(places), judgements)
            if not together.pairs:
                passed.silent += 1
            elif least is not None and decision is None and (together.agreement is None or together.agreement < least):
                passed.disagreement += 1
            else:
                passed.decided += decision is not None
                yield Preference(
                    item=item,
                    split=split,
                    prompt=said[0].text,
                    negative=said[0].negative,
                    category=said[0].category or "",
                    images=tuple(images[item]),
                    judgements=judgements,
                    strengths=together.strengths,
                    pairs=together.pairs,
                    pair_weights=together.pair_weights,
                )


class _Said(NamedTuple):
    """One annotation, with its prompt."""

    item: UUID
    annotator: UUID
    kind: str
    ranking: list[list[str]]
    ties_are_equal: bool
    all_bad: bool
    active_ms: int
    text: str
    negative: str
    category: str | None


def _decisions_on(items: list[UUID], snapshot: DatasetSnapshot) -> dict[UUID, Adjudication]:
    rows = Adjudication.objects.filter(created_at__lte=snapshot.created_at)
    return {row.item_id: row for row in rows.filter(item__in=items)}


def _as_decided(decision: Adjudication, said: _Said) -> _Said:
    """What a reviewer decided, in the place of what annotators said of the same item."""
    return said._replace(
        annotator=decision.by_id,
        kind=User.Kind.HUMAN,
        ranking=decision.ranking,
        ties_are_equal=decision.ties_are_equal,
        all_bad=decision.all_bad,
        active_ms=0,
    )


def _pages(snapshot: DatasetSnapshot) -> Iterator[list[tuple[UUID, list[_Said]]]]:
    """Yield the annotations by item, a page of items at a time."""
    rows = (
        _chosen(snapshot)
        .annotate(prompt_category=KeyTextTransform(CATEGORY, "item__prompt__metadata"))
        .order_by("item", "id")
        .values_list(
            "item",
            "annotator",
            "annotator__kind",
            "ranking",
            "ties_are_equal",
            "all_bad",
            "active_ms",
            "item__prompt__text",
            "item__prompt__negative",
            "prompt_category",
        )
    )
    page: list[tuple[UUID, list[_Said]]] = []
    said = (_Said(*row) for row in rows.iterator(chunk_size=PAGE))
    for item, of_item in groupby(said, key=attrgetter("item")):
        page.append((item, list(of_item)))
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page


def _images_of(items: list[UUID], passed: Passed) -> dict[UUID, list[SnapshotImage]]:
    """Return the images of items, each item's in the order of their ids, in one query."""
    found: dict[UUID, list[SnapshotImage]] = defaultdict(list)
    rows = Item.candidates.through.objects.filter(item__in=items).order_by("item", "candidate")
    for item, pk, key, sha256, width, height, model, name, seed in rows.values_list(
        "item",
        "candidate",
        "candidate__key",
        "candidate__sha256",
        "candidate__width",
        "candidate__height",
        "candidate__model",
        "candidate__model__name",
        "candidate__seed",
    ):
        passed.models.add(model)
        found[item].append(
            SnapshotImage(candidate=pk, key=key, sha256=sha256, width=width, height=height, model=name, seed=seed)
        )
    return found


def _weights(snapshot: DatasetSnapshot, pulse: Pulse) -> dict[UUID, float]:
    """Return what each annotator's judgements count, by all of the annotations: see preferences.reliability."""
    chosen = _chosen(snapshot).order_by("item", "id")
    rows = chosen.values_list("item", "annotator", "ranking", "ties_are_equal", "all_bad")

    def items() -> Iterator[list[Judgement]]:
        for _, of_item in groupby(rows.iterator(chunk_size=PAGE), key=itemgetter(0)):
            places: dict[str, int] = {}
            judgements = []
            for _, annotator, ranking, equal, all_bad in of_item:
                groups = tuple(tuple(places.setdefault(image, len(places)) for image in group) for group in ranking)
                judgements.append(
                    Judgement(annotator=str(annotator), groups=groups, ties_are_equal=equal, all_bad=all_bad)
                )
            pulse.beat("finding out how far annotators can be relied on")
            yield judgements

    # Rounded, so that the files are the same ones on any machine.
    return {UUID(name): round(found.weight, 3) for name, found in reliability.fit(items()).items()}


def _judgement(snapshot: DatasetSnapshot, said: _Said, places: dict[str, int], weight: float) -> Judgement:
    return Judgement(
        annotator=pseudonym_in(snapshot, said.annotator),
        groups=tuple(tuple(places[image] for image in group) for group in said.ranking),
        ties_are_equal=said.ties_are_equal,
        all_bad=said.all_bad,
        weight=weight,
        active_ms=said.active_ms,
        simulated=said.kind == User.Kind.SIMULATED,
    )
