"""What the server knows of itself and its surroundings (rest-api.md 3.3), and its users."""

from typing import Any

from django.contrib.auth.models import User as UserRow
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import Q
from django.utils.timezone import now

from ionanalysis.rundb import models
from ionanalysis.rundb.protocol import (
    Boolean,
    DateTime,
    One,
    Refusal,
    String,
    Table,
    body_of,
    demand,
    demand_administrator,
    demand_own_site,
    number_of,
    pattern_of,
    route,
)

_READ = ("get",)


class UserProfile(Table, rows=models.UserProfile, served=False):
    pass


class User(Table, rows=UserRow, methods=_READ, only=("id", "first_name", "last_name", "email")):
    profile = One(UserProfile, nested=True)
    username = String(
        "username", unique=True, help_text="Required. 30 characters or fewer. Letters, numbers and @/./+/-/_ characters"
    )
    is_active = Boolean(
        "is_active",
        default=True,
        blank=True,
        help_text="Designates whether this user should be treated as active. "
        "Unselect this instead of deleting accounts.",
    )
    full_name = String()
    last_login = DateTime("last_login", default=now)
    date_joined = DateTime("date_joined", default=now)

    def dehydrate_full_name(self, bundle):
        return bundle.obj.get_full_name()

    @route("<pk>/activate/", "POST")
    def activate(self, request, pk):
        """Let a user who has asked for an account in."""
        demand_administrator(request.user)
        user = self.found(pk)
        user.is_active = True
        user.save(update_fields=("is_active",))
        return 202

    @route("<pk>/reject/", "POST")
    def reject(self, request, pk):
        """Delete a user who has asked for an account; administrators stay."""
        demand_administrator(request.user)
        user = self.found(pk)
        if user == request.user or user.is_superuser:
            raise Refusal(400, {"error": "Administrators are not rejected."})
        user.delete()
        return 202


class GlobalConfig(Table, rows=models.GlobalConfig):
    pass


class Location(Table, rows=models.Location, filters=("name", "comment"), orders=("name", "comment")):
    pass


_RIG_STATUS = ("state", "last_init_date", "last_clean_date", "last_experiment", "version", "alarms")
_RIG_CONFIG = ("ftppassword", "ftprootdir", "ftpserver", "ftpusername", "updateflag")


class Rig(Table, rows=models.Rig, key="name", mesh=True):
    location = One("location", nested=True)

    @route("<name>/status/", "GET", "PUT")
    def status(self, request, name):
        """What the instrument says of itself."""
        rig = self.found(name)
        if request.method == "GET":
            return {column: getattr(rig, column) for column in _RIG_STATUS}
        given = body_of(request)
        self.update(request, rig, {column: given[column] for column in _RIG_STATUS if column in given})
        return 202

    @route("<name>/config/", "GET")
    def config(self, request, name):
        """Where the instrument sends its data."""
        rig = self.found(name)
        return {column: getattr(rig, column) for column in _RIG_CONFIG}


class FileServer(Table, rows=models.FileServer):
    pass


class EmailAddress(Table, rows=models.EmailAddress):
    def errors(self, bundle):
        try:
            validate_email(bundle.obj.email)
        except ValidationError as problem:
            return {"email": problem.messages}
        return {}


class Message(Table, rows=models.Message):
    pass


class EventLog(Table, rows=models.EventLog):
    def narrow(self, request, rows):
        kind = number_of(request.GET.get("content_type_id"))
        return rows if kind is None else rows.filter(content_type_id=kind)


def _events_of(model):
    return lambda: Q(content_type__app_label="rundb", content_type__model=model)


_BY_NAME = ("created", "name")


class _EventsOfOneKind(Table):
    """Events about rows of one table; those that are added here are about it, too."""

    about: Any

    def create(self, request, data, *, key=None, fixed=None):
        kind = ContentType.objects.get_for_model(self.about)
        return super().create(request, data, key=key, fixed={**(fixed or {}), "content_type": kind})


class ClusterInfoHistory(
    _EventsOfOneKind, rows=models.EventLog, where=_events_of("cruncher"), filters=_BY_NAME, orders=_BY_NAME
):
    about = models.Cruncher
    name = String(null=True, readonly=True)

    def dehydrate(self, bundle):
        """The node's name, and what the text says in lines of ``key: value``."""
        node = models.Cruncher.objects.filter(pk=bundle.obj.object_pk).first()
        bundle.data["name"] = node.name if node else None
        for line in bundle.obj.text.splitlines():
            key, colon, value = line.partition(":")
            if colon and key.strip():
                bundle.data.setdefault(key.strip(), value.strip())
        return bundle

    @route("clear/", "GET")
    def clear(self, request):
        """Delete all events about nodes."""
        demand(request.user, "delete", models.EventLog)
        demand_own_site(request)
        self.rows().delete()
        return 202


_BY_RESULT = ("created", "text", "username", "resultsName")


class DataManagementHistory(
    _EventsOfOneKind, rows=models.EventLog, where=_events_of("results"), filters=_BY_RESULT, orders=_BY_RESULT
):
    about = models.Results
    resultsName = String(null=True, readonly=True)

    def filters_among(self, parameters):
        parameters.pop("resultsName", None)
        return parameters

    def narrow(self, request, rows):
        pattern = pattern_of(request.GET, "resultsName")
        if not pattern:
            return rows
        return rows.filter(object_pk__in=models.Results.objects.filter(resultsName__regex=pattern).values("pk"))

    def dehydrate_resultsName(self, bundle):
        return models.Results.objects.filter(pk=bundle.obj.object_pk).values_list("resultsName", flat=True).first()


class MonitorData(Table, rows=models.MonitorData):
    pass


class FileMonitor(Table, rows=models.FileMonitor):
    pass


class SupportUpload(Table, rows=models.SupportUpload):
    result = One("results")
    file = One("filemonitor", nested=True, null=True)


class IonMeshNode(
    Table,
    rows=models.IonMeshNode,
    methods=("patch", "get", "delete"),
    filters=("system_id",),
    orders=(),
    secret=("apikey_local", "apikey_remote"),
    mesh=True,
):
    @route("(?:system_id|retrieve_key|revalidate)/", "GET")
    def keys(self, request):
        """Servers of this package exchange no keys; those of linked servers are rows."""
        return 501

    @route("assign_key/", "PUT")
    def assign_key(self, request):
        return 501
