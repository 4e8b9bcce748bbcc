"""Planned runs over the API: the document's two examples, rules, what a plan consists of, views, routes."""

import json
import re
import uuid

import pytest
import requests

PLAN = {
    "library": "hg19",
    "planName": "DOCS_my_plan",
    "sample": "my_sample",
    "chipType": "520",
    "sequencekitname": "Ion S5 Sequencing Kit",
    "librarykitname": "Ion Xpress Plus Fragment Library Kit",
    "templatingKitName": "Ion 520/530 Kit-OT2",
}
CHEF = "Ion Chef S530 V1"


def barcode(name, **details):
    info = {"description": "description here", "hotSpotRegionBedFile": "", "nucleotideType": "DNA"}
    info |= {"reference": "hg19", "targetRegionBedFile": ""} | details
    return {"barcodeSampleInfo": {name: info}, "barcodes": [name]}


BARCODED = PLAN | {
    "barcodeId": "IonXpress",
    "barcodedSamples": {"demo sample 1": barcode("IonXpress_003"), "demo sample 2": barcode("IonXpress_004")},
}


@pytest.fixture(scope="module")
def server(run_server, run_rows, tmp_path_factory):
    """The server, with the reference that plans of the document name."""
    from rundb_server import command

    fasta = tmp_path_factory.mktemp("hg19") / "hg19.fasta"
    fasta.write_text(">chr1\nACGTACGTTGCA\nACGT\n>chr2\nTTTT\n")
    command("db", "reference", "hg19", fasta, "--title", "Human (hg19)", "--database", run_server.database)
    return run_server


def made(server, client=None, resource="plannedexperiment", **values):
    answer = (client or server.user).post(f"{resource}/", json=PLAN | values)
    assert answer.status_code == 201, answer.text
    return answer.json() if answer.content else server.user.get(answer.headers["Location"]).json()


def refused(server, values, *, base=PLAN):
    """Field to messages of a plan that is refused."""
    answer = server.user.post("plannedexperiment/", json={k: v for k, v in (base | values).items() if v is not None})
    assert answer.status_code == 400, answer.text
    return json.loads(answer.json()["error"])


class TestReference:
    def test_is_listed_and_keeps_its_row(self, server, run_rows, tmp_path):
        from rundb_server import command

        found = server.user.objects("referencegenome", short_name="hg19")
        assert [(row["name"], row["enabled"], row["status"]) for row in found] == [("Human (hg19)", True, "complete")]
        row = run_rows.ReferenceGenome.objects.get(pk=found[0]["id"])
        assert row.genome_length == 20 and "genome_length" not in found[0]
        other = tmp_path / "other.fasta"
        other.write_text(">chr1 another layout\nacgtacgttgcaacgt\n>chr2\nTT\nTT\n")
        told = json.loads(command("db", "reference", "hg19", other, "--json", "--database", server.database))
        assert told["id"] == row.pk and told["identity_hash"] == row.identity_hash and told["genome_length"] == 20

    def test_bad_names_and_files_are_refused(self, server, tmp_path, capsys):
        from ionanalysis.cli.main import main

        assert main(["db", "reference", "a/b", str(tmp_path), "--database", str(server.database)]) == 2
        assert "make a name" in capsys.readouterr().err
        assert main(["db", "reference", "ab", str(tmp_path / "x"), "--database", str(server.database)]) == 3


