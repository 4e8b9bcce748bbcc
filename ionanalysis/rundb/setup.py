"""Sets a database up: tables, first rows, users."""

from contextlib import contextmanager
from pathlib import Path

from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import DatabaseError, DataError, IntegrityError, ProgrammingError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from tastypie.models import ApiKey

from ionanalysis.errors import InputError, UsageError
from ionanalysis.rundb.seed import GROUP, seed


@contextmanager
def told_in_words():
    """Turn errors of the database itself into one sentence.

    Raises
    ------
    InputError
        If it cannot be reached, read or written, or is none; where other writers leave no turn; where the disk is full.
    """
    try:
        yield
    except (DataError, IntegrityError, ProgrammingError):
        raise
    except DatabaseError as problem:
        place = connection.settings_dict["NAME"]
        said = (str(problem).strip() or "no reason given").splitlines()[0]
        raise InputError(f"{place}: the database cannot be used ({said}); look after that and try again.") from problem


def make_tables():
    """Make the tables or bring them up to date, and add the first rows; may be done again at any time."""
    _demand_known(MigrationLoader(connection))
    call_command("migrate", verbosity=0, interactive=False)
    seed()


def demand_tables():
    """Raise InputError unless the tables are those of this release."""
    place = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite" and not Path(place).is_file():
        raise InputError(f"{place}: there is no database; ionanalysis db init makes it.")
    executor = MigrationExecutor(connection)
    _demand_known(executor.loader)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise InputError("the database has no tables, or those of an older release; run ionanalysis db init.")


def _demand_known(loader):
    """Raise InputError if changes of the tables have been made that this release does not know."""
    if any(app == "rundb" and (app, name) not in loader.disk_migrations for app, name in loader.applied_migrations):
        raise InputError("the database is of a newer release of ionanalysis; install that.")


def set_up_user(name, password=None, *, superuser=False):
    """Add a user, or change one that exists.

    Parameters
    ----------
    name : str
    password : str, optional
        Without one a new user can only use its API key.
    superuser : bool
        Whether it may do everything; rights are not taken away here.

    Returns
    -------
    str
        Its API key.

    Raises
    ------
    UsageError
        If it cannot be a name.
    """
    user = User.objects.filter(username=name).first() or User(username=name)
    try:
        User.username_validator(name)
    except ValidationError:
        raise UsageError(f"user {name!r}: letters, digits and @ . + - _ make a name.") from None
    new = user.pk is None
    user.is_superuser = user.is_staff = superuser or user.is_superuser
    if password:
        user.set_password(password)
    elif new:
        user.set_unusable_password()
    user.save()
    if new and not superuser:
        user.groups.add(Group.objects.get(name=GROUP))
    return ApiKey.objects.get_or_create(user=user)[0].key
