"""The command line: what the pages do, for scripts. Exit status 0 done, 1 refused with one line, 2 wrong usage."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from django.utils import timezone
from easel.accounts.models import User
from easel.annotation.gathering import gather
from easel.cli import easel
from easel.common.errors import Refusal
from easel.common.models import Job
from easel.images.models import Candidate, GenerationRequest
from easel.projects.models import Membership
from easel.prompts.models import Prompt

from tests import cast as stage
from tests.cast import API, Cast
from tests.texts import CHAT, answer, write_texts


def run(*arguments: object) -> Result:
    """Run a command in this process; a refusal is raised."""
    return CliRunner().invoke(easel, [str(one) for one in arguments], catch_exceptions=False)


def started(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    command = [sys.executable, "-m", "easel.cli", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def test_prompts_are_imported_from_a_file_and_bad_rows_are_named(cast: Cast, tmp_path: Path) -> None:
    file = tmp_path / "prompts.csv"
    file.write_text("prompt\na fox\n\na hen\na fox\n")
    result = run("import-prompts", "--project", cast.project.pk, file)
    assert result.exit_code == 0
    assert result.stdout == "2 prompts added, 1 rows not taken.\n"
    assert result.stderr == "prompts.csv, row 5: is the same prompt as row 2\n"
    assert Prompt.objects.of_project(cast.project).count() == 2

    again = run("import-prompts", "--project", cast.project.pk, file, "--json")
    assert json.loads(again.stdout)["created"] == 0
    assert [row["row"] for row in json.loads(again.stdout)["rejected"]] == [2, 4, 5]


def test_images_are_asked_for_and_waited_for_by_another_command(cast: Cast) -> None:
    stage.make_prompts(cast.project, "a fox")
    result = run(
        "generate", "--project", cast.project.pk, "--images-per-prompt", 2, "--steps", 3, "--no-wait", "--json"
    )
    assert result.exit_code == 0
    request = GenerationRequest.objects.get()
    assert json.loads(result.stdout) == {"id": str(request.pk), "state": "queued", "done": 0, "total": 2}
    assert request.created_by == cast.alice
    assert request.render_settings().steps == 3
    stage.work_off()
    assert Candidate.objects.count() == 2


def test_a_request_is_paused_resumed_and_cancelled_by_command(cast: Cast) -> None:
    request = stage.generate(cast, stage.make_prompts(cast.project, "a fox"))
    assert run("generation", request.pk).stdout == "0 of 4 images, queued\n"
    assert run("generation", request.pk, "pause").stdout == "0 of 4 images, paused\n"
    assert run("generation", request.pk, "resume").stdout == "0 of 4 images, queued\n"
    with pytest.raises(Refusal, match="No part of this request has failed"):
        run("generation", request.pk, "retry")
    cancelled = run("generation", request.pk, "cancel", "--json")
    said = {"id": str(request.pk), "state": "cancelled", "done": 0, "total": 4, "note": ""}
    assert json.loads(cancelled.stdout) == said
    with pytest.raises(Refusal, match="no generation request"):
        run("generation", uuid4(), "cancel")


def test_an_imported_image_cannot_be_verified(cast: Cast) -> None:
    stage.make_items(cast, 1)
    candidate = Candidate.objects.all()[0]
    Candidate.objects.filter(pk=candidate.pk).update(manifest={})
    with pytest.raises(Refusal, match="was imported, not made here"):
        run("verify", candidate.pk)
    with pytest.raises(Refusal, match="no candidate"):
        run("verify", uuid4())


@pytest.mark.parametrize("format_", ["jsonl", "trl"])
def test_an_export_is_written_whole_or_not_at_all(
    cast: Cast, tmp_path: Path, storage_folder: Path, format_: str
) -> None:
    stage.make_items(cast, 2, colours=2**24)
    stage.annotate(cast.project, cast.bob, 2)
    out = tmp_path / "export.file"
    result = run("export", "--project", cast.project.pk, "--format", format_, "--out", out, "--json")
    rows = len(out.read_text().splitlines()) if format_ == "jsonl" else pq.read_metadata(out).num_rows
    assert rows == (2 if format_ == "jsonl" else 12)
    assert json.loads(result.stdout) == {"file": str(out), "rows": rows}
    assert list(tmp_path.glob("*.partial")) == []

    with pytest.raises(Refusal, match="No such file or directory"):
        run("export", "--project", cast.project.pk, "--out", tmp_path / "nowhere" / "x")
    before = out.read_bytes()
    for file in storage_folder.rglob("*.png"):
        file.unlink()
    if format_ == "trl":
        with pytest.raises(Exception, match="restore it from a backup"):
            run("export", "--project", cast.project.pk, "--format", format_, "--out", out)
    assert out.read_bytes() == before
    assert list(tmp_path.glob("*.partial")) == []


def test_conversations_are_imported_and_their_ratings_exported(cast: Cast, tmp_path: Path) -> None:
    write_texts(cast.project)
    file = tmp_path / "chats.jsonl"
    file.write_text(json.dumps({"messages": CHAT}) + "\n" + json.dumps({"messages": []}) + "\n")
    imported = run("import-prompts", "--project", cast.project.pk, file)
    assert "row 2: messages must be a list" in imported.stderr
    gather(timezone.now(), cast.project)
    answer(cast, rating=5)
    out = tmp_path / "kto.jsonl"
    run("export", "--project", cast.project.pk, "--format", "trl-kto", "--out", out)
    assert json.loads(out.read_text())["label"] is True
    table = run("export", "--project", cast.project.pk, "--format", "csv", "--out", tmp_path / "a.csv", "--json")
    assert json.loads(table.stdout)["rows"] == 1
    with pytest.raises(Refusal, match="trl-sft needs a form with a text area"):
        run("export", "--project", cast.project.pk, "--format", "trl-sft")


def test_jsonl_goes_to_standard_output_and_parquet_does_not(cast: Cast) -> None:
    stage.make_items(cast, 1)
    stage.annotate(cast.project, cast.bob)
    assert json.loads(run("export", "--project", cast.project.pk).stdout)["annotator_kind"] == "human"
    assert run("export", "--project", cast.project.pk, "--format", "trl").exit_code == 2


def test_a_token_is_printed_once_and_works(cast: Cast) -> None:
    key = run("token", "bob").stdout.strip()
    from rest_framework.test import APIClient

    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {key}")
    assert client.get(f"{API}/me/").json()["username"] == "bob"


def test_a_token_for_a_new_account_makes_it_and_its_membership(cast: Cast) -> None:
    result = run("token", "robot", "--create", "--project", cast.project.pk, "--simulated", "--json")
    assert set(json.loads(result.stdout)) == {"username", "token"}
    robot = User.objects.get(username="robot")
    assert (robot.kind, robot.has_usable_password()) == ("simulated", False)
    assert Membership.objects.get(user=robot).role == "annotator"
    run("token", "robot", "--create", "--project", cast.project.pk, "--role", "engineer")
    assert Membership.objects.get(user=robot).role == "engineer"


def test_a_token_never_changes_a_role_by_the_way(cast: Cast) -> None:
    run("token", "alice", "--create", "--project", cast.project.pk)
    assert Membership.objects.get(user=cast.alice, project=cast.project).role == "owner"
    assert run("token", "alice", "--project", cast.project.pk).exit_code == 2
    with pytest.raises(Refusal, match="last owner"):
        run("token", "alice", "--create", "--project", cast.project.pk, "--role", "annotator")


def test_what_does_not_exist_is_refused_by_name(cast: Cast, tmp_path: Path) -> None:
    nowhere = uuid4()
    for arguments in (
        ("generate", "--project", nowhere),
        ("export", "--project", nowhere),
        ("token", "robot", "--create", "--project", nowhere),
    ):
        with pytest.raises(Refusal, match=str(nowhere)):
            run(*arguments)
    with pytest.raises(Refusal, match="Nobody"):
        run("generate", "--project", cast.project.pk, "--model", "Nobody")
    with pytest.raises(Refusal, match="robot"):
        run("token", "robot")
    assert not User.objects.filter(username="robot").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing",),
        ("export",),
        ("export", "--project", "7"),
        ("export", "--project", str(uuid4()), "--format", "exe"),
        ("generate", "--project", str(uuid4()), "--steps", "0"),
        ("import-prompts", "--project", str(uuid4()), "/does/not/exist"),
    ],
)
def test_wrong_usage_is_exit_status_two(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_every_command_explains_itself() -> None:
    for name in easel.commands:
        result = run(name, "--help")
        assert result.exit_code == 0
        assert len(result.stdout.splitlines()) > 4


def test_the_doctor_says_what_is_well_and_what_is_not(cast: Cast, model_folders: Path) -> None:
    well = run("doctor", "--json")
    checks = json.loads(well.stdout)
    assert {name for name, check in checks.items() if not check["ok"]} == set(), checks
    assert well.exit_code == 0
    assert checks["database"]["detail"].startswith("Postgres 1")

    (model_folders / "painter" / "model_index.json").unlink()
    ill = run("doctor")
    assert ill.exit_code == 1
    assert "FAIL models: Painter: model 'painter'" in ill.stdout
    assert "ok   database" in ill.stdout


@pytest.mark.processes
def test_a_refusal_is_one_line_and_exit_status_one_and_a_lost_message_costs_nothing(
    committed_cast: Cast, environment_of_tests: dict[str, str], tmp_path: Path
) -> None:
    refused = started(environment_of_tests, "generate", "--project", committed_cast.project.pk, "--no-wait")
    assert refused.returncode == 1
    assert refused.stderr == "There are no prompts to generate images for. Add prompts first.\n"
    assert refused.stdout == ""

    stage.make_prompts(committed_cast.project, "a fox")
    without_broker = {**environment_of_tests, "BROKER_URL": "redis://127.0.0.1:1/0"}
    done = started(without_broker, "generate", "--project", committed_cast.project.pk, "--no-wait", "--json")
    assert done.returncode == 0, done.stderr
    assert "the broker is away" in done.stderr
    assert "Traceback" not in done.stderr
    assert Job.objects.get().state == "queued"
    assert Job.objects.get().not_before <= timezone.now()

    ill = started(without_broker, "doctor")
    assert ill.returncode == 1
    assert "FAIL broker: does not answer" in ill.stdout


def test_a_database_that_does_not_answer_is_one_line(environment_of_tests: dict[str, str], db: None) -> None:
    nowhere = {**environment_of_tests, "DATABASE_URL": "postgresql://nobody:x@127.0.0.1:1/nothing?connect_timeout=1"}
    refused = started(nowhere, "token", "alice")
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    assert "The database does not answer" in refused.stderr
