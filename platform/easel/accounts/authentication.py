"""Authentication of API calls by token."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from knox.crypto import hash_token
from rest_framework.exceptions import AuthenticationFailed

from easel.accounts.models import User

_OWNER = """
    SELECT account.* FROM accounts_user AS account JOIN accounts_apitoken AS token ON token.user_id = account.id
    WHERE token.digest = %s AND (token.expiry IS NULL OR token.expiry > %s) AND account.is_active
"""


class TokenAuthentication(KnoxTokenAuthentication):
    """`Authorization: Token easel_...`, read with one SQL statement: every call of the API begins with it."""

    def authenticate_credentials(self, token: bytes) -> tuple[User, str]:
        """Return the user of a token, and the token's digest; the token itself is stored nowhere."""
        if not token.replace(b"_", b"").isalnum():  # other bytes than a token's
            raise AuthenticationFailed("Invalid token.")
        digest: str = hash_token(token.decode())
        for user in User.objects.raw(_OWNER, [digest, timezone.now()]):
            return user, digest
        raise AuthenticationFailed("Invalid token.")


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI document describes our tokens."""

    target_class = "easel.accounts.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the OpenAPI security scheme."""
        return {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Token easel_..."}
