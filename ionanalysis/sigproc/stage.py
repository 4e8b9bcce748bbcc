"""The stages ``beadfind`` and ``sigproc``: from a run directory to the files of ``sigproc_results``."""

from pathlib import Path

import numpy as np

from ionanalysis import __version__
from ionanalysis.blocks import Block
from ionanalysis.io.atomic import write_whole
from ionanalysis.io.fit_parameters import FIT_FILE
from ionanalysis.io.jsonfile import write_json
from ionanalysis.io.mask import WellFlag, write_mask
from ionanalysis.io.mask_stats import mask_stats, write_mask_stats
from ionanalysis.options.sigproc import BeadfindOptions, SignalOptions
from ionanalysis.sigproc.beadfind import find_beads
from ionanalysis.sigproc.beadmap import BeadMap
from ionanalysis.sigproc.fit import SignalFitter
from ionanalysis.sigproc.fit_values import fit_parameters
from ionanalysis.wells import WellsWriter

BEADFIND_FILE = "beadfind.h5"
METRICS_FILE = "sigproc.json"

WELLS_INFO = (
    "Project", "Sample", "Start Time", "Experiment Name", "User Name", "Serial Number", "Oversample", "Frame Time",
    "Num Frames", "Cycles", "Flows", "LibraryKeySequence", "ChipTemperature", "PGMTemperature", "PGMPressure", "W2pH",
    "W1pH", "Cal Chip High/Low/InRange",
)  # fmt: skip
"""Items of the log that ``1.wells`` repeats (sigproc.md 1.2)."""


def run_beadfind(run, out_dir, options=None, n_threads=None, progress=None):
    """Find the beads of a run; write ``bfmask.bin``, ``bfmask.stats``, ``beadfind.h5``, ``avgNukeTrace_<KEY>.txt``.

    Parameters
    ----------
    run : Run
    out_dir : path
        Made if it does not exist.
    options : BeadfindOptions, optional
    n_threads : int, optional
    progress : callable, optional
        Called with (done, total) regions.

    Returns
    -------
    BeadMap

    Raises
    ------
    InputError, NoLiveBeadsError
        As `find_beads`.
    """
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    options = options or BeadfindOptions()
    beads = find_beads(run, options=options, n_threads=n_threads, progress=progress)
    beads.save(out_dir / BEADFIND_FILE)
    write_mask_files(run, out_dir, "bfmask", beads.mask)
    for index, key in enumerate(beads.keys):
        write_key_traces(out_dir / f"avgNukeTrace_{key}.txt", run, beads, index)
    write_parameters(run, out_dir, beads)
    return beads


def run_signals(run, out_dir, options=None, n_threads=None, progress=None, beads=None):
    """Fit the signals of a run and write ``1.wells``, ``analysis.bfmask.*``, ``pinsPerFlow.txt``, ``sigproc.json``.

    Also ``dcOffset/dcOffset.txt``. With the option `fit_parameters`, ``fit_parameters.h5``, too.

    Parameters
    ----------
    run : Run
    out_dir : path
        Holds the result of `run_beadfind`, which is run first where it does not.
    options : SignalOptions, optional
    n_threads : int, optional
    progress : callable, optional
        Called with (done, total) flows.
    beads : BeadMap, optional
        Result of bead finding, where the caller still has it.

    Returns
    -------
    metrics : dict
        What ``sigproc.json`` holds.
    """
    out_dir = Path(out_dir)
    options = options or SignalOptions()
    if beads is None:
        kept = out_dir / BEADFIND_FILE
        beads = BeadMap.load(kept) if kept.exists() else run_beadfind(run, out_dir, n_threads=n_threads)
    info = wells_info(run)
    block = Block(0, 0, run.n_rows, run.n_cols)
    with (
        SignalFitter(run, beads, options, n_threads) as fitter,
        WellsWriter(
            out_dir / "1.wells", (run.n_rows, run.n_cols), run.flow_order, info, has_copies=options.copies_apart
        ) as writer,
    ):
        fitter.learn()
        copies = fitter.copies()
        _write_flows(fitter, writer, block, copies, options, progress)
        write_mask_files(run, out_dir, "analysis.bfmask", fitter.mask())
        write_pins(out_dir / "pinsPerFlow.txt", fitter.newly_pinned(), fitter.first_pinned.size)
        write_dc_levels(out_dir / "dcOffset" / "dcOffset.txt", run.flow_order, fitter.dc_levels)
        metrics = signal_metrics(run, fitter)
        # What is left from a former fit must not pass for this one's.
        (out_dir / FIT_FILE).unlink(missing_ok=True)
        if options.fit_parameters:
            fit_parameters(fitter).write(out_dir / FIT_FILE)
    write_parameters(run, out_dir, beads)
    write_json(out_dir / METRICS_FILE, metrics)
    return metrics


