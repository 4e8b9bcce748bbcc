"""Configurations of plugins for automatic launches: a JSON file, an object of objects by plugin (plugin.md 4.4)."""

from ionanalysis.errors import InputError
from ionanalysis.io.jsonfile import read_json


def plan_configs(path):
    """The configurations in a file.

    Raises
    ------
    InputError
        If it cannot be read, or is no object of objects.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: must hold an object of configurations by plugin.")
    wrong = next((name for name, config in content.items() if not isinstance(config, dict)), None)
    if wrong is not None:
        raise InputError(f"{path}: the configuration of {wrong} must be an object.")
    return content
