"""`urlparse` of Python 2."""

from urllib.parse import *  # noqa: F403
from urllib.parse import unquote, urlparse  # noqa: F401
