"""Files in a plugin's directory and in its working directories."""

from contextlib import suppress
from pathlib import Path

from ionanalysis.errors import InputError
from ionanalysis.io.jsonfile import read_json


def outcome_in(path):
    """What `PluginCLI` said of a launch: `true`, `false`, `none` or `declined`; nothing for a shell plugin."""
    try:
        content = read_json(path)
    except InputError:
        return ""
    return str(content.get("outcome", "")) if isinstance(content, dict) else ""


def file_config(path):
    """`pluginconfig.json` of a plugin's directory."""
    with suppress(InputError):
        content = read_json(Path(path) / "pluginconfig.json")
        if isinstance(content, dict):
            return content
    return {}


def make_folder(folder):
    """A plugin's working directory; plugins write beside it, too, so `plugin_out` is open to all."""
    for place in reversed([folder, *folder.parents]):
        if not place.exists():
            place.mkdir(exist_ok=True)
            place.chmod(0o777 if place.name == "plugin_out" else 0o775)


def write_script(path, text):
    """Write a launch script that anybody may run."""
    # Never through a link that a plugin left here.
    path.unlink(missing_ok=True)
    path.write_text(text, "utf-8", errors="surrogateescape")
    path.chmod(0o775)
