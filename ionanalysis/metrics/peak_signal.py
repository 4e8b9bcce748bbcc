"""`raw_peak_signal`: height of the average key traces (plugin.md 1.2, step 3)."""

from ionanalysis.errors import InputError

CLASSES = ("Library", "Test Fragment")


def key_trace_peak(path):
    """Highest value of the average traces of the 1-mer key flows, in counts; 0 without such a trace.

    Parameters
    ----------
    path : Path
        `avgNukeTrace_<KEY>.txt`: a label and one value per frame on each line; lines of 1-mer key flows are
        labelled with their nucleotide (sigproc.md 3.5).

    Raises
    ------
    InputError
        If a value is not a number.
    """
    peak = 0.0
    for number, line in enumerate(path.read_text("ascii").splitlines(), 1):
        label, *values = line.split() or [""]
        if label in "ACGT" and label:
            try:
                peak = max(peak, *map(float, values)) if values else peak
            except ValueError:
                raise InputError(
                    f"{path}, line {number}: expected numbers behind {label}; run sigproc again."
                ) from None
    return peak


def raw_peak_signal(sigproc_dir, library_key, tf_key):
    """Text of `raw_peak_signal`. A class without traces has 0."""
    lines = ["[global]"]
    for name, key in zip(CLASSES, (library_key, tf_key), strict=True):
        path = sigproc_dir / f"avgNukeTrace_{key}.txt"
        lines.append(f"{name} = {round(key_trace_peak(path)) if path.exists() else 0}")
    return "\n".join(lines) + "\n"
