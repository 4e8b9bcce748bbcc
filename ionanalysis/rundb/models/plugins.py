"""Plugins, their results on a report, and the jobs that made those."""

from django.contrib.auth.models import User

from ionanalysis.rundb.models.columns import (
    CASCADE,
    BigInteger,
    Bool,
    Char,
    Date,
    ForeignKey,
    Integer,
    Json,
    Row,
    UniqueConstraint,
)
from ionanalysis.rundb.models.runs import Results


class Plugin(Row):
    name = Char()
    active = Bool(default=True)
    config = Json(null=True, schema_default="")
    date = Date(auto_now_add=True)
    defaultSelected = Bool(default=False)
    description = Char(blank=True)
    majorBlock = Bool(default=False)
    packageName = Char(blank=True)
    path = Char(blank=True)
    pluginsettings = Json(null=True, schema_default="")
    script = Char(blank=True)
    selected = Bool(default=False)
    status = Json(null=True, schema_default="")
    url = Char(blank=True)
    userinputfields = Json(null=True)
    version = Char()

    class Meta:
        constraints = (UniqueConstraint(fields=("name", "version"), name="one_plugin_of_a_version"),)


class PluginResult(Row):
    number = Integer(null=True)
    """The number in its folder's name, `NAME_out.NUMBER`; not shown by the API."""
    problems = Json(blank=True)
    """What the plugin found wrong with its configuration, a list of texts; not shown by the API."""
    result = ForeignKey(Results, CASCADE, related_name="pluginresult_set")
    plugin = ForeignKey(Plugin, CASCADE, related_name="pluginresult_set")
    owner = ForeignKey(User, CASCADE, related_name="+")
    apikey = Char(null=True)
    inodes = BigInteger(default=-1)
    size = BigInteger(default=-1)
    store = Json(blank=True)


class PluginResultJob(Row):
    number = Integer(null=True)
    """The number of the job among those of its result; not shown by the API."""
    plugin_result = ForeignKey(PluginResult, CASCADE, null=True, related_name="plugin_result_jobs")
    config = Json(blank=True, schema_default="")
    endtime = Date(null=True)
    grid_engine_jobid = Integer(null=True)
    run_level = Char()
    starttime = Date(null=True)
    state = Char()
