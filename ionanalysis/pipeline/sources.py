"""Where the data of a call come from: raw images, wells with masks, or a former result."""

from dataclasses import dataclass, replace
from pathlib import Path

from ionanalysis.errors import InputError, OutputError, UsageError
from ionanalysis.io.barcode_set import open_barcode_set
from ionanalysis.io.explog import normal_key
from ionanalysis.io.jsonfile import read_json
from ionanalysis.options.sigproc import BeadfindOptions
from ionanalysis.pipeline.blocks import BlockPlan
from ionanalysis.pipeline.following import wait_for_run
from ionanalysis.plugin.barcode_list import read_barcode_list
from ionanalysis.plugin.expmeta import json_object
from ionanalysis.plugin.ion_params import RunFacts, log_entries
from ionanalysis.run import Patience, find_explog, find_run_id, hash_run_id, open_run
from ionanalysis.sigproc.beadfind import cut_at_regions
from ionanalysis.wells import open_wells

RAW_STAGES = ("beadfind", "sigproc")
NO_BARCODES = "none"
PARAMS = "ion_params_00.json"


@dataclass(frozen=True)
class Source:
    """The data of a call."""

    facts: RunFacts
    inputs: tuple[Path, ...]
    """Files that the result depends on."""
    blocks: BlockPlan | None = None
    """Given for a chip that is cut into blocks."""
    patience: Patience | None = None
    """Given for a run that is still being written."""


def find_source(request, note=lambda text: None):
    """What is known of the run, and its files. Links what a former result gives into the new one.

    Raises
    ------
    InputError
        If the directory is missing, or lacks what the first stage needs.
    """
    run_dir = request.run_dir
    if request.follow_limit_s is not None and request.first not in RAW_STAGES:
        raise UsageError(f"--follow goes with raw images; --from {request.first} needs wells that are whole.")
    patience = None if request.follow_limit_s is None else wait_for_run(run_dir, request.follow_limit_s, note)
    if not run_dir.is_dir():
        raise InputError(f"{run_dir}: there is no such directory; name a run directory.")
    if request.first in RAW_STAGES:
        return _raw_source(request, patience)
    return _wells_source(request)


def find_barcode_set(request, note):
    """The barcode set of a call, None without barcodes.

    A call that goes on from a former result takes over the set of that result unless it names one itself: reads
    that were told apart once must not be thrown together because an option was not given again.

    Parameters
    ----------
    request : PipelineRequest
    note : callable
        Gets a sentence when a set is taken over.
    """
    if request.barcodes:
        return None if request.barcodes == NO_BARCODES else open_barcode_set(request.barcodes)
    if request.first == RAW_STAGES[0] and not request.resume:
        return None
    for folder in (request.result_dir, request.run_dir):
        path = folder / "barcodeList.txt"
        if path.is_file():
            barcode_set = read_barcode_list(path, _samples(folder / PARAMS))
            note(f"barcode set {barcode_set.name} is taken over from {path}; --barcodes {NO_BARCODES} leaves it out.")
            return barcode_set
    return None


def _samples(path):
    """Sample of each barcode that the parameters of a former result name."""
    info = json_object(_params(path).get("barcodeInfo")) if path.is_file() else {}
    named = {name: json_object(entry).get("sample") for name, entry in info.items()}
    return {name: str(sample) for name, sample in named.items() if sample and sample != "none"}


