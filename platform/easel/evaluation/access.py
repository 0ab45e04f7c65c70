"""The only way a request gets an evaluation or a simulation."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AnonymousUser

from easel.accounts.models import User
from easel.accounts.roles import Act
from easel.evaluation.models import Evaluation, Simulation
from easel.projects.access import row_for


def evaluation_for(user: User | AnonymousUser, pk: UUID, act: Act) -> Evaluation:
    """Return an evaluation, with its models and its request, to a member whose role allows the act."""
    found = row_for(Evaluation.objects.with_state(), user, pk, act, "evaluation")
    found.project.role = found.role
    return found


def simulation_for(user: User | AnonymousUser, pk: UUID, act: Act) -> Simulation:
    """Return a simulation to a member whose role allows the act."""
    rows = Simulation.objects.select_related("project", "created_by")
    return row_for(rows, user, pk, act, "simulation")
