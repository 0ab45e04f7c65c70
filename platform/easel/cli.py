"""`easel`: what the pages do, for scripts. Exit status 0: done, 1: refused with one clear line, 2: wrong usage."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import django
from django.db.utils import OperationalError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "easel.settings")
django.setup()

from django.conf import settings  # noqa: E402 -- Django must be set up before its models are imported
from django.utils import timezone  # noqa: E402

from easel.accounts.models import User  # noqa: E402
from easel.accounts.roles import Role  # noqa: E402
from easel.accounts.services import create_token, create_user  # noqa: E402
from easel.common.errors import NotFound, Refusal  # noqa: E402
from easel.common.models import Job  # noqa: E402
from easel.images.models import GenerationRequest  # noqa: E402
from easel.images.services import request_images  # noqa: E402
from easel.projects.models import Membership, Project  # noqa: E402
from easel.projects.services import add_member  # noqa: E402
from easel.prompts.models import Prompt  # noqa: E402
from easel.prompts.parsing import parse_file  # noqa: E402
from easel.prompts.services import add_prompts  # noqa: E402
from easel.registry.models import ModelVersion  # noqa: E402
from easel.snapshots import exports  # noqa: E402
from easel.snapshots.api import FORMATS  # noqa: E402
from generation.storage import StorageError  # noqa: E402
from generation.types import RenderSettings  # noqa: E402


def _project(pk: UUID) -> Project:
    found = Project.objects.filter(pk=pk).first()
    if found is None:
        raise NotFound(f"project {pk}")
    return found


def _owner(project: Project) -> User:
    """Whoever runs this has the database's password: acts are recorded as the project's owner's."""
    return Membership.objects.owners(project).select_related("user")[0].user


