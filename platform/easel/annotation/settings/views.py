"""The settings page: sections that are saved one by one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from easel.accounts.roles import Act
from easel.annotation.curate.choices import categories_of
from easel.annotation.distribution import change_overlap
from easel.annotation.gold.figures import counts_of
from easel.annotation.models import Recount, rule_of
from easel.annotation.settings import forms, services
from easel.common.errors import InvalidInput, Refusal
from easel.projects.access import project_for
from easel.projects.models import Project
from easel.projects.text import to_html

SIMPLE: dict[str, type[Form]] = {
    "about": forms.AboutForm,
    "limits": forms.LimitsForm,
    "gold": forms.GoldForm,
    "review": forms.ReviewForm,
    "costs": forms.CostForm,
}
"""Sections whose fields are the project's own."""
SAVED = {
    "about": "Saved. Annotators see the new guidelines with their next item.",
    "sensitive": "Saved. It counts from the next item on that somebody gets.",
    "costs": "Saved. The quality page tells it.",
}
USUAL = "Saved. It counts from the next item on that somebody gets."


@require_http_methods(["GET", "POST"])
def project_settings(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show a project's settings, and change a section of them."""
    project = project_for(request.user, pk, Act.MANAGE)
    sent = None
    if request.method == "POST":
        section = request.POST.get("section", "about")
        if section not in {*SIMPLE, "sensitive", "overlap"}:
            raise InvalidInput(f"There is no section “{section[:40]}” in the settings. Load the page again.")
        form = _form_of(project, section, request.POST)
        if form.is_valid() and _save(project, section, form):
            messages.success(request, SAVED.get(section, USUAL))
            return redirect(f"{reverse('project_settings', args=[pk])}#{section}")
        sent = (section, form)
    return render(request, "projects/settings.html", _context(project, sent))


def _form_of(project: Project, section: str, data: QueryDict | None) -> Form:
    if section == "overlap":
        return forms.OverlapForm(data, initial=forms.OverlapForm.initial_of(rule_of(project)))
    if section == "sensitive":
        offered = categories_of(project)
        chosen = project.sensitive_categories
        others = ", ".join(one for one in chosen if one not in offered)
        return forms.SensitiveForm(offered, data, initial={"chosen": chosen, "others": others})
    form = SIMPLE[section]
    return form(data, initial={name: getattr(project, name) for name in form.base_fields})


def _save(project: Project, section: str, form: Form) -> bool:
    """Save a section that reads well; what stands against it is told beside its fields."""
    try:
        if isinstance(form, forms.OverlapForm):
            change_overlap(project, form.rule, timezone.now())
        elif isinstance(form, forms.SensitiveForm):
            services.change_settings(project, {"sensitive_categories": form.cleaned_data["sensitive_categories"]})
        else:
            given = {name: form.cleaned_data[name] for name in form.fields}
            kept = {"live_quota_person", "live_quota_project"}  # left out where no images are made live
            services.change_settings(
                project, {name: value for name, value in given.items() if not (name in kept and value is None)}
            )
    except Refusal as refusal:
        form.add_error(None, refusal.detail)
        return False
    return True


def _context(project: Project, sent: tuple[str, Form] | None) -> dict[str, Any]:
    sections = {name: _form_of(project, name, None) for name in (*SIMPLE, "sensitive", "overlap")}
    if sent:
        sections[sent[0]] = sent[1]
    return {
        "project": project,
        "sections": sections,
        "wrong": sent[0] if sent else "",
        "guidelines_html": to_html(project.guidelines),
        "rankers": services.rankers_of(project),
        "recount": Recount.objects.of(project),
        "gold": counts_of(project),
        "recommended": services.AGREE,
    }


@require_safe
def overlap_progress(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show how far the items follow a change of the overlap; asked again and again until they do."""
    project = project_for(request.user, pk, Act.MANAGE)
    recount = Recount.objects.of(project)
    return render(request, "projects/_recount.html", {"project": project, "recount": recount, "watched": True})
