"""The Django application: the tables, and what must be in place before the first query."""

from django.apps import AppConfig
from django.db.backends.signals import connection_created


class RunDatabase(AppConfig):
    name = "ionanalysis.rundb"
    label = "rundb"
    default_auto_field = "django.db.models.AutoField"

    def ready(self):
        from ionanalysis.rundb import lookups, signals

        lookups.register()
        signals.connect()
        connection_created.connect(lookups.prepare_connection)
