"""Django's settings, built from our own options at the edge; there is no settings file to edit."""

import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

import django
from django.conf import settings

from ionanalysis.errors import InputError
from ionanalysis.options.rundb import ServerOptions

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_APPS = (
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "tastypie",
    "ionanalysis.rundb",
)
_MIDDLEWARE = (
    "ionanalysis.rundb.pages.headers.closed_headers",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "ionanalysis.rundb.pages.framed.framed_requests",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
)
_TEMPLATES = {
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "DIRS": [Path(__file__).parent / "pages" / "templates"],
    "OPTIONS": {
        "context_processors": [
            "django.contrib.auth.context_processors.auth",
            "django.contrib.messages.context_processors.messages",
            "django.template.context_processors.request",
        ],
        "libraries": {"pages": "ionanalysis.rundb.pages.filters"},
    },
}


def database_of(address):
    """Django's description of a database.

    Parameters
    ----------
    address : str
        A file of SQLite, or ``postgresql://user:password@host:port/name``.

    Raises
    ------
    InputError
        If it names another kind of database, or no port.
    """
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError:
        raise InputError("The address of the database names a port that is no number.") from None
    if parts.scheme in ("postgresql", "postgres"):
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": parts.hostname or "",
            "PORT": str(port or ""),
            "CONN_MAX_AGE": 60,
            "OPTIONS": {"options": "-c statement_timeout=60000"},
        }
    if parts.scheme and "://" in address:
        raise InputError(f"{parts.scheme} is no database that is known; give a file, or postgresql://HOST/NAME")
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(Path(address).resolve()),
        "OPTIONS": {
            "timeout": 30,
            # A transaction that may write takes its turn when it begins: it never fails half-way.
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON",
        },
        "CONN_MAX_AGE": 60,
    }


def _secret(database, path):
    """The key that signs sessions, kept in a file that only its owner reads; made when it is first needed."""
    file = Path(path or (f"{database}.secret" if "://" not in database else "rundb.secret"))
    if not file.parent.is_dir():
        raise InputError(f"{file.parent}: there is no such folder; ionanalysis db init --data makes it.")
    try:
        with suppress(FileExistsError):
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as made:
                made.write(secrets.token_urlsafe(50))
        secret = file.read_text().strip()
    except OSError as error:
        raise InputError(f"{file}: cannot be made or read ({error.strerror}); mend that and try again.") from error
    if len(secret) < 32:
        raise InputError(f"{file}: holds no key of at least 32 characters; delete it, and a new one is made.")
    return secret


def make_place(address):
    """Make the file of a database and its folder, where they are not there yet.

    Only its owner reads it: it holds API keys as they are.

    Raises
    ------
    InputError
        If they cannot be made.
    """
    if "://" in address:
        return
    file = Path(address)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
    except OSError as error:
        raise InputError(f"{file}: cannot be made ({error.strerror}); choose another folder.") from error


def _own_names(host):
    """The address itself, and the machine's name, where others can reach the server."""
    if host in _LOOPBACK:
        return ()
    return (host, socket.gethostname()) if host not in ("0.0.0.0", "::") else (socket.gethostname(), socket.getfqdn())


def trusted_origins(names):
    """Addresses of this server that browsers know behind a proxy which speaks HTTPS: forms come from their pages.

    >>> trusted_origins(("torrent.example.org", ".lab.example.org"))
    ['https://torrent.example.org', 'https://*.lab.example.org']
    """
    return [f"https://*{name}" if name.startswith(".") else f"https://{name}" for name in names if name != "*"]


def configure(database, server=None):
    """Set up Django for this process; once.

    Parameters
    ----------
    database : ionanalysis.options.rundb.DatabaseOptions
    server : ionanalysis.options.rundb.ServerOptions, optional
        Where it is to serve requests.
    """
    if settings.configured:
        return
    server = server or ServerOptions()
    settings.configure(
        DATABASES={"default": database_of(database.address)},
        INSTALLED_APPS=list(_APPS),
        MIDDLEWARE=list(_MIDDLEWARE),
        ROOT_URLCONF="ionanalysis.rundb.urls",
        TEMPLATES=[_TEMPLATES],
        LOGIN_URL="login",
        MESSAGE_STORAGE="django.contrib.messages.storage.session.SessionStorage",
        CSRF_TRUSTED_ORIGINS=trusted_origins(server.names),
        CSRF_FAILURE_VIEW="ionanalysis.rundb.pages.failures.refused_form",
        SECRET_KEY=_secret(database.address, server.secret_file),
        ALLOWED_HOSTS=[*_LOOPBACK, *_own_names(server.host), *server.names],
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        USE_TZ=True,
        TIME_ZONE="UTC",
        APPEND_SLASH=True,
        DATA_UPLOAD_MAX_MEMORY_SIZE=int(server.largest_body_mb * 1e6),
        LOGGING_CONFIG=None,
    )
    django.setup()
