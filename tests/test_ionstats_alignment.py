"""Statistics of aligned reads (basecaller.md 11.3, 12.11)."""

import csv
import json
from array import array

import h5py
import numpy as np
import pysam
import pytest
from numpy.testing import assert_array_equal

from ionanalysis.errors import InputError
from ionanalysis.metrics.aligned_reads import aligned_reads
from ionanalysis.metrics.alignment import DELETION, INSERTION, MATCH, SUBSTITUTION, accurate_prefixes
from ionanalysis.metrics.ionstats_alignment import (
    ERROR_KINDS,
    AlignmentTally,
    alignment_statistics,
    aq_name,
    merge_alignment_statistics,
)
from ionanalysis.options.ionstats import AlignmentStatisticsOptions

RATES = (0.2, 0.1, 0.02, 0.01, 0.001, 0.0)
FLOWS = "TACG" * 25
HEADER = {"HD": {"VN": "1.4"}, "SQ": [{"SN": "ref", "LN": 1000}], "RG": [{"ID": "RUN", "FO": FLOWS, "KS": "TCAG"}]}
COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


def aligned(bases, cigar, md, *, name="RUN:0:0", reverse=False, tags=()):
    """A read on the reference, as it stands in a BAM file; all qualities are 30."""
    read = pysam.AlignedSegment(pysam.AlignmentHeader.from_dict(HEADER))
    read.query_name, read.query_sequence = name, bases
    read.query_qualities = array("B", [30] * len(bases))
    read.flag, read.reference_id, read.reference_start, read.mapping_quality = 16 * reverse, 0, 10, 60
    read.cigarstring = cigar
    read.set_tags([("MD", md), ("RG", "RUN"), *tags])
    return read


def tally_of(*reads, **options):
    tally = AlignmentTally(HEADER, AlignmentStatisticsOptions(**options))
    tally.add(list(reads))
    return tally


def lengths_of(errors, end):
    errors = np.array(errors, np.int64)
    return [int(accurate_prefixes(np.zeros_like(errors), errors, np.array([end]), rate)[0]) for rate in RATES]


@pytest.mark.parametrize(
    ("errors", "end", "expected"),
    [
        ([40, 120, 121, 180], 200, [200, 200, 200, 120, 40, 40]),
        ([], 100, [100] * 6),
        ([0, 99], 100, [100, 100, 100, 0, 0, 0]),
    ],
)
def test_accurate_lengths_are_the_worked_ones(errors, end, expected):
    assert lengths_of(errors, end) == expected


def test_an_aq_name_follows_its_rate():
    assert [aq_name(rate) for rate in RATES] == ["AQ7", "AQ10", "AQ17", "AQ20", "AQ30", "AQ47"]


def test_errors_are_placed_along_the_read():
    #            ACGTA-CGTTTA   A is inserted at 3, C deleted before 7, G for T at 8
    columns = aligned_reads([aligned("ACGATACGGTA", "3M1I3M1D4M", "6^C1T2")]).columns
    wrong = columns.operation != MATCH
    assert_array_equal(columns.position[wrong], [3, 7, 8])
    assert_array_equal(columns.operation[wrong], [INSERTION, DELETION, SUBSTITUTION])


def test_a_reverse_read_is_walked_from_its_own_start():
    bases = "ACGATACGGTA"[::-1].translate(COMPLEMENT)
    columns = aligned_reads([aligned(bases, "4M1D3M1I3M", "2A1^G6", reverse=True)]).columns
    wrong = columns.operation != MATCH
    assert_array_equal(columns.position[wrong], [3, 7, 8])
    assert columns.bases.tobytes() == b"ACGATACGGTA"


def test_soft_clips_count_for_the_position_and_hard_clips_do_not():
    found = aligned_reads([aligned("GGACGT", "5H2S4M", "1T2"), aligned("ACGTGG", "4M2S3H", "2C1", reverse=True)])
    assert_array_equal(found.first, [2, 2])
    assert_array_equal(found.end, [6, 6])
    assert_array_equal(found.position[found.columns.operation == SUBSTITUTION], [3, 3])


