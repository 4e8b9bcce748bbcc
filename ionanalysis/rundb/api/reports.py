"""Reports: the results of an analysis, what plugins made of them, and how plugins are started (rest-api.md 5)."""

import csv

from django.contrib.auth.models import User
from django.core.exceptions import FieldError

from ionanalysis.errors import InputError
from ionanalysis.io.jsonfile import read_json
from ionanalysis.plugin.expmeta import json_object
from ionanalysis.plugin.results import read_results
from ionanalysis.plugin.versions import LooseVersion
from ionanalysis.rundb import models
from ionanalysis.rundb.api.metadata import WithMetaData
from ionanalysis.rundb.api.plugin_listing import plugin_listing
from ionanalysis.rundb.life.analyses import analyses
from ionanalysis.rundb.life.folders import pages_in, plugin_folder, report_folder, shown_path
from ionanalysis.rundb.life.launcher import launcher
from ionanalysis.rundb.life.plugin_rows import adopt, newest_by_name, state_of, take_in
from ionanalysis.rundb.life.result_files import TERMINATED
from ionanalysis.rundb.protocol import (
    RESOURCES,
    Dict,
    Many,
    One,
    Refusal,
    String,
    Table,
    body_of,
    demand,
    demand_own_site,
    json_response,
    number_of,
    route,
)

_ANY = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PLUGIN_KEYS = ("id", "name", "version", "packageName", "script")
_SAMPLE_KEYS = ("reference", "targetRegionBedFile", "hotSpotRegionBedFile", "nucleotideType")


class ReportStorage(Table, rows=models.ReportStorage, served=False):
    pass


def thumbnails(request, rows):
    """Reports of thumbnails only, or without them, as the parameter `isThumbnail` asks for."""
    asked = request.GET.get("isThumbnail", "").lower()
    if asked in ("yes", "true"):
        return rows.filter(metaData__contains="thumb")
    return rows.exclude(metaData__contains="thumb") if asked in ("no", "false") else rows


