"""Results that are taken into the run database: every number, every relation, again and again, half-finished or not."""

import json
import math
import os
import sqlite3
from contextlib import closing, contextmanager

import pytest
from rundb_result import copy_of
from rundb_server import command

SQLITE_ONLY = pytest.mark.skipif(
    os.environ.get("IONANALYSIS_TEST_DATABASE") == "postgresql",
    reason="looks into the file of SQLite beside the server",
)

AQ = (7, 10, 17, 20, 47)


@pytest.fixture(scope="module")
def report(run_server, ingested):
    return run_server.user.get(f"results/{ingested.report}/").json()


def metrics(run_server, report, table):
    (address,) = report[table]
    row = run_server.user.get(address).json()
    return {name: value for name, value in row.items() if name not in ("id", "resource_uri", "report")}


def differing(got, expected):
    """Columns that are not as expected, with both values; floats have 15 digits on the wire."""
    return {
        name: (got.get(name), value)
        for name, value in expected.items()
        if got.get(name) != (pytest.approx(value, rel=1e-14) if isinstance(value, float) else value)
    }


@contextmanager
def other_database(path):
    """Let this process use another file of SQLite."""
    from django.db import connection

    kept = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = str(path)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = kept


def sql(run_server, query, *values):
    return sql_of(run_server.database, query, *values)


def sql_of(path, query, *values):
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query, values).fetchall()