def test_letters_that_may_be_the_same_base_are_no_error():
    columns = aligned_reads([aligned("ACGT", "4M", "1Y1N0")]).columns
    assert (columns.operation == MATCH).all()


def test_md_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="MD tells of 3 bases, CIGAR of 4"):
        aligned_reads([aligned("ACGT", "4M", "3")])


def test_each_kind_of_error_is_counted_by_base():
    tally = tally_of(aligned("ACGATACGGTA", "3M1I3M1D4M", "6^C1T2"))
    assert {kind: np.flatnonzero(tally.by_base[kind]).tolist() for kind in ERROR_KINDS} == {
        "ins": [3],
        "del": [7],
        "sub": [8],
        "no_call": [],
        "align_start": [0],
        "align_stop": [10],
        "depth": list(range(11)),
    }


def test_errors_are_counted_in_the_flow_of_their_base():
    # TACG flows from the key's end at 7: AC in 9 10, GG in 11 12.., the T inserted in flow 12.
    read = aligned("ACTGG", "2M1I2M", "4", tags=[("ZF", 9)])
    tally = tally_of(read)
    assert np.flatnonzero(tally.by_flow["ins"]).tolist() == [12]
    assert np.flatnonzero(tally.by_flow["depth"]).tolist() == [9, 10, 12, 15]


def test_short_accurate_lengths_are_left_out():
    found = tally_of(aligned("ACGTA" * 6, "30M", "20C9")).to_json()
    assert found["AQ47"]["num_reads"] == 0
    assert found["AQ10"]["num_reads"] == 1
    assert found["aligned"]["num_bases"] == 30


def test_reads_of_low_mapping_quality_are_not_aligned():
    found = tally_of(aligned("ACGT", "4M", "4"), min_map_qual=61).to_json()
    assert (found["full"]["num_reads"], found["aligned"]["num_reads"]) == (1, 0)


def test_reads_of_a_skipped_group_are_ignored():
    assert tally_of(aligned("ACGT", "4M", "4"), skip_rg_suffix="UN").to_json()["full"]["num_reads"] == 0


def test_homopolymers_are_told_by_nucleotide():
    tally = tally_of(aligned("CAAAGC", "2M1D4M", "2^A4"))
    assert tally.homopolymers["A"][4, 3] == 1
    assert tally.homopolymers["G"][1, 1] == 1


def test_merging_equals_counting_together():
    one, other = aligned("ACGATACGGTA", "3M1I3M1D4M", "6^C1T2"), aligned("ACGTA" * 6, "30M", "20C9")
    merged = merge_alignment_statistics([tally_of(one).to_json(), tally_of(other).to_json()])
    assert merged == tally_of(one, other).to_json()


def test_every_key_of_the_original_is_there():
    found = tally_of(aligned("ACGT", "4M", "4")).to_json()
    aq = {aq_name(rate) for rate in RATES}
    lengths = {"full", "insert", "Q17", "Q20", "aligned"} | aq
    rest = {"meta", "system_snr", "qv_histogram", "error_by_position", "by_base", "by_flow"}
    assert set(found) == lengths | rest | set("ACGT")
    assert json.dumps(found)


def test_a_file_that_is_no_bam_is_refused(tmp_path):
    (tmp_path / "x.bam").write_text("no")
    with pytest.raises(InputError, match="cannot be read as BAM"):
        alignment_statistics(tmp_path / "x.bam")


KNOWN_SHORTER = {"FEGNM:24:47", "FEGNM:33:16", "FEGNM:35:43", "FEGNM:49:44"}
"""Reads whose Q7 or Q10 length is one shorter in the file than 10^(-Q/10) gives."""


@pytest.mark.golden
@pytest.mark.parametrize("quality", [7, 10, 17, 20, 47])
def test_accurate_lengths_of_real_reads(golden, quality):
    with (golden / "real-314/Default.sam.parsed").open() as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    found = aligned_reads([from_gapped(row) for row in rows])
    wrong = found.columns.operation != MATCH
    rate = 0.0 if quality == 47 else 10 ** (-quality / 10)
    lengths = accurate_prefixes(found.columns.read[wrong], found.position[wrong], found.end, rate)
    told = np.array([int(row[f"q{quality}Len"]) for row in rows])
    differ = {rows[read]["name"]: int(lengths[read] - told[read]) for read in np.flatnonzero(lengths != told)}
    assert set(differ) <= (KNOWN_SHORTER if quality < 17 else set())
    assert set(differ.values()) <= {1}


