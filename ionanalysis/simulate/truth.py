"""The truth of a chip: what lies in each well and the signal it would give without noise."""

import numpy as np

from ionanalysis.executors import open_executor
from ionanalysis.io.truth import Truth
from ionanalysis.simulate.kinds import draw_half_loaded, draw_kinds, draw_loss
from ionanalysis.simulate.molecules import MoleculeMaker
from ionanalysis.simulate.phasing import draw_phase, phased_signals
from ionanalysis.simulate.pixels import draw_pixels
from ionanalysis.simulate.seeds import Purpose, stream

_DETAILS = (
    "minor_sequence",
    "minor_share",
    "barcode",
    "barcode_error",
    "tf",
    "insert_at",
    "insert_start",
    "insert_length",
    "insert_reverse",
    "insert_sequence",
)


def make_truth(options, flow_order, library, n_threads=None):
    """Draw the truth of a chip.

    Parameters
    ----------
    options : SimulateOptions
    flow_order : FlowOrder
    library : LibraryParts
        Genome, barcodes and test fragments.
    n_threads : int, optional
        Threads; the result does not depend on them.

    Returns
    -------
    Truth
    """
    seed, shape = options.chip.seed, options.chip.size
    kind = draw_kinds(options.kinds, shape, seed)
    maker = MoleculeMaker(
        options.library, options.chip.library_key, library.genome, library.barcodes, library.test_fragments, seed
    )
    molecules = maker.make(kind, options.kinds.polyclonal_minor)
    phase = draw_phase(options.phase, shape, seed)
    lost = draw_loss(options.kinds, kind, len(flow_order), seed)
    with open_executor(n_threads=n_threads) as executor:
        ideal = _well_signals(molecules, flow_order, np.zeros((kind.size, 3)), executor)
        phased = _well_signals(molecules, flow_order, phase.reshape(-1, 3), executor)
    phased[np.arange(len(flow_order)) >= lost.reshape(-1, 1)] = 0
    details = {name: getattr(molecules, name) for name in _DETAILS}
    details["minor_sequence"] = molecules.minor_sequence.astype(
        f"S{max(1, max(map(len, molecules.minor_sequence.ravel())))}"
    )
    return Truth(
        kind=kind,
        sequence=molecules.sequence,
        **{name: phase[..., i].astype(np.float32) for i, name in enumerate(("cf", "ie", "dr"))},
        signal=ideal.reshape(*shape, -1),
        phased_signal=phased.reshape(*shape, -1),
        details=details
        | {"copies": draw_copies(options, kind), "lost_before_flow": lost}
        | _pixel_details(options, kind),
    )


def _pixel_details(options, kind):
    """Constants of the pixels, where there will be images."""
    if options.chip.level != "dat":
        return {}
    pixels = draw_pixels(options, kind, options.chip.flows)
    return {f"pixel_{name}": getattr(pixels, name) for name in ("ratio", "gain", "delay", "pinned_from")}


def draw_copies(options, kind):
    """Templates on each bead, in the arbitrary unit of the analysis, float32; 0 without template."""
    random = stream(options.chip.seed, Purpose.COPIES)
    copies = np.clip(random.normal(options.kinds.copies, options.kinds.copies_sd, kind.shape), 0.3, 10)
    copies = np.where(draw_half_loaded(options.kinds, kind, options.chip.seed), copies / 2, copies)
    return np.where(np.isin(kind, ("library", "polyclonal", "tf")), copies, 0).astype(np.float32)


def _well_signals(molecules, flow_order, phase, executor):
    """Mean signal over the strands of each well, (n_wells, n_flows)."""
    signal = phased_signals(molecules.sequence.ravel(), flow_order, phase, executor)
    mixed = np.flatnonzero(molecules.minor_share.ravel())
    if len(mixed):
        share = molecules.minor_share.ravel()[mixed, None]
        minor = phased_signals(molecules.minor_sequence.ravel()[mixed], flow_order, phase[mixed], executor)
        signal[mixed] += share * (minor - signal[mixed])
    return signal


def fasta_records(truth, genome_names):
    """Title and sequence of every library and test-fragment well, named ``row:col`` as reads are."""
    detail = truth.details
    for row, col in np.argwhere(np.isin(truth.kind, ("library", "tf"))):
        at = row, col
        title = f"{row:05d}:{col:05d} kind={truth.kind[at]}"
        if truth.kind[at] == "library":
            start, length = detail["insert_start"][at], detail["insert_length"][at]
            first = detail["insert_at"][at]
            strand = "-" if detail["insert_reverse"][at] else "+"
            title += (
                f" barcode={detail['barcode'][at]} insert={first}-{first + length}"
                f" origin={genome_names[detail['insert_sequence'][at]]}:{start}-{start + length}:{strand}"
            )
        yield title, truth.sequence[at]
