"""Files that are whole or not there: written under a temporary name, renamed when complete."""

import os
from contextlib import contextmanager
from pathlib import Path

from ionanalysis.errors import OutputError


@contextmanager
def whole_file(path):
    """Give a temporary path beside `path`; rename it to `path` on success, delete it on any error.

    The file is flushed to disk before the rename, so that a name never shows up without its bytes.

    Raises
    ------
    OutputError
        If the directory is missing or cannot be written, or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        # Only trouble with this very file is ours to explain; a missing input inside the block is not.
        if error.filename not in (None, str(temporary)):
            raise
        reason = error.strerror or error
        raise OutputError(f"{path}: cannot be written ({reason}); free space or choose another place.") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path, content):
    """Write `content` (str or bytes) to `path`, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