class Results(WithMetaData, rows=models.Results, hidden=("folder",)):
    experiment = One("experiment", null=True)
    eas = One("experimentanalysissettings", null=True, blank=True)
    projects = Many("project")
    reportstorage = One(ReportStorage, nested=True)
    analysismetrics = Many("analysismetrics", "analysismetrics_set")
    libmetrics = Many("libmetrics", "libmetrics_set")
    qualitymetrics = Many("qualitymetrics", "qualitymetrics_set")
    tfmetrics = Many("tfmetrics", "tfmetrics_set")
    pluginresults = Many("pluginresult", "pluginresult_set")
    filesystempath = String()
    bamLink = String()
    planShortID = String()
    pluginState = Dict(readonly=True)
    pluginStore = Dict(readonly=True)

    @classmethod
    def with_relations(cls, rows):
        return super().with_relations(rows).select_related("experiment__plan", "reportstorage")

    def narrow(self, request, rows):
        return thumbnails(request, rows)

    def shown(self, request, row, *, in_list):
        """States and stores of plugins belong to the object alone, unless the parameters say otherwise."""
        bundle = super().shown(request, row, in_list=in_list)
        if (in_list and request.GET.get("plugin") != "true") or request.GET.get("noplugin") == "true":
            del bundle.data["pluginState"], bundle.data["pluginStore"]
        else:
            newest = newest_by_name(row)
            bundle.data["pluginState"] = {name: state_of(one) for name, one in newest.items()}
            bundle.data["pluginStore"] = {name: one.store for name, one in newest.items()}
        return bundle

    def dehydrate(self, bundle):
        """Add where the files are."""
        row, run = bundle.obj, bundle.obj.experiment
        stem = f"{run.expName if run else ''}_{row.resultsName}"
        bundle.data |= {
            "filesystempath": shown_path(row),
            "bamLink": f"{row.reportLink.rstrip('/')}/download_links/{stem}.bam",
            "planShortID": (run.plan.planShortID if run and run.plan else None) or "",
        }
        return bundle

    def received(self, request, data, row):
        """An analysis that is under way ends when its report is said to be terminated."""
        if row is not None and data.get("status") == TERMINATED and analyses().stop(row.pk):
            del data["status"]
        return data

    @route("<pk>/plugin/", "GET", "POST", "PUT")
    def plugin(self, request, pk):
        """States and pages of plugins; POST starts one."""
        report = self.found(pk)
        if request.method == "PUT":
            raise Refusal(400, {"error": "Plugins are started with POST."})
        if request.method == "POST":
            return self._start(request, report)
        newest = newest_by_name(report)
        return {
            "pluginState": {name: state_of(row) for name, row in newest.items()},
            "pluginFiles": {name: pages_in(plugin_folder(row)) for name, row in newest.items()},
        }

    def _start(self, request, report):
        demand(request.user, "add", models.PluginResult)
        body = body_of(request)
        config, again = body.get("pluginconfig") or {}, body.get("pluginresult")
        if not isinstance(config, dict):
            raise Refusal(400, {"error": "'pluginconfig' takes an object."})
        plugin = _wanted(body.get("plugin"))
        if plugin is None or launcher().plugins.record_of(plugin) is None:
            raise Refusal(410)
        reuse = None
        if again is not None:
            number = number_of(str(again).rstrip("/").rpartition("/")[2])
            reuse = models.PluginResult.objects.filter(result=report, pk=number, plugin__name=plugin.name).first()
            if reuse is None or reuse.number is None:
                raise Refusal(400, {"error": "'pluginresult' names no result of this plugin on this report."})
        launcher().start(report, plugin, config, _launching(request, body), reuse=reuse)
        return 202

    @route("<pk>/pluginresults/", "GET", "POST")
    def plugin_results(self, request, pk):
        """What plugins left on the report; POST makes a row for it."""
        report = self.found(pk)
        resource = RESOURCES["pluginresult"]()
        if request.method == "POST":
            data = {**body_of(request), "result": self.address(report.pk)}
            plugin = data.get("plugin")
            if isinstance(plugin, int) or (isinstance(plugin, str) and "/" not in plugin):
                found = _wanted(plugin)
                data["plugin"] = RESOURCES["plugin"].address(found.pk) if found else plugin
            answer = json_response(request, None, status=201)
            answer.content = b""
            answer["Location"] = resource.get_resource_uri(resource.create(request, data))
            return answer
        rows = list(resource.with_relations(models.PluginResult.objects.filter(result=report).order_by("-pk")))
        is_major = {"true": True, "false": False}.get(request.GET.get("major", "").lower())
        return plugin_listing(request, report, rows, is_major=is_major)

    @route("<pk>/pluginstore/", "GET", "PUT")
    def plugin_store(self, request, pk):
        """The stores of plugins by name."""
        newest = newest_by_name(self.found(pk))
        if request.method == "GET":
            return {name: row.store for name, row in newest.items()}
        demand(request.user, "change", models.PluginResult)
        given = body_of(request)
        if not all(name in newest and isinstance(store, dict) for name, store in given.items()):
            raise Refusal(400, {"error": "An object of stores is expected, by names of plugins that ran here."})
        for name, store in given.items():
            newest[name].store = store
            newest[name].save(update_fields=("store",))
        return 202

    @route("<pk>/pluginresult_set/", "GET")
    def plugin_result_set(self, request, pk):
        """The list of plugin results of this report."""
        report = self.found(pk)
        resource = RESOURCES["pluginresult"]()
        page = resource.page(request, resource.asked_for(request).filter(result=report))
        page["objects"] = [resource.shown(request, row, in_list=True) for row in page["objects"]]
        return page

    @route("<pk>/barcode/", "GET")
    def barcode(self, request, pk):
        """Rows of the table of barcodes, whole or of one metric."""
        folder = report_folder(self.found(pk))
        path = folder / "alignment_barcode_summary.csv" if folder else None
        if path is None or not path.is_file():
            raise Refusal(400, {"error": "This report has no table of barcodes."})
        with path.open(newline="", encoding="utf-8", errors="replace") as table:
            rows = [{str(key): value for key, value in row.items()} for row in csv.DictReader(table)]
        metric = request.GET.get("metric")
        if not metric:
            return rows
        if rows and metric not in rows[0]:
            raise Refusal(400, {"error": "The table of barcodes has no such metric."})
        name = next(iter(rows[0])) if rows else ""
        return [{name: row[name], metric: row[metric]} for row in rows]

    @route("<pk>/barcodesampleinfo/", "GET")
    def barcode_sample_info(self, request, pk):
        """Sample, reference and regions of each barcode, and whether it was filtered."""
        report = self.found(pk)
        return _barcodes(report, _read_groups(report_folder(report)))

    @route("<pk>/representative/", *_ANY)
    def represent(self, request, pk):
        """Pin the report as the one that stands for its run, or let it go."""
        demand(request.user, "change", models.Results)
        demand_own_site(request)
        report = self.found(pk)
        pinned = body_of(request).get("representative")
        if not isinstance(pinned, bool):
            raise Refusal(400, {"error": "'representative' takes true or false."})
        run = report.experiment
        if run is not None:
            if pinned:
                run.results_set.exclude(pk=report.pk).update(representative=False)
                run.repResult = report
            run.pinnedRepResult = pinned
            run.save(update_fields=("repResult", "pinnedRepResult"))
        report.representative = pinned
        report.save(update_fields=("representative",))
        return 202

    @route("<pk>/scan_for_orphaned_plugin_results/", "GET")
    def adopt(self, request, pk):
        """Make rows for plugin results that lie in the folder and have none."""
        demand(request.user, "add", models.PluginResult)
        demand_own_site(request)
        report = self.found(pk)
        folder = report_folder(report)
        if folder is not None:
            take_in(report, read_results(folder), request.user)
            adopt(report, folder, request.user)


