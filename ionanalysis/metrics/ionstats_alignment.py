"""How far aligned reads are accurate, and where they err: `ionstats_alignment.json` (basecaller.md 11.3)."""

import math
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np

from ionanalysis.bam.reader import well_of
from ionanalysis.bam.source import header_of, open_alignments
from ionanalysis.flows import CODES, LIBRARY_KEY, NUCS, FlowOrder
from ionanalysis.io.jsonfile import write_json
from ionanalysis.metrics.aligned_reads import aligned_reads, forward_codes, has_aligned_bases
from ionanalysis.metrics.alignment import (
    DELETION,
    INSERTION,
    SUBSTITUTION,
    accurate_prefixes,
    error_columns,
    homopolymer_runs,
)
from ionanalysis.metrics.error_summary import merge_error_summaries, write_error_summary
from ionanalysis.metrics.ionstats_basecaller import (
    Lengths,
    ReadTally,
    flows_of,
    merge_lengths,
    merge_reads,
    padded_sum,
)
from ionanalysis.metrics.read_columns import SECONDARY, SUPPLEMENTARY, UNMAPPED, ReadColumns, read_columns
from ionanalysis.metrics.read_flows import flows_of_codes
from ionanalysis.options.ionstats import AlignmentStatisticsOptions

ERROR_KINDS = ("ins", "del", "sub", "no_call", "align_start", "align_stop", "depth")
_META = {"format_name": "ionstats_alignment", "format_version": "1.0"}
_FRONT_TAGS = ("ZK", "ZT", "ZE")
"""Tags of what was cut off the front of a read behind key and barcode."""


def aq_name(rate):
    """Name of the AQ length for an error rate: n = round(-10 log10 rate), at most 47.

    >>> [aq_name(rate) for rate in (0.2, 0.1, 0.02, 0.01, 0.001, 0)]
    ['AQ7', 'AQ10', 'AQ17', 'AQ20', 'AQ30', 'AQ47']
    """
    return f"AQ{min(47, round(-10 * math.log10(rate))) if rate > 0 else 47}"


def alignment_statistics(path, options=None, key=LIBRARY_KEY, summary_path=None, copy=None):
    """Statistics of one aligned BAM file.

    Parameters
    ----------
    path : path
    options : AlignmentStatisticsOptions, optional
    key : str
        Bases in front of the reads, for the signal-to-noise ratio of the key flows.
    summary_path : path, optional
        Where to write the counts of errors as HDF5 (`ionanalysis.metrics.error_summary`).
    copy : callable, optional
        ``copy(header)``, given a pysam header, is a context manager that gives a callable for each read: what passes
        the reads of a pipe on.

    Returns
    -------
    dict
        The object of `PREFIX.ionstats_alignment.json`.

    Raises
    ------
    InputError
        If the file is no BAM, or an alignment contradicts itself.
    """
    options = options or AlignmentStatisticsOptions()
    of_groups: dict[str, AlignmentTally] = {}
    with open_alignments(path) as bam, copy(bam.header) if copy else nullcontext() as keep:
        header = header_of(bam)
        tally = AlignmentTally(header, options, key)
        by_group = summary_path is not None and len(header.get("RG", ())) > 1
        wanted = replace(tally.wanted, texts=("RG", *_FRONT_TAGS)) if by_group else tally.wanted
        for batch in read_columns(path, bam, wanted, keep=keep):
            tally.add(batch)
            for name, of_group in _by_group(batch).items() if by_group else ():
                if name not in of_groups:
                    of_groups[name] = AlignmentTally(header, options, key)
                of_groups[name].add(of_group)
    if summary_path is not None:
        names = [group.get("ID", "") for group in header.get("RG", ())]
        write_error_summary(summary_path, tally, of_groups if len(names) > 1 else dict.fromkeys(names, tally))
    return tally.to_json()


def _by_group(reads):
    """Reads by their read group."""
    names = np.array(reads.texts["RG"])
    return {str(name): reads.chosen(names == name) for name in np.unique(names)}


