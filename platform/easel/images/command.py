"""Commands that import and generate images, and render one again."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import UUID

import click
from django.conf import settings
from django.utils import timezone

from easel.common.errors import NotFound, Refusal
from easel.env import REPOSITORY
from easel.images import services as images
from easel.images.folders import image_files, said_of, uploads_from
from easel.images.imports import Said, import_pictures, read_files
from easel.images.models import Candidate, GenerationRequest
from easel.images.progress import progress_of_one
from easel.images.services import request_images
from easel.projects.console import json_option, owner_of, project_of, project_option, tell
from easel.prompts.models import Prompt
from easel.registry.models import ModelVersion
from generation.types import RenderSettings


@click.command("import-images")
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
    project = project_of(project_pk)
    files = image_files(folder)
    if not files:
        raise NotFound(f"PNG, JPEG or WebP file in {folder}")
    beside = folder / "metadata.csv"
    table = metadata or (beside if beside.is_file() else None)
    said = said_of(table) if table else {}
    fallback = Said(prompt=prompt.strip(), model=model_name.strip())
    with click.progressbar(files, label="Reading", file=sys.stderr) as bar:
        found = read_files(project, uploads_from(folder, bar, said, fallback))
    done = import_pictures(project, found, owner_of(project), timezone.now())
    if not as_json:
        for one in done.rejected:
            click.echo(f"{one.file} {one.reason}", err=True)
    body = {
        "generation": str(done.request.pk) if done.request else None,
        "created": len(done.candidates),
        "rejected": [{"file": one.file, "reason": one.reason} for one in done.rejected],
    }
    tell(as_json, body, f"{len(done.candidates)} images imported, {len(done.rejected)} files not taken.")


@click.command()
@project_option
@click.option("--model", "model_name", help="The model's id or name; left out: the promoted one, else the newest.")
@click.option("--images-per-prompt", type=click.IntRange(1, 64), help="Left out: as many as the project's form shows.")
@click.option("--steps", type=click.IntRange(1, 150), help="Denoising steps; the model's default if left out.")
@click.option("--guidance-scale", type=click.FloatRange(0, 30), help="The model's default if left out.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until the images are there.")
@json_option
def generate(
    project_pk: UUID,
    model_name: str | None,
    images_per_prompt: int | None,
    steps: int | None,
    guidance_scale: float | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Generate images for all prompts of a project but those that are held out for evaluations."""
    project = project_of(project_pk)
    model = ModelVersion.objects.named(model_name) if model_name else ModelVersion.objects.usual_of(project.generator)
    if model is None:
        raise NotFound(f"model {model_name}" if model_name else "registered model")
    made = request_images(
        project,
        model,
        Prompt.objects.chosen(project, None),
        owner_of(project),
        timezone.now(),
        images_per_prompt=images_per_prompt or project.template_version.form.images or 4,
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
    tell(as_json, body, f"{request.images_done} of {request.images_total} images, {request.state} ({request.pk})")
    if request.state == "failed":
        raise Refusal("Some images could not be made; the project's generation page shows why and can retry.")


ACTS = {"pause": images.pause, "resume": images.resume, "cancel": images.cancel, "retry": images.retry_failed}


@click.command()
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
    tell(as_json, body, f"{done} of {total} images, {now.request.state}{pace}{f' ({now.note})' if now.note else ''}")


@click.command()
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
    tell(as_json, found, f"{'same' if found['same'] else 'DIFFERENT'}: {verdict}{notes}")
    if not found["same"]:
        raise SystemExit(1)
