"""Settings and fixtures that all tests share."""

import csv
import gzip
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings

# Kernels compile and caches warm inside the first example: no deadlines, and the same examples everywhere.
settings.register_profile("house", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("house")

GOLDEN = Path(__file__).parents[2] / "shared" / "golden"


@pytest.fixture(scope="session")
def golden():
    """Directory of the golden data that lies beside the project."""
    root = Path(os.environ.get("IONANALYSIS_GOLDEN", GOLDEN))
    if not root.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"golden data missing at {root}")
        pytest.skip(f"golden data not at {root}; set IONANALYSIS_GOLDEN")
    return root


@pytest.fixture(scope="session")
def raw48(golden, tmp_path_factory):
    """The golden synthetic raw run, unpacked once per test session (and worker)."""
    import tarfile

    target = tmp_path_factory.mktemp("raw48")
    with tarfile.open(golden / "raw48.tar.xz") as archive:
        archive.extractall(target, filter="data")
    return target / "raw48"


def golden_targets(path):
    """Insert of every library well, and kind of every well, of a `truth.json.gz`, by (row, col)."""
    with gzip.open(path, "rt") as file:
        wells = {tuple(map(int, name.split(":"))): well for name, well in json.load(file)["wells"].items()}
    inserts = {place: well["insert"] for place, well in wells.items() if well["kind"] == "LIB"}
    return inserts, {place: well["kind"].lower() for place, well in wells.items()}


@pytest.fixture(scope="session")
def calls_s60_truth(golden):
    """Inserts and kinds of the wells of `calls-s60`, by (row, col), for `score_calls`."""
    return golden_targets(golden / "calls-s60/truth.json.gz")


@pytest.fixture(scope="session")
def real_314_targets(golden):
    """Sequence after the key of each aligned read of `real-314`, by (row, col), for `errors_in_first_bases`."""
    with (golden / "real-314/Default.sam.parsed").open() as table:
        rows = csv.DictReader(table, delimiter="\t")
        return {tuple(map(int, row["name"].split(":")[1:])): row["tDNA.a"].replace("-", "") for row in rows}


@pytest.fixture(scope="session")
def perfect_reads():
    """A maker of `CalledReads` whose signals are the run lengths of given sequences, in perfect phase."""
    import numpy as np

    from ionanalysis.basecaller.called import CalledReads

    def make(sequences, flow_order, *, qualities=30, row=None, col=None):
        lengths = [len(sequence) for sequence in sequences]
        signal = np.array([flow_order.flowgram(sequence) for sequence in sequences], np.float32)
        signal = signal.reshape(len(sequences), len(flow_order))
        flows = [flow_order.base_flows(sequence) for sequence in sequences]
        return CalledReads(
            row=np.zeros(len(sequences), np.int32) if row is None else np.asarray(row, np.int32),
            col=np.arange(len(sequences), dtype=np.int32) if col is None else np.asarray(col, np.int32),
            base_start=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            bases=np.frombuffer("".join(sequences).encode(), np.uint8),
            qualities=np.broadcast_to(np.asarray(qualities, np.uint8), sum(lengths)).copy(),
            base_flow=np.concatenate([*flows, []]).astype(np.int16),
            signal=signal,
            predicted=signal.copy(),
            inphase=np.ones_like(signal),
            phase=np.tile(np.float32([0.006, 0.004, 0]), (len(sequences), 1)),
            status=np.zeros(len(sequences), np.int8),
        )

    return make


@pytest.fixture
def write_plugin(tmp_path):
    """A maker of plugin folders: ``NAME/NAME.py`` with a source, and other files by name."""
    from textwrap import dedent

    def write(name, source, **files):
        folder = tmp_path / "plugins" / name
        folder.mkdir(parents=True)
        (folder / f"{name}.py").write_text(dedent(source), encoding="utf-8")
        for file, content in files.items():
            (folder / file.replace("__", ".")).write_text(dedent(content), encoding="utf-8")
        return folder

    return write


@pytest.fixture
def run_plugin(tmp_path):
    """Runs ``NAME.py`` as the launcher does, in a result directory with the given inputs; gives that directory, too."""
    import subprocess
    import sys

    from ionanalysis.plugin.interpreter import python_path

    def run(folder, *arguments, tier="compat", startplugin=None, barcodes=None, environment=None):
        results = tmp_path / "plugin_out" / f"{folder.name}_out.1"
        results.mkdir(parents=True, exist_ok=True)
        plugin = {"name": folder.name, "path": str(folder), "pluginconfig": {}}
        start = {"runinfo": {"results_dir": str(results), "plugin": plugin}, "pluginconfig": {}}
        for part, values in (startplugin or {}).items():
            start[part] = {**start.get(part, {}), **values}
        (results / "startplugin.json").write_text(json.dumps(start))
        (results / "barcodes.json").write_text(json.dumps(barcodes or {}))
        done = subprocess.run(
            [sys.executable, "-u", str(folder / f"{folder.name}.py"), *(arguments or ("-vv",))],
            cwd=results,
            env={**os.environ, "PYTHONPATH": python_path(tier), "DIRNAME": str(folder), **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        done.results = results
        return done

    return run


@contextmanager
def cluster(n_workers=2):
    """A real scheduler and its workers on loopback; gives the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    import distributed

    # Workers import what this process imports, wherever that lies.
    places = [str(Path(distributed.__file__).parents[1]), str(Path(__file__).parent), *filter(None, sys.path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(places))}
    start = partial(
        subprocess.Popen, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    command = [sys.executable, "-m"]
    scheduler = start([*command, "distributed.cli.dask_scheduler", "--host", address, "--no-dashboard", "--no-show"])
    worker = [*command, "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"]
    workers = [start(worker) for _ in range(n_workers)]
    try:
        yield address
    finally:
        for process in (*workers, scheduler):
            # Each leads its own group, in which a nanny's worker is.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="session")
def dask_address():
    """Address of a dask cluster; its workers are new where one has died."""
    pytest.importorskip("distributed", reason="the extra [cluster] is not installed")
    with cluster() as address:
        yield address


@pytest.fixture(scope="session")
def run_server(tmp_path_factory):
    """A server over a fresh run database, once per test session (and worker); tests use names of their own."""
    pytest.importorskip("tastypie")
    from rundb_server import serving

    folder = tmp_path_factory.mktemp("rundb")
    with serving(folder, "--results", str(folder / "results")) as server:
        yield server


@pytest.fixture(scope="session")
def run_rows(run_server):
    """The tables of that server's database, in this process."""
    from ionanalysis.options.rundb import DatabaseOptions
    from ionanalysis.rundb.settings import configure

    configure(DatabaseOptions(database=str(run_server.database)))
    from django.db import connection

    from ionanalysis.rundb import models

    yield models
    connection.close()


@pytest.fixture(scope="session")
def ingested(run_server, run_rows, tmp_path_factory):
    """A small barcoded run with test fragments, analysed and taken into that server's database."""
    from rundb_result import analysed

    return analysed(tmp_path_factory.mktemp("ingested"), run_server.database, run_rows)