def _write_flows(fitter, writer, block, copies, options, progress):
    """Write signals a few flows at a time: as many as a chunk of the file holds."""
    n_flows = fitter.run.n_flows
    chunk = min(60, n_flows)
    values = np.empty((block.n_rows, block.n_cols, chunk), np.float32)
    for flow, signal in fitter.flows():
        place = flow % chunk
        values[:, :, place] = signal if options.copies_apart else signal * np.maximum(copies, 0)
        if place == chunk - 1 or flow == n_flows - 1:
            part = values[:, :, : place + 1]
            writer.write(block, part, copies if options.copies_apart else None, slice(flow - place, flow + 1))
        if progress:
            progress(flow + 1, n_flows)


def signal_metrics(run, fitter):
    """What the report shows of signal processing, as plain values; one entry per region where so named."""
    beads, mask = fitter.beads, fitter.mask()
    regions = []
    for index, tile in enumerate(beads.tiles):
        region, model = fitter.regions[index], fitter.models[index]
        live = (region.flags & WellFlag.LIVE) > 0
        regions.append(
            {
                "name": tile.name,
                "t0_s": beads.t0_s[index],
                "tau_empty_s": beads.tau_empty_s[index],
                "tau_bead_s": np.exp(np.median(region.fit.log_tau[live])) if live.any() else None,
                "noise_counts": beads.noise[index],
                "library": int(np.count_nonzero(region.flags & WellFlag.LIB)),
                "empty": int(np.count_nonzero(region.flags & WellFlag.EMPTY)),
                "key_snr": np.median(region.key_snr.max(axis=0)[live]) if live.any() else None,
                "homopolymer_curvature": model.scale.curvature if model else None,
            }
        )
    library = mask.matches(WellFlag.LIB)
    return {
        "chip": run.chip,
        "rows": run.n_rows,
        "cols": run.n_cols,
        "flows": run.n_flows,
        "flow_order": run.flow_order.cycle,
        "keys": list(beads.keys),
        "wells": counted_wells(mask),
        "library_key_snr": np.median(beads.key_snr[0][library]) if library.any() else None,
        "key_signal_counts": np.median(beads.key_signal[0][library]) if library.any() else None,
        "pinned_per_flow": fitter.newly_pinned(),
        "zero_mer_residual": fitter.dud_spread,
        "regions": regions,
    }


def counted_wells(mask):
    """Wells of each kind, by the name of its flag."""
    return {str(flag.name).lower(): mask.count(flag) for flag in WellFlag if flag & _COUNTED}


def wells_info(run):
    """What ``1.wells`` says of its run."""
    return {"ChipType": run.chip} | {key: run.explog.get(key) for key in WELLS_INFO if run.explog and key in run.explog}


_COUNTED = (
    WellFlag.EMPTY | WellFlag.BEAD | WellFlag.LIVE | WellFlag.DUD | WellFlag.REFERENCE | WellFlag.TF | WellFlag.LIB
) | (WellFlag.PINNED | WellFlag.IGNORE | WellFlag.EXCLUDE)


