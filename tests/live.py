"""A live project, and what its annotators do: type a prompt, press Generate, rank."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from easel.annotation.gathering import gather
from easel.forms.models import Template, TemplateVersion
from easel.projects.models import Project
from rest_framework.test import APIClient

from tests import cast as stage
from tests.cast import API, Cast

SIZES = [[64, 64], [128, 128]]
FORM: dict[str, Any] = {
    "schema_version": 1,
    "components": [
        {"type": "prompt", "name": "prompt", "label": "Prompt", "mode": "input"},
        {"type": "negative_prompt", "name": "negative", "label": "Not to be shown", "mode": "input"},
        {"type": "model_select", "name": "painter", "label": "Model"},
        {"type": "count", "name": "count", "label": "Images", "min": 2, "max": 9},
        {"type": "settings", "name": "settings", "label": "Settings", "sizes": SIZES, "seed": True, "most_steps": 150},
        {"type": "generate", "name": "go", "label": "Generate", "strength": 0.7},
        {"type": "image_grid", "name": "images", "label": "Images", "count": 4},
        {"type": "ranking", "name": "ranking", "label": "Ranking", "required": True},
        {"type": "textarea", "name": "why", "label": "Why is the best the best?"},
    ],
}


def go_live(project: Project, definition: dict[str, Any] | None = None) -> Project:
    """Give a project a live form; returns the project."""
    at = timezone.now()
    template, _ = Template.objects.get_or_create(key="a-live-form", defaults={"name": "A live form"})
    version = TemplateVersion.objects.create(
        template=template, number=template.versions.count() + 1, definition=definition or FORM, published_at=at
    )
    Project.objects.filter(pk=project.pk).update(template_version=version)
    project.template_version = version
    return project


def press(
    client: APIClient, project: Project, prompt: str = "a red apple", vary: str | None = None, **values: Any
) -> Any:
    """Press Generate; returns the answer as it came."""
    body: dict[str, Any] = {"values": {"prompt": prompt, **values}}
    return client.post(f"{API}/projects/{project.pk}/attempts/", body | ({"vary": vary} if vary else {}))


def ask(client: APIClient, project: Project, prompt: str = "a red apple", **values: Any) -> str:
    """Press Generate, which must be taken; returns the attempt's id."""
    answer = press(client, project, prompt, **values)
    assert answer.status_code == 202, answer.content
    return str(answer.json()["id"])


def look(client: APIClient, attempt: str) -> dict[str, Any]:
    """Look at one's own attempt, which must be there."""
    answer = client.get(f"{API}/attempts/{attempt}/")
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def made(cast: Cast, client: APIClient, prompt: str = "a red apple", **values: Any) -> dict[str, Any]:
    """Press Generate and wait for all images; returns the attempt, ready to be ranked."""
    attempt = ask(client, cast.project, prompt, **values)
    stage.work_off()
    gather(timezone.now(), cast.project)
    return look(client, attempt)


def submit(client: APIClient, attempt: dict[str, Any], **answers: Any) -> Any:
    """Rank an attempt's images in the order in which they stand."""
    shown = [one["id"] for one in attempt["assignment"]["item"]["candidates"]]
    body = {"answers": {"ranking": [[pk] for pk in shown], **answers}, "active_ms": 900}
    return client.put(f"{API}/assignments/{attempt['assignment']['id']}/annotation/", body)


def attempts(client: APIClient, project: Project, query: str = "") -> list[dict[str, Any]]:
    """Return the caller's history, newest first."""
    answer = client.get(f"{API}/projects/{project.pk}/attempts/{query}")
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["results"]
    return found
