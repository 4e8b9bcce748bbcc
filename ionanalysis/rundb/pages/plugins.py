"""Pages of plugins, in sandboxed frames, at the addresses that they know (plugin.md 4)."""

import json
from pathlib import Path
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from ionanalysis.errors import IonAnalysisError
from ionanalysis.plugin.ask import validate_plugin
from ionanalysis.plugin.web.access import FrameScope
from ionanalysis.plugin.web.files import FRAME_POLICY
from ionanalysis.plugin.web.frames import ACTIONS, SANDBOX, frame_page, nothing_to_show, page_text
from ionanalysis.plugin.web.table import launch_table
from ionanalysis.rundb.models import PlannedExperiment, Plugin, Results
from ionanalysis.rundb.pages.inside import ask
from ionanalysis.rundb.pages.installed import chosen_plugins, folder_of, pages_of, plugins, record_of, selection
from ionanalysis.rundb.pages.tokens import tokens
from ionanalysis.rundb.pages.visitors import for_known
from ionanalysis.rundb.protocol import number_of

_WORDS = {"config": "configure", "about": "about"}


def plugin_of(key):
    """The active plugin with that number or name."""
    rows = plugins()
    if "\0" in key:
        raise Http404
    number = number_of(key)
    plugin = rows.filter(name=key).first() if number is None else rows.filter(pk=number).first()
    if plugin is None:
        raise Http404
    return plugin


@login_required
@require_safe
def plugin_list(request):
    listed = []
    for plugin in plugins():
        pages = [(action, _WORDS[action]) for action in pages_of(plugin) if action in _WORDS]
        listed.append({"row": plugin, "docs": plugin.description.partition("\n\n")[0], "pages": pages})
    return render(request, "plugins.html", {"plugins": listed})


@login_required
@require_safe
def plugin_page(request, key, action):
    """Our page around the configuration or the description of a plugin."""
    if action not in _WORDS:
        raise Http404
    plugin = plugin_of(key)
    content = {
        "title": f"{plugin.name}: {_WORDS[action]}",
        "data": {"back": "/plugins/"},
        "source": frame_address(request, plugin, action),
    }
    return _around(request, content)


@login_required
@require_safe
def plan_plugin(request, pk, key):
    """Our page around a plugin's page for plans."""
    plan, plugin = get_object_or_404(PlannedExperiment, pk=pk), plugin_of(key)
    saved = chosen_plugins(plan).get(plugin.name, {}).get("userInput") or None
    group = plan.applicationGroup.name if plan.applicationGroup else ""
    content = {
        "title": f"{plugin.name} for {plan.planDisplayedName or plan.planName}",
        "back": (f"/plans/{pk}/", "the plan"),
        "data": {"back": f"/plans/{pk}/", "save": f"/plans/{pk}/plugin/{plugin.pk}/save/", "saved": json.dumps(saved)},
        "source": frame_address(request, plugin, "plan", applicationGroup=group, runType=plan.runType),
        "button": ("save", "Save"),
    }
    return _around(request, content)


@login_required
@require_POST
def save_plan_plugin(request, pk, key):
    """Keep what a plugin's page for plans holds with the plan, unless the plugin finds something wrong with it."""
    plan, plugin = get_object_or_404(PlannedExperiment, pk=pk), plugin_of(key)
    try:
        config = json.loads(request.body)
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        return JsonResponse({"issues": ["A configuration must be an object."], "said": ""}, status=400)
    issues = _issues(plugin, config)
    if not issues:
        chosen = chosen_plugins(plan)
        chosen[plugin.name] = {**selection(plugin), **chosen.get(plugin.name, {}), "userInput": config}
        answer = ask(request, "PATCH", f"plannedexperiment/{pk}/", {"selectedPlugins": chosen})
        issues = [sentence for sentences in answer.messages.values() for sentence in sentences]
    return JsonResponse({"issues": issues, "said": "Saved with the plan."})


@csrf_exempt  # `for_known` demands the token of a session
@for_known
@require_POST
def validate(request, key):
    """What a plugin finds wrong with a configuration: ``{"issues": [...]}`` (plugin.md 4.5)."""
    plugin = plugin_of(key)
    try:
        asked = json.loads(request.body)
    except (ValueError, RecursionError):
        asked = None
    config = asked.get("configuration") or {} if isinstance(asked, dict) else None
    mode = asked.get("run_mode", "manual") if isinstance(asked, dict) else ""
    if not isinstance(config, dict) or mode not in ("manual", "pipeline"):
        return JsonResponse({"error": "'configuration' is an object, 'run_mode' manual or pipeline."}, status=400)
    return JsonResponse({"issues": _issues(plugin, config, mode)})


def _issues(plugin, config, mode="pipeline"):
    try:
        return validate_plugin(record_of(plugin), config, mode)
    except IonAnalysisError as problem:
        return [str(problem)]


