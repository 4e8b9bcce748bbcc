"""Files as answers: whole or a range of them, read as they are sent."""

import os
import re
import stat
from pathlib import Path

from django.http import HttpResponse, StreamingHttpResponse
from django.utils.http import content_disposition_header, http_date, parse_http_date_safe

from ionanalysis.plugin.web.files import FRAME_POLICY, NotFoundError, file_below, kind_of

_PIECE = 1 << 18
_RANGE = re.compile(r"^bytes=(\d{0,18})-(\d{0,18})$", re.ASCII)
_SHOWN = ("text/plain", "application/json", "image/png", "image/jpeg", "image/gif", "image/webp")
ACTIVE = ("text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml")
"""Kinds that can hold scripts."""


def open_below(root, path):
    """Open a file of a folder for reading: its place, and the descriptor.

    The file that was opened is looked at, not only its name: a program that runs in the folder could put a link in
    the place of a file in between.

    Raises
    ------
    NotFoundError
        If it is not there, is no plain file, or lies outside.
    """
    root = Path(root).resolve()
    place = file_below(root, path)
    try:
        handle = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        raise NotFoundError(f"{path}: is not here.") from None
    real = Path(f"/proc/self/fd/{handle}")
    is_inside = not real.is_symlink() or real.readlink().is_relative_to(root)
    if not is_inside or not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise NotFoundError(f"{path}: is not here.")
    return place, handle


class _Pieces:
    """Part of an open file, piece by piece; closes it."""

    def __init__(self, handle, start, length):
        self._handle = handle
        self._left = length
        os.lseek(handle, start, os.SEEK_SET)

    def __iter__(self):
        return self

    def __next__(self):
        piece = os.read(self._handle, min(_PIECE, self._left)) if self._left > 0 else b""
        if not piece:
            self.close()
            raise StopIteration
        self._left -= len(piece)
        return piece

    def close(self):
        if self._handle >= 0:
            os.close(self._handle)
            self._handle, self._left = -1, 0


def send_below(request, root, path):
    """The answer that carries a file of a folder: 200, 206 for a range, 304 where the browser has it, or 416.

    Raises
    ------
    NotFoundError
        As `open_below`.
    """
    place, handle = open_below(root, path)
    facts = os.fstat(handle)
    tag, size = f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"', facts.st_size
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": tag,
        "Last-Modified": http_date(facts.st_mtime),
        "Cache-Control": "private, no-cache",
        "Content-Security-Policy": FRAME_POLICY,
        "X-Frame-Options": "SAMEORIGIN",
        "Referrer-Policy": "no-referrer",
    }
    if tag in request.headers.get("If-None-Match", ""):
        os.close(handle)
        return HttpResponse(status=304, headers=headers)
    asked = request.headers.get("Range", "") if _range_counts(request, tag, facts.st_mtime) else ""
    span = _span(asked, size)
    if span == "none":
        os.close(handle)
        return HttpResponse(status=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    start, length = span or (0, size)
    kind = kind_of(place)
    is_saved = "download" in request.GET or kind not in (*_SHOWN, *ACTIVE)
    if header := content_disposition_header(is_saved, Path(path).name):
        headers["Content-Disposition"] = header
    headers |= {"Content-Type": f"{kind}; charset=utf-8" if kind.startswith("text/") else kind}
    headers |= {"Content-Length": str(length)}
    if span:
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
    status = 206 if span else 200
    if request.method == "HEAD":
        os.close(handle)
        return HttpResponse(status=status, headers=headers)
    return StreamingHttpResponse(_Pieces(handle, start, length), status=status, headers=headers)


def _range_counts(request, tag, modified):
    """Whether the file is still that of which the browser has a part."""
    condition = request.headers.get("If-Range")
    return condition is None or condition == tag or parse_http_date_safe(condition) == int(modified)


def _span(asked, size):
    """Start and length of a range; None for the whole file, "none" where nothing of it is there."""
    match = _RANGE.match(asked.strip())
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":
        length = min(int(last), size)
        return (size - length, length) if length else "none"
    start, end = int(first), int(last) if last else size - 1
    if last and end < start:
        return None
    return (start, min(end, size - 1) - start + 1) if start < size else "none"
