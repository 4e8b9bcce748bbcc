"""The run pages: who sees them, what they show, which files they hand out, and what plugins' pages may ask for."""

import json
import os
import re
import uuid
from itertools import count
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paged_plugin import install_paged
from rundb_rows import make_report

from ionanalysis.plugin.web.access import FrameScope, Tokens
from ionanalysis.rundb import attempts
from ionanalysis.rundb.attempts import OF_ADDRESS, OF_NAME, WINDOW_S, Attempts, TooManyError

_ADDRESS = count(1)


def named():
    return f"p{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def visitor(run_rows):
    """A maker of clients of the pages in this process, logged in as somebody or as nobody."""
    from django.contrib.auth.models import User
    from django.test import Client

    def make(name=None, **options):
        # Each has an address of its own: wrong passwords of one test do not shut out another.
        client = Client(SERVER_NAME="localhost", REMOTE_ADDR=f"192.0.2.{next(_ADDRESS)}", **options)
        if name:
            client.force_login(User.objects.get(username=name))
        return client

    return make


@pytest.fixture(scope="module")
def admin(visitor):
    return visitor("ionadmin")


@pytest.fixture(scope="module")
def shown(run_rows, tmp_path_factory):
    """A report with files; its run is called `shown.name`."""
    name = named()
    folder = tmp_path_factory.mktemp("report") / "result"
    report = make_report(run_rows, folder, name)
    (folder / "leak.txt").symlink_to("/etc/hostname")
    (folder / "out").symlink_to("/etc")
    (folder / "plugin_out" / "Paged_out.1" / "loop").symlink_to("loop")
    (folder / "linked.bam").symlink_to("rawlib.bam")
    os.mkfifo(folder / "pipe.txt")
    return SimpleNamespace(
        name=name, folder=folder, report=report, page=f"/report/{report.pk}/", link=report.reportLink
    )


@pytest.fixture(scope="module")
def plugin(run_server, run_rows, tmp_path_factory):
    """An installed plugin with all pages, and its row."""
    return install_paged(run_server.home, run_rows, tmp_path_factory.mktemp("paged"))


@pytest.fixture
def home(run_server, monkeypatch):
    """The plugins of the server are those of this process, too."""
    monkeypatch.setenv("IONANALYSIS_HOME", str(run_server.home))


def log_in(client, name, password, **more):
    return client.post("/login/", {"username": name, "password": password, **more})


class TestAttempts:
    request = SimpleNamespace(META={"REMOTE_ADDR": "192.0.2.250"})

    def test_guessing_ends_and_begins_anew_after_a_while(self):
        now = [0.0]
        tries = Attempts(clock=lambda: now[0])
        for number in range(OF_NAME):
            tries.check(self.request, "me")
            tries.failed(self.request, "me", str(number))
        with pytest.raises(TooManyError) as told:
            tries.check(self.request, "me")
        assert told.value.sentence == "Too many wrong passwords. Try again in 5 minutes."
        tries.check(self.request, "another")
        tries.check(SimpleNamespace(META={"REMOTE_ADDR": "192.0.2.251"}), "me")
        now[0] = WINDOW_S
        tries.check(self.request, "me")

    def test_an_old_password_sent_again_and_again_counts_once(self):
        tries = Attempts()
        for _ in range(3 * OF_NAME):
            tries.failed(self.request, "me", "old")
        tries.check(self.request, "me")

    def test_the_right_password_clears_the_name(self):
        tries = Attempts()
        for number in range(OF_NAME):
            tries.failed(self.request, "me", str(number))
        tries.succeeded(self.request, "me")
        tries.check(self.request, "me")

    def test_an_address_may_not_try_many_names(self):
        tries = Attempts()
        for number in range(OF_ADDRESS):
            tries.failed(self.request, f"name{number}", "a")
        with pytest.raises(TooManyError):
            tries.check(self.request, "fresh")