class TestDocument:
    """The examples of the SDK document, as they stand there but for Python 3 (`print`)."""

    def test_planning_a_non_barcoded_run(self, server, run_rows):
        headers = {"Authorization": "ApiKey ionadmin:" + server.keys["ionadmin"]}
        response = requests.post(server.base + "/rundb/api/v1/plannedexperiment/", headers=headers, json=PLAN)
        response.raise_for_status()
        assert response.status_code == 201
        plan = response.json()
        assert response.headers["Location"] == plan["resource_uri"]
        expected = {
            "planName": "DOCS_my_plan",
            "planDisplayedName": "DOCS_my_plan",
            "planStatus": "planned",
            "planExecuted": False,
            "runType": "GENS",
            "origin": "api|5.4.0",
            "usePostBeadfind": False,
            "libraryKey": "TCAG",
            "tfKey": "ATCG",
            "base_recalibration_mode": "standard_recal",
            "realign": False,
            "isDuplicateReads": False,
            "autoAnalyze": True,
            "sampleDisplayedName": "my_sample",
            "flows": 0,
            "flowsInOrder": "",
            "barcodeId": "",
            "barcodedSamples": {},
            "custom_args": False,
            "analysisargs": "Analysis --args-json /opt/ion/config/args_520_analysis.json",
            "Warnings": {},
        }
        assert plan == plan | PLAN | expected
        assert re.fullmatch("[A-Z0-9]{5}", plan["planShortID"]) and uuid.UUID(plan["planGUID"]).version == 4
        read = server.user.get(plan["resource_uri"]).json()
        assert read == {name: value for name, value in plan.items() if name != "Warnings"}
        self.check_rows(plan, run_rows)

    @staticmethod
    def check_rows(plan, run_rows):
        row = run_rows.PlannedExperiment.objects.get(pk=plan["id"])
        run, settings = row.experiment, row.latestEAS
        assert run.expName == run.unique == run.displayName == plan["planGUID"]
        assert (run.status, run.cycles, run.expDir, run.pgmName, run.ftpStatus) == ("planned", 0, "", "", "")
        assert run.storage_options == "A" and run.sequencekitname == PLAN["sequencekitname"]
        assert settings.experiment_id == run.pk and settings.isEditable and not settings.isOneTimeOverride
        assert (settings.reference, settings.libraryKitName) == ("hg19", PLAN["librarykitname"])
        assert settings.status == "planned"
        (sample,) = run.samples.all()
        assert (sample.name, sample.displayedName, sample.externalId) == ("my_sample", "my_sample", "")
        assert not row.qcValues.exists()

    def test_planning_a_barcoded_run(self, server, run_rows):
        headers = {"Authorization": "ApiKey ionadmin:" + server.keys["ionadmin"]}
        response = requests.post(server.base + "/rundb/api/v1/plannedexperiment/", headers=headers, json=BARCODED)
        response.raise_for_status()
        assert response.status_code == 201
        plan = response.json()
        assert plan["barcodeId"] == "IonXpress" and plan["barcodedSamples"] == BARCODED["barcodedSamples"]
        assert plan["sample"] == plan["sampleDisplayedName"] == ""
        assert list(plan["Warnings"]) == ["barcodedSamples"]
        samples = run_rows.PlannedExperiment.objects.get(pk=plan["id"]).experiment.samples.order_by("name")
        assert [(row.name, row.displayedName, row.description) for row in samples] == [
            ("demo_sample_1", "demo sample 1", "description here"),
            ("demo_sample_2", "demo sample 2", "description here"),
        ]
        named = made(server, **BARCODED, applicationGroupDisplayedName="DNA")
        assert named["Warnings"] == {} and named["applicationGroupDisplayedName"] == "DNA"
        assert samples.count() == 2 and samples[0].experiments.count() >= 2


