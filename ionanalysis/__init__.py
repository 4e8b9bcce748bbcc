"""From the raw voltage images of Ion Torrent sequencers to trusted reads.

The names below are what we keep stable. Each is loaded when first used, so that importing the
package costs nothing.
"""

from importlib import import_module

__version__ = "0.1.0"

_PUBLIC = {
    "open_run": "ionanalysis.run",
    "open_wells": "ionanalysis.wells",
    "fit_signals": "ionanalysis.sigproc",
    "estimate_phase": "ionanalysis.basecaller",
    "call_bases": "ionanalysis.basecaller",
    "flowgrams": "ionanalysis.bam",
    "simulate": "ionanalysis.simulate",
}

__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
