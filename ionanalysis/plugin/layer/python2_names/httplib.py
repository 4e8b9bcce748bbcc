"""`httplib` of Python 2."""

from http.client import *  # noqa: F403
from http.client import HTTPConnection, HTTPException  # noqa: F401
