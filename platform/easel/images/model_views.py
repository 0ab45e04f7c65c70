"""The pages of the registry. They stand here because they show what was made with a model."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from easel.accounts.models import User
from easel.common.errors import Refusal
from easel.images.model_figures import images_made, model_rows, samples_of
from easel.registry import inspection
from easel.registry.access import may_add_models, model_for, require_site_admin
from easel.registry.forms import AddModelForm
from easel.registry.inspection import BrokenModel, Inspected
from easel.registry.models import ModelVersion
from easel.registry.services import HASHED_ON_A_PAGE, add_model


@require_safe
def models(request: HttpRequest) -> HttpResponse:
    """List the models of this Easel as a tree, with what the user may see of their images."""
    assert isinstance(request.user, User)
    context = {"rows": model_rows(request.user), "may_add": may_add_models(request.user)}
    return render(request, "registry/list.html", context)


@require_safe
def model(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one model: samples, files, lineage, and how to use it."""
    assert isinstance(request.user, User)
    found = model_for(pk)
    context = {
        "model": found,
        "lineage": found.lineage()[:-1],
        "derived": ModelVersion.objects.made_from(found),
        "samples": samples_of(found, request.user),
        "images": images_made(found, request.user),
        "files": _files(found),
        "may_add": may_add_models(request.user),
    }
    return render(request, "registry/detail.html", context)


@require_http_methods(["GET", "POST"])
def new_model(request: HttpRequest) -> HttpResponse:
    """Register a model; site admins only."""
    by = require_site_admin(request.user)
    asked = request.POST if request.method == "POST" else None
    form = AddModelForm(asked, initial={"location": request.GET.get("location", "")[:200]})
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            before = timezone.now()
            try:
                made = add_model(form.new_model(), by, before, hash_up_to=HASHED_ON_A_PAGE)
            except Refusal as refusal:
                for name, problems in refusal.fields.items() or [(None, [refusal.detail])]:
                    form.add_error(name if name in form.fields else None, problems)
                status = refusal.status
            else:
                told = "registered" if made.created_at == before else "registered already"
                messages.success(request, f"{made.name} is {told}.")
                return redirect("model", made.pk)
    known = ModelVersion.objects.locations()
    unregistered = [name for name in inspection.folders() if f"folder:{name}" not in known]
    return render(request, "registry/new.html", {"form": form, "unregistered": unregistered}, status=status)


@dataclass(frozen=True)
class _Files:
    """What lies in a model's folder now, or what is wrong with it."""

    found: Inspected | None
    defaults: dict[str, object]
    problem: str


def _files(model: ModelVersion) -> _Files:
    """Look at a model's folder, where it has one on this machine."""
    where, _, name = model.location.partition(":")
    try:
        if where == "folder":
            found = inspection.inspect_folder(name)
        elif where == "hub" and (path := inspection.hub_folder(name)) is not None:
            found = inspection.inspect(path, inside=path.parents[1])
        else:
            return _Files(None, {}, "")
        return _Files(found, inspection.defaults_of(found.path), "")
    except BrokenModel as error:
        return _Files(None, {}, str(error))
