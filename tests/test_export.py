"""Reads, wells and masks in the formats of other tools."""

import gzip
from array import array
from itertools import pairwise

import numpy as np
import pysam
import pytest
from Bio import SeqIO
from numpy.testing import assert_array_equal

from ionanalysis.bam import flowgrams
from ionanalysis.cli.main import main
from ionanalysis.flows import FlowOrder
from ionanalysis.io.mask import read_mask
from ionanalysis.io.sff import open_sff
from ionanalysis.wells import open_wells

FLOWS = FlowOrder("TACG", 80)


@pytest.fixture(scope="module")
def chip(tmp_path_factory):
    run = tmp_path_factory.mktemp("export") / "run"
    simulated = ["simulate", str(run), "--size", "12x14", "--flows", "60", "--level", "wells", "--seed", "9"]
    assert main(simulated) == 0
    return run


@pytest.fixture
def bam(tmp_path):
    """Three reads, the second aligned to the reverse strand, and a secondary record that is no read."""
    path = tmp_path / "reads.bam"
    header = {
        "SQ": [{"SN": "ref", "LN": 100}],
        "RG": [{"ID": "RUN", "FO": FLOWS.letters, "KS": "TCAG", "SM": "yeast"}],
    }
    sequences = ["ACGTTTGA", "GGATTTCA", "CATG"]
    with pysam.AlignmentFile(str(path), "wb", header=header) as file:
        for number, sequence in enumerate([*sequences, "ACGT"]):
            read = pysam.AlignedSegment(file.header)
            read.query_name, read.flag = f"RUN:{number:05d}:00007", (4, 16, 4, 256)[number]
            read.query_sequence = sequence
            read.query_qualities = array("B", range(20, 20 + len(sequence)))
            if number in (1, 3):
                read.reference_id, read.reference_start, read.cigarstring = 0, 10, f"{len(sequence)}M"
                read.set_tag("NM", 0)
            bases = read.get_forward_sequence()
            signal = FLOWS.flowgram("TCAG" + bases) * 256
            read.set_tag("RG", "RUN")
            read.set_tag("ZF", int(FLOWS.base_flows("TCAG" + bases)[4]))
            read.set_tag("ZP", array("f", [0.0, 0.0, 0.0]))
            read.set_tag("ZM", array("h", signal.astype(int).tolist()))
            file.write(read)
    return path


def export(path, output):
    assert (
        main(["export", *(str(one) for one in ([path] if not isinstance(path, list) else path)), "-o", str(output)])
        == 0
    )
    return output


def test_fastq_holds_reads_in_the_order_of_sequencing(bam, tmp_path):
    export(bam, tmp_path / "one.fastq")
    with (tmp_path / "one.fastq").open() as file:
        records = list(SeqIO.parse(file, "fastq"))
    assert [str(record.seq) for record in records] == ["ACGTTTGA", "TGAAATCC", "CATG"]
    assert records[1].letter_annotations["phred_quality"] == list(range(27, 19, -1))
    export([bam, bam], tmp_path / "two.fastq.gz")
    with gzip.open(tmp_path / "two.fastq.gz") as file:
        assert file.read() == 2 * (tmp_path / "one.fastq").read_bytes()


def test_sff_holds_flows_and_clips_the_key(bam, tmp_path):
    export(bam, tmp_path / "reads.sff")
    found = list(open_sff(tmp_path / "reads.sff"))
    assert [read.bases for read in found] == ["TCAGACGTTTGA", "TCAGTGAAATCC", "TCAGCATG"]
    for read in found:
        assert_array_equal(read.signal, FLOWS.flowgram(read.bases))
        assert read.clip_quality == (5, len(read.bases))
    with (tmp_path / "reads.sff").open("rb") as file:
        others = list(SeqIO.parse(file, "sff-trim"))
    assert [str(record.seq) for record in others] == ["ACGTTTGA", "TGAAATCC", "CATG"]


