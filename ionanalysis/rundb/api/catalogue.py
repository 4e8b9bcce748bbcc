"""What a laboratory orders and the analysis knows: chips, kits, applications, keys, references (rest-api.md 3)."""

from types import new_class
from typing import Any

from django.db.models import Q

from ionanalysis.rundb import models
from ionanalysis.rundb.plans.arguments import arguments_for, criteria_of
from ionanalysis.rundb.plans.lists import Lists
from ionanalysis.rundb.plans.make import run_of, settings_of
from ionanalysis.rundb.plans.names import ARGUMENTS
from ionanalysis.rundb.protocol import Many, One, Refusal, Table, route
from ionanalysis.rundb.reference_index import CURRENT_INDEX


class FlowOrder(Table, rows=models.FlowOrder):
    pass


class KitInfo(Table, rows=models.KitInfo):
    parts = Many("kitpart", nested=True)
    defaultFlowOrder = One("floworder", null=True)


class KitPart(Table, rows=models.KitPart):
    kit = One("kitinfo")


class LibraryKitPart(KitPart, rows=models.KitPart, where=Q(kit__kitType="LibraryKit")):
    pass


class SequencingKitPart(KitPart, rows=models.KitPart, where=Q(kit__kitType="SequencingKit")):
    defaultFlowOrder = One("floworder", "kit__defaultFlowOrder", null=True)


class _PlainKit(Table):
    """A kit without the order of flows, which only sequencing kits have."""

    parts = Many("kitpart", nested=True)


_ACTIVE = Q(isActive=True)
_LIBRARY, _SEQUENCING, _CHEF = (Q(kitType=kind) for kind in ("LibraryKit", "SequencingKit", "IonChefPrepKit"))
_PGM, _PROTON = (Q(instrumentType__in=("", name)) for name in ("pgm", "proton"))
_LIBRARY_PREP_ON_CHEF = Q(kitType="LibraryPrepKit", samplePrep_instrumentType__icontains="IC")

_VIEWS: tuple[tuple[str, Any, Q], ...] = (
    ("activeioncheflibraryprepkitinfo", _PlainKit, _LIBRARY_PREP_ON_CHEF & _ACTIVE),
    ("activeionchefprepkitinfo", _PlainKit, _CHEF & _ACTIVE),
    ("activelibrarykitinfo", _PlainKit, _LIBRARY & _ACTIVE),
    ("activepgmlibrarykitinfo", _PlainKit, _LIBRARY & _ACTIVE & _PGM),
    ("activepgmsequencingkitinfo", KitInfo, _SEQUENCING & _ACTIVE & _PGM),
    ("activeprotonlibrarykitinfo", _PlainKit, _LIBRARY & _ACTIVE & _PROTON),
    ("activeprotonsequencingkitinfo", KitInfo, _SEQUENCING & _ACTIVE & _PROTON),
    ("activesequencingkitinfo", KitInfo, _SEQUENCING & _ACTIVE),
    ("ionchefprepkitinfo", _PlainKit, _CHEF),
    ("librarykitinfo", _PlainKit, _LIBRARY),
    ("sequencingkitinfo", KitInfo, _SEQUENCING),
)
for _name, _base, _where in _VIEWS:
    new_class(_name, (_base,), {"rows": models.KitInfo, "name": _name, "where": _where, "filters": ()})


class Chip(Table, rows=models.Chip):
    def dehydrate(self, bundle):
        """Add the chip's command lines, where its default set of arguments has them."""
        bundle.data.update(_default_arguments(bundle.request).get(bundle.obj.name, {}))
        return bundle


def _default_arguments(request):
    """Command lines by chip, read once per request."""
    if not hasattr(request, "default_arguments"):
        rows = models.AnalysisArgs.objects.filter(chip_default=True, active=True).order_by("-pk")
        request.default_arguments = {row.chipType: {name: getattr(row, name) for name in ARGUMENTS} for row in rows}
    return request.default_arguments


class ApplicationGroup(Table, rows=models.ApplicationGroup):
    applications = Many("runtype", nested=True, null=True)


class RunType(Table, rows=models.RunType):
    applicationGroups = Many("applicationgroup", null=True)


class ApplProduct(Table, rows=models.ApplProduct):
    appl = One("runtype", nested=True)
    applicationGroup = One("applicationgroup", nested=True, null=True)
    defaultSeqKit = One("kitinfo", nested=True, null=True)
    defaultLibKit = One("kitinfo", nested=True, null=True)
    defaultControlSeqKit = One("kitinfo", null=True)
    defaultIonChefPrepKit = One("kitinfo", null=True)
    defaultIonChefSequencingKit = One("kitinfo", null=True)
    defaultSamplePrepKit = One("kitinfo", null=True)
    defaultTemplateKit = One("kitinfo", null=True)


