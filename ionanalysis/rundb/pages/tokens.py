"""Tokens for sandboxed frames, which have no session: signed with the server's own key, and over after half a day."""

from functools import cache

from django.conf import settings
from django.utils.crypto import salted_hmac

from ionanalysis.plugin.web.access import Tokens

_LIFETIME_S = 12 * 3600


@cache
def tokens():
    """The signer of this server."""
    return Tokens(salted_hmac("ionanalysis.frames", "", settings.SECRET_KEY, algorithm="sha256").digest(), _LIFETIME_S)


def output_address(result, path=""):
    """Where a frame finds the files of a report."""
    return f"/output/{tokens().output_token(result)}/{path}"
