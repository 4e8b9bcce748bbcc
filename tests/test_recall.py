"""Bases again from the flow signals of a BAM file."""

import gzip
import json
from array import array

import numpy as np
import pysam
import pytest

from ionanalysis.bam.bgzf import END_OF_FILE, compress_block
from ionanalysis.basecaller import recall
from ionanalysis.basecaller.phase import predict_signal
from ionanalysis.basecaller.recall import recall_bam
from ionanalysis.cli.main import main
from ionanalysis.errors import InputError, UsageError
from ionanalysis.flows import FlowOrder
from ionanalysis.io.calibration import LINEAR_MAGIC
from ionanalysis.metrics.accuracy import calls_from_bam, score_calls


def records(path):
    with pysam.AlignmentFile(str(path), check_sq=False) as bam:
        return bam.header.to_dict(), list(bam)


@pytest.fixture(scope="module")
def recalled(golden, tmp_path_factory):
    """(the original's BAM, what the command made of it)."""
    source = golden / "calls-s60/peer/rawlib.basecaller.bam"
    target = tmp_path_factory.mktemp("recall") / "again.bam"
    assert main(["recall", str(source), "-o", str(target)]) == 0
    return source, target


@pytest.mark.golden
def test_errors_of_the_originals_reads_shrink(recalled, calls_s60_truth):
    before, after = (score_calls(calls_from_bam(path), *calls_s60_truth) for path in recalled)
    assert after.n_reads == before.n_reads
    assert after.error_rate < 0.85 * before.error_rate


@pytest.mark.golden
def test_names_tags_and_read_groups_are_kept(recalled):
    (old_header, old), (header, new) = map(records, recalled)
    assert header["RG"] == old_header["RG"]
    assert [entry["ID"] for entry in header["PG"]] == [*[entry["ID"] for entry in old_header["PG"]], "recall"]
    assert [read.query_name for read in new] == [read.query_name for read in old]
    for before, after in zip(old[:200], new[:200], strict=True):
        assert dict(after.get_tags()) == dict(before.get_tags())
        assert abs(len(after.query_sequence) - len(before.query_sequence)) < 20


@pytest.mark.golden
def test_threads_change_nothing_in_a_recall(golden, tmp_path):
    source = golden / "barcodes-s60/peer/IonXpress_001_rawlib.basecaller.bam"
    for n in (1, 3):
        recall_bam(source, tmp_path / f"{n}.bam", n_threads=n)
    assert (tmp_path / "1.bam").read_bytes() == (tmp_path / "3.bam").read_bytes()


ORDER = FlowOrder("TACG", 60)
TEMPLATE = "TCAGACCGTTTAGCATTGCA"
HEADER = {"HD": {"VN": "1.4"}, "RG": [{"ID": "R", "FO": ORDER.letters, "KS": "TCAG"}]}


def write_bam(path, mode="wb", header=HEADER, bases="AC", cigar=None, flag=4, **tags):
    """A file of one read."""
    with pysam.AlignmentFile(str(path), mode, header=header) as out:
        read = pysam.AlignedSegment(out.header)
        read.query_name, read.flag, read.query_sequence = "R:1:1", flag, bases
        read.query_qualities = [20] * len(bases)
        if cigar:
            read.reference_id, read.reference_start, read.cigarstring = 0, 100, cigar
        read.set_tag("RG", "R")
        for name, value in tags.items():
            read.set_tag(name, value)
        out.write(read)


def units(template=TEMPLATE, rates=(0.006, 0.005, 0.0), scale=256):
    """Signals of a template as ZM carries them."""
    gram = ORDER.flowgram(template)
    flow = np.flatnonzero(gram)
    signal, _ = predict_signal(ORDER, [0, len(flow)], flow, gram[flow], [(*rates[:2], 0.0)])
    return array("h" if scale == 256 else "H", np.rint(signal[0] * scale).astype(int).tolist())


