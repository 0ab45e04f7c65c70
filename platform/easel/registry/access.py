"""The only way a request gets to change the registry, which belongs to the whole site."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AnonymousUser

from easel.accounts.models import User
from easel.common.errors import Forbidden, NotFound
from easel.registry.models import ModelVersion


def may_add_models(user: User | AnonymousUser) -> bool:
    """Tell whether a user is a site admin: models are files that workers load, so no project's role is enough."""
    return isinstance(user, User) and user.is_active and user.is_staff


def require_site_admin(user: User | AnonymousUser) -> User:
    """Return the user, if it is a site admin. Raises Forbidden."""
    if not isinstance(user, User) or not may_add_models(user):
        raise Forbidden("Only site admins register models. Ask whoever runs this Easel.")
    return user


def model_for(pk: UUID) -> ModelVersion:
    """Return a model version: everybody who is signed in may see the registry. Raises NotFound."""
    found = ModelVersion.objects.select_related("base", "created_by").filter(pk=pk).first()
    if found is None:
        raise NotFound("model")
    return found
