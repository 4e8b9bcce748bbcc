"""Writes what belongs to a plan beside its own row: run, settings, samples, thresholds, projects (rest-api.md 7.3)."""

import secrets
import string
import uuid

from django.utils.timezone import now

from ionanalysis.rundb import models
from ionanalysis.rundb.plans.arguments import arguments_for, criteria_of
from ionanalysis.rundb.plans.lists import TEMPLATING
from ionanalysis.rundb.plans.names import ARGUMENTS, FLAGS, JSON, OF_RUN, OF_SETTINGS
from ionanalysis.rundb.release import RELEASE

_LETTERS = string.ascii_uppercase + string.digits
_CHOICE = (
    "chipType",
    "sequencekitname",
    "templatingKitName",
    "librarykitname",
    "samplePrepKitName",
    "runType",
    "applicationGroup",
    "custom_args",
    *ARGUMENTS,
)


def complete(draft, lists):
    """Give a new plan what the server chooses: identifiers, status, date; and any plan its origin."""
    given = draft.given
    if draft.is_new:
        given["planGUID"] = given.get("planGUID") or str(uuid.uuid4())
        given["planShortID"] = given.get("planShortID") or _short_id()
        given["planStatus"] = given.get("planStatus") or _first_status(draft, lists)
        given["date"] = given.get("date") or now()
        given.setdefault("origin", "api")
    if given.get("origin") is not None and "|" not in given["origin"]:
        given["origin"] = f"{given['origin']}|{RELEASE}"


def _short_id():
    """Five letters and digits that no plan has yet."""
    while True:
        text = "".join(secrets.choice(_LETTERS) for _ in range(5))
        if not models.PlannedExperiment.objects.filter(planShortID=text).exists():
            return text


def _first_status(draft, lists):
    kit = lists.kit(draft.value("templatingKitName"), *TEMPLATING) if draft.value("templatingKitName") else None
    on_chef = kit is not None and kit.kitType == "IonChefPrepKit"
    return "pending" if on_chef and not draft.is_template else "planned"


def projects_named(names, user):
    """Rows of the projects with these names, made where there are none."""
    return [models.Project.objects.get_or_create(name=name, defaults={"creator": user})[0] for name in names]


def settings_of(plan):
    """The newest settings of a plan's analysis, or None."""
    if plan.latestEAS_id is not None:
        return plan.latestEAS
    run = run_of(plan)
    return run.eas_set.order_by("-pk").first() if run is not None else None


def run_of(plan):
    """A plan's run, or None."""
    return getattr(plan, "experiment", None)


def store(plan, draft, lists, run=None):
    """Write a plan's run, settings, samples and thresholds as its draft says.

    Parameters
    ----------
    plan : PlannedExperiment
        As stored.
    draft : Draft
    lists : Lists
    run : Experiment, optional
        A run without a plan that a new plan shall have.
    """
    run = _store_run(plan, draft, lists, run_of(plan) or run)
    settings = _store_settings(plan, draft, lists, run)
    if plan.latestEAS_id != settings.pk:
        plan.latestEAS = settings
        plan.save(update_fields=["latestEAS"])
    if draft.touches("sample", "sampleDisplayedName", "barcodedSamples"):
        run.samples.set(_samples(draft))
    for name, number in draft.given["thresholds"].items():
        models.PlannedExperimentQC.objects.update_or_create(
            plannedExperiment=plan, qcType=lists.thresholds()[name], defaults={"threshold": number}
        )


def _store_run(plan, draft, lists, run):
    if run is None:
        run = _new_run(plan, lists)
    given = {column: draft.given[name] for name, column in OF_RUN.items() if name in draft.given}
    known = {column.name: column for column in run._meta.concrete_fields if column.name.startswith("chef")}
    for name, value in (draft.given.get("chefInfo") or {}).items():
        if name in known:
            given[name] = known[name].to_python(value)
    if run.plan_id != plan.pk:
        given["plan"] = plan
    _write(run, given)
    plan.experiment = run
    return run


def _write(row, given):
    """Store a row, or of one that exists the given columns only: others may have been written meanwhile."""
    for column, value in given.items():
        setattr(row, column, value)
    if row._state.adding:
        row.save()
    elif given:
        row.save(update_fields=list(given))


