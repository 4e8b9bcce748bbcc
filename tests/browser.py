"""A real headless browser, for tests of pages: started here, spoken to over a pipe (Chrome DevTools protocol)."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic", "--disable-dev-shm-usage",
)  # fmt: skip
_PATIENCE_S = 60


class Browser:
    """One page in a browser of its own. Use it in a ``with`` statement; the test is skipped where no browser is."""

    def __enter__(self):
        program = next(filter(None, map(shutil.which, _NAMES)), None)
        if program is None:
            pytest.skip(f"no browser here (looked for {', '.join(_NAMES)}); install chromium")
        self._profile = tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True)
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # The browser reads from 3 and writes to 4; ours are moved out of the way of these.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (theirs_in, theirs_out)]
        command = [program, *_QUIET, f"--user-data-dir={self._profile.name}", "--remote-debugging-pipe", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{ends[0]} 4>&{ends[1]}', "bash", *command],
            pass_fds=ends, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for end in (theirs_in, theirs_out, *ends):
            os.close(end)
        self._rest = b""
        self._number = 0
        self._session = None
        try:
            target = self._ask("Target.createTarget", url="about:blank")["targetId"]
            self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)
        self._profile.cleanup()

    def open(self, address):
        """Go to an address or a file, and wait until it is loaded."""
        url = address.as_uri() if isinstance(address, Path) else address
        self._ask("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")
        return self

    def value(self, script):
        """Value of a JavaScript expression in the page."""
        told = self._ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    @property
    def document(self):
        """The page as HTML, as it is now."""
        return self.value("document.documentElement.outerHTML")

    def wait_for(self, script):
        """Wait until an expression is true."""
        wait_until(lambda: self.value(script), script)

    def size(self, width, height, *, is_phone=False):
        """Give the page's window a size in CSS pixels."""
        self._ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=is_phone
        )  # fmt: skip

    def press(self, key, *, shift=False):
        """Press and release a key, as somebody at a keyboard does."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}
        common = {"key": key, "code": key if key != " " else "Space", "windowsVirtualKeyCode": codes[key]}
        common |= {"modifiers": 8 if shift else 0}
        text = {"Enter": "\r", " ": " "}.get(key)
        self._ask("Input.dispatchKeyEvent", type="keyDown", **common, **({"text": text} if text else {}))
        self._ask("Input.dispatchKeyEvent", type="keyUp", **common)

    def write(self, text):
        """Write into the field that has the focus."""
        self._ask("Input.insertText", text=text)

    def picture(self, path):
        """Save the whole page as a PNG."""
        shot = self._ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _ask(self, method, **params):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            answer = self._next_message()
            if answer and answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
        raise TimeoutError(f"the browser does not answer {method}")

    def _next_message(self):
        if b"\0" not in self._rest:
            if not select.select([self._in], [], [], 1)[0]:
                return None
            data = os.read(self._in, 1 << 20)
            if not data:
                raise EOFError("the browser has ended")
            self._rest += data
            return None
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


def wait_until(condition, meaning=""):
    """Wait until a function returns something true; give that back."""
    end = time.monotonic() + _PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < end, f"it never came true: {meaning}"
        time.sleep(0.05)
    return found
