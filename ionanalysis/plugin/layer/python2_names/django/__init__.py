"""A stand-in where Django is not installed: `cached_property` and `SortedDict` only.

What needs the real one says so: ``pip install "ionanalysis[plugin]"``.
"""


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError(f"django.{name} needs Django, which is not installed: pip install 'ionanalysis[plugin]'.")