class TestNormalising:
    def test_names_descriptions_and_letter_case(self, server):
        plan = made(
            server,
            planName="A plan  of mine",
            chipType="520",
            templatingKitName="ion 520 & ION 530 Kit - OT2",
            sequencekitname="ION s5 sequencing kit",
            libraryKey="Ion TCAGT",
            flowsInOrder="Ion samba",
            flows="500",
            realign="true",
            library="None",
            bedfile=None,
        )
        assert plan["planName"] == "A_plan__of_mine" and plan["planDisplayedName"] == "A plan  of mine"
        assert plan["templatingKitName"] == PLAN["templatingKitName"]
        assert plan["sequencekitname"] == PLAN["sequencekitname"]
        assert plan["libraryKey"] == "TCAGT" and plan["flowsInOrder"].startswith("TACGTACGTCTG")
        assert plan["flows"] == 500 and plan["realign"] is True and plan["library"] == plan["bedfile"] == ""

    def test_a_chip_by_its_description_and_flows_of_its_kit(self, server):
        values = {"templatingKitName": "Ion PGM Hi-Q OT2 Kit - 200", "sequencekitname": "", "chipType": "314V2"}
        plan = made(server, **values)
        assert plan["chipType"] == "314" and plan["usePostBeadfind"] is True
        plan = made(server, sequencekitname="Ion S5 ExT Sequencing Kit")
        assert plan["flowsInOrder"].startswith("TACGTACGTCTGAGCATCGATCGATGTACAGCTACGTACGTAGC")

    def test_projects_thresholds_and_attributes(self, server):
        names = [f"p{uuid.uuid4().hex[:6]}" for _ in range(2)]
        group = server.user.objects("samplegrouptype_cv", displayedName="Self")[0]["resource_uri"]
        plan = made(server, projects=names, **{"Bead Loading (%)": 40}, sampleGroupingName="Self", categories="repro")
        assert plan["projects"] == names and plan["project"] == names[0]
        assert [(row["qcType"]["qcName"], row["threshold"]) for row in plan["qcValues"]] == [("Bead Loading (%)", 40)]
        assert plan["sampleGrouping"] == group and plan["sampleGroupingName"] == "Self"
        assert plan["applicationCategoryDisplayedName"] == "Reproductive"
        assert server.user.objects("project", name=names[1])[0]["creator"].endswith("/user/2/")
        assert made(server, project=names[1])["projects"] == [names[1]]
        # A plan's own object is taken again, and leaves those of the first alone.
        again = made(server, **{name: value for name, value in plan.items() if name not in ("planGUID", "planShortID")})
        assert again["experiment"] != plan["experiment"] and again["qcValues"][0]["id"] != plan["qcValues"][0]["id"]
        assert server.user.get(plan["resource_uri"]).json()["qcValues"] == plan["qcValues"]

    def test_region_files_are_found_by_name(self, server, run_rows):
        from django.utils.timezone import now

        publisher, _ = run_rows.Publisher.objects.get_or_create(
            name="BED", defaults={"version": "1", "path": "x", "date": now()}
        )
        upload = run_rows.ContentUpload.objects.create(publisher=publisher, file_path="x")
        path = "/hg19/unmerged/detail/panel.bed"
        file = f"/results/uploads/BED/1{path}"
        run_rows.Content.objects.create(publisher=publisher, contentupload=upload, file=file, path=path)
        plan = made(server, bedfile="panel.bed", regionfile="panel.bed")
        assert plan["bedfile"] == plan["regionfile"] == file
        info = barcode("IonXpress_001", targetRegionBedFile="panel.bed", nucleotideType="DNA")
        plan = made(server, barcodeId="IonXpress", barcodedSamples=json.dumps({"s1": info}))
        stored = plan["barcodedSamples"]["s1"]["barcodeSampleInfo"]["IonXpress_001"]
        assert stored["targetRegionBedFile"] == file

    def test_fusions_are_rna(self, server):
        plan = made(
            server,
            runType="AMPS_DNA_RNA",
            library="",
            librarykitname="",
            barcodeId="IonXpress",
            barcodedSamples={"s1": barcode("IonXpress_001", nucleotideType="Fusions")},
        )
        assert plan["barcodedSamples"]["s1"]["barcodeSampleInfo"]["IonXpress_001"]["nucleotideType"] == "RNA"

    def test_plans_for_the_chef_wait_and_templates_need_less(self, server):
        assert made(server, templatingKitName=CHEF)["planStatus"] == "pending"
        template = {"planName": "t", "isReusable": True}
        answer = server.user.post("plannedexperiment/", json=template)
        assert answer.status_code == 201 and answer.json()["planStatus"] == "planned"

    def test_plugins_that_every_plan_starts_with(self, server, run_rows):
        plugin = run_rows.Plugin.objects.create(
            name="always", version="1.0", selected=True, defaultSelected=True, active=True
        )
        try:
            entry = {"id": plugin.pk, "name": "always", "version": "1.0", "features": [], "userInput": {}}
            assert made(server)["selectedPlugins"]["always"] == entry
            assert made(server, include_plugin_default_selection=False)["selectedPlugins"] == {}
            assert made(server, selectedPlugins={"x": {"name": "x"}})["selectedPlugins"] == {"x": {"name": "x"}}
        finally:
            plugin.delete()


