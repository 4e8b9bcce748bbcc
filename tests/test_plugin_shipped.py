"""The plugins that come with the package, run on results made for the purpose."""

import csv
import gzip
import json
import zipfile
from array import array
from pathlib import Path

import numpy as np
import pysam
import pytest

from ionanalysis.basecaller.phase import predict_signal
from ionanalysis.errors import InputError
from ionanalysis.export import write_fastq, write_sff
from ionanalysis.flows import FlowOrder
from ionanalysis.io.sff import open_sff
from ionanalysis.plugin.conversion import main
from ionanalysis.plugin.store import SHIPPED

FLOWS = FlowOrder("TACGTACGTCTGAGCATCGATCGATGTACAGC", 100)
KEY, BARCODE = "TCAG", "CTAAGGTAACGAT"
READS = ("ACCGTTTTAGC", "GGATCCAGT", "TTTTTTA")
PHASE = (0.01, 0.006, 0.002)


def runs_of(sequence):
    flows, lengths = np.unique(FLOWS.base_flows(sequence), return_counts=True)
    return flows, lengths


@pytest.fixture
def flow_bam(tmp_path):
    """Reads of one barcode with the signals that their phase gives, and one read on the other strand."""
    path = tmp_path / "IonXpress_001_rawlib.basecaller.bam"
    group = {"ID": "RUN01.IonXpress_001", "FO": FLOWS.letters, "KS": KEY + BARCODE, "SM": "S"}
    header = {"HD": {"VN": "1.4"}, "SQ": [{"SN": "chr1", "LN": 1000}], "RG": [group]}
    with pysam.AlignmentFile(path, "wb", header=header) as bam:
        for number, bases in enumerate(READS):
            whole = KEY + BARCODE + bases
            flows, lengths = runs_of(whole)
            signal, _ = predict_signal(FLOWS, [0, len(flows)], flows, lengths, [[*PHASE[:2], 0.0]])
            read = pysam.AlignedSegment()
            read.query_name, read.flag = f"RUN01:{number}:2", 4
            read.query_sequence, read.query_qualities = bases, [20 + number] * len(bases)
            if number == 1:
                read.flag, read.reference_id, read.reference_start, read.mapping_quality = 16, 0, 5, 60
                read.query_sequence = bases.translate(str.maketrans("ACGT", "TGCA"))[::-1]
                read.query_qualities = range(30, 30 + len(bases))
                read.cigarstring = f"{len(bases)}M"
            read.set_tag("RG", group["ID"])
            read.set_tag("ZF", int(FLOWS.base_flows(whole)[len(KEY + BARCODE)]))
            read.set_tag("ZM", array("h", np.rint(256 * signal[0]).astype(int).tolist()))
            read.set_tag("ZP", array("f", PHASE))
            bam.write(read)
    return path


def test_fastq_is_in_the_order_of_sequencing(flow_bam, tmp_path):
    assert write_fastq(flow_bam, tmp_path / "x.fastq.gz") == 3
    lines = gzip.decompress((tmp_path / "x.fastq.gz").read_bytes()).decode().splitlines()
    assert lines[1::4] == list(READS) and lines[0] == "@RUN01:0:2"
    assert lines[7] == "".join(chr(33 + quality) for quality in range(38, 29, -1))


def test_sff_has_key_barcode_clips_and_signals_without_phasing(flow_bam, tmp_path):
    assert write_sff(flow_bam, tmp_path / "x.sff") == 3
    reads = open_sff(tmp_path / "x.sff")
    assert (reads.header.key, reads.header.flow_letters) == (KEY, FLOWS.letters)
    for read, bases in zip(reads, READS, strict=True):
        assert read.bases == KEY + BARCODE + bases and read.bases[read.kept] == bases
        assert read.base_flows.tolist() == list(FLOWS.base_flows(read.bases))
        exact = np.bincount(read.base_flows, minlength=100)
        assert np.abs(read.signal - exact).max() < 0.02
    assert reads[1].qualities[-9:].tolist() == list(range(38, 29, -1))


def test_biopython_reads_the_same(flow_bam, tmp_path):
    from Bio import SeqIO

    write_sff(flow_bam, tmp_path / "x.sff")
    with (tmp_path / "x.sff").open("rb") as file:
        assert [str(record.seq) for record in SeqIO.parse(file, "sff-trim")] == list(READS)


