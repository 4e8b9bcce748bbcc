"""Who may ask the server what.

The person who started it holds its key, as a cookie. Pages of plugins run in sandboxed frames, which have an origin of
their own and no cookies: what they may do is written into a token, and nothing else is open to them.
"""

import hmac
import secrets
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


class Access:
    """The key of one server, and the tokens that it signs."""

    def __init__(self):
        self.key = secrets.token_urlsafe(24)
        self._secret = secrets.token_bytes(32)

    def is_key(self, word):
        return hmac.compare_digest((word or "").encode(), self.key.encode())

    def frame_token(self, scope):
        """Token for a `FrameScope`."""
        return self._signed(f"frame.{scope.plugin}.{scope.action}.{scope.result}")

    def frame_scope(self, token):
        """The `FrameScope` of a token; None if it is not ours."""
        words = self._words(token)
        if words and words[0] == "frame" and len(words) == 4:
            return FrameScope(int(words[1]), words[2], int(words[3]))
        return None

    def output_token(self, result):
        """Token for the files that plugins left in a result."""
        return self._signed(f"output.{result}")

    def output_result(self, token):
        """Number of the result that such a token opens; None if it is not ours."""
        words = self._words(token)
        return int(words[1]) if words and words[0] == "output" and len(words) == 2 else None

    def _signed(self, text):
        return f"{text}~{hmac.new(self._secret, text.encode(), sha256).hexdigest()[:40]}"

    def _words(self, token):
        text, _, _ = (token or "").rpartition("~")
        is_ours = hmac.compare_digest(self._signed(text).encode(), (token or "").encode("utf-8", "replace"))
        return text.split(".") if is_ours else None
