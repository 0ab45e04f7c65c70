"""Project list, invitations, pause, notices. Settings and people are pages of annotation: items follow the ones, and
the others are told with what they did.
"""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from easel.accounts.forms import NewAccountForm
from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.accounts.services import create_user
from easel.common.errors import InvalidInput
from easel.projects import notices, services
from easel.projects.access import invitation_for, notice_for, project_for
from easel.projects.forms import NewProjectForm
from easel.projects.models import Project


@require_safe
def project_list(request: HttpRequest) -> HttpResponse:
    """List the user's projects."""
    assert isinstance(request.user, User)
    projects = list(Project.objects.of(request.user).with_figures())
    covers = Project.objects.covers([project.newest_item for project in projects])
    rows = [(project, covers.get(project.pk, [])) for project in projects]
    return render(request, "projects/list.html", {"rows": rows})


@require_http_methods(["GET", "POST"])
def new_project(request: HttpRequest) -> HttpResponse:
    """Make a project; its maker owns it."""
    assert isinstance(request.user, User)
    form = NewProjectForm(request.user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        project = services.create_project(
            form.cleaned_data["name"],
            form.cleaned_data["template"].latest(),
            request.user,
            timezone.now(),
            overlap=form.cleaned_data["overlap"],
        )
        messages.success(request, "The project is there. Add its prompts next.")
        return redirect("prompts", project.pk)
    return render(request, "projects/new.html", {"form": form})


@require_POST
def withdraw_invitation(request: HttpRequest, pk: UUID, invitation_pk: UUID) -> HttpResponse:
    """Make an invitation's link useless."""
    services.withdraw(invitation_for(request.user, pk, invitation_pk), timezone.now())
    messages.success(request, "The invitation is withdrawn; its link lets nobody in any more.")
    return redirect("people", pk)


@require_POST
def pause_project(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Give nobody a new item from the next lease on."""
    project = project_for(request.user, pk, Act.MANAGE)
    services.pause_project(project, request.POST.get("reason", ""), timezone.now())
    messages.success(request, "Paused. Nobody gets a new item; what is at hand can be submitted.")
    return redirect("people", pk)


@require_POST
def resume_project(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Give out items again."""
    services.resume_project(project_for(request.user, pk, Act.MANAGE))
    messages.success(request, "Resumed. Items are given out again.")
    return redirect("people", pk)


@require_POST
def see_notice(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Put a notice away, for all of the project's admins."""
    assert isinstance(request.user, User)
    notice = notice_for(request.user, pk)
    notices.put_away(notice, request.user, timezone.now())
    return redirect("overview" if request.POST.get("back") == "overview" else "people", notice.project_id)


@login_not_required
@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest, secret: str) -> HttpResponse:
    """Let the bearer of an invitation in: with the account that is signed in, or with a new one."""
    found = services.find_invitation(secret, timezone.now())
    form = NewAccountForm(request.POST or None)
    user = request.user if isinstance(request.user, User) else None
    if user is not None:
        services.require_not_deactivated(found.project, user)
    if request.method == "POST":
        try:
            with transaction.atomic():  # somebody who comes too late leaves no account behind
                if user is None and form.is_valid():
                    user = create_user(form.cleaned_data["username"], form.cleaned_data["password"])
                project = services.accept_invitation(secret, user, timezone.now()) if user else None
        except InvalidInput as refusal:
            if not refusal.fields:
                raise
            for name, problems in refusal.fields.items():
                form.add_error(name if name in form.fields else None, problems)
        else:
            if user is not None and project is not None:
                if request.user != user:
                    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
                messages.success(request, f"Welcome to {project.name}.")
                return redirect("overview", project.pk)
    return render(
        request, "projects/invitation.html", {"invitation": found, "form": form, "sign_in_next": request.path}
    )
