"""Commands that export annotations and freeze them."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Literal
from uuid import UUID

import click
from django.utils import timezone

from easel.common.errors import Refusal
from easel.projects.console import json_option, owner_of, project_of, project_option, tell
from easel.snapshots import exports
from easel.snapshots.filters import REVIEWS, Filters
from easel.snapshots.formats import FORMATS, format_named
from easel.snapshots.models import DatasetSnapshot
from easel.snapshots.services import take_snapshot


@click.command()
@project_option
@click.option("--format", "format_", type=click.Choice(list(FORMATS)), default="jsonl", show_default=True)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="The file to write; all but trl may go to stdout."
)
@click.option("--include-simulated", is_flag=True, help="With the annotations of simulated annotators.")
@json_option
def export(project_pk: UUID, format_: str, out: Path | None, include_simulated: bool, as_json: bool) -> None:
    """Export a project's annotations."""
    project = project_of(project_pk)
    wanted = format_named(format_)
    lines = wanted.lines(project, include_simulated=include_simulated) if wanted.lines else None
    if out is None:
        if lines is None:
            raise click.UsageError(f"--out FILE is needed for {format_}")
        for line in lines:
            sys.stdout.buffer.write(line)
        return
    partial = out.with_name(out.name + ".partial")  # an interrupted export never looks like a whole one
    try:
        if lines is None:
            rows = exports.write_trl(project, partial, include_simulated=include_simulated)
        else:
            rows = -1 if format_ == "csv" else 0  # the line of names is no row
            with partial.open("wb") as file:
                for line in lines:
                    file.write(line)
                    rows += 1
        partial.replace(out)
    except OSError as error:
        raise Refusal(f"{out}: {error.strerror or error}. Free some space or choose another place.") from error
    finally:
        partial.unlink(missing_ok=True)
    tell(as_json, {"file": str(out), "rows": rows}, f"{rows} rows written to {out}")


@click.command("snapshot")
@project_option
@click.option("--name", default="", help="Snapshot and a number if left out.")
@click.option("--include-simulated", is_flag=True, help="With the annotations of simulated annotators.")
@click.option(
    "--review",
    type=click.Choice(list(REVIEWS)),
    default="not_returned",
    show_default=True,
    help="By what reviewers said: accepted takes only what they accepted, fixed or decided.",
)
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait until it is frozen.")
@json_option
def snapshot(
    project_pk: UUID,
    name: str,
    include_simulated: bool,
    review: Literal["not_returned", "accepted", "any"],
    wait: bool,
    as_json: bool,
) -> None:
    """Freeze a project's annotations up to now, for training."""
    project = project_of(project_pk)
    taken = take_snapshot(
        project,
        owner_of(project),
        timezone.now(),
        name=name,
        filters=Filters(review=review),
        include_simulated=include_simulated,
    )
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
    tell(as_json, {**body, "counts": taken.counts}, line)
