"""Calibrations learned from called reads: what is planted comes back, and reads get better."""

import json

import numpy as np
import pysam
import pytest
from numpy.testing import assert_allclose

from ionanalysis.align import ReferenceIndex, align_reads
from ionanalysis.bam.source import open_alignments, reads_of
from ionanalysis.calibration.learn import learn_calibration
from ionanalysis.calibration.linear import Grid
from ionanalysis.calibration.training import TrainingCounts, read_training
from ionanalysis.cli.legacy import basecaller, calibration
from ionanalysis.errors import InputError, UsageError
from ionanalysis.io.calibration import read_calibration
from ionanalysis.metrics.accuracy import calls_from_bam, score_calls
from ionanalysis.metrics.alignment import align, homopolymer_runs
from ionanalysis.options.calibration import CalibrationFitOptions
from ionanalysis.options.simulate import simulate_options
from ionanalysis.simulate import simulate_chip

GAIN, OFFSET, NUC = 0.97, 0.02, 2
ONE_REGION = CalibrationFitOptions(num_calibration_regions=(1, 1))


def wrong_homopolymers(path, inserts, nuc=None, least=4):
    """Wrong and all runs of `least` bases or more in a BAM file, of one nucleotide or of all."""
    calls = [call for call in calls_from_bam(path) if (call.row, call.col) in inserts and call.bases]
    columns = align([call.bases for call in calls], [inserts[call.row, call.col] for call in calls])
    letter, true, called = homopolymer_runs(columns)
    chosen = (true >= least) & ((letter == ord(nuc)) if nuc else True)
    return int((true != called)[chosen].sum()), int(chosen.sum())


def planted(folder, seed, **options):
    chip = simulate_chip(
        simulate_options(
            size=(70, 70),
            flows=400,
            level="wells",
            seed=seed,
            genome_length=100_000,
            polyclonal=0.0,
            wells_type="float32",
            nuc_offset_sd=0.0,
            **options,
        )
    )
    chip.write(folder)
    key, library = len(chip.options.chip.library_key), chip.truth.kind == "library"
    inserts = {(r, c): str(chip.truth.sequence[r, c])[key:] for r, c in zip(*np.nonzero(library), strict=True)}
    return folder, inserts


def call(run, out, *more):
    (wells,) = run.rglob("1.wells")
    arguments = [f"--input-dir={wells.parent}", f"--output-dir={out}", "--run-id=LEARN", "--num-unfiltered=0", *more]
    assert basecaller.main(arguments) == 0
    return out / "rawlib.basecaller.bam"


@pytest.fixture(scope="module")
def chip(tmp_path_factory):
    """Run with a gain and an offset on G, its inserts, its training call."""
    gain, offset = [1.0] * 4, [0.0] * 4
    gain[NUC], offset[NUC] = GAIN, OFFSET
    folder = tmp_path_factory.mktemp("learn")
    noise = {"noise_sd": 0.04, "noise_per_base": 0.012, "flow_gain_sd": 0.002}
    run, inserts = planted(folder / "run", 6101, nuc_gain=tuple(gain), nuc_offset=tuple(offset), **noise)
    training = call(run, folder / "training", "--calibration-training=3000")
    return run, inserts, training, folder


@pytest.fixture(scope="module")
def learnt(chip):
    """`Calibration.json` of the program."""
    run, _, training, folder = chip
    arguments = ["-i", str(training), "-o", str(folder / "learnt"), f"--reference={run}/reference.fasta"]
    assert calibration.main([*arguments, "--block-size=70,70", "--num-calibration-regions", "1,1"]) == 0
    return folder / "learnt/Calibration.json"


def test_planted_gain_and_offset_come_back(learnt):
    model = read_calibration(learnt).linear
    gain, offset = np.ones(4), np.zeros(4)
    gain[NUC], offset[NUC] = GAIN, OFFSET
    assert_allclose(model.gain[0, 0, 0, :, 1], gain, atol=0.005)
    assert_allclose(model.gain[0, 0, 0, :, 2], gain, atol=0.005)
    assert_allclose(model.offset[0, 0, 0, :, 0], offset, atol=0.005)


