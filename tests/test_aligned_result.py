"""A whole run with a reference: its files, resuming, the report, the metric columns, the summary, a comparison."""

import csv
import json
import re

import numpy as np
import pysam
import pytest
from browser import Browser, wait_until
from PIL import Image

from ionanalysis.cli.main import main
from ionanalysis.io.fasta import write_fasta
from ionanalysis.io.jsonfile import read_json
from ionanalysis.metrics.read_summary import COLUMNS
from ionanalysis.metrics.result_metrics import result_metrics
from ionanalysis.report.comparison import compare_results

ARGUMENTS = ("--from", "basecaller", "--recalibration", "none")


@pytest.fixture(scope="module")
def chip(tmp_path_factory):
    run = tmp_path_factory.mktemp("aligned") / "run"
    simulated = ["simulate", str(run), "--size", "40x40", "--flows", "200", "--level", "wells", "--seed", "5"]
    assert main([*simulated, "--tf", "0.4", "--genome-length", "50000"]) == 0
    return run


@pytest.fixture(scope="module")
def result(chip):
    out = chip.parent / "result"
    asked = ["--reference", str(chip / "reference.fasta"), "--mark-duplicates", "--summary", f"{chip.parent}/reads.tsv"]
    assert main(["run", str(chip), "-o", str(out), *ARGUMENTS, *asked]) == 0
    return out


@pytest.fixture(scope="module")
def plain(chip):
    """The same run without a reference."""
    out = chip.parent / "plain"
    assert main(["run", str(chip), "-o", str(out), *ARGUMENTS, "--to", "statistics"]) == 0
    return out


def test_aligned_files_lie_in_the_root(result, plain):
    names = {path.name for path in result.iterdir()}
    assert {
        "rawlib.bam",
        "rawlib.bam.bai",
        "rawlib.ionstats_alignment.json",
        "ionstats_alignment.json",
        "rawlib.ionstats_error_summary.h5",
        "BamDuplicates.json",
        "alignment.json",
    } <= names
    assert not [path for path in plain.iterdir() if path.name.endswith((".bam", "alignment.json"))]
    basecaller = {path.name for path in (result / "basecaller_results").iterdir()}
    assert {"rawtf.bam", "rawtf.bam.bai", "ionstats_tf.json"} <= basecaller
    links = {path.name for path in (result / "download_links").iterdir()}
    assert any(name.endswith("_result.bam.bai") for name in links)


def test_plugins_are_told_the_reference_and_the_aligned_file(chip, result):
    told = read_json(result / "barcodes.json")["nonbarcoded"]
    assert told["aligned"] and told["bam_filepath"] == str(result / "rawlib.bam")
    assert (told["reference"], told["reference_fullpath"]) == ("reference", str(chip / "reference.fasta"))


def test_nearly_all_reads_are_aligned_and_right(result):
    told = read_json(result / "ionstats_alignment.json")
    assert told["aligned"]["num_reads"] > 0.93 * told["full"]["num_reads"] > 300
    n_errors = sum(told["error_by_position"])
    assert n_errors < 0.01 * told["aligned"]["num_bases"]
    pysam.quickcheck(str(result / "rawlib.bam"))


def test_resuming_skips_the_alignment_and_notices_what_changed(chip, result, capsys):
    asked = ["run", str(chip), "-o", str(result), *ARGUMENTS, "--reference", str(chip / "reference.fasta"), "--resume"]
    assert main([*asked, "--mark-duplicates"]) == 0
    assert "alignment: was finished before" in capsys.readouterr().err
    (result / "rawlib.bam.bai").unlink()
    assert main([*asked, "--mark-duplicates"]) == 0
    told = capsys.readouterr().err
    assert "basecaller: was finished before" in told and "alignment: was finished before" not in told
    assert (result / "rawlib.bam.bai").is_file()


def test_the_summary_has_a_line_per_read(result):
    with (result.parent / "reads.tsv").open() as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    with pysam.AlignmentFile(str(result / "rawlib.bam")) as bam:
        reads = {read.query_name: read for read in bam.fetch(until_eof=True)}
    assert set(rows[0]) == set(COLUMNS) and {row["read_name"] for row in rows} == reads.keys()
    for row in rows[::20]:
        read = reads[row["read_name"]]
        error = np.mean(10 ** (-np.array(read.query_qualities, float) / 10))
        assert float(row["mean_quality"]) == pytest.approx(-10 * np.log10(error), abs=0.01)
        assert int(row["bases"]) == read.query_length
        if read.is_unmapped:
            assert row["contig"] == row["identity"] == ""
        else:
            assert (row["contig"], int(row["start"])) == (read.reference_name, read.reference_start)
            assert int(row["edits"]) == read.get_tag("NM") and 0.5 < float(row["identity"]) <= 1


