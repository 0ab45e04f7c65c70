"""The file `run` and the locks that it installs."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
import tomllib
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest
from easel.env import REPOSITORY

LOCKS = sorted((REPOSITORY / "requirements").glob("*.txt"))


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """The script as a module that believes itself to lie in an empty folder."""
    loader = SourceFileLoader("easel_run", str(REPOSITORY / "run"))
    spec = spec_from_loader("easel_run", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    module.__dict__.update(ROOT=tmp_path, VENV=tmp_path / ".venv", LOG=tmp_path / "install.log")
    return module


def packages(lock: Path) -> dict[str, set[str]]:
    """The versions of each package of a lock; one may have another version for another Python."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock.read_text(), flags=re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[~=><;! ]", name)[0]).lower()


@pytest.mark.parametrize("arguments", [[], ["dance"], ["up", "--port", "none"]])
def test_wrong_usage_ends_with_status_two_and_the_usage(arguments: list[str]) -> None:
    if arguments[:1] == ["up"]:
        command = [sys.executable, "-m", "easel.embedded.up", *arguments[1:]]
    else:
        command = [sys.executable, str(REPOSITORY / "run"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "./run up" in done.stderr


def test_run_can_be_executed_and_needs_nothing_but_the_standard_library() -> None:
    script = REPOSITORY / "run"
    assert script.stat().st_mode & stat.S_IXUSR
    imported = set(re.findall(r"^(?:import|from) (\w+)", script.read_text(), flags=re.MULTILINE))
    assert imported <= sys.stdlib_module_names | {"__future__"}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "error: failed to write: No space left on device (os error 28)",
            "The disk is full. Free 3 GB and start again.",
        ),
        ("error sending request for url", "The package index cannot be reached: check the network"),
        ("Temporary failure in name resolution", "The package index cannot be reached: check the network"),
        ("fetching\nerror: no such option\nbye", "Installing failed: error: no such option (all of it: "),
    ],
)
def test_a_failed_installation_is_told_in_one_line(run: Any, said: str, told: str) -> None:
    line = run.why(said)
    assert line.startswith(told)
    assert "\n" not in line


def test_a_python_that_is_too_new_or_too_old_is_refused_with_what_to_install(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    for version in [(3, 10, 4), (3, 13, 0)]:
        monkeypatch.setattr(sys, "version_info", version)
        with pytest.raises(run.Refusal, match=r"^Easel needs Python 3\.11 or 3\.12; this is .*apt-get install"):
            run.ensure_python_version()


def test_the_stamp_counts_only_for_the_same_locks_and_covers_less_with_more(run: Any, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("one")
    run.PYTHON = run.STAMP = tmp_path / "stamp"
    assert not run.installed("up")
    for installed_for, covered in [("up", {"up"}), ("test", {"up", "test"})]:
        run.STAMP.write_text(f'{{"for": "{installed_for}", "key": "{run.key()}"}}')
        assert {what for what in ("up", "test") if run.installed(what)} == covered
    (tmp_path / "pyproject.toml").write_text("two")
    assert not run.installed("up")


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_locked_package_has_hashes_and_no_lock_names_a_registry_or_torch(lock: Path) -> None:
    for block in re.split(r"\n(?=[^\s#])", lock.read_text())[1:]:
        assert re.match(r"[\w.-]+==[^\s;\\]+", block), block
        assert "--hash=sha256:" in block, block
    assert "://" not in lock.read_text()
    assert not any(re.match(r"torch$|triton$|nvidia-|cuda-", name) for name in packages(lock))
    assert "requirements/compile.py" in lock.read_text().splitlines()[1], "the header says how it is made"


def test_the_locks_agree_and_hold_everything_that_the_project_names() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    everything = packages(REPOSITORY / "requirements" / "lock.txt")
    for name, held in [("web", []), ("ml", ["ml"]), ("up", ["embedded", "ml"]), ("lock", ["embedded", "ml", "dev"])]:
        found = packages(REPOSITORY / "requirements" / f"{name}.txt")
        assert all(everything[package] >= versions for package, versions in found.items()), name
        wanted = [*project["dependencies"], *(one for extra in held for one in extras[extra])]
        assert {normal(one) for one in wanted} - {"torch"} <= {normal(one) for one in found}, name
    assert [one for one in extras["ml"] if one.startswith("torch==")], "run installs the torch that is pinned there"
