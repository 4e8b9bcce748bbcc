"""`SortedDict` of Django before 1.9."""

from collections import OrderedDict as SortedDict  # noqa: F401
