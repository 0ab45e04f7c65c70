"""An annotator's own page: what they did in a project and how it went, for them alone."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.annotation.progress import left_for
from easel.common.charts import day_bars
from easel.preferences.models import AnnotatorQuality
from easel.preferences.own import own_figures
from easel.preferences.own_words import kind_words
from easel.projects.access import project_for


@require_safe
def own_page(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show the caller's own numbers: today and in all, days, known answers, and what to look out for."""
    project = project_for(request.user, pk, Act.RANK)
    user = request.user
    assert isinstance(user, User)
    own = own_figures(project, user, timezone.now())
    most_day, most = max(own.days, key=lambda row: row[1])
    told = f"{sum(n for _, n in own.days):,} in {len(own.days)} days, most on {most_day:%-d %B}: {most:,}"
    stored = AnnotatorQuality.objects.of_person(project, user.pk)
    context = {
        "project": project,
        "own": own,
        "active_s": own.active_ms / 1000,
        "left": left_for(user, project),
        "chart": day_bars("Your days", "annotations", own.days, told) if most else None,
        "flags": kind_words(stored.found_flags) if stored else [],
        "goal": user.session_goal,
    }
    return render(request, "quality/me.html", context)
