"""Takes a result of `ionanalysis run` into the database (rest-api.md 6 and 9); again and again, into the same rows."""

import re
from datetime import UTC

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.dateparse import parse_datetime
from django.utils.timezone import now

from ionanalysis.errors import OutputError
from ionanalysis.io.atomic import write_whole
from ionanalysis.plugin.expmeta import json_object
from ionanalysis.rundb import models
from ionanalysis.rundb.life.plugin_rows import InstalledPlugins, take_in
from ionanalysis.rundb.life.result_files import COMPLETED, read_result

ADMIN = "ionadmin"
_SHORT_ID = ("planned_run_short_id", "pending_run_short_id", "plan_short_id")
_GUID = ("planned_run_guid", "pending_run_guid", "plan_guid")
_NAME = ("planned_run_name", "plan_name")
_ARGUMENTS = ("beadfindArgs", "analysisArgs", "prebasecallerArgs", "basecallerArgs", "ionstatsArgs")


def ingest(folder):
    """Make or renew the rows of a result.

    Parameters
    ----------
    folder : path
        A result directory, whole or half-finished.

    Returns
    -------
    ionanalysis.rundb.models.Results

    Raises
    ------
    InputError
        If it is no result.
    """
    files = read_result(folder)
    InstalledPlugins().records()
    with transaction.atomic():
        # One at a time: two that take in the same folder must not both find it new.
        storage = models.ReportStorage.objects.select_for_update().order_by("-default", "pk").first()
        owner = _owner(files)
        known = models.Results.objects.filter(folder=str(files.folder)).first()
        run = known.experiment if known is not None and known.experiment else _run_of(files)
        _fill_run(run, files)
        report = _report(run, files, known, storage)
        _samples(run, files)
        _projects(report, run, files, owner)
        _metrics(report, files)
        _space(report, files)
        take_in(report, files.plugin_results, owner)
        _choose_report(run, report)
        _rig(run, files)
    _write_key(report, files)
    return report


def _owner(files):
    named = User.objects.filter(username=str(files.params.get("username") or "")).first()
    return named or User.objects.get(username=ADMIN)


def _text(value):
    return "" if value is None else str(value)


def _count(value):
    return int(value) if re.fullmatch(r"\d{1,9}", str(value)) else 0


def _run_of(files):
    """The run whose images these are: one that is known, one that was planned, else a new one."""
    raw_dir = str(files.raw_dir)
    known = models.Experiment.objects.filter(unique=raw_dir).first()
    if known is not None:
        return known
    plan = plan_of(files.log, _text(files.experiment.get("expName")))
    if plan is None:
        return models.Experiment(unique=raw_dir)
    planned = models.Experiment.objects.filter(plan=plan).first()
    run = planned or models.Experiment(plan=plan)
    run.unique = raw_dir
    return run


def plan_of(log, run_name):
    """The plan that a run's log names, by GUID, short id or name; plans that have had their run are left out.

    Parameters
    ----------
    log : dict
        Values of the log by key.
    run_name : str

    Returns
    -------
    ionanalysis.rundb.models.PlannedExperiment or None
    """
    waiting = models.PlannedExperiment.objects.filter(planExecuted=False, isReusable=False).order_by("-pk")
    for keys, column in ((_GUID, "planGUID"), (_SHORT_ID, "planShortID"), (_NAME, "planName")):
        for name in filter(None, (_text(log.get(key)).strip() for key in keys)):
            found = waiting.filter(**{column: name}).first()
            if found is not None:
                return found
    return waiting.filter(planName=run_name).first() if run_name else None