class TestLoggingIn:
    def test_the_right_password_leads_to_the_wanted_page_and_out_again(self, visitor, run_server):
        client = visitor()
        answer = client.get("/plans/")
        assert (answer.status_code, answer["Location"]) == (302, "/login/?next=/plans/")
        answer = log_in(client, "ionuser", "secret of ionuser", next="/plans/")
        assert (answer.status_code, answer["Location"]) == (302, "/plans/")
        assert client.get("/plans/").status_code == 200
        assert client.get("/logout/").status_code == 405
        assert client.post("/logout/").status_code == 302
        assert client.get("/plans/").status_code == 302

    @pytest.mark.parametrize(
        "wanted", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", "\\\\evil.example"]
    )
    def test_no_link_leads_to_another_site(self, visitor, wanted):
        assert log_in(visitor(), "ionuser", "secret of ionuser", next=wanted)["Location"] == "/"

    def test_a_busy_database_is_told_to_browsers(self, visitor, monkeypatch):
        from django.db import OperationalError

        def busy(*_):
            raise OperationalError("database is locked")

        client = visitor()
        client.raise_request_exception = False
        monkeypatch.setattr("ionanalysis.rundb.pages.accounts.login", busy)
        answer = log_in(client, "ionuser", "secret of ionuser")
        assert (answer.status_code, answer["Retry-After"]) == (503, "10")

    def test_forms_are_trusted_behind_a_proxy_of_https(self):
        from ionanalysis.rundb.settings import trusted_origins

        asked = trusted_origins(("torrent.example.org", ".lab.example.org", "*"))
        assert asked == ["https://torrent.example.org", "https://*.lab.example.org"]

    def test_what_is_wrong_is_told_without_saying_which(self, visitor):
        for name in ("ionuser", "nobody-here"):
            answer = log_in(visitor(), name, "wrong")
            assert "Name and password do not belong together." in answer.text
            assert "wrong" not in answer.text.replace("wrong passwords", "")

    def test_guessing_is_shared_with_the_api(self, visitor, monkeypatch):
        client, n_tries = visitor(), 2
        monkeypatch.setattr(attempts, "OF_NAME", n_tries)
        headers = [{"Authorization": f"Basic {_basic('ionuser', f'guess {n}')}"} for n in range(n_tries + 1)]
        answers = [client.get("/rundb/api/v1/chip/", headers=one) for one in headers]
        assert [one.status_code for one in answers] == [401] * n_tries + [429]
        assert 0 < int(answers[-1]["Retry-After"]) <= WINDOW_S
        answer = log_in(client, "ionuser", "secret of ionuser")
        assert answer.status_code == 429 and "Try again in 5 minutes" in answer.text and "Retry-After" in answer

    def test_the_key_is_shown_and_renewed(self, visitor, run_rows):
        from django.contrib.auth.models import User
        from tastypie.models import ApiKey

        user = User.objects.create_user(named())
        client = visitor(user.username)
        key = ApiKey.objects.get(user=user).key
        assert key in client.get("/account/").text
        assert client.post("/account/key/").status_code == 302
        page = client.get("/account/").text
        assert key not in page and ApiKey.objects.get(user=user).key in page


def _basic(name, password):
    from base64 import b64encode

    return b64encode(f"{name}:{password}".encode()).decode()


PLAN = {
    "planName": "a plan",
    "runType": "GENS",
    "chipType": "520",
    "flows": "500",
    "barcodeId": "IonXpress",
    "samples": "IonXpress_001, liver\nIonXpress_002\theart\tRNA\nIonXpress_003 two words",
    "projects": "soil, water,",
    "notes": "n",
}

PAGES = ["/", "/plans/", "/plans/new/", "/plugins/", "/account/", "/report/REPORT/"]


