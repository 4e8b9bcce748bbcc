"""The template on each bead: key, barcode, adapter, tags, insert, bead adapter; or a test fragment."""

from dataclasses import dataclass
from importlib.resources import files

import numpy as np

from ionanalysis.errors import InputError, UsageError
from ionanalysis.flows import NUCS
from ionanalysis.io.barcode_set import open_barcode_set
from ionanalysis.io.fasta import read_fasta
from ionanalysis.simulate.genome import InsertSource
from ionanalysis.simulate.seeds import Purpose, stream

_COMPLEMENT = str.maketrans(NUCS, "TGCA")


@dataclass(frozen=True, eq=False)
class Molecules:
    """Templates of the wells, and where each came from. Arrays have the shape of the chip."""

    sequence: np.ndarray
    """Template as str (object array); empty where there is none."""
    minor_sequence: np.ndarray
    """Second template of polyclonal wells."""
    minor_share: np.ndarray
    """Share of strands that carry it, float32."""
    barcode: np.ndarray
    """Index of the barcode, int32, 0 for none."""
    barcode_error: np.ndarray
    """Whether the barcode carries a wrong base, bool."""
    tf: np.ndarray
    """Number of the test fragment, counted from 1 in the order of the file, int32, 0 for none."""
    insert_at: np.ndarray
    """First base of the insert in `sequence`, int32."""
    insert_start: np.ndarray
    """Leftmost base of the insert in its reference sequence, counted from 0, int64; -1 where there is none."""
    insert_length: np.ndarray
    """Bases of the insert, int32."""
    insert_reverse: np.ndarray
    """Whether the insert reads the reverse strand, bool."""
    insert_sequence: np.ndarray
    """Number of the reference sequence, counted from 0, int32."""


@dataclass(frozen=True, eq=False)
class Draws:
    """Random choices for the library molecule of each well."""

    position: np.ndarray
    length: np.ndarray
    reverse: np.ndarray
    barcode: np.ndarray
    wrong_base: np.ndarray


def open_barcodes(options):
    """Barcodes in use, a tuple, empty without `options.barcodes`."""
    if options.barcodes is None:
        return ()
    barcodes = tuple(open_barcode_set(options.barcodes))[: options.barcode_count]
    if len(options.barcode_abundance) not in (0, len(barcodes)):
        raise UsageError(
            f"barcode_abundance has {len(options.barcode_abundance)} numbers for {len(barcodes)} barcodes; "
            "give one for each, or set barcode_count."
        )
    return barcodes


def open_test_fragments(options, key):
    """Test fragments by name, key first.

    Raises
    ------
    InputError
        If one does not begin with the key of test fragments or holds other letters than A, C, G, T.
    """
    path = options.tf_fasta or files("ionanalysis.io").joinpath("test_fragments.fasta")
    found = read_fasta(path)
    if options.tf_fasta is None:
        return {name: key + sequence[4:] for name, sequence in found.items()}
    for name, sequence in found.items():
        if not sequence.startswith(key) or set(sequence) - set(NUCS):
            raise InputError(f"{path}: {name} must be letters A, C, G, T and begin with the key {key}.")
    return found


