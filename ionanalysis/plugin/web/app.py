"""The server's addresses: those that plugins' pages know (plugin.md 4), and our own pages around them."""

import json
from pathlib import Path
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from ionanalysis.errors import IonAnalysisError
from ionanalysis.plugin.ask import NoSuchFunctionError, call_extension, validate_plugin
from ionanalysis.plugin.web.access import COOKIE, TOKEN_HEADER, FrameScope
from ionanalysis.plugin.web.answers import BODY_LIMIT, Call, as_json, for_frames, public, public_file, whole_body
from ionanalysis.plugin.web.files import (
    CLOSED,
    FRAME_POLICY,
    HEIGHT_SCRIPT,
    SCRIPTS,
    NotFoundError,
    file_below,
    jquery,
    kind_of,
    script_of_pages,
)
from ionanalysis.plugin.web.frames import ACTIONS, SANDBOX, frame_page, nothing_to_show
from ionanalysis.plugin.web.site import PAGES

_OWN_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self'; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_WORDS = {"config": "configure", "plan": "configure for runs", "about": "about"}


def make_app(site, access, hosts):
    """The ASGI application.

    Parameters
    ----------
    site : PluginSite
    access : Access
    hosts : set of str
        Values of the Host header that are answered: a name that leads here by a trick is not.
    """
    return _App(site, access, hosts).starlette()


