"""The environment variables that a plugin is started with (plugin.md 6.2, 6.3)."""

import json
import os
import re
import socket
import sys
from pathlib import Path

from ionanalysis.plugin.interpreter import python_path

_DROPPED = ("{}", "[]", "barcodedSamples", "sampleinfo")
"""A line of flattened JSON that holds one of these anywhere is left out, as in the original."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SECRET = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY", re.I)

_EXPMETA = {
    "TSP_RUN_NAME": "run_name",
    "TSP_RUN_DATE": "run_date",
    "TSP_ANALYSIS_NAME": "results_name",
    "TSP_ANALYSIS_DATE": "analysis_date",
    "TSP_PROJECT": "project",
    "TSP_SAMPLE": "sample",
    "TSP_PGM_NAME": "instrument",
    "TSP_NOTES": "notes",
    "TSP_CHIPTYPE": "chiptype",
}

_OR_PROCESS_PARAMETERS = {
    "TSP_RUNID": ("expmeta", "runid", "runId"),
    "TSP_FLOWORDER": ("expmeta", "flowOrder", "flowOrder"),
    "TSP_NUM_FLOWS": ("expmeta", "run_flows", "numFlows"),
    "TSP_LIBRARY_KEY": ("runinfo", "library_key", "libraryKey"),
    "TSP_TF_KEY": ("runinfo", "testfrag_key", "tfKey"),
}
"""Section and key in `startplugin.json`, and the key in `processParameters.txt` that stands in for it."""


def plugin_environment(startplugin, json_path, *, tier="compat", base=None, job_id=0, reference_library=None):
    """All variables of a plugin process.

    Parameters
    ----------
    startplugin : dict
        Content of `startplugin.json`.
    json_path : path
        Where it lies.
    tier : str
        How its Python is set up (`ionanalysis.plugin.interpreter`).
    base : mapping, optional
        The environment to start from, `os.environ` by default. Variables that look like secrets stay behind.
    job_id : int or str
    reference_library : path, optional
        Folder of reference genomes (``REF/REF.fasta`` below it).

    Returns
    -------
    variables : dict of str
    """
    inherited = os.environ if base is None else base
    variables = without_secrets(inherited)
    variables |= proxy_variables(variables)
    variables |= flattened(startplugin)
    variables |= named_variables(startplugin, reference_library)
    name = startplugin["runinfo"]["plugin_name"]
    if reference_library:
        # `ion.referenceBasePath` of the plugin's process.
        variables["IONANALYSIS_REFERENCES"] = str(reference_library)
    return variables | {
        "json_fname": str(json_path),
        "PYTHONPATH": python_path(tier, variables.get("PYTHONPATH", "")),
        "PATH": _program_path(tier, variables),
        "PYTHONUNBUFFERED": "1",
        # There is no screen where plugins run; matplotlib must not look for one.
        "MPLBACKEND": variables.get("MPLBACKEND", "agg"),
        "JOB_ID": str(job_id),
        "JOB_NAME": f"ion_plugin_{name}",
        "HOSTNAME": socket.gethostname(),
        "NSLOTS": "1",
    }


def _program_path(tier, variables):
    """PATH on which `python` is ours, or, of tier `legacy`, the Python 2.7 that IONANALYSIS_PYTHON2 names."""
    python2 = variables.get("IONANALYSIS_PYTHON2")
    python = python2 if tier == "legacy" and python2 else sys.executable
    return os.pathsep.join([str(Path(python).parent), variables.get("PATH", os.defpath)])


def without_secrets(variables):
    """Those variables whose names do not sound like secrets: a plugin needs none of ours."""
    return {name: value for name, value in variables.items() if not _SECRET.search(name)}


def flattened(startplugin):
    """Every scalar of `startplugin.json` as a variable: ``RUNINFO__PLUGIN__RUNTYPES__1=thumbnail``.

    >>> flattened({"runinfo": {"Basecalling Input": True}, "plan": {"a.b-c": None}, "expmeta": {"chip": '"314R"'}})
    {'RUNINFO__BASECALLING': 'true', 'PLAN__A_B_C': 'null', 'EXPMETA__CHIP': '\\\\314R\\\\'}
    """
    variables = {}
    for path, value in _scalars(startplugin, ()):
        keys = "__".join(path)
        # The text is JSON without its quotes: backslashes before quotes stay.
        text = json.dumps(value).replace('"', "")
        if any(word in f"{keys}={text}" for word in _DROPPED):
            continue
        name = (keys.split() or [""])[0].upper().replace("-", "_").replace(".", "_")
        if _NAME.match(name):
            variables[name] = text
    return variables


def _scalars(value, path):
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _scalars(item, (*path, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _scalars(item, (*path, str(index)))
    else:
        yield path, value


def named_variables(startplugin, reference_library=None):
    """The variables with names of their own (plugin.md 6.2), from `startplugin.json` and the files of the result."""
    run, meta = startplugin["runinfo"], startplugin["expmeta"]
    report, results = run["analysis_dir"], run["results_dir"]
    sigproc = _existing(run["sigproc_dir"], report)
    basecaller = _existing(run["basecaller_dir"], report)
    told = process_parameters(Path(sigproc) / "processParameters.txt")
    url = run["url_root"]
    stem = f"{meta['run_name']}_{meta['results_name']}"
    variables = {
        "DIRNAME": run["plugin_dir"],
        "PLUGIN_PATH": run["plugin_dir"],
        "PLUGINNAME": run["plugin_name"],
        "PROGRAM": run["plugin_name"],
        "RAW_DATA_DIR": run["raw_data_dir"],
        "ANALYSIS_DIR": report,
        "REPORT_ROOT_DIR": report,
        "SIGPROC_DIR": sigproc,
        "BASECALLER_DIR": basecaller,
        "ALIGNMENT_DIR": run["alignment_dir"],
        "RESULTS_DIR": results,
        "URL_ROOT": url,
        "LIBRARY_KEY": run["library_key"],
        "TESTFRAG_KEY": run["testfrag_key"],
        **{name: meta.get(key) for name, key in _EXPMETA.items()},
        **{
            name: startplugin[part].get(key) or told.get(old)
            for name, (part, key, old) in _OR_PROCESS_PARAMETERS.items()
        },
        "TSP_LIBRARY": run["library"],
        "TSP_RUNTYPE": startplugin["runplugin"]["run_type"],
        "TSP_FILEPATH_OUTPUT_STEM": stem,
        "TSP_URLPATH_OUTPUT_STEM": stem,
        **_genome_variables(reference_library, run["tmap_version"], run["library"]),
        "TSP_FILEPATH_UNMAPPED_BAM": f"{basecaller}/rawlib.basecaller.bam",
        "TSP_URLPATH_UNMAPPED_BAM": f"{url}/{stem}.rawlib.basecaller.bam",
        "TSP_FILEPATH_TF_BAM": f"{basecaller}/rawtf.basecaller.bam",
        "TSP_URLPATH_TF_BAM": f"{url}/{stem}.rawtf.basecaller.bam",
        "TSP_FILEPATH_BAM": f"{run['alignment_dir']}/rawlib.bam",
        "TSP_URLPATH_BAM": f"{url}/download_links/{stem}.bam",
        "TSP_FILEPATH_BAI": f"{run['alignment_dir']}/rawlib.bam.bai",
        "TSP_URLPATH_BAI": f"{url}/download_links/{stem}.bam.bai",
        "TSP_FILEPATH_PLUGIN_DIR": results,
        "TSP_URLPATH_PLUGIN_DIR": f"{url}/plugin_out/{Path(results).name}",
        "TSP_FILEPATH_BARCODE_TXT": f"{report}/barcodeList.txt",
        "TSP_URLPATH_BARCODE_TXT": f"{url}/barcodeList.txt",
        "TSP_PLUGIN_SCRATCH": str(Path(run["plugin_dir"]).parent / "scratch"),
    }
    # No value may hold a zero byte; notes and names come from people.
    return {name: "" if value is None else str(value).replace("\0", "") for name, value in variables.items()}


def find_reference(reference_library, version, name):
    """Path of ``NAME.fasta`` at most two levels below the library's folder of an index version; None if not there."""
    if not reference_library or not name or name == "none" or "/" in name:
        return None
    folder = Path(reference_library, version) if version and "/" not in version else Path(reference_library)
    for pattern in ("", "*/", "*/*/"):
        # The name is no pattern: it comes from a file.
        found = sorted(place for place in folder.glob(f"{pattern}*.fasta") if place.name == f"{name}.fasta")
        if found:
            return found[0]
    return None


def _genome_variables(reference_library, version, name):
    path = find_reference(reference_library, version, name)
    root = Path(reference_library, version) if reference_library else None
    return {
        "TSP_FILEPATH_GENOME_FASTA": str(path or ""),
        "TSP_URLPATH_GENOME_FASTA": f"/output/{version}/{path.relative_to(root)}" if path and root else "",
    }


def _existing(path, otherwise):
    return path if Path(path).is_dir() else otherwise


def process_parameters(path):
    """``key = value`` lines of `processParameters.txt`; nothing where there is no such file."""
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines)
    return {key.strip(): value.strip() for key, equals, value in pairs if equals}


def proxy_variables(variables, path=Path("/etc/environment")):
    """Proxy settings of the machine, for plugins that fetch something, unless `variables` has its own."""
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.strip().removeprefix("export ").partition("=") for line in lines)
    told = {key.strip().lower(): value.strip().strip("\"'") for key, equals, value in pairs if equals}
    proxy = variables.get("http_proxy") or told.get("http_proxy")
    if not proxy:
        return {}
    without = variables.get("no_proxy") or told.get("no_proxy") or "localhost,127.0.0.1"
    return {"http_proxy": proxy, "HTTP_PROXY": proxy, "no_proxy": without}