class AnalysisArgs(Table, rows=models.AnalysisArgs):
    creator = One("user", nested=True, null=True)
    lastModifiedUser = One("user", nested=True, null=True)
    applType = One("runtype", nested=True, null=True)
    applGroup = One("applicationgroup", nested=True, null=True)

    @route("getargs/", "GET")
    def getargs(self, request):
        """The 14 command lines of a plan, or those that fit the chip, kits and application of the parameters best."""
        asked, plan, custom = request.GET, None, None
        if asked.get("planGUID"):
            plan = models.PlannedExperiment.objects.filter(planGUID=asked["planGUID"]).order_by("-pk").first()
            if plan is None:
                raise Refusal(404, {"error": "There is no plan of that GUID."})
            settings, run = settings_of(plan), run_of(plan)
            if settings is not None and settings.custom_args:
                custom = {name: getattr(settings, name) for name in ARGUMENTS}
        if custom is not None:
            return custom
        planned = {} if plan is None else _planned(plan, run, settings)
        lists = Lists()
        values = {name: _asked(asked, names) or planned.get(name) or "" for name, names in _ASKED_AS.items()}
        group = lists.group(_asked(asked, _GROUP)) if _asked(asked, _GROUP) else None
        group_key = group.pk if group is not None else plan and plan.applicationGroup_id
        return arguments_for(values["chipType"], criteria_of(values.get, lists, group_key))


# What parameters of `getargs` may call what the choice depends on, by the names that plans use.
_ASKED_AS = {
    "chipType": ("chipType",),
    "sequencekitname": ("sequenceKitName", "sequencekitname"),
    "templatingKitName": ("templateKitName", "templatingKitName"),
    "librarykitname": ("libraryKitName", "librarykitname"),
    "samplePrepKitName": ("samplePrepKitName",),
    "runType": ("applType", "runType"),
}
_GROUP = ("applGroup", "applicationGroupDisplayedName")


def _asked(parameters, names):
    return next((parameters[name] for name in names if parameters.get(name)), "")


def _planned(plan, run, settings):
    """What the choice of a plan's command lines depends on."""
    values = {name: getattr(plan, name) for name in ("templatingKitName", "samplePrepKitName", "runType")}
    if run is not None:
        values |= {"chipType": run.chipType, "sequencekitname": run.sequencekitname}
    if settings is not None:
        values["librarykitname"] = settings.libraryKitName
    return values


class LibraryKey(Table, rows=models.LibraryKey):
    pass


class ThreePrimeAdapter(Table, rows=models.ThreePrimeAdapter):
    pass


class Template(Table, rows=models.Template):
    def errors(self, bundle):
        """Name, key and sequence are needed; no two official ones have the same name and key."""
        row = bundle.obj
        wrong = {name: ["This field is required."] for name in ("name", "key", "sequence") if not getattr(row, name)}
        twins = models.Template.objects.filter(name=row.name, key=row.key, isofficial=True).exclude(pk=row.pk)
        if not wrong and row.isofficial and twins.exists():
            wrong["__all__"] = ["An official template with this name and key exists."]
        return wrong


class DnaBarcode(Table, rows=models.DnaBarcode):
    def narrow(self, request, rows):
        """With ``distinct=1`` the first row of each set."""
        if request.GET.get("distinct") != "1":
            return rows
        first = rows.order_by("name", "index", "pk").values_list("name", "pk")
        return rows.filter(pk__in={name: key for name, key in reversed(first)}.values())

    def asked_for(self, request):
        rows = super().asked_for(request)
        sets = request.GET.get("distinct") == "1" and "order_by" not in request.GET
        return rows.order_by("name", "pk") if sets else rows


class CommonCV(Table, rows=models.CommonCV, name="common_cv"):
    pass


class QCType(Table, rows=models.QCType):
    pass


class ReferenceGenome(
    Table, rows=models.ReferenceGenome, hidden=("genome_length",), limit=0, mesh=True, order=("short_name",)
):
    def narrow(self, request, rows):
        """Only rows of today's kind of index; with ``special=1`` also those without one."""
        kinds = [CURRENT_INDEX, ""] if request.GET.get("special") else [CURRENT_INDEX]
        return rows.filter(index_version__in=kinds)
