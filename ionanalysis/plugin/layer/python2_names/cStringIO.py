"""`cStringIO` of Python 2."""

from StringIO import StringIO  # noqa: F401
