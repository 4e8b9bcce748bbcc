"""`cached_property` behaves as Django's does."""

from functools import cached_property  # noqa: F401
