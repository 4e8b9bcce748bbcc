"""Needs the real Django."""

raise ImportError("This plugin uses Django, which is not installed: pip install 'ionanalysis[plugin]'.")
