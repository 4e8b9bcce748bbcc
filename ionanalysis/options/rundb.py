"""Options of the run database and of the server over it."""

from dataclasses import dataclass
from pathlib import Path

from ionanalysis.options.base import Options, option


@dataclass(frozen=True, kw_only=True)
class DatabaseOptions(Options):
    """Where runs, plans and results are kept."""

    data: str = option(".", "folder of the database, rundb.sqlite3")
    database: str | None = option(
        None, "another file of SQLite, or postgresql://USER:PASSWORD@HOST/NAME, in place of the one in that folder"
    )

    @property
    def address(self):
        """The file or address of the database."""
        return self.database or str(Path(self.data) / "rundb.sqlite3")


@dataclass(frozen=True, kw_only=True)
class ServerOptions(Options):
    """Who may reach the server, and how much it does at once."""

    host: str = option("127.0.0.1", "address to listen on")
    port: int = option(8000, "port to listen on; 0 for any that is free", least=0, most=65535)
    names: tuple[str, ...] = option((), "further names by which it may be called, such as torrent.example.org")
    threads: int = option(8, "requests answered at the same time", least=1, most=256)
    largest_body_mb: float = option(20.0, "longest body of a request", unit="MB", least=0.01, flag="largest-body")
    secret_file: str | None = option(None, "file with the key that signs sessions; made if it does not exist")
    results: str | None = option(None, "folder that analyses started over the API write to; without it, none are")
