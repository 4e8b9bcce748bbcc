"""A server over a fresh database, as users start one, and clients that ask it."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import requests
from postgres import postgres

API = "/rundb/api/v1/"


class Client(requests.Session):
    """A client of one server with one user's API key; addresses are paths, or names of resources."""

    def __init__(self, base, name=None, key=None):
        super().__init__()
        self.base = base
        if key:
            self.headers["Authorization"] = f"ApiKey {name}:{key}"

    def request(self, method, url, *args, **options):
        if not url.startswith("http"):
            url = self.base + (url if url.startswith("/") else API + url)
        options["allow_redirects"] = False
        return super().request(method, url, *args, timeout=60, **options)

    def objects(self, resource, /, **parameters):
        """Objects of a list."""
        answer = self.get(f"{resource}/", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["objects"]


class Server:
    """`admin` may do everything, `user` is of the group of users, `nobody` has no credentials."""

    def __init__(self, base, database, home, keys):
        self.base, self.database, self.home, self.keys = base, database, home, keys
        self.admin, self.user = (Client(base, name, keys[name]) for name in ("ionadmin", "ionuser"))
        self.nobody = Client(base)


def command(*words, **options):
    """Run `ionanalysis` and return its stdout."""
    done = subprocess.run(
        [sys.executable, "-m", "ionanalysis.cli.main", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def serving(folder, *options):
    """A server on a free port over a new database: a file in `folder`, or PostgreSQL if the environment asks."""
    with ExitStack() as stack:
        if os.environ.get("IONANALYSIS_TEST_DATABASE") == "postgresql":
            database = stack.enter_context(postgres())
        else:
            database = folder / "rundb.sqlite3"
        yield stack.enter_context(_serving(database, folder, options))


@contextmanager
def _serving(database, folder, options):
    home = folder / "home"
    environment = os.environ | {"IONANALYSIS_HOME": str(home)}
    command("db", "init", "--database", database)
    keys = {}
    for name in ("ionadmin", "ionuser"):
        told = command("db", "user", name, "--password", f"secret of {name}", "--json", "--database", database)
        keys[name] = json.loads(told)["api_key"]
    words = ["serve", "--port", "0", "--database", str(database), "--secret-file", str(folder / "secret"), *options]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ionanalysis.cli.main", *words],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
        )
    try:
        base = process.stdout.readline().strip().rstrip("/")
        assert base, (folder / "server.log").read_text()
        yield Server(base, database, home, keys)
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()
