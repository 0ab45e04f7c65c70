"""Seeding: the gallery, the built-in model, and a project to begin with. Idempotent."""

from __future__ import annotations

import json
import os
import secrets
from datetime import datetime
from pathlib import Path
from typing import TypedDict

from django.db import transaction

from easel.accounts.models import User
from easel.accounts.services import create_token, create_user
from easel.env import REPOSITORY, environment
from easel.forms.models import Template
from easel.forms.services import load_gallery
from easel.images.services import request_images
from easel.projects.models import Project
from easel.projects.services import create_project
from easel.prompts.parsing import parse_file
from easel.prompts.services import add_prompts
from easel.registry.models import ModelVersion
from easel.registry.services import register_folder

PROJECT = "Icons, round 1"
TEMPLATE = "rlhf-image-ranking-batch"
MODEL = ("Easel icons", "easel-icons", "Apache-2.0")
PROMPTS = REPOSITORY / "generation" / "builtin" / "prompts.txt"
IMAGES_PER_PROMPT = 4


class Account(TypedDict):
    """How to sign in to the demo."""

    username: str
    password: str
    token: str


class Seeded(TypedDict):
    """What a script needs to use the demo."""

    admin: Account
    demo_project: str


def prepare(at: datetime) -> ModelVersion:
    """Publish the template gallery and register the model that Easel ships with."""
    load_gallery(at)
    return register_folder(*MODEL, at=at)


def seed(at: datetime) -> Seeded:
    """Make the demo's account and project, and ask for its images; what is there already is kept."""
    model = prepare(at)
    account = _account(environment.home / "demo.json")
    owner = User.objects.get(username=account["username"])
    project = Project.objects.of(owner).filter(name=PROJECT).first()
    if project is None:
        project = _project(owner, model, at)
    return {"admin": account, "demo_project": str(project.pk)}


@transaction.atomic
def _project(owner: User, model: ModelVersion, at: datetime) -> Project:
    project = create_project(
        PROJECT,
        Template.objects.get(key=TEMPLATE).latest(),
        owner,
        at,
        guidelines=(Path(__file__).parent / "guidelines.md").read_text(),
    )
    prompts, _ = add_prompts(project, parse_file(PROMPTS.name, PROMPTS.read_bytes(), 2**20), at)
    request_images(project, model, prompts, owner, at, images_per_prompt=IMAGES_PER_PROMPT)
    return project


def _account(path: Path) -> Account:
    """Return the demo's sign-in: the kept one where it still works, else a new password and token of its own."""
    user = User.objects.filter(username="admin").first()
    if user is not None and path.exists():
        kept: Account = json.loads(path.read_text())
        if user.check_password(kept["password"]):
            return kept
    password = secrets.token_urlsafe(12)
    if user is None:
        user = create_user("admin", password, site_admin=True)
    else:
        user.set_password(password)
        user.save(update_fields=["password"])
    _, token = create_token(user, "demo", lifetime=None)
    account: Account = {"username": "admin", "password": password, "token": token}
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(account, file)
    return account
