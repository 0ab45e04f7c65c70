"""The people of a project, and one of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from easel.accounts.models import User
from easel.accounts.roles import TELLS, Act, Role, table
from easel.annotation.people import services
from easel.annotation.people.figures import STATES, headcount_of, people_of, work_of
from easel.common.errors import Refusal
from easel.common.paging import page_of
from easel.projects import services as projects
from easel.projects.access import may, member_for, project_for
from easel.projects.forms import InvitationForm, MemberForm, ReasonForm
from easel.projects.models import Invitation, Notice

ROWS = 100
SEARCH_FROM = 20  # below, one sees everybody at a glance


@require_http_methods(["GET", "POST"])
def people(request: HttpRequest, pk: UUID) -> HttpResponse:
    """List members and invitations; make an invitation, whose link is shown once."""
    project = project_for(request.user, pk, Act.MANAGE)
    assert isinstance(request.user, User)
    at = timezone.now()
    form = InvitationForm(request.POST or None)
    link = None
    if request.method == "POST" and form.is_valid():
        chosen = form.cleaned_data
        limits = {"days": chosen["days"], "max_uses": chosen["max_uses"]}
        _, secret = projects.invite(project, chosen["role"], request.user, project.role, at, **limits)
        link = request.build_absolute_uri(reverse("invitation", args=[secret]))
        form = InvitationForm()
    words, state = request.GET.get("q", "").strip(), request.GET.get("state", "")
    page = page_of(request, people_of(project, words, state), ROWS, ascending=True)
    headcount = headcount_of(project)
    context = {
        "project": project,
        "rows": [(member, work_of(member, at)) for member in page.rows],
        "after": page.after,
        "words": words,
        "state": state if state in STATES else "",
        "states": STATES,
        "headcount": headcount,
        "search": headcount.all > SEARCH_FROM,
        "invitations": Invitation.objects.usable(at).of_project(project),
        "notices": Notice.objects.unseen(project),
        "form": form,
        "link": link,
        "role_choices": [(value, label, TELLS[value]) for value, label in Role.choices],
        "role_table": table(),
    }
    return render(request, "people/list.html", context)


@require_http_methods(["GET", "POST"])
def member(request: HttpRequest, pk: UUID, member_pk: UUID) -> HttpResponse:
    """Show one member, and change what they may do."""
    found = member_for(request.user, pk, member_pk)
    limits = {"limit_day": found.limit_day, "limit_total": found.limit_total}
    form = MemberForm(found.by_role, request.POST or None, initial={"role": found.role, **limits})
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            services.change_member(found, found.by_role, timezone.now(), **form.cleaned_data)
        except Refusal as refusal:  # the last owner, for instance: told where it was asked
            form.add_error(None, refusal.detail)
            status = refusal.status
        else:
            messages.success(request, f"Saved. It counts from {found.user.display_name}'s next item on.")
            return redirect("member", pk, member_pk)
    return render(request, "people/member.html", _context(request, pk, member_pk, form), status=status)


def _context(request: HttpRequest, pk: UUID, member_pk: UUID, form: MemberForm) -> dict[str, Any]:
    project = project_for(request.user, pk, Act.MANAGE)
    found = people_of(project).get(pk=member_pk)
    return {
        "project": project,
        "member": found,
        "work": work_of(found, timezone.now()),
        "may_rank": may(found.role, Act.RANK),
        "untouchable": found.role == Role.OWNER and project.role != Role.OWNER,
        "form": form,
        "reason_form": ReasonForm(initial={"reason": found.pause_reason}),
        "notices": Notice.objects.unseen(project).about_person(found.user),
        "role_choices": [(value, label, TELLS[value]) for value, label in form.fields["role"].choices],  # type: ignore[attr-defined]
    }


@require_POST
def pause_member(request: HttpRequest, pk: UUID, member_pk: UUID) -> HttpResponse:
    """Give a member no new item from the next lease on."""
    found = member_for(request.user, pk, member_pk)
    projects.pause_member(found, request.POST.get("reason", ""), timezone.now())
    messages.success(request, f"{found.user.display_name} is paused: no new item; what is at hand can be submitted.")
    return redirect("member", pk, member_pk)


@require_POST
def resume_member(request: HttpRequest, pk: UUID, member_pk: UUID) -> HttpResponse:
    """Give a member items again."""
    found = member_for(request.user, pk, member_pk)
    services.resume(found)
    messages.success(request, f"{found.user.display_name} gets items again.")
    return redirect("member", pk, member_pk)


@require_POST
def deactivate_member(request: HttpRequest, pk: UUID, member_pk: UUID) -> HttpResponse:
    """Let a member in no more."""
    found = member_for(request.user, pk, member_pk)
    freed = services.deactivate(found, found.by_role, timezone.now())
    messages.success(
        request, f"{found.user.display_name} is deactivated and is let in no more. What they did stays.{_freed(freed)}"
    )
    if found.user == request.user:
        return redirect("projects")
    return redirect("member", pk, member_pk)


@require_POST
def reactivate_member(request: HttpRequest, pk: UUID, member_pk: UUID) -> HttpResponse:
    """Let a deactivated member in again."""
    found = member_for(request.user, pk, member_pk)
    projects.reactivate_member(found, found.by_role)
    messages.success(request, f"{found.user.display_name} is let in again, as {found.get_role_display().lower()}.")
    return redirect("member", pk, member_pk)


@require_POST
def remove_member(request: HttpRequest, pk: UUID, member_pk: UUID) -> HttpResponse:
    """End a membership."""
    found = member_for(request.user, pk, member_pk)
    freed = services.remove(found, found.by_role, timezone.now())
    messages.success(
        request, f"{found.user.display_name} is no longer in the project. What they ranked stays.{_freed(freed)}"
    )
    if found.user == request.user:
        return redirect("projects")
    return redirect("people", pk)


def _freed(items: int) -> str:
    if not items:
        return ""
    return " What they had open goes to others." if items == 1 else f" Their {items} open items go to others."
