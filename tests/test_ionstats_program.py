"""`ionstats`, subcommand by subcommand, and the files that it adds up."""

import json
import subprocess
import sys
from array import array

import h5py
import numpy as np
import pysam
import pytest
from numpy.testing import assert_array_equal

from ionanalysis.cli.legacy import duplicates
from ionanalysis.cli.legacy.ionstats import main
from ionanalysis.flows import DEFAULT_CYCLE, FlowOrder
from ionanalysis.io.fasta import write_fasta

FLOWS = FlowOrder(DEFAULT_CYCLE, 300)
TARGET = "TGAGCGATTCAACGGTAACTGACCATTGGCATGCTACCGTTAGCATCCGATTGACGTCAATGCGTACTTGAGCCATG"


def write_aligned(path, reads, group="RUN"):
    """Aligned BAM: (bases, cigar, md, row, col) of each read, on sequence `TF_1`."""
    header = {
        "SQ": [{"SN": "TF_1", "LN": len(TARGET) + 4}],
        "RG": [{"ID": group, "FO": FLOWS.letters, "KS": "ATCG"}],
    }
    with pysam.AlignmentFile(str(path), "wb", header=header) as bam:
        for bases, cigar, md, row, col in reads:
            read = pysam.AlignedSegment(bam.header)
            read.query_name, read.query_sequence, read.cigarstring = f"RUN:{row:05d}:{col:05d}", bases, cigar
            read.flag, read.reference_id, read.reference_start, read.mapping_quality = 0, 0, 4, 60
            read.query_qualities = array("B", [30] * len(bases))
            read.set_tag("MD", md)
            read.set_tag("RG", group)
            # A TF signal, with a spread by which the signal-to-noise ratio is finite.
            signal = 256 * FLOWS.flowgram("ATCG" + bases) + (row % 3 - 1) * 20
            read.set_tag("ZM", array("h", signal.astype(int).tolist()))
            bam.write(read)
    return path


@pytest.fixture
def reads(tmp_path):
    n = len(TARGET)
    short = TARGET[:20] + TARGET[21:]
    rows = [(TARGET, f"{n}M", str(n), row, 5 * row) for row in range(6)]
    rows.append((short, f"20M1D{n - 21}M", f"20^{TARGET[20]}{n - 21}", 6, 30))
    return write_aligned(tmp_path / "tf.bam", rows)


def content(path):
    return json.loads(path.read_text())


def test_fragments_are_told_with_accurate_lengths_and_runs(reads, tmp_path):
    write_fasta(tmp_path / "tf.fasta", {"TF_1": "ATCG" + TARGET, "TF_2": "ATCG" + TARGET[::-1]})
    out = tmp_path / "ionstats_tf.json"
    assert main(["tf", "-i", str(reads), "-r", str(tmp_path / "tf.fasta"), "-o", str(out), "-t", "5"]) == 0
    found = content(out)
    assert found["meta"]["format_name"] == "ionstats_tf" and list(found["results_by_tf"]) == ["TF_1"]
    entry = found["results_by_tf"]["TF_1"]
    assert {"full", "aligned", "AQ7", "AQ10", "AQ17", "AQ20", "error_by_position", "sequence"} <= set(entry)
    # One error, before base 20: 50 bases are needed for AQ17, 100 for AQ20.
    n = len(TARGET)
    assert np.flatnonzero(entry["AQ17"]["read_length_histogram"]).tolist() == [n - 1, n]
    assert np.flatnonzero(entry["AQ20"]["read_length_histogram"]).tolist() == [20, n]
    assert entry["error_by_position"][20] == 1 and sum(entry["error_by_position"]) == 1
    missed = np.subtract(entry["hp_accuracy_denominator"], entry["hp_accuracy_numerator"])
    assert missed.sum() >= 1 and len(missed) == 8
    assert entry["system_snr"] > 5 and entry["A"]["key_onemer_count"] > 0
    assert main(["tf", "-i", str(reads), "-r", str(tmp_path / "tf.fasta"), "-o", str(out)]) == 0
    assert content(out)["results_by_tf"] == {}


def test_regions_and_barcodes_are_counted_when_asked_for(reads, tmp_path):
    out = tmp_path / "a.json"
    regions = ["--chip-origin", "0,0", "--chip-dim", "40,10", "--subregion-dim", "20,5"]
    assert main(["alignment", "-i", str(reads), "-o", str(out), "-b", *regions]) == 0
    found = content(out)
    told = {region: values["AQ7"]["num_reads"] for region, values in found["Regional"].items()}
    # Rows 0 to 6, columns five times that: 0 to 15 in the first region, 20 alone, 25 and 30.
    assert told == {"(0,0)": 4, "(20,0)": 1, "(20,5)": 2}
    assert "read_length_histogram" not in found["Regional"]["(0,0)"]["AQ7"]
    with_barcode, without = found["WithBarcode"]["full"], found["full"]
    assert with_barcode["num_bases"] == without["num_bases"] + 4 * without["num_reads"]
    assert found["WithBarcode"].keys() == {"full", "aligned"} | {name for name in found if name.startswith("AQ")}
    aligned = found["WithBarcode"]["aligned"]
    assert aligned["num_bases"] == found["aligned"]["num_bases"] + 4 * found["aligned"]["num_reads"]