def test_calibrated_reads_have_at_most_half_of_the_wrong_homopolymers(chip, learnt, tmp_path):
    run, inserts, _, folder = chip
    # Phases that are given come without the response that reads alone tell, which is a calibration already.
    plain = call(run, tmp_path / "plain", "--libcf-ie-dr=0.006,0.005,0.001")
    phase = f"--phase-estimation-file={folder}/training/BaseCaller.json"
    calibrated = call(run, tmp_path / "calibrated", f"--calibration-json={learnt}", phase)
    before, after = (score_calls(calls_from_bam(path), inserts) for path in (plain, calibrated))
    assert after.n_reads >= before.n_reads - 2 and after.error_rate < before.error_rate
    # Other nucleotides, whose signals are as they should be, keep the errors that noise makes.
    (wrong, n_runs), (still_wrong, n_again) = (wrong_homopolymers(path, inserts, "G") for path in (plain, calibrated))
    assert n_runs > 1000 and abs(n_again - n_runs) < 20
    assert still_wrong <= 0.5 * wrong


def test_the_file_says_what_it_rests_on(learnt):
    content = json.loads(learnt.read_text())
    about = content["Calibration"]
    assert about["num_reads_in_bam"] >= about["num_mapped_reads"] >= about["num_loaded_reads"]
    assert about["num_loaded_reads"] >= about["num_useful_reads"] > 1000
    assert about["truth"] == "alignment to a reference" and about["command_line"].startswith("Calibration --input=")
    model = content["LinearModel"]
    assert model["MasterKey"] == "LEARN.block_X0_Y0"
    block = model[model["MasterKey"]]
    assert (block["flowEnd"], block["xMax"], block["yMax"]) == (399, 69, 69)
    assert content["HPHistogram"]["num_hps"] == CalibrationFitOptions().histogram_max_hp


def test_reads_that_another_aligner_has_aligned_give_the_same(chip, learnt, tmp_path):
    run, _, training, _ = chip
    aligned = tmp_path / "aligned.bam"
    write_aligned(training, run / "reference.fasta", aligned)
    found = learn_calibration([aligned], ONE_REGION, size=(70, 70))
    expected = read_calibration(learnt).linear
    assert_allclose(found.calibration.linear.gain[..., :4], expected.gain[..., :4], atol=0.004)
    assert_allclose(found.calibration.linear.offset, expected.offset, atol=0.002)


def write_aligned(source, fasta, target):
    """The reads of a BAM file with places, CIGAR and MD."""
    index = ReferenceIndex(fasta)
    with pysam.AlignmentFile(str(source), check_sq=False) as bam:
        records, header = list(bam), bam.header.to_dict()
    header["SQ"] = [{"SN": name, "LN": size} for name, size in index.contigs.items()]
    hits = align_reads(index, [record.query_sequence for record in records])
    with pysam.AlignmentFile(str(target), "wb", header=header) as out:
        for record, hit in zip(records, hits, strict=True):
            if hit is not None:
                out.write(placed(record, hit, index, out.header))


def placed(record, hit, index, header):
    fields = record.to_dict() | {"flag": "16" if hit.reverse else "0", "ref_name": hit.contig}
    fields |= {"ref_pos": str(hit.start + 1), "map_quality": str(hit.mapping_quality)}
    clips = [hit.first, len(record.query_sequence) - hit.last]
    before, after = clips[::-1] if hit.reverse else clips
    steps = [(before, 4), *hit.cigar, (after, 4)]
    fields["cigar"] = "".join(f"{length}{'MIDNSHP=X'[code]}" for length, code in steps if length)
    if hit.reverse:
        fields["seq"] = fields["seq"].translate(str.maketrans("ACGT", "TGCA"))[::-1]
        fields["qual"] = fields["qual"][::-1]
    made = pysam.AlignedSegment.from_dict(fields, header)
    text, at, query, count = "", hit.start, before, 0
    target = index.sequence(hit.contig, hit.start, hit.end)
    for length, code in hit.cigar:
        if code == 0:
            for k in range(length):
                same = target[at - hit.start + k] == fields["seq"][query + k]
                text, count = (text, count + 1) if same else (f"{text}{count}{target[at - hit.start + k]}", 0)
            at, query = at + length, query + length
        elif code == 1:
            query += length
        else:
            text, count = f"{text}{count}^{target[at - hit.start : at - hit.start + length]}", 0
            at += length
    made.set_tag("MD", f"{text}{count}")
    return made