def _fill_run(run, files):
    params, told, log = files.params, files.experiment, files.log
    name = _text(told.get("expName")) or files.folder.name
    is_new = run.pk is None
    run.expName, run.displayName, run.expDir = name, display_name(name), str(files.raw_dir)
    run.chipType, run.chipBarcode = _text(told.get("chipType")), _text(told.get("chipBarcode"))
    run.pgmName = _text(told.get("pgmName"))
    run.platform = _platform(run.chipType) or _text(told.get("platform"))
    run.date = _moment(told.get("date")) or run.date or files.analysed
    run.flows, run.cycles = _count(params.get("flows")), _count(log.get("cycles"))
    run.flowsInOrder = _text(params.get("flowOrder"))
    run.log = log
    run.notes = _text(told.get("notes")) or run.notes or ""
    run.rawdatastyle = _text(params.get("rawdatastyle")) or "single"
    run.sequencekitname = _text(told.get("sequencekitname")) or run.sequencekitname or ""
    run.seqKitBarcode = run.seqKitBarcode or _text(log.get("seqbarcode"))
    run.runMode = run.runMode or "single"
    run.ftpStatus, run.status = "Complete", "run"
    run.diskusage = round(sum(files.space.values()))
    if is_new:
        run.runtype = run.plan.runType if run.plan else "GENS"
        run.storage_options = _default_storage()
    run.save()
    plan = run.plan
    if plan is not None and not plan.planExecuted:
        plan.planExecuted, plan.planStatus, plan.planExecutedDate, plan.expName = True, "run", now(), name
        plan.save(update_fields=("planExecuted", "planStatus", "planExecutedDate", "expName"))


def _default_storage():
    return models.GlobalConfig.objects.values_list("default_storage_options", flat=True).first() or "A"


def _platform(chip_type):
    return models.Chip.objects.filter(name=chip_type).values_list("instrumentType", flat=True).first()


def display_name(run_name):
    """A run's name for people: without the date that instruments put before it, and with spaces.

    >>> display_name("R_2017_03_10_12_37_26_S5-530_cfDNA")
    'S5-530 cfDNA'
    """
    return re.sub(r"^R_\d{4}(_\d\d){5}_", "", run_name).replace("_", " ")


def _report(run, files, known, storage):
    report = known or models.Results(folder=str(files.folder), reportstorage=storage)
    params, settings = files.params, files.settings
    report.experiment = run
    report.eas = _settings(run, files, report.eas)
    report.resultsName = _text(params.get("resultsName")) or files.folder.name
    report.runid = _text(params.get("runid"))
    report.reference = _text(settings.get("reference"))
    report.analysisVersion = f"db:{files.version},an:{files.version},"
    report.timeToComplete = str(files.seconds)
    report.diskusage = round(sum(files.space.values()))
    report.parentResult = _parent(report, params) or report.parentResult
    for column, value in files.processed.items():
        setattr(report, column, value)
    if params.get("doThumbnail"):
        report.metaData = {**json_object(report.metaData), "thumb": 1}
    changed, report.status = report.status != files.status, files.status
    report.save()
    if not report.log:
        report.reportLink = link_of(report)
        report.log = f"{report.reportLink}report.html"
    if changed:
        report.timeStamp = now()
    report.save(update_fields=("reportLink", "log", "timeStamp"))
    return report


def link_of(report):
    """The path under which a report's files are served."""
    name, storage = re.sub(r"[^\w.+-]", "_", report.resultsName), report.reportstorage
    return f"{storage.webServerPath}/{storage.name}/{name}_{report.pk:03d}/"


def _parent(report, params):
    former = _text(params.get("previousReport"))
    return models.Results.objects.filter(folder=former).exclude(pk=report.pk).first() if former else None


def _settings(run, files, known):
    """The settings that the analysis used; of a planned run they begin as a copy of the plan's."""
    settings = known
    if settings is None:
        key = run.plan.latestEAS_id if run.plan else None
        settings = models.ExperimentAnalysisSettings.objects.filter(pk=key).first()
        settings = settings or models.ExperimentAnalysisSettings()
        settings.pk, settings._state.adding = None, True
        settings.isEditable = False
    told, params = files.settings, files.params
    settings.experiment, settings.status, settings.date = run, "run", files.analysed
    for column in ("reference", "barcodeKitName", "threePrimeAdapter", "libraryKey", "tfKey"):
        setattr(settings, column, _text(told.get(column)))
    for column in ("targetRegionBedFile", "hotSpotRegionBedFile", "sseBedFile", "libraryKitName"):
        setattr(settings, column, _text(told.get(column)) or getattr(settings, column) or "")
    settings.barcodedSamples = json_object(told.get("barcodedSamples")) or settings.barcodedSamples or {}
    settings.selectedPlugins = json_object(params.get("plugins")) or settings.selectedPlugins or {}
    for name in _ARGUMENTS:
        column = name.lower()
        setattr(settings, column, _text(params.get(name)) or getattr(settings, column))
    settings.save()
    return settings


