"""Sets a database up: tables, first rows, users."""

from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from tastypie.models import ApiKey

from ionanalysis.errors import InputError, UsageError
from ionanalysis.rundb.seed import GROUP, seed


def make_tables():
    """Make the tables or bring them up to date, and add the first rows; may be done again at any time."""
    call_command("migrate", verbosity=0, interactive=False)
    seed()


def tables_are_current():
    """Whether every change of the tables that this release knows has been made."""
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


def demand_tables():
    """Raise InputError unless the tables are those of this release."""
    if not tables_are_current():
        raise InputError("the database has no tables, or those of another release; run ionanalysis db init.")


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
