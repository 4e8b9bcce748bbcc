"""Logging in and out, and a user's own account."""

import math

from django import forms
from django.contrib import messages
from django.contrib.auth import authenticate, login, logout
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from tastypie.models import ApiKey

from ionanalysis.rundb.attempts import TooManyError, attempts


class LogInForm(forms.Form):
    username = forms.CharField(
        label="Name",
        max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "username", "autofocus": True, "autocapitalize": "none"}),
    )
    password = forms.CharField(
        label="Password",
        max_length=1000,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def log_in(request):
    """The log-in page; leads on to where the visitor wanted to go."""
    wanted = request.POST.get("next") or request.GET.get("next") or "/"
    if not url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure()):
        wanted = "/"
    form = LogInForm(request.POST or None)
    status, headers = 200, {}
    if request.method == "POST" and form.is_valid():
        try:
            if _enter(request, **form.cleaned_data):
                return redirect(wanted)
            form.add_error(None, "Name and password do not belong together.")
        except TooManyError as problem:
            form.add_error(None, problem.sentence)
            status, headers = 429, {"Retry-After": str(math.ceil(problem.seconds))}
    response = render(request, "login.html", {"form": form, "next": wanted}, status=status)
    for header, value in headers.items():
        response[header] = value
    return response


def _enter(request, username, password):
    """Whether the two belong together; then the session is theirs."""
    attempts.check(request, username)
    user = authenticate(request, username=username, password=password)
    if user is None:
        attempts.failed(request, username, password)
        return False
    attempts.succeeded(request, username)
    login(request, user)
    return True


@require_POST
def log_out(request):
    logout(request)
    return redirect("login")


@login_required
@require_safe
def account(request):
    """Who one is, what one may do, and one's API key."""
    key, _ = ApiKey.objects.get_or_create(user=request.user)
    groups = ", ".join(request.user.groups.values_list("name", flat=True))
    return render(request, "account.html", {"key": key, "groups": groups})


@login_required
@require_POST
def renew_key(request):
    """Give the user another API key; the old one ends."""
    with transaction.atomic():
        ApiKey.objects.filter(user=request.user).delete()
        ApiKey.objects.create(user=request.user)
    messages.success(request, "The API key is new; scripts with the old one are refused from now on.")
    return redirect("account")
