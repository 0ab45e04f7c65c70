"""`easel`: what the pages do, for scripts. Exit status 0: done, 1: refused with one clear line, 2: wrong usage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
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
from easel.annotation.services import gather  # noqa: E402
from easel.common.errors import NotFound, Refusal  # noqa: E402
from easel.common.models import Job  # noqa: E402
from easel.env import REPOSITORY  # noqa: E402
from easel.evaluation import services as evaluations  # noqa: E402
from easel.evaluation import simulation as simulated  # noqa: E402
from easel.evaluation.api import result_body  # noqa: E402
from easel.evaluation.models import Evaluation  # noqa: E402
from easel.evaluation.tastes import MAX_NOISE, TASTES  # noqa: E402
from easel.images import services as images  # noqa: E402
from easel.images.folders import image_files, said_of, uploads_from  # noqa: E402
from easel.images.imports import Said, import_pictures, read_files  # noqa: E402
from easel.images.models import Candidate, GenerationRequest  # noqa: E402
from easel.images.progress import progress_of_one  # noqa: E402
from easel.images.services import request_images  # noqa: E402
from easel.projects.models import Membership, Project  # noqa: E402
from easel.projects.services import add_member  # noqa: E402
from easel.prompts.models import Prompt  # noqa: E402
from easel.prompts.parsing import parse_file  # noqa: E402
from easel.prompts.services import add_prompts  # noqa: E402
from easel.registry.health import health  # noqa: E402
from easel.registry.models import ModelVersion  # noqa: E402
from easel.registry.services import NewModel, add_model  # noqa: E402
from easel.snapshots import exports  # noqa: E402
from easel.snapshots.api import FORMATS  # noqa: E402
from easel.snapshots.models import DatasetSnapshot  # noqa: E402
from easel.snapshots.services import take_snapshot  # noqa: E402
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


@easel.command("import-images")
@project_option
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--metadata",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A .csv of columns file, prompt, negative, model, seed; what stands there counts more than what files say. "
    "Left out: FOLDER/metadata.csv, where there is one.",
)
@click.option("--prompt", default="", help="For files that do not say their prompt.")
@click.option("--model", "model_name", default="", help="For files that do not say their model.")
@json_option
def import_images(
    project_pk: UUID, folder: Path, metadata: Path | None, prompt: str, model_name: str, as_json: bool
) -> None:
    """Import the PNG, JPEG and WebP files of FOLDER and of the folders in it, with what they say about their making."""
    project = _project(project_pk)
    files = image_files(folder)
    if not files:
        raise NotFound(f"PNG, JPEG or WebP file in {folder}")
    beside = folder / "metadata.csv"
    table = metadata or (beside if beside.is_file() else None)
    said = said_of(table) if table else {}
    fallback = Said(prompt=prompt.strip(), model=model_name.strip())
    with click.progressbar(files, label="Reading", file=sys.stderr) as bar:
        found = read_files(project, uploads_from(folder, bar, said, fallback))
    done = import_pictures(project, found, _owner(project), timezone.now())
    if not as_json:
        for one in done.rejected:
            click.echo(f"{one.file} {one.reason}", err=True)
    body = {
        "generation": str(done.request.pk) if done.request else None,
        "created": len(done.candidates),
        "rejected": [{"file": one.file, "reason": one.reason} for one in done.rejected],
    }
    _print(as_json, body, f"{len(done.candidates)} images imported, {len(done.rejected)} files not taken.")


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
    """Generate images for all prompts of a project but those that are held out for evaluations."""
    project = _project(project_pk)
    model = ModelVersion.objects.named(model_name) if model_name else ModelVersion.objects.renderable().first()
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
            while request.state not in {"done", "failed", "cancelled"}:
                time.sleep(0.5)
                before = request.images_done
                request = GenerationRequest.objects.with_progress().get(pk=made.pk)
                bar.update(request.images_done - before)
    body = {"id": str(request.pk), "state": request.state, "done": request.images_done, "total": request.images_total}
    _print(as_json, body, f"{request.images_done} of {request.images_total} images, {request.state} ({request.pk})")
    if request.state == "failed":
        raise Refusal("Some images could not be made; the project's generation page shows why and can retry.")


ACTS = {"pause": images.pause, "resume": images.resume, "cancel": images.cancel, "retry": images.retry_failed}


@easel.command()
@click.argument("request_pk", metavar="REQUEST", type=click.UUID)
@click.argument("act", type=click.Choice(["show", *ACTS]), default="show")
@json_option
def generation(request_pk: UUID, act: str, as_json: bool) -> None:
    """Show how far a generation REQUEST has come; or pause, resume, cancel it, or retry what failed of it."""
    request = GenerationRequest.objects.filter(pk=request_pk).first()
    if request is None:
        raise NotFound(f"generation request {request_pk}")
    if act in ACTS:
        ACTS[act](request, timezone.now())
    now = progress_of_one(GenerationRequest.objects.with_progress().get(pk=request_pk), timezone.now())
    done, total = now.request.images_done, now.request.images_total
    pace = f", {now.per_second:.2g} images/s, {now.seconds_left:.0f} s left" if now.per_second else ""
    body = {"id": str(request_pk), "state": now.request.state, "done": done, "total": total, "note": now.note}
    _print(as_json, body, f"{done} of {total} images, {now.request.state}{pace}{f' ({now.note})' if now.note else ''}")


@easel.command()
@click.argument("candidate_pk", metavar="CANDIDATE", type=click.UUID)
@json_option
def verify(candidate_pk: UUID, as_json: bool) -> None:
    """Render CANDIDATE again from its manifest and compare. Exit status 0: the same, 1: different or refused."""
    candidate = Candidate.objects.filter(pk=candidate_pk).first()
    if candidate is None:
        raise NotFound(f"candidate {candidate_pk}")
    if not candidate.manifest:
        raise Refusal(f"Candidate {candidate_pk} was imported, not made here: nothing says how to make it again.")
    with tempfile.TemporaryDirectory(prefix="easel-") as folder:
        manifest = Path(folder) / "manifest.json"
        manifest.write_text(json.dumps(candidate.manifest))
        # A process of its own: it loads torch, which the platform never does.
        what = ("--manifest", str(manifest), "--storage", settings.STORAGE_URL, "--key", candidate.key, "--json")
        command = [sys.executable, "-m", "generation.verify", *what]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode not in {0, 1} or not done.stdout:
        lines = done.stderr.strip().splitlines() or ["generation.verify said nothing"]
        raise Refusal(f"Candidate {candidate_pk} cannot be verified: {lines[-1]}")
    found = json.loads(done.stdout)
    notes = f" ({'; '.join(found['notes'])})" if found["notes"] else ""
    verdict = "every pixel is the same" if found["bitwise"] else (
        f"the mean difference is {found['mean_difference']:.3g} of 255 levels, the greatest {found['max_difference']}"
    )  # fmt: skip
    _print(as_json, found, f"{'same' if found['same'] else 'DIFFERENT'}: {verdict}{notes}")
    if not found["same"]:
        raise SystemExit(1)


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
@project_option
@click.option("--taste", type=click.Choice(list(TASTES)), required=True, help="What they like.")
@click.option(
    "--noise",
    type=click.FloatRange(0, MAX_NOISE),
    default=simulated.NOISE,
    show_default=True,
    help="The share of decided pairs that come out the wrong way round.",
)
@click.option(
    "--ties", type=click.FloatRange(0, 1), default=simulated.TIES, show_default=True, help="Liked this alike is a tie."
)
@click.option("--annotators", type=click.IntRange(1, simulated.MAX_ANNOTATORS), default=3, show_default=True)
@click.option("--rankings", type=click.IntRange(1, simulated.MAX_RANKINGS), default=500, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of their noise.")
@click.option("--wait/--no-wait", default=False, help="Wait until they are done.")
@json_option
def simulate(
    project_pk: UUID,
    taste: str,
    noise: float,
    ties: float,
    annotators: int,
    rankings: int,
    seed: int,
    wait: bool,
    as_json: bool,
) -> None:
    """Send simulated annotators with a known taste to rank a project's items, to try a project out or test a method.

    Exports and snapshots leave out what they rank unless asked.
    """
    project = _project(project_pk)
    made = simulated.start_simulation(
        project,
        _owner(project),
        timezone.now(),
        taste=taste,
        noise=noise,
        ties=ties,
        annotators=annotators,
        rankings=rankings,
        seed=seed,
    )
    if wait:
        with click.progressbar(length=rankings, label="Ranking", file=sys.stderr) as bar:
            while made.finished_at is None:
                gather(timezone.now(), project)
                before = made.done
                simulated.advance(made, timezone.now())
                bar.update(made.done - before)
                if made.finished_at is None:
                    time.sleep(0.5)
    body = {"id": str(made.pk), "state": made.state, "done": made.done, "rankings": rankings, "ended": made.ended}
    _print(as_json, body, f"{made.done:,} of {rankings:,} rankings, {made.state}. {made.ended}".strip())
    if made.ended and not made.done:
        raise Refusal(made.ended)


@easel.command()
@project_option
@click.option("--a", "a_name", required=True, help="The baseline: a model's id or name.")
@click.option("--b", "b_name", required=True, help="The challenger: a model's id or name.")
@click.option("--judges", default="people", show_default=True, help="people, or simulated:TASTE as simulated:3d.")
@click.option(
    "--noise", type=click.FloatRange(0, MAX_NOISE), default=0.0, show_default=True, help="Of simulated judges."
)
@click.option("--overlap", type=click.IntRange(1, evaluations.MAX_OVERLAP), default=1, show_default=True)
@click.option("--images-per-prompt", type=click.IntRange(1, 32), default=1, show_default=True, help="Of each model.")
@click.option("--all-prompts", is_flag=True, help="All of the project's prompts, not the held-out ones alone.")
@click.option("--wait/--no-wait", default=False, help="Wait for the verdict.")
@json_option
def evaluate(
    project_pk: UUID,
    a_name: str,
    b_name: str,
    judges: str,
    noise: float,
    overlap: int,
    images_per_prompt: int,
    all_prompts: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Compare two models blindly, on prompts that nothing was trained on: is B better than A?"""
    project = _project(project_pk)
    a, b = ModelVersion.objects.named(a_name), ModelVersion.objects.named(b_name)
    for name, model in ((a_name, a), (b_name, b)):
        if model is None:
            raise NotFound(f"model {name}")
    assert a is not None and b is not None
    made = evaluations.start_evaluation(
        project,
        _owner(project),
        timezone.now(),
        a=a,
        b=b,
        prompts=list(Prompt.objects.of_project(project)) if all_prompts else None,
        images_per_prompt=images_per_prompt,
        judges=judges,
        noise=noise,
        overlap=overlap,
    )
    now = Evaluation.objects.with_state().get(pk=made.pk)
    if wait:
        total = now.request.images_total + now.items_total
        with click.progressbar(length=total, label="Making and judging", file=sys.stderr) as bar:
            done = 0
            while now.finished_at is None and now.asked.state != "failed":
                evaluations.advance_evaluation(now, timezone.now())
                time.sleep(0.5)
                now = Evaluation.objects.with_state().get(pk=made.pk)
                bar.update(now.asked.images_done + now.items_done - done)
                done = now.asked.images_done + now.items_done
    found = result_body(now)
    body = {"id": str(now.pk), "state": now.state, "a": str(a.pk), "b": str(b.pk), "judges": judges, **found}
    beside = "".join(
        f"\n{one['name']}: {_figure(one['a'])} -> {_figure(one['b'])}"
        for one in found["beside"]
        if one["b"] is not None
    )
    _print(as_json, body, f"{found['verdict'] if wait else now.state} ({now.pk}){beside}")
    if now.state == "failed":
        raise Refusal("Some images could not be made; the project's generation page shows why and can retry.")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


