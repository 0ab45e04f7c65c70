"""The only way a request gets an evaluation or a simulation."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import F

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.common.errors import NotFound
from easel.evaluation.models import Evaluation, Simulation
from easel.projects.access import require


def evaluation_for(user: User | AnonymousUser, pk: UUID, act: Act) -> Evaluation:
    """Return an evaluation, with its models and its request, to a member whose role allows the act."""
    found = None
    if isinstance(user, User):
        found = (
            Evaluation.objects.with_state()  # type: ignore[no-redef]  # `role` is declared on the model
            .filter(pk=pk, project__memberships__user=user)
            .annotate(role=F("project__memberships__role"))
            .first()
        )
    if found is None:
        raise NotFound("evaluation")
    require(found.role, act)
    found.project.role = found.role
    return found


def simulation_for(user: User | AnonymousUser, pk: UUID, act: Act) -> Simulation:
    """Return a simulation to a member whose role allows the act."""
    found = None
    if isinstance(user, User):
        found = (
            Simulation.objects.filter(pk=pk, project__memberships__user=user)  # type: ignore[no-redef]
            .annotate(role=F("project__memberships__role"))
            .select_related("project", "created_by")
            .first()
        )
    if found is None:
        raise NotFound("simulation")
    require(found.role, act)
    return found