class MoleculeMaker:
    """Draws and writes out the molecules of a chip."""

    def __init__(self, options, library_key, genome, barcodes, test_fragments, seed):
        self.options, self.key, self.seed = options, library_key, seed
        self.source = InsertSource(genome)
        self.barcodes = barcodes
        self.test_fragments = test_fragments

    def make(self, kind, minor_share):
        """The `Molecules` of wells of the given kinds; `minor_share` is the mean share of second templates."""
        n_wells = kind.size
        flat = kind.ravel()
        draws = self._draw(n_wells, 0)
        seconds = self._draw(n_wells, 1)
        fragment = stream(self.seed, Purpose.TEST_FRAGMENT).integers(1, len(self.test_fragments) + 1, n_wells)
        fragment = np.where(flat == "tf", fragment, 0).astype(np.int32)
        share = stream(self.seed, Purpose.POLYCLONAL, 1).normal(minor_share, minor_share / 3, n_wells)
        share = np.where(flat == "polyclonal", np.clip(share, min(0.05, minor_share), 0.5), 0).astype(np.float32)

        library = np.isin(flat, ("library", "polyclonal"))
        sequence = np.full(n_wells, "", object)
        minor = np.full(n_wells, "", object)
        insert_at = np.zeros(n_wells, np.int32)
        fragments = list(self.test_fragments.values())
        for well in np.flatnonzero(fragment):
            sequence[well] = fragments[fragment[well] - 1]
        tags = self._tags(n_wells)
        for well in np.flatnonzero(library):
            sequence[well], insert_at[well] = self._template(draws, well, tags[0][well], tags[1][well])
        for well in np.flatnonzero(flat == "polyclonal"):
            minor[well] = self._template(seconds, well, tags[0][well], tags[1][well])[0]
        number, start = self.source.place(draws.position)
        return Molecules(
            **{
                name: np.asarray(values).reshape(kind.shape)
                for name, values in dict(
                    sequence=sequence,
                    minor_sequence=minor,
                    minor_share=share,
                    barcode=np.where(library, self._barcode_index[draws.barcode], 0).astype(np.int32),
                    barcode_error=library & (draws.barcode >= 0) & (draws.wrong_base >= 0),
                    tf=fragment,
                    insert_at=insert_at,
                    insert_start=np.where(library, start, -1),
                    insert_length=np.where(library, draws.length, 0).astype(np.int32),
                    insert_reverse=library & draws.reverse,
                    insert_sequence=number.astype(np.int32),
                ).items()
            }
        )

    @property
    def _barcode_index(self):
        return np.array([barcode.index for barcode in self.barcodes] + [0])

    def _draw(self, n_wells, part):
        options = self.options
        random = stream(self.seed, Purpose.INSERT, part)
        length = random.integers(options.insert_least, options.insert_most + 1, n_wells)
        short = random.integers(0, 61, n_wells)
        length = np.where(random.random(n_wells) < options.short_inserts, short, length)
        reverse = random.random(n_wells) < 0.5
        position, length = self.source.draw(random, length)
        random = stream(self.seed, Purpose.BARCODE, part)
        choice, wrong = random.random(n_wells), random.random(n_wells)
        at = random.integers(0, 1 << 30, n_wells)
        weight = np.array(options.barcode_abundance or (1.0,) * len(self.barcodes))
        share = (
            np.append(weight / weight.sum() * (1 - options.unbarcoded), options.unbarcoded) if len(weight) else [1.0]
        )
        barcode = np.minimum(np.searchsorted(np.cumsum(share), choice, "right"), len(self.barcodes))
        barcode = np.where(barcode == len(self.barcodes), -1, barcode)
        return Draws(position, length, reverse, barcode, np.where(wrong < options.barcode_errors, at, -1))

    def _tags(self, n_wells):
        """Molecular tags at both ends, N filled in, for every well."""
        made = []
        for part, pattern in enumerate((self.options.molecular_tag, self.options.molecular_tag_end)):
            random = stream(self.seed, Purpose.MOLECULAR_TAG, part)
            free = [i for i, letter in enumerate(pattern) if letter == "N"]
            letters = np.tile(np.frombuffer(pattern.encode(), "S1"), (n_wells, 1))
            if free:
                letters[:, free] = np.frombuffer(NUCS.encode(), "S1")[random.integers(0, 4, (n_wells, len(free)))]
            made.append([b"".join(row).decode() for row in letters] if pattern else [""] * n_wells)
        return made

    def _template(self, draws, well, tag, tag_end):
        """Sequence of the molecule of a well, and where the insert begins in it."""
        start, length = draws.position[well], draws.length[well]
        insert = self.source.text[start : start + length]
        if draws.reverse[well]:
            insert = insert[::-1].translate(_COMPLEMENT)
        head = self.key
        if draws.barcode[well] >= 0:
            barcode = self.barcodes[draws.barcode[well]]
            head += _with_wrong_base(barcode.sequence, draws.wrong_base[well]) + barcode.adapter
        head += tag
        return head + insert + tag_end + self.options.adapter, len(head)


def _with_wrong_base(sequence, draw):
    """`sequence` with one base exchanged, as a random number of 0 or more tells; unchanged for a negative one."""
    if draw < 0 or not sequence:
        return sequence
    at = int(draw) % len(sequence)
    others = NUCS.replace(sequence[at], "")
    return sequence[:at] + others[int(draw) // len(sequence) % 3] + sequence[at + 1 :]