def _wanted(wanted):
    """The newest version of the plugin that a request names, by name, number, or values of its columns."""
    if isinstance(wanted, list) and len(wanted) == 1:
        wanted = wanted[0]
    if isinstance(wanted, str) and wanted.startswith("/"):
        wanted = wanted.rstrip("/").rpartition("/")[2]
    if isinstance(wanted, str | int) and not isinstance(wanted, bool):
        wanted = {"id" if str(wanted).isascii() and str(wanted).isdigit() else "name": wanted}
    if not isinstance(wanted, dict) or not wanted or not set(wanted) <= set(_PLUGIN_KEYS):
        raise Refusal(400, {"error": f"'plugin' takes a name, a number, or an object of {', '.join(_PLUGIN_KEYS)}."})
    if not all(isinstance(value, str | int) for value in wanted.values()):
        raise Refusal(400, {"error": "'plugin' takes texts and numbers."})
    launcher().plugins.records()
    try:
        found = list(models.Plugin.objects.filter(active=True, selected=True, **wanted))
    except (ValueError, FieldError):
        return None
    return max(found, key=lambda row: LooseVersion(row.version), default=None)


def _launching(request, body):
    """Who a launch is for: the caller; a superuser may name another."""
    name = body.get("username")
    if request.user.is_superuser and isinstance(name, str) and "\0" not in name:
        return User.objects.filter(username=name).first() or request.user
    return request.user


def _read_groups(folder):
    """Read groups of a report's reads by barcode."""
    try:
        told = json_object(read_json(folder / "basecaller_results" / "datasets_basecaller.json")) if folder else {}
    except InputError:
        return {}
    groups = json_object(told.get("read_groups"))
    return {name.partition(".")[2] or name: json_object(group) for name, group in groups.items()}


def _barcodes(report, groups):
    settings = report.eas
    samples = json_object(settings.barcodedSamples) if settings else {}
    planned = {}
    for sample, told in samples.items():
        for barcode, info in json_object(json_object(told).get("barcodeSampleInfo")).items():
            planned[barcode] = {"sample": sample, **{key: json_object(info).get(key, "") for key in _SAMPLE_KEYS}}
    shared = {
        "sample": "",
        "reference": (settings.reference if settings else None) or "",
        "targetRegionBedFile": (settings.targetRegionBedFile if settings else None) or "",
        "hotSpotRegionBedFile": (settings.hotSpotRegionBedFile if settings else None) or "",
        "nucleotideType": "",
    }
    read = {name: group for name, group in groups.items() if group.get("barcode_name")}
    return {
        barcode: {
            **shared,
            **_of_group(read.get(barcode, {})),
            **planned.get(barcode, {}),
            "filtered": bool(read.get(barcode, {}).get("filtered", bool(read) and barcode not in read)),
        }
        for barcode in sorted({*planned, *read})
    }


def _of_group(group):
    """What a read group says of its barcode."""
    told = {"sample": group.get("sample"), "nucleotideType": group.get("nucleotide_type")}
    return {name: value for name, value in told.items() if value and value != "none"}
