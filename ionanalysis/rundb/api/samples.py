"""Samples, their attributes, and the sets in which they are prepared."""

from ionanalysis.rundb import models
from ionanalysis.rundb.protocol import Integer, Many, One, String, Table

_TEXT = {"null": True, "blank": True, "readonly": True}
_OPTIONAL = {"null": True, "blank": True}
LIBRARY_PREPARATIONS = {"amps_on_chef_v1": "AmpliSeq on Chef"}
"""What types of preparing a library are called."""


class Sample(Table, rows=models.Sample, methods=("get", "post", "put"), mesh=True):
    experiments = Many("experiment", **_OPTIONAL)
    sampleSets = Many("samplesetitem", **_OPTIONAL)


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

    def dehydrate_sampleCount(self, bundle):
        return bundle.obj.values.values("sample").distinct().count()


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

    def dehydrate_sampleCount(self, bundle):
        return len(bundle.obj.samples.all())

    def dehydrate_libraryPrepTypeDisplayedName(self, bundle):
        return LIBRARY_PREPARATIONS.get(bundle.obj.libraryPrepType, "")

    def dehydrate_libraryPrepKitDisplayedName(self, bundle):
        name = bundle.obj.libraryPrepKitName
        kit = models.KitInfo.objects.filter(name=name).first() if name else None
        return kit.description if kit else ""


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

    def dehydrate_dnabarcode(self, bundle):
        """The barcode's id, in place of its address."""
        barcode = bundle.obj.dnabarcode
        return barcode.id_str if barcode else ""

    def dehydrate(self, bundle):
        """Add one key per attribute of samples, and all of them once more as ``attribute_dict``."""
        names = models.SampleAttribute.objects.filter(isActive=True).values_list("displayedName", flat=True)
        attributes = dict.fromkeys(names)
        if bundle.obj.sample is not None:
            for value in bundle.obj.sample.attributeValues.select_related("sampleAttribute"):
                attributes[value.sampleAttribute.displayedName] = value.value
        bundle.data["attribute_dict"] = attributes
        for name, value in attributes.items():
            bundle.data.setdefault(name, value)
        return bundle
