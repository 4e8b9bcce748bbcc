"""The figures of a report as tables: what is in the columns of its metrics, in words."""

from ionanalysis.rundb.pages.filters import count, fixed

_PARTS = (
    (
        "Wells",
        "analysismetrics",
        (
            ("Wells", "total", count),
            ("Addressable", "adjusted_addressable", count),
            ("With a bead", "bead", count),
            ("Loading, %", "loading", fixed),
            ("Live", "live", count),
            ("Library", "lib", count),
            ("Library reads that passed", "libFinal", count),
            ("Test fragments", "tf", count),
            ("Test fragment reads that passed", "tfFinal", count),
            ("Empty", "empty", count),
            ("Dud", "dud", count),
            ("Ambiguous", "amb", count),
            ("Ignored", "ignored", count),
            ("Pinned", "pinned", count),
            ("Excluded", "excluded", count),
        ),
    ),
    (
        "Reads",
        "qualitymetrics",
        (
            ("Reads", "q0_reads", count),
            ("Bases", "q0_bases", count),
            ("Bases of Q17 and better", "q17_bases", count),
            ("Bases of Q20 and better", "q20_bases", count),
            ("Mean length, bases", "q0_mean_read_length", fixed),
            ("Median length, bases", "q0_median_read_length", count),
            ("Most frequent length, bases", "q0_mode_read_length", count),
            ("Longest read, bases", "q0_max_read_length", count),
            ("Reads of 50 bases and more", "q0_50bp_reads", count),
            ("Reads of 100 bases and more", "q0_100bp_reads", count),
            ("Reads of 150 bases and more", "q0_150bp_reads", count),
        ),
    ),
    (
        "Signal and phase",
        "libmetrics",
        (
            ("Key signal", "aveKeyCounts", fixed),
            ("Signal to noise", "sysSNR", fixed),
            ("Carry-forward, %", "cf", lambda value: fixed(value, 2)),
            ("Incomplete extension, %", "ie", lambda value: fixed(value, 2)),
            ("Droop, %", "dr", lambda value: fixed(value, 3)),
        ),
    ),
)
_ALIGNED = (
    ("Reference", "genome", str),
    ("Aligned reads", "total_mapped_reads", count),
    ("Aligned bases", "total_mapped_target_bases", count),
    ("Raw accuracy, %", "raw_accuracy", lambda value: fixed(value, 2)),
)
_LEVELS = (7, 10, 17, 20, 47)


def figures_of(report):
    """Tables of a report's figures.

    Parameters
    ----------
    report : ionanalysis.rundb.models.Results

    Returns
    -------
    dict
        `parts`: lists of (title, rows of (label, text)); `levels`: rows of alignments by quality, empty without a
        reference; `fragments`: the test fragments.
    """
    parts = [(title, _rows(getattr(report, name), fields)) for title, name, fields in _PARTS if getattr(report, name)]
    library = report.libmetrics
    levels = []
    if library is not None and int(library.total_mapped_reads or 0) > 0:
        parts.append(("Alignment", _rows(library, _ALIGNED)))
        levels = [_level(library, quality) for quality in _LEVELS]
    return {"parts": parts, "levels": levels, "fragments": list(report.tfmetrics_set.all())}


def _rows(row, fields):
    return [(label, words(getattr(row, name))) for label, name, words in fields]


def _level(library, quality):
    def of(name):
        return getattr(library, f"q{quality}_{name}")

    return {
        "quality": f"AQ{quality}",
        "reads": count(of("alignments")),
        "bases": count(of("mapped_bases")),
        "mean": count(of("mean_alignment_length")),
        "longest": count(of("longest_alignment")),
    }
