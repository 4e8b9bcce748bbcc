"""`ion_params_00.json`: all that is known of a run when its analysis starts (plugin.md 1.5)."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ionanalysis.flows import LIBRARY_KEY, TF_KEY
from ionanalysis.io.barcode_set import BarcodeSet
from ionanalysis.io.explog import normal_key

P1B_ADAPTER = "ATCACCGACTGCCCATAGAGAGGCTGAGAC"

ION_KIT_ADAPTER = {
    "name": "Ion P1B",
    "sequence": P1B_ADAPTER,
    "direction": "Forward",
    "chemistryType": "",
    "isDefault": True,
    "runMode": "single",
    "uid": "FWD_0001",
    "description": "Default forward adapter",
}
"""The 3' adapter of a run that names none."""


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """A run as its raw data tell it. What is not known is empty."""

    raw_dir: str
    run_id: str
    flow_order: str = "TACG"
    n_flows: int = 0
    chip: str = ""
    library_key: str = LIBRARY_KEY
    tf_key: str = TF_KEY
    tiled: bool = False
    """The chip is cut into blocks."""
    log: dict = field(default_factory=dict)
    """Parsed `explog.txt` (`log_entries`)."""


@dataclass(frozen=True, kw_only=True)
class AnalysisRequest:
    """What the user asked for."""

    results_name: str
    previous_report: str = ""
    """Where wells of a former analysis were taken from; empty if this one starts from raw images."""
    barcode_set: BarcodeSet | None = None
    adapter: str = P1B_ADAPTER
    reference: str = ""
    """FASTA file of the genome that reads are aligned to; empty without."""
    references: dict = field(default_factory=dict)
    """Those of barcodes whose reads are aligned to another one."""
    beadfind_args: str = ""
    analysis_args: str = ""
    basecaller_args: str = ""
    username: str = "ionadmin"


def log_entries(explog):
    """Values of a run log by key, as the original writes them into `ion_params_00.json`; the first of a key wins.

    Parameters
    ----------
    explog : ionanalysis.io.explog.Explog or None
    """
    entries = explog.entries if explog else ()
    return {normal_key(key): value for key, value in reversed(entries) if key}


def reference_name(fasta):
    """Short name of the genome of a FASTA file, as plugins see it: that of the file. Empty without a file."""
    return re.sub(r"\.(fasta|fa|fna)(\.gz)?$", "", Path(fasta).name) if fasta else ""


def ion_params(facts, request):
    """The object of `ion_params_00.json`: every key of plugin.md 1.5, in its order.

    Parameters
    ----------
    facts : RunFacts
    request : AnalysisRequest
    """
    log = facts.log
    run_name = log.get("experiment_name") or facts.raw_dir.rstrip("/").rpartition("/")[2] or facts.run_id
    sample = log.get("sample", "")
    instrument = log.get("devicename") or log.get("serial_number", "")
    chip = facts.chip or log.get("chipversion") or log.get("chiptype", "")
    platform = log.get("platform") or log.get("systemtype") or _platform(chip)
    set_name = request.barcode_set.name if request.barcode_set else ""
    reference = reference_name(request.reference)
    own = {barcode: reference_name(fasta) for barcode, fasta in request.references.items()}
    settings = {
        "barcodeKitName": set_name,
        "endBarcodeKitName": "",
        "barcodedSamples": _barcoded_samples(request.barcode_set, own),
        "reference": reference,
        "targetRegionBedFile": "",
        "hotSpotRegionBedFile": "",
        "sseBedFile": "",
        "libraryKitName": log.get("librarykit", ""),
        "libraryKey": facts.library_key,
        "tfKey": facts.tf_key,
        "threePrimeAdapter": request.adapter,
    }
    return {
        "exp_json": {
            "expName": run_name,
            "date": iso_date(log.get("start_time", ""), run_name),
            "flows": facts.n_flows,
            "pgmName": instrument,
            "chipType": chip,
            "chipBarcode": log.get("chipbarcode", "") or log.get("chip_efuse", ""),
            "notes": log.get("user_notes", ""),
            "sequencekitname": log.get("seqkitplandesc", "") or log.get("seqkit", ""),
            "sample": sample,
            "project": log.get("project", ""),
            "platform": platform,
            "log": log,
        },
        "plan": {},
        "experimentAnalysisSettings": settings,
        "beadfindArgs": request.beadfind_args,
        "analysisArgs": request.analysis_args,
        "prebasecallerArgs": "",
        "basecallerArgs": request.basecaller_args,
        "recalibArgs": "",
        "ionstatsArgs": "",
        "aligner_opts_extra": "",
        "doBaseRecal": "no_recal",
        "resultsName": request.results_name,
        "expName": run_name,
        "runid": facts.run_id,
        "sample": sample,
        "chiptype": chip,
        "rawdatastyle": "tiled" if facts.tiled else "single",
        "platform": platform,
        "instrumentName": instrument or "unknownInstrument",
        "flowOrder": facts.flow_order,
        "flows": facts.n_flows,
        "referenceName": reference or "none",
        "libraryKey": facts.library_key,
        "tfKey": facts.tf_key,
        "reverse_primer_dict": {**ION_KIT_ADAPTER, "sequence": request.adapter},
        "barcodeId": set_name,
        "endBarcodeKitName": "",
        "barcodeSamples_referenceNames": sorted(set(own.values())),
        "barcodeInfo": _barcode_info(request.barcode_set, sample, own),
        "sampleInfo": _sample_info(request.barcode_set, sample),
        "plugins": {},
        "project": log.get("project", ""),
        "pathToData": facts.raw_dir,
        "blockArgs": "fromWells" if request.previous_report else "fromRaw",
        "previousReport": request.previous_report,
        "doThumbnail": "thumbnail" in facts.raw_dir.rstrip("/").rpartition("/")[2],
        "mark_duplicates": False,
        "realign": False,
        "align_full": False,
        "skipchecksum": False,
        "sam_parsed": False,
        "net_location": "http://localhost",
        "site_name": "",
        "url_path": "",
        "username": request.username,
        "tmap_version": "",
    }


