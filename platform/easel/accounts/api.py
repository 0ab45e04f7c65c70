"""Who am I."""

from __future__ import annotations

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.accounts.models import User
from easel.common.schema import documented


class UserSerializer(serializers.ModelSerializer[User]):
    """An account as its owner sees it."""

    class Meta:
        model = User
        fields = ["id", "username", "kind"]


class Me(APIView):
    """The account that a token or session belongs to."""

    @documented("me_retrieve", answers={200: UserSerializer})
    def get(self, request: Request) -> Response:
        """Return the caller's own account."""
        assert isinstance(request.user, User)
        return Response(UserSerializer(request.user).data)
