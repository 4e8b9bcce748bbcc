"""Runs the application on a loopback address."""

import ipaddress
import socket

from ionanalysis.errors import UsageError
from ionanalysis.plugin.web.access import Access


class PluginServer:
    """A server for one `PluginSite`; `address` is what to open.

    Parameters
    ----------
    site : PluginSite
    port : int
        0 for any that is free.
    host : str
        A loopback address: whoever reaches it can run plugins as the user who started it.

    Raises
    ------
    UsageError
        If the address is no loopback address or is taken, or the extra ``plugin`` is not installed.
    """

    def __init__(self, site, port=0, host="127.0.0.1"):
        try:
            import uvicorn

            from ionanalysis.plugin.web.app import make_app
        except ImportError as error:
            raise UsageError(f"plugin serve needs {error.name}; install ionanalysis[plugin].") from None
        if host != "localhost" and not _is_loopback(host):
            raise UsageError(f"--host {host}: must be a loopback address, such as 127.0.0.1.")
        self.site = site
        self.access = Access()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
            # Whoever is told the address may open it at once: requests wait until the server runs.
            self._socket.listen(64)
        except OSError as error:
            self._socket.close()
            raise UsageError(
                f"{host}, port {port}: cannot be used ({error.strerror}); choose another --port."
            ) from None
        self.port = self._socket.getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        hosts = {f"{one}:{self.port}" for one in (name, "127.0.0.1", "localhost", "[::1]")}
        self.address = f"http://{name}:{self.port}/?key={self.access.key}"
        config = uvicorn.Config(make_app(site, self.access, hosts), log_level="warning", access_log=False)
        self._server = uvicorn.Server(config)

    def run(self):
        """Serve until `stop` or an interrupt."""
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self.site.close()
            self._socket.close()

    def stop(self):
        """Let `run` return; may be called from another thread."""
        self._server.should_exit = True


def _is_loopback(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
