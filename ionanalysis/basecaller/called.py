"""`CalledReads`: what base calling gives, as a structure of arrays."""

from dataclasses import dataclass, fields

import numpy as np

from ionanalysis._core import called as kernels
from ionanalysis.errors import InputError, expect_shape
from ionanalysis.flows import LIBRARY_KEY, TF_KEY, FlowOrder

CALLED, NO_SIGNAL, BAD_KEY_SIGNAL, NO_BASES = 0, 1, 2, 3
"""Status of a read: called; signal with NaN or infinite values; no key signal to scale by; nothing called."""

STATUS_TEXT = {CALLED: "called", NO_SIGNAL: "no signal", BAD_KEY_SIGNAL: "no key signal", NO_BASES: "no bases"}

_NOT_JOINED = {"base_start", "flow_order"}
_PER_READ = {"row", "col", "signal", "predicted", "inphase", "phase", "status"}
_DTYPES = {
    "row": np.int32,
    "col": np.int32,
    "base_start": np.int64,
    "bases": np.uint8,
    "qualities": np.uint8,
    "base_flow": np.int16,
    "signal": np.float32,
    "predicted": np.float32,
    "inphase": np.float32,
    "phase": np.float32,
    "status": np.int8,
}


@dataclass(frozen=True, eq=False, repr=False)
class CalledReads:
    """n reads of a block, as arrays; per-base values of all reads lie end to end.

    Attributes
    ----------
    row, col : ndarray of shape (n,), int32
        Well of each read, in block coordinates.
    base_start : ndarray of shape (n + 1,), int64
        Read i has bases ``[base_start[i], base_start[i + 1])``.
    bases : ndarray of shape (n_bases,), uint8
        ASCII letters A, C, G, T; the key comes first.
    qualities : ndarray of shape (n_bases,), uint8
        Phred quality of each base: that it is wrong or one too many, and in part that a base before it is missing
        (`TrainingOptions.missing_base_share`).
    base_flow : ndarray of shape (n_bases,), int16
        In-phase flow of each base.
    signal : ndarray of shape (n, n_flows), float32
        Measured signal, normalised so that a 1-mer of strands that are all alive and in phase is about 1. Droop is
        in it; `signal_without_droop` takes it out, as tag ZM wants it.
    predicted : ndarray of shape (n, n_flows), float32
        Signal that the called sequence should give, droop included, in the same unit.
    inphase : ndarray of shape (n, n_flows), float32
        Fraction of the strands that are in phase at the last base called in or before each flow.
    phase : ndarray of shape (n, 3), float32
        CF, IE, DR used, fractions per flow.
    status : ndarray of shape (n,), int8
        0 called, else why not (`STATUS_TEXT`); reads not called have no bases.
    flow_order : FlowOrder, optional
        Nucleotides of the flows; `to_bam` needs it.

    Notes
    -----
    Reads are chosen with slices, masks or index arrays (``reads[reads.status == 0]``); `concatenate`
    joins the reads of several blocks.
    """

    row: np.ndarray
    col: np.ndarray
    base_start: np.ndarray
    bases: np.ndarray
    qualities: np.ndarray
    base_flow: np.ndarray
    signal: np.ndarray
    predicted: np.ndarray
    inphase: np.ndarray
    phase: np.ndarray
    status: np.ndarray
    flow_order: FlowOrder | None = None

    def __post_init__(self):
        for name, dtype in _DTYPES.items():
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype))
        n_reads, n_bases = len(self.row), len(self.bases)
        expect_shape("base_start", self.base_start, (n_reads + 1,), "one more than there are reads")
        if self.base_start[0] != 0 or self.base_start[-1] != n_bases or (np.diff(self.base_start) < 0).any():
            raise InputError(f"base_start must rise from 0 to the number of bases, {n_bases}.")
        for name in _PER_READ:
            expect_shape(name, getattr(self, name), (n_reads, *self._width(name)), "one row per read")
        for name in ("qualities", "base_flow"):
            expect_shape(name, getattr(self, name), (n_bases,), "one per base")

    def _width(self, name):
        if name == "phase":
            return (3,)
        return self.signal.shape[1:] if name in ("signal", "predicted", "inphase") else ()

    def __len__(self):
        return len(self.row)

    def __repr__(self):
        n_called = int((self.status == CALLED).sum())
        return f"CalledReads({len(self)} reads, {n_called} called, {len(self.bases)} bases, {self.n_flows} flows)"

    @property
    def n_flows(self):
        return self.signal.shape[1]

    @property
    def n_bases(self):
        """Number of bases of each read, int64 of shape (n,)."""
        return np.diff(self.base_start)

    def bases_of(self, read):
        """Slice of the per-base arrays that belongs to read number `read`."""
        return slice(int(self.base_start[read]), int(self.base_start[read + 1]))

    def sequence(self, read):
        """Bases of read number `read`, key included, as text."""
        return self.bases[self.bases_of(read)].tobytes().decode("ascii")

    def signal_without_droop(self, chosen=slice(None)):
        """Signal that reads would have given if no strand had stopped.

        Parameters
        ----------
        chosen : slice or array
            Reads wanted; all by default.

        Returns
        -------
        ndarray of shape (n_chosen, n_flows), float32

        Notes
        -----
        Each homopolymer run costs a fraction DR of the strands, so a flow is divided by (1 - DR)^k, k being the runs
        called up to it. Strands out of phase have taken a run more or less: for DR 0.1 % the result differs
        from a model without droop by 0.001 bases, for 0.4 % by 0.006. Readers of ZM simulate with the CF and IE of
        ZP and DR = 0 (field.md 1).
        """
        whole = np.empty_like(self.signal)
        kernels.undo_droop(self.signal, self.base_start, self.base_flow, self.phase[:, 2].copy(), whole)
        return whole[chosen]

    def __getitem__(self, chosen):
        """Reads given by a slice, a mask or an array of read numbers, in that order."""
        numbers = np.arange(len(self))[chosen]
        if numbers.ndim == 0:
            numbers = numbers[None]
        counts = self.n_bases[numbers]
        base_start = np.concatenate([[0], np.cumsum(counts)])
        # Position of every kept base: its read's old start plus its place within the read.
        of_base = np.repeat(self.base_start[numbers] - base_start[:-1], counts) + np.arange(base_start[-1])
        parts = {
            field.name: getattr(self, field.name)[numbers if field.name in _PER_READ else of_base]
            for field in fields(self)
            if field.name not in _NOT_JOINED
        }
        return CalledReads(base_start=base_start, flow_order=self.flow_order, **parts)

    def to_bam(self, path, *, run_id="CALLS", keys=(LIBRARY_KEY, TF_KEY), offset=(0, 0)):
        """Write the called reads to an unaligned BAM file, nothing filtered or trimmed but the key.

        Parameters
        ----------
        path : path
            Appears when complete.
        run_id : str
            First part of read names, name of the library's read group.
        keys : tuple of str
            Library and test-fragment key; each has its read group.
        offset : (int, int)
            Row and column of the block on the chip.

        Returns
        -------
        path : Path

        Raises
        ------
        InputError
            If the reads do not know their flow order.
        OutputError
            If the file cannot be written.
        """
        from ionanalysis.basecaller.tables import write_bam

        return write_bam(self, path, run_id=run_id, keys=keys, offset=offset)

    def to_pandas(self):
        """A table with a row per read: `row`, `col`, `status`, `length` in bases, `bases` and `qualities`
        (Phred + 33) as text, key included, `mean_quality`, `cf`, `ie`, `dr`.

        Returns
        -------
        table : pandas.DataFrame

        Raises
        ------
        UsageError
            If pandas is not installed.
        """
        from ionanalysis.basecaller.tables import to_table

        return to_table(self)

    @classmethod
    def concatenate(cls, parts):
        """All reads of `parts`, a sequence of `CalledReads` with the same flows, in order."""
        parts = list(parts)
        if not parts:
            raise InputError("there are no reads to join; give at least one CalledReads.")
        if len({part.n_flows for part in parts}) > 1:
            raise InputError("reads with different numbers of flows cannot be joined.")
        joined = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(cls)
            if field.name not in _NOT_JOINED
        }
        counts = np.concatenate([part.n_bases for part in parts])
        flow_order = next((part.flow_order for part in parts if part.flow_order), None)
        return cls(base_start=np.concatenate([[0], np.cumsum(counts)]), flow_order=flow_order, **joined)

    @classmethod
    def empty(cls, n_flows, flow_order=None):
        """No reads of `n_flows` flows."""
        shapes = {"base_start": (1,), "phase": (0, 3)} | dict.fromkeys(("signal", "predicted", "inphase"), (0, n_flows))
        arrays = {name: np.zeros(shapes.get(name, (0,)), dtype) for name, dtype in _DTYPES.items()}
        return cls(flow_order=flow_order, **arrays)
