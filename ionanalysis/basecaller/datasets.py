"""Datasets and read groups: which reads go to which file (basecaller.md 7.1)."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from ionanalysis.basecaller.letters import is_sequence
from ionanalysis.basecaller.molecular_tags import check_pattern
from ionanalysis.errors import InputError
from ionanalysis.io.jsonfile import read_json, write_json

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


@dataclass(frozen=True)
class Group:
    """One read group. `fields` holds all that its file says of it and is handed on as it is."""

    name: str
    index: int = 0
    barcode: str = ""
    adapter: str = ""
    fields: dict = field(default_factory=dict)

    def text(self, key):
        """A text field, empty if absent."""
        return str(self.fields.get(key) or "")

    @property
    def barcode_name(self):
        return self.text("barcode_name") or str((self.fields.get("barcode") or {}).get("barcode_name", ""))


@dataclass(frozen=True)
class Dataset:
    """One output file and the numbers of its read groups."""

    name: str
    prefix: str
    groups: tuple[int, ...]

    @property
    def bam_name(self):
        return f"{self.prefix}.basecaller.bam"


@dataclass(frozen=True)
class Datasets:
    """All files of a run, or of its test fragments.

    Attributes
    ----------
    groups : tuple of Group
        In the order of their names.
    datasets : tuple of Dataset
        In the order of the file.
    sequencing_center, source : str
        What the file says, and its name; empty without one.
    barcode_config : dict or None
        Section of the file, handed on as it is.
    """

    groups: tuple[Group, ...]
    datasets: tuple[Dataset, ...]
    sequencing_center: str = ""
    source: str = ""
    barcode_config: dict | None = None

    @property
    def barcoded(self):
        """Numbers of the read groups that have a barcode."""
        return tuple(number for number, group in enumerate(self.groups) if group.barcode)

    @property
    def no_match(self):
        """Number of the read group of reads without a barcode."""
        return next(number for number, group in enumerate(self.groups) if not group.barcode)

    @property
    def dataset_of(self):
        """Number of the dataset of each read group."""
        owner = {group: number for number, dataset in enumerate(self.datasets) for group in dataset.groups}
        return tuple(owner[number] for number in range(len(self.groups)))


def library_dataset(run_id):
    """All library reads in one file, as for a run without barcodes."""
    group = Group(run_id, fields={"index": 0, "description": "Nonbarcoded library"})
    return Datasets((group,), (Dataset("Nonbarcoded library", "rawlib", (0,)),))


def tf_dataset(run_id):
    """The test fragments' file."""
    group = Group(run_id, fields={"index": 0, "description": "Test Fragments"})
    return Datasets((group,), (Dataset("Test Fragments", "rawtf", (0,)),))


def read_datasets(path):
    """Read a dataset file, such as ``datasets_pipeline.json``.

    Raises
    ------
    InputError
        If it is not of that form, lists a read group in no or two datasets, or names a file that
        would lie elsewhere.
    """
    path = Path(path)
    content = read_json(path)
    try:
        named = content["read_groups"]
        groups = tuple(_group(path, name, named[name]) for name in sorted(named))
        numbers = {group.name: number for number, group in enumerate(groups)}
        datasets = tuple(
            Dataset(
                str(entry.get("dataset_name", "")),
                _safe(path, str(entry["file_prefix"])),
                tuple(numbers[name] for name in entry["read_groups"]),
            )
            for entry in content["datasets"]
        )
        center = str(content.get("sequencing_center") or "")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{path}: is not a dataset file ({type(error).__name__}: {error}).") from error
    _check(path, groups, datasets)
    return Datasets(groups, datasets, center, path.name, content.get("barcode_config"))


def _group(path, name, fields):
    if not name or not name.isascii() or not name.isprintable():
        raise InputError(f"{path}: read group {name!r} must be printable ASCII, as BAM files want it.")
    # Older files have the barcode's sequence beside the other fields.
    barcode = fields.get("barcode") or fields
    sequence, adapter = (str(barcode.get(key) or "").upper() for key in ("barcode_sequence", "barcode_adapter"))
    if not is_sequence(sequence + adapter):
        raise InputError(
            f"{path}: read group {name} has barcode {sequence!r}, {adapter!r}; expected IUPAC codes (A, C, G, T)."
        )
    for tag in ("mol_tag_prefix", "mol_tag_suffix"):
        check_pattern(str(fields.get(tag) or ""))
    index = int(fields.get("index", 0))
    if not 0 <= index < 0xFFFF:
        raise InputError(f"{path}: read group {name} has index {index}; expected 0 to 65534.")
    return Group(name, index, sequence, adapter, dict(fields))