class AlignmentTally:
    """Counts over aligned reads, added batch by batch.

    Parameters
    ----------
    header : dict
        Of the BAM file, as pysam gives it.
    options : AlignmentStatisticsOptions
    key : str
        Bases in front of the reads.

    Attributes
    ----------
    by_base, by_flow : dict of str to int64 array
        Counts by position in the read and by flow, for each of `ERROR_KINDS`. Positions behind the last one
        that is held are not counted.
    homopolymers : dict of str to int64 (max_hp + 1, max_hp + 1)
        Runs of each nucleotide by true and called length; the last row and column hold longer ones too.
    """

    def __init__(self, header, options, key=LIBRARY_KEY):
        flows = flows_of(header)
        self.options = options
        self._reads = ReadTally(flows, key, options.histogram_length)
        n_bins = self._reads.n_bins
        self._flow_order = FlowOrder.from_letters(flows) if flows and not set(flows) - set(NUCS) else None
        self._aligned = Lengths(n_bins)
        self._accurate = {aq_name(rate): Lengths(n_bins) for rate in options.aq_error_rates}
        self.by_base = _no_errors(n_bins)
        self.by_flow = _no_errors(options.n_flow or 2 * n_bins)
        self._regional: dict[str, dict[str, Lengths]] = {}
        self._keys = {group["ID"]: group.get("KS", "") for group in header.get("RG", ()) if "ID" in group}
        with_barcode = ("full", "aligned", *self._accurate) if options.bc_adjust else ()
        self._with_barcode = {name: Lengths(n_bins) for name in with_barcode}
        size = options.max_hp + 1
        self.homopolymers = {nuc: np.zeros((size, size), np.int64) for nuc in NUCS}

    @property
    def wanted(self):
        """What must be known of reads."""
        texts = ("RG", *_FRONT_TAGS) if self._with_barcode else ("RG",) if self.options.skip_rg_suffix else ()
        return replace(self._reads.wanted, texts=texts, letters=True)

    def add(self, reads):
        """Count reads, aligned or not: `ReadColumns`, or a list of pysam reads."""
        if not isinstance(reads, ReadColumns):
            reads = ReadColumns.of_reads(reads, self.wanted)
        plain = reads.chosen(self._counts(reads))
        self._reads.add(plain)
        if self._with_barcode:
            self._with_barcode["full"].add(plain.n_bases + self._n_cut(plain))
        placed = plain.chosen(self._is_aligned(plain))
        if len(placed):
            self._add_aligned(placed)

    def to_json(self):
        """The object of `PREFIX.ionstats_alignment.json`."""
        errors = sum(self.by_base[kind] for kind in ("ins", "del", "sub"))
        return {
            "meta": dict(_META),
            **self._reads.to_json(),
            "aligned": self._aligned.to_json(),
            **{name: lengths.to_json() for name, lengths in self._accurate.items()},
            "error_by_position": errors.tolist(),
            "by_base": {kind: counts.tolist() for kind, counts in self.by_base.items()},
            "by_flow": {kind: counts.tolist() for kind, counts in self.by_flow.items()},
            **self._optional_json(),
        }

    def _optional_json(self):
        """What was asked for beyond the usual: regions, lengths with barcodes."""
        more: dict = {}
        if self.options.chip_dim:
            more["Regional"] = {
                region: {name: _summary(lengths) for name, lengths in sorted(of_region.items())}
                for region, of_region in sorted(self._regional.items())
            }
        if self._with_barcode:
            more["WithBarcode"] = {name: lengths.to_json() for name, lengths in self._with_barcode.items()}
        return more

    def _counts(self, reads):
        primary = (reads.flag & (SECONDARY | SUPPLEMENTARY)) == 0
        suffix = self.options.skip_rg_suffix
        if not suffix:
            return primary
        return primary & ~np.array([group.endswith(suffix) for group in reads.texts["RG"]], bool)

    def _is_aligned(self, reads):
        least, most = self.options.min_map_qual, self.options.max_map_qual
        quality = reads.mapping_quality
        return (
            ((reads.flag & UNMAPPED) == 0)
            & reads.has_md
            & has_aligned_bases(reads)
            & (quality >= least)
            & ((most < 0) | (quality <= most))
        )

    def _add_aligned(self, reads):
        aligned = aligned_reads(reads)
        columns, lengths = aligned.columns, aligned.end - aligned.first
        wrong, read, position = error_columns(columns)
        position += aligned.first[read]
        self._aligned.add(lengths)
        if self._with_barcode:
            self._with_barcode["aligned"].add(lengths + self._n_cut(reads))
        has_error = np.bincount(read, minlength=len(reads)) > 0
        ends = np.where(has_error, aligned.end, lengths)
        for rate in self.options.aq_error_rates:
            self._add_accurate(aq_name(rate), accurate_prefixes(read, position, ends, rate), reads)
        self._add_homopolymers(*homopolymer_runs(columns))
        events = _events(aligned, columns.operation[wrong], read, position)
        for kind, (_, places) in events.items():
            _count(self.by_base[kind], places)
        self.by_base["depth"] += _covering(aligned.first, aligned.end, len(self.by_base["depth"]))
        if self.options.evaluate_flow and self._flow_order is not None:
            self._add_flows(reads, aligned, events)

    def _add_homopolymers(self, letter, true_length, called_length):
        n = self.options.max_hp + 1
        # Letters that are no base are counted behind the others.
        cell = (CODES[letter].astype(np.int64) % 5 * n + np.minimum(true_length, n - 1)) * n
        counts = np.bincount(cell + np.minimum(called_length, n - 1), minlength=5 * n * n).reshape(5, n, n)
        for nuc, table in zip(NUCS, counts, strict=False):
            self.homopolymers[nuc] += table

    def _add_accurate(self, name, lengths, reads):
        long_enough = lengths >= self.options.minimum_aq_length
        self._accurate[name].add(lengths[long_enough])
        if self._with_barcode:
            self._with_barcode[name].add((lengths + self._n_cut(reads))[long_enough])
        if self.options.chip_dim:
            of_regions: dict[str, list[int]] = {}
            for number in np.flatnonzero(long_enough).tolist():
                region = self._region_of(reads.name_of(number))
                if region is not None:
                    of_regions.setdefault(region, []).append(int(lengths[number]))
            for region, found in of_regions.items():
                of_region = self._regional.setdefault(region, {})
                of_region.setdefault(name, Lengths(self._reads.n_bins)).add(np.array(found, np.int64))

    def _n_cut(self, reads):
        """Bases of key and barcode in front of each read, and of its molecular tag."""
        fronts = [len(self._keys.get(group, "")) for group in reads.texts["RG"]]
        tags = [[len(text) for text in reads.texts[name]] for name in _FRONT_TAGS]
        return np.sum([fronts, *tags], axis=0, dtype=np.int64)

    def _region_of(self, read_name):
        """Name of the region that a read comes from, "(x,y)" with its first column and row; None outside."""
        row, col = well_of(read_name)
        (x0, y0), (n_cols, n_rows) = self.options.chip_origin, self.options.chip_dim
        width, height = self.options.subregion_dim
        if not (x0 <= col < x0 + n_cols and y0 <= row < y0 + n_rows):
            return None
        return f"({(col - x0) // width * width + x0},{(row - y0) // height * height + y0})"

    def _add_flows(self, reads, aligned, events):
        """Count by flow the reads that tell the flow of their first base (tag ZF)."""
        known = reads.first_flow >= 0
        first_flow = np.maximum(reads.first_flow, 0)
        flows = flows_of_codes(forward_codes(reads), reads.n_bases, first_flow, self._flow_order)
        for kind, (read, places) in events.items():
            told = known[read]
            _count(self.by_flow[kind], flows[places[told], read[told]])
        place = np.arange(len(flows))[:, None]
        covered = known & (place >= aligned.first) & (place < aligned.end)
        # A run of several bases incorporates in one flow.
        starts_run = covered.copy()
        starts_run[1:] &= (flows[1:] != flows[:-1]) | ~covered[:-1]
        _count(self.by_flow["depth"], flows[starts_run])