def test_reads_without_signals_make_no_sff(tmp_path, capsys):
    header = {"HD": {"VN": "1.4"}, "RG": [{"ID": "R", "FO": FLOWS.letters, "KS": KEY}]}
    with pysam.AlignmentFile(tmp_path / "x.bam", "wb", header=header) as bam:
        read = pysam.AlignedSegment()
        read.query_name, read.flag, read.query_sequence = "RUN01:0:0", 4, "ACGT"
        read.set_tag("RG", "R")
        bam.write(read)
    with pytest.raises(InputError, match="neither tag ZM nor FZ"):
        write_sff(tmp_path / "x.bam", tmp_path / "x.sff")
    assert main([str(tmp_path / "x.bam"), str(tmp_path / "x.sff")]) == 3 and main(["x"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.bam"]


def export(run_plugin, barcodes, **config):
    expmeta = {"run_name": "R_2026 run", "results_name": "Auto/1"}
    start = {"expmeta": expmeta, "pluginconfig": config}
    done = run_plugin(SHIPPED / "Export", tier="native", startplugin=start, barcodes=barcodes)
    assert done.returncode == 0, done.stderr
    return done.results


def barcode(path, **more):
    return {
        "bam_filepath": str(path),
        "bam_file": Path(path).name,
        "read_count": 3,
        "sample": "S",
        "aligned": False,
        **more,
    }


def test_export_of_all_formats(flow_bam, run_plugin):
    barcodes = {"IonXpress_001": barcode(flow_bam), "IonXpress_002": barcode("/gone", read_count=0)}
    results = export(run_plugin, barcodes, fastq="on", sff=True, bam="on", zip="on")
    stem = "IonXpress_001_R_2026_run_Auto_1"
    files = [f"{stem}.fastq.gz", f"{stem}.sff", f"{stem}.bam"]
    assert json.loads((results / "results.json").read_text())["barcodes"] == {
        "IonXpress_001": {"reads": 3, "files": files},
        "IonXpress_002": {"reads": 0, "files": [], "error": "no BAM file"},
    }
    assert (results / files[2]).resolve() == flow_bam and len(open_sff(results / files[1])) == 3
    with zipfile.ZipFile(results / "R_2026_run_Auto_1.zip") as archive:
        assert archive.namelist() == files
    page = (results / "Export_block.html").read_text()
    assert all(f'href="{file}"' in page for file in files) and "refresh" not in page


def test_export_makes_fastq_unless_asked(flow_bam, run_plugin):
    results = export(run_plugin, {"nonbarcoded": barcode(flow_bam)})
    assert [path.name for path in results.glob("R_2026*")] == ["R_2026_run_Auto_1.fastq.gz"]


REFERENCE = "ACGTTTGCAACCGGATTTTACGACGTTGCA"


@pytest.fixture
def aligned_bam(tmp_path):
    """Two reads that fit, one with a T too few in TTT, one secondary, one unmapped; no index."""
    path = tmp_path / "IonXpress_001_rawlib.bam"
    header = {"HD": {"VN": "1.4", "SO": "coordinate"}, "SQ": [{"SN": "chr1", "LN": len(REFERENCE)}]}
    records = [
        (0, 0, REFERENCE[:20], "20M", "20"),
        (0, 0, REFERENCE[:3] + REFERENCE[4:20], "3M1D16M", "3^T16"),
        (256, 0, REFERENCE[:20], "20M", "20"),
        (0, 10, REFERENCE[10:30], "20M", "20"),
        (4, None, "ACGT", None, None),
    ]
    with pysam.AlignmentFile(path, "wb", header=header) as bam:
        for number, (flag, start, bases, cigar, md) in enumerate(records):
            read = pysam.AlignedSegment(bam.header)
            read.query_name, read.flag, read.query_sequence = f"RUN01:0:{number}", flag, bases
            read.query_qualities = [20] * len(bases)
            if cigar:
                read.reference_id, read.reference_start, read.cigarstring, read.mapping_quality = 0, start, cigar, 30
                read.set_tag("MD", md)
            bam.write(read)
    return path


def coverage(run_plugin, barcodes, **config):
    done = run_plugin(SHIPPED / "Coverage", tier="native", barcodes=barcodes, startplugin={"pluginconfig": config})
    assert done.returncode == 0, done.stderr
    return done.results, json.loads((done.results / "results.json").read_text())["barcodes"]


def test_coverage_of_targets(aligned_bam, run_plugin, tmp_path):
    bed = tmp_path / "targets.bed"
    bed.write_text("track name=x\nchr1\t0\t5\tfirst\nchr1\t18\t28\tsecond\nchrX\t0\t5\tunknown\n")
    entry = barcode(aligned_bam, aligned=True, target_region_filepath=str(bed))
    results, lines = coverage(run_plugin, {"IonXpress_001": entry})
    # Depths: 2 2 2 1 2 and 3 3 then 1 for the eight bases behind.
    line = lines["IonXpress_001"]
    assert (line["targets"], line["bases"], line["mapped reads"], line["on target %"]) == (2, 15, 3, 100.0)
    assert line["mean depth"] == round((9 + 6 + 8) / 15, 2) and line[">= 1x %"] == 100.0 and line[">= 20x %"] == 0.0
    table = (results / "IonXpress_001.targets.tsv").read_text().splitlines()
    rows = list(csv.DictReader(table, delimiter="\t"))
    assert [(row["name"], row["mean_depth"], row["least_depth"]) for row in rows] == [
        ("first", "1.80", "1"), ("second", "1.40", "1"),
    ]  # fmt: skip
    assert (results / "IonXpress_001_rawlib.bam.bai").exists() and not Path(f"{aligned_bam}.bai").exists()
    assert 'href="IonXpress_001.targets.tsv"' in (results / "Coverage_block.html").read_text()


def test_coverage_by_mapping_quality_and_table(aligned_bam, run_plugin, tmp_path):
    bed = tmp_path / "targets.bed"
    bed.write_text("chr1\t0\t5\n")
    entry = barcode(aligned_bam, aligned=True, target_region_filepath="")
    _, lines = coverage(run_plugin, {"IonXpress_001": entry}, bed=str(bed), least_mapping_quality="31")
    assert (lines["IonXpress_001"]["mean depth"], lines["IonXpress_001"]["mapped reads"]) == (0.0, 0)
    table = [
        {"barcode_name": "IonXpress_002", "selected": True, "target_region_filepath": str(bed)},
        {"barcode_name": "IonXpress_001", "selected": False},
    ]
    _, lines = coverage(run_plugin, {"IonXpress_001": entry, "IonXpress_002": entry}, barcodetable=table)
    assert list(lines) == ["IonXpress_002"] and lines["IonXpress_002"]["mean depth"] == 1.8


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"aligned": False}, "are not aligned"),
        ({"target_region_filepath": ""}, "No target"),
        ({}, "nowhere.bed is not there"),
    ],
)
def test_coverage_says_why_there_is_none(aligned_bam, run_plugin, entry, message):
    whole = barcode(aligned_bam, **{"aligned": True, "target_region_filepath": "/nowhere.bed", **entry})
    good = barcode(aligned_bam, aligned=True, target_region_filepath="/nowhere.bed")
    results, lines = coverage(run_plugin, {"A": good, "B": whole})
    assert message in lines["B"]["error"] and message in (results / "Coverage_block.html").read_text()


