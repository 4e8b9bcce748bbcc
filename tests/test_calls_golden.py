"""Called reads of golden chips against their truths, phases estimated from the same wells."""

import gzip
import json

import numpy as np
import pytest

from ionanalysis.basecaller import call_bases, estimate_phase
from ionanalysis.io.mask import read_mask
from ionanalysis.metrics.accuracy import calls_from_reads, errors_in_first_bases
from ionanalysis.metrics.alignment import MATCH, align, base_errors
from ionanalysis.options.basecaller import TrainingOptions
from ionanalysis.wells import open_wells

pytestmark = pytest.mark.golden


@pytest.fixture(scope="module")
def calls_s60(golden):
    """(phase, reads of 30 rows of the chip, true inserts of library wells, inserts that the original covered)."""
    folder = golden / "calls-s60"
    wells = open_wells(folder / "1.wells", folder / "analysis.bfmask.bin")
    truth = json.loads(gzip.decompress((folder / "truth.json.gz").read_bytes()))["wells"]
    inserts = {
        tuple(map(int, name.split(":")[-2:])): facts["insert"]
        for name, facts in truth.items()
        if facts["kind"] == "LIB"
    }
    phase = estimate_phase(wells)
    return phase, call_bases(wells, phase, rows=slice(0, 30)), inserts


def test_phase_of_the_synthetic_chip(calls_s60):
    phase, _, _ = calls_s60
    assert phase.cf == pytest.approx(0.006, abs=3e-4)
    assert phase.ie == pytest.approx(0.005, abs=3e-4)
    assert phase.dr == pytest.approx(0.001, abs=1e-4)


def aligned(reads, inserts):
    """Alignment columns and qualities of calls up to 15 bases before the insert's end, so that adapters stay out."""
    calls = [call for call in calls_from_reads(reads) if (call.row, call.col) in inserts]
    targets = [inserts[call.row, call.col] for call in calls]
    spans = [len(target) - 15 for target in targets]
    columns = align([call.bases[:span] for call, span in zip(calls, spans, strict=True)], targets)
    return columns, np.concatenate([call.qualities[:span] for call, span in zip(calls, spans, strict=True)])


def test_errors_of_the_synthetic_chip(calls_s60):
    _, reads, inserts = calls_s60
    columns, _ = aligned(reads, inserts)
    assert columns.read.max() > 1400
    # The original has 0.414 errors per 100 bases of its trimmed reads.
    assert 100 * (columns.operation != MATCH).mean() < 0.32


def off_by_quality(quality, errors, ranges):
    """Observed minus claimed quality of each range with at least 30 expected errors, and two standard errors of it."""
    found = {}
    for least, most in ranges:
        chosen = (quality >= least) & (quality < most)
        claimed = (10 ** (-quality[chosen].astype(float) / 10)).sum()
        if claimed >= 30:
            found[least, most] = -10 * np.log10(errors[chosen].sum() / claimed), 8.7 / np.sqrt(claimed)
    return found


def test_qualities_of_the_synthetic_chip(calls_s60):
    _, reads, inserts = calls_s60
    columns, quality = aligned(reads, inserts)
    errors = base_errors(columns, TrainingOptions().missing_base_share)
    found = off_by_quality(quality, errors, ((7, 10), (10, 14), (14, 20), (20, 36)))
    assert len(found) >= 3
    assert all(abs(off) < 1 + unsure for off, unsure in found.values()), found


@pytest.fixture(scope="module")
def real_314(golden):
    """(phase, errors per base in the first 25, 50 and 100 bases of the aligned reads of a real chip)."""
    folder = golden / "real-314"
    wells = open_wells(folder / "1.wells", read_mask(folder / "bfmask.bin"))
    lines = (folder / "Default.sam.parsed").read_text().splitlines()
    name, target = lines[0].split("\t").index("name"), lines[0].split("\t").index("tDNA.a")
    fields = [line.split("\t") for line in lines[1:]]
    targets = {tuple(map(int, item[name].split(":")[-2:])): item[target].replace("-", "") for item in fields}
    phase = estimate_phase(wells)
    calls = list(calls_from_reads(call_bases(wells, phase)))
    return phase, len(targets), [errors_in_first_bases(calls, targets, n) for n in (25, 50, 100)]


def test_errors_of_the_real_chip(real_314):
    _, n_targets, errors = real_314
    assert n_targets == 1398
    assert (np.array(errors) < (0.0060, 0.0085, 0.029)).all(), errors


def test_phase_of_the_real_chip(real_314):
    phase, _, _ = real_314
    assert phase.cf == pytest.approx(0.0120, abs=0.003)
    assert phase.ie == pytest.approx(0.0088, abs=0.003)
