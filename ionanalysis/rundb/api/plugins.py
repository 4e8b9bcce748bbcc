"""Installed plugins: their rows follow the plugin store (rest-api.md 5)."""

import re

from django.db.models import Q

from ionanalysis.plugin.ask import NoSuchFunctionError, call_extension
from ionanalysis.plugin.versions import LooseVersion
from ionanalysis.rundb import models
from ionanalysis.rundb.life.launcher import launcher
from ionanalysis.rundb.protocol import (
    Boolean,
    List,
    Refusal,
    String,
    Table,
    body_of,
    demand,
    demand_administrator,
    demand_own_site,
    json_response,
    number_of,
    route,
    several,
)

_CREDENTIALS = ("username", "api_key", "pluginresult", "system_id")
_LINEAGE = (
    "date",
    "isSupported",
    "availableVersions",
    "isUpgradable",
    "isConfig",
    "isPlanConfig",
    "isInstance",
    "hasAbout",
    "name",
    "selected",
    "id",
    "defaultSelected",
)
_FLAGS = ("true", "false")
_ANY = ("GET", "POST", "PUT", "PATCH", "DELETE")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}\.zip")


class Plugin(Table, rows=models.Plugin, where=Q(active=True)):
    availableVersions = List(default=[], readonly=True)
    hasAbout = Boolean(readonly=True)
    input = String(readonly=True)
    isConfig = Boolean(readonly=True)
    isInstance = Boolean(readonly=True)
    isPlanConfig = Boolean(readonly=True)
    isSupported = Boolean(readonly=True)
    isUpgradable = Boolean(default=False, readonly=True)
    versionedName = String(readonly=True)

    def rows(self):
        launcher().plugins.records()
        return super().rows()

    def filters_among(self, parameters):
        if parameters.get("isConfig", "").lower() in _FLAGS:
            parameters.pop("isConfig")
        return parameters

    def narrow(self, request, rows):
        """`isConfig` is a property of the plugin's files."""
        asked = request.GET.get("isConfig", "").lower()
        if asked not in _FLAGS:
            return rows
        with_page = [row.pk for row in rows if "config" in _pages(row)]
        return rows.filter(pk__in=with_page) if asked == "true" else rows.exclude(pk__in=with_page)

    def dehydrate(self, bundle):
        """Add what the plugin's files and other versions tell."""
        row = bundle.obj
        pages, versions = _pages(row), _versions(row.name)
        bundle.data |= {
            "availableVersions": versions,
            "hasAbout": "about" in pages,
            "input": page_address(row, "report") if "report" in pages else str(False),
            "isConfig": "config" in pages,
            "isInstance": "report" in pages,
            "isPlanConfig": "plan" in pages,
            "isSupported": launcher().plugins.record_of(row) is not None,
            "isUpgradable": bool(versions) and LooseVersion(row.version) < LooseVersion(versions[-1]),
            "versionedName": f"{row.name}--v{row.version}",
        }
        return bundle

    def written(self, bundle, *, created):
        """An installed plugin gets the configuration that its row was given."""
        if "config" in bundle.data and isinstance(bundle.obj.config, dict):
            launcher().plugins.configure(bundle.obj)

    def named(self, key):
        """The row of a plugin by number or name."""
        row = self.find(key) if number_of(key) is not None else None
        row = row or self.rows().filter(name=key.replace("\0", "")).first()
        if row is None:
            raise Refusal(404)
        return row

    @route("<key>/extend/<function>/", *_ANY)
    def extend(self, request, key, function):
        """What a function of the plugin's `extend.py` answers (plugin.md 6.7)."""
        if getattr(request, "framed_user", None) is None:
            demand_own_site(request)
        row = self.named(key)
        record = launcher().plugins.record_of(row)
        if record is None:
            raise Refusal(404)
        asked = {name: value for name, value in request.GET.dict().items() if name not in _CREDENTIALS}
        bucket = {
            "request_get": asked,
            "request_post": body_of(request) if request.method == "POST" else {},
            "user": asked.get("ir_user", request.user.username),
            "request_method": request.method,
            "name": row.name,
            "version": row.version,
            "config": row.config,
        }
        try:
            answer = call_extension(record, function, bucket)
        except NoSuchFunctionError as problem:
            raise Refusal(404, {"error": str(problem)}) from None
        return json_response(request, answer)

    @route("<key>/type/", "GET")
    def type(self, request, key):
        """The plugin's pages, and the address of the one that starts it."""
        found = _type(self.named(key))
        if found is None:
            raise Refusal(410)
        return found

    @route("set/<keys>/type/", "GET")
    def types(self, request, keys):
        """The same of several, by number."""
        rows = [self.find(key) for key in several(keys) if number_of(key) is not None]
        return {str(row.pk): _type(row) or {"files": []} for row in rows if row is not None}

    @route("<key>/info/", "GET")
    def info(self, request, key):
        """What the plugin says of itself."""
        record = launcher().plugins.record_of(self.named(key))
        if record is None:
            raise Refusal(410)
        return record.info.to_json()

    @route("install/", "POST")
    def install(self, request):
        """Install an archive that lies in the store's scratch folder; that runs its code, so not for everybody."""
        demand_administrator(request.user)
        name = body_of(request).get("file")
        store = launcher().plugins.store
        if not isinstance(name, str) or not _FILE.fullmatch(name) or not (store.scratch / name).is_file():
            raise Refusal(400, {"error": f"'file' names no .zip archive in the folder {store.scratch.name}."})
        store.install(store.scratch / name)
        launcher().plugins.records()
        return 202

    @route("<key>/uninstall/", "DELETE")
    def uninstall(self, request, key):
        """Remove an installed plugin; results keep its row."""
        demand_administrator(request.user)
        row = self.named(key)
        if launcher().plugins.record_of(row) is None:
            models.Plugin.objects.filter(pk=row.pk).update(active=False)
        else:
            launcher().plugins.store.remove(row.name)
        launcher().plugins.records()
        return {"Status": True}

    @route("uninstall/<key>/", "DELETE")
    def uninstall_too(self, request, key):
        return self.uninstall(request, key)

    @route("<key>/upgrade/", "POST")
    def upgrade(self, request, key):
        raise Refusal(501, {"error": "Newer versions are installed from archives."})

    @route("<key>/<version>/install_to_version/", "POST")
    def install_to_version(self, request, key, version):
        raise Refusal(501, {"error": "Other versions are installed from archives."})

    @route("rescan/", "GET")
    def rescan(self, request):
        """Look for plugins that were copied into the root, or taken away."""
        demand(request.user, "change", models.Plugin)
        demand_own_site(request)
        launcher().plugins.store.rescan()
        launcher().plugins.records()
        return 202

    @route("show/", "POST")
    def show(self, request):
        """Remember which plugins the caller wants to see in reports."""
        chosen = {str(name)[:200]: bool(shown) for name, shown in list(body_of(request).items())[:1000]}
        request.session["shown_plugins"] = {**request.session.get("shown_plugins", {}), **chosen}

    @route("lineage/", "GET")
    def lineage(self, request):
        """One entry per plugin name."""
        rows = self.rows().order_by("name", "pk")
        asked = request.GET.get("selected", "").lower()
        if asked in _FLAGS:
            rows = rows.filter(selected=asked == "true")
        page = self.page(request, rows)
        shown = [self.shown(request, row, in_list=True).data for row in page["objects"]]
        page["objects"] = [
            {"CurrentVersion": one["version"], **{name: one[name] for name in _LINEAGE}} for one in shown
        ]
        return page


def page_address(row, action):
    """Where a plugin's page is served (plugin.md 4.2)."""
    return f"/configure/plugins/plugin/{row.pk}/configure/{action}/"


def _pages(row):
    """Pages of a row's plugin by action; none of one that is not installed here, whatever path its row names."""
    record = launcher().plugins.record_of(row)
    return {} if record is None else record.info.pages


def _versions(name):
    """Versions of a plugin that the database knows, the newest last."""
    return sorted(models.Plugin.objects.filter(name=name).values_list("version", flat=True), key=LooseVersion)


def _type(row):
    record = launcher().plugins.record_of(row)
    if record is None or not record.info.path.is_dir():
        return None
    found = {"files": sorted(path.name for path in record.info.path.glob("*.html"))}
    if "report" in record.info.pages:
        found["input"] = page_address(row, "report")
    return found
