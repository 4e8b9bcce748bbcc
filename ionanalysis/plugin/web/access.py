"""Who may ask the server what.

The person who started it holds its key, as a cookie. Pages of plugins run in sandboxed frames, which have an origin of
their own and no cookies: what they may do is written into a token, and nothing else is open to them.
"""

import hmac
import secrets
import time
from hashlib import sha256
from typing import NamedTuple

COOKIE = "ionanalysis_key"
TOKEN_HEADER = "x-plugin-token"


class FrameScope(NamedTuple):
    """What the page of a plugin may ask for: its own plugin and, shown on a report, that one."""

    plugin: int
    action: str
    """`config`, `plan`, `report` or `about`."""
    result: int
    """0 without one."""
    user: int = 0
    """Number of the user who looks at it; 0 where there are no users."""


class Tokens:
    """Signs what pages of plugins may ask for.

    Parameters
    ----------
    secret : bytes
    lifetime_s : int, optional
        Seconds after which a token counts no more.
    """

    def __init__(self, secret, lifetime_s=None):
        self._secret = secret
        self._lifetime_s = lifetime_s

    def frame_token(self, scope):
        """Token for a `FrameScope`."""
        return self._signed(f"frame.{scope.plugin}.{scope.action}.{scope.result}.{scope.user}")

    def frame_scope(self, token):
        """The `FrameScope` of a token; None if it is not ours."""
        words = self._words(token)
        if words and words[0] == "frame" and len(words) == 5:
            return FrameScope(int(words[1]), words[2], int(words[3]), int(words[4]))
        return None

    def output_token(self, result):
        """Token for the files that plugins left in a result."""
        return self._signed(f"output.{result}")

    def output_result(self, token):
        """Number of the result that such a token opens; None if it is not ours."""
        words = self._words(token)
        return int(words[1]) if words and words[0] == "output" and len(words) == 2 else None

    def _signed(self, text):
        until = 0 if self._lifetime_s is None else int(time.time()) + self._lifetime_s
        return self._with_signature(f"{text}.{until}")

    def _with_signature(self, text):
        return f"{text}~{hmac.new(self._secret, text.encode(), sha256).hexdigest()[:40]}"

    def _words(self, token):
        """What a token says, without its end; None if it is not ours, or over."""
        text, _, _ = (token or "").rpartition("~")
        is_ours = hmac.compare_digest(self._with_signature(text).encode(), (token or "").encode("utf-8", "replace"))
        if not is_ours:
            return None
        *words, until = text.split(".")
        return words if until == "0" or int(until) > time.time() else None


class Access(Tokens):
    """The key of one server, and the tokens that it signs."""

    def __init__(self):
        super().__init__(secrets.token_bytes(32))
        self.key = secrets.token_urlsafe(24)

    def is_key(self, word):
        return hmac.compare_digest((word or "").encode(), self.key.encode())