def _events(aligned, operation, read, position):
    """Reads, and positions in them, of each kind of error; of errors as `error_columns` gives them."""
    events = {
        kind: (read[operation == code], position[operation == code])
        for kind, code in (("ins", INSERTION), ("del", DELETION), ("sub", SUBSTITUTION))
    }
    columns, everyone = aligned.columns, np.arange(len(aligned.first))
    unknown = np.flatnonzero(columns.bases == ord("N"))
    owner = np.searchsorted(columns.read_start, unknown, side="right") - 1
    events["no_call"] = owner, unknown - columns.read_start[owner] + aligned.first[owner]
    events["align_start"] = everyone, aligned.first
    events["align_stop"] = everyone, aligned.end - 1
    return events


def _covering(first, end, n_places):
    """How many of the intervals [first, end) cover each place."""
    change = np.zeros(n_places + 1, np.int64)
    np.add.at(change, np.minimum(first, n_places), 1)
    np.add.at(change, np.minimum(end, n_places), -1)
    return np.cumsum(change)[:-1]


def merge_alignment_statistics(parts):
    """Sum of several objects of `alignment_statistics`; lists are padded to the longest.

    Parameters
    ----------
    parts : sequence of dict
        At least one.
    """
    accurate = [name for name in parts[0] if name.startswith("AQ")]
    merged = {"meta": parts[0]["meta"], **merge_reads(parts)}
    for name in ("aligned", *accurate):
        merged[name] = merge_lengths([part[name] for part in parts])
    merged["error_by_position"] = padded_sum([part["error_by_position"] for part in parts])
    for name in ("by_base", "by_flow"):
        merged[name] = {kind: padded_sum([part[name][kind] for part in parts]) for kind in ERROR_KINDS}
    if any("Regional" in part for part in parts):
        merged["Regional"] = _merged_regions([part.get("Regional", {}) for part in parts])
    if all("WithBarcode" in part for part in parts):
        names = parts[0]["WithBarcode"]
        merged["WithBarcode"] = {name: merge_lengths([part["WithBarcode"][name] for part in parts]) for name in names}
    return merged