def write_mask_files(run, out_dir, name, mask):
    """A mask and its counts."""
    row, col = run.offset
    write_mask(out_dir / f"{name}.bin", mask)
    write_mask_stats(out_dir / f"{name}.stats", mask_stats(mask, start_row=row, start_col=col))


def write_key_traces(path, run, beads, index):
    """One line per key flow, then one per flow with a base under its letter (sigproc.md 3.5)."""
    expected = run.flow_order.key_flowgram(beads.keys[index])[:-1]
    traces = beads.mean_key_trace(index)
    lines = [f"{flow} " + " ".join(f"{value:.6g}" for value in traces[flow]) for flow in range(len(expected))]
    for flow in np.flatnonzero(expected):
        lines.append(f"{run.flow_order.letters[flow]} " + " ".join(f"{value:.6g}" for value in traces[flow]))
    write_whole(path, "\n".join(lines) + "\n")


def write_pins(path, newly_pinned, n_wells):
    """``pinsPerFlow.txt``: wells that pinned first in each flow."""
    lines = [f"{flow}\t{count}\t{n_wells}" for flow, count in enumerate(newly_pinned)]
    write_whole(path, "\n".join(lines) + "\n")


def write_dc_levels(path, flow_order, percentiles):
    """``dcOffset.txt``: flow, nucleotide; least, greatest and percentiles 1 to 99 of the wells' first frames.

    Source: sigproc.md 6.3.
    """
    path.parent.mkdir(exist_ok=True)
    lines = []
    for flow, (least, *middle, greatest) in enumerate(percentiles):
        values = "\t".join(f"{value:g}" for value in (least, greatest, *middle))
        lines.append(f"{flow}\t{flow_order.letters[flow]}\t{values}\n")
    write_whole(path, "".join(lines))


def write_parameters(run, out_dir, beads):
    """``processParameters.txt``: what merging and reports read (sigproc.md 6.3); no times, so that reruns agree."""
    tile = beads.tiles[0]
    n_frames = beads.frame_weight.shape[1]
    row, col = run.offset
    expected = [len(run.flow_order.key_flowgram(key)) for key in beads.keys]
    entries = {
        "dataDirectory": run.path.name,
        "Smoothing File": "",
        "runId": run.run_id,
        "flowOrder": run.flow_order.cycle,
        "washFlow": int(run.names.wash_every > 0),
        "libraryKey": run.library_key,
        "tfKey": run.tf_key,
        "minNumKeyFlows": min(expected) - 1,
        "maxNumKeyFlows": max(expected),
        "nokey": "false",
        "numFlows": run.n_flows,
        "cyclesProcessed": run.n_flows // 4,
        "framesProcessed": n_frames,
        "framesInData": n_frames,
        "bkgModelUsed": "yes",
        "nucTraceCorrectionUsed": "false",
        "nearest-neighborParameters": "none",
        "Advanced beadfind": "enabled",
        "use pinned wells": "false",
        "use exclusion mask": "false",
        "Version": __version__,
        "Build": 0,
        "GitHash": "none",
        "Chip": f"{_chip_size(run, 'cols')},{_chip_size(run, 'rows')}",
        "Block": f"{col},{row},{run.n_cols},{run.n_rows}",
        "Analysis Region": "0,0,0,0",
        "numRegions": len(beads.tiles),
        "regionRows": len({tile.row for tile in beads.tiles}),
        "regionCols": len({tile.col for tile in beads.tiles}),
        "regionSize": f"{tile.n_cols}x{tile.n_rows}",
    }
    lines = ["[global]", *(f"{key} = {value}" for key, value in entries.items())]
    write_whole(out_dir / "processParameters.txt", "\n".join(lines) + "\n")


def _chip_size(run, axis):
    logged = getattr(run.explog, f"n_{axis}", None) if run.explog else None
    return logged or getattr(run, f"n_{axis}")
