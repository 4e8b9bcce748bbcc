"""The two resources that show one object of the server itself, and no table (rest-api.md 5)."""

import socket
from importlib.metadata import distributions

from ionanalysis import __version__
from ionanalysis.rundb import models
from ionanalysis.rundb.life.analyses import PENDING
from ionanalysis.rundb.life.result_files import AT_WORK
from ionanalysis.rundb.protocol import Refusal, Single, route
from ionanalysis.rundb.release import RELEASE

_PARTS = ("ionanalysis", "numpy", "scipy", "numba", "pysam", "h5py", "mappy", "Django", "django-tastypie")


class TorrentSuite(Single):
    texts = ("meta_version", "versions")
    flags = ("locked", "logs")
    list_methods = ("get", "put")
    mesh = True

    @route("", "GET", "PUT")
    def state(self, request):
        """The release whose protocol is spoken, and the versions of what does the work."""
        if request.method == "PUT":
            raise Refusal(501, {"error": "Updates are installed with pip, not over the API."})
        names = {name.lower() for name in _PARTS}
        versions = {found.name: found.version for found in distributions() if (found.name or "").lower() in names}
        return {
            "meta_version": RELEASE,
            "versions": versions | {"ion-analysis": __version__},
            "locked": bool(models.GlobalConfig.objects.filter(enable_version_lock=True).exists()),
            "logs": False,
        }

    @route("version/", "GET", open_to_all=True)
    def version(self, request):
        return {"meta_version": RELEASE}

    @route("sgejobs/", "GET")
    def jobs(self, request):
        """How many analyses and plugins are under way and waiting."""
        states = models.PluginResultJob.objects.filter(state__in=("Started", "Queued", "Pending"))
        started = models.Results.objects.filter(status__in=AT_WORK).count()
        pending = models.Results.objects.filter(status=PENDING).count() + states.exclude(state="Started").count()
        plugins = states.filter(state="Started").count()
        return {
            "total_jobs": started + plugins + pending,
            "analysis_jobs": started,
            "plugin_jobs": plugins,
            "pending_jobs": pending,
        }


class Network(Single):
    texts = ("external_ip", "internal_ip")
    flags = ("eth_device", "route")

    @route("", "GET")
    def state(self, request):
        """The server's own address; nobody outside is asked for the other one."""
        try:
            inside = socket.gethostbyname(socket.gethostname())
        except OSError:
            inside = ""
        connected = bool(inside) and not inside.startswith("127.")
        return {"eth_device": connected, "route": connected, "internal_ip": inside, "external_ip": ""}
