"""The builder: the page on which a project's templates are made."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from uuid import UUID

from csp.constants import SELF
from csp.decorators import csp_update
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from easel.accounts.roles import Act
from easel.common.errors import NotFound
from easel.forms.api import render_draft
from easel.forms.models import Template
from easel.forms.palette import palette
from easel.projects.access import project_for, template_for
from easel.projects.template_services import problems_of_draft

MODULES = Path(__file__).resolve().parents[1] / "static" / "easel" / "build"


@require_safe
@never_cache
@ensure_csrf_cookie
@csp_update({"frame-src": [SELF]})  # type: ignore[arg-type]  # the preview; it takes any view
def build_template(request: HttpRequest, pk: UUID, template_pk: UUID) -> HttpResponse:
    """Show the builder with a template's draft; it saves over the API."""
    project = project_for(request.user, pk, Act.BUILD)
    template = template_for(request.user, template_pk, Act.BUILD)
    if template.home != project.pk:
        raise NotFound("template")
    here = (project.pk, template.pk)
    config = {
        "template": {"id": str(template.pk), "name": template.name},
        "user": str(request.user.pk),
        "draft": render_draft(template.draft, problems_of_draft(template.draft.definition)),
        "published": template.published,
        "names": _published_names(template),
        "palette": palette(),
        "urls": {
            "template": reverse("template", args=here),
            "publish": reverse("publish_template", args=here),
            "preview": reverse("preview_template"),
        },
    }
    context = {"project": project, "template": template, "config": config, "modules": _modules()}
    return render(request, "forms/build.html", context)


def _published_names(template: Template) -> dict[str, str]:
    """Return the names and types of the newest version's components: what is answered under them is kept."""
    if not template.published:
        return {}
    return {part.name: part.type for part in template.latest().form.walk()}


@cache
def _modules() -> list[str]:
    """The page's modules, so that the browser fetches them at once."""
    return [f"easel/build/{path.name}" for path in sorted(MODULES.glob("*.js")) if path.name != "main.js"]
