"""Who may import whom; import-linter's contracts say the same of the static imports, these tests of what is loaded."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _loaded(code: str, **environment: str) -> set[str]:
    """Run code in a fresh interpreter at the repository's root and return the top-level modules that it loaded."""
    printed = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*{{name.split('.')[0] for name in sys.modules}})"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(ROOT)]), **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return set(printed.split())


def test_platform_and_datasets_are_still_the_libraries_of_these_names() -> None:
    _loaded("import platform; assert platform.system(); import uuid; import datasets; assert datasets.load_dataset")


def test_a_web_process_never_loads_torch() -> None:
    loaded = _loaded(
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'easel.settings'\n"
        "import django; django.setup(); import easel.urls, easel.celery, easel.wsgi"
    )
    assert "django" in loaded
    assert loaded & {"torch", "diffusers", "transformers", "datasets", "trl", "peft"} == set()


def test_the_maths_of_preferences_loads_no_django_and_weighing_an_item_not_even_numpy() -> None:
    models = (
        "agreement", "bradley_terry", "conduct", "davidson", "intervals", "plackett_luce", "reliability", "together"
    )  # fmt: skip
    loaded = _loaded("".join(f"import easel.preferences.{name}\n" for name in models))
    assert "numpy" in loaded
    assert (
        loaded & {"django", "rest_framework", "celery", "scipy", "pandas", "evalica", "choix", "krippendorff"} == set()
    )
    assert "numpy" not in _loaded("import easel.preferences.aggregate")


@pytest.mark.processes
@pytest.mark.parametrize("module", ["generation.worker", "generation.engine", "finetune"])
def test_workers_never_load_the_platform(module: str) -> None:
    loaded = _loaded(f"import {module}", BROKER_URL="redis://localhost")
    # Where Django is installed, kombu imports its lazy strings by itself; the platform and the database stay away.
    assert loaded & {"easel", "rest_framework", "psycopg", "knox"} == set()


def test_the_contracts_of_import_linter_are_kept() -> None:
    result = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout


def test_views_read_through_queryset_verbs() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in (ROOT / "platform" / "easel").rglob("*views.py")
        if path.stem == "views" or path.stem.endswith("_views")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if ".filter(" in line or ".exclude(" in line
    ]
    assert found == []


def test_no_state_is_assigned_by_hand() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "platform" / "easel").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"state", "status"} and isinstance(node.ctx, ast.Store)
    ]
    assert found == []


def test_every_file_is_short_enough_to_be_read() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ("platform", "generation", "finetune", "tests")
        for path in (ROOT / folder).rglob("*.py")
        if "migrations" not in path.parts and (lines := len(path.read_text().splitlines())) > 500
    }
    assert long == {}
