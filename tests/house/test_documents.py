"""What is promised in the documents is there, and what is there is documented."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import easel
import pytest
from easel.common.errors import Refusal
from easel.env import Environment
from pydantic_settings import BaseSettings

from finetune import errors as finetune_errors
from finetune import round as round_of_training
from finetune.env import TrainEnvironment
from generation import errors as render_errors
from generation.env import WorkerEnvironment

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]


def _subclasses(kind: type[Any]) -> set[type[Any]]:
    return {kind} | {below for child in kind.__subclasses__() for below in _subclasses(child)}


def test_every_refusal_code_is_documented() -> None:
    for module in pkgutil.walk_packages(easel.__path__, "easel."):
        if not module.name.endswith(("wsgi", "celery", "cli")) and ".migrations." not in module.name:
            importlib.import_module(module.name)
    documented = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "reference" / "errors.md").read_text()))
    codes = {kind.__dict__["code"] for kind in _subclasses(Refusal) if "code" in kind.__dict__}
    assert codes - documented == set()


def test_every_reason_of_a_failed_job_is_documented() -> None:
    documented = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "reference" / "errors.md").read_text()))
    kinds = _subclasses(render_errors.RenderError) | _subclasses(finetune_errors.FinetuneError)
    codes = {kind.__dict__["code"] for kind in kinds if "code" in kind.__dict__} | {round_of_training.LOST}
    assert codes - documented == set()


@pytest.mark.parametrize(("kind", "part"), [(Environment, 0), (WorkerEnvironment, 1), (TrainEnvironment, 1)])
def test_every_setting_is_documented_with_its_default(kind: type[BaseSettings], part: int) -> None:
    text = (ROOT / "docs" / "reference" / "settings.md").read_text().split("## The rendering worker")[part]
    for name, field in kind.model_fields.items():
        variable = str(field.validation_alias or f"EASEL_{name.upper()}")
        row = next((line for line in text.splitlines() if line.startswith(f"| `{variable}`")), None)
        assert row is not None, f"{variable} is not in docs/reference/settings.md"
        assert field.description, f"{name} has no description"
        if isinstance(field.default, int | float) and not isinstance(field.default, bool):
            assert f"| {field.default:g}" in row, f"docs/reference/settings.md has another default of {variable}"


def test_every_invariant_names_a_test_that_exists() -> None:
    architecture = (ROOT / "ARCHITECTURE.md").read_text()
    invariants = architecture.split("**Invariant:**")[1:]
    assert len(invariants) >= 10
    for invariant in invariants:
        named = re.findall(r"`(tests/[\w/]+\.py)`", invariant.split("\n\n")[0])
        assert named, f"names no test: {invariant[:80]}"
        missing = [path for path in named if not (ROOT / path).is_file()]
        assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_links_of_a_document_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
