"""Accuracy on the golden data beside the original's: ``make golden``.

Everything is measured from the files themselves: phases are estimated, beads found, reads called and trimmed
with default options. Nothing of a truth goes into the analysis.
"""

import argparse
import csv
import gzip
import json
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

from ionanalysis.basecaller import call_bases, estimate_phase
from ionanalysis.basecaller.stage import BasecallerInputs, run_basecaller
from ionanalysis.io.mask import WellFlag, read_mask
from ionanalysis.metrics.accuracy import calls_from_bam, calls_from_reads, errors_in_first_bases, score_calls
from ionanalysis.run import open_run
from ionanalysis.sigproc import find_beads, fit_signals
from ionanalysis.sigproc.stage import run_beadfind, run_signals
from ionanalysis.wells import open_wells

KEY_FLOWS = [0, 2, 5]
"""Flows in which the library key TCAG takes one base, under TACG."""


def main(argv=None):
    parser = argparse.ArgumentParser(prog="benchmarks.golden", description=__doc__)
    parser.add_argument("--golden", type=Path, default=Path(__file__).parents[2] / "shared" / "golden")
    golden = parser.parse_args(argv).golden
    with tempfile.TemporaryDirectory() as scratch:
        for title, rows in (
            ("raw48: signals in bases, one gain per library well", raw_chip(golden, Path(scratch))),
            ("real-314: beads and signals from eight images", real_images(golden / "real-314")),
            ("calls-s60: trimmed reads against their inserts", synthetic_wells(golden / "calls-s60", Path(scratch))),
            ("real-314: untrimmed reads, % errors, all 1398 reads", real_wells(golden / "real-314")),
        ):
            print(f"\n{title}\n{'':42}{'ours':>10}{'original':>10}")
            for name, ours, original in rows:
                print(f"  {name:40}{ours:>10.4g}{'' if original is None else f'{original:.4g}':>10}")
    return 0


def raw_chip(golden, scratch):
    """Wells found, error and bias of the signals of the synthetic raw chip."""
    with tarfile.open(golden / "raw48.tar.xz") as archive:
        archive.extractall(scratch, filter="data")
    source, out = scratch / "raw48", scratch / "sigproc_results"
    out.mkdir()
    run = open_run(source)
    run_beadfind(run, out)
    run_signals(run, out)
    truth_mask = read_mask(source / "truth" / "analysis.bfmask.bin")
    library = truth_mask.matches(WellFlag.LIB)
    truth = open_wells(source / "truth" / "1.wells")[:, :, :][library].astype(float)
    one = truth[:, [0, 2, 5]].mean(axis=1, keepdims=True)

    def figures(results):
        mask = read_mask(results / "analysis.bfmask.bin")
        found = mask.matches(WellFlag.LIB)[library]
        signals = open_wells(results / "1.wells")[:, :, :][library].astype(float)
        error = _with_gain(signals[found], truth[found]) - truth[found]
        near = [np.abs(truth / one - length)[found] < 0.25 for length in (3, 4)]
        return [
            100 * found.mean(),
            mask.matches(WellFlag.LIB)[truth_mask.matches(WellFlag.EMPTY)].sum(),
            100 * mask.matches(WellFlag.DUD)[truth_mask.matches(WellFlag.DUD)].mean(),
            np.sqrt((error**2).mean()),
            *(error[chosen].mean() for chosen in near),
        ]

    names = ("library wells found, %", "empty wells called library", "duds kept as duds, %", "rms error of found wells")
    names = (*names, "bias of 3-mers", "bias of 4-mers")
    return list(zip(names, figures(out), figures(source / "peer"), strict=True))


def _with_gain(found, truth):
    """`found` times the one factor per well that brings it nearest to `truth`."""
    return found * ((found * truth).sum(axis=1) / (found**2).sum(axis=1))[:, None]