class TestSafety:
    @pytest.mark.parametrize("path", [*PAGES, "/report/REPORT/plugin/Paged/", "/plugins/Paged/config/"])
    def test_pages_are_for_users_and_closed_to_others_frames(self, visitor, admin, shown, plugin, home, path):
        path = path.replace("REPORT", str(shown.report.pk))
        assert visitor().get(path)["Location"] == f"/login/?next={path}"
        answer = admin.get(path)
        assert answer.status_code == 200
        policy = answer["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert answer["X-Content-Type-Options"] == "nosniff" and answer["Referrer-Policy"] == "same-origin"
        assert answer["Cache-Control"] == "no-store"
        assert not re.search(r"<script(?! src=\"/static/)|\sstyle=|\son\w+=", answer.text)
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//", answer.text)

    @pytest.mark.parametrize(
        "path",
        [
            "/login/",
            "/logout/",
            "/account/key/",
            "/plans/new/",
            "/plans/1/",
            "/plans/1/delete/",
            "/plans/1/plugin/Paged/save/",
            "/report/1/launch/",
            "/report/1/stop/1/",
            "/rundb/api/v1/results/",
            "/rundb/api/v1/plugin/Paged/validate/",
        ],
    )
    def test_nothing_changes_without_the_sessions_token(self, visitor, path):
        answer = visitor("ionadmin", enforce_csrf_checks=True).post(path, {})
        assert answer.status_code == 403

    @pytest.mark.parametrize(
        "path",
        [
            "/report/99999999999999999999/",
            "/plans/0/",
            "/plans/new/?of=x",
            "/no/page/",
            "/report/1/plugin/%00/",
            "/output/Home/a%00b/x",
        ],
    )
    def test_what_is_not_there_is_404(self, admin, path):
        assert admin.get(path).status_code == 404

    def test_names_are_text_and_no_markup(self, admin, run_rows, tmp_path):
        name = f"<script>alert(1)</script>{named()}"
        report = make_report(run_rows, tmp_path / "result", name, notes="<img src=x onerror=alert(2)>")
        for path in ("/?q=alert", f"/report/{report.pk}/"):
            text = admin.get(path).text
            assert "&lt;script&gt;alert(1)" in text
            assert "<script>alert" not in text and "<img src=x" not in text

    @given(
        path=st.sampled_from(
            ["/", "/plans/", "/plans/new/", "/report/1/", "/plugins/Paged/config/", "/output/Home/x/"]
        ),
        asked=st.dictionaries(
            st.sampled_from(
                ["q", "order", "page", "project", "chip", "status", "since", "until", "kind", "of", "token"]
            ),
            st.text(max_size=12) | st.sampled_from(["-1", "0", "99999999999999999999", "2026-02-30", "9999-12-31"]),
        ),
    )
    def test_no_question_breaks_a_page(self, admin, path, asked):
        assert admin.get(path, asked).status_code < 500

    @given(
        st.dictionaries(st.sampled_from(sorted(PLAN)), st.text(max_size=40) | st.sampled_from(["0", "-1", "1" * 30]))
    )
    def test_no_plan_breaks_the_form(self, admin, changes):
        assert admin.post("/plans/new/", {**PLAN, "chipType": "", **changes}).status_code < 500


class TestRuns:
    def test_a_run_is_listed_with_the_figures_of_its_report(self, admin, shown):
        text = admin.get("/", {"q": shown.name}).text
        for word in (
            shown.name,
            "520",
            "2026-03-04 05:06",
            "hg19",
            "IonXpress",
            "1\u202f234\u202f567",
            "90.0",
            "149.5",
            "71.5",
        ):
            assert word in text
        assert f'href="{shown.page}"' in text and "1 run<" in text

    @pytest.mark.parametrize(
        ("asked", "is_found"),
        [
            ({"chip": "520"}, True),
            ({"chip": "other"}, True),
            ({"status": "Completed"}, True),
            ({"status": "Error"}, False),
            ({"status": "Progress"}, False),
            ({"since": "2026-03-04", "until": "2026-03-04"}, True),
            ({"since": "2026-03-05"}, False),
            ({"until": "2026-03-03"}, False),
            ({"since": "nonsense", "page": "-1", "order": "nonsense"}, True),
            ({"project": "99999"}, True),
        ],
    )
    def test_the_list_is_narrowed(self, admin, shown, asked, is_found):
        answer = admin.get("/", {"q": shown.name, **asked})
        assert answer.status_code == 200
        assert (f'href="{shown.page}"' in answer.text) == is_found
        assert is_found or "No run fits" in answer.text

    def test_a_choice_that_is_none_is_told(self, admin, shown):
        assert "not one of the available choices" in admin.get("/", {"chip": "other"}).text

    def test_a_run_may_lack_nearly_everything(self, admin, run_rows, tmp_path):
        bare = make_report(run_rows, tmp_path / "bare", named())
        gone = {"eas": None, "analysismetrics": None, "qualitymetrics": None, "libmetrics": None, "reference": None}
        run_rows.Results.objects.filter(pk=bare.pk).update(**gone)
        bare.projects.clear()
        assert f"/report/{bare.pk}/" in admin.get("/", {"q": bare.resultsName}).text
        assert "There are no figures yet" in admin.get(f"/report/{bare.pk}/").text
        run_rows.Results.objects.filter(pk=bare.pk).update(experiment=None)
        assert admin.get(f"/report/{bare.pk}/").status_code == 200
        assert "no report" in admin.get("/", {"q": f"R_{bare.resultsName}"}).text

    def test_all_words_of_a_search_count_and_nul_is_harmless(self, admin, shown, run_rows):
        assert shown.page in admin.get("/", {"q": f"R_ {shown.name.upper()}\0"}).text
        assert shown.page not in admin.get("/", {"q": f"{shown.name} elsewhere"}).text
        project = shown.report.projects.get()
        assert shown.page in admin.get("/", {"project": project.pk}).text

    def test_headings_order_and_pages_follow(self, admin, run_rows, tmp_path):
        mark = named()
        for number in range(27):
            report = make_report(run_rows, tmp_path / str(number), f"{mark}x{number:02d}")
            run_rows.QualityMetrics.objects.filter(report=report).update(q0_reads=(number * 7) % 27)

        def listed(**asked):
            return re.findall(rf"<span class=\"sub\">{mark}x(\d\d)", admin.get("/", {"q": mark, **asked}).text)

        by_reads = sorted(range(27), key=lambda number: -((number * 7) % 27))
        assert [int(one) for one in listed(order="-reads")] == by_reads[:25]
        assert [int(one) for one in listed(order="-reads", page=2)] == by_reads[25:]
        assert [int(one) for one in listed(order="reads")] == by_reads[::-1][:25]
        assert [int(one) for one in listed(order="name")] == list(range(25))
        text = admin.get("/", {"q": mark, "order": "-reads"}).text
        assert 'aria-sort="descending"' in text and f"q={mark}&amp;order=reads" in text
        for column in ("chip", "date", "project", "reference", "barcodes", "loading", "length", "signal", "status"):
            assert len(listed(order=column)) == 25

    def test_an_empty_list_says_what_to_do(self, admin, run_rows):
        from django.db import transaction

        with transaction.atomic():
            run_rows.Experiment.objects.all().delete()
            text = admin.get("/").text
            transaction.set_rollback(True)
        assert "ionanalysis db ingest RESULT_DIR" in text

    def test_pages_cost_few_queries(self, admin, shown):
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(
            connection,
        ) as told:
            admin.get("/")
        assert len(told) <= 14


class TestReport:
    def test_it_shows_figures_files_and_plots(self, admin, shown):
        text = admin.get(shown.page).text
        for word in ("1\u202f234\u202f567", "149.5", "71.5", "AQ20", "Completed", f"project of {shown.name}"):
            assert word in text
        for path in ("rawlib.bam", "rawlib.bam.bai", "linked.bam", "basecaller_results/BaseCaller.json", "run.log"):
            assert f'href="{shown.link}{path}?download=1"' in text
        assert "leak.txt" not in text and f'src="{shown.link}plot.png"' in text
        frame = re.search(r'<iframe class="page" sandbox="allow-popups" title="[^"]+" src="([^"]+report\.html)"', text)
        assert "The report" in _text(admin.get(frame[1]))

    def test_plugin_outputs_stand_in_sandboxed_frames(self, admin, shown, monkeypatch, visitor):
        from ionanalysis.rundb.pages import report

        url = f"{shown.link}plugin_out/Paged_out.1/"
        listed = [
            {"Name": "Paged", "Version": "1", "State": "Started", "URL": url, "Files": ["more.html", "told_block.html"]}
            | {"id": 7, "show": True, "can_terminate": True, "validation_errors": ["too <small>"], "Major": False}
        ]
        answered = SimpleNamespace(is_good=True, data=listed, messages={})
        asked = []
        monkeypatch.setattr(report, "ask", lambda request, *what: asked.append(what) or answered)
        text = admin.get(shown.page).text
        frame = re.search(r'<iframe class="block" sandbox="([^"]+)" title="Paged: told_block.html" src="([^"]+)"', text)
        assert "allow-same-origin" not in frame[1] and "allow-scripts" in frame[1]
        content = visitor().get(frame[2])
        assert content.text.startswith("<h2>Told") and content.text.endswith('/static/height.js"></script>')
        assert f'href="{url}more.html"' in text and "too &lt;small&gt;" in text and "data-running" in text
        assert f'action="{shown.page}stop/7/"' in text
        assert admin.post(f"{shown.page}stop/7/").status_code == 302
        assert asked[-1] == ("GET", "pluginresult/7/stop/")

    @pytest.mark.parametrize(
        ("told", "shown"), [("db:5,an:1.2,", "1.2"), ("5.4", "5.4"), ("", "\u2013"), (None, "\u2013")]
    )
    def test_versions_of_the_software(self, run_rows, told, shown):
        from ionanalysis.rundb.pages.filters import software

        assert software(told) == shown

    def test_a_list_of_outputs_that_fails_is_told(self, admin, shown, monkeypatch):
        from ionanalysis.rundb.pages import report

        monkeypatch.setattr(report, "ask", lambda request, *what: SimpleNamespace(is_good=False))
        assert "What plugins left cannot be listed now." in admin.get(shown.page).text

    def test_an_address_that_leads_elsewhere_is_no_link(self, admin, run_rows, tmp_path):
        report = make_report(run_rows, tmp_path / "result", named())
        run_rows.Results.objects.filter(pk=report.pk).update(reportLink="javascript:alert(1)//")
        assert "javascript:" not in admin.get(f"/report/{report.pk}/").text

    def test_a_report_without_files_says_so(self, admin, run_rows, tmp_path):
        report = make_report(run_rows, tmp_path / "result", named())
        run_rows.Results.objects.filter(pk=report.pk).update(folder=str(tmp_path / "gone"), analysismetrics=None)
        assert "are not on this server" in admin.get(f"/report/{report.pk}/").text


def _text(answer):
    return b"".join(answer).decode()


class TestFiles:
    @pytest.mark.parametrize(
        "path",
        [
            "../secret",
            "..%2fsecret",
            "%2e%2e/secret",
            "basecaller_results/../../x",
            "%2fetc%2fhostname",
            "/etc/hostname",
            "leak.txt",
            "out/hostname",
            "out/",
            "pipe.txt",
            "basecaller_results",
            "gone.bam",
            "a%00b",
            "x" * 300,
            "plugin_out/Paged_out.1/startplugin.json",
            "plugin_out/Paged_out.1/ion_plugin_Paged_launch.sh",
            ".hidden",
        ],
    )
    def test_no_path_leads_out(self, admin, shown, path):
        from ionanalysis.rundb.pages.tokens import output_address

        (shown.folder / ".hidden").write_text("x")
        (shown.folder.parent / "secret").write_text("x")
        for place in (shown.link, output_address(shown.report.pk)):
            assert admin.get(place + path).status_code == 404

    def test_links_within_the_report_lead_on(self, admin, shown):
        assert len(b"".join(admin.get(f"{shown.link}linked.bam"))) == 1024000

    def test_only_known_users_get_files(self, visitor, run_server, shown):
        path = f"{shown.link}rawlib.bam"
        answer = visitor().get(path)
        assert answer.status_code == 401 and answer["WWW-Authenticate"].startswith("Basic")
        assert visitor().get(path, headers={"Accept": "text/html"})["Location"].startswith("/login/")
        key = {"Authorization": f"ApiKey ionuser:{run_server.keys['ionuser']}"}
        answer = visitor().get(path, headers=key)
        assert answer.status_code == 200 and len(b"".join(answer)) == 1024000
        assert answer["Content-Disposition"] == 'attachment; filename="rawlib.bam"'
        assert answer["Content-Type"] == "application/octet-stream" and answer["Content-Length"] == "1024000"

    @pytest.mark.parametrize(
        ("asked", "status", "told"),
        [
            ("bytes=0-9", 206, "bytes 0-9/1024000"),
            ("bytes=1023990-", 206, "bytes 1023990-1023999/1024000"),
            ("bytes=-10", 206, "bytes 1023990-1023999/1024000"),
            ("bytes=5-99999999", 206, "bytes 5-1023999/1024000"),
            ("bytes=1024000-", 416, "bytes */1024000"),
            ("bytes=-0", 416, "bytes */1024000"),
            ("bytes=9-5", 200, None),
            ("bytes=" + "9" * 5000 + "-", 200, None),
            ("bytes=0-1,5-6", 200, None),
            ("lines=1-2", 200, None),
        ],
    )
    def test_ranges(self, admin, shown, asked, status, told):
        path, whole = f"{shown.link}rawlib.bam", bytes(range(256)) * 4000
        answer = admin.get(path, headers={"Range": asked})
        assert (answer.status_code, answer.get("Content-Range")) == (status, told)
        if status == 206:
            first, last = map(int, re.findall(r"\d+", told)[:2])
            assert b"".join(answer) == whole[first : last + 1]
            assert int(answer["Content-Length"]) == last + 1 - first
        elif status == 200:
            assert b"".join(answer) == whole

    def test_a_browser_that_has_the_file_gets_it_once(self, admin, shown):
        path = f"{shown.link}rawlib.bam"
        head = admin.head(path)
        assert head["Content-Length"] == "1024000" and head.content == b"" and head["Accept-Ranges"] == "bytes"
        assert admin.get(path, headers={"If-None-Match": head["ETag"]}).status_code == 304
        part = {"Range": "bytes=0-0", "If-Range": head["ETag"]}
        assert admin.get(path, headers=part).status_code == 206
        assert admin.get(path, headers={**part, "If-Range": '"other"'}).status_code == 200

    def test_pages_of_plugins_never_run_with_the_session(self, admin, visitor, shown):
        answer = admin.get(f"{shown.link}plugin_out/Paged_out.1/told_block.html")
        assert answer.status_code == 302 and re.match(
            r"/output/output\.\d+\.\d+~[0-9a-f]{40}/plugin_out/", answer["Location"]
        )
        answer = visitor().get(answer["Location"])
        policy = answer["Content-Security-Policy"]
        assert policy.startswith("sandbox allow-scripts") and "allow-same-origin" not in policy
        assert answer["X-Frame-Options"] == "SAMEORIGIN" and "Access-Control-Allow-Origin" not in answer

    def test_tokens_cannot_be_made_up_and_end(self, visitor, shown, caplog):
        from ionanalysis.rundb.pages.tokens import tokens

        other = Tokens(b"another secret").output_token(shown.report.pk)
        old = Tokens(tokens()._secret, lifetime_s=-1).output_token(shown.report.pk)
        good = tokens().output_token(shown.report.pk)
        assert visitor().get(f"/output/{good}/run.log").status_code == 200
        for token in (other, old, good.replace(f"output.{shown.report.pk}.", f"output.{shown.report.pk + 1}.")):
            assert visitor().get(f"/output/{token}/run.log").status_code == 403
        assert visitor().get(f"/output/{good}/gone.log").status_code == 404
        assert "/output/" not in caplog.text

    def test_folders_are_listed(self, admin, shown):
        text = admin.get(f"{shown.link}plugin_out/Paged_out.1/").text
        assert "told_block.html" in text and "startplugin.json" not in text and "loop" not in text
        assert admin.get(shown.link)["Location"] == shown.page

    def test_media_and_scripts_are_open_to_frames(self, visitor, plugin, home):
        client = visitor()
        assert _text(client.get("/pluginMedia/Paged/style.css")) == "b{}"
        assert "jQuery" in client.get("/site_media/resources/jquery/jquery-1.8.3.min.js").text[:200]
        for name in ("pages.css", "pages.js", "frame.js", "page.js"):
            assert client.get(f"/static/{name}").status_code == 200
        for path in (
            "/pluginMedia/Paged/out.css",
            "/pluginMedia/Paged/..%2fPaged.py",
            "/pluginMedia/Gone/a.css",
            "/static/urls.py",
            "/site_media/x.js",
        ):
            assert client.get(path).status_code == 404


class TestPluginPages:
    def framed(self, plugin, action, result=0, user="ionuser"):
        """Headers of a request that such a page makes."""
        from django.contrib.auth.models import User

        from ionanalysis.rundb.pages.tokens import tokens

        pk = User.objects.get(username=user).pk
        return {"X-Plugin-Token": tokens().frame_token(FrameScope(plugin.pk, action, result, pk)), "Origin": "null"}

    def test_pages_are_framed_with_what_they_know(self, admin, visitor, shown, plugin, home):
        assert f"/plugins/{plugin.pk}/config/" in admin.get("/plugins/").text
        page = admin.get(f"/plugins/{plugin.pk}/config/").text
        frame = re.search(r'sandbox="([^"]+)"[^>]* data-src="([^"]+)"', page)
        assert "allow-same-origin" not in frame[1]
        answer = visitor().get(frame[2].replace("&amp;", "&"))
        assert answer["Content-Security-Policy"].startswith("sandbox ") and answer["X-Frame-Options"] == "SAMEORIGIN"
        told = json.loads(re.search(r"var TB_plugin = (\{.*\});", answer.text)[1])
        assert told["pk"] == str(plugin.pk) and told["fields"]["name"] == "Paged"
        assert 'var TB_user = "ionadmin";' in answer.text and "/pluginMedia/Paged/" in answer.text
        page = admin.get(f"{shown.page}plugin/{plugin.pk}/").text
        text = visitor().get(re.search(r'data-src="([^"]+)"', page)[1].replace("&amp;", "&")).text
        told = json.loads(re.search(r"var TB_result_json = (\{.*\});", text)[1])
        assert told["pk"] == shown.report.pk and told["fields"]["resultsName"] == shown.name
        assert told["fields"]["experiment"] == shown.report.experiment_id
        assert visitor().get(f"/configure/plugins/plugin/{plugin.pk}/configure/config/").status_code == 403

    @pytest.mark.parametrize(
        ("action", "method", "path", "content", "status"),
        [
            ("config", "GET", "plugin/OWN/", None, 200),
            ("config", "GET", "plugin/Paged/", None, None),
            ("config", "PUT", "plugin/OWN/", {"config": {"depth": 5}, "name": "Other", "path": "/etc"}, 204),
            ("report", "PUT", "plugin/OWN/", {"config": {}}, 403),
            ("config", "PUT", "plugin/OTHER/", {"config": {}}, 404),
            ("config", "GET", "plugin/OTHER/", None, 404),
            ("config", "DELETE", "plugin/OWN/", None, 403),
            ("config", "POST", "plugin/", {"name": "x"}, 403),
            ("report", "GET", "results/REPORT/", None, 200),
            ("config", "GET", "results/REPORT/", None, 404),
            ("report", "GET", "results/", None, 403),
            ("config", "POST", "results/REPORT/plugin/", {"plugin": "Paged"}, 404),
            ("report", "POST", "results/REPORT/plugin/", {"plugin": ["Other"]}, 404),
            ("report", "GET", "pluginresult/", None, 403),
            ("report", "GET", "user/", None, 403),
            ("report", "GET", "rig/", None, 403),
            ("report", "GET", "referencegenome/", None, 200),
            ("report", "POST", "referencegenome/", {}, 403),
            ("report", "GET", "plugin/OWN/%0a", None, 403),
            ("report", "GET", "plugin/a%00b/", None, 404),
        ],
    )  # fmt: skip
    def test_they_may_do_their_own_business_only(
        self, visitor, run_rows, shown, plugin, home, action, method, path, content, status
    ):
        other, _ = run_rows.Plugin.objects.get_or_create(
            name="Other", version="1", defaults={"config": {"password": "hidden"}, "pluginsettings": {}, "status": {}}
        )
        places = {"OWN": plugin.pk, "OTHER": other.pk, "REPORT": shown.report.pk}
        for word, number in places.items():
            path = path.replace(word, str(number))
        result = shown.report.pk if action == "report" else 0
        sent = {} if content is None else {"data": json.dumps(content), "content_type": "application/json"}
        headers = self.framed(plugin, action, result)
        answer = visitor().generic(method, f"/rundb/api/v1/{path}", headers=headers, **sent)
        assert status is None or answer.status_code == status, answer.content
        assert answer["Access-Control-Allow-Origin"] == "null"
        if method == "PUT" and status == 204:
            plugin.refresh_from_db()
            assert plugin.config == {"depth": 5} and plugin.name == "Paged" and plugin.path != "/etc"

    def test_configurations_of_other_plugins_are_kept_from_them(self, visitor, run_rows, plugin, home):
        run_rows.Plugin.objects.update_or_create(
            name="Secretive", version="1", defaults={"config": {"word": "hidden"}, "pluginsettings": {}, "status": {}}
        )
        headers = self.framed(plugin, "config")
        told = visitor().get("/rundb/api/v1/plugin/?limit=0&config__contains=hidden", headers=headers)
        names = {one["name"]: one["config"] for one in told.json()["objects"]}
        assert names["Secretive"] == {} and "Paged" in names and b"hidden" not in told.content
        for query in ("format=jsonp", "format=jsonp&callback=x"):
            told = visitor().get(f"/rundb/api/v1/plugin/?limit=0&{query}", headers=headers)
            assert told.status_code == 200 and b"hidden" not in told.content and b"Secretive" in told.content

    def test_a_token_is_no_session(self, visitor, plugin, shown):
        headers = self.framed(plugin, "report", shown.report.pk)
        for path in ("/", shown.page, "/account/", f"{shown.link}run.log"):
            assert visitor("ionadmin").get(path, headers=headers).status_code == 403
        assert visitor().get("/rundb/api/v1/plugin/", headers={"X-Plugin-Token": "made~up"}).status_code == 403
        answer = visitor().options(
            "/rundb/api/v1/plugin/", headers={"Origin": "null", "Access-Control-Request-Headers": "x-plugin-token"}
        )
        assert answer.status_code == 204 and answer["Access-Control-Allow-Headers"] == "x-plugin-token"

    def test_configurations_are_validated_by_the_plugin(self, visitor, plugin, home):
        asked = {"configuration": {"depth": 0}, "run_mode": "manual"}
        path, headers = "/rundb/api/v1/plugin/Paged/validate/", self.framed(plugin, "plan")
        answer = visitor().post(path, asked, content_type="application/json", headers=headers)
        assert answer.json() == {"issues": ["depth must be positive"]}
        assert visitor().post(path, "[", content_type="application/json", headers=headers).status_code == 400

    def test_a_plugin_is_launched_by_a_form(self, admin, shown, plugin, home, monkeypatch):
        from ionanalysis.rundb.pages import report

        asked = []
        refused = SimpleNamespace(is_good=False, messages={"": ["It is <busy>."]}, data=None)
        monkeypatch.setattr(report, "ask", lambda request, *what: asked.append(what) or refused)
        answer = admin.post(f"{shown.page}launch/", {"plugin": plugin.pk}, follow=True)
        body = {"plugin": {"id": plugin.pk}, "pluginconfig": {}}
        assert asked[0] == ("POST", f"results/{shown.report.pk}/plugin/", body)
        assert "It is &lt;busy&gt;." in answer.text
        assert admin.post(f"{shown.page}launch/", {"plugin": "x"}).status_code == 404


class TestPlans:
    @pytest.fixture
    def answers(self, monkeypatch):
        """What the API is asked; `answers.said` is what it answers."""
        from ionanalysis.rundb.pages import plans
        from ionanalysis.rundb.pages.inside import Answer

        told = SimpleNamespace(asked=[], status=201, data={})

        def ask(request, method, path, data=None):
            from django.http import JsonResponse

            told.asked.append((method, path, data))
            return Answer(JsonResponse(told.data, status=told.status))

        monkeypatch.setattr(plans, "ask", ask)
        return told

    def test_the_form_speaks_the_apis_words(self, admin, answers, plugin, home):
        answer = admin.post("/plans/new/", {**PLAN, "selectedPlugins": [plugin.pk]})
        assert answer["Location"] == "/plans/?kind=planned"
        ((method, path, data),) = answers.asked
        assert (method, path) == ("POST", "plannedexperiment/")
        assert {name: data[name] for name in ("planName", "chipType", "flows", "projects", "isReusable")} == {
            "planName": "a plan", "chipType": "520", "flows": 500, "projects": ["soil", "water"], "isReusable": False,
        }  # fmt: skip
        samples = data["barcodedSamples"]
        assert {name: one["barcodes"] for name, one in samples.items()} == {
            "liver": ["IonXpress_001"], "heart": ["IonXpress_002"], "two words": ["IonXpress_003"],
        }  # fmt: skip
        kinds = {
            name: info["nucleotideType"] for one in samples.values() for name, info in one["barcodeSampleInfo"].items()
        }
        assert kinds == {"IonXpress_001": "DNA", "IonXpress_002": "RNA", "IonXpress_003": "DNA"}
        assert data["selectedPlugins"]["Paged"]["id"] == plugin.pk

    def test_a_plan_is_stored_by_the_apis_rules(self, admin, run_rows):
        name = named()
        kits = {"templatingKitName": "Ion 520/530 Kit-OT2", "sequencekitname": "Ion S5 Sequencing Kit"}
        answer = admin.post("/plans/new/", {**PLAN, **kits, "planName": name, "chipType": ""})
        assert answer.status_code == 400
        field = re.search(r'id="id_chipType"(?:.|\n)*?class="error"[^>]*>([^<]+)', answer.text)
        assert "required" in field[1]
        samples = "IonXpress_001, liver\nIonXpress_002, heart"
        answer = admin.post("/plans/new/", {**PLAN, **kits, "planName": name, "samples": samples}, follow=True)
        assert f"{name} is saved." in answer.text
        plan = run_rows.PlannedExperiment.objects.get(planName=name)
        assert plan.experiment.chipType == "520" and plan.latestEAS.barcodeKitName == "IonXpress"
        assert set(plan.latestEAS.barcodedSamples) == {"liver", "heart"}
        assert sorted(plan.projects.values_list("name", flat=True)) == ["soil", "water"]
        place = f"/plans/{plan.pk}/"
        answer = admin.post(place, {**PLAN, **kits, "planName": name, "samples": "IonXpress_003, lung"})
        assert answer.status_code == 302
        plan.latestEAS.refresh_from_db()
        assert set(plan.latestEAS.barcodedSamples) == {"lung"}
        assert admin.post(f"{place}delete/").status_code == 302
        assert not run_rows.PlannedExperiment.objects.filter(pk=plan.pk).exists()

    def test_who_may_only_read_cannot_plan(self, visitor):
        from django.contrib.auth.models import User

        answer = visitor(User.objects.create_user(named()).username).post("/plans/new/", PLAN)
        assert answer.status_code == 400 and "You may not do this" in answer.text

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"planName": ""}, "This field is required"),
            ({"flows": "many"}, "Enter a whole number"),
            ({"samples": "IonXpress_001"}, "Line 1: write a barcode and its sample"),
            ({"samples": "IonXpress_001, a, XNA"}, "is neither DNA nor RNA"),
            ({"samples": "IonXpress_001, a\nIonXpress_001, b"}, "has more than one sample"),
            ({"barcodeId": ""}, "Choose the set to which these barcodes belong"),
            ({"chipType": "no chip"}, "Select a valid choice"),
        ],
    )
    def test_what_is_wrong_with_the_form_stands_beside_its_field(self, admin, answers, changes, told):
        answer = admin.post("/plans/new/", {**PLAN, **changes})
        assert answer.status_code == 400 and told in answer.text and not answers.asked
        assert 'role="alert"' in answer.text and 'aria-invalid="true"' in answer.text

    @pytest.mark.parametrize(
        ("status", "data", "told"),
        [
            (400, {"error": '{"planName": ["too &lt;odd&gt;"], "other": "x"}'}, ["too &lt;odd&gt;", "other: x"]),
            (400, {"error": '[&#x27;{"barcodedSamples": {"a": ["b"]}}&#x27;]'}, ["a: b"]),
            (400, {"plannedexperiment": {"flows": ["not so many"]}}, ["not so many"]),
            (400, {"error": "plain words"}, ["plain words"]),
            (401, {}, ["You may not do this"]),
            (500, {"error_message": ""}, ["refused this (status 500)"]),
        ],
    )
    def test_what_the_api_says_is_shown(self, admin, answers, status, data, told):
        answers.status, answers.data = status, data
        answer = admin.post("/plans/new/", PLAN)
        assert answer.status_code == 400
        assert [words for words in told if words not in answer.text] == []

    def plan(self, rows, **values):
        plan = rows.PlannedExperiment.objects.create(
            planName=named(), planDisplayedName="old name", runType="GENS", metaData={}, planStatus="planned", **values
        )
        from django.utils.timezone import now

        run = rows.Experiment.objects.create(
            plan=plan, expName=plan.planName, unique=plan.planName, chipType="318", flows=260, cycles=0, date=now(),
            pgmName="", runtype="GENS", expDir="", status="planned", log={}, metaData={},
        )  # fmt: skip
        held = {
            "liver": {"barcodes": ["IonXpress_001"], "barcodeSampleInfo": {"IonXpress_001": {"nucleotideType": "DNA"}}}
        }
        plan.latestEAS = rows.ExperimentAnalysisSettings.objects.create(
            experiment=run, barcodeKitName="IonXpress", barcodedSamples=held, reference="gone",
            selectedPlugins={"Paged": {"name": "Paged", "userInput": {"depth": 4}}},
        )  # fmt: skip
        plan.save()
        return plan

    def test_a_plan_is_shown_changed_copied_and_deleted(self, admin, answers, run_rows, plugin, home):
        plan = self.plan(run_rows)
        place = f"/plans/{plan.pk}/"
        assert place in admin.get("/plans/", {"q": plan.planName}).text
        text = admin.get(place).text
        assert "IonXpress_001, liver, DNA" in text and 'value="318" selected' in text and 'value="260"' in text
        # A reference that is offered no more stays what the plan holds.
        assert '<option value="gone" selected>' in text
        assert f"{place}plugin/{plugin.pk}/" in text
        assert admin.post(place, {**PLAN, "selectedPlugins": [plugin.pk]}).status_code == 302
        method, path, data = answers.asked.pop()
        assert (method, path) == ("PATCH", f"plannedexperiment/{plan.pk}/")
        assert data["selectedPlugins"]["Paged"]["userInput"] == {"depth": 4}
        text = admin.get("/plans/new/", {"of": plan.pk}).text
        assert 'value="CopyOf_old name"' in text and "IonXpress_001, liver, DNA" in text
        answers.status = 204
        assert admin.post(f"{place}delete/")["Location"] == "/plans/"
        assert answers.asked.pop()[:2] == ("DELETE", f"plannedexperiment/{plan.pk}/")

    def test_a_plan_that_has_run_stays_as_it_is(self, admin, answers, run_rows):
        plan = self.plan(run_rows, planExecuted=True)
        place = f"/plans/{plan.pk}/"
        assert "<button>Save" not in admin.get(place).text
        assert admin.post(place, PLAN)["Location"] == place
        assert admin.post(f"{place}delete/")["Location"] == place
        assert answers.asked == []

    def test_a_plugins_page_is_saved_with_the_plan(self, admin, run_rows, plugin, home, monkeypatch):
        from ionanalysis.rundb.pages import plugins

        plan, asked = self.plan(run_rows), []
        answered = SimpleNamespace(is_good=True, messages={}, data={})
        monkeypatch.setattr(plugins, "ask", lambda request, *what: asked.append(what) or answered)
        place = f"/plans/{plan.pk}/plugin/{plugin.pk}/"
        assert "&quot;depth&quot;: 4" in admin.get(place).text
        answer = admin.post(f"{place}save/", {"depth": -1}, content_type="application/json")
        assert answer.json()["issues"] == ["depth must be positive"] and asked == []
        answer = admin.post(f"{place}save/", {"depth": 9}, content_type="application/json")
        assert answer.json() == {"issues": [], "said": "Saved with the plan."}
        ((method, path, data),) = asked
        assert (method, path) == ("PATCH", f"plannedexperiment/{plan.pk}/")
        assert data["selectedPlugins"]["Paged"]["userInput"] == {"depth": 9}
