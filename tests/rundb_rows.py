"""Rows of a run with a report, for tests of pages: made through the models, with a folder of files."""

import json


def make_report(rows, folder, name, **values):
    """A run and its completed report, whose files lie in `folder`.

    Parameters
    ----------
    rows : module
        `ionanalysis.rundb.models`.
    folder : Path
        Made, with some files of a result.
    name : str
        Of the run and the report; nobody else's.
    values : dict
        Columns of the run.
    """
    from datetime import UTC, datetime

    from django.contrib.auth.models import User

    run = rows.Experiment.objects.create(
        **{"expName": f"R_{name}", "displayName": name, "unique": name, "expDir": f"/raw/{name}", "chipType": "520"}
        | {"cycles": 1, "flows": 500, "date": datetime(2026, 3, 4, 5, 6, tzinfo=UTC), "pgmName": "S5"}
        | {"runtype": "GENS", "status": "run", "log": {}, "metaData": {}}
        | values
    )  # fmt: skip
    eas = rows.ExperimentAnalysisSettings.objects.create(
        experiment=run, reference="hg19", barcodeKitName="IonXpress", barcodedSamples={}, selectedPlugins={}
    )
    report = rows.Results.objects.create(
        experiment=run,
        eas=eas,
        reference="hg19",
        reportstorage=rows.ReportStorage.objects.get(),
        resultsName=name,
        status="Completed",
        folder=str(folder),
        analysisVersion="db:1,an:1,",
        framesProcessed=0,
        processedCycles=0,
        processedflows=500,
        timeToComplete="0",
        metaData={},
    )
    report.reportLink = f"/output/Home/{name}_{report.pk:03d}/"
    for model, figures in (
        (rows.AnalysisMetrics, {"bead": 900, "total": 1000, "loading": 90.0, "adjusted_addressable": 1000}),
        (rows.QualityMetrics, {"q0_reads": 1234567, "q0_bases": 10**11, "q0_mean_read_length": 149.5}),
        (rows.LibMetrics, {"aveKeyCounts": 71.5, "total_mapped_reads": 1200000, "genome": "hg19", "q20_alignments": 9}),
    ):
        needed = {
            column.name: 0 if "Integer" in column.get_internal_type() or "Float" in column.get_internal_type() else ""
            for column in model._meta.concrete_fields
            if not column.null and not column.has_default() and not column.is_relation and not column.primary_key
        }
        row = model.objects.create(report=report, **needed | figures)
        setattr(report, model.__name__.lower(), row)
    report.save()
    report.projects.add(
        rows.Project.objects.get_or_create(name=f"project of {name}", creator=User.objects.get(username="ionadmin"))[0]
    )
    run.repResult = report
    run.save()
    _write_files(folder)
    return report


def _write_files(folder):
    out = folder / "plugin_out" / "Paged_out.1"
    out.mkdir(parents=True)
    (folder / "basecaller_results").mkdir(exist_ok=True)
    (folder / "rawlib.bam").write_bytes(bytes(range(256)) * 4000)
    (folder / "rawlib.bam.bai").write_bytes(b"bai")
    (folder / "basecaller_results" / "BaseCaller.json").write_text(json.dumps({"BaseCaller": {}}))
    (folder / "run.log").write_text("all is well\n")
    (folder / "plot.png").write_bytes(_dot())
    (folder / "report.html").write_text("<!DOCTYPE html><title>r</title><h1>The report</h1><p>A plot.</p>")
    (out / "told_block.html").write_text("<h2>Told</h2><script>document.title = 'x'</script>" + "<p>line</p>" * 12)
    (out / "startplugin.json").write_text('{"runinfo": {"api_key": "secret"}}')
    (out / "ion_plugin_Paged_launch.sh").write_text("export API_KEY=secret")


def _dot():
    """A picture of one point."""
    import struct
    import zlib

    def part(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = part(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + part(b"IDAT", zlib.compress(b"\0\x80")) + part(b"IEND", b"")
