"""Exports of annotations, streamed: memory does not grow with their number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import blake2b
from itertools import combinations
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings

from easel.annotation.models import Annotation
from easel.common.storage import storage
from easel.images.models import Candidate, GenerationRequest
from easel.projects.models import Project

PAGE = 500  # annotations held in memory at once
ROW_GROUP = 200  # preference pairs a Parquet row group; their images are in memory together
FORMAT_VERSION = 1


def pseudonym(annotator: object) -> str:
    """Return a stable name for an annotator that cannot be traced back without this installation's key."""
    return blake2b(str(annotator).encode(), key=settings.SECRET_KEY.encode()[:64], digest_size=8).hexdigest()


def judgements(project: Project, *, include_simulated: bool = False) -> Iterator[dict[str, Any]]:
    """Yield one judgement row an annotation, oldest first: the canonical form that every other export derives from.

    Components marked `exclude` are left out of the answers. Simulated annotators are left out unless asked for.
    """
    rows = Annotation.objects.exportable(project, include_simulated=include_simulated)
    rows = rows.select_related("item__adjudication")
    excluded: dict[object, frozenset[str]] = {}
    for page in _pages(rows.iterator(chunk_size=PAGE)):
        candidates = _candidates_of(page)
        for row in page:
            version = row.item.template_version
            if version.pk not in excluded:
                excluded[version.pk] = version.form.excluded()
            yield {
                "format": FORMAT_VERSION,
                "id": str(row.pk),
                "project": str(project.pk),
                "item": str(row.item_id),
                "annotator": pseudonym(row.annotator_id),
                "annotator_kind": row.annotator.kind,
                "created_at": row.created_at.isoformat(),
                "active_ms": row.active_ms,
                "surplus": row.assignment.state == row.assignment.State.SURPLUS,
                "review": row.review_state or None,
                "revision": row.revision,
                "adjudication": _decision(row),
                "held_out": row.item.prompt.held_out,
                "evaluation": _is_of_evaluation(row),
                "template": version.template.key,
                "template_version": version.number,
                "prompt": row.item.prompt.text,
                "negative": row.item.prompt.negative,
                "prompt_metadata": row.item.prompt.metadata,
                "shown_order": [str(pk) for pk in row.assignment.shown_order],
                "ranking": row.ranking,
                "ties_are_equal": row.ties_are_equal,
                "all_bad": row.all_bad,
                "answers": {name: value for name, value in row.answers.items() if name not in excluded[version.pk]},
                "candidates": [
                    {
                        "id": str(candidate.pk),
                        "file": candidate.key,
                        "sha256": candidate.sha256,
                        "width": candidate.width,
                        "height": candidate.height,
                        "seed": candidate.seed,
                        "model": candidate.model.name,
                        "model_version": str(candidate.model_id),
                        "model_sha256": candidate.model.sha256,
                        "settings": candidate.manifest,
                    }
                    for candidate in (candidates[pk] for pk in row.assignment.shown_order)
                ],
            }


def _decision(row: Annotation) -> dict[str, Any] | None:
    """The last word on the item where annotators disagreed, which stands above what the row says; None without one."""
    found = getattr(row.item, "adjudication", None)
    if found is None:
        return None
    said = {"ranking": found.ranking, "ties_are_equal": found.ties_are_equal, "all_bad": found.all_bad}
    return {"by": pseudonym(found.by_id), "created_at": found.created_at.isoformat(), **said}


def _is_of_evaluation(row: Annotation) -> bool:
    request = row.item.request
    return request is not None and request.kind == GenerationRequest.Kind.EVALUATION


def _pages(rows: Iterator[Annotation]) -> Iterator[list[Annotation]]:
    page: list[Annotation] = []
    for row in rows:
        page.append(row)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page


def _candidates_of(page: list[Annotation]) -> dict[Any, Candidate]:
    wanted = {pk for row in page for pk in row.assignment.shown_order}
    return Candidate.objects.select_related("model").in_bulk(list(wanted))


def jsonl(project: Project, *, include_simulated: bool = False) -> Iterator[bytes]:
    """Yield the Easel JSONL export, one judgement a line."""
    for row in judgements(project, include_simulated=include_simulated):
        yield json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
# The "huggingface" metadata tells `datasets` that the structs are images: load_dataset gives PIL images.
_FEATURES = {
    "prompt": {"dtype": "string", "_type": "Value"},
    "chosen": {"_type": "Image"},
    "rejected": {"_type": "Image"},
}
TRL_SCHEMA = pa.schema(
    [("prompt", pa.string()), ("chosen", _IMAGE), ("rejected", _IMAGE)],
    metadata={"huggingface": json.dumps({"info": {"features": _FEATURES}})},
)


def pairs(ranking: list[list[str]]) -> Iterator[tuple[str, str]]:
    """Yield (better, worse) of every two candidates on different places; ties give no pair."""
    for better, worse in combinations(ranking, 2):
        for winner in better:
            for loser in worse:
                yield winner, loser


def write_trl(project: Project, file: Path | IO[bytes], *, include_simulated: bool = False) -> int:
    """Write TRL's preference format (`prompt`, `chosen`, `rejected`) as Parquet with the images inside; count rows.

    Of an item that a reviewer decided, the decision is written once, in place of what its annotators said. Left out
    are surplus annotations, returned ones that nobody has corrected yet, those that call every image bad (a pair of
    two bad images teaches nothing that the annotator meant), and those of held-out prompts and of evaluations, which
    are for measuring. Raises StorageError where an image's file is missing.
    """
    written = 0
    files = storage()
    with pq.ParquetWriter(file, TRL_SCHEMA, compression="zstd") as writer:
        group: list[dict[str, Any]] = []
        decided: set[str] = set()
        for row in judgements(project, include_simulated=include_simulated):
            if row["surplus"] or row["review"] == "returned" or row["held_out"] or row["evaluation"]:
                continue
            if decision := row["adjudication"]:
                if row["item"] in decided:
                    continue
                decided.add(row["item"])
            said = decision or row
            if said["all_bad"]:
                continue
            images = {
                one["id"]: {"bytes": files.read(one["file"]), "path": Path(one["file"]).name}
                for one in row["candidates"]
            }
            for winner, loser in pairs(said["ranking"]):
                group.append({"prompt": row["prompt"], "chosen": images[winner], "rejected": images[loser]})
                if len(group) == ROW_GROUP:
                    written += _flush(writer, group)
        written += _flush(writer, group)
    return written


def _flush(writer: pq.ParquetWriter, group: list[dict[str, Any]]) -> int:
    if group:
        writer.write_table(pa.Table.from_pylist(group, schema=TRL_SCHEMA))
    count = len(group)
    group.clear()
    return count
