"""Forms of the account pages."""

from __future__ import annotations

from django import forms


class TokenForm(forms.Form):
    """A new API token."""

    name = forms.CharField(max_length=100, label="What is it for?", help_text="For example: export script on my laptop")


class NewAccountForm(forms.Form):
    """The account that an invited person makes."""

    username = forms.CharField(
        label="User name",
        max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}),
    )
    password = forms.CharField(
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}), help_text="At least 10 characters."
    )