def test_a_homopolymer_in_the_last_flow_comes_through(tmp_path):
    """The original's converter lost it."""
    order = FlowOrder("TACG", 12)
    path = tmp_path / "last.bam"
    with pysam.AlignmentFile(str(path), "wb", header={"RG": [{"ID": "R", "FO": order.letters, "KS": "TCAG"}]}) as file:
        read = pysam.AlignedSegment(file.header)
        read.query_name, read.flag, read.query_sequence = "R:1:1", 4, "CGGG"
        read.query_qualities = array("B", [30] * 4)
        read.set_tag("RG", "R")
        read.set_tag("ZF", 10)
        read.set_tag("ZP", array("f", [0.0, 0.0, 0.0]))
        read.set_tag("ZM", array("h", (order.flowgram("TCAGCGGG") * 256).astype(int).tolist()))
        file.write(read)
    (found,) = open_sff(export(path, tmp_path / "last.sff"))
    assert found.bases == "TCAGCGGG" and found.signal[-1] == 3


def test_npz_holds_what_flowgrams_gives(bam, tmp_path):
    with np.load(export(bam, tmp_path / "reads.npz")) as found:
        flows = flowgrams(bam)[:3]
        assert_array_equal(found["signal"], flows.signals)
        assert_array_equal(found["row"], [0, 1, 2])
        assert found["bases"].tolist() == ["ACGTTTGA", "TGAAATCC", "CATG"]
        assert found["contig"].tolist() == ["", "ref", ""] and found["start"].tolist() == [-1, 10, -1]
        assert str(found["flow_order"]) == FLOWS.letters


def test_wells_and_masks_become_arrays(chip, tmp_path):
    wells = np.load(export(chip / "1.wells", tmp_path / "wells.npy"))
    with open_wells(chip / "1.wells") as told:
        assert_array_equal(wells, told[:, :, :])
        with np.load(export(chip / "1.wells", tmp_path / "wells.npz")) as found:
            assert_array_equal(found["signal"], told[found["row"], found["col"]])
    flags = np.load(export(chip / "analysis.bfmask.bin", tmp_path / "mask.npy"))
    assert_array_equal(flags, read_mask(chip / "analysis.bfmask.bin").flags)


def test_parquet_has_a_row_per_read(bam, chip, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(export(bam, tmp_path / "reads.parquet"))
    rows = table.to_pylist()
    assert [row["bases"] for row in rows] == ["ACGTTTGA", "TGAAATCC", "CATG"]
    assert_array_equal([row["signal"] for row in rows], flowgrams(bam).signals[:3])
    assert rows[1]["is_reverse"] and rows[1]["cigar"] == "8M" and rows[0]["qualities"] == "56789:;<"
    assert table.schema.metadata[b"flow_order"].decode() == FLOWS.letters
    wells = parquet.read_table(export(chip / "1.wells", tmp_path / "wells.parquet"))
    with open_wells(chip / "1.wells") as told:
        assert_array_equal(
            wells.column("signal").to_pylist()[3], told[wells["row"][3].as_py(), wells["col"][3].as_py()]
        )


def test_zarr_has_an_array_per_column(bam, tmp_path):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(export([bam, bam], tmp_path / "reads.zarr")), mode="r")
    assert_array_equal(group["signal"][:], np.tile(flowgrams(bam).signals[:3], (2, 1)))
    start, letters = group["bases_start"][:], group["bases"][:]
    texts = [letters[a:b].tobytes().decode() for a, b in pairwise(start)]
    assert texts == 2 * ["ACGTTTGA", "TGAAATCC", "CATG"]
    assert group.attrs["flow_order"] == FLOWS.letters
    assert main(["export", str(bam), "-o", str(tmp_path / "reads.zarr")]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reads.bam", "reads.zarr"]


@pytest.mark.parametrize("ending", ["parquet", "zarr"])
def test_a_package_that_is_not_there_is_named(bam, tmp_path, monkeypatch, capsys, ending):
    import sys

    for name in ("pyarrow", "zarr"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["export", str(bam), "-o", str(tmp_path / f"x.{ending}")]) == 3
    assert "pip install 'ionanalysis[export]'" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["reads.bam"]


@pytest.mark.parametrize(
    ("inputs", "output", "message"),
    [
        (["mask"], "x.fastq", "can hold reads only"),
        (["wells"], "x.txt", "ends in none of"),
        (["bam"], "x.npy", "holds one array"),
        (["mask", "mask"], "x.npz", "only of reads"),
        (["mask", "bam"], "x.npz", "give reads"),
    ],
)
def test_what_does_not_fit_is_refused(bam, chip, tmp_path, capsys, inputs, output, message):
    places = {"bam": bam, "wells": chip / "1.wells", "mask": chip / "analysis.bfmask.bin"}
    assert main(["export", *(str(places[name]) for name in inputs), "-o", str(tmp_path / output)]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / output).exists()
