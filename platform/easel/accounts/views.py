"""Sign-in, and a user's own account page."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import views as auth_views
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from easel.accounts import services
from easel.accounts.forms import TokenForm
from easel.accounts.models import ApiToken, User


class SignIn(auth_views.LoginView):
    """The sign-in page; ten wrong guesses from one address lock that name for that address for 15 minutes."""

    http_method_names = ["get", "post", "head", "options"]
    template_name = "accounts/sign_in.html"
    redirect_authenticated_user = True


class SignOut(auth_views.LogoutView):
    """Ends the session."""


@require_http_methods(["GET", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Show a user's own tokens and make new ones; a new key is shown once, on the answer to the POST."""
    user = request.user
    assert isinstance(user, User)
    form = TokenForm(request.POST or None)
    key = None
    if request.method == "POST" and form.is_valid():
        _, key = services.create_token(user, form.cleaned_data["name"])
        form = TokenForm()
    context = {"form": form, "key": key, "tokens": ApiToken.tokens.of(user)}
    return render(request, "accounts/account.html", context, status=200)


@require_POST
def delete_token(request: HttpRequest, token_key: str) -> HttpResponse:
    """Delete one of a user's own tokens."""
    assert isinstance(request.user, User)
    services.delete_token(request.user, token_key)
    messages.success(request, "The token is deleted. Scripts that use it are refused from now on.")
    return redirect("account")
