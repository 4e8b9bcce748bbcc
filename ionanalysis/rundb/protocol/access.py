"""Who asks (rest-api.md 2.3) and what they may do (2.4)."""

import base64
import hashlib
import hmac
import math
import secrets
import time
from collections import OrderedDict

from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.crypto import constant_time_compare
from tastypie.models import ApiKey

from ionanalysis.rundb.attempts import TooManyError, attempts
from ionanalysis.rundb.models import IonMeshNode, PluginResult
from ionanalysis.rundb.protocol.answers import Refusal, unauthorized
from ionanalysis.rundb.protocol.wire import number_of

SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
_VERIFIED_FOR = 300.0
_VERIFIED_COUNT = 1000


class _Verified:
    """Passwords that were found right a short while ago.

    A password is checked with a function that is slow on purpose; a script that sends one with each request would
    spend its time there. What is kept is a keyed digest that a change of the password makes useless.
    """

    def __init__(self):
        self._secret = secrets.token_bytes(32)
        self._seen: OrderedDict[bytes, float] = OrderedDict()

    def _digest(self, user, password):
        text = "\0".join((user.username, user.password, password))
        return hmac.new(self._secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()

    def check(self, user, password):
        """The user, if the password is theirs."""
        digest, now = self._digest(user, password), time.monotonic()
        if self._seen.get(digest, -_VERIFIED_FOR) + _VERIFIED_FOR > now:
            return user
        found = authenticate(username=user.username, password=password)
        if found is not None:
            # Django may have stored the password anew, with today's parameters.
            self._seen[self._digest(found, password)] = now
            while len(self._seen) > _VERIFIED_COUNT:
                self._seen.popitem(last=False)
        return found


_verified = _Verified()


def caller(request, *, mesh=False):
    """The user who asks; `request.user` is set to them.

    Parameters
    ----------
    request : django.http.HttpRequest
    mesh : bool
        Whether the resource is shared with linked servers, whose keys then count.

    Raises
    ------
    Refusal
        401 if nobody known and active asks; 403 if a page of another site may have made a browser ask; 429 after too
        many wrong passwords.
    """
    scheme, _, given = request.META.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    scheme, given = scheme.lower(), given.strip()
    framed = getattr(request, "framed_user", None)
    ways = (
        lambda: framed,
        lambda: _by_password(request, given) if scheme == "basic" else None,
        lambda: _by_session(request),
        lambda: _by_plugin_key(*_pair(request, scheme, given, "pluginkey", "pluginresult")),
        lambda: _by_api_key(*_pair(request, scheme, given, "apikey", "username")),
        lambda: _by_system_key(*_pair(request, scheme, given, "system_id", "system_id")) if mesh else None,
    )
    for way in ways:
        user = way()
        if user is not None and user.is_active:
            request.user = user
            return user
    raise unauthorized()


def _pair(request, scheme, given, wanted, parameter):
    """Name and key, from the header of that scheme or from parameters."""
    if scheme == wanted:
        name, _, key = given.partition(":")
        return name.strip(), key.strip()
    sources = [request.GET]
    if request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        sources.append(request.POST)
    for source in sources:
        if source.get(parameter) and source.get("api_key"):
            return source[parameter], source["api_key"]
    return "", ""


def _by_password(request, given):
    try:
        name, colon, password = base64.b64decode(given, validate=True).decode("utf-8").partition(":")
    except ValueError:
        return None
    if not colon or not name or "\0" in name:
        return None
    _demand_no_other_site(request)
    try:
        attempts.check(request, name)
    except TooManyError as problem:
        raise Refusal(429, {"error": problem.sentence}, Retry_After=str(math.ceil(problem.seconds))) from None
    user = User.objects.filter(username=name).first()
    # A name that nobody has takes as long as a wrong password.
    found = _verified.check(user, password) if user is not None else authenticate(username=name, password=password)
    if found is None:
        attempts.failed(request, name, password)
    else:
        attempts.succeeded(request, name)
    return found


def _by_session(request):
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return None
    if request.method not in SAFE:
        refused = CsrfViewMiddleware(lambda _: None).process_view(request, None, (), {})
        if refused is not None:
            raise Refusal(403, {"error": "This request needs the token of the session (X-CSRFToken)."})
    return user


def _by_plugin_key(number, key):
    pk = number_of(number)
    if not key or pk is None:
        return None
    result = PluginResult.objects.filter(pk=pk).only("apikey").first()
    if result is None or not result.apikey or not constant_time_compare(result.apikey, key):
        return None
    users = User.objects.filter(username__in=("ionuser", "ionadmin"))
    return max(users, key=lambda user: user.username, default=None)


def _by_api_key(name, key):
    if not name or not key or "\0" in name:
        return None
    known = ApiKey.objects.select_related("user").filter(user__username=name).first()
    return known.user if known is not None and constant_time_compare(known.key, key) else None


def _by_system_key(system, key):
    if not system or not key or "\0" in system:
        return None
    node = IonMeshNode.objects.filter(system_id=system).first()
    if node is None or not node.apikey_local or not constant_time_compare(node.apikey_local, key):
        return None
    return User.objects.filter(username="ionmesh").first()


def demand(user, action, model):
    """Refuse unless the user may `action` ("add", "change" or "delete") rows of that model.

    Raises
    ------
    Refusal
        401, as the original answers, though it knows who asks.
    """
    if not user.has_perm(f"{model._meta.app_label}.{action}_{model._meta.model_name}"):
        raise Refusal(401)


def demand_administrator(user):
    """Refuse, as `demand` does, whoever may not do everything."""
    if not user.is_superuser:
        raise Refusal(401)


def _demand_no_other_site(request):
    """Refuse what another site's page makes a browser send with a password that it remembers; links may lead here."""
    is_link = request.method in SAFE and request.META.get("HTTP_SEC_FETCH_MODE") == "navigate"
    if not is_link:
        demand_own_site(request)


def demand_own_site(request):
    """Refuse a request that a page of another site has made a browser send, such as a GET that changes something."""
    if request.META.get("HTTP_SEC_FETCH_SITE", "none") not in ("none", "same-origin"):
        raise Refusal(403, {"error": "This request does not come from a page of this server."})
