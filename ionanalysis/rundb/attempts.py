"""Failed log-ins, counted: by the log-in page and by passwords that come with requests of the API.

Counted are different wrong passwords, so that a script that sends an old one again and again shuts nobody out, while
guessing ends soon. The counts are this process's own: servers that share a database count each for itself.
"""

import hmac
import math
import secrets
import threading
import time
from collections import OrderedDict
from hashlib import sha256

OF_NAME = 10
"""Wrong passwords of one name from one address, and then no more are looked at."""

OF_ADDRESS = 200
"""The same of all names together."""

WINDOW_S = 300.0
"""Seconds until a wrong password is forgotten."""

_MOST_KEPT = 10_000


class TooManyError(Exception):
    """No password is looked at for now."""

    def __init__(self, seconds):
        super().__init__(seconds)
        self.seconds = seconds

    @property
    def sentence(self):
        minutes = math.ceil(self.seconds / 60)
        return f"Too many wrong passwords. Try again in {minutes} minute{'s' if minutes > 1 else ''}."


class Attempts:
    """Wrong passwords by name and address of the caller; safe to use from several threads.

    Parameters
    ----------
    clock : callable, optional
        Seconds that only grow.
    """

    def __init__(self, clock=time.monotonic):
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._failed: OrderedDict[tuple[str, ...], OrderedDict[bytes, float]] = OrderedDict()

    def check(self, request, name):
        """Nothing, or no password of that name is looked at for a while.

        Raises
        ------
        TooManyError
        """
        with self._lock:
            waits = [self._wait(key, most) for key, most in self._keys(request, name)]
        if max(waits) > 0:
            raise TooManyError(max(waits))

    def failed(self, request, name, password):
        """Count a wrong password."""
        digest = hmac.new(self._secret, f"{name}\0{password}".encode("utf-8", "surrogatepass"), sha256).digest()
        with self._lock:
            for key, _ in self._keys(request, name):
                known = self._failed.setdefault(key, OrderedDict())
                known.setdefault(digest, self._clock())
                self._failed.move_to_end(key)
            while len(self._failed) > _MOST_KEPT:
                self._failed.popitem(last=False)

    def succeeded(self, request, name):
        """Forget the wrong passwords of a name from that address."""
        with self._lock:
            self._failed.pop(self._keys(request, name)[0][0], None)

    def _keys(self, request, name):
        address = request.META.get("REMOTE_ADDR", "")
        return ((address, name[:150]), OF_NAME), ((address,), OF_ADDRESS)

    def _wait(self, key, most):
        """Seconds until one more may be tried."""
        known, now = self._failed.get(key), self._clock()
        if known is None:
            return 0.0
        while known and next(iter(known.values())) + WINDOW_S <= now:
            known.popitem(last=False)
        return next(iter(known.values())) + WINDOW_S - now if len(known) >= most else 0.0


attempts = Attempts()
