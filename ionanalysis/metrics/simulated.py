"""Accuracy of reads of simulated chips, whose `truth.h5` tells what each well holds."""

from dataclasses import replace
from itertools import chain

import numpy as np

from ionanalysis.errors import InputError
from ionanalysis.metrics.accuracy import calls_from_bam, score_calls

WRONG_BARCODE = "library, other barcode"
"""Kind under which `wrong_wells` counts reads that were given another barcode than their template has."""

_MOST_ERRORS = 2


def score_bams(paths, truth):
    """Score the library reads of BAM files against the inserts of a simulated chip.

    A read is scored from the first base behind what was cut off it (key, barcode, tag) to the end of the
    insert. Reads that were given a barcode which their template does not start with count as reads of wrong
    wells, their own wells as lost; so do reads of wells that hold no library bead, or a polyclonal one.

    Parameters
    ----------
    paths : iterable of path
        Unaligned BAM files of library reads.
    truth : Truth
        From `ionanalysis.io.truth.read_truth`.

    Returns
    -------
    Accuracy

    Raises
    ------
    InputError
        If a file is no BAM, two reads come from one well, or the truth does not tell where inserts lie.
    """
    kinds = {(int(row), int(col)): str(truth.kind[row, col]) for row, col in np.ndindex(*truth.kind.shape)}
    wells = [well for well, kind in kinds.items() if kind == "library"]
    begins, ends = _insert_ends(truth)
    targets = {well: truth.sequence[well][begins[well] : ends[well]] for well in wells}
    calls = []
    for call in chain.from_iterable(map(calls_from_bam, paths)):
        well = call.row, call.col
        start = _start(call.key_sequence, truth.sequence[well], begins[well]) if well in targets else 0
        if start is None:
            kinds[well] = WRONG_BARCODE
            del targets[well]
        elif well in targets:
            targets[well] = truth.sequence[well][start : ends[well]]
        calls.append(call)
    return replace(score_calls(calls, targets, kinds), n_true_reads=len(wells))


def _insert_ends(truth):
    """First and last + 1 base of the insert in each template."""
    if not {"insert_at", "insert_length"} <= truth.details.keys():
        raise InputError("the truth does not tell where inserts begin and end; simulate the chip again.")
    begins = np.asarray(truth.details["insert_at"], np.int64)
    return begins, begins + np.asarray(truth.details["insert_length"], np.int64)


def _start(cut, template, insert_at):
    """Where in its template a read begins from which `cut` was cut off; None if `cut` is not its barcode."""
    if template.startswith(cut):
        return len(cut)
    import edlib

    distance = edlib.align(cut, template[:insert_at], task="distance", k=_MOST_ERRORS)["editDistance"]
    return None if distance < 0 else insert_at
