"""`httplib` of Python 2."""

from http.client import *
from http.client import HTTPConnection, HTTPException  # noqa: F401
