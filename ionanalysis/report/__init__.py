"""One self-contained HTML page on a result: what the chip held, what the signals were like, how good the reads are."""

from pathlib import Path

from markupsafe import Markup

from ionanalysis.errors import InputError
from ionanalysis.io.atomic import write_whole
from ionanalysis.metrics.accuracy import Accuracy
from ionanalysis.report.alignment_section import alignment_section, gather_aligned
from ionanalysis.report.page import render
from ionanalysis.report.plugins import plugin_parts
from ionanalysis.report.reads import gather_reads
from ionanalysis.report.result import Result, at
from ionanalysis.report.run_sections import headline, settings_section, timing_section
from ionanalysis.report.sections import (
    accuracy_section,
    barcode_section,
    chip_section,
    funnel_section,
    key_section,
    length_section,
    noise_section,
    phase_section,
    quality_section,
    signal_section,
)

__all__ = ["write_report"]


def write_report(result_dir, *, truth=None, path=None):
    """Write ``report.html`` on a result directory; parts that are missing are named in the page.

    Parameters
    ----------
    result_dir : str or Path
        Result directory (interface.md), whole or of some stages only.
    truth : Accuracy or path, optional
        How the reads compare with the truth (`ionanalysis.metrics.accuracy`), or ``truth.h5`` of a simulated chip,
        or the directory it lies in, to score them against.
    path : str or Path, optional
        Where to write; ``report.html`` in `result_dir` by default.

    Returns
    -------
    Path
        The page. It needs no other file and no network, and runs no script.

    Raises
    ------
    InputError
        If `result_dir` is no directory, or `truth` names no truth file.
    OutputError
        If the page cannot be written.
    """
    result_dir = Path(result_dir)
    if not result_dir.is_dir():
        raise InputError(f"{result_dir}: is no directory; expected the result of a run.")
    path = Path(path) if path else result_dir / "report.html"
    result = Result(result_dir)
    accuracy = truth if truth is None or isinstance(truth, Accuracy) else _scored(result, truth)
    write_whole(path, _page(result, accuracy))
    return path


def _scored(result, truth):
    from ionanalysis.io.truth import read_truth
    from ionanalysis.metrics.simulated import score_bams

    return score_bams(result.library_bams, read_truth(truth))


def _page(result, accuracy):
    try:
        reads = gather_reads(result.library_bams) if result.library_bams else None
    except InputError as error:
        result.problems.append(str(error))
        reads = None
    sections = [
        chip_section(result),
        key_section(result),
        noise_section(result),
        phase_section(result),
        signal_section(reads),
        length_section(reads),
        quality_section(reads),
        funnel_section(result),
        barcode_section(result),
        alignment_section(result, gather_aligned(result)),
        accuracy_section(accuracy),
        timing_section(result),
        settings_section(result),
    ]
    return render(
        title=_told(result, "expName") or f"Run {_first(result, 'run_id') or result.path.resolve().name}",
        subtitle=_subtitle(result),
        headline=headline(result, reads, accuracy),
        problems=result.problems,
        sections=[section for section in sections if section is not None],
        # HTML that is escaped already.
        parts={name: Markup(text) for name, text in plugin_parts(result.path).items()},
    )


def _subtitle(result):
    facts = [
        ("result {}", _told(result, "resultsName")),
        ("run id {}", _first(result, "run_id")),
        ("sequenced {}", str(at(result.params, "exp_json", "date", default=""))[:10]),
        ("sample {}", _told(result, "sample")),
        ("chip {}", _first(result, "chip_type")),
        ("{} flows", _first(result, "num_flows")),
        ("base caller {}", _first(result, "version")),
    ]
    return ", ".join(words.format(value) for words, value in facts if value)


def _told(result, name):
    found = result.params.get(name)
    return found[:80] if isinstance(found, str) else ""


def _first(result, name):
    found = at(result.basecaller, "BaseCaller", name)
    return str(found)[:80] if found else ""
