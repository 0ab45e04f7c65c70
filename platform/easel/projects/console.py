"""What the commands of `easel` have in common."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import click

from easel.accounts.models import User
from easel.common.errors import NotFound
from easel.projects.models import Membership, Project

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object for scripts.")
project_option = click.option("--project", "project_pk", type=click.UUID, required=True, help="The project's id.")


def project_of(pk: UUID) -> Project:
    """Return a project. Raises NotFound."""
    found = Project.objects.filter(pk=pk).first()
    if found is None:
        raise NotFound(f"project {pk}")
    return found


def owner_of(project: Project) -> User:
    """Whoever runs a command has the database's password: acts are recorded as the project's owner's."""
    return Membership.objects.owners(project).select_related("user")[0].user


def tell(as_json: bool, body: dict[str, Any], line: str) -> None:
    """Print an outcome: a line for people, or a JSON object for scripts."""
    click.echo(json.dumps(body) if as_json else line)
