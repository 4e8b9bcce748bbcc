"""The page of one report: its figures, files, plots, and what plugins made of it."""

from pathlib import Path
from urllib.parse import quote

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from ionanalysis.plugin.web.frames import SANDBOX
from ionanalysis.rundb.models import Results
from ionanalysis.rundb.pages.downloads import is_hidden, link_of
from ionanalysis.rundb.pages.figures import figures_of
from ionanalysis.rundb.pages.inside import ask
from ionanalysis.rundb.pages.installed import plugins
from ionanalysis.rundb.pages.tokens import output_address
from ionanalysis.rundb.protocol import number_of

_MOST_FILES = 400
_FOLDERS = ("", "basecaller_results", "download_links", "plugin_out/downloads", "sigproc_results")
_GROUPS = (
    ("Reads", (".bam", ".bam.bai", ".fastq", ".fastq.gz", ".sff", ".vcf", ".vcf.gz", ".vcf.gz.tbi")),
    ("Figures", (".json", ".csv", ".tsv", ".h5", ".parquet")),
    ("Logs and settings", (".log", ".txt", ".stats", ".key")),
)
_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".webp")


def report_of(pk):
    """The report with that number, with what its page shows."""
    rows = Results.objects.select_related(
        "experiment__plan", "eas", "analysismetrics", "libmetrics", "qualitymetrics", "reportstorage"
    )
    return get_object_or_404(rows.prefetch_related("projects", "tfmetrics_set"), pk=pk)


@login_required
@require_safe
def report_page(request, pk):
    """The page."""
    report = report_of(pk)
    folder = Path(report.folder)
    link = link_of(report)
    is_there = bool(report.folder and link) and folder.is_dir()
    answer = ask(request, "GET", f"results/{report.pk}/pluginresults/")
    outputs = _outputs(report, answer.data) if answer.is_good else []
    content = {
        "report": report,
        "run": report.experiment,
        "others": Results.objects.filter(experiment=report.experiment).exclude(pk=pk) if report.experiment else (),
        "figures": figures_of(report),
        "is_there": is_there,
        "link": link,
        "groups": _groups(folder) if is_there else (),
        "images": _images(folder, link) if is_there else (),
        "page": output_address(pk, "report.html") if is_there and (folder / "report.html").is_file() else "",
        "outputs": outputs,
        "are_outputs_known": answer.is_good,
        "is_running": any(one["can_terminate"] for one in outputs),
        "plugins": plugins().filter(selected=True),
        "sandbox": SANDBOX,
    }
    return render(request, "report.html", content)


def _files(folder):
    """Paths of the files that people want, below the report's folder; links count where they lead to one in it."""
    root = folder.resolve()
    found: list[Path] = []
    for name in _FOLDERS:
        place = folder / name
        if place.is_dir() and place.resolve().is_relative_to(root):
            found.extend(one for one in sorted(place.iterdir()) if one.is_file())
    inside = (one for one in found if one.resolve().is_relative_to(root) and not is_hidden(one.name))
    return [(str(one.relative_to(folder)), one.stat().st_size) for one in inside]


def _groups(folder):
    """Files by what they are for: title, files (path, size), and how many more there are."""
    files = _files(folder)
    groups = []
    for title, endings in _GROUPS:
        chosen = [(path, size) for path, size in files if path.endswith(endings)]
        if chosen:
            groups.append((title, chosen[:_MOST_FILES], max(0, len(chosen) - _MOST_FILES)))
    return groups


def _images(folder, link):
    """Pictures beside the report: name and address."""
    files = (path for path, _ in _files(folder) if path.lower().endswith(_IMAGES))
    return [(path, f"{link}{quote(path)}") for path in files][:_MOST_FILES]


def _outputs(report, listed):
    """Results of plugins, as the API lists them (plugin.md 6.5), with addresses for frames."""
    link = link_of(report)
    newest: dict[str, int] = {}
    for one in listed:
        newest[one["Name"]] = max(newest.get(one["Name"], 0), one["id"] or 0)
    outputs = []
    for one in listed:
        inside = quote(one["URL"].removeprefix(f"{report.reportLink.rstrip('/')}/"))
        blocks = [name for name in one["Files"] if name.endswith("_block.html")] if link else []
        links = [name for name in one["Files"] if name not in blocks] if link else []
        outputs.append(
            {
                **one,
                "show": one["show"] and newest[one["Name"]] == (one["id"] or 0),
                "blocks": [(name, output_address(report.pk, inside + quote(name))) for name in blocks],
                "links": [(name, link + inside + quote(name)) for name in links],
                "place": link and link + inside,
            }
        )
    # Those that say that they belong into the report's body come first, and the newest of a name.
    return sorted(outputs, key=lambda one: (not one["Major"], one["Name"].lower(), -(one["id"] or 0)))


@login_required
@require_POST
def launch(request, pk):
    """Start a plugin without a page of its own on a report."""
    plugin = get_object_or_404(plugins(), pk=number_of(request.POST.get("plugin")))
    answer = ask(request, "POST", f"results/{pk}/plugin/", {"plugin": {"id": plugin.pk}, "pluginconfig": {}})
    _tell(request, answer, f"{plugin.name} is started.")
    return redirect("report", pk)


@login_required
@require_POST
def stop(request, pk, number):
    """Stop a plugin on a report."""
    _tell(request, ask(request, "GET", f"pluginresult/{number}/stop/"), "The plugin is being stopped.")
    return redirect("report", pk)


def _tell(request, answer, sentence):
    if answer.is_good:
        messages.success(request, sentence)
    for field, sentences in answer.messages.items():
        messages.error(request, f"{field}: {' '.join(sentences)}" if field else " ".join(sentences))
