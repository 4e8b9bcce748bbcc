"""The parts of the report that show what plugins left. What they wrote is foreign: it runs no script here."""

import base64
import html
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from ionanalysis.errors import OutputError
from ionanalysis.io.atomic import write_whole
from ionanalysis.plugin.log import LOG_NAME
from ionanalysis.plugin.results import UNKNOWN, read_results

PARTS = ("major", "plugins")
"""Places in the page: plugins that say that they belong into the report's body, and all of them."""

_PAGE_LIMIT = 2 << 20
_IMAGE_LIMIT = 2 << 20
_IMAGES_LIMIT = 8 << 20
_IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/svg+xml", "image/webp")
_SHOWN = 20
"""Pages of one plugin that are shown; more are links."""

_IMAGE = re.compile(r"""(<img\b[^>]*?\ssrc\s*=\s*)("[^"]*"|'[^']*'|[^\s>"']+)""", re.I)


_MOST_LINES = 26
_TALL = re.compile(r"<(?:img|svg|canvas|iframe|object|embed|video|script)\b", re.I)
_LINE = re.compile(r"<(?:p|tr|li|h[1-6]|br|hr|div|pre)\b", re.I)
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class ShownPlugin:
    """A plugin result as the page shows it."""

    name: str
    number: int
    version: str
    state: str
    is_major: bool
    size: str
    seconds: str
    words: tuple[str, ...]
    """Why it did not complete, and notes."""
    blocks: tuple[tuple[str, str, int], ...]
    """File name, content and height in lines of each page that is shown."""
    links: tuple[tuple[str, str], ...]
    """File name and address of other pages, and the log."""
    is_newest: bool


def plugin_parts(result_dir):
    """HTML of each part, by its name in `PARTS`.

    Parameters
    ----------
    result_dir : Path
    """
    shown = shown_plugins(Path(result_dir))
    return {part: _render(part, shown) for part in PARTS}


def refresh_report(result_dir):
    """Put what plugins have left by now into `report.html`; nothing happens where there is no such page.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    path = Path(result_dir) / "report.html"
    try:
        page = path.read_text("utf-8")
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"{path}: cannot be read ({error.strerror}).") from error
    for part, content in plugin_parts(result_dir).items():
        begin, end = _marks(part)
        head, found, rest = page.partition(begin)
        _, closed, tail = rest.partition(end)
        if found and closed:
            page = head + content + tail
    write_whole(path, page)


def shown_plugins(result_dir):
    """Plugin results, by name and the newest first; folders without a record count as results of unknown state."""
    results = read_results(result_dir)
    known = {result.folder.resolve() for result in results}
    shown = []
    newest: dict[str, int] = {}
    for result in results:
        newest[result.name] = max(result.id, newest.get(result.name, 0))
    for result in results:
        shown.append(_shown(result_dir, result, newest[result.name] == result.id))
    for folder in sorted(result_dir.glob("plugin_out/*_out.*")):
        if folder.is_dir() and folder.resolve() not in known:
            name, _, number = folder.name.rpartition("_out.")
            blocks, links = _pages(result_dir, folder, True)
            identity = int(number) if number.isdigit() else 0
            shown.append(ShownPlugin(name, identity, "", UNKNOWN, False, "", "", (), blocks, links, name not in newest))
    return sorted(shown, key=lambda one: (one.name.lower(), one.name, -one.number))


def _shown(result_dir, result, is_newest):
    jobs = result.jobs
    blocks, links = _pages(result_dir, result.folder, is_newest)
    reasons = [f"{job['level']} {job['block']}".strip() + f": {job['reason']}" for job in jobs if job.get("reason")]
    notes = [note for job in jobs for note in job.get("notes", [])]
    return ShownPlugin(
        name=result.name,
        number=result.id,
        version=str(result.content.get("version", "")),
        state=result.state,
        is_major=bool(result.content.get("major_block")),
        size=_size(result.content.get("n_bytes", 0), result.content.get("n_files", 0)),
        seconds=f"{sum(job.get('seconds') or 0 for job in jobs):.1f}",
        words=(*result.content["validation_errors"], *reasons, *notes),
        blocks=blocks,
        links=links,
        is_newest=is_newest,
    )


def _pages(result_dir, folder, is_newest):
    """Pages to show and pages to link. A page of a level in a folder of its own counts, too (plugin.md 9.11)."""
    files = sorted([*folder.glob("*.html"), *folder.glob("*.php"), *folder.glob("post/*_block.html")])
    shown = [path for path in files if path.name.endswith("_block.html")][:_SHOWN] if is_newest else []
    blocks = []
    for path in shown:
        content = _embedded(result_dir, folder, path)
        if content is not None:
            blocks.append((str(path.relative_to(folder)), content, _n_lines(content)))
    links = [(str(path.relative_to(folder)), _address(result_dir, path)) for path in files if _is_inside(path, folder)]
    logs = [path for path in (folder / LOG_NAME, folder / "post" / LOG_NAME) if path.is_file()]
    return tuple(blocks), (
        *links,
        *(("log" if path.parent == folder else "log of post", _address(result_dir, path)) for path in logs),
    )


def _address(result_dir, path):
    return quote(str(path.relative_to(result_dir)))


def _is_inside(path, folder):
    """Whether a path leads to a plain file of the folder, whatever links it goes through."""
    real = path.resolve()
    return real.is_file() and real.is_relative_to(folder.resolve())


def _embedded(result_dir, folder, path):
    """A page as it stands inside the report: with its images in it, links relative to its folder. None if too large."""
    if not _is_inside(path, folder) or path.stat().st_size > _PAGE_LIMIT:
        return None
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        return None
    room = _IMAGES_LIMIT

    def inlined(found):
        nonlocal room
        content = _image(path.parent, folder, html.unescape(found[2].strip("\"'")), min(room, _IMAGE_LIMIT))
        if content is None:
            return found[0]
        room -= len(content)
        return f'{found[1]}"{content}"'

    base = f'<base href="{html.escape(_address(result_dir, path.parent))}/" target="_blank">'
    return base + _IMAGE.sub(inlined, text)


def _n_lines(text):
    """Height of a frame that runs no script and so cannot tell its own: a guess, the reader can draw it larger."""
    if _TALL.search(text):
        return _MOST_LINES
    return min(_MOST_LINES, 4 + 2 * len(_LINE.findall(text)) + len(_TAG.sub("", text)) // 200)


def _image(place, folder, address, limit):
    """A picture that lies beside a page as a data URL; None for any other."""
    parts = urlsplit(address)
    kind = mimetypes.guess_type(parts.path)[0]
    if parts.scheme or parts.netloc or not parts.path or kind not in _IMAGE_TYPES:
        return None
    path = place / unquote(parts.path)
    try:
        if not _is_inside(path, folder) or path.stat().st_size > limit:
            return None
        return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
    except (OSError, ValueError):
        return None


def _marks(part):
    return f"<!-- plugins:{part} -->", f"<!-- /plugins:{part} -->"


def _render(part, shown):
    from ionanalysis.report.templates import page_templates

    begin, end = _marks(part)
    chosen = [one for one in shown if part == "plugins" or (one.is_major and one.is_newest and one.blocks)]
    # Whatever plugins wrote is escaped inside an attribute: it cannot hold a mark.
    return begin + page_templates().get_template("plugins.html.jinja").render(part=part, plugins=chosen) + end


def _size(n_bytes, n_files):
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}, {n_files} files"
    return f"{n_bytes} B, {n_files} files" if n_files else ""