class _App:
    def __init__(self, site, access, hosts):
        self.site = site
        self.access = access
        self.hosts = hosts
        self.pages = Environment(
            loader=PackageLoader("ionanalysis.plugin.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )

    def starlette(self):
        api = "/rundb/api/v1"
        table = [
            ("/", self.index, ["GET"], "key"),
            ("/plugins/{plugin}/{action}/", self.plugin_page, ["GET"], "key"),
            ("/plugins/{plugin}/plan/save/", self.save_plan, ["POST"], "key"),
            ("/report/{result:int}/", self.report, ["GET"], "key"),
            ("/report/{result:int}/plugin/{plugin}/", self.launch_page, ["GET"], "key"),
            ("/report/{result:int}/plugin/{plugin}/plugin_barcodes_table", self.table, ["GET"], "both"),
            ("/configure/plugins/plugin/{plugin}/configure/{action}/", self.frame, ["GET"], "frame"),
            ("/output/{token}/{path:path}", self.output, ["GET"], "open"),
            ("/pluginMedia/{name}/{path:path}", self.media, ["GET"], "open"),
            ("/site_media/{path:path}", self.site_media, ["GET"], "open"),
            ("/static/{name}", self.static, ["GET"], "open"),
            (f"{api}/plugin/", self.plugins, ["GET"], "both"),
            (f"{api}/plugin/{{plugin}}/", self.plugin, ["GET", "PUT"], "both"),
            (f"{api}/plugin/{{plugin}}/validate/", self.validate, ["POST"], "both"),
            (f"{api}/plugin/{{plugin}}/type/", self.plugin_type, ["GET"], "both"),
            (f"{api}/plugin/{{plugin}}/extend/{{function}}/", self.extend, ["GET", "POST", "PUT", "DELETE"], "both"),
            (f"{api}/results/{{result:int}}/", self.result, ["GET"], "both"),
            (f"{api}/results/{{result:int}}/plugin/", self.launch, ["POST"], "both"),
            (f"{api}/results/{{result:int}}/pluginresults/", self.plugin_results, ["GET"], "both"),
            (f"{api}/pluginresult/{{result:int}}-{{number:int}}/stop/", self.stop, ["GET"], "key"),
        ]
        routes = [
            Route(path, self._guarded(work, who), methods=[*methods, "OPTIONS"]) for path, work, methods, who in table
        ]
        return Starlette(routes=routes)

    def _guarded(self, work, who):
        """A handler that answers only those who may ask, and errors in words."""

        async def answer(request):
            if request.headers.get("host", "") not in self.hosts:
                return Response("This server answers under its own name only.", 421, media_type="text/plain")
            if request.method == "OPTIONS":
                return for_frames(Response(status_code=204), request)
            call = Call(request, await whole_body(request))
            try:
                if call.body is None:
                    return Response(f"The request is larger than {BODY_LIMIT >> 20} MiB.", 413)
                refused = self._admit(call, who)
                # What plugins are asked, and files, take their time: not in the server's own thread.
                response = refused or await run_in_threadpool(work, call)
            except (NotFoundError, NoSuchFunctionError) as error:
                response = as_json({"error": str(error)}, 404)
            except IonAnalysisError as error:
                response = as_json({"error": str(error)}, 400)
            return for_frames(response, request)

        return answer

    def _admit(self, call, who):
        """A refusal, or nothing: then `call.scope` says for which plugin page it speaks, None for the person."""
        request = call.request
        if who == "open":
            return None
        token = request.headers.get(TOKEN_HEADER) or (call.query.get("token") if who == "frame" else None)
        if token and who in ("both", "frame"):
            call.scope = self.access.frame_scope(token)
            return None if call.scope else Response("This page is not of this server any more; load it again.", 403)
        if who == "frame":
            return Response("Open this page from the list of plugins.", 403)
        if who == "key" and self.access.is_key(call.query.get("key")):
            rest = {name: value for name, value in call.query.items() if name != "key"}
            response = RedirectResponse(request.url.path + (f"?{urlencode(rest)}" if rest else ""), 303)
            response.set_cookie(COOKIE, self.access.key, httponly=True, samesite="strict")
            return response
        if not self.access.is_key(request.cookies.get(COOKIE)):
            return Response("Open the address that the server printed when it started.", 403, media_type="text/plain")
        # Another site's page could send the cookie with a plain form, if a browser is old; it cannot set this.
        if request.method != "GET" and request.headers.get("x-requested-with") != "ionanalysis":
            return Response("Requests that change something come from the pages of this server.", 403)
        return None

    # Our own pages

    def index(self, call):
        plugins = [
            {
                "id": record.id,
                "name": record.name,
                "version": record.version,
                "docs": record.info.docs.partition("\n\n")[0],
                "pages": [(action, _WORDS[action]) for action in PAGES if action in record.info.pages],
            }
            for record in self.site.store.installed()
        ]
        return self._page("index", "Plugins", plugins=plugins, results=list(self.site.results.items()))

    def plugin_page(self, call):
        record, action = self.site.plugin(call.path["plugin"]), call.path["action"]
        if action not in PAGES:
            raise NotFoundError(f"{action}: is no page of plugins.")
        data, button = {"back": "/"}, None
        if action == "plan":
            data = {"save": f"/plugins/{record.id}/plan/save/", "saved": json.dumps(self.site.plan_config(record))}
            button = ("save", "Save")
        source = self._frame_address(record, action, 0)
        return self._page("frame", f"{record.name}: {_WORDS[action]}", data, source=source, button=button)

    def save_plan(self, call):
        record = self.site.plugin(call.path["plugin"])
        issues = self.site.save_plan(record, call.json())
        said = (
            f"Saved. Give it to a run: ionanalysis run … --plugins {record.name} --plugin-config {self.site.plan_path}"
        )
        return as_json({"issues": issues, "said": said})

    def report(self, call):
        number = call.path["result"]
        results = self.site.plugin_results(number, self._output_address(number))
        data = {"results": f"/rundb/api/v1/results/{number}/pluginresults/"}
        title = f"Result {self.site.result_object(number)['resultsName'] or number}"
        plugins = self.site.store.installed()
        return self._page("report", title, data, number=number, results=results, plugins=plugins)

    def launch_page(self, call):
        number, record = call.path["result"], self.site.plugin(call.path["plugin"])
        problem, columns, rows = "", [], []
        try:
            columns, rows = self.site.barcode_table(number, record)
        except IonAnalysisError as error:
            problem = str(error)
        has_page = "report" in record.info.pages
        return self._page(
            "frame",
            f"Run {record.name}",
            {
                "back": f"/report/{number}/",
                "plugin": record.name,
                "launch": f"/rundb/api/v1/results/{number}/plugin/",
                "columns": json.dumps(columns),
                "rows": json.dumps(rows),
            },
            source=self._frame_address(record, "report", number) if has_page else "",
            button=None if has_page else ("start", "Start"),
            has_table=bool(columns),
            problem=problem,
        )

    def table(self, call):
        self._own(call, call.path["plugin"], call.path["result"])
        columns, rows = self.site.barcode_table(int(call.path["result"]), self.site.plugin(call.path["plugin"]))
        return as_json({"columns": columns, "data": rows})

    def _page(self, name, title, data=None, **content):
        defaults = {"source": "", "button": None, "has_table": False, "problem": "", "sandbox": SANDBOX}
        text = self.pages.get_template(f"{name}.html.jinja").render(
            title=title, data=data or {}, **{**defaults, **content}
        )
        return Response(text, media_type="text/html", headers={"Content-Security-Policy": _OWN_POLICY, **CLOSED})

    def _frame_address(self, record, action, result):
        query = {"token": self.access.frame_token(FrameScope(record.id, action, result))}
        if result:
            query["report"] = result
        return f"/configure/plugins/plugin/{record.id}/configure/{action}/?{urlencode(query)}"

    def _output_address(self, number):
        return f"/output/{quote(self.access.output_token(number))}"

    # Pages and files of plugins

    def frame(self, call):
        record, action = self.site.plugin(call.path["plugin"]), call.path["action"]
        if action not in ACTIONS or (record.id, action) != (call.scope.plugin, call.scope.action):
            return Response("Open this page from the list of plugins.", 403)
        text = self.site.page_text(record, action)
        if text is None:
            text = nothing_to_show(action)
        plan = {"applicationGroup": call.query.get("applicationGroup", ""), "runType": call.query.get("runType", "")}
        variables = {
            "TB_plugin": {"pk": str(record.id), "model": "rundb.plugin", "fields": self.site.plugin_object(record)},
            "TB_pluginMedia": f"/pluginMedia/{record.name}/",
            "TB_user": _user(),
            "TB_TMAP": "tmap-f3",
        }
        number = call.scope.result
        if number:
            shown = self.site.result_object(number)
            variables |= {
                "TB_result": number,
                "TB_result_json": {"pk": number, "model": "rundb.results", "fields": shown},
            }
        page = frame_page(text, variables, plan, self.access.frame_token(call.scope))
        return Response(page, media_type="text/html", headers={"Content-Security-Policy": FRAME_POLICY, **CLOSED})

    def output(self, call):
        number = self.access.output_result(call.path["token"])
        path = call.path["path"]
        if number is None or not path.startswith("plugin_out/"):
            return Response("Open this page from its report.", 403)
        root = self.site.result_dir(number)
        # Plugins link BAM files of their result: what such a link leads to is served if it is in the result.
        found, headers = file_below(root, path), {"Content-Security-Policy": FRAME_POLICY, **CLOSED}
        if path.endswith("_block.html") and found.stat().st_size <= BODY_LIMIT:
            content = found.read_bytes() + HEIGHT_SCRIPT
            return Response(content, media_type="text/html", headers=headers)
        # Read as it is sent: it may be a BAM file of any size.
        return FileResponse(found, media_type=kind_of(found), headers=headers)

    def media(self, call):
        record = self.site.plugin(call.path["name"])
        found = file_below(record.info.path / "pluginMedia", call.path["path"])
        return public_file(found)

    def site_media(self, call):
        return public(jquery(call.path["path"]), "text/javascript")

    def static(self, call):
        name = call.path["name"]
        if name not in SCRIPTS:
            raise NotFoundError(f"{name}: is not part of this server.")
        return public(script_of_pages(name), kind_of(Path(name)))

    # REST

    def plugins(self, call):
        objects = [self._shown_plugin(call, record) for record in self.site.store.installed()]
        return as_json({"meta": {"total_count": len(objects)}, "objects": objects})

    def plugin(self, call):
        record = self.site.plugin(call.path["plugin"])
        if call.request.method == "PUT":
            if call.scope and (call.scope.plugin, call.scope.action) != (record.id, "config"):
                return Response("Only a plugin's own config.html may change its configuration.", 403)
            record = self.site.configure(record, call.json().get("config"))
        return as_json(self._shown_plugin(call, record))

    def validate(self, call):
        record = self.site.plugin(call.path["plugin"])
        self._own(call, record.id)
        content = call.json()
        mode = content.get("run_mode", "manual")
        return as_json({"issues": validate_plugin(record, content.get("configuration") or {}, mode)})

    def plugin_type(self, call):
        record = self.site.plugin(call.path["plugin"])
        names = [path.name for path in record.info.pages.values()]
        return as_json({"files": names, "input": self.site.plugin_object(record)["input"]})

    def extend(self, call):
        record = self.site.plugin(call.path["plugin"])
        self._own(call, record.id)
        bucket = {
            "request_get": call.query,
            "user": call.query.get("ir_user") or _user(),
            "request_method": call.request.method,
            "name": record.name,
            "version": record.version,
            "config": record.config or {},
        }
        if call.request.method == "POST":
            bucket["request_post"] = call.json()
        try:
            return as_json(call_extension(record, call.path["function"], bucket))
        except NoSuchFunctionError:
            raise
        except IonAnalysisError as error:
            return as_json({"error": str(error)}, 500)

    def result(self, call):
        self._own(call, None, call.path["result"])
        return as_json(self.site.result_object(call.path["result"]))

    def launch(self, call):
        content = call.json()
        wanted = content.get("plugin", "")
        self._own(call, None, call.path["result"])
        if call.scope:
            name = wanted[0] if isinstance(wanted, list) and wanted else wanted
            name = name.get("id", name.get("name", "")) if isinstance(name, dict) else name
            self._own(call, name)
            if call.scope.action != "report":
                return Response("Only a plugin's instance.html may launch it.", 403)
        try:
            self.site.launch(call.path["result"], wanted, content.get("pluginconfig"), content.get("pluginresult"))
        except NotFoundError as error:
            return as_json({"error": str(error)}, 410)
        return Response(status_code=202)

    def plugin_results(self, call):
        self._own(call, None, call.path["result"])
        major = {"true": True, "false": False}.get(call.query.get("major", ""))
        number = call.path["result"]
        return as_json(self.site.plugin_results(number, self._output_address(number), major))

    def stop(self, call):
        self.site.stop(call.path["result"], call.path["number"])
        return Response(status_code=202)

    def _shown_plugin(self, call, record):
        """A plugin as an object. Configurations may hold passwords: a plugin's page sees that of its own plugin."""
        shown = self.site.plugin_object(record)
        if call.scope and call.scope.plugin != record.id:
            shown["config"] = {}
        return shown

    def _own(self, call, plugin=None, result=None):
        """Nothing, unless a plugin's page asks for what is not its own."""
        scope = call.scope
        if scope is None:
            return
        if plugin is not None and self.site.plugin(plugin).id != scope.plugin:
            raise NotFoundError("A page of a plugin may ask for its own plugin only.")
        if result is not None and str(result) != str(scope.result):
            raise NotFoundError("A page of a plugin may ask for the report that it is shown on only.")


def _user():
    import getpass

    return getpass.getuser()
