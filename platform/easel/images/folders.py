"""A folder of images, with a table of what is known about them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from easel.common.errors import InvalidInput
from easel.common.pictures import MAX_BYTES
from easel.images.imports import Said, Upload

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}
COLUMNS = {"file", "prompt", "negative", "model", "seed"}


def image_files(folder: Path) -> list[Path]:
    """Return a folder's images, those of the folders in it too, in the order of their names."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def uploads_from(folder: Path, files: Iterable[Path], said: Mapping[str, Said], fallback: Said) -> Iterator[Upload]:
    """Read files, one in memory at a time. The table names them by their path within the folder, or by their name."""
    for path in files:
        inside = path.relative_to(folder).as_posix()
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        yield Upload(inside, content, said=said.get(inside) or said.get(path.name) or Said(), fallback=fallback)


def said_of(table: Path) -> dict[str, Said]:
    """Read a .csv of columns file, prompt, negative, model, seed. Raises InvalidInput that names the line."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            return dict(_rows(table.name, csv.DictReader(file, strict=True)))
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{table.name} is not UTF-8. Save it as UTF-8.") from error
    except csv.Error as error:
        raise InvalidInput(f"{table.name}: {error}. Mend its quotes.") from error


def _rows(name: str, reader: csv.DictReader[str]) -> Iterator[tuple[str, Said]]:
    columns = {column.strip().lower(): column for column in reader.fieldnames or [] if column}
    if "file" not in columns:
        raise InvalidInput(f"{name} has no column 'file'. Name the column with the file names 'file'.")
    if unknown := sorted(columns.keys() - COLUMNS):
        raise InvalidInput(f"{name} has a column {unknown[0]!r}; {', '.join(sorted(COLUMNS))} are read. Rename it.")
    for row in reader:
        texts = {column: (row.get(title) or "").strip() for column, title in columns.items()}
        seed = texts.get("seed", "")
        if seed and not seed.isdecimal():
            raise InvalidInput(f"{name}, line {reader.line_num}: seed {seed[:40]!r} is no whole number. Mend it.")
        yield (
            texts["file"],
            Said(
                prompt=texts.get("prompt", ""),
                negative=texts.get("negative", ""),
                model=texts.get("model", ""),
                seed=int(seed) if seed else None,
            ),
        )
