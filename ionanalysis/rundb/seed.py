"""The rows that a new database begins with (rest-api.md 8): catalogue, settings, groups and users."""

import json
from importlib.resources import files

from django.contrib.auth.models import Group, Permission, User
from django.db import transaction

from ionanalysis.io.barcode_set import shipped_sets
from ionanalysis.rundb import models
from ionanalysis.rundb.protocol.writing import pass_keys

ADMIN = "ionadmin"
_USERS = ("ionuser", "ionmesh", "lab_contact", "it_contact")
GROUP = "ionusers"
# What members of that group may add, change and delete; users, settings, arguments and links between servers are
# for administrators.
_FOR_USERS = (
    models.AnalysisMetrics,
    models.Content,
    models.ContentUpload,
    models.DMFileStat,
    models.DnaBarcode,
    models.EmailAddress,
    models.EventLog,
    models.Experiment,
    models.ExperimentAnalysisSettings,
    models.FileMonitor,
    models.FlowOrder,
    models.KitInfo,
    models.LibMetrics,
    models.LibraryKey,
    models.Message,
    models.MonitorData,
    models.PlannedExperiment,
    models.PlannedExperimentQC,
    models.Plugin,
    models.PluginResult,
    models.PluginResultJob,
    models.Project,
    models.Publisher,
    models.QualityMetrics,
    models.ReferenceGenome,
    models.Results,
    models.Rig,
    models.Sample,
    models.SampleAttribute,
    models.SampleAttributeValue,
    models.SamplePrepData,
    models.SampleSet,
    models.SampleSetItem,
    models.SupportUpload,
    models.TFMetrics,
    models.Template,
    models.ThreePrimeAdapter,
    models.UserEventLog,
    models.UserProfile,
)


@transaction.atomic
def seed():
    """Add the rows that are not there yet; rows that somebody changed stay as they are."""
    for name, rows in _shipped_rows().items():
        _add(getattr(models, name), rows)
    _add_barcodes()
    _add_users()
    pass_keys(_seeded_models())


def _shipped_rows():
    return json.loads(files("ionanalysis.rundb").joinpath("seed_rows.json").read_text(encoding="utf-8"))


def _seeded_models():
    return [*(getattr(models, name) for name in _shipped_rows()), models.DnaBarcode, User]


def _add(model, rows):
    key = model._meta.pk.name
    known = set(model.objects.values_list("pk", flat=True))
    new = [row for row in rows if row[key] not in known]
    to_many = [field.name for field in model._meta.many_to_many]
    made = model.objects.bulk_create(
        [model(**{name: value for name, value in row.items() if name not in to_many}) for row in new]
    )
    for made_row, row in zip(made, new, strict=True):
        for name in to_many:
            getattr(made_row, name).set(row.get(name, []))


def _add_barcodes():
    """One row per barcode of the kits' sets, the same that ``--barcodes NAME`` means."""
    known = set(models.DnaBarcode.objects.values_list("name", flat=True))
    models.DnaBarcode.objects.bulk_create(
        models.DnaBarcode(
            name=name,
            index=barcode.index,
            id_str=barcode.name,
            sequence=barcode.sequence,
            adapter=barcode.adapter,
            type=barcode.type,
            annotation=barcode.annotation,
            score_mode=barcode.score_mode,
            score_cutoff=barcode.score_cutoff,
            length=len(barcode.sequence),
        )
        for name, barcodes in shipped_sets().items()
        if name not in known
        for barcode in barcodes
    )


def _add_users():
    """The users of rest-api.md 8, without a password: whoever sets one up chooses it."""
    if not User.objects.filter(username=ADMIN).exists():
        User.objects.create_superuser(ADMIN)
    group, _ = Group.objects.get_or_create(name=GROUP)
    names = [f"{verb}_{model._meta.model_name}" for model in _FOR_USERS for verb in ("add", "change", "delete")]
    group.permissions.set(Permission.objects.filter(content_type__app_label="rundb", codename__in=names))
    for name in _USERS:
        user, created = User.objects.get_or_create(username=name)
        if created:
            user.set_unusable_password()
            user.save()
            if name == "ionuser":
                user.groups.add(group)
