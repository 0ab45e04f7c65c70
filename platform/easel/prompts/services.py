"""Writes to prompts."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction

from easel.accounts.models import User
from easel.common.broker import send_on_commit
from easel.common.errors import Conflict, NotFound
from easel.forms.models import form_of
from easel.projects.models import Project
from easel.prompts.models import Prompt, PromptImport
from easel.prompts.parsing import Parsed, Rejected, Row, parse_file

GATHER = "easel.annotation.gather"  # annotation lies above this app: it is rung by name, never imported


def drop_known(project: Project, parsed: Parsed) -> Parsed:
    """Move the rows that the project has already to the rejected ones."""
    known = set(
        Prompt.objects.of_project(project)
        .filter(digest__in=[row.digest for row in parsed.rows])
        .values_list("digest", flat=True)
    )
    again = [Rejected(row.number, "is in the project already") for row in parsed.rows if row.digest in known]
    rejected = sorted([*parsed.rejected, *again], key=lambda rejection: rejection.row)
    return Parsed([row for row in parsed.rows if row.digest not in known], rejected)


@transaction.atomic
def add_prompts(project: Project, parsed: Parsed, at: datetime) -> tuple[list[Prompt], list[Rejected]]:
    """Add the rows that are not in the project yet, all or none; return them and what was not taken, with reasons."""
    now = Project.objects.select_for_update(no_key=True).get(pk=project.pk)  # two imports at once must not clash
    parsed = drop_known(project, parsed)
    prompts = [
        Prompt(
            project=project,
            text=row.text,
            negative=row.negative,
            metadata=row.metadata,
            conditioning_id=row.conditioning or None,
            held_out=row.held_out,
            digest=row.digest,
            created_at=at,
        )
        for row in parsed.rows
    ]
    Prompt.objects.bulk_create(prompts, batch_size=1_000)
    if prompts and not form_of(now.template_version_id).images:
        send_on_commit(GATHER, project=str(project.pk))
    return prompts, parsed.rejected


def preview_import(project: Project, file_name: str, content: bytes, by: User, at: datetime) -> PromptImport:
    """Check an uploaded file and keep the result until it is confirmed; no prompt is made yet."""
    parsed = drop_known(project, parse_file(file_name, content, settings.MAX_PROMPT_UPLOAD_BYTES))
    return PromptImport.objects.create(
        project=project,
        created_by=by,
        file_name=file_name[:200],
        accepted=[asdict(row) for row in parsed.rows],
        rejected=[asdict(rejection) for rejection in parsed.rejected],
        created_at=at,
    )


@transaction.atomic
def confirm_import(project: Project, pk: UUID, at: datetime) -> tuple[list[Prompt], list[Rejected]]:
    """Import a previewed file's accepted rows. Raises Conflict when that was done before."""
    preview = PromptImport.objects.select_for_update().filter(project=project, pk=pk).first()
    if preview is None:
        raise NotFound("import")
    if preview.confirmed_at is not None:
        raise Conflict(f"{preview.file_name} was imported already. Its prompts are in the list.")
    PromptImport.objects.filter(pk=pk).update(confirmed_at=at)
    return add_prompts(project, Parsed([Row(**row) for row in preview.accepted], []), at)
