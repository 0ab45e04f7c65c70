"""Writes to accounts."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from easel.accounts.models import ApiToken, User
from easel.common.errors import InvalidInput, NotFound


@transaction.atomic
def create_user(
    username: str, password: str | None, *, kind: str = User.Kind.HUMAN, email: str = "", site_admin: bool = False
) -> User:
    """Make an account. Without a password nobody can sign in to it on a page (tokens still work).

    A site admin registers models; that is no role in any project.
    Raises InvalidInput when the name is taken or malformed, or the password too weak.
    """
    user = User(username=username.strip(), kind=kind, email=email, is_staff=site_admin)
    try:
        if password is not None:
            validate_password(password, user)
        user.set_password(password)
        user.full_clean()
    except ValidationError as error:
        if hasattr(error, "error_dict"):
            fields = {name: list(messages) for name, messages in error.message_dict.items()}
        else:
            fields = {"password": list(error.messages)}
        raise InvalidInput(" ".join(message for part in fields.values() for message in part), fields=fields) from error
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError as error:  # somebody took the name between the check and the insert
        taken = "A user with that username already exists."
        raise InvalidInput(taken, fields={"username": [taken]}) from error
    return user


def create_token(user: User, name: str, lifetime: timedelta | None = timedelta(days=365)) -> tuple[ApiToken, str]:
    """Make an API token and return it with its key, which is not stored and cannot be shown again."""
    token, key = ApiToken.objects.create(user=user, expiry=lifetime, name=name[:100])
    return token, key


def delete_token(user: User, token_key: str) -> None:
    """Delete one of a user's own tokens; whoever uses it is signed out at once. Raises NotFound for any other."""
    deleted, _ = ApiToken.tokens.of(user).filter(token_key=token_key).delete()
    if not deleted:
        raise NotFound("token")