def test_coverage_says_once_that_nothing_is_aligned(aligned_bam, run_plugin):
    entries = {name: barcode(aligned_bam, aligned=False) for name in ("A", "B", "C")}
    results, lines = coverage(run_plugin, entries)
    page = (results / "Coverage_block.html").read_text()
    assert lines == {} and page.count("not aligned") == 1 and "<table" not in page


@pytest.fixture
def report(tmp_path):
    """The files of a report that RunQC reads."""
    for name in ("sigproc_results", "basecaller_results"):
        (tmp_path / name).mkdir()
    stats = {"Total Wells": 120, "Excluded Wells": 20, "Bead Wells": 80, "Live Beads": 60, "Library Beads": 57}
    lines = "\n".join(f"{name} = {value}" for name, value in stats.items())
    (tmp_path / "sigproc_results/analysis.bfmask.stats").write_text(f"[global]\n{lines}\n")
    (tmp_path / "sigproc_results/avgNukeTrace_TCAG.txt").write_text("0 1 2 3\nT 1 5 2\nC 1 6 2\nA 1 4 2\n")
    (tmp_path / "raw_peak_signal").write_text("[global]\nLibrary = 35\nTest Fragment = 34\n")
    contents = {
        "BaseCaller.json": {"Phasing": {"CF": 0.00695, "IE": 0.005, "DR": 0.001}},
        "ionstats_basecaller.json": {"system_snr": 15.9301},
        "TFStats.json": {"TF_1": {"Num": 600, "Per HP accuracy NUM": [9, 95, 40], "Per HP accuracy DEN": [9, 100, 50]}},
    }
    for name, content in contents.items():
        (tmp_path / "basecaller_results" / name).write_text(json.dumps(content))
    return {
        "sigproc_dir": str(tmp_path / "sigproc_results"),
        "basecaller_dir": str(tmp_path / "basecaller_results"),
        "report_root_dir": str(tmp_path),
        "library_key": "TCAG",
        "testfrag_key": "ATCG",
    }


