"""The files of a gallery template beside its form, and the files that templates travel in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from easel.common.errors import InvalidInput
from easel.forms.models import Template
from easel.forms.reading import MAX_BYTES
from easel.forms.services import GALLERY

PREVIEWS = {"preview.webp": "image/webp", "preview.png": "image/png"}


@dataclass(frozen=True)
class TemplateFile:
    """A template as a file holds it; the gallery's form.json has the same shape."""

    name: str
    description: str
    definition: Any


def preview_of(key: str, folder: Path = GALLERY) -> tuple[Path, str] | None:
    """Return the picture of a gallery template and its content type; `key` is the key of a stored template."""
    for name, content_type in PREVIEWS.items():
        if (folder / key / name).is_file():
            return folder / key / name, content_type
    return None


def write_file(template: Template, definition: Any) -> bytes:
    """Return a template as a file."""
    said = {"name": template.name, "description": template.description, "definition": definition}
    return (json.dumps(said, indent=2, ensure_ascii=False) + "\n").encode()


def read_file(file_name: str, content: bytes) -> TemplateFile:
    """Read a template from a file: what `write_file` made, or a bare definition. Raises InvalidInput with its place."""
    if len(content) > 2 * MAX_BYTES:
        raise InvalidInput(f"{file_name} has more than {2 * MAX_BYTES // 1024} kB; a template is smaller.")
    try:
        said = json.loads(content)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file_name} is no text in UTF-8. Export the template as JSON and choose that.") from error
    except json.JSONDecodeError as error:
        raise InvalidInput(f"{file_name}, line {error.lineno}: {error.msg}. Mend it, or export it again.") from error
    except RecursionError as error:
        raise InvalidInput(f"{file_name} is nested too deeply to be a template.") from error
    if isinstance(said, dict) and "components" in said:
        return TemplateFile(_name_of(file_name), "", said)
    if isinstance(said, dict) and isinstance(said.get("definition"), dict):
        name = _words(said.get("name"), 100) or _name_of(file_name)
        return TemplateFile(name, _words(said.get("description"), 2_000), said["definition"])
    raise InvalidInput(f'{file_name} holds no template: it has neither "components" nor a "definition".')


def _words(value: Any, most: int) -> str:
    return value.replace("\x00", "").strip()[:most] if isinstance(value, str) else ""


def _name_of(file_name: str) -> str:
    return _words(Path(file_name).stem.replace("-", " ").replace("_", " "), 100) or "Template"