def test_blind_fits_need_no_reference_and_say_so(chip, tmp_path):
    training = chip[2]
    arguments = ["-i", str(training), "-o", str(tmp_path), "--blind-fit", "on", "--load-unmapped", "on"]
    assert calibration.main([*arguments, "--num-calibration-regions=1,1"]) == 0
    content = json.loads((tmp_path / "Calibration.json").read_text())
    assert "own bases" in content["Calibration"]["truth"] and "HPHistogram" not in content
    model = read_calibration(tmp_path / "Calibration.json").linear
    assert_allclose(model.gain[0, 0, 0, NUC, 1], GAIN, atol=0.005)
    assert_allclose(model.offset[0, 0, 0, NUC, 0], OFFSET, atol=0.005)


def test_training_calls_leave_test_fragments_and_unfiltered_sets_out(chip):
    folder = chip[3] / "training"
    assert not list(folder.glob("rawtf*.bam")) and not list(folder.glob("unfiltered.*/*.bam"))
    with open_alignments(folder / "rawlib.basecaller.bam") as bam:
        n_reads = sum(1 for _ in reads_of(bam))
    assert 2000 < n_reads <= 3000


def test_training_reads_begin_where_their_bases_do(chip):
    run, inserts, training, _ = chip
    counts = TrainingCounts()
    index = ReferenceIndex(run / "reference.fasta")
    n_checked = 0
    for reads in read_training([training], ONE_REGION, counts, index=index):
        for i in range(0, len(reads), 40):
            span = slice(reads.run_start[i], reads.run_start[i + 1])
            letters = reads.flow_order.letters
            known = "".join(
                letters[flow] * length
                for flow, length in zip(reads.run_flow[span], reads.run_length[span], strict=True)
                if flow < reads.stop[i]
            )
            assert ("TCAG" + inserts[reads.row[i], reads.col[i]]).startswith(known)
            n_checked += 1
    assert n_checked > 50 and counts.loaded > 0.9 * counts.in_file


@pytest.mark.golden
def test_a_calibration_of_the_originals_reads_makes_a_recall_better(golden, calls_s60_truth, tmp_path):
    """calls-s60 has no planted gain: the model must stay near 1 and do no harm."""
    source = golden / "calls-s60"
    index = ReferenceIndex.of(source / "genome.fasta", tmp_path / "indexes")
    found = learn_calibration([source / "peer/rawlib.basecaller.bam"], ONE_REGION, index=index)
    assert_allclose(found.calibration.linear.gain[..., 1:4], 1.0, atol=0.03)
    assert_allclose(found.calibration.linear.offset, 0.0, atol=0.02)
    assert found.n_useful > 500


def test_reads_of_another_genome_and_missing_inputs_end_in_one_sentence(chip, tmp_path, capsys):
    training = chip[2]
    (tmp_path / "other.fasta").write_text(">x\n" + "".join(np.random.default_rng(5).choice(list("ACGT"), 5000)) + "\n")
    other = ReferenceIndex(tmp_path / "other.fasta")
    with pytest.raises(InputError, match=r"reads can be learned from, \d+ are aligned; give at least 20"):
        learn_calibration([training], ONE_REGION, index=other)
    with pytest.raises(InputError, match="name a reference, or fit blindly"):
        learn_calibration([training], ONE_REGION)
    assert calibration.main(["-o", str(tmp_path)]) == 1
    assert "name BAM files of a training call with -i" in capsys.readouterr().err
    with pytest.raises(UsageError, match="must be two numbers"):
        CalibrationFitOptions(num_calibration_regions=(1, 2, 3))


@pytest.mark.parametrize(
    ("n_flows", "window", "expected"), [(400, 250, [400]), (60, 250, [60]), (1000, 250, [250] * 4)]
)
def test_flow_windows_are_those_of_the_original(n_flows, window, expected):
    grid = Grid((0, 0), (10, 10), (1, 1), n_flows, window)
    assert np.bincount(grid.window_of(np.arange(n_flows))).tolist() == expected


def test_regions_count_from_the_block():
    grid = Grid((100, 200), (50, 61), (2, 2), 60, 250)
    row, col = grid.region_of([100, 124, 125, 149, 0], [200, 230, 231, 260, 999])
    assert row.tolist() == [0, 0, 1, 1, 0] and col.tolist() == [0, 0, 1, 1, 1]
