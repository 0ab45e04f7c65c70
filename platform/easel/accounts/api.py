"""Who am I, and how do I like to work."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from easel.accounts.models import User
from easel.accounts.profile import BREAKS, GOALS, MOST_DECLINED, change_profile, profile_of
from easel.common.errors import InvalidInput
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


class ProfileSerializer(serializers.Serializer[Any]):
    """How a person likes to work."""

    keys = serializers.DictField(
        child=serializers.CharField(),
        required=False,
        help_text="Act -> key on the ranking page. A change names all that differ from the usual keys.",
    )
    text_direction = serializers.ChoiceField(User.Direction.choices, required=False)
    blur = serializers.BooleanField(required=False, help_text="Sensitive images are blurred until asked for.")
    declined = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        max_length=MOST_DECLINED,
        help_text="Categories of items that the caller is not given.",
    )
    session_goal = serializers.IntegerField(
        required=False, allow_null=True, min_value=GOALS[0], max_value=GOALS[1], help_text="Items; null: no goal."
    )
    break_after = serializers.IntegerField(
        required=False, allow_null=True, min_value=BREAKS[0], max_value=BREAKS[1], help_text="Minutes; null: never."
    )


class Profile(APIView):
    """The caller's profile."""

    @documented("me_profile_retrieve", answers={200: ProfileSerializer})
    def get(self, request: Request) -> Response:
        """Return how the caller likes to work, with the key of every act."""
        assert isinstance(request.user, User)
        return Response(profile_of(request.user))

    @documented("me_profile_update", request=ProfileSerializer, answers={200: ProfileSerializer}, errors=(400, 415))
    def put(self, request: Request) -> Response:
        """Change what is named and leave the rest; `keys`, where named, replaces all keys that were chosen before."""
        assert isinstance(request.user, User)
        if not isinstance(request.data, dict):
            raise InvalidInput("A profile is a JSON object, as {“blur”: false}.")
        change_profile(request.user, request.data)
        return Response(profile_of(request.user))