def _new_run(plan, lists):
    taken = models.Experiment.objects.filter(unique=plan.planGUID).exists()
    name = plan.planGUID if plan.planGUID and not taken else str(uuid.uuid4())
    texts = dict.fromkeys((column for key, column in OF_RUN.items() if key not in (*FLAGS, "flows")), "")
    return models.Experiment(
        **texts,
        expName=name,
        unique=name,
        displayName=name,
        status="planned",
        date=now(),
        flows=0,
        cycles=0,
        runtype=plan.runType,
        runMode=plan.runMode,
        storage_options=lists.config().default_storage_options,
    )


def _store_settings(plan, draft, lists, run):
    settings = settings_of(plan)
    if settings is None:
        settings = _new_settings(draft, lists)
    elif not settings.isEditable and settings.results_set.exists():
        # What a report was made with stays.
        settings.pk, settings._state.adding, settings.isEditable = None, True, True
    written = {column: draft.given[name] for name, column in OF_SETTINGS.items() if name in draft.given}
    if draft.touches(*_CHOICE):
        custom = bool(draft.value("custom_args"))
        criteria = criteria_of(draft.value, lists, plan.applicationGroup_id)
        given = {name: draft.given[name] or "" for name in ARGUMENTS if name in draft.given}
        written |= given if custom else arguments_for(draft.value("chipType"), criteria)
        written["custom_args"] = custom
    if settings.experiment_id != run.pk:
        written["experiment"] = run
    _write(settings, written)
    return settings


def _new_settings(draft, lists):
    config = lists.config()
    texts = dict.fromkeys((column for key, column in OF_SETTINGS.items() if key not in (*FLAGS, *JSON)), "")
    with_plugins = str(draft.given.get("include_plugin_default_selection", True)).lower() != "false"
    return models.ExperimentAnalysisSettings(
        **texts
        | {
            "tfKey": config.default_test_fragment_key,
            "libraryKey": config.default_library_key,
            "base_recalibration_mode": config.base_recalibration_mode,
        },
        realign=config.realign,
        isDuplicateReads=config.mark_duplicates,
        barcodedSamples={},
        selectedPlugins=_plugins() if with_plugins else {},
        isEditable=True,
        isOneTimeOverride=False,
        status="planned",
        date=now(),
    )


def _plugins():
    """The plugins that every new plan starts with."""
    return {
        plugin.name: {
            "id": plugin.pk,
            "name": plugin.name,
            "version": plugin.version,
            "features": plugin.pluginsettings.get("features", []) if isinstance(plugin.pluginsettings, dict) else [],
            "userInput": {},
        }
        for plugin in models.Plugin.objects.filter(active=True, selected=True, defaultSelected=True).order_by("pk")
    }


def _samples(draft):
    """Rows of the samples of a plan: one per name in `barcodedSamples`, else the one in `sample`."""
    if draft.barcoded:
        return [_barcoded_sample(name, sample) for name, sample in draft.barcoded.items()]
    name = draft.value("sample")
    shown = draft.given.get("sampleDisplayedName") or name
    if draft.given.get("sample") and underscored(shown) != underscored(name):
        shown = name
    return [_sample(shown)] if shown else []


def _barcoded_sample(name, sample):
    """The row of a sample; what its first barcode says of it is its description."""
    sample = sample if isinstance(sample, dict) else {}
    barcodes, info = sample.get("barcodes"), sample.get("barcodeSampleInfo")
    first = info.get(str(barcodes[0])) if isinstance(info, dict) and isinstance(barcodes, list) and barcodes else None
    first = first if isinstance(first, dict) else {}
    return _sample(name, *(str(first.get(key) or "") for key in ("externalId", "description")))


def underscored(text):
    """A name as files and tables have it."""
    return text.replace(" ", "_")


def _sample(shown, external_id="", description=""):
    """The sample of that name and external id; made if there is none."""
    return models.Sample.objects.get_or_create(
        name=underscored(shown),
        externalId=external_id,
        defaults={"displayedName": shown, "description": description, "status": "planned"},
    )[0]