def whole_read(**changes):
    """Arguments of `write_bam` for a read whose signals say what its bases do."""
    flows = ORDER.base_flows(TEMPLATE)
    rates = {"ZM": units(), "ZP": array("f", [0.006, 0.005, 0.002]), "ZF": int(flows[4])}
    return {"bases": TEMPLATE[4:], **rates, **changes}


def recalled_read(tmp_path, name="in.bam", **read):
    write_bam(tmp_path / name, **read)
    counts = recall_bam(tmp_path / name, tmp_path / "out.bam")
    (read,) = records(tmp_path / "out.bam")[1]
    return read, counts


def test_reads_without_signals_are_refused_and_leave_no_file(tmp_path):
    write_bam(tmp_path / "in.bam")
    with pytest.raises(InputError, match="neither tag ZM nor FZ"):
        recall_bam(tmp_path / "in.bam", tmp_path / "out.bam")
    assert [path.name for path in tmp_path.iterdir()] == ["in.bam"]


def test_signals_without_phase_are_refused(tmp_path):
    write_bam(tmp_path / "in.bam", ZM=array("h", [256] * 24))
    with pytest.raises(InputError, match="no phase"):
        recall_bam(tmp_path / "in.bam", tmp_path / "out.bam")


def test_signals_of_older_files_are_called_without_phase(tmp_path):
    gram = ORDER.flowgram("TCAGACC")[:24] * 100
    write_bam(tmp_path / "in.bam", FZ=array("H", gram.tolist()), ZF=9)
    counts = recall_bam(tmp_path / "in.bam", tmp_path / "out.bam")
    (read,) = records(tmp_path / "out.bam")[1]
    # One base fewer was there before, in the last flow: the end of a read is not moved.
    assert (read.query_sequence, counts.reads, counts.changed) == ("AC", 1, 0)


def test_a_file_that_is_no_bam_is_refused(tmp_path):
    (tmp_path / "in.bam").write_text("no BAM")
    with pytest.raises(InputError, match="cannot be read as BAM"):
        recall_bam(tmp_path / "in.bam", tmp_path / "out.bam")


def test_wrong_bases_are_replaced_by_what_the_signals_say(tmp_path):
    wrong = TEMPLATE[4:].replace("TTT", "TT")
    read, counts = recalled_read(tmp_path, **whole_read(bases=wrong))
    assert read.query_sequence == TEMPLATE[4:] and len(read.query_qualities) == len(TEMPLATE) - 4
    assert (counts.reads, counts.changed, counts.kept, counts.calibrations) == (1, 1, 0, ())


def test_phase_comes_from_zp_and_droop_is_left_out(tmp_path, monkeypatch):
    seen, solve = [], recall.call_block
    monkeypatch.setattr(recall, "call_block", lambda *args, **more: seen.append(args[4]) or solve(*args, **more))
    recalled_read(tmp_path, **whole_read())
    recalled_read(tmp_path, **whole_read(ZM=None, FZ=units(scale=100)))
    np.testing.assert_allclose(seen[0], [[0.006, 0.005, 0]], rtol=1e-6)
    np.testing.assert_array_equal(seen[1], [[0, 0, 0]])


def test_a_dummy_fz_beside_zm_is_not_used(tmp_path):
    read, _ = recalled_read(tmp_path, **whole_read(FZ=array("H", [0])))
    assert read.query_sequence == TEMPLATE[4:] and read.get_tag("FZ").tolist() == [0]


@pytest.mark.parametrize(
    "cut", [{"ZT": "ACCG"}, {"ZE": "ACCG"}, {"ZK": "ACCG"}, {"ZK": "A", "ZT": "CC", "ZE": "G"}], ids=", ".join
)
def test_handles_tags_and_extra_bases_in_front_stay_cut_off(tmp_path, cut):
    first = int(ORDER.base_flows(TEMPLATE)[8])
    read, counts = recalled_read(tmp_path, **whole_read(bases=TEMPLATE[8:], ZF=first, **cut))
    assert (read.query_sequence, counts.changed) == (TEMPLATE[8:], 0)
    unsaid, counts = recalled_read(tmp_path, **whole_read(bases=TEMPLATE[8:], ZF=0, **cut))
    assert (unsaid.query_sequence, counts.kept) == (TEMPLATE[8:], 0)


