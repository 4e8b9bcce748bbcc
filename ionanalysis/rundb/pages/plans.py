"""Plans and templates: lists, and the editor. What is written goes through the API's own rules."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Q
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from ionanalysis.rundb.models import PlannedExperiment
from ionanalysis.rundb.pages.inside import ask, messages_of
from ionanalysis.rundb.pages.installed import chosen_plugins, pages_of, plugins
from ionanalysis.rundb.pages.plan_form import PlanForm, held_by
from ionanalysis.rundb.protocol import number_of

_IN_A_PAGE = 25
_KINDS = {
    "planned": ("Plans", Q(isReusable=False, planExecuted=False)),
    "run": ("Plans that have run", Q(isReusable=False, planExecuted=True)),
    "templates": ("Templates", Q(isReusable=True)),
}
# Fields of the API that stand elsewhere in the form.
_PLACES = {
    "planDisplayedName": "planName",
    "barcodedSamples": "samples",
    "project": "projects",
    "applicationGroup": "applicationGroupDisplayedName",
}


@login_required
@require_safe
def plan_list(request):
    kind = request.GET.get("kind") if request.GET.get("kind") in _KINDS else "planned"
    text = request.GET.get("q", "").replace("\0", "").strip()[:200]
    plans = PlannedExperiment.objects.filter(_KINDS[kind][1]).select_related("experiment", "latestEAS")
    if text:
        plans = plans.filter(
            Q(planName__icontains=text) | Q(planDisplayedName__icontains=text) | Q(planShortID__iexact=text)
        )
    page = Paginator(plans.prefetch_related("projects").order_by("-pk"), _IN_A_PAGE).get_page(request.GET.get("page"))
    kinds = [(key, words) for key, (words, _) in _KINDS.items()]
    return render(request, "plans.html", {"page": page, "kinds": kinds, "kind": kind, "q": text})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new_plan(request):
    """A new plan; with ``of=NUMBER`` it begins as a copy of that one."""
    source = _source(request)
    held, kept = {}, {}
    if source is not None:
        held, kept = held_by(source), chosen_plugins(source)
        is_made_of_template = source.isReusable
        held |= {"isReusable": False, "planName": "" if is_made_of_template else f"CopyOf_{held['planName']}"[:60]}
    elif "template" in request.GET:
        held = {"isReusable": True}
    form = PlanForm(request.POST or None, initial=held)
    if request.method == "POST" and form.is_valid():
        answer = ask(request, "POST", "plannedexperiment/", {**form.told(kept), "origin": "gui"})
        if answer.is_good:
            return _stored(request, answer, form)
        _add_errors(form, answer)
    title = "New template" if held.get("isReusable") else "New plan"
    return render(request, "plan.html", {"form": form, "title": title, "plan": None}, status=_status(form))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit_plan(request, pk):
    """A plan; one that has run can only be looked at and copied."""
    plan = get_object_or_404(PlannedExperiment.objects.select_related("experiment", "latestEAS"), pk=pk)
    if request.method == "POST" and plan.planExecuted:
        messages.error(request, "This plan has run already; copy it.")
        return redirect("plan", pk)
    form = PlanForm(request.POST or None, initial=held_by(plan))
    if request.method == "POST" and form.is_valid():
        answer = ask(request, "PATCH", f"plannedexperiment/{pk}/", form.told(chosen_plugins(plan)))
        if answer.is_good:
            return _stored(request, answer, form)
        _add_errors(form, answer)
    chosen = chosen_plugins(plan)
    content = {
        "form": form,
        "title": plan.planDisplayedName or plan.planName,
        "plan": plan,
        "configured": [plugin for plugin in plugins().filter(name__in=list(chosen)) if "plan" in pages_of(plugin)],
    }
    return render(request, "plan.html", content, status=_status(form))


@login_required
@require_POST
def delete_plan(request, pk):
    """Delete a plan that has not run: with one that has, its run and reports would go."""
    plan = get_object_or_404(PlannedExperiment, pk=pk)
    if plan.planExecuted:
        messages.error(request, "This plan has run; with it, its run and reports would be deleted. It stays.")
        return redirect("plan", pk)
    answer = ask(request, "DELETE", f"plannedexperiment/{pk}/")
    if not answer.is_good:
        messages.error(request, " ".join(text for texts in answer.messages.values() for text in texts))
        return redirect("plan", pk)
    messages.success(request, f"{plan.planDisplayedName or plan.planName} is deleted.")
    return redirect("plans")


def _source(request):
    wanted = request.GET.get("of", "")
    if not wanted:
        return None
    rows = PlannedExperiment.objects.select_related("experiment", "latestEAS")
    return get_object_or_404(rows, pk=number_of(wanted))


def _stored(request, answer, form):
    """On to the list, with what the API warns of."""
    name = form.cleaned_data["planName"]
    messages.success(request, f"{name} is saved.")
    warnings = (answer.data or {}).get("Warnings") or {}
    for field, sentences in messages_of(warnings).items():
        messages.warning(request, f"{_label(form, field)}: {' '.join(sentences)}")
    kind = "templates" if form.cleaned_data["isReusable"] else "planned"
    response = redirect("plans")
    response["Location"] += f"?kind={kind}"
    return response


def _label(form, field):
    place = _PLACES.get(field, field)
    return form.fields[place].label if place in form.fields else field


def _add_errors(form, answer):
    told = set()
    for field, sentences in answer.messages.items():
        place = _PLACES.get(field, field)
        for sentence in sentences:
            text = sentence if place in form.fields or not field else f"{field}: {sentence}"
            if (place, text) not in told:
                told.add((place, text))
                form.add_error(place if place in form.fields else None, text)


def _status(form):
    return 400 if form.is_bound and form.errors else 200
