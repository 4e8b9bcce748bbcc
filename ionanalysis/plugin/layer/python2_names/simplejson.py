"""`simplejson`, where it is not installed: the standard library does the same."""

from json import *
from json import JSONDecodeError, dump, dumps, load, loads  # noqa: F401