def report_type(params):
    """`wholechip`, `thumbnail` or `composite` (plugin.md 1.1)."""
    if params.get("rawdatastyle", "single") == "single":
        return "wholechip"
    return "thumbnail" if "thumbnail" in params.get("pathToData", "") else "composite"


def iso_date(start_time, run_name):
    """Start of a run as ISO 8601 with Z: from the log's time, else from a name ``R_YYYY_MM_DD_hh_mm_ss…``, else "".

    >>> iso_date("04/07/2011 12:44:38", "")
    '2011-04-07T12:44:38Z'
    """
    for form in ("%m/%d/%Y %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%a %b %d %H:%M:%S %Y"):
        try:
            return datetime.strptime(start_time, form).strftime("%Y-%m-%dT%H:%M:%SZ")
        except ValueError:
            continue
    in_name = re.match(r"R_(\d{4})_(\d\d)_(\d\d)_(\d\d)_(\d\d)_(\d\d)", run_name)
    return "{}-{}-{}T{}:{}:{}Z".format(*in_name.groups()) if in_name else ""


def _platform(chip):
    """Instrument family of a chip: 3xx PGM, P-series Proton, other numbers S5."""
    if re.match(r"3\d\d", chip):
        return "PGM"
    if re.match(r"[pP][0-9I]", chip) or chip == "900":
        return "PROTON"
    return "S5" if re.match(r"5\d\d", chip) else "Unspecified"


def _samples(barcode_set):
    """Barcodes of each sample that the set names."""
    samples: dict[str, list] = {}
    for barcode in barcode_set or ():
        if barcode.sample:
            samples.setdefault(barcode.sample, []).append(barcode)
    return samples


_NO_SAMPLE_INFO = dict.fromkeys(
    (
        "controlSequenceType",
        "controlType",
        "description",
        "externalId",
        "hotSpotRegionBedFile",
        "nucleotideType",
        "reference",
        "sseBedFile",
        "targetRegionBedFile",
        "endBarcode",
    ),
    "",
)


def _barcoded_samples(barcode_set, references):
    return {
        sample: {
            "barcodes": [barcode.name for barcode in barcodes],
            "barcodeSampleInfo": {
                barcode.name: {
                    **_NO_SAMPLE_INFO,
                    "nucleotideType": "DNA",
                    "reference": references.get(barcode.name, ""),
                }
                for barcode in barcodes
            },
            "dualBarcodes": [],
        }
        for sample, barcodes in _samples(barcode_set).items()
    }


def _sample_info(barcode_set, run_sample):
    names = list(_samples(barcode_set)) or ([run_sample] if run_sample else [])
    return {
        name: {
            "name": re.sub(r"\s+", "_", name),
            "displayedName": name,
            "externalId": "",
            "description": None,
            "attributes": {},
        }
        for name in names
    }


def _barcode_info(barcode_set, run_sample, references):
    common = dict.fromkeys(("referenceName", "targetRegionBedFile", "hotSpotRegionBedFile", "sseBedFile"), "")
    info = {"no_barcode": {"sample": "none" if barcode_set else run_sample or "none", **common, "calibrate": False}}
    for barcode in barcode_set or ():
        info[barcode.name] = {
            "sample": barcode.sample or "none",
            **common,
            "referenceName": references.get(barcode.name, ""),
            "calibrate": False,
            "id_str": barcode.name,
            "index": barcode.index,
            "sequence": barcode.sequence,
            "adapter": barcode.adapter,
            "controlType": "",
            "nucleotideType": "DNA",
            "endBarcode": {},
            "dualBarcode": "",
        }
    return info
