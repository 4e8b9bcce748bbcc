"""Files that plugins and results bring, as a server may hand them out: which, of which kind, under which policy."""

import mimetypes
from importlib.resources import files
from pathlib import Path

from ionanalysis.errors import InputError
from ionanalysis.plugin.web.frames import SANDBOX

FRAME_POLICY = f"sandbox {SANDBOX}; frame-ancestors 'self'"
"""Of all that plugins wrote; holds also where somebody opens such a page by itself."""

CLOSED = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}

PUBLIC = {**CLOSED, "Access-Control-Allow-Origin": "*", "Content-Security-Policy": FRAME_POLICY}

SCRIPTS = ("frame.js", "height.js", "page.js", "style.css")
"""What pages of plugins and around them load from ``/static/``."""

HEIGHT_SCRIPT = b'<script src="/static/height.js"></script>'
"""Stands at the end of a plugin's output page."""


class NotFoundError(InputError):
    """A plugin, result or page that is not there."""


def file_below(root, path):
    """The file of a relative path, which may neither leave `root` nor reach out of it through links."""
    root = Path(root).resolve()
    if "\0" in path or path.startswith("/") or ".." in Path(path).parts:
        raise NotFoundError(f"{path}: is not here.")
    found = (root / path).resolve()
    if not found.is_relative_to(root) or not found.is_file():
        raise NotFoundError(f"{path}: is not here.")
    return found


def kind_of(path):
    # PHP is not run: its text is shown.
    if path.suffix in (".php", ".log"):
        return "text/plain"
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def script_of_pages(name):
    """Content of one of `SCRIPTS`."""
    return (files("ionanalysis.plugin.web") / "static" / name).read_bytes()


def jquery(path):
    """jQuery under whatever name and version a page asks for; nothing else of the original's ``site_media`` is here."""
    name = path.rpartition("/")[2]
    if not (name.startswith("jquery") and name.endswith(".js") and "ui" not in name):
        raise NotFoundError(f"{path}: is not part of this server.")
    from xstatic.pkg import jquery

    return (Path(jquery.BASE_DIR) / "jquery.min.js").read_bytes()
