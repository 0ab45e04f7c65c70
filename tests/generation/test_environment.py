"""The worker's environment and what it imports."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from generation.env import WorkerEnvironment
from generation.render import main

REPOSITORY = Path(__file__).parents[2]


def _run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LD_LIBRARY_PATH"}}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, env=kept | variables, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({}, "BROKER_URL is not set; a worker needs it\n"),
        ({"BROKER_URL": "http://x"}, "BROKER_URL: must start with redis://"),
        ({"BROKER_URL": "redis://x", "RESULT_URL": "db+sqlite://"}, "RESULT_URL: must start with redis://"),
        ({"BROKER_URL": "redis://x", "STORAGE_URL": "/srv/images"}, "STORAGE_URL: must be a URL"),
        ({"BROKER_URL": "redis://x", "EASEL_MODEL_PATH": "/nowhere"}, "EASEL_MODEL_PATH: /nowhere is no folder"),
        (
            {"BROKER_URL": "redis://x", "EASEL_RENDER_BATCH": "many"},
            "EASEL_RENDER_BATCH: Input should be a valid integer",
        ),
    ],
)
def test_a_bad_value_stops_the_start_with_one_line(variables: dict[str, str], line: str) -> None:
    ended = _run(
        "import generation.env; generation.env.read_environment(generation.env.WorkerEnvironment)", **variables
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(line)
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("broker", "replies"),
    [
        ("redis+socket:///run/valkey.sock", "redis+socket:///run/valkey.sock"),
        ("redis://broker:6379/0", "redis://broker:6379/0"),
        ("amqp://user:password@broker//", "rpc://"),
    ],
)
def test_replies_come_through_the_broker_unless_said_otherwise(broker: str, replies: str) -> None:
    assert WorkerEnvironment(broker_url=broker, result_url="").replies == replies
    assert WorkerEnvironment(broker_url=broker, result_url="redis://other").replies == "redis://other"


def test_contracts_and_storage_are_there_without_torch() -> None:
    ended = _run("import sys, generation.types, generation.storage; print('torch' in sys.modules)")
    assert ended.stdout == "False\n"


@pytest.mark.processes  # it imports everything, which takes seconds
def test_nothing_of_generation_needs_django() -> None:
    modules = [f"generation.{path.stem}" for path in (REPOSITORY / "generation").glob("*.py")]
    code = f"""
import importlib, sys
for name in {modules!r}:
    importlib.import_module(name.removesuffix(".__init__"))
ours = [name for name in sys.modules if name.partition(".")[0] in ("easel", "finetune", "rest_framework")]
# Where Django is installed, kombu itself looks into django.utils for lazy texts.
print(ours + [name for name in ("django.conf", "django.apps", "django.db") if name in sys.modules])
"""
    ended = _run(code, BROKER_URL="redis://nobody")
    assert ended.stdout == "[]\n", ended.stderr


def test_the_command_line_renders_with_the_same_engine(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--model", "folder:tiny", "--prompt", "apple", "--seed", "1", "2", "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    files = [line.partition("\t")[0] for line in capsys.readouterr().out.splitlines()]
    assert len(files) == 2
    assert all(Path(file).is_file() for file in files)

    assert main([*arguments, "--model", "folder:absent"]) == 1
    assert capsys.readouterr().err.startswith("model_not_found: ")