def test_a_read_within_one_run_that_its_key_begins_is_called(tmp_path):
    template = "TCAGGG"
    tags = whole_read(bases="GG", ZM=units(template), ZF=int(ORDER.base_flows(template)[4]))
    read, counts = recalled_read(tmp_path, **tags)
    assert (read.query_sequence, counts.kept) == ("GG", 0)


ALIGNED = HEADER | {"SQ": [{"SN": "chr1", "LN": 1000}]}


def test_aligned_reads_come_back_as_they_were_sequenced(tmp_path):
    reverse = TEMPLATE[4:][::-1].translate(str.maketrans("ACGT", "TGCA"))
    tags = whole_read(bases=reverse, header=ALIGNED, flag=16, cigar=f"{len(reverse)}M", MD="16", NM=0, XX="kept")
    read, counts = recalled_read(tmp_path, **tags)
    assert (read.query_sequence, read.flag, read.cigarstring, counts.changed) == (TEMPLATE[4:], 4, None, 0)
    assert not read.has_tag("MD") and not read.has_tag("NM") and read.get_tag("XX") == "kept"


def test_hard_clipped_reads_keep_their_bases(tmp_path):
    tags = whole_read(bases=TEMPLATE[7:], header=ALIGNED, flag=0, cigar=f"3H{len(TEMPLATE) - 7}M")
    read, counts = recalled_read(tmp_path, **tags)
    assert (read.query_sequence, counts.kept, list(read.query_qualities)) == (TEMPLATE[7:], 1, [20] * 13)


@pytest.mark.parametrize(("mode", "name"), [("w", "in.sam"), ("wc", "in.cram")])
def test_sam_and_cram_are_read_as_bam_is(tmp_path, mode, name):
    read, _ = recalled_read(tmp_path, name=name, mode=mode, **whole_read(bases=TEMPLATE[4:-1]))
    from_bam, _ = recalled_read(tmp_path, **whole_read(bases=TEMPLATE[4:-1]))
    # CRAM does not keep the order of tags.
    assert dict(read.get_tags()) == dict(from_bam.get_tags())
    assert (read.query_sequence, read.flag) == (from_bam.query_sequence, from_bam.flag) == (TEMPLATE[4:-1], 4)


@pytest.mark.parametrize("name", ["out.sam", "out.cram"])
def test_other_output_than_bam_is_refused(tmp_path, name):
    write_bam(tmp_path / "in.bam", **whole_read())
    with pytest.raises(UsageError, match="recall writes BAM"):
        recall_bam(tmp_path / "in.bam", tmp_path / name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ZM": "text"}, "tag ZM of read .* does not hold a list of numbers"),
        ({"ZM": array("f", [1.0, 2.0])}, "tag ZM of read .* does not hold whole numbers"),
        ({"ZM": array("h", [256] * 61)}, "has 61 flows, its read group 60"),
        ({"ZF": "x"}, "tag ZF of read .* does not hold one whole number"),
        ({"ZP": 0.5}, "tag ZP of read .* does not hold a list of numbers"),
        ({"ZP": array("f", [0.006, float("nan"), 0])}, "no phase"),
        ({"ZP": array("f", [0.006])}, "no phase"),
        ({"RG": "S"}, "of read group 'S'"),
        ({"RG": None}, "of read group None"),
        ({"header": {"RG": [{"ID": "R"}]}}, "has no flow order"),
        ({"header": {"RG": [{"ID": "R", "FO": "TANG"}]}}, "read group R: flow order 'TANG'"),
    ],
)
def test_damaged_records_are_named_and_leave_no_file(tmp_path, change, message):
    write_bam(tmp_path / "in.bam", **whole_read(**change))
    with pytest.raises(InputError, match=message) as caught:
        recall_bam(tmp_path / "in.bam", tmp_path / "out.bam")
    assert str(caught.value).startswith(f"{tmp_path / 'in.bam'}: ")
    assert [path.name for path in tmp_path.iterdir()] == ["in.bam"]