def run_qc(run_plugin, runinfo, barcodes):
    done = run_plugin(SHIPPED / "RunQC", tier="native", barcodes=barcodes, startplugin={"runinfo": runinfo})
    assert done.returncode == 0, done.stderr
    page = (done.results / "RunQC_block.html").read_text()
    return done, json.loads((done.results / "results.json").read_text()), page


def test_run_qc(report, aligned_bam, run_plugin):
    _, results, page = run_qc(run_plugin, report, {"IonXpress_001": barcode(aligned_bam, aligned=True)})
    loading = results["loading"]
    assert (loading["Loading %"], loading["Live beads %"], loading["Library beads %"]) == (80.0, 75.0, 95.0)
    assert results["key"] == {"library peak": 35.0, "test fragment peak": 34.0, "signal to noise": 15.93}
    assert results["phase"] == {"CF %": 0.695, "IE %": 0.5, "DR %": 0.1}
    assert results["test_fragments"]["TF_1"] == {"reads": 600, "accuracy % by run": {"1": 95.0, "2": 80.0}}
    # Reference runs inside of the reads: TTT is seen by two, once with a T too few; TTTT by three.
    threes, fours = results["homopolymers"]["3"], results["homopolymers"]["4"]
    assert (threes["aligned"], threes["observed error %"]) == (2, 50.0)
    assert (fours["aligned"], fours["observed error %"]) == (3, 0.0)
    assert results["homopolymers"]["1"]["expected error %"] == pytest.approx(1.0)
    assert fours["expected error %"] == pytest.approx(100 * (1 - 0.99**4), abs=1e-3)
    assert "data:image/png" in page and "TF_1: 600 reads" in page


def test_run_qc_of_a_report_without_files(run_plugin, tmp_path):
    folder = {name: str(tmp_path / "empty") for name in ("sigproc_dir", "basecaller_dir", "report_root_dir")}
    done, results, page = run_qc(run_plugin, {**folder, "library_key": "TCAG", "testfrag_key": "ATCG"}, {})
    assert not any(results.values())
    assert all(words in page for words in ("No counts of wells", "No key signals", "No phasing"))
    assert done.stderr.count("nothing to report") == 5


def test_overlapping_targets_count_reads_once(aligned_bam, run_plugin, tmp_path):
    bed = tmp_path / "targets.bed"
    # Merged: 0-5, 8-12, 14-30; the first two reads touch all of them, the third the last two.
    bed.write_text("chr1\t14\t99\nchr1\t0\t4\nchr1\t2\t5\nchr1\t8\t12\n")
    entry = barcode(aligned_bam, aligned=True, target_region_filepath=str(bed))
    _, lines = coverage(run_plugin, {"B": entry})
    line = lines["B"]
    assert (line["mapped reads"], line["on target %"], line["targets"]) == (3, 100.0, 4)
    # The reference ends at 30.
    assert line["bases"] == 16 + 4 + 3 + 4


def test_windows_change_nothing(aligned_bam, run_plugin, tmp_path):
    bed = tmp_path / "targets.bed"
    bed.write_text("chr1\t0\t29\n")
    entry = barcode(aligned_bam, aligned=True, target_region_filepath=str(bed))
    folder = tmp_path / "Coverage"
    folder.mkdir()
    source = (SHIPPED / "Coverage/Coverage.py").read_text()
    found = []
    for window in ("1_000_000", "7"):
        (folder / "Coverage.py").write_text(source.replace("WINDOW = 1_000_000", f"WINDOW = {window}"))
        done = run_plugin(folder, tier="native", barcodes={"B": entry})
        assert done.returncode == 0, done.stderr
        found.append((done.results / "results.json").read_text())
    assert found[0] == found[1] and '"bases": 29' in found[0]