def _params(path):
    """Content of a former `ion_params_00.json`."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: must hold an object; remove it, or run the analysis again.")
    return content


def _raw_source(request, patience):
    run = replace(open_run(request.run_dir, run_id=request.run_id), patience=patience)
    if not run.is_composite:
        run.expect_flows()
    if request.first == "sigproc" and not (request.result_dir / "sigproc_results" / "bfmask.bin").exists():
        raise InputError(f"{request.result_dir}: has no sigproc_results/bfmask.bin; start with --from beadfind.")
    facts = RunFacts(
        raw_dir=str(run.path),
        run_id=run.run_id,
        flow_order=run.flow_order.cycle,
        n_flows=run.n_flows,
        chip=run.chip,
        library_key=run.library_key,
        tf_key=run.tf_key,
        tiled=bool(run.explog and len(run.explog.blocks) > 1),
        log=log_entries(run.explog),
    )
    plan = _cut(request, run)
    parts = [run.open_block(block) for block in run.blocks] if run.is_composite else [run]
    files = [part.flow_path(flow) for part in parts for flow in part.present_flows()]
    files += [path for part in parts for path in sorted(part.path.glob("beadfind_pre_*.dat"))]
    files += [path for path in run.path.glob("explog*") if path.is_file()]
    return Source(facts, tuple(files), plan, patience)


def _cut(request, run):
    """The blocks that a chip is analysed in: those of its directories, or of the size asked for; None for a whole."""
    if run.is_composite:
        if request.block_size:
            raise UsageError(f"--blocks: {run.path} has images by block; they are the blocks.")
        missing = {block: "has no images; copy them, then use --resume." for block in run.missing_blocks()}
        return BlockPlan((*run.blocks, *missing), run, missing=missing)
    if request.block_size is None:
        return None
    region_size = request.option(BeadfindOptions).region_size
    blocks = cut_at_regions(run.n_rows, run.n_cols, request.block_size, region_size)
    return BlockPlan(tuple(blocks), run)


def _wells_source(request):
    """From wells and mask, or from the folders of a former result."""
    # A stage's own folder is never linked: what it writes would reach the former result.
    folders = (
        ("sigproc_results",)
        if request.first in ("calibration", "basecaller")
        else ("sigproc_results", "basecaller_results")
    )
    link_former(request.run_dir, request.result_dir, folders)
    wells_path = request.result_dir / "sigproc_results" / "1.wells"
    if not wells_path.exists():
        raise InputError(
            f"{request.run_dir}: holds neither 1.wells nor sigproc_results/1.wells; --from {request.first} needs wells "
            "and mask. Start from raw images with --from beadfind."
        )
    masks = [wells_path.with_name(name) for name in ("analysis.bfmask.bin", "bfmask.bin")]
    mask = next((path for path in masks if path.exists()), None)
    if mask is None:
        raise InputError(f"{request.run_dir}: has no analysis.bfmask.bin or bfmask.bin beside 1.wells; copy the mask.")
    former = request.run_dir / PARAMS
    facts = _former_facts(request, former) if former.exists() else _wells_facts(request, wells_path)
    plan = BlockPlan.load(wells_path.parent)
    whole = plan and any(
        not (wells_path.parent / f"block_{block.name}" / "1.wells").is_file() for block in plan.going_on
    )
    return Source(facts, (wells_path, mask), None if whole else plan)


def link_former(run_dir, result_dir, folders):
    """Link the files in `folders` of a former result, or a bare wells file and its masks, into a new result directory.

    Raises
    ------
    OutputError
        If a link cannot be made.
    """
    if run_dir.resolve() == result_dir.resolve():
        return
    for folder in folders:
        places = [run_dir / folder, run_dir / "onboard_results" / folder]
        if folder == "sigproc_results":
            places.append(run_dir)
        place = next((place for place in places if _has_results(place, folder)), None)
        for path in sorted(place.iterdir()) if place else ():
            # A bare directory may hold anything beside the wells: only what belongs to them is linked.
            if path.is_file() and (place != run_dir or path.name == "1.wells" or "bfmask" in path.name):
                _link(path, result_dir / folder / path.name)


def _has_results(place, folder):
    name = "1.wells" if folder == "sigproc_results" else "datasets_basecaller.json"
    return (place / name).is_file()


def _link(target, link):
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_symlink() or not link.exists():
            link.unlink(missing_ok=True)
            link.symlink_to(target.resolve())
    except OSError as error:
        raise OutputError(f"{link}: cannot be made ({error.strerror}); choose another place.") from error


def _former_facts(request, path):
    params = _params(path)
    log = json_object(json_object(params.get("exp_json")).get("log"))
    # What a former result calls its run counts, also where another program wrote it.
    told = {"experiment_name": "expName", "sample": "sample", "project": "project"}
    named = {name: str(params[key]) for name, key in told.items() if params.get(key)}
    try:
        n_flows = int(params.get("flows") or 0)
    except (TypeError, ValueError):
        raise InputError(f"{path}: flows is {params['flows']!r}; expected a whole number.") from None
    return RunFacts(
        raw_dir=str(params.get("pathToData") or request.run_dir),
        run_id=request.run_id or str(params.get("runid") or "") or hash_run_id(str(sorted(log.items()))),
        flow_order=str(params.get("flowOrder") or "TACG"),
        n_flows=n_flows,
        chip=str(params.get("chiptype") or ""),
        library_key=str(params.get("libraryKey") or RunFacts.library_key),
        tf_key=str(params.get("tfKey") or RunFacts.tf_key),
        tiled=params.get("rawdatastyle") == "tiled",
        log=log | named,
    )


def _wells_facts(request, wells_path):
    """What the wells file tells, and the log and the images where they lie beside it."""
    explog = find_explog(request.run_dir)
    with open_wells(wells_path) as wells:
        info = {normal_key(key): str(value) for key, value in wells.info.items()}
        return RunFacts(
            raw_dir=str(request.run_dir),
            run_id=request.run_id
            or find_run_id(request.run_dir, explog)
            or hash_run_id(f"{wells.shape} {sorted(info.items())}"),
            flow_order=wells.flow_order.cycle,
            n_flows=len(wells.flow_order),
            chip=wells.chip or (explog.chip if explog else ""),
            library_key=info.get("librarykeysequence") or (explog.library_key if explog else RunFacts.library_key),
            tiled=bool(explog and len(explog.blocks) > 1),
            log=log_entries(explog) or info,
        )