def _safe(path, name):
    if not _SAFE_NAME.fullmatch(name):
        raise InputError(f"{path}: file prefix {name!r} must be letters, digits, dots, dashes and underscores.")
    return name


def _check(path, groups, datasets):
    listed = [group for dataset in datasets for group in dataset.groups]
    if sorted(listed) != list(range(len(groups))):
        raise InputError(f"{path}: each of the {len(groups)} read groups must be in one dataset; {len(listed)} are.")
    if not groups or all(group.barcode for group in groups):
        raise InputError(f"{path}: has no read group without a barcode, for the reads that match none; add one.")
    if len({dataset.prefix for dataset in datasets}) < len(datasets):
        raise InputError(f"{path}: two datasets have the same file prefix.")


def pipeline_datasets(run_id, barcodes=None, *, samples=None, reference="", platform_unit="", center=""):
    """Content of ``datasets_pipeline.json`` for a run.

    Parameters
    ----------
    run_id : str
    barcodes : BarcodeSet, optional
        Without one, all reads go to ``rawlib``.
    samples : dict of str, optional
        Sample of each barcode's name; before that, what the set says; else ``none``. Without barcodes,
        the sample of the name "".
    reference, platform_unit, center : str
        Reference genome, "platform/chip" and site of the run.

    Returns
    -------
    dict
        See basecaller.md 7.1.
    """
    samples = samples or {}
    content = {
        "meta": {"format_name": "Dataset Map", "format_version": "1.1", "generated_by": "ionanalysis"},
        "sequencing_center": center,
    }
    if barcodes is None:
        entry = {"dataset_name": "Nonbarcoded library", "file_prefix": "rawlib", "read_groups": [run_id]}
        group = _group_fields(0, samples.get("", "none"), reference, platform_unit)
        return {**content, "datasets": [entry], "read_groups": {run_id: group}}
    datasets = [
        {"dataset_name": "none/No_barcode_match", "file_prefix": "nomatch_rawlib", "read_groups": [f"{run_id}.nomatch"]}
    ]
    groups = {f"{run_id}.nomatch": _group_fields(0, "none", "", f"{platform_unit}/nomatch".lstrip("/"))}
    for barcode in barcodes:
        name = f"{run_id}.{barcode.name}"
        sample = samples.get(barcode.name) or barcode.sample or "none"
        datasets.append(
            {
                "dataset_name": f"{sample}/{barcode.name}",
                "file_prefix": f"{barcode.name}_rawlib",
                "read_groups": [name],
            }
        )
        groups[name] = {
            "barcode_name": barcode.name,
            "barcode": {
                "barcode_name": barcode.name,
                "barcode_sequence": barcode.sequence,
                "barcode_adapter": barcode.adapter,
            },
            **_group_fields(barcode.index, sample, reference, f"{platform_unit}/{barcode.name}".lstrip("/")),
            "nucleotide_type": "DNA",
            "controlType": "",
        }
    return {
        **content,
        "barcode_config": {"barcode_id": barcodes.name},
        "datasets": datasets,
        "read_groups": groups,
    }


def _group_fields(index, sample, reference, platform_unit):
    return {
        "index": index,
        "sample": sample,
        "reference": reference,
        "description": "",
        "platform_unit": platform_unit,
    }


def write_pipeline_datasets(path, run_id, barcodes=None, **about):
    """Write ``datasets_pipeline.json``; see `pipeline_datasets`."""
    write_json(path, pipeline_datasets(run_id, barcodes, **about))


def run_id_of(text):
    """Five letters and digits hashed from `text`, for runs without an id (basecaller.md 1.7).

    >>> run_id_of("/results/run1")
    'K0QO2'
    """
    mask = 0xFFFFFFFF
    content = text.encode("utf-8")
    value = len(content) & mask
    for byte in content:
        value = ((value << 5) & mask) ^ (value >> 27) ^ byte
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return "".join(digits[value // 36**place % 36] for place in range(4, -1, -1))