LONG = "x" * 2000
REFUSED = [
    ("planName", {"planName": None}),
    ("planName", {"planName": "a/b"}),
    ("planName", {"planName": LONG[:61]}),
    ("planName", {"planName": ["a"]}),
    ("chipType", {"chipType": None}),
    ("chipType", {"chipType": "none"}),
    ("chipType", {"chipType": "999"}),
    ("chipType", {"chipType": "521"}),
    ("templatingKitName", {"templatingKitName": None}),
    ("templatingKitName", {"templatingKitName": "no kit"}),
    ("templatingKitName", {"templatingKitName": "Ion S5 Sequencing Kit"}),
    ("templatingKitName", {"templatingKitName": "Ion Proton I Template OT2 Kit", "chipType": "P1.1.17"}),
    ("libraryKey", {"libraryKey": "AAAA"}),
    ("sequencekitname", {"sequencekitname": "no kit"}),
    ("sequencekitname", {"sequencekitname": "IonSeqKit"}),
    ("library", {"library": "hg0"}),
    ("sample", {"sample": "a%b"}),
    ("sample", {"sample": "_a"}),
    ("sample", {"sample": LONG[:128]}),
    ("barcodeId", {"barcodeId": "no set"}),
    ("bedfile", {"bedfile": "absent.bed"}),
    ("bedfile", {"bedfile": "absent.bed", "library": ""}),
    ("bedfile", {"runType": "AMPS", "librarykitname": ""}),
    ("regionfile", {"regionfile": "absent.bed"}),
    ("runType", {"runType": "NONSENSE"}),
    ("applicationGroupDisplayedName", {"applicationGroupDisplayedName": "nothing"}),
    ("applicationGroupDisplayedName", {"applicationGroupDisplayedName": "RNA"}),
    ("sampleGroupingName", {"sampleGroupingName": "nothing"}),
    ("samplePrepProtocol", {"samplePrepProtocol": "nothing"}),
    ("samplePrepProtocol", {"samplePrepProtocol": "no10xab"}),
    ("flowsInOrder", {"flowsInOrder": "TACX"}),
    ("flows", {"flows": 2001}),
    ("flows", {"flows": -1}),
    ("flows", {"flows": "many"}),
    ("libraryReadLength", {"libraryReadLength": 1001}),
    ("templatingSize", {"templatingSize": "300"}),
    ("notes", {"notes": "<b>"}),
    ("notes", {"notes": LONG}),
    ("sampleTubeLabel", {"sampleTubeLabel": LONG}),
    ("projects", {"projects": ["a", LONG[:65]]}),
    ("projects", {"projects": [1]}),
    ("chipBarcode", {"chipBarcode": "a-b"}),
    ("planStatus", {"planStatus": "nonsense"}),
    ("Bead Loading (%)", {"Bead Loading (%)": 101}),
    ("qcValues", {"qcValues": [{"qcType": "nothing", "threshold": 3}]}),
    ("selectedPlugins", {"selectedPlugins": "[1]"}),
    ("autoAnalyze", {"autoAnalyze": "perhaps"}),
    ("Error", {"chipType": "318"}),
    ("Error", {"chipType": "540"}),
    ("Error", {"librarykitname": "Ion AmpliSeq RNA Library Kit"}),
]


class TestRules:
    @pytest.mark.parametrize(("field", "values"), REFUSED, ids=lambda value: str(value)[:60])
    def test_what_breaks_one_is_refused(self, server, field, values):
        assert set(refused(server, values)) == {field}

    @pytest.mark.parametrize(
        "samples",
        [
            {"_a": barcode("IonXpress_001")},
            {"a": {"barcodeSampleInfo": {}}},
            {"a": {"barcodes": ["IonXpress_001"]}},
            {"a": barcode("IonXpress_001") | {"barcodes": ["IonXpress_002"]}},
            {"a": barcode("IonCode_0101")},
            {"a": barcode("IonXpress_001", nucleotideType="")},
            {"a": barcode("IonXpress_001", nucleotideType="RNA")},
            {"a": barcode("IonXpress_001", reference="hg0")},
            {"a": barcode("IonXpress_001", reference="", targetRegionBedFile="x.bed")},
            {"a": barcode("IonXpress_001", hotSpotRegionBedFile="x.bed")},
            {"a": barcode("IonXpress_001", controlType="nothing")},
            {"a": barcode("IonXpress_001", reference=["hg19"])},
            {"a": {"barcodes": ["IonXpress_001"], "barcodeSampleInfo": {"IonXpress_001": {"reference": "hg19"}}}},
            {"a": 1},
            "[]",
        ],
        ids=str,
    )
    def test_barcoded_samples(self, server, samples):
        assert set(refused(server, {"barcodedSamples": samples, "barcodeId": "IonXpress"})) == {"barcodedSamples"}

    def test_barcodes_ignore_letter_case_and_need_a_set(self, server):
        sample = {"a": barcode("ionxpress_001", controlType="No Template Control")}
        made(server, barcodedSamples=sample, barcodeId="IonXpress")
        assert set(refused(server, {"barcodedSamples": sample})) == {"barcodedSamples"}

    def test_all_errors_are_told_at_once(self, server):
        found = refused(server, {"planName": "a/b", "chipType": "x", "flows": 5000})
        assert set(found) == {"planName", "chipType", "flows"}
        assert all(isinstance(messages, list) and messages for messages in found.values())

    def test_no_flows_and_order_of_any_bases_pass(self, server):
        assert made(server, flows="0", flowsInOrder="TACG")["flowsInOrder"] == "TACG"


