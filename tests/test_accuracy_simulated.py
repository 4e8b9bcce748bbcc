"""Reads of a simulated chip against its own truth."""

from dataclasses import replace
from functools import partial

import numpy as np
import pysam
import pytest

from ionanalysis.errors import InputError
from ionanalysis.metrics.simulated import WRONG_BARCODE, score_bams
from ionanalysis.simulate import simulate


@pytest.fixture(scope="module")
def chip():
    return simulate(size=(12, 12), flows=120, seed=3, barcodes="IonXpress", barcode_count=3)


def write_reads(path, chip, cut, change=lambda template: template):
    """A BAM of the templates of all wells from `cut(row, col)` on, without their bead adapter."""
    truth = chip.truth
    wells = [tuple(well) for well in np.argwhere(np.isin(truth.kind, ("library", "polyclonal")))]
    ends = truth.details["insert_at"] + truth.details["insert_length"]
    fronts = {well: cut(well) for well in wells}
    groups = sorted(set(fronts.values()))
    header = {"HD": {"VN": "1.4"}, "RG": [{"ID": f"G{i}", "KS": front} for i, front in enumerate(groups)]}
    with pysam.AlignmentFile(str(path), "wb", header=header) as out:
        for well in wells:
            front = fronts[well]
            read = pysam.AlignedSegment()
            read.query_name, read.flag = f"RUN:{well[0]:05d}:{well[1]:05d}", 4
            read.query_sequence = change(truth.sequence[well][len(front) : ends[well]])
            read.set_tag("RG", f"G{groups.index(front)}")
            out.write(read)
    return path


def front_of(chip, well):
    return chip.truth.sequence[well][: chip.truth.details["insert_at"][well]]


def n_library(chip):
    return int((chip.truth.kind == "library").sum())


def test_true_reads_are_perfect_whatever_was_cut_off(chip, tmp_path):
    for name, cut in (("key", lambda well: "TCAG"), ("barcode", partial(front_of, chip))):
        found = score_bams([write_reads(tmp_path / f"{name}.bam", chip, cut)], chip.truth)
        assert (found.n_reads, found.n_perfect, found.n_lost) == (n_library(chip), n_library(chip), 0)
        assert found.n_ends_met == found.n_reads


def test_reads_of_polyclonal_wells_are_wrong_ones(chip, tmp_path):
    found = score_bams([write_reads(tmp_path / "x.bam", chip, lambda well: "TCAG")], chip.truth)
    assert found.wrong_wells == {"polyclonal": int((chip.truth.kind == "polyclonal").sum())}


def test_a_lost_base_is_counted_once_per_read(chip, tmp_path):
    path = write_reads(tmp_path / "x.bam", chip, partial(front_of, chip), lambda bases: bases[:20] + bases[21:])
    found = score_bams([path], chip.truth)
    assert found.by_position[:, 1:].sum(axis=0).tolist() == [0, 0, n_library(chip)]


def test_reads_in_a_wrong_barcode_are_not_scored(chip, tmp_path):
    wells = [tuple(well) for well in np.argwhere(chip.truth.kind == "library")]
    by_barcode = {chip.truth.details["barcode"][well]: front_of(chip, well) for well in wells}
    wrong = by_barcode[2]
    path = write_reads(tmp_path / "x.bam", chip, lambda well: wrong)
    found = score_bams([path], chip.truth)
    rightly = sum(chip.truth.details["barcode"][well] == 2 for well in wells)
    assert (found.n_reads, found.n_true_reads) == (rightly, n_library(chip))
    assert found.wrong_wells[WRONG_BARCODE] == n_library(chip) - rightly


def test_a_truth_without_inserts_is_an_input_error(chip):
    with pytest.raises(InputError, match="where inserts begin"):
        score_bams([], replace(chip.truth, details={}))