def _samples(run, files):
    """Samples that the analysis names; a run that was planned has those of its plan."""
    info = json_object(files.params.get("sampleInfo"))
    planned = run.plan_id is not None and run.samples.exists()
    for name in () if planned else info or filter(None, [_text(files.experiment.get("sample"))]):
        told = json_object(info.get(name))
        stored = re.sub(r"\s+", "_", _text(name).strip())
        if not stored:
            continue
        sample, _ = models.Sample.objects.get_or_create(
            name=stored,
            externalId=_text(told.get("externalId")),
            defaults={"displayedName": _text(told.get("displayedName")) or name, "status": "run"},
        )
        sample.experiments.add(run)
    run.samples.exclude(status__in=("run", "created")).update(status="run")


def _projects(report, run, files, owner):
    names = {part.strip() for part in _text(files.params.get("project")).split(",")} - {""}
    found = [models.Project.objects.get_or_create(name=name, defaults={"creator": owner})[0] for name in sorted(names)]
    report.projects.add(*found, *(run.plan.projects.all() if run.plan else ()))


def _metrics(report, files):
    """One row of each table for which there are files; of test fragments one each."""
    for table, model in (
        ("analysismetrics", models.AnalysisMetrics),
        ("libmetrics", models.LibMetrics),
        ("qualitymetrics", models.QualityMetrics),
    ):
        if table in files.tables:
            columns = getattr(files.metrics, table)
            row, _ = model.objects.update_or_create(report=report, defaults=columns)
            setattr(report, table, row)
    report.save(update_fields=("analysismetrics", "libmetrics", "qualitymetrics"))
    if "tfmetrics" in files.tables:
        fragments = files.metrics.tfmetrics
        for columns in fragments:
            models.TFMetrics.objects.update_or_create(report=report, name=columns["name"], defaults=columns)
        report.tfmetrics_set.exclude(name__in=[columns["name"] for columns in fragments]).delete()


def _space(report, files):
    for name, space in files.space.items():
        models.DMFileStat.objects.update_or_create(result=report, dmfileset=name, defaults={"diskspace": space})


def _choose_report(run, report):
    """The newest complete report stands for its run, unless somebody has pinned another."""
    done = report.status.startswith(COMPLETED)
    if not run.pinnedRepResult and (done or run.repResult_id is None):
        run.repResult = report
    run.resultDate = report.timeStamp
    run.save(update_fields=("repResult", "resultDate"))


def _rig(run, files):
    """The instrument's last run."""
    if not run.pgmName:
        return
    rig = models.Rig.objects.filter(pk=run.pgmName).first()
    if rig is None:
        place = models.Location.objects.order_by("-defaultlocation", "pk").first()
        rig = models.Rig(pk=run.pgmName, location=place)
    rig.serial = rig.serial or _text(files.log.get("serial_number")) or None
    rig.type = rig.type or run.platform
    rig.last_experiment = run.expName
    rig.save()


def _write_key(report, files):
    """The number of the report in `primary.key`, which tells plugins where they belong; not where it cannot be."""
    path = files.folder / "primary.key"
    text = f"ResultsPK = {report.pk}\n"
    try:
        if not path.is_file() or path.read_text("ascii", errors="replace") != text:
            write_whole(path, text)
    except (OSError, OutputError):
        pass


def _moment(text):
    try:
        moment = parse_datetime(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
