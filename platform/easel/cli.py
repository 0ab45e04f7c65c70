"""`easel`: what the pages do, for scripts. Exit status 0: done, 1: refused with one clear line, 2: wrong usage."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
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
from easel.evaluation import command as evaluation_commands  # noqa: E402
from easel.images import command as images_commands  # noqa: E402
from easel.projects.console import json_option, project_of, project_option, tell  # noqa: E402
from easel.projects.models import Membership  # noqa: E402
from easel.projects.services import add_member  # noqa: E402
from easel.prompts.parsing import parse_file  # noqa: E402
from easel.prompts.services import add_prompts  # noqa: E402
from easel.registry.health import health  # noqa: E402
from easel.registry.models import ModelVersion  # noqa: E402
from easel.registry.services import NewModel, add_model  # noqa: E402
from easel.snapshots import command as snapshots_commands  # noqa: E402
from easel.tour.command import tour  # noqa: E402
from easel.training import command as training_commands  # noqa: E402
from generation.storage import StorageError  # noqa: E402


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def easel() -> None:
    """Collect rankings of generated images, and teach the model with them."""


@easel.command("import-prompts")
@project_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def import_prompts(project_pk: UUID, file: Path, as_json: bool) -> None:
    """Add the prompts of FILE (.txt, .csv, .tsv, .json, .jsonl) to a project. Rows that are not taken are listed."""
    project = project_of(project_pk)
    limit = settings.MAX_PROMPT_UPLOAD_BYTES
    with file.open("rb") as handle:
        parsed = parse_file(file.name, handle.read(limit + 1), limit)
    created, rejected = add_prompts(project, parsed, timezone.now())
    if not as_json:
        for one in rejected:
            click.echo(f"{file.name}, row {one.row}: {one.reason}", err=True)
    body = {"created": len(created), "rejected": [{"row": one.row, "reason": one.reason} for one in rejected]}
    tell(as_json, body, f"{len(created)} prompts added, {len(rejected)} rows not taken.")


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
    project = project_of(project_pk) if project_pk else None
    if user is None:
        user = create_user(username, None, kind=User.Kind.SIMULATED if simulated else User.Kind.HUMAN)
    if project is not None and (role is not None or not Membership.objects.filter(project=project, user=user).exists()):
        add_member(project, user, role or Role.ANNOTATOR, timezone.now())
    _, key = create_token(user, "command line")
    tell(as_json, {"username": username, "token": key}, key)


@easel.command("add-model")
@click.argument("location")
@click.option("--name", default="", help="How pages show it; the location's own name if left out.")
@click.option("--licence", default="", help="As Apache-2.0 or CreativeML-OpenRAIL-M.")
@click.option(
    "--kind",
    type=click.Choice(["pipeline", "adapter", "controlnet", "api"]),
    default=None,
    help="What its files say if left out; needed for a hub adapter that is not in this machine's cache.",
)
@click.option("--base", help="Id or name of the model that an adapter or ControlNet lies on, or it was made from.")
@click.option("--note", default="", help="A remark for those who choose among models.")
@json_option
def add_model_(
    location: str, name: str, licence: str, kind: str | None, base: str | None, note: str, as_json: bool
) -> None:
    """Register the model at LOCATION: folder:NAME, hub:OWNER/NAME or api:NAME. Its files are checked and hashed."""
    on = ModelVersion.objects.named(base) if base else None
    if base and on is None:
        raise NotFound(f"model {base!r}")
    new = NewModel(location=location, name=name, licence=licence, kind=kind or "", base=on, note=note)
    made = add_model(new, None, timezone.now())
    body = {"id": str(made.pk), "name": made.name, "kind": made.kind, "sha256": made.sha256, "note": made.note}
    digest = made.sha256[:12] or "without a hash"
    tell(as_json, body, "\n".join(filter(None, [f"{made.name}: {made.kind}, {digest} ({made.pk})", made.note])))


@easel.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check the parts that Easel stands on: database, migrations, broker, storage, models, stuck jobs."""
    checks = [(name, *_checked(check)) for name, check in CHECKS.items()]
    body = {name: {"ok": ok, "detail": detail} for name, ok, detail in checks}
    lines = [f"{'ok  ' if ok else 'FAIL'} {name}: {detail}" for name, ok, detail in checks]
    tell(as_json, body, "\n".join(lines))
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
    found = health()
    if found.problems:
        raise Refusal("; ".join(found.problems))
    return "; ".join([f"{found.sound} model folders", *found.remarks])


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


for command in (
    images_commands.import_images,
    images_commands.generate,
    images_commands.generation,
    images_commands.verify,
    snapshots_commands.export,
    snapshots_commands.snapshot,
    training_commands.finetune,
    training_commands.finetune_run,
    evaluation_commands.simulate,
    evaluation_commands.evaluate,
    tour,
):
    easel.add_command(command)


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
