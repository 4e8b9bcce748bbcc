"""What all resources of planned runs share: parameters of their own, and writing of all that belongs to a plan."""

import json

from django.db.models import Q

from ionanalysis.rundb import models
from ionanalysis.rundb.plans.lists import Lists
from ionanalysis.rundb.plans.make import complete, projects_named, store
from ionanalysis.rundb.plans.normalise import normalised
from ionanalysis.rundb.plans.rules import check
from ionanalysis.rundb.protocol import RESOURCES, Refusal, Table, number_of
from ionanalysis.rundb.protocol.answers import quoted

# Kept by `store`, or under rows that `written` sets.
_ELSEWHERE = ("projects", "parentPlan", "experiment", "thresholds")


class Planning(Table):
    """A resource over plans. Those that are `checked` refuse what breaks a rule (rest-api.md 7.2)."""

    checked = False

    def filters_among(self, parameters):
        """Without ``platform`` and ``instrument``; ``chipBarcode`` is a column of the run (rest-api.md 2.9)."""
        for name in list(parameters):
            if name in ("platform", "instrument", "combinedLibraryTubeLabel"):
                del parameters[name]
            elif name.split("__")[0] == "chipBarcode":
                parameters.setlist(f"experiment__{name}", parameters.pop(name))
        return parameters

    def narrow(self, request, rows):
        self.report_asked(request)
        asked = request.GET
        for name in ("platform", "instrument"):
            if asked.get(name):
                rows = rows.filter(Q(experiment__platform="") | Q(experiment__platform__iexact=asked[name]))
        if asked.get("name_or_id"):
            text = asked["name_or_id"]
            columns = ("planName", "planDisplayedName", "planShortID")
            is_named = Q()
            for column in columns:
                is_named |= Q(**{f"{column}__icontains": text})
            rows = rows.filter(is_named)
        if asked.get("combinedLibraryTubeLabel"):
            labelled = models.SampleSet.objects.filter(
                combinedLibraryTubeLabel__icontains=asked["combinedLibraryTubeLabel"]
            )
            rows = rows.filter(pk__in=labelled.values("plans"))
        return rows

    def report_asked(self, request):
        """The report that ``for_report`` names, or None.

        Raises
        ------
        Refusal
            400 if there is no such report.
        """
        text = request.GET.get("for_report")
        if text is None:
            return None
        if not hasattr(request, "report_of_settings"):
            rows = models.Results.objects.select_related("eas").filter(pk=number_of(text))
            request.report_of_settings = rows.first()
        if request.report_of_settings is None:
            raise Refusal(400, {"error": quoted(f"There is no report {text}.")})
        return request.report_of_settings

    def received(self, request, data, row):
        lists = Lists()
        plans = RESOURCES["plannedexperiment"]()
        stored = plans.shown(request, row, in_list=False).data if row is not None else None
        draft = normalised(data, lists, stored)
        if self.checked:
            check(draft, lists)
        if draft.errors:
            raise Refusal(400, {"error": quoted(json.dumps(draft.errors))})
        complete(draft, lists)
        for relation in ("applicationGroup", "sampleGrouping"):
            if hasattr(draft.given.get(relation), "pk"):
                draft.given[relation] = self.fields[relation].to_class.address(draft.given[relation].pk)
        kept = {name: value for name, value in draft.given.items() if name not in _ELSEWHERE}
        return kept | {"draft": draft, "lists": lists}

    def written(self, bundle, *, created):
        """Store the run, settings, samples, thresholds and projects, and what is to be told of the plan."""
        plan, draft = bundle.obj, bundle.data["draft"]
        run = self._pointed("experiment", "experiment", draft) if created else None
        # A run stays with its plan, also when that plan's object is sent once more as a new one.
        store(plan, draft, bundle.data["lists"], run if run is not None and run.plan_id is None else None)
        if "parentPlan" in draft.given:
            plan.parentPlan = self._pointed("parentPlan", "plannedexperiment", draft)
            plan.save(update_fields=["parentPlan"])
        if "projects" in draft.given:
            plan.projects.set(projects_named(draft.given["projects"], bundle.request.user))
        plan.told = {"Warnings": draft.warnings}

    def _pointed(self, name, resource, draft):
        """The row that an address in the data points to, or None.

        Raises
        ------
        Refusal
            400 if there is none.
        """
        value = draft.given.get(name)
        uri = value.get("resource_uri") if isinstance(value, dict) else value
        if not uri:
            return None
        row = RESOURCES[resource]().at(uri)
        if row is None:
            message = f"Could not find the provided object via resource URI '{uri}'."
            raise Refusal(400, {"error": quoted(message)})
        return row
