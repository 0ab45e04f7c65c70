"""The formats that annotations are exported in: one table for the page, the REST interface and the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from easel.annotation.models import Item
from easel.common.errors import InvalidInput
from easel.projects.models import Project
from easel.snapshots import exports, tables, texts


class Lines(Protocol):
    """What yields a format's lines. Raises a Refusal at once, before the first one, where it has nothing to say."""

    def __call__(self, project: Project, *, include_simulated: bool = False) -> Iterator[bytes]:
        """Yield the lines."""
        ...


@dataclass(frozen=True)
class Format:
    """One format."""

    key: str
    name: str
    title: str
    suffix: str
    content_type: str
    lines: Lines | None
    """None: it is written as a file at once (`exports.write_trl`)."""
    python: str = ""
    """Reads it."""

    @property
    def mark(self) -> str:
        """What tells its file from another one of the same project and suffix."""
        return self.key.removeprefix("trl") if self.key.startswith("trl-") else ""

    @property
    def file(self) -> str:
        """What its file is called in examples."""
        names = {"trl": "preferences", "trl-sft": "sft", "trl-kto": "kto"}
        return f"{names.get(self.key, 'annotations')}.{self.suffix}"


_JSON = 'datasets.load_dataset("json", data_files="{}")'
ALL: dict[str, Format] = {
    one.key: one
    for one in (
        Format(
            "jsonl",
            "Easel JSONL: every annotation, one a line",
            "Easel JSONL",
            "jsonl",
            "application/x-ndjson",
            exports.jsonl,
        ),
        Format("csv", "CSV: a table, one annotation a row", "CSV", "csv", "text/csv; charset=utf-8", tables.csv_lines),
        Format(
            "trl",
            "TRL preferences: Parquet with the images inside",
            "TRL preferences",
            "parquet",
            "application/vnd.apache.parquet",
            None,
            'datasets.load_dataset("parquet", data_files="preferences.parquet")',
        ),
        Format(
            "trl-sft",
            "TRL prompts and completions: JSON lines for supervised fine-tuning",
            "TRL prompts and completions",
            "jsonl",
            "application/x-ndjson",
            texts.sft_lines,
            _JSON.format("sft.jsonl"),
        ),
        Format(
            "trl-kto",
            "TRL unpaired preferences: JSON lines for KTO",
            "TRL unpaired preferences",
            "jsonl",
            "application/x-ndjson",
            texts.kto_lines,
            _JSON.format("kto.jsonl"),
        ),
    )
}
FORMATS = {key: one.name for key, one in ALL.items()}


def format_named(key: str) -> Format:
    """Return the format of that key. Raises InvalidInput."""
    found = ALL.get(key)
    if found is None:
        known = ", ".join(ALL)
        raise InvalidInput(
            f"There is no export format {key[:40]!r}; choose one of {known}.", fields={"format": [f"one of {known}"]}
        )
    return found


def offered(project: Project) -> list[Format]:
    """The formats that a project's annotations can be written in."""
    offers = {
        "trl": Item.objects.to_rank().filter(project=project, request__isnull=False).exists(),
        "trl-sft": texts.offers(project, texts.writes_completions),
        "trl-kto": texts.offers(project, texts.tells_good),
    }
    return [one for key, one in ALL.items() if offers.get(key, True)]
