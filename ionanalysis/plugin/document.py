"""The report that the framework makes from a plugin's ``output.json`` (plugin.md 6.8).

As a program: ``python -m ionanalysis.plugin.document -d RESULTS -s startplugin.json -f output.json``.
"""

import argparse
import csv
import sys
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from ionanalysis.errors import InputError, IonAnalysisError
from ionanalysis.io.atomic import write_whole
from ionanalysis.io.jsonfile import read_json, write_json

_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".svg")
_MAX_ROWS = 10_000
_MAX_MESSAGES = 200


def write_document(results_dir, startplugin, output):
    """Write ``document.json`` and ``ion_NAME_report.html`` into a plugin's result directory.

    Parameters
    ----------
    results_dir : path
    startplugin : dict
        Content of ``startplugin.json``.
    output : dict
        Content of ``output.json``: `meta_data` (plugin_name, plugin_about, log_file, template_file) and `sections` of
        type ``html`` (title, content), ``image`` (title, content) or ``table`` (title, filename, columns).

    Returns
    -------
    path : Path
        The page.

    Raises
    ------
    InputError
        If a section is not of these types, or a table's file is missing or outside of the directory.
    """
    results_dir = Path(results_dir).resolve()
    if not isinstance(output, dict) or not isinstance(output.get("sections", []), list):
        raise InputError(f"{results_dir}/output.json: must hold an object with a list `sections`.")
    meta = output.get("meta_data") or {}
    name = str(meta.get("plugin_name") or startplugin.get("runinfo", {}).get("plugin_name") or "plugin")
    document = {
        "meta_data": {"plugin_about": "", **meta, "plugin_name": name},
        "sections": [_section(results_dir, section) for section in output.get("sections", [])],
        "messages": _messages(results_dir, meta.get("log_file") or "drmaa_stdout.txt"),
    }
    write_json(results_dir / "document.json", document)
    path = results_dir / f"ion_{_file_part(name)}_report.html"
    write_whole(path, _template(results_dir, meta.get("template_file")).render(**document, startplugin=startplugin))
    return path


def _section(results_dir, section):
    kind = section.get("type") if isinstance(section, dict) else None
    if kind not in ("html", "image", "table"):
        raise InputError(f"{results_dir}/output.json: a section has type {kind!r}; expected html, image or table.")
    made = {"type": kind, "title": str(section.get("title", ""))}
    if kind == "html":
        return {**made, "content": str(section.get("content", ""))}
    if kind == "image":
        return {**made, "images": _images(results_dir, section.get("content"))}
    header, rows = _table(results_dir, str(section.get("filename", "")), section.get("columns"))
    return {**made, "header": header, "rows": rows}


def _images(results_dir, content):
    """Images by source, caption and description; those of the directory where none are named."""
    content = content or sorted(path.name for path in results_dir.iterdir() if path.suffix.lower() in _IMAGES)
    named = ({"source": image} if isinstance(image, str) else dict(image) for image in content)
    return [{"caption": "", "description": "", **image} for image in named]


def _table(results_dir, filename, columns):
    path = (results_dir / filename).resolve()
    if not path.is_relative_to(results_dir) or not path.is_file():
        raise InputError(f"{results_dir / filename}: is no file of the plugin's results; correct output.json.")
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        lines = [row for row, _ in zip(csv.reader(file), range(_MAX_ROWS + 1), strict=False)]
    header, rows = (lines[0], lines[1:]) if lines else ([], [])
    if columns:
        missing = [column for column in columns if column not in header]
        if missing:
            raise InputError(f"{path}: has no column {missing[0]!r}; it has {', '.join(header)}.")
        places = [header.index(column) for column in columns]
        header = list(columns)
        rows = [[row[place] if place < len(row) else "" for place in places] for row in rows]
    return header, rows


def _messages(results_dir, log_file):
    """Lines of the log that speak of errors and warnings."""
    path = (results_dir / str(log_file)).resolve()
    if not path.is_relative_to(results_dir) or not path.is_file():
        return []
    found: list[str] = []
    with path.open(encoding="utf-8", errors="replace") as log:
        for line in log:
            if ("ERROR" in line or "WARNING" in line) and len(found) < _MAX_MESSAGES:
                found.append(line.strip()[:500])
    return found


def _template(results_dir, template_file):
    """The plugin's own template, in its directory, or ours."""
    if template_file:
        path = (results_dir / str(template_file)).resolve()
        if not path.is_file():
            raise InputError(f"{path}: the template of output.json is not there.")
    else:
        path = Path(__file__).with_name("document.html.jinja")
    # A plugin's template is its code, and this may be our process.
    environment = SandboxedEnvironment(loader=FileSystemLoader(path.parent), autoescape=True, undefined=StrictUndefined)
    return environment.get_template(path.name)


def _file_part(name):
    return "".join(letter if letter.isalnum() or letter in "_-" else "_" for letter in name)


def main(arguments=None):
    """The program; returns an exit code."""
    parser = argparse.ArgumentParser(description="Make a report from a plugin's output.json.")
    parser.add_argument("-d", dest="results", type=Path, default=Path(), metavar="RESULTS")
    parser.add_argument("-s", dest="startplugin", type=Path, default=Path("startplugin.json"))
    parser.add_argument("-f", dest="output", type=Path, default=Path("output.json"))
    args = parser.parse_args(arguments)
    try:
        write_document(args.results, read_json(args.startplugin), read_json(args.output))
    except IonAnalysisError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
