"""Statistics of called reads."""

import json
from array import array

import numpy as np
import pysam
import pytest

from ionanalysis.errors import InputError
from ionanalysis.metrics.ionstats_basecaller import (
    error_length,
    histogram_length,
    merge_statistics,
    read_statistics,
    write_ionstats,
)


def write_bam(path, reads, flows="TACGTACG" * 5):
    """Reads are (qualities, ZM of the first flows, ZA or None)."""
    header = {"HD": {"VN": "1.4"}, "RG": [{"ID": "ABCDE", "FO": flows, "KS": "TCAG"}]}
    with pysam.AlignmentFile(str(path), "wb", header=header) as bam:
        for number, (qualities, signal, insert) in enumerate(reads):
            read = pysam.AlignedSegment()
            read.query_name, read.flag = f"ABCDE:{number:05d}:00000", 4
            read.query_sequence = "A" * len(qualities)
            read.query_qualities = pysam.qualitystring_to_array("".join(chr(33 + q) for q in qualities))
            read.set_tag("RG", "ABCDE")
            read.set_tag("ZM", array("h", signal))
            if insert is not None:
                read.set_tag("ZA", insert)
            bam.write(read)


GOOD_KEY = [256, 0, 256, 0, 0, 256, 0, 256]


@pytest.mark.parametrize(("rate", "length"), [(0.02, 2), (0.01, 2), (0.03, 5), (0.001, 0)])
def test_longest_prefix_with_few_expected_errors(rate, length):
    assert error_length(np.array([20, 20, 10, 20, 20]), rate) == length


@pytest.mark.parametrize(("n_flows", "bins"), [(0, 400), (260, 200), (400, 300), (500, 350)])
def test_length_of_histograms(n_flows, bins):
    assert histogram_length(n_flows) == bins


def test_lengths_and_qualities_of_a_file(tmp_path):
    write_bam(tmp_path / "a.bam", [([20, 20, 10, 20, 20], GOOD_KEY, 3), ([30] * 60, GOOD_KEY, None)])
    told = read_statistics(tmp_path / "a.bam")
    assert told["full"]["num_bases"] == 65
    assert (told["full"]["num_reads"], told["full"]["max_read_length"], told["full"]["mean_read_length"]) == (2, 60, 32)
    # Longer reads than the histogram (40 flows: 50 bins) fall into its last bin, bases stay true.
    assert told["full"]["read_length_histogram"][49] == 1
    assert (told["insert"]["num_reads"], told["insert"]["num_bases"]) == (1, 3)
    assert told["Q20"]["num_bases"] == 62
    assert (told["qv_histogram"][10], told["qv_histogram"][20], told["qv_histogram"][30]) == (1, 4, 60)


def test_key_signals_give_moments_and_a_ratio(tmp_path):
    keys = [[240, 10, 256, 0, 0, 256, 0, 900], [272, -10, 256, 0, 20, 256, 0, 900]]
    write_bam(tmp_path / "a.bam", [([20] * 5, key, None) for key in keys])
    told = read_statistics(tmp_path / "a.bam")
    thymine = told["T"]
    assert (thymine["key_onemer_1_moment"], thymine["key_onemer_count"]) == (256, 2)
    assert (thymine["key_zeromer_1_moment"], thymine["key_zeromer_count"]) == (10, 2)
    # The flow of the last key base (G, 900) may merge with the insert and is left out.
    assert told["G"]["key_onemer_count"] == 0
    # T has 1-mers in flow 0 and 0-mers in flow 4, A the other way round; C and G have no spread.
    assert told["system_snr"] == pytest.approx(np.mean([(256 - 10) / 13, (256 - 0) / 5]))


def test_merged_parts_equal_the_whole(tmp_path):
    reads = [([20 + n % 20] * (5 + n), [250 + n, n, 256, 0, 0, 256 - n, 3, 0], n) for n in range(10)]
    write_bam(tmp_path / "all.bam", reads)
    write_bam(tmp_path / "one.bam", reads[:3])
    write_bam(tmp_path / "two.bam", reads[3:])
    merged = merge_statistics([read_statistics(tmp_path / name) for name in ("one.bam", "two.bam")])
    whole = read_statistics(tmp_path / "all.bam")
    assert merged.pop("system_snr") == pytest.approx(whole.pop("system_snr"))
    for nuc in "ACGT":
        assert merged.pop(nuc) == pytest.approx(whole.pop(nuc))
    assert merged == whole


def datasets(folder, *entries):
    content = {
        "datasets": [
            {"file_prefix": prefix, "read_groups": [prefix], "read_count": count} for prefix, count, _ in entries
        ],
        "read_groups": {prefix: {"filtered": filtered} for prefix, _, filtered in entries},
    }
    (folder / "datasets_basecaller.json").write_text(json.dumps(content))


def test_filtered_barcodes_are_left_out_of_the_sum(tmp_path):
    datasets(tmp_path, ("one_rawlib", 1, False), ("two_rawlib", 2, True), ("three_rawlib", 0, False))
    write_bam(tmp_path / "one_rawlib.basecaller.bam", [([20] * 7, GOOD_KEY, None)])
    write_bam(tmp_path / "two_rawlib.basecaller.bam", [([20] * 9, GOOD_KEY, None)] * 2)
    told = json.loads(write_ionstats(tmp_path).read_text())
    assert (told["full"]["num_reads"], told["full"]["num_bases"]) == (1, 7)
    assert json.loads((tmp_path / "two_rawlib.ionstats_basecaller.json").read_text())["full"]["num_reads"] == 2


def test_a_run_without_reads_has_zeros(tmp_path):
    datasets(tmp_path, ("rawlib", 0, False))
    told = json.loads(write_ionstats(tmp_path).read_text())
    assert (told["full"]["num_reads"], told["system_snr"], sum(told["qv_histogram"])) == (0, 0, 0)


def test_a_missing_file_of_reads_is_an_error(tmp_path):
    datasets(tmp_path, ("rawlib", 5, False))
    with pytest.raises(InputError, match="is missing, though 5 reads are in it"):
        write_ionstats(tmp_path)


def test_a_file_that_is_no_bam_is_explained(tmp_path):
    (tmp_path / "a.bam").write_text("nothing")
    with pytest.raises(InputError, match="cannot be read as BAM"):
        read_statistics(tmp_path / "a.bam")