@login_required
@require_safe
def launch_page(request, pk, key):
    """Our page around a plugin's page for a report, with its barcode table."""
    report, plugin = get_object_or_404(Results, pk=pk), plugin_of(key)
    problem, columns, rows = "", [], []
    try:
        columns, rows = _table(report, plugin)
    except IonAnalysisError as error:
        problem = str(error)
    has_page = "report" in pages_of(plugin)
    content = {
        "title": f"Run {plugin.name}",
        "back": (f"/report/{pk}/", report.resultsName),
        "data": {
            "back": f"/report/{pk}/",
            "plugin": plugin.name,
            "launch": f"/rundb/api/v1/results/{pk}/plugin/",
            "columns": json.dumps(columns),
            "rows": json.dumps(rows),
        },
        "source": frame_address(request, plugin, "report", report=pk) if has_page else "",
        # Without a table there is nothing to send along: a plain form starts it.
        "button": ("start", "Start") if columns and not has_page else None,
        "starts": None if columns or has_page else (f"/report/{pk}/launch/", plugin.pk),
        "has_table": bool(columns),
        "problem": problem,
    }
    return _around(request, content)


@for_known
@require_safe
def barcode_table(request, pk, key):
    """Columns and rows of the table, for pages that ask for it."""
    try:
        columns, rows = _table(get_object_or_404(Results, pk=pk), plugin_of(key))
    except IonAnalysisError as problem:
        return JsonResponse({"error": str(problem)}, status=400)
    return JsonResponse({"columns": columns, "data": rows})


def _table(report, plugin):
    """Both empty where nothing says that the plugin has one."""
    if not report.folder:
        return [], []
    plan = report.experiment.plan if report.experiment else None
    saved = chosen_plugins(plan).get(plugin.name, {}).get("userInput") if plan else None
    return launch_table(Path(report.folder), record_of(plugin), saved if isinstance(saved, dict) else {})


def _around(request, content):
    defaults = {"back": ("/plugins/", "Plugins"), "button": None, "has_table": False, "problem": "", "sandbox": SANDBOX}
    return render(request, "frame.html", {**defaults, **content})


def frame_address(request, plugin, action, report=0, **query):
    """Where a frame finds a plugin's page, for the user who looks at it."""
    token = tokens().frame_token(FrameScope(plugin.pk, action, report, request.user.pk))
    told = {"token": token} | ({"report": report} if report else {}) | query
    return f"/configure/plugins/plugin/{plugin.pk}/configure/{action}/?{urlencode(told)}"


@require_safe
def frame(request, key, action):
    """A plugin's page itself."""
    token = request.GET.get("token")
    scope = tokens().frame_scope(token)
    plugin = Plugin.objects.filter(pk=scope.plugin, active=True).first() if scope else None
    if plugin is None or action not in ACTIONS or key not in (str(plugin.pk), plugin.name) or action != scope.action:
        return HttpResponse("Open this page from the list of plugins.", status=403, content_type="text/plain")
    request.user = User.objects.filter(pk=scope.user, is_active=True).first()
    if request.user is None:
        return HttpResponse("Log in again.", status=403, content_type="text/plain")
    folder = folder_of(plugin.name)
    text = page_text(folder, action) if folder is not None else None
    plan = {name: request.GET.get(name, "") for name in ("applicationGroup", "runType")}
    told = _variables(request, plugin, scope)
    page = frame_page(nothing_to_show(action) if text is None else text, told, plan, token)
    headers = {
        "Content-Security-Policy": FRAME_POLICY,
        "X-Frame-Options": "SAMEORIGIN",
        "Referrer-Policy": "no-referrer",
    }
    return HttpResponse(page, headers=headers)


def _variables(request, plugin, scope):
    """What a page finds in `window` (plugin.md 4.2)."""
    told = {
        "TB_plugin": _object(request, "plugin", plugin.pk),
        "TB_pluginMedia": f"/pluginMedia/{plugin.name}/",
        "TB_user": request.user.username,
        "TB_TMAP": "tmap-f3",
    }
    if scope.result:
        result = _object(request, "results", scope.result)
        # Such objects name what a row leads to by its number.
        columns = ("experiment", "eas", "reportstorage", "parentResult")
        leads = Results.objects.filter(pk=scope.result).values(*columns).first() or {}
        result["fields"] |= leads
        told |= {"TB_result": scope.result, "TB_result_json": result}
    return told


def _object(request, name, pk):
    """A row as such pages know it: its number, its table, and the object of the API."""
    fields = ask(request, "GET", f"{name}/{pk}/").data or {}
    return {"pk": str(pk) if name == "plugin" else pk, "model": f"rundb.{name}", "fields": fields}
