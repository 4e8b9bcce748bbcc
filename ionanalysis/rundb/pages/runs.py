"""The list of runs: searched, chosen, ordered and cut into pages by the database."""

from dataclasses import dataclass
from datetime import UTC, datetime, time
from types import SimpleNamespace
from urllib.parse import urlencode

from django import forms
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import F, OuterRef, Prefetch, Q, Subquery
from django.shortcuts import render
from django.views.decorators.http import require_safe

from ionanalysis.rundb.api.run_lists import COMPLETED, ERROR, OTHER, PROGRESS, narrowed_runs
from ionanalysis.rundb.models import Chip, Project, Results, Sample
from ionanalysis.rundb.protocol import RESOURCES

_IN_A_PAGE = 25
_STATES = {COMPLETED: "completed", ERROR: "with an error", PROGRESS: "in progress", OTHER: "other"}


@dataclass(frozen=True)
class Column:
    """A column of the list.

    Attributes
    ----------
    key : str
        Its name in addresses.
    title : str
    path : str
        What it is ordered by: a path of the run, or of its report.
    of_report : bool
    """

    key: str
    title: str
    path: str
    of_report: bool = False


COLUMNS = (
    Column("name", "Run", "expName"),
    Column("chip", "Chip", "chipType"),
    Column("date", "Date", "date"),
    Column("project", "Project", "projects__name", True),
    Column("reference", "Reference", "reference", True),
    Column("barcodes", "Barcodes", "eas__barcodeKitName", True),
    Column("reads", "Reads", "qualitymetrics__q0_reads", True),
    Column("loading", "Loading %", "analysismetrics__loading", True),
    Column("length", "Mean length", "qualitymetrics__q0_mean_read_length", True),
    Column("signal", "Key signal", "libmetrics__aveKeyCounts", True),
    Column("status", "Status", "status", True),
)
NUMBERS = ("reads", "loading", "length", "signal")


class ChoiceOfRuns(forms.Form):
    """What the list is narrowed to; nothing is needed, and what is wrong is left out."""

    q = forms.CharField(label="Search", max_length=200, required=False, widget=forms.SearchInput)
    project = forms.ModelChoiceField(Project.objects.order_by("name"), required=False, empty_label="all projects")
    chip = forms.ChoiceField(required=False)
    status = forms.ChoiceField(choices=[("", "any status"), *_STATES.items()], required=False)
    since = forms.DateField(label="From", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label="To", required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        chips = Chip.objects.order_by("name").values_list("name", flat=True)
        self.fields["chip"].choices = [("", "all chips"), *((chip, chip) for chip in dict.fromkeys(chips))]


def _runs():
    """The runs that the API lists for a page, too."""
    return RESOURCES["compositeexperiment"]().rows()


@login_required
@require_safe
def run_list(request):
    """The page."""
    form = ChoiceOfRuns(request.GET or None)
    form.is_valid()
    chosen = form.cleaned_data if form.is_bound else {}
    order = request.GET.get("order", "-date")
    runs = _ordered(_chosen(_runs(), chosen), order)
    page = Paginator(runs.prefetch_related(_reports()), _IN_A_PAGE).get_page(request.GET.get("page"))
    for run in page:
        reports = list(run.results_set.all())
        run.shown = reports[0] if reports else None
        run.further = reports[1:]
    kept = {name: value for name, value in request.GET.items() if name not in ("order", "page") and value}
    content = {
        "form": form,
        "is_chosen": any(chosen.values()),
        "page": page,
        "columns": [_heading(column, order, kept) for column in COLUMNS],
        "pages": urlencode({**kept, "order": order}),
        "order": order,
    }
    return render(request, "runs.html", content)


def _reports():
    """The reports of each run, that which stands for it first."""
    reports = Results.objects.select_related("eas", "analysismetrics", "libmetrics", "qualitymetrics")
    reports = reports.prefetch_related("projects").order_by("-representative", "-pk")
    return Prefetch("results_set", reports)


def _chosen(runs, chosen):
    text = (chosen.get("q") or "").replace("\0", "").strip()
    for word in text.split():
        reports = Results.objects.filter(resultsName__icontains=word).values("experiment")
        runs = runs.filter(
            Q(expName__icontains=word)
            | Q(displayName__icontains=word)
            | Q(notes__icontains=word)
            | Q(chipBarcode__iexact=word)
            | Q(chipType__iexact=word)
            | Q(plan__planShortID__iexact=word)
            | Q(pk__in=reports)
            | Q(pk__in=Sample.objects.filter(name__icontains=word).values("experiments"))
        )
    if chosen.get("project"):
        runs = runs.filter(pk__in=Results.objects.filter(projects=chosen["project"]).values("experiment"))
    if chosen.get("chip"):
        runs = runs.filter(chipType=chosen["chip"])
    if chosen.get("status"):
        runs = narrowed_runs({"result_status": chosen["status"]}, runs)
    if chosen.get("since"):
        runs = runs.filter(date__gte=_moment(chosen["since"], time.min))
    if chosen.get("until"):
        runs = runs.filter(date__lte=_moment(chosen["until"], time.max))
    return runs


def _moment(day, hour):
    return datetime.combine(day, hour, UTC)


def _ordered(runs, order):
    descending = order.startswith("-")
    column = next((one for one in COLUMNS if one.key == order.lstrip("-")), COLUMNS[2])
    path = column.path
    if column.of_report:
        shown = Results.objects.filter(experiment=OuterRef("pk")).order_by("-representative", "-pk")
        runs = runs.annotate(order_value=Subquery(shown.values(path)[:1]))
        path = "order_value"
    key = F(path).desc(nulls_last=True) if descending else F(path).asc(nulls_last=True)
    return runs.order_by(key, "-pk")


def _heading(column, order, kept):
    """A column's title, and the address that orders by it, or turns the order round."""
    is_current = order.lstrip("-") == column.key
    is_descending = is_current and order.startswith("-")
    turned = column.key if is_descending or not (is_current or column.key in (*NUMBERS, "date")) else f"-{column.key}"
    return SimpleNamespace(
        key=column.key,
        title=column.title,
        is_number=column.key in NUMBERS,
        address="?" + urlencode({**kept, "order": turned}),
        sorting={True: "descending", False: "ascending"}[is_descending] if is_current else "",
    )