def _summary(lengths):
    """A length histogram object without its histogram."""
    return {name: value for name, value in lengths.to_json().items() if name != "read_length_histogram"}


def _merged_regions(parts):
    merged: dict = {}
    for region in sorted({name for part in parts for name in part}):
        of_region = [part[region] for part in parts if region in part]
        merged[region] = {}
        for name in dict.fromkeys(name for one in of_region for name in one):
            found = [{**one[name], "read_length_histogram": []} for one in of_region if name in one]
            whole = merge_lengths(found)
            merged[region][name] = {key: value for key, value in whole.items() if key != "read_length_histogram"}
    return merged


def _no_errors(n_places):
    return {kind: np.zeros(n_places, np.int64) for kind in ERROR_KINDS}


def _count(counts, places):
    counts += np.bincount(places[places < len(counts)], minlength=len(counts))


def write_alignment_statistics(result_dir, prefixes, is_kept, *, key=LIBRARY_KEY, options=None, progress=None):
    """Write `PREFIX.ionstats_alignment.json` and `PREFIX.ionstats_error_summary.h5` of each aligned dataset, and sums.

    Parameters
    ----------
    result_dir : path
        Holds ``PREFIX.bam`` of each dataset, and gets the files.
    prefixes : sequence of str
    is_kept : callable
        Whether a prefix counts in the sums; those of filtered barcodes do not.
    key : str
        Library key.
    options : AlignmentStatisticsOptions, optional
    progress : callable, optional
        Called with (files done, files).

    Returns
    -------
    paths : list of Path
    """
    folder, paths, parts, summaries = Path(result_dir), [], [], []
    for number, prefix in enumerate(prefixes, 1):
        summary = folder / f"{prefix}.ionstats_error_summary.h5"
        statistics = alignment_statistics(folder / f"{prefix}.bam", options, key, summary)
        path = folder / f"{prefix}.ionstats_alignment.json"
        write_json(path, statistics)
        paths += [path, summary]
        if is_kept(prefix):
            parts.append(statistics)
            summaries.append(summary)
        if progress:
            progress(number, len(prefixes))
    if parts:
        paths.append(folder / "ionstats_alignment.json")
        write_json(paths[-1], merge_alignment_statistics(parts))
        merge_error_summaries(summaries, folder / "ionstats_error_summary.h5")
        paths.append(folder / "ionstats_error_summary.h5")
    return paths