class TestChanging:
    def test_put_and_patch_reach_all_rows(self, server, run_rows):
        plan = made(server)
        answer = server.user.patch(
            plan["resource_uri"],
            json={
                "chipType": "530",
                "sample": "other sample",
                "library": "",
                "notes": "n",
                "projects": ["changed"],
                "Key Signal (1-100)": 50,
                "planName": "new name",
                "planStatus": "reserved",
            },
        )
        assert answer.status_code == 202
        changed = answer.json()
        assert changed["chipType"] == "530" and changed["library"] == "" and changed["projects"] == ["changed"]
        assert changed["sample"] == "other_sample" and changed["sampleDisplayedName"] == "other sample"
        assert changed["planName"] == "new_name" and changed["planDisplayedName"] == "new name"
        assert "args_530_" in changed["analysisargs"] and changed["qcValues"][0]["threshold"] == 50
        same = {name: changed[name] for name in ("planGUID", "planShortID", "experiment", "sequencekitname", "origin")}
        assert same == {name: plan[name] for name in same}
        row = run_rows.PlannedExperiment.objects.get(pk=plan["id"])
        assert row.experiment.eas_set.count() == 1 and row.experiment.chipType == "530"
        answer = server.user.put(plan["resource_uri"], json=changed | {"flows": 400})
        assert answer.status_code == 200 and answer.json()["flows"] == 400
        assert {name for name, value in answer.json().items() if value != changed[name]} <= {"flows", "date"}

    def test_own_command_lines_are_kept_where_it_is_said(self, server):
        plan = made(server, analysisargs="Analysis --own")
        assert "args_520" in plan["analysisargs"] and not plan["custom_args"]
        own = {"analysisargs": "Analysis --own", "custom_args": True}
        changed = server.user.patch(plan["resource_uri"], json=own).json()
        assert changed["analysisargs"] == "Analysis --own" and changed["custom_args"]
        changed = server.user.patch(plan["resource_uri"], json={"chipType": "530"}).json()
        assert changed["analysisargs"] == "Analysis --own"
        changed = server.user.patch(plan["resource_uri"], json={"custom_args": False}).json()
        assert "args_530_" in changed["analysisargs"]

    def test_what_is_doubtful_only_warns(self, server):
        plan = made(server, barcodeId="IonXpress")
        answer = server.user.patch(plan["resource_uri"], json={"chipType": "521", "templatingKitName": ""})
        assert answer.status_code == 400
        incomplete = {"a": {"barcodes": ["IonXpress_001"], "barcodeSampleInfo": {"IonXpress_001": {}}}}
        answer = server.user.patch(
            plan["resource_uri"], json={"barcodedSamples": incomplete, "sequencekitname": "ProtonI200Kit"}
        )
        assert answer.status_code == 400 and set(json.loads(answer.json()["error"])) == {"Error"}
        answer = server.user.patch(plan["resource_uri"], json={"barcodedSamples": incomplete})
        assert answer.status_code == 202 and set(answer.json()["Warnings"]) == {"barcodedSamples"}
        assert answer.json()["barcodedSamples"] == incomplete and answer.json()["sample"] == ""

    def test_settings_that_a_report_was_made_with_stay(self, server, run_rows):
        plan = made(server)
        row = run_rows.PlannedExperiment.objects.get(pk=plan["id"])
        run_rows.ExperimentAnalysisSettings.objects.filter(pk=row.latestEAS_id).update(isEditable=False)
        report = run_rows.Results.objects.create(
            experiment=row.experiment,
            eas=row.latestEAS,
            reportstorage=run_rows.ReportStorage.objects.first(),
            framesProcessed=0,
            processedCycles=0,
            processedflows=0,
        )
        changed = server.user.patch(plan["resource_uri"], json={"library": ""}).json()
        assert changed["library"] == ""
        of_report = server.user.get(plan["resource_uri"], params={"for_report": report.pk}).json()
        assert of_report["library"] == "hg19"
        for unknown in ("999999", "x", "-1"):
            assert server.user.get("plannedexperiment/", params={"for_report": unknown}).status_code == 400
        assert server.user.delete(plan["resource_uri"]).status_code == 204
        assert not run_rows.Results.objects.filter(pk=report.pk).exists()
        assert not run_rows.Experiment.objects.filter(pk=row.experiment.pk).exists()
        assert not run_rows.ExperimentAnalysisSettings.objects.filter(experiment=row.experiment.pk).exists()

    def test_parts_must_still_fit_each_other(self, server):
        plan = made(server, **BARCODED)
        answer = server.user.patch(plan["resource_uri"], json={"barcodeId": "IonCode"})
        assert answer.status_code == 400 and set(json.loads(answer.json()["error"])) == {"barcodedSamples"}
        answer = server.user.patch(plan["resource_uri"], json={"barcodeId": "", "barcodedSamples": {}, "sample": "s"})
        assert answer.status_code == 202 and answer.json()["sample"] == "s" and answer.json()["barcodedSamples"] == {}
        assert set(refused(server, {"isReusable": "false", "chipType": None})) == {"chipType"}

    def test_settings_written_directly_may_hold_anything(self, server, run_rows):
        plan = made(server)
        settings = run_rows.PlannedExperiment.objects.get(pk=plan["id"]).latestEAS_id
        odd = {"barcodedSamples": [1], "selectedPlugins": "[2]", "libraryKitName": None, "reference": None}
        answer = server.user.patch(f"experimentanalysissettings/{settings}/", json=odd)
        assert answer.status_code == 202
        read = server.user.get(plan["resource_uri"]).json()
        assert read["barcodedSamples"] == [1] and read["librarykitname"] == read["library"] == ""
        answer = server.user.patch(
            plan["resource_uri"], json={"barcodeId": "IonXpress", "sample": "s", "chipType": "530"}
        )
        assert answer.status_code == 202 and answer.json()["chipType"] == "530"
        assert server.user.get("plannedexperiment/").status_code == 200

    def test_values_of_wrong_types_are_refused_or_taken(self, server):
        """Never a defect of the server, whatever stands in a field, also where no rule is checked."""
        plan = made(server)
        fields = server.user.get("plannedexperiment/schema/").json()["fields"]
        odd = [[], [[None]], {"a": {"barcodes": [{}], "barcodeSampleInfo": 1}}, "\0", 10**20, "\ud800", True]
        for number, name in enumerate([*fields, "Bead Loading (%)", "project", "custom_args", "beadfindargs"]):
            body = json.dumps({"planName": "odd"} | {name: odd[number % len(odd)]})
            options = {"data": body, "headers": {"Content-Type": "application/json"}}
            posted = server.user.post("availableonetouchplannedexperiment/", **options)
            patched = server.user.patch(plan["resource_uri"], **options)
            assert posted.status_code in (201, 400) and patched.status_code in (202, 400), body
        assert server.user.get("plannedexperiment/", params={"limit": 0}).status_code == 200

    def test_a_run_without_a_plan_is_taken(self, server, run_rows):
        from django.utils.timezone import now

        run = run_rows.Experiment.objects.create(
            unique=uuid.uuid4().hex, expName="R", chipType="520", cycles=0, flows=7, date=now(), expDir="/x"
        )
        uri = f"/rundb/api/v1/experiment/{run.pk}/"
        plan = made(server, experiment=uri)
        assert plan["experiment"] == uri and plan["flows"] == 7
        assert server.user.get(uri).json()["expName"] == "R"
        answer = server.user.post("plannedexperiment/", json=PLAN | {"experiment": uri[:-1] + "9999/"})
        assert answer.status_code == 400 and "Could not find" in answer.json()["error"]

    def test_parents_and_children(self, server):
        parent = made(server)
        child = made(server, parentPlan=parent["resource_uri"])
        assert child["parentPlan"] == parent["resource_uri"]
        assert server.user.get(parent["resource_uri"]).json()["childPlans"] == [child["resource_uri"]]

    def test_who_may(self, server):
        plan = made(server)
        assert server.nobody.post("plannedexperiment/", json=PLAN).status_code == 401
        from django.contrib.auth.models import Group, User
        from tastypie.models import ApiKey

        reader = User.objects.create_user(f"reader{uuid.uuid4().hex[:8]}")
        reader.groups.remove(*Group.objects.all())
        key = ApiKey.objects.get(user=reader).key
        ask = type(server.user)(server.base, reader.username, key)
        assert ask.get(plan["resource_uri"]).status_code == 200
        for answer in (
            ask.post("plannedexperiment/", json=PLAN),
            ask.patch(plan["resource_uri"], json={"planName": "x"}),
            ask.put(plan["resource_uri"], json={"planName": "x"}),
            ask.delete(plan["resource_uri"]),
            ask.post(f"plannedexperiment/copy/{plan['planGUID']}/"),
        ):
            assert answer.status_code == 401 and answer.content == b""


