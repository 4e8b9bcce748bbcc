"""What a launch needs of a server that keeps plugin results in a database; without one it keeps them in files alone."""

import secrets
from dataclasses import replace
from typing import Protocol


class Desk(Protocol):
    """A server, as a launch on one result sees it."""

    def facts(self, report):
        """`ReportFacts` with what the server knows better: its address, and the number of the report."""

    def enter(self, plugin, number=None):
        """Number and API key of a plugin result: of a new one, or of that with `number`, used again."""

    def changed(self, record):
        """Takes note of a record that has been written; called from several threads."""


class NoDesk:
    """Where there is no server: numbers are those of the folder, and keys open nothing."""

    def facts(self, report):
        return report

    def enter(self, plugin, number=None):
        return number, secrets.token_hex(20)

    def changed(self, record):
        pass


def at_server(report, *, address, number, url, username=""):
    """`ReportFacts` of a result that a server knows.

    Parameters
    ----------
    report : ReportFacts
    address : str
        ``http://host:port`` of the server.
    number : int
        Of the report in its database.
    url : str
        Path of the report's files.
    username : str
        Who launches.
    """
    told = {"net_location": address, "url_path": url.rstrip("/")} | ({"username": username} if username else {})
    return replace(report, pk=number, params={**report.params, **told})