def test_error_counts_stand_in_hdf5_and_add_up(reads, tmp_path):
    one, both = tmp_path / "one.h5", tmp_path / "both.h5"
    out = str(tmp_path / "a.json")
    assert main(["alignment", "-i", str(reads), "-o", out, "--output-h5", str(one)]) == 0
    assert main(["reduce-h5", "-o", str(both), str(one), str(one)]) == 0
    with h5py.File(one) as first, h5py.File(both) as second:
        table = first["per_base/error_data"][()]
        assert table.dtype == np.uint64 and table.shape[0] == 7
        assert_array_equal(first["per_base/error_data_dim"][()], table.shape)
        assert table[1, 20] == 1 and table[1].sum() == 1 and table[6, 0] == 7
        assert_array_equal(second["per_base/error_data"][()], 2 * table)
        assert_array_equal(second["per_base/error_data_dim"][()], table.shape)
        assert_array_equal(first["per_read_group/RUN/per_flow/error_data"][()], first["per_flow/error_data"][()])
        runs = sum(first[f"per_hp/{nuc}"][()] for nuc in "ACGT")
        assert runs.sum() > 0
    assert main(["reduce-h5", "-b", "off", "-o", str(both), str(one)]) == 0
    with h5py.File(both) as second:
        assert "per_read_group" not in second
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("kind", ["basecaller", "alignment"])
def test_reducing_doubles_every_count(reads, tmp_path, kind):
    one, both = tmp_path / "one.json", tmp_path / "both.json"
    assert main([kind, "-i", str(reads), "-o", str(one)]) == 0
    assert main(["reduce", "-o", str(both), str(one), str(one)]) == 0
    before, after = content(one), content(both)
    assert before["meta"]["format_name"] == f"ionstats_{kind}" and after["meta"] == before["meta"]
    assert after["full"]["num_reads"] == 2 * before["full"]["num_reads"] == 14
    assert_array_equal(after["qv_histogram"], 2 * np.array(before["qv_histogram"]))


def test_files_of_two_kinds_are_not_added(reads, tmp_path, capsys):
    for kind in ("basecaller", "alignment"):
        assert main([kind, "-i", str(reads), "-o", str(tmp_path / f"{kind}.json")]) == 0
    asked = ["reduce", "-o", str(tmp_path / "x.json")]
    assert main([*asked, str(tmp_path / "basecaller.json"), str(tmp_path / "alignment.json")]) == 1
    assert "is of kind ionstats_alignment" in capsys.readouterr().err
    assert not (tmp_path / "x.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["alignment"], ""),
        (["alignment", "-o", "x"], "no reads are given"),
        (["tf", "-i", "x.bam"], "no test fragments are given"),
        (["reduce", "x.json"], "no output is given"),
        (["basecaller", "-i", "x.bam", "-h", "0"], "must be 1 or more"),
        (["alignment", "-i", "x", "--chip-dim", "4,4"], "go together"),
        (["shine"], "usage: ionstats"),
    ],
)
def test_wrong_usage_is_told(arguments, message, capsys):
    code = main(arguments)
    shown = capsys.readouterr()
    assert code == (0 if arguments == ["alignment"] else 1) and message in shown.err


def test_reads_of_a_pipe_are_passed_on(reads, tmp_path):
    program = "import sys; from ionanalysis.cli.legacy.ionstats import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "alignment", "-i", "/dev/stdin", "-o", str(tmp_path / "piped.json")]
    with reads.open("rb") as file:
        done = subprocess.run([*command, "--output-bam", "-"], stdin=file, capture_output=True, check=True)
    (tmp_path / "passed.bam").write_bytes(done.stdout)
    copied = tmp_path / "copied.bam"
    words = ["alignment", "-i", str(reads), "-o", str(tmp_path / "file.json"), "--output-bam", str(copied)]
    assert main([*words, "--output-bam-compress", "on"]) == 0
    assert content(tmp_path / "piped.json") == content(tmp_path / "file.json")
    texts = []
    for path in (reads, tmp_path / "passed.bam", copied):
        with pysam.AlignmentFile(str(path)) as bam:
            texts.append([str(bam.header), *(read.to_string() for read in bam.fetch(until_eof=True))])
    assert texts[0] == texts[1] == texts[2]
    assert main([*words, "-i", f"{reads},{reads}"]) == 1


def test_duplicates_are_marked_in_a_file_that_is_there(reads, tmp_path):
    marked = tmp_path / "marked.bam"
    with pysam.AlignmentFile(str(reads)) as bam, pysam.AlignmentFile(str(tmp_path / "in.bam"), "wb", bam) as out:
        for number, read in enumerate(bam):
            # Reads 0 to 2 end alike; the second has the best qualities. Read 3 was marked and has no end.
            if number < 3:
                read.set_tag("ZC", array("i", [1, 100, 1, 8]))
                read.query_qualities = array("B", [30 + number % 2] * read.query_length)
            read.is_duplicate = number == 3
            out.write(read)
    words = ["-i", str(tmp_path / "in.bam"), "-o", str(marked), "-j", str(tmp_path / "x.json")]
    assert duplicates.main(words) == 0
    with pysam.AlignmentFile(str(marked)) as bam, pysam.AlignmentFile(str(tmp_path / "in.bam")) as before:
        assert str(bam.header) == str(before.header)
        found = list(bam)
        assert [read.is_duplicate for read in found] == [True, False, True, False, False, False, False]
        for read, former in zip(found, before, strict=True):
            read.is_duplicate = former.is_duplicate
            assert read.to_string() == former.to_string()
    told = content(tmp_path / "x.json")
    assert (told["duplicate_reads"], told["total_mapped_reads"]) == (2, 7)
    assert (told["fraction_duplicates"], told["fraction_with_adaptor"]) == (2 / 7, 3 / 7)
    assert duplicates.main(["-i", str(marked), "-o", str(marked)]) == 1