def shown(server, resource, **parameters):
    return {row["id"] for row in server.user.objects(resource, limit=0, **parameters)}


class TestViews:
    def test_each_shows_its_selection(self, server):
        ids = {
            "planned": made(server)["id"],
            "pending": made(server, templatingKitName=CHEF)["id"],
            "template": made(server, isReusable=True)["id"],
            "chef template": made(server, isReusable=True, templatingKitName=CHEF)["id"],
            "inactive": made(server, isReusable=True, planStatus="inactive")["id"],
            "system": made(server, isReusable=True, isSystemDefault=True)["id"],
        }
        templates = ("template", "chef template", "inactive", "system")
        expected = {
            "plannedexperiment": tuple(ids),
            "plannedexperimentdb": tuple(ids),
            "availableplannedexperimentsummary": ("planned",),
            "availableonetouchplannedexperiment": ("planned",),
            "availableonetouchplannedexperimentsummary": ("planned",),
            "availableionchefplannedexperiment": ("pending",),
            "availableionchefplannedexperimentsummary": ("pending",),
            "onetouchplantemplate": ("template", "inactive", "system"),
            "onetouchplantemplatesummary": ("template", "inactive", "system"),
            "ionchefplantemplate": ("chef template",),
            "ionchefplantemplatesummary": ("chef template",),
            "plantemplatesummary": templates,
            "plantemplatebasicinfo": ("template", "chef template"),
        }
        for resource, names in expected.items():
            assert shown(server, resource) & set(ids.values()) == {ids[name] for name in names}, resource
        for name in ("availableionchefplannedexperiment", "availableionchefplannedexperimentsummary"):
            assert len(server.user.get(f"{name}/{ids['pending']}/").json()) == 13
        info = server.user.get(f"plantemplatebasicinfo/{ids['chef template']}/").json()
        expected = {
            "templatePrepInstrumentType": "IonChef",
            "reference": "hg19",
            "barcodeKitName": "",
            "irAccountName": "",
            "notes": "",
            "sampleGroupName": "",
            "applicationCategoryDisplayedName": "",
        }
        assert info == info | expected and info["eas"].startswith("/rundb/api/v1/experimentanalysissettings/")

    def test_nested_views_are_whole(self, server):
        plan = made(server)
        view = server.user.get(f"availableonetouchplannedexperiment/{plan['id']}/").json()
        assert {k for k in plan if view.get(k) != plan[k]} == {"resource_uri", "Warnings"}
        database = server.user.get(f"plannedexperimentdb/{plan['id']}/").json()
        assert len(database) == 55 and all(plan[name] == database[name] for name in database if name != "resource_uri")

    def test_what_is_written_there_is_the_plan(self, server):
        for resource in ("plannedexperimentdb", "availableonetouchplannedexperiment", "plantemplatesummary"):
            answer = server.user.post(f"{resource}/", json=PLAN | {"isReusable": resource.startswith("plantemplate")})
            assert answer.status_code == 201 and answer.headers["Location"].startswith(f"/rundb/api/v1/{resource}/")
            assert bool(answer.content) == (resource == "plannedexperimentdb")
            number = answer.headers["Location"].split("/")[-2]
            plan = server.user.get(f"plannedexperiment/{number}/").json()
            assert plan["chipType"] == "520" and plan["sample"] == "my_sample" and plan["library"] == "hg19"
            answer = server.user.patch(f"{resource}/{number}/", json={"planStatus": "reserved", "chipType": "530"})
            assert answer.status_code == 202
            plan = server.user.get(f"plannedexperiment/{number}/").json()
            assert (plan["planStatus"], plan["chipType"]) == ("reserved", "530")
        answer = server.user.post("plannedexperimentdb/", json={"planName": "x"})
        assert answer.status_code == 400 and "chipType" in json.loads(answer.json()["error"])

    def test_parameters_of_their_own(self, server, run_rows):
        tag = uuid.uuid4().hex[:10]
        first = made(server, platform="PGM", chipBarcode=f"A{tag}", planName=f"a {tag}")["id"]
        second = made(server, platform="S5", chipBarcode=f"B{tag}", planName=f"b {tag}")["id"]
        third = made(server, platform="", planName=f"c {tag}")["id"]
        every = {first, second, third}

        def found(**parameters):
            return shown(server, "plannedexperiment", **parameters) & every

        assert found(platform="pgm") == {first, third} and found(instrument="s5") == {second, third}
        assert found(chipBarcode=f"A{tag}") == {first} and found(chipBarcode__startswith=f"B{tag}") == {second}
        assert found(name_or_id=tag.upper()) == every
        short = server.user.get(f"plannedexperiment/{first}/").json()["planShortID"]
        assert first in found(name_or_id=short.lower())
        made_set = server.user.post(
            "sampleset/", json={"displayedName": f"set {tag}", "combinedLibraryTubeLabel": f"L{tag}"}
        ).json()
        answer = server.user.patch(f"plannedexperiment/{first}/", json={"sampleSets": [made_set["resource_uri"]]})
        plan = answer.json()
        assert plan["sampleSets"] == [made_set["resource_uri"]] and plan["sampleSetDisplayedName"] == f"set {tag}"
        assert plan["combinedLibraryTubeLabel"] == f"L{tag}"
        assert found(combinedLibraryTubeLabel=f"l{tag}") == {first}
        assert server.user.get("plannedexperiment/", params={"chipType": "520"}).status_code == 400
        assert found(experiment__chipType="520", name_or_id=tag) == every

    def test_long_lists_take_as_many_queries_as_short_ones(self, server, run_rows):
        from django.contrib.auth.models import User
        from django.db import connection
        from django.test import RequestFactory
        from django.test.utils import CaptureQueriesContext

        import ionanalysis.rundb.urls  # noqa: F401
        from ionanalysis.rundb.protocol import RESOURCES

        for _ in range(3):
            made(server, projects=["a"], **{"Bead Loading (%)": 30})
            made(server, projects=["a"], **{"Bead Loading (%)": 30}, isReusable=True)
        for name in (
            "plannedexperiment",
            "plannedexperimentdb",
            "plantemplatebasicinfo",
            "availableplannedexperimentsummary",
        ):
            counts = []
            for size in (1, 4):
                resource, request = RESOURCES[name](), RequestFactory().get("/", {"limit": size})
                request.user = User.objects.get(username="ionadmin")
                with CaptureQueriesContext(connection) as queries:
                    for row in resource.page(request, resource.asked_for(request))["objects"]:
                        resource.shown(request, row, in_list=True)
                counts.append(len(queries))
            assert counts[0] == counts[1], name