@easel.command("snapshot")
@project_option
@click.option("--name", default="", help="Snapshot and a number if left out.")
@click.option("--include-simulated", is_flag=True, help="With the annotations of simulated annotators.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until it is frozen.")
@json_option
def snapshot_(project_pk: UUID, name: str, include_simulated: bool, wait: bool, as_json: bool) -> None:
    """Freeze a project's annotations up to now, for training."""
    project = _project(project_pk)
    taken = take_snapshot(project, _owner(project), timezone.now(), name=name, include_simulated=include_simulated)
    if wait:
        with click.progressbar(length=taken.job.total, label="Freezing", file=sys.stderr) as bar:
            while taken.live:
                time.sleep(0.2)
                before = taken.job.done
                taken = DatasetSnapshot.objects.select_related("job").get(pk=taken.pk)
                bar.update(max(taken.job.done - before, 0))
    if taken.error:
        raise Refusal(taken.error)
    body = {"id": str(taken.pk), "name": taken.name, "state": taken.state, "sha256": taken.sha256}
    counts = ", ".join(f"{split} {counts['rows']}" for split, counts in taken.counts.items())
    line = f"{taken.name}, {taken.state}{f': {counts} items, {taken.sha256[:12]}' if counts else ''} ({taken.pk})"
    _print(as_json, {**body, "counts": taken.counts}, line)


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
    _print(as_json, body, "\n".join(filter(None, [f"{made.name}: {made.kind}, {digest} ({made.pk})", made.note])))


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
