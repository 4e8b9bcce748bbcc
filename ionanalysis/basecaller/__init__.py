"""Flow signals to bases: phase, calling, qualities, filters, trimming, barcodes."""

from importlib import import_module

_PUBLIC = {
    "estimate_phase": "ionanalysis.basecaller.calling",
    "call_bases": "ionanalysis.basecaller.calling",
    "predict_signal": "ionanalysis.basecaller.phase",
    "PhaseEstimate": "ionanalysis.basecaller.phase",
    "CalledReads": "ionanalysis.basecaller.called",
}


def __getattr__(name):
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