def from_gapped(row):
    """A row of the file as a BAM record: gapped sequences are told in the order of sequencing."""
    reverse = row["strand"] == "16"
    query, target = row["qDNA.a"], row["tDNA.a"]
    if reverse:
        query, target = (text[::-1].translate(COMPLEMENT) for text in (query, target))
    cigar, md, matched = "", "", 0
    for base, true in zip(query, target, strict=True):
        cigar += "I" if true == "-" else "D" if base == "-" else "M"
        if true == base:
            matched += 1
        elif true != "-":
            # MD: a 0 may stand between any two of its parts, and keeps deletions apart from substitutions.
            md += f"{matched}^{true}" if base == "-" else f"{matched}{true}"
            matched = 0
    cigar = "".join(f"1{code}" for code in cigar)
    return aligned(query.replace("-", ""), cigar, f"{md}{matched}", name=row["name"], reverse=reverse)


@pytest.mark.parametrize("kind", ["c", "C", "s", "S", "i", "I"])
def test_records_and_reads_of_other_formats_give_the_same(tmp_path, kind):
    """BAM records are read as bytes, SAM files through pysam."""
    code = {"c": "b", "C": "B", "s": "h", "S": "H", "i": "i", "I": "I"}[kind]
    header = {**HEADER, "RG": [*HEADER["RG"], {"ID": "OTHER", "FO": FLOWS, "KS": "TCAGG"}]}
    tags = [("ZF", 8, kind), ("ZA", 9, kind), ("ZM", array(code, [100, 0, 90, 1, 0, 110, 2, 99])), ("ZT", "ACG")]
    reads = [
        aligned("ACGATACGGTA", "3M1I3M1D4M", "6^C1T2", tags=tags),
        aligned("GGACGTNNACCCGTTT", "2H2S12M2S5H", "0N1R9", name="RUN:7:1", reverse=True, tags=tags[1:]),
        aligned("ACGT", "4M", "1Y1N0", name="RUN:1:9", tags=[("RG", "OTHER"), *tags[:1], *tags[3:]]),
        aligned("ACGTA", "5S", "0", name="RUN:2:9"),
        aligned("ACGTACG", "7M", "7", name="RUN:3:9"),
    ]
    reads[1].query_qualities = None
    reads[2].set_tag("RG", "OTHER")
    reads[4].flag = 4
    options = AlignmentStatisticsOptions(
        bc_adjust=True, minimum_aq_length=1, chip_origin=(0, 0), chip_dim=(20, 20), subregion_dim=(5, 5)
    )
    found = []
    for name, mode in (("x.bam", "wb"), ("x.sam", "w")):
        with pysam.AlignmentFile(str(tmp_path / name), mode, header=header) as file:
            for read in reads:
                file.write(pysam.AlignedSegment.fromstring(read.to_string(), file.header))
        statistics = alignment_statistics(tmp_path / name, options, summary_path=tmp_path / f"{name}.h5")
        found.append((statistics, error_counts(tmp_path / f"{name}.h5")))
    assert found[0] == found[1]
    assert found[0][0]["aligned"]["num_reads"] == 3 and found[0][0]["full"]["num_reads"] == 5
    assert found[0][0]["WithBarcode"]["full"]["num_bases"] == 43 + 4 * 4 + 5 + 3 * 3


def error_counts(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()].tolist()}) if hasattr(item, "shape") else None)
    return found


def test_a_tag_of_another_kind_is_refused_by_name(tmp_path):
    with pysam.AlignmentFile(str(tmp_path / "x.bam"), "wb", header=HEADER) as file:
        file.write(aligned("ACGT", "4M", "4", tags=[("ZA", "much")]))
    with pytest.raises(InputError, match="tag ZA of read RUN:0:0 does not hold a whole number"):
        alignment_statistics(tmp_path / "x.bam")
