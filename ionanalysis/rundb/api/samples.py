"""Samples, their attributes, and the sets in which they are prepared."""

from functools import cached_property

from django.db.models import Count

from ionanalysis.rundb import models
from ionanalysis.rundb.plans.make import underscored
from ionanalysis.rundb.plans.rules import wrong_sample_name
from ionanalysis.rundb.protocol import Integer, Many, One, String, Table

_TEXT = {"null": True, "blank": True, "readonly": True}
_OPTIONAL = {"null": True, "blank": True}
LIBRARY_PREPARATIONS = {"amps_on_chef_v1": "AmpliSeq on Chef"}
"""What types of preparing a library are called."""


class Sample(Table, rows=models.Sample, methods=("get", "post", "put"), mesh=True):
    experiments = Many("experiment", **_OPTIONAL)
    sampleSets = Many("samplesetitem", **_OPTIONAL)

    def received(self, request, data, row):
        """The name follows from the displayed name; one stands for the other where only one is given."""
        shown = data.get("displayedName") or data.get("name")
        if isinstance(shown, str):
            data["displayedName"], data["name"] = shown, underscored(shown)
        if row is None and data.get("externalId") is None:
            data["externalId"] = ""
        return data


class SampleGroupTypeCV(Table, rows=models.SampleGroupTypeCV, name="samplegrouptype_cv"):
    sampleAnnotation_set = Many("sampleannotation_cv", **_OPTIONAL)
    sampleSets = Many("sampleset", **_OPTIONAL)


class SampleAnnotationCV(Table, rows=models.SampleAnnotationCV, name="sampleannotation_cv"):
    sampleGroupType_CV = One("samplegrouptype_cv", **_OPTIONAL)


class SampleAttributeDataType(Table, rows=models.SampleAttributeDataType):
    pass


class SampleAttribute(Table, rows=models.SampleAttribute):
    dataType = One("sampleattributedatatype", **_OPTIONAL)
    dataType_name = String("dataType__dataType", **_TEXT)
    sampleCount = Integer(readonly=True)

    @classmethod
    def with_relations(cls, rows):
        return (
            super()
            .with_relations(rows)
            .select_related("dataType")
            .annotate(samples=Count("values__sample", distinct=True))
        )

    def dehydrate_sampleCount(self, bundle):
        return bundle.obj.samples


class SamplePrepData(Table, rows=models.SamplePrepData):
    sampleSet = One("sampleset", lambda bundle: bundle.obj.sampleSets.first(), **_OPTIONAL)


class SampleSet(Table, rows=models.SampleSet, returns_data=True):
    SampleGroupType_CV = One("samplegrouptype_cv", **_OPTIONAL)
    libraryPrepInstrumentData = One("sampleprepdata", nested=True, **_OPTIONAL)
    samples = Many("samplesetitem", **_OPTIONAL)
    sampleCount = Integer(readonly=True)
    sampleGroupTypeName = String("SampleGroupType_CV__displayedName", **_TEXT)
    libraryPrepTypeDisplayedName = String(**_TEXT)
    libraryPrepKitDisplayedName = String(**_TEXT)

    @classmethod
    def with_relations(cls, rows):
        return super().with_relations(rows).select_related("SampleGroupType_CV")

    @cached_property
    def _kits(self):
        """What kits are called, by their names."""
        return dict(models.KitInfo.objects.filter(kitType="LibraryPrepKit").values_list("name", "description"))

    def errors(self, bundle):
        row, wrong = bundle.obj, {}
        if not (row.displayedName or "").strip():
            wrong["displayedName"] = ["Sample set name is required"]
        elif wrong_sample_name(row.displayedName):
            wrong["displayedName"] = [wrong_sample_name(row.displayedName).replace("Sample name", "Sample set name")]
        elif models.SampleSet.objects.filter(displayedName=row.displayedName).exclude(pk=row.pk).exists():
            wrong["displayedName"] = [f"A sample set named {row.displayedName} exists"]
        if len(row.description or "") > 1024:
            wrong["description"] = ["Description must have at most 1024 characters"]
        if row.libraryPrepKitName and row.libraryPrepKitName not in self._kits:
            wrong["libraryPrepKitName"] = [f"Library preparation kit {row.libraryPrepKitName} is not known"]
        return wrong

    def dehydrate_sampleCount(self, bundle):
        return len(bundle.obj.samples.all())

    def dehydrate_libraryPrepTypeDisplayedName(self, bundle):
        return LIBRARY_PREPARATIONS.get(bundle.obj.libraryPrepType, "")

    def dehydrate_libraryPrepKitDisplayedName(self, bundle):
        return self._kits.get(bundle.obj.libraryPrepKitName, "")


class SampleSetItem(Table, rows=models.SampleSetItem):
    sampleSet = One("sampleset", **_OPTIONAL)
    sample = One("sample", **_OPTIONAL)
    dnabarcode = One("dnabarcode", **_OPTIONAL)


class SampleSetItemInfo(Table, rows=models.SampleSetItem, methods=("get",)):
    sampleSet = One("sampleset", **_OPTIONAL)
    sample = One("sample", **_OPTIONAL)
    dnabarcode = One("dnabarcode", **_TEXT)
    relationshipGroup = Integer("relationshipGroup", **_TEXT)
    relationshipRole = String("relationshipRole", **_TEXT)
    dnabarcodeKit = String("dnabarcode__name", **_TEXT)
    samplePk = Integer("sample_id", **_TEXT)
    sampleExternalId = String("sample__externalId", **_TEXT)
    sampleDisplayedName = String("sample__displayedName", **_TEXT)
    sampleDescription = String("sample__description", **_TEXT)
    sampleSetPk = Integer("sampleSet_id", **_TEXT)
    sampleSetStatus = String("sampleSet__status", **_TEXT)

    @classmethod
    def with_relations(cls, rows):
        along = ("sampleSet", "sample", "dnabarcode")
        return rows.select_related(*along).prefetch_related("sample__attributeValues")

    @cached_property
    def _attributes(self):
        """Names of the attributes of samples, by their keys."""
        return dict(models.SampleAttribute.objects.order_by("pk").values_list("pk", "displayedName"))

    @cached_property
    def _active_attributes(self):
        return list(models.SampleAttribute.objects.filter(isActive=True).order_by("pk").values_list("pk", flat=True))

    def dehydrate_dnabarcode(self, bundle):
        """The barcode's id, in place of its address."""
        barcode = bundle.obj.dnabarcode
        return barcode.id_str if barcode else ""

    def dehydrate(self, bundle):
        """Add one key per attribute of samples, and all of them once more as ``attribute_dict``."""
        attributes = {self._attributes[key]: None for key in self._active_attributes}
        if bundle.obj.sample is not None:
            for value in bundle.obj.sample.attributeValues.all():
                attributes[self._attributes[value.sampleAttribute_id]] = value.value
        bundle.data["attribute_dict"] = attributes
        for name, value in attributes.items():
            bundle.data.setdefault(name, value)
        return bundle
