"""What the figures were measured on, and where they go."""

import os
import platform
import shutil
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

from ionanalysis import _core
from ionanalysis.io.jsonfile import write_json


def add_output_dir(parser):
    """Give a benchmark's command line the option `output_dir` of `save_figures`."""
    parser.add_argument("-o", "--output-dir", type=Path, default=Path("bench-results"), help="[bench-results]")


def save_figures(output_dir, name, started, figures):
    """Write ``name<date>.json`` with the figures of a benchmark and facts of the machine, and print its path."""
    path = output_dir / f"{name}{started:%Y-%m-%d-%H%M%S}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"started": f"{started:%Y-%m-%dT%H:%M:%SZ}", "machine": machine_facts(), **figures})
    print(path)


def machine_facts():
    """Processor, cores, memory and versions, for the JSON beside the figures."""
    return {
        "processor": _processor(),
        "architecture": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "kernels": _core.variants("solve")[-1],
        "versions": {name: version(name) for name in ("ionanalysis", "numpy", "scipy", "h5py", "pysam")},
    }


def yardstick_seconds(source):
    """CPU seconds of a fixed piece of work, a C program that prints them first; None without it or a compiler.

    Figures of different machines, or of one under load, can be compared in units of it.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if source is None or compiler is None or not Path(source).is_file():
        return None
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "yardstick"
        subprocess.run([compiler, "-O2", str(source), "-o", str(program), "-lm"], check=True, capture_output=True)
        return min(
            float(subprocess.run([program], check=True, capture_output=True, text=True).stdout.split()[0])
            for _ in range(3)
        )


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
