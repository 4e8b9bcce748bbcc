"""How far aligned reads are accurate, and where they err: `ionstats_alignment.json` (basecaller.md 11.3)."""

import math
from itertools import islice
from pathlib import Path

import numpy as np

from ionanalysis.bam.reader import well_of
from ionanalysis.bam.source import header_of, open_alignments, reads_of, tag_of
from ionanalysis.flows import LIBRARY_KEY, NUCS, FlowOrder
from ionanalysis.io.jsonfile import write_json
from ionanalysis.metrics.aligned_reads import aligned_reads
from ionanalysis.metrics.alignment import (
    DELETION,
    INSERTION,
    MATCH,
    SUBSTITUTION,
    accurate_prefixes,
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
from ionanalysis.metrics.read_flows import base_flows
from ionanalysis.options.ionstats import AlignmentStatisticsOptions

ERROR_KINDS = ("ins", "del", "sub", "no_call", "align_start", "align_stop", "depth")
_META = {"format_name": "ionstats_alignment", "format_version": "1.0"}
_BATCH_READS = 4096


def aq_name(rate):
    """Name of the AQ length for an error rate: n = round(-10 log10 rate), at most 47.

    >>> [aq_name(rate) for rate in (0.2, 0.1, 0.02, 0.01, 0.001, 0)]
    ['AQ7', 'AQ10', 'AQ17', 'AQ20', 'AQ30', 'AQ47']
    """
    return f"AQ{min(47, round(-10 * math.log10(rate))) if rate > 0 else 47}"


def alignment_statistics(path, options=None, key=LIBRARY_KEY, summary_path=None):
    """Statistics of one aligned BAM file.

    Parameters
    ----------
    path : path
    options : AlignmentStatisticsOptions, optional
    key : str
        Bases in front of the reads, for the signal-to-noise ratio of the key flows.
    summary_path : path, optional
        Where to write the counts of errors as HDF5 (`ionanalysis.metrics.error_summary`).

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
    with open_alignments(path) as bam:
        header = header_of(bam)
        tally = AlignmentTally(header, options, key)
        reads = reads_of(bam)
        while batch := list(islice(reads, _BATCH_READS)):
            tally.add(batch)
            if summary_path is not None and len(header.get("RG", ())) > 1:
                for name, of_group in _by_group(batch).items():
                    if name not in of_groups:
                        of_groups[name] = AlignmentTally(header, options, key)
                    of_groups[name].add(of_group)
    if summary_path is not None:
        names = [group.get("ID", "") for group in header.get("RG", ())]
        write_error_summary(summary_path, tally, of_groups if len(names) > 1 else dict.fromkeys(names, tally))
    return tally.to_json()


def _by_group(reads):
    """Reads by their read group."""
    groups: dict[str, list] = {}
    for read in reads:
        groups.setdefault(tag_of(read, "RG", str, ""), []).append(read)
    return groups


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

    def add(self, reads):
        """Count a list of pysam reads, aligned or not."""
        plain = [read for read in reads if not (read.is_secondary or read.is_supplementary) and self._counts(read)]
        for read in plain:
            self._reads.add(read)
            if self._with_barcode:
                self._with_barcode["full"].add(read.query_length + self._n_cut(read))
        placed = [read for read in plain if self._is_aligned(read)]
        if placed:
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

    def _counts(self, read):
        suffix = self.options.skip_rg_suffix
        return not (suffix and tag_of(read, "RG", str, "").endswith(suffix))

    def _is_aligned(self, read):
        if read.is_unmapped or not read.cigartuples or not read.has_tag("MD") or not read.query_alignment_sequence:
            return False
        most = self.options.max_map_qual
        return read.mapping_quality >= self.options.min_map_qual and (most < 0 or read.mapping_quality <= most)

    def _add_aligned(self, reads):
        aligned = aligned_reads(reads)
        columns, position = aligned.columns, aligned.position
        wrong = np.flatnonzero(columns.operation != MATCH)
        _count_lengths(self._aligned, aligned.end - aligned.first)
        if self._with_barcode:
            cut = np.array([self._n_cut(read) for read in reads], np.int64)
            _count_lengths(self._with_barcode["aligned"], aligned.end - aligned.first + cut)
        has_error = np.bincount(columns.read[wrong], minlength=len(reads)) > 0
        ends = np.where(has_error, aligned.end, aligned.end - aligned.first)
        for rate in self.options.aq_error_rates:
            lengths = accurate_prefixes(columns.read[wrong], position[wrong], ends, rate)
            self._add_accurate(aq_name(rate), lengths, reads)
        letter, true_length, called_length = homopolymer_runs(columns)
        for nuc, table in self.homopolymers.items():
            chosen = letter == ord(nuc)
            most = len(table) - 1
            np.add.at(table, (np.minimum(true_length[chosen], most), np.minimum(called_length[chosen], most)), 1)
        is_base = columns.operation != DELETION
        for kind, places in self._events(aligned, lambda read, place: place).items():
            _count(self.by_base[kind], places)
        _count(self.by_base["depth"], position[is_base])
        if self.options.evaluate_flow and self._flow_order is not None:
            self._add_flows(reads, aligned)

    def _add_accurate(self, name, lengths, reads):
        long_enough = lengths >= self.options.minimum_aq_length
        _count_lengths(self._accurate[name], lengths[long_enough])
        for number in np.flatnonzero(long_enough).tolist() if self._with_barcode or self.options.chip_dim else ():
            read, length = reads[number], int(lengths[number])
            if self._with_barcode:
                self._with_barcode[name].add(length + self._n_cut(read))
            region = self._region_of(read)
            if region is not None:
                of_region = self._regional.setdefault(region, {})
                of_region.setdefault(name, Lengths(self._reads.n_bins)).add(length)

    def _n_cut(self, read):
        """Bases of key and barcode in front of a read, and of its molecular tag."""
        front = self._keys.get(tag_of(read, "RG", str, ""), "")
        return len(front) + sum(len(tag_of(read, name, str, "")) for name in ("ZK", "ZT", "ZE"))

    def _region_of(self, read):
        """Name of the region that a read comes from, "(x,y)" with its first column and row; None outside."""
        if not self.options.chip_dim:
            return None
        row, col = well_of(read.query_name)
        (x0, y0), (n_cols, n_rows) = self.options.chip_origin, self.options.chip_dim
        width, height = self.options.subregion_dim
        if not (x0 <= col < x0 + n_cols and y0 <= row < y0 + n_rows):
            return None
        return f"({(col - x0) // width * width + x0},{(row - y0) // height * height + y0})"

    def _events(self, aligned, place_of):
        """Where each kind of error lies; `place_of(read, position)` turns positions into what is counted."""
        columns, position = aligned.columns, aligned.position
        events = {}
        for kind, operation in (("ins", INSERTION), ("del", DELETION), ("sub", SUBSTITUTION)):
            chosen = columns.operation == operation
            events[kind] = place_of(columns.read[chosen], position[chosen])
        unknown = (columns.operation != DELETION) & (
            columns.bases[np.minimum(columns.base_index, len(columns.bases) - 1)] == ord("N")
        )
        events["no_call"] = place_of(columns.read[unknown], position[unknown])
        everyone = np.arange(len(aligned.first))
        events["align_start"] = place_of(everyone, aligned.first)
        events["align_stop"] = place_of(everyone, aligned.end - 1)
        return events

    def _add_flows(self, reads, aligned):
        """Count by flow the reads that tell the flow of their first base (tag ZF)."""
        starts = np.array([tag_of(read, "ZF", int, -1) for read in reads], np.int64)
        known = starts >= 0
        flows = base_flows([read.get_forward_sequence() for read in reads], np.maximum(starts, 0), self._flow_order)

        def flow_of(read, position):
            return flows[read[known[read]], position[known[read]]]

        for kind, places in self._events(aligned, flow_of).items():
            _count(self.by_flow[kind], places)
        place = np.arange(flows.shape[1])
        covered = known[:, None] & (place >= aligned.first[:, None]) & (place < aligned.end[:, None])
        # A run of several bases incorporates in one flow.
        starts_run = np.ones(flows.shape, bool)
        starts_run[:, 1:] = (flows[:, 1:] != flows[:, :-1]) | ~covered[:, :-1]
        _count(self.by_flow["depth"], flows[covered & starts_run])


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


def _count_lengths(lengths, values):
    for value in values.tolist():
        lengths.add(value)


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