class TestMetrics:
    """rest-api.md 9, column by column, from the files and nothing else."""

    def test_wells(self, run_server, ingested, report):
        from ionanalysis.io.mask import WellFlag, read_mask

        calls = ingested.json("basecaller_results/BaseCaller.json")
        flags = {"empty": "EMPTY", "bead": "BEAD", "live": "LIVE", "dud": "DUD", "tf": "TF", "lib": "LIB"}
        flags |= {"pinned": "PINNED", "ignored": "IGNORE", "excluded": "EXCLUDE"}
        mask = read_mask(ingested.folder / "sigproc_results" / "analysis.bfmask.bin")
        expected = {column: mask.count(WellFlag[name]) for column, name in flags.items()}
        usable = 576 - expected["excluded"]
        expected |= {"total": 576, "adjusted_addressable": usable, "loading": 100 * expected["bead"] / usable}
        expected |= {f"{kind}Final": calls["Filtering"]["ReadDetails"][kind]["valid"] for kind in ("lib", "tf")}
        expected |= {f"sys{name}": 100 * calls["Phasing"][name] for name in ("CF", "IE", "DR")}
        got = metrics(run_server, report, "analysismetrics")
        # Counts that such a mask does not have.
        rest = {name: value for name, value in got.items() if name not in expected}
        assert len(rest) == 16 and not any(rest.values())
        assert not differing(got, expected)
        assert got["libFinal"] > 100 and got["sysCF"] > 0

    def test_library(self, run_server, ingested, report):
        reads = ingested.json("basecaller_results/ionstats_basecaller.json")
        aligned = ingested.json("ionstats_alignment.json")
        calls = ingested.json("basecaller_results/BaseCaller.json")
        info = ingested.json("alignment.json")
        n_bases = aligned["aligned"]["num_bases"]
        expected = {
            "genome": "reference",
            "Genome_Version": "None",
            "Index_Version": info["aligner"],
            "genomesize": str(sum(one["length"] for one in info["sequences"])),
            "totalNumReads": reads["full"]["num_reads"],
            "aveKeyCounts": 0,
            "sysSNR": reads["system_snr"],
            "align_sample": 0,
            "total_mapped_reads": str(aligned["aligned"]["num_reads"]),
            "total_mapped_target_bases": str(n_bases),
            "raw_accuracy": round(100 * (1 - sum(aligned["error_by_position"]) / n_bases), 2),
            "duplicate_reads": None,
            **{name.lower(): 100 * calls["Phasing"][name] for name in ("CF", "IE", "DR")},
        }
        for q in AQ:
            of = aligned[f"AQ{q}"]
            expected |= {
                f"q{q}_longest_alignment": of["max_read_length"],
                f"q{q}_mean_alignment_length": int(of["mean_read_length"]),
                f"q{q}_mapped_bases": str(of["num_bases"]),
                f"q{q}_alignments": of["num_reads"],
                **{f"i{n}Q{q}_reads": sum(of["read_length_histogram"][n:]) for n in range(50, 601, 50)},
            }
        got = metrics(run_server, report, "libmetrics")
        assert set(got) == set(expected) and not differing(got, expected)
        assert int(got["q20_mapped_bases"]) > 1000 and got["raw_accuracy"] > 98

    def test_qualities(self, run_server, ingested, report):
        reads = ingested.json("basecaller_results/ionstats_basecaller.json")
        full, histogram = reads["full"], reads["full"]["read_length_histogram"]
        lengths = [length for length, n in enumerate(histogram) for _ in range(n)]
        mean = full["num_bases"] / full["num_reads"]
        expected = {}
        for q in (0, 17, 20):
            expected |= {
                f"q{q}_bases": str(sum(reads["qv_histogram"][q:])),
                f"q{q}_reads": full["num_reads"],
                f"q{q}_max_read_length": full["max_read_length"],
                f"q{q}_mean_read_length": math.floor(mean) if q == 20 else mean,
                f"q{q}_median_read_length": lengths[len(lengths) // 2],
                f"q{q}_mode_read_length": histogram.index(max(histogram)),
                **{f"q{q}_{n}bp_reads": sum(length >= n for length in lengths) for n in (50, 100, 150)},
            }
        got = metrics(run_server, report, "qualitymetrics")
        assert set(got) == set(expected) and not differing(got, expected)

    def test_test_fragments(self, run_server, ingested, report):
        told = ingested.json("basecaller_results/TFStats.json")
        rows = [run_server.user.get(address).json() for address in report["tfmetrics"]]
        assert {row["name"] for row in rows} == set(told) and len(rows) == len(told) > 0
        for row in rows:
            of = told[row["name"]]
            pairs = zip(of["Per HP accuracy NUM"], of["Per HP accuracy DEN"], strict=True)
            expected = {
                "sequence": of["TF Seq"],
                "number": of["Num"],
                "keypass": of["Num"],
                "aveKeyCount": 0,
                "SysSNR": of["System SNR"],
                "HPAccuracy": ", ".join(f"{n} : {right}/{total}" for n, (right, total) in enumerate(pairs)),
                "corrHPSNR": "",
            }
            for q in (10, 17):
                expected |= {f"Q{q}Histo": " ".join(map(str, of[f"Q{q}"])), f"Q{q}Mean": of[f"Q{q} Mean"]}
                expected[f"Q{q}ReadCount"] = of[f"50Q{q}"]
            assert not differing(row, expected)


class TestRun:
    def test_the_run_is_that_of_the_log(self, run_server, ingested, report):
        run = run_server.user.get(report["experiment"]).json()
        assert (run["expName"], run["displayName"]) == ("SIM_ionanalysis", "SIM ionanalysis")
        assert run["expDir"] == str(ingested.folder.parent / "run") and run["unique"] == run["expDir"]
        assert (run["chipType"], run["platform"], run["pgmName"]) == ("530", "S5", "SIM5")
        assert run["date"] == "2020-01-01T00:00:00+00:00" and run["flows"] == 120
        assert run["log"]["experiment_name"] == "SIM_ionanalysis" and run["status"] == "run"
        assert run["sample"] == "simulated" and run["results"] == [report["resource_uri"]]
        (settings,) = run["eas_set"]
        assert (settings["reference"], settings["barcodeKitName"], settings["libraryKey"]) == (
            "reference",
            "IonXpress",
            "TCAG",
        )
        assert run_server.user.get("rig/SIM5/").json()["last_experiment"] == "SIM_ionanalysis"

    def test_the_report_tells_where_its_files_are(self, ingested, report):
        number = ingested.report
        assert report["status"] == "Completed" and report["filesystempath"] == str(ingested.folder)
        assert report["reportLink"] == f"/output/Home/Auto_life_1_{number:03d}/"
        assert report["bamLink"] == f"{report['reportLink']}download_links/SIM_ionanalysis_Auto_life_1.bam"
        assert (ingested.folder / "primary.key").read_text() == f"ResultsPK = {number}\n"
        assert report["analysisVersion"].startswith("db:") and report["reference"] == "reference"

    def test_its_history_is_found_by_a_pattern_of_its_name(self, run_server, ingested):
        posted = run_server.admin.post("datamanagementhistory/", json={"text": "moved", "object_pk": ingested.report})
        (name,) = {report["resultsName"] for report in run_server.user.objects("results", id=ingested.report)}
        for pattern, found in ((f"^{name[:3]}", True), (f"{name}nothing", False)):
            rows = run_server.user.objects("datamanagementhistory", resultsName=pattern, limit=0)
            assert (posted.headers["Location"] in [row["resource_uri"] for row in rows]) is found
        assert run_server.user.get("datamanagementhistory/", params={"resultsName": "("}).status_code == 400

    def test_space_is_counted(self, run_server, ingested):
        (row,) = run_server.user.objects("compositedatamanagement", id=ingested.report)
        assert (row["sigproc_state"], row["misc_keep"], row["in_process"]) == ("Local", False, False)
        assert row["output_diskspace"] > 0.05 and row["misc_diskspace"] > 0.1
        parts = sum(row[f"{name}_diskspace"] for name in ("sigproc", "basecall", "output", "misc"))
        assert row["diskusage"] == round(parts)

    @SQLITE_ONLY
    def test_taken_in_again_it_fills_the_same_rows(self, run_server, ingested):
        tables = "results experiment experimentanalysissettings analysismetrics libmetrics qualitymetrics tfmetrics"
        count = " union all ".join(f"select count(*) from rundb_{name}" for name in f"{tables} sample project".split())
        before = sql(run_server, count)
        told = command("db", "ingest", ingested.folder, "--database", run_server.database)
        assert told.split() == [str(ingested.report)] and sql(run_server, count) == before


@SQLITE_ONLY
class TestRelations:
    """Relation filters and nested objects give what plain SQL gives."""

    def test_filters_across_relations(self, run_server, ingested):
        for resource, asked, query in (
            (
                "libmetrics",
                {"report__id": ingested.report},
                "select id from rundb_libmetrics where report_id = {report}",
            ),
            (
                "results",
                {"experiment__chipType": "530", "eas__reference__startswith": "refer"},
                "select r.id from rundb_results r join rundb_experiment e on e.id = r.experiment_id join "
                "rundb_experimentanalysissettings s on s.id = r.eas_id where e.chipType = '530' and "
                "substr(s.reference, 1, 5) = 'refer'",
            ),
            (
                "experiment",
                {"samples__name": "simulated", "results__libmetrics__totalNumReads__gt": 10},
                "select distinct e.id from rundb_experiment e "
                "join rundb_sample_experiments l on l.experiment_id = e.id join rundb_sample s on s.id = l.sample_id "
                "join rundb_results r on r.experiment_id = e.id join rundb_libmetrics m on m.report_id = r.id "
                "where s.name = 'simulated' and m.totalNumReads > 10",
            ),
            (
                "results",
                {"projects__name__in": "simulated,other", "tfmetrics__number__gte": 1},
                "select distinct r.id from rundb_results r join rundb_results_projects l on l.results_id = r.id join "
                "rundb_project p on p.id = l.project_id join rundb_tfmetrics t on t.report_id = r.id where "
                "p.name in ('simulated', 'other') and t.number >= 1",
            ),
        ):
            expected = {number for (number,) in sql(run_server, query.format(report=ingested.report))}
            rows = run_server.user.objects(resource, limit=0, **asked)
            assert {row["id"] for row in rows} == expected and len(rows) == len(expected) > 0, asked

    def test_nested_objects(self, run_server, ingested):
        run = run_server.user.get(f"experiment/{ingested.run}/").json()
        columns = "id, reference, barcodeKitName, threePrimeAdapter, tfKey"
        query = f"select {columns} from rundb_experimentanalysissettings where experiment_id = ? order by id"
        nested = [tuple(one[name] for name in columns.split(", ")) for one in run["eas_set"]]
        assert nested == sql(run_server, query, ingested.run)
        (listed,) = run_server.user.objects("compositeexperiment", id=ingested.run)
        (report,) = listed["results"]
        names = ("id", "bead", "empty", "excluded", "pinned", "ignored", "lib", "libFinal", "live")
        query = f"select {', '.join(names)} from rundb_analysismetrics where report_id = ?"
        (values,) = sql(run_server, query, ingested.report)
        assert tuple(report["analysismetrics"][name] for name in names) == values
        assert report["analysismetrics"]["total_wells"] == sum(values[1:6])

    def test_what_goes_with_a_run(self, run_server, run_rows, ingested, tmp_path):
        from ionanalysis.rundb.life.ingest import ingest

        plan = run_rows.PlannedExperiment.objects.create(planName="goes", planShortID="GOES1")
        folder = copy_of(
            ingested, tmp_path / "goes", log={"planned_run_short_id": "GOES1"}, sampleInfo={"only one": {}}
        )
        row = ingest(folder)
        counted = {
            "results": f"id = {row.pk}",
            "plannedexperiment": f"id = {plan.pk}",
            "libmetrics": f"report_id = {row.pk}",
            "tfmetrics": f"report_id = {row.pk}",
            "dmfilestat": f"result_id = {row.pk}",
            "experimentanalysissettings": f"experiment_id = {row.experiment_id}",
            "sample": "name = 'only_one'",
        }
        query = " union all ".join(f"select count(*) > 0 from rundb_{name} where {of}" for name, of in counted.items())
        assert sql(run_server, query) == [(1,)] * len(counted)
        assert run_server.user.delete(f"experiment/{row.experiment_id}/").status_code == 204
        assert sql(run_server, query) == [(0,)] * len(counted)
        assert sql(run_server, "select count(*) from rundb_sample where name = 'simulated'") == [(1,)]


class TestPlans:
    @pytest.mark.parametrize(
        ("column", "key"),
        [("planGUID", "planned_run_guid"), ("planShortID", "planned_run_short_id"), ("planName", None)],
    )
    def test_a_plan_gets_its_run(self, run_server, run_rows, ingested, tmp_path, column, key):
        from ionanalysis.rundb.life.ingest import ingest

        name = f"plan_{column}"
        plan = run_rows.PlannedExperiment.objects.create(**{column: name}, planStatus="planned", runType="AMPS")
        settings = {"expDir": "", "chipType": "530", "cycles": 0, "flows": 0, "date": "2026-01-01T00:00:00+00:00"}
        planned = run_rows.Experiment.objects.create(plan=plan, unique=name, expName=name, status="planned", **settings)
        plan.latestEAS = run_rows.ExperimentAnalysisSettings.objects.create(
            experiment=planned, libraryKitName="a kit", isEditable=True
        )
        plan.save()
        params = {} if key else {"exp_json": {**ingested.json("ion_params_00.json")["exp_json"], "expName": name}}
        row = ingest(copy_of(ingested, tmp_path / name, log={key: name} if key else {}, **params))
        assert row.experiment_id == planned.pk and row.eas_id != plan.latestEAS_id
        got = run_server.user.get(f"experiment/{planned.pk}/").json()
        assert got["status"] == "run" and got["expDir"].endswith("raw") and len(got["eas_set"]) == 2
        used = run_server.user.get(f"experimentanalysissettings/{row.eas_id}/").json()
        assert (used["libraryKitName"], used["reference"], used["isEditable"]) == ("a kit", "reference", False)
        plan.refresh_from_db()
        assert plan.planExecuted and plan.planStatus == "run" and plan.expName == got["expName"]

    def test_a_posted_plan_gets_its_run(self, run_server, ingested, tmp_path):
        """What a client plans is found again in its run: short id, samples, projects, settings."""
        from ionanalysis.rundb.life.ingest import ingest

        sent = {
            "planName": "life_plan",
            "chipType": "530",
            "sample": "life_sample",
            "projects": ["life_project"],
            "sequencekitname": "Ion S5 Sequencing Kit",
            "librarykitname": "Ion Xpress Plus Fragment Library Kit",
            "templatingKitName": "Ion 520/530 Kit-OT2",
        }
        made = run_server.user.post("plannedexperiment/", json=sent)
        assert made.status_code == 201, made.text
        plan = made.json()
        row = ingest(copy_of(ingested, tmp_path / "planned", log={"planned_run_short_id": plan["planShortID"]}))
        report = run_server.user.get(f"results/{row.pk}/").json()
        assert report["planShortID"] == plan["planShortID"] and report["experiment"] == plan["experiment"]
        names = [run_server.user.get(address).json()["name"] for address in report["projects"]]
        assert sorted(names) == ["life_project", "simulated"]
        run = run_server.user.get(report["experiment"]).json()
        samples = {run_server.user.get(address).json()["name"] for address in run["samples"]}
        assert samples == {"life_sample"} and run["status"] == "run"
        used = run_server.user.get(report["eas"]).json()
        assert used["libraryKitName"] == sent["librarykitname"] and used["barcodeKitName"] == "IonXpress"
        again = run_server.user.get(plan["resource_uri"]).json()
        assert again["planExecuted"] is True and again["planStatus"] == "run"
        (listed,) = run_server.user.objects("compositeexperiment", all_text=plan["planShortID"])
        assert listed["plan"]["id"] == plan["id"] and listed["results"][0]["id"] == row.pk


class TestStates:
    @pytest.mark.parametrize(
        ("status", "stages", "expected", "kind"),
        [
            ("running", {"basecaller": {"status": "running"}}, "Base Calling", "Progress"),
            ("running", {}, "Started", "Progress"),
            ("failed", {"sigproc": {"status": "failed"}}, "Error in Signal Processing", "Error"),
            ("interrupted", {"alignment": {"status": "interrupted"}}, "TERMINATED", "Other"),
            (
                "incomplete",
                {"sigproc": {"status": "incomplete", "failed_blocks": [["X0_Y0", "bad"], ["X0_Y1", "bad"]]}},
                "Completed with 2 error(s)",
                "Error",
            ),
        ],
    )
    def test_half_finished_runs(self, run_server, ingested, tmp_path, status, stages, expected, kind):
        from ionanalysis.rundb.life.ingest import ingest

        folder = copy_of(ingested, tmp_path / f"half_{status}_{len(stages)}")
        record = ingested.json("run.json") | {"status": status, "stages": stages}
        (folder / "run.json").write_text(json.dumps(record))
        if status == "failed":
            (folder / "basecaller_results" / "ionstats_basecaller.json").unlink()
        row = ingest(folder)
        got = run_server.user.get(f"results/{row.pk}/").json()
        assert got["status"] == expected and len(got["libmetrics"]) == (status != "failed")
        for name in ("Completed", "Progress", "Error", "Other"):
            runs = run_server.user.objects("compositeexperiment", id=row.experiment_id, result_status=name)
            assert len(runs) == (name == kind)
        (found,) = run_server.user.objects("compositeexperiment", id=row.experiment_id)
        assert [report["status_display"] for report in found["results"]] == [kind]

    def test_what_is_no_result_is_told(self, tmp_path, run_rows):
        from ionanalysis.errors import InputError
        from ionanalysis.rundb.life.ingest import ingest

        with pytest.raises(InputError, match="is no directory"):
            ingest(tmp_path / "nothing")
        with pytest.raises(InputError, match=r"is no result of a run, it has no ion_params_00\.json"):
            ingest(tmp_path)
        (tmp_path / "ion_params_00.json").write_text("[]")
        with pytest.raises(InputError, match="must hold an object"):
            ingest(tmp_path)


def test_a_folder_holds_all_that_a_server_needs(ingested, tmp_path):
    """The names of interface.md: `--data DIR`, `--admin`, the key as the last word, the number of the report."""
    folder = tmp_path / "new" / "data"
    command("db", "init", "--data", folder)
    assert (folder / "rundb.sqlite3").stat().st_mode & 0o077 == 0
    key = command("db", "user", "ada", "--admin", "--data", folder).split()[-1]
    query = "select key from tastypie_apikey join auth_user u on u.id = user_id where username = 'ada' and is_superuser"
    assert len(key) == 40 and sql_of(folder / "rundb.sqlite3", query) == [(key,)]
    assert command("db", "ingest", ingested.folder, "--data", folder).split() == ["1"]


@SQLITE_ONLY
def test_what_is_wrong_with_a_database_is_one_sentence(tmp_path, capsys, run_rows):
    from ionanalysis.cli.main import main
    from ionanalysis.errors import InputError
    from ionanalysis.rundb.setup import demand_tables, make_tables

    path = tmp_path / "rundb.sqlite3"
    with other_database(path):
        for words in (["user", "ada"], ["reference", "x", "x.fasta"], ["ingest", str(tmp_path)]):
            assert main(["db", *words, "--data", str(tmp_path)]) == 3
            assert "there is no database; ionanalysis db init makes it" in capsys.readouterr().err
        path.write_text("this is no database, however long it is")
        assert main(["db", "init", "--data", str(tmp_path)]) == 3
        assert "the database cannot be used (file is not a database)" in capsys.readouterr().err
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("create table django_migrations (id integer primary key, app text, name text, applied text)")
        database.execute("insert into django_migrations values (1, 'rundb', '9999_next', '2026-01-01')")
        database.commit()
    with other_database(path):
        for use in (demand_tables, make_tables):
            with pytest.raises(InputError, match="of a newer release"):
                use()


def test_stores_that_go_too_deep_are_cut(run_rows):
    from ionanalysis.rundb.life.plugin_rows import finite
    from ionanalysis.rundb.models.columns import is_deep

    deep = {}
    for _ in range(500):
        deep = {"in": deep}
    cut = finite({"deep": deep, "list": [math.inf, 1]})
    assert is_deep(deep) and not is_deep(cut)
    assert cut["list"] == ["Infinity", 1] and "nested too deeply" in json.dumps(cut)
