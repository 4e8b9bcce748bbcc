"""`urlparse` of Python 2."""

from urllib.parse import *
from urllib.parse import unquote, urlparse  # noqa: F401
