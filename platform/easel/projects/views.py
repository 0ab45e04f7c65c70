"""Project list, settings, people, invitations."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from easel.accounts.forms import NewAccountForm
from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.accounts.services import create_user
from easel.common.errors import InvalidInput
from easel.projects import services
from easel.projects.access import invitation_for, member_for, project_for
from easel.projects.forms import InvitationForm, NewProjectForm, RoleForm, SettingsForm
from easel.projects.models import Invitation, Membership, Project
from easel.projects.text import to_html


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


@require_http_methods(["GET", "POST"])
def project_settings(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Change a project's name, its guidelines, and how many images annotators may have made."""
    project = project_for(request.user, pk, Act.MANAGE)
    form = SettingsForm(
        request.POST or None, initial={name: getattr(project, name) for name in SettingsForm.base_fields}
    )
    if request.method == "POST" and form.is_valid():
        services.change_project(project, **form.cleaned_data)
        messages.success(request, "Saved. Annotators see the new guidelines with their next item.")
        return redirect("project_settings", project.pk)
    context = {"project": project, "form": form, "guidelines_html": to_html(project.guidelines)}
    return render(request, "projects/settings.html", context)


@require_http_methods(["GET", "POST"])
def people(request: HttpRequest, pk: UUID) -> HttpResponse:
    """List members and invitations; make an invitation, whose link is shown once."""
    project = project_for(request.user, pk, Act.MANAGE)
    assert isinstance(request.user, User)
    form = InvitationForm(request.POST or None)
    link = None
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        _, secret = services.invite(
            project,
            chosen["role"],
            request.user,
            project.role,
            timezone.now(),
            days=chosen["days"],
            max_uses=chosen["max_uses"],
        )
        link = request.build_absolute_uri(reverse("invitation", args=[secret]))
        form = InvitationForm()
    context = {
        "project": project,
        "members": Membership.objects.of_project(project),
        "invitations": Invitation.objects.usable(timezone.now()).of_project(project),
        "form": form,
        "link": link,
        "roles": RoleForm.base_fields["role"].choices,  # type: ignore[attr-defined]
    }
    return render(request, "projects/people.html", context)


@require_POST
def member_role(request: HttpRequest, pk: UUID, member_pk: UUID) -> HttpResponse:
    """Give a member another role."""
    member = member_for(request.user, pk, member_pk)
    form = RoleForm(request.POST)
    if not form.is_valid():
        raise InvalidInput("Choose one of the roles.")
    services.change_role(member, form.cleaned_data["role"], member.by_role)
    messages.success(request, f"{member.user.display_name} is now {form.cleaned_data['role']}.")
    return redirect("people", pk)


@require_POST
def remove_member(request: HttpRequest, pk: UUID, member_pk: UUID) -> HttpResponse:
    """End a membership."""
    member = member_for(request.user, pk, member_pk)
    services.remove_member(member, member.by_role)
    messages.success(request, f"{member.user.display_name} is no longer in the project. What they ranked stays.")
    return redirect("people", pk)


@require_POST
def withdraw_invitation(request: HttpRequest, pk: UUID, invitation_pk: UUID) -> HttpResponse:
    """Make an invitation's link useless."""
    services.withdraw(invitation_for(request.user, pk, invitation_pk), timezone.now())
    messages.success(request, "The invitation is withdrawn; its link lets nobody in any more.")
    return redirect("people", pk)


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