def _print(as_json: bool, body: dict[str, Any], line: str) -> None:
    click.echo(json.dumps(body) if as_json else line)


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object for scripts.")
project_option = click.option("--project", "project_pk", type=click.UUID, required=True, help="The project's id.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def easel() -> None:
    """Collect rankings of generated images, and teach the model with them."""


@easel.command("import-prompts")
@project_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def import_prompts(project_pk: UUID, file: Path, as_json: bool) -> None:
    """Add the prompts of FILE (.txt, .csv, .tsv) to a project. Rows that are not taken are listed with the reason."""
    project = _project(project_pk)
    limit = settings.MAX_PROMPT_UPLOAD_BYTES
    with file.open("rb") as handle:
        parsed = parse_file(file.name, handle.read(limit + 1), limit)
    created, rejected = add_prompts(project, parsed, timezone.now())
    if not as_json:
        for one in rejected:
            click.echo(f"{file.name}, row {one.row}: {one.reason}", err=True)
    body = {"created": len(created), "rejected": [{"row": one.row, "reason": one.reason} for one in rejected]}
    _print(as_json, body, f"{len(created)} prompts added, {len(rejected)} rows not taken.")


@easel.command()
@project_option
@click.option("--model", "model_name", help="The model's id or name; the newest one if left out.")
@click.option("--images-per-prompt", type=click.IntRange(1, 64), default=4, show_default=True)
@click.option("--steps", type=click.IntRange(1, 150), help="Denoising steps; the model's default if left out.")
@click.option("--guidance-scale", type=click.FloatRange(0, 30), help="The model's default if left out.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until the images are there.")
@json_option
def generate(
    project_pk: UUID,
    model_name: str | None,
    images_per_prompt: int,
    steps: int | None,
    guidance_scale: float | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Generate images for all prompts of a project."""
    project = _project(project_pk)
    model = ModelVersion.objects.named(model_name) if model_name else ModelVersion.objects.first()
    if model is None:
        raise NotFound(f"model {model_name}" if model_name else "registered model")
    made = request_images(
        project,
        model,
        Prompt.objects.chosen(project, None),
        _owner(project),
        timezone.now(),
        images_per_prompt=images_per_prompt,
        settings_=RenderSettings(steps=steps, guidance_scale=guidance_scale),
    )
    request = GenerationRequest.objects.with_progress().get(pk=made.pk)
    if wait:
        with click.progressbar(length=made.images_total, label="Generating", file=sys.stderr) as bar:
            while request.state not in {"done", "failed"}:
                time.sleep(0.5)
                before = request.images_done
                request = GenerationRequest.objects.with_progress().get(pk=made.pk)
                bar.update(request.images_done - before)
    body = {"id": str(request.pk), "state": request.state, "done": request.images_done, "total": request.images_total}
    _print(as_json, body, f"{request.images_done} of {request.images_total} images, {request.state} ({request.pk})")
    if request.state == "failed":
        raise Refusal("Some images could not be made; the project's generation page shows why and can retry.")


@easel.command()
@project_option
@click.option("--format", "format_", type=click.Choice(list(FORMATS)), default="jsonl", show_default=True)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="The file to write; jsonl may go to stdout."
)
@click.option("--include-simulated", is_flag=True, help="With the annotations of simulated annotators.")
@json_option
def export(project_pk: UUID, format_: str, out: Path | None, include_simulated: bool, as_json: bool) -> None:
    """Export a project's annotations."""
    project = _project(project_pk)
    if out is None:
        if format_ != "jsonl":
            raise click.UsageError(f"--out FILE is needed for {format_}")
        for line in exports.jsonl(project, include_simulated=include_simulated):
            sys.stdout.buffer.write(line)
        return
    partial = out.with_name(out.name + ".partial")  # an interrupted export never looks like a whole one
    try:
        if format_ == "trl":
            rows = exports.write_trl(project, partial, include_simulated=include_simulated)
        else:
            rows = 0
            with partial.open("wb") as file:
                for line in exports.jsonl(project, include_simulated=include_simulated):
                    file.write(line)
                    rows += 1
        partial.replace(out)
    except OSError as error:
        raise Refusal(f"{out}: {error.strerror or error}. Free some space or choose another place.") from error
    finally:
        partial.unlink(missing_ok=True)
    _print(as_json, {"file": str(out), "rows": rows}, f"{rows} rows written to {out}")


@easel.command()
@click.argument("username")
@click.option("--create", is_flag=True, help="Make the account if there is none, and the membership.")
@click.option("--project", "project_pk", type=click.UUID, help="With --create: the project to join.")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    help="With --create: the role in it; a new member is an annotator, an old one keeps the role if this is left out.",
)
@click.option("--simulated", is_flag=True, help="With --create: a simulated annotator, left out of exports by default.")
@json_option
def token(
    username: str, create: bool, project_pk: UUID | None, role: str | None, simulated: bool, as_json: bool
) -> None:
    """Print a new API token of USERNAME; it is shown this once."""
    if not create and (project_pk or role or simulated):
        raise click.UsageError("--project, --role and --simulated go with --create")
    user = User.objects.filter(username=username).first()
    if user is None and not create:
        raise NotFound(f"account {username!r} (--create makes it)")
    project = _project(project_pk) if project_pk else None
    if user is None:
        user = create_user(username, None, kind=User.Kind.SIMULATED if simulated else User.Kind.HUMAN)
    if project is not None and (role is not None or not Membership.objects.filter(project=project, user=user).exists()):
        add_member(project, user, role or Role.ANNOTATOR, timezone.now())
    _, key = create_token(user, "command line")
    _print(as_json, {"username": username, "token": key}, key)


@easel.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check the parts that Easel stands on: database, migrations, broker, storage, models, stuck jobs."""
    checks = [(name, *_checked(check)) for name, check in CHECKS.items()]
    body = {name: {"ok": ok, "detail": detail} for name, ok, detail in checks}
    lines = [f"{'ok  ' if ok else 'FAIL'} {name}: {detail}" for name, ok, detail in checks]
    _print(as_json, body, "\n".join(lines))
    if not all(ok for _, ok, _ in checks):
        raise SystemExit(1)


def _checked(check: Callable[[], str]) -> tuple[bool, str]:
    try:
        return True, check()
    except (Refusal, OSError, StorageError, OperationalError, ConnectionError) as error:
        return False, str(error).splitlines()[0]


def _check_database() -> str:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return f"Postgres {cursor.fetchone()[0]}"


def _check_broker() -> str:
    from kombu.exceptions import OperationalError as BrokerError

    from easel.common.broker import app

    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=3)
            return connection.transport.driver_type or "connected"
    except BrokerError as error:
        raise Refusal(f"does not answer: {error}") from error


def _check_storage() -> str:
    from easel.common.storage import storage

    files = storage()
    key = files.put(b"easel doctor\n", "txt")
    if files.read(key) != b"easel doctor\n":
        raise Refusal(f"{files.url} does not give back what was written")
    return files.url


def _check_models() -> str:
    from generation.storage import model_folder

    found = [model for model in ModelVersion.objects.all() if model.location.startswith("folder:")]
    for model in found:
        model_folder(model.location)
    return f"{len(found)} model folders"


def _check_jobs() -> str:
    dead = Job.objects.filter(state=Job.State.DEAD).count()
    waiting = Job.objects.filter(state=Job.State.QUEUED).count()
    return f"{waiting} waiting, {dead} dead"


CHECKS = {
    "database": _check_database,
    "broker": _check_broker,
    "storage": _check_storage,
    "models": _check_models,
    "jobs": _check_jobs,
}


def main() -> None:
    """Run the command line; a refusal is one line on stderr and exit status 1."""
    # A command needs one connection, not a pool: that would try a database that is away again and again.
    settings.DATABASES["default"]["OPTIONS"].pop("pool", None)
    try:
        easel(standalone_mode=True)
    except (Refusal, StorageError) as refusal:
        click.echo(str(refusal), err=True)
        raise SystemExit(1) from None
    except OperationalError as error:
        click.echo(
            f"The database does not answer: {str(error).splitlines()[0]}. Is Easel up? Start it with ./run up.",
            err=True,
        )
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
