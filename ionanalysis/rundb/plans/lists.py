"""What the database knows of the things that plans name: chips, kits, keys, applications, references."""

from functools import wraps

from django.db.models import Q

from ionanalysis.rundb import models

TEMPLATING = ("TemplatingKit", "IonChefPrepKit")


def _once(method):
    """Remember what a method of `Lists` found."""

    @wraps(method)
    def found(self, *names):
        key = (method.__name__, *names)
        if key not in self._found:
            self._found[key] = method(self, *names)
        return self._found[key]

    return found


class Lists:
    """Look-ups for one request; each thing is looked up once.

    Names are taken as they are; where letter case or the description may stand for the name, the row's own name is
    what plans keep. Each method gives None where nothing is known by that name.
    """

    def __init__(self):
        self._found = {}

    @_once
    def chip(self, text):
        """The chip of that name or description, letter case ignored."""
        return _named(models.Chip.objects.all(), text)

    @_once
    def kit(self, text, *kinds):
        """The kit of one of those kinds with that name or description, letter case ignored."""
        return _named(models.KitInfo.objects.filter(kitType__in=kinds).select_related("defaultFlowOrder"), text)

    @_once
    def library_key(self, text):
        """The bases of the key with that name or sequence."""
        row = models.LibraryKey.objects.filter(Q(name=text) | Q(sequence=text)).first()
        return row and row.sequence

    @_once
    def flow_order(self, text):
        """The bases of the order of flows with that name, description or bases."""
        row = models.FlowOrder.objects.filter(Q(name=text) | Q(description=text) | Q(flowOrder=text)).first()
        return row and row.flowOrder

    @_once
    def run_type(self, name):
        return models.RunType.objects.filter(runType=name).first()

    @_once
    def group(self, text):
        """The application group of that name or description."""
        return models.ApplicationGroup.objects.filter(Q(name=text) | Q(description=text)).order_by("pk").first()

    def groups_of(self, run_type):
        """Keys of the application groups that a run type belongs to."""
        return set(run_type.applicationGroups.values_list("pk", flat=True))

    @_once
    def grouping(self, name):
        """The grouping of samples with that displayed name."""
        return models.SampleGroupTypeCV.objects.filter(displayedName=name).first()

    @_once
    def application(self, run_type, group, instrument):
        """The product that tells what an application supports: of the group and instrument if there is one.

        Parameters
        ----------
        run_type : str
        group : int or None
            Key of the application group.
        instrument : str
            Type of the chip's instrument.
        """
        products = models.ApplProduct.objects.filter(appl__runType=run_type, isActive=True).order_by("pk")
        return min(
            products,
            key=lambda row: (
                row.applicationGroup_id != group,
                row.instrumentType.lower() != instrument.lower(),
                not row.isDefault,
            ),
            default=None,
        )

    @_once
    def has_reference(self, name):
        """Whether a reference of that short name may be used."""
        return models.ReferenceGenome.objects.filter(short_name=name, enabled=True).exists()

    @_once
    def barcodes(self, name):
        """Ids of a barcode set by themselves in lower case; empty if there is no such set."""
        ids = models.DnaBarcode.objects.filter(name=name).values_list("id_str", flat=True)
        return {text.lower(): text for text in ids}

    @_once
    def region_file(self, reference, name):
        """The file of regions with that name for a reference, or with that path; None if there is none."""
        path = f"/{reference}/unmerged/detail/{name.rsplit('/', 1)[-1]}"
        rows = models.Content.objects.filter(publisher__name="BED")
        row = rows.filter(Q(file=name) | Q(path=name)).first() or rows.filter(path=path).first()
        return row and row.file

    @_once
    def protocol(self, text):
        """The protocol of sample preparation with that value or displayed value."""
        rows = models.CommonCV.objects.filter(cv_type="samplePrepProtocol")
        return rows.filter(Q(value=text) | Q(displayedValue=text)).first()

    @_once
    def control_types(self):
        rows = models.SampleAnnotationCV.objects.filter(annotationType="controlType")
        return set(rows.values_list("value", flat=True))

    @_once
    def thresholds(self):
        """Names of the types of threshold with their rows."""
        return {row.qcName: row for row in models.QCType.objects.all()}

    @_once
    def config(self):
        """The settings of the server."""
        return models.GlobalConfig.objects.order_by("pk").first() or models.GlobalConfig()


def _named(rows, text):
    """The row with that name or description; of several an active one, then one of that very name."""
    found = rows.filter(Q(name__iexact=text) | Q(description__iexact=text)).order_by("pk")
    return min(
        found, key=lambda row: (not row.isActive, row.name != text, row.name.lower() != text.lower()), default=None
    )
