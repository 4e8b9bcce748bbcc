"""A PostgreSQL of its own in a temporary folder, for the tests that run on both kinds of database."""

import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path


def programs():
    """Folder of the server's programs, or None."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    found = folders[-1] / "initdb" if folders else shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@contextmanager
def postgres():
    """A running server with an empty database; yields its address.

    The programs refuse to run as root; then the user `postgres` of Debian's packages runs them.
    """
    bin_dir, user = programs(), "postgres" if os.getuid() == 0 else None
    # Not in a folder of pytest's: those are closed to other users.
    data = Path(tempfile.mkdtemp(prefix="ionanalysis-postgres-"))
    if user:
        shutil.chown(data, user)

    def do(program, *words):
        done = subprocess.run(
            [bin_dir / program, *words], user=user, capture_output=True, text=True, check=False, cwd="/"
        )
        assert done.returncode == 0, done.stderr + done.stdout

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    do("initdb", "-D", str(data), "-U", "ion", "--auth=trust", "-E", "UTF8", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
    do("pg_ctl", "-D", str(data), "-l", str(data / "log"), "-o", options, "-w", "start")
    try:
        do("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "ion", "rundb")
        yield f"postgresql://ion@127.0.0.1:{port}/rundb"
    finally:
        do("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(data)