def test_flows_beyond_the_signals_keep_the_bases(tmp_path):
    read, counts = recalled_read(tmp_path, **whole_read(ZF=59))
    assert (read.query_sequence, counts.kept) == (TEMPLATE[4:], 1)
    read, counts = recalled_read(tmp_path, **whole_read(ZF=500))
    assert (read.query_sequence, counts.kept) == (TEMPLATE[4:], 1)


def test_files_cut_anywhere_are_refused(tmp_path):
    write_bam(tmp_path / "whole.bam", **whole_read())
    content = (tmp_path / "whole.bam").read_bytes()
    for end in range(0, len(content), 7):
        (tmp_path / "in.bam").write_bytes(content[:end])
        with pytest.raises(InputError, match=r"in\.bam"):
            recall_bam(tmp_path / "in.bam", tmp_path / "out.bam")
    assert not (tmp_path / "out.bam").exists()


@pytest.mark.parametrize("form", ["sam", "bam"])
def test_damaged_bytes_give_reads_or_one_sentence(tmp_path, form):
    write_bam(tmp_path / f"whole.{form}", mode="w" if form == "sam" else "wb", **whole_read())
    content = (tmp_path / f"whole.{form}").read_bytes()
    if form == "bam":
        # Below the compression, whose checksums would catch it all.
        content = gzip.decompress(content)
    random, refused, damaged = np.random.default_rng(12), 0, tmp_path / f"in.{form}"
    for _ in range(250):
        changed = bytearray(content)
        for _ in range(random.integers(1, 4)):
            changed[random.integers(len(changed))] = random.integers(256)
        damaged.write_bytes(changed if form == "sam" else compress_block(bytes(changed), 1) + END_OF_FILE)
        try:
            recall_bam(damaged, tmp_path / "out.bam", n_threads=1)
        except InputError:
            refused += 1
    assert 0 < refused < 250


def calibration_comment(n_flows=60, gain=0.72, block="RUN12.block_X0_Y0", first_row=0):
    """A linear model by which runs of T give less."""
    cells = [
        {"flowBase": ord(nuc), "flowStart": 0, "xMin": 0, "yMin": first_row, "refHP": length}
        | {"paramA": gain if nuc == "T" else 1.0, "paramB": 0.0}
        for nuc in "ACGT"
        for length in range(4)
    ]
    model = {"flowEnd": n_flows - 1, "max_hp_calibrated": 4, "modelParameters": cells}
    return json.dumps({"MagicCode": LINEAR_MAGIC, "MasterKey": block, block: model})


@pytest.mark.parametrize("first_row", [0, 100])
def test_a_calibration_in_the_header_is_applied_to_the_wells_of_its_block(tmp_path, capsys, first_row):
    comment = calibration_comment(first_row=first_row)
    read = whole_read(header=HEADER | {"CO": ["other", comment]})
    letters = ORDER.letters[: len(read["ZM"])]
    read["ZM"] = array("h", [round(0.72 * u) if nuc == "T" else u for u, nuc in zip(read["ZM"], letters, strict=True)])
    write_bam(tmp_path / "in.bam", **read)
    assert main(["recall", str(tmp_path / "in.bam"), "-o", str(tmp_path / "out.bam")]) == 0
    n_applied = 0 if first_row else 1
    assert f"(RUN12.block_X0_Y0); it was applied to {n_applied} reads" in capsys.readouterr().err
    header, (called,) = records(tmp_path / "out.bam")
    assert header["CO"] == ["other", comment]
    # Without the model, three T that give 2.16 bases are two, and two one.
    bases = TEMPLATE[4:] if n_applied else TEMPLATE[4:].replace("TT", "T")
    assert called.query_sequence == bases


def test_a_calibration_for_other_flows_is_refused(tmp_path):
    read = whole_read(header=HEADER | {"CO": [calibration_comment(n_flows=61)]})
    write_bam(tmp_path / "in.bam", **read)
    with pytest.raises(InputError, match="for 61 flows, its reads have 60; take the comment line out"):
        recall_bam(tmp_path / "in.bam", tmp_path / "out.bam")
