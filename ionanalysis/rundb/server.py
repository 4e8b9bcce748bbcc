"""Runs the application: a WSGI server with threads."""

from django.contrib.sessions.backends.db import SessionStore
from django.core.wsgi import get_wsgi_application
from django.db import connection

from ionanalysis.errors import UsageError
from ionanalysis.options.plugins import PluginOptions
from ionanalysis.rundb.life import analyses, launcher
from ionanalysis.rundb.life.caretaker import Caretaker
from ionanalysis.rundb.setup import demand_tables, told_in_words


def _without_bodies_of_heads(application):
    """`application` that answers HEAD as HTTP wants it: a body would be read as the next answer of the connection."""

    def answered(environ, start_response):
        body = application(environ, start_response)
        if environ["REQUEST_METHOD"] != "HEAD":
            return body
        if hasattr(body, "close"):
            body.close()
        return []

    return answered


class RunServer:
    """A server for the configured database; `address` is what to open.

    Parameters
    ----------
    options : ServerOptions
    plugins : PluginOptions, optional
        How plugins run that are started over the API.

    Raises
    ------
    UsageError
        If the address is taken, or the extra ``server`` is not installed.
    InputError
        If the tables are missing or of another release.
    """

    def __init__(self, options, plugins=None):
        try:
            from waitress.server import create_server
        except ImportError as error:
            raise UsageError(f"serve needs {error.name}; install ionanalysis[server].") from None
        with told_in_words():
            demand_tables()
        try:
            self._server = create_server(
                _without_bodies_of_heads(get_wsgi_application()),
                host=options.host,
                port=options.port,
                threads=options.threads,
                max_request_body_size=int(options.largest_body_mb * 1e6),
                ident="ionanalysis",
            )
        except OSError as error:
            raise UsageError(
                f"{options.host}, port {options.port}: cannot be used ({error.strerror}); choose another --port."
            ) from None
        name = f"[{options.host}]" if ":" in options.host else options.host
        self.port = self._server.effective_port
        self.address = f"http://{name}:{self.port}/"
        # Plugins run on this machine, for which an address that stands for all is none.
        own = "127.0.0.1" if options.host in ("0.0.0.0", "::", "") else name
        self._launcher = launcher.set_up(plugins or PluginOptions(), f"http://{own}:{self.port}")
        self._analyses = analyses.set_up(options.results)

    def run(self):
        """Serve until an interrupt; plugins and analyses that are still running are stopped then.

        Raises
        ------
        InputError
            If the database cannot be written.
        """
        with told_in_words():
            # Before requests come: those may begin analyses of this server's own.
            analyses.abandon()
            SessionStore.clear_expired()
        connection.close()
        caretaker = Caretaker()
        caretaker.start()
        try:
            self._server.run()
        finally:
            self._server.close()
            self._analyses.close()
            self._launcher.close()
            caretaker.stop()