class TestRoutes:
    def test_copy(self, server):
        plan = made(server, **BARCODED, **{"Bead Loading (%)": 41}, projects=["copied"])
        answer = server.user.post(f"plannedexperiment/copy/{plan['planGUID']}/", data={"notes": "by form"})
        assert answer.status_code == 202
        copy = answer.json()
        assert copy["planName"] == "CopyOf_DOCS_my_plan" and copy["planStatus"] == "planned"
        assert copy["origin"] == "copy|5.4.0" and copy["notes"] == "by form"
        own = {"id", "planGUID", "planShortID", "experiment"}
        assert all(copy[name] != plan[name] for name in own)
        for name in ("barcodedSamples", "projects", "chipType", "library", "templatingKitName"):
            assert copy[name] == plan[name]
        assert copy["qcValues"][0]["threshold"] == 41
        url = f"plannedexperiment/copy/{plan['planGUID']}/"
        assert server.user.post(url, json={"planName": "other"}).json()["planDisplayedName"] == "other"
        assert server.user.post(url, data={"chipType": "nothing"}).status_code == 400
        assert server.user.post("plannedexperiment/copy/none/").status_code == 410
        assert server.user.get(url).status_code == 405

    def test_transfer_is_not_done(self, server):
        plan = made(server)
        assert server.user.get(f"{plan['resource_uri']}transfer/").status_code == 501
        assert server.user.post(f"{plan['resource_uri']}transfer/", data={"destination": "x"}).status_code == 501

    def test_files_of_templates(self, server, run_rows):
        settings = made(server, isReusable=True, categories="onco_immune")["experiment"]
        rows = run_rows.ExperimentAnalysisSettings.objects.filter(experiment=settings.split("/")[-2])
        rows.update(reference="absent", targetRegionBedFile="/absent.bed")
        asked = server.user.get("plantemplatebasicinfo/check_files/", params={"application": "onco_immune"}).json()
        assert asked == {
            "references": ["absent"],
            "bedfiles": ["/absent.bed"],
            "install_lock": False,
            "files_available": False,
        }
        asked = server.user.get("plantemplatebasicinfo/check_files/", params={"application": "repro"}).json()
        assert asked["references"] == [] and asked["files_available"] is True

    def test_command_lines(self, server):
        def asked(**parameters):
            answer = server.user.get("analysisargs/getargs/", params=parameters)
            assert answer.status_code == 200 and len(answer.json()) == 14
            return answer.json()

        default = server.user.objects("analysisargs", name="ion_default_520")[0]
        assert all(default[name] == text for name, text in asked(chipType="520").items())
        kit = {"sequenceKitName": "Ion S5 ExT Sequencing Kit", "templateKitName": "Ion 521/530 ExT Kit-Chef V1"}
        fitting = server.user.objects("analysisargs", name="ion_520_ExT")[0]
        assert all(fitting[name] == text for name, text in asked(chipType="520", **kit).items())
        rna = server.user.objects("analysisargs", name="ion_default_520_rna")[0]
        found = asked(chipType="520", applType="RNA", applGroup="RNA")
        assert all(rna[name] == text for name, text in found.items())
        assert asked(chipType="314X") == asked(chipType="314")
        assert set(asked(chipType="nothing").values()) == {""}
        plan = made(server)
        assert asked(planGUID=plan["planGUID"]) == {name: plan[name] for name in found}
        assert asked(planGUID=plan["planGUID"], chipType="530")["analysisargs"].endswith("args_530_analysis.json")
        own = {"custom_args": True, "ionstatsargs": "own"}
        server.user.patch(plan["resource_uri"], json=own)
        assert asked(planGUID=plan["planGUID"])["ionstatsargs"] == "own"
        assert server.user.get("analysisargs/getargs/", params={"planGUID": "none"}).status_code == 404