def expected_columns():
    """Column names as rest-api.md 9 lists them."""
    wells = (
        "empty bead live dud amb tf lib pinned ignored excluded keypass_all_beads total adjusted_addressable loading"
    )
    washed = "washout washout_dud washout_ambiguous washout_live washout_test_fragment washout_library"
    fates = "libFinal tfFinal sysCF sysIE sysDR libLive libKp libMix tfLive tfKp tfMix lib_pass_basecaller"
    aq, lengths = (7, 10, 17, 20, 47), range(50, 601, 50)
    alignment = ("longest_alignment", "mean_alignment_length", "mapped_bases", "alignments")
    library = "Genome_Version Index_Version genome genomesize totalNumReads aveKeyCounts sysSNR cf ie dr align_sample"
    more = "total_mapped_reads total_mapped_target_bases raw_accuracy duplicate_reads"
    of_read = "bases reads max_read_length mean_read_length median_read_length mode_read_length 50bp_reads 100bp_reads"
    return {
        "analysismetrics": {*wells.split(), *washed.split(), *fates.split(), "lib_pass_cafie"},
        "libmetrics": {
            *library.split(),
            *more.split(),
            *(f"q{n}_{word}" for n in aq for word in alignment),
            *(f"i{length}Q{n}_reads" for n in aq for length in lengths),
        },
        "qualitymetrics": {f"q{n}_{word}" for n in (0, 17, 20) for word in [*of_read.split(), "150bp_reads"]},
    }


def test_every_metric_column_is_filled(result, plain):
    found = result_metrics(result)
    for table, names in expected_columns().items():
        columns = getattr(found, table)
        assert set(columns) == names
        assert all(isinstance(value, int | float | str) for value in columns.values()), table
    assert not found.problems
    wells, library, reads = found.analysismetrics, found.libmetrics, found.qualitymetrics
    assert wells["total"] == 1600 and 0 < wells["lib"] < wells["live"] <= wells["bead"]
    assert wells["libFinal"] == library["totalNumReads"] == reads["q0_reads"] > 300
    assert (library["genome"], library["genomesize"], library["align_sample"]) == ("reference", 50_000, 0)
    assert library["raw_accuracy"] > 99 and library["i50Q20_reads"] > library["i100Q20_reads"]
    assert library["q7_mapped_bases"] >= library["q20_mapped_bases"] >= library["q47_mapped_bases"] > 0
    assert reads["q0_bases"] > reads["q17_bases"] > reads["q20_bases"] > 0
    without = result_metrics(plain).libmetrics
    assert (without["genome"], without["align_sample"], without["total_mapped_reads"]) == ("None", -1, 0)
    assert without["duplicate_reads"] is None and library["duplicate_reads"] is not None


def test_fragments_have_a_row_each(result, tmp_path):
    # The run has too few reads of each fragment for the usual threshold.
    from ionanalysis.metrics.tf_stats import write_tf_stats

    folder = tmp_path / "basecaller_results"
    folder.mkdir()
    (folder / "rawtf.basecaller.bam").symlink_to(result / "basecaller_results" / "rawtf.basecaller.bam")
    write_tf_stats(folder, result.parent / "run" / "DefaultTFs.fasta", least_reads=5)
    rows = result_metrics(tmp_path).tfmetrics
    names = "name sequence number keypass aveKeyCount SysSNR Q10Histo Q17Histo Q10Mean Q17Mean Q10ReadCount"
    assert rows and all(set(row) == {*names.split(), "Q17ReadCount", "HPAccuracy", "corrHPSNR"} for row in rows)
    for row in rows:
        assert row["number"] >= 5 and row["SysSNR"] > 1 and re.fullmatch(r"[\d ]+", row["Q17Histo"])
        assert re.match(r"0 : \d+/\d+, 1 : \d+/\d+", row["HPAccuracy"])


def test_broken_files_are_told_and_count_as_absent(tmp_path):
    (tmp_path / "ionstats_alignment.json").write_text("{")
    (tmp_path / "alignment.json").write_text("[]")
    found = result_metrics(tmp_path)
    assert len(found.problems) == 2 and found.libmetrics["align_sample"] == -1


def test_the_report_shows_accuracy_against_the_reference(result):
    page = (result / "report.html").read_text()
    section = page[page.index('<section id="alignment"') :]
    section = section[: section.index("</section>")]
    pictures = re.findall(r'alt="([^"]*)"', section)
    assert [text.split(":")[0].split(";")[0] for text in pictures] == [
        "Errors by position",
        "Homopolymers called wrong by true length",
        "Observed against predicted quality",
        "Share of reads by the length to which they are accurate, at three levels.",
    ]
    assert "AQ47 (no error)" in section and "Errors per 100 aligned bases" in section