def real_images(folder):
    """Agreement with the mask and the wells that the original made of more images than these."""
    run = open_run(folder)
    beads = find_beads(run)
    signals = fit_signals(run, mask=beads)
    truth = read_mask(folder / "bfmask.bin")
    judged = truth.matches(WellFlag.BEAD | WellFlag.EMPTY)
    same = [truth.matches(flag) == beads.mask.matches(flag) for flag in (WellFlag.BEAD, WellFlag.EMPTY)]
    live = truth.matches(WellFlag.LIVE)
    empty = truth.matches(WellFlag.EMPTY)
    found_live = beads.mask.matches(WellFlag.LIVE)
    both = live & found_live
    shipped = open_wells(folder / "1.wells", mask=truth)[:, :, : run.n_flows][both].astype(float)
    found = signals[:, :, :][both].astype(float)
    return [
        ("beads and empties that agree, %", 100 * np.logical_and(*same)[judged].mean(), None),
        ("live wells found, %", 100 * found_live[live].mean(), None),
        ("empty wells called live", np.count_nonzero(empty & found_live), None),
        *(
            (f"correlation in flow {flow}", np.corrcoef(shipped[:, flow], found[:, flow])[0, 1], None)
            for flow in KEY_FLOWS
        ),
        ("correlation, all flows pooled", np.corrcoef(shipped.ravel(), found.ravel())[0, 1], None),
        ("the same, one gain per well", np.corrcoef(shipped.ravel(), _with_gain(found, shipped).ravel())[0, 1], None),
        ("1-mer sd, wells' own gain", _own_sd(found), _own_sd(shipped)),
    ]


def _own_sd(signals):
    """Scatter of the library key's 1-mers about the mean of their well."""
    ones = signals[:, KEY_FLOWS]
    return (ones / ones.mean(axis=1, keepdims=True)).std()


def synthetic_wells(folder, scratch):
    """Errors and bases of trimmed reads, beside those of the original's BAM."""
    out = scratch / "basecaller_results"
    out.mkdir()
    mask = folder / "analysis.bfmask.bin"
    result = run_basecaller(BasecallerInputs(wells=folder / "1.wells", mask=mask, run_id="GOLD1"), out)
    with gzip.open(folder / "truth.json.gz", "rt") as file:
        wells = {tuple(map(int, name.split(":"))): well for name, well in json.load(file)["wells"].items()}
    inserts = {place: well["insert"] for place, well in wells.items() if well["kind"] == "LIB"}

    def figures(bam):
        calls = list(calls_from_bam(bam))
        accuracy = score_calls(calls, inserts)
        return [
            len(calls),
            sum(len(call.bases) for call in calls),
            accuracy.error_rate,
            100 * accuracy.perfect_share,
        ]

    names = ("reads", "bases", "errors per 100 aligned bases", "perfect reads, %")
    ours, original = (figures(path / "rawlib.basecaller.bam") for path in (out, folder / "peer"))
    phase = [("CF, % (truth 0.6)", 100 * result.phase.cf, 0.597), ("IE, % (truth 0.5)", 100 * result.phase.ie, 0.499)]
    return [*zip(names, ours, original, strict=True), *phase]


def real_wells(folder):
    """Errors of a real chip in the first bases, as the golden data's README scores them."""
    with (folder / "Default.sam.parsed").open() as table:
        rows = csv.DictReader(table, delimiter="\t")
        targets = {tuple(map(int, row["name"].split(":")[1:])): row["tDNA.a"].replace("-", "") for row in rows}
    wells = open_wells(folder / "1.wells", read_mask(folder / "bfmask.bin"))
    phase = estimate_phase(wells)
    calls = list(calls_from_reads(call_bases(wells, phase)))
    errors = [
        (f"first {n_bases} bases", 100 * errors_in_first_bases(calls, targets, n_bases), original)
        for n_bases, original in ((25, 0.39), (50, 0.58), (100, 2.44))
    ]
    return [*errors, ("CF, %", 100 * phase.cf, 1.20), ("IE, %", 100 * phase.ie, 0.88)]


if __name__ == "__main__":
    sys.exit(main())
