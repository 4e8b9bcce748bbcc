"""`pybam`, a compiled module that some plugins carry for Python 2, as far as they call it."""


def loadquals(bam, qualities, array, fill=0):
    """Fill an array, in place, with the lengths up to which the reads of a BAM file keep a quality.

    Parameters
    ----------
    bam : path
        Reads named ``RUNID:row:col``.
    qualities : sequence of n numbers
        Phred-scaled.
    array : ndarray of shape (rows, cols, n)
        In place: bases of the longest prefix whose mean error probability is at most ``10 ** (-quality / 10)``.
    fill : number
        Value of wells without a read.

    Notes
    -----
    What the original counts is not documented; this is the length that the statistics of base calling use
    (``error_length`` of `ionanalysis.metrics.ionstats_basecaller`). Reads outside of the array are left out.
    """
    from ionanalysis.bam.source import open_alignments, qualities_of, reads_of
    from ionanalysis.metrics.ionstats_basecaller import error_length

    array[...] = fill
    with open_alignments(bam) as alignments:
        for read in reads_of(alignments):
            well = _well_of(read.query_name)
            stored = qualities_of(read)
            if stored is None or well is None or well[0] >= array.shape[0] or well[1] >= array.shape[1]:
                continue
            array[well] = [error_length(stored, 10 ** (-quality / 10)) for quality in qualities]


def _well_of(name):
    try:
        row, col = (int(part) for part in name.split(":")[-2:])
    except ValueError:
        return None
    return row, col