def test_a_comparison_shows_both(result, plain, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["compare", str(plain), str(result), "-o", str(page), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["reads"]["change"] == 0 and told["reads"]["a"] > 300
    assert told["aligned reads"]["a"] is None and told["aligned reads"]["b"] > 300
    text = page.read_text()
    assert "Errors by position: plain does not tell." in text and "ReferenceOptions.reference" in text
    assert "<script" not in text
    values = {one.name: one for one in compare_results(result, result)}
    assert all(one.change in (0, None) for one in values.values()) and values["raw accuracy (%)"].first > 99
    assert main(["compare", str(result), str(tmp_path)]) == 3


def test_calibration_is_told_with_the_same_wells_before_and_after(chip, tmp_path):
    out = tmp_path / "calibrated"
    asked = ["--from", "calibration", "--to", "alignment", "--reference", str(chip / "reference.fasta")]
    assert main(["run", str(chip), "-o", str(out), *asked]) == 0
    if not (out / "basecaller_results" / "Calibration.json").is_file():
        pytest.skip("too few reads for a calibration")
    effect = read_json(out / "alignment.json")["calibration"]
    assert effect["reads"] > 200
    for told in (effect["before"], effect["after"]):
        assert 0.98 < told["identity"] <= 1 and told["homopolymers"]["1"][0] > 5000
        assert all(wrong <= runs for runs, wrong in told["homopolymers"].values())


def test_pages_look_whole_in_a_browser(result, plain, tmp_path):
    page = tmp_path / "page.html"
    assert main(["compare", str(plain), str(result), "-o", str(page)]) == 0
    with Browser() as browser:
        for path in (result / "report.html", page):
            browser.open(path)
            for width in (1200, 400):
                browser.size(width, 800)
                browser.picture(tmp_path / "picture.png")
                picture = Image.open(tmp_path / "picture.png").convert("L")
                # Nothing is wider than the window, and the page is drawn down to its end.
                assert browser.value("document.documentElement.scrollWidth") == width == picture.width
                strips = np.array_split(np.asarray(picture), picture.height // 400)
                assert picture.height > 1000 and min(strip.std() for strip in strips) > 2
            assert browser.value("[...document.images].every(image => image.naturalWidth > 300)")
            assert browser.value("document.images.length") >= 2
            assert browser.complaints == []
        browser.open(result / "report.html")
        height = browser.value("document.documentElement.scrollHeight")
        browser.value("document.querySelector('summary').click()")
        assert browser.value("document.documentElement.scrollHeight") > height + 500
        # The console is really listened to.
        browser.value("console.error('a', 1), setTimeout(() => { throw new Error('late') }, 0), 1")
        browser.wait_for("true")
        wait_until(lambda: browser.value("1") and len(browser.complaints) == 2)
        assert browser.complaints[0] == "a 1" and "late" in browser.complaints[1]


def test_each_barcode_may_have_a_genome_of_its_own(tmp_path, capsys):
    run, out, table = tmp_path / "run", tmp_path / "out", tmp_path / "genomes.csv"
    simulated = ["simulate", str(run), "--size", "30x30", "--flows", "160", "--level", "wells", "--seed", "5"]
    assert main([*simulated, "--barcodes", "IonXpress", "--barcode-count", "3", "--genome-length", "30000"]) == 0
    write_fasta(tmp_path / "other.fasta", {"other": "".join(np.random.default_rng(3).choice(list("ACGT"), 20_000))})
    command = ["run", str(run), "-o", str(out), "--from", "calibration", "--barcodes", "IonXpress"]
    command += ["--barcode-references", str(table)]
    table.write_text("barcode,reference\nIonXpress_001,run/reference.fasta\nIonXpress_002,other.fasta\n")
    assert main([*command, "--calibration-reads", "0"]) == 0
    told = read_json(out / "alignment.json")["datasets"]
    assert set(told) == {"IonXpress_001_rawlib", "IonXpress_002_rawlib"}
    assert told["IonXpress_001_rawlib"]["mapped"] > 0.9 * told["IonXpress_001_rawlib"]["reads"] > 50
    assert told["IonXpress_002_rawlib"]["mapped"] == 0
    assert {path.name for path in out.glob("*.bam")} == {f"{name}.bam" for name in told}
    assert read_json(out / "ionstats_alignment.json")["full"]["num_reads"] == sum(one["reads"] for one in told.values())
    # Calibration has learned from the reads of known genomes only.
    learnt = read_json(out / "basecaller_results" / "Calibration.json")["Calibration"]
    assert learnt["num_mapped_reads"] < learnt["num_reads_in_bam"] <= 1.1 * sum(one["reads"] for one in told.values())
    of_plugins = read_json(out / "barcodes.json")
    one, two, three = (of_plugins[f"IonXpress_00{n}"] for n in (1, 2, 3))
    assert (one["reference"], two["reference"], three["reference"]) == ("reference", "other", "")
    assert (one["aligned"], three["aligned"]) == (True, False)
    assert two["reference_fullpath"] == str(tmp_path / "other.fasta")
    for text, reason in (
        ("barcode,reference\nIonXpress_001,gone.fasta\n", "is not there"),
        ("barcode,reference\nNobody,other.fasta\n", "Nobody is no barcode of this run"),
        (
            "barcode,reference\nIonXpress_001,other.fasta\nIonXpress_001,other.fasta\n",
            "line 3 gives IonXpress_001 twice",
        ),
        ("name\n", "has no columns barcode and reference"),
    ):
        table.write_text(text)
        assert main([*command, "--resume"]) == 3
        assert reason in capsys.readouterr().err
