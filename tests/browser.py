"""A real headless browser, for tests of pages."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic", "--disable-dev-shm-usage",
)  # fmt: skip


def page_after_scripts(address, *, budget_ms=8000):
    """The document behind an address as HTML, after its scripts have run. Skips the test where no browser is.

    Parameters
    ----------
    address : str or Path
    budget_ms : int
        Virtual time that scripts and requests get.
    """
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        pytest.skip(f"no browser here (looked for {', '.join(_NAMES)}); install chromium")
    url = address.as_uri() if isinstance(address, Path) else address
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        command = [program, *_QUIET, f"--user-data-dir={profile}", f"--virtual-time-budget={budget_ms}", "--dump-dom"]
        done = subprocess.run([*command, url], capture_output=True, timeout=120, check=True)
    return done.stdout.decode("utf-8", "replace")
