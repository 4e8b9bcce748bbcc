"""Index of a reference genome, made once and kept."""

import os
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import numpy as np

from ionanalysis.errors import InputError, OutputError
from ionanalysis.io.atomic import whole_file

LONGEST_SEED = 15
"""Letters of a minimizer on genomes of millions of bases: most reads of 50 bases with an indel or two have some."""

SCORING = (2, 4, 4, 2, 24, 1)
"""Match, mismatch, opening and extending a gap, and the same of long gaps. One base more or less in a homopolymer is
the usual error of these reads: a gap costs little more than a mismatch (minimap2's defaults for long noisy reads)."""

CHAINING = {
    "preset": "sr",
    "min_cnt": 2,
    "min_chain_score": 20,
    "min_dp_score": 40,
    "bw": 100,
    "best_n": 1,
    "max_chain_skip": 15,
}
"""The preset of short reads gives a bonus to alignments that reach the end of a read: a wrong base near an end counts
as one instead of hiding behind a clip (clipped at the front on a simulated chip: 0.07 % of reads instead of 1.1 %).
A seed looks for its forerunner until 15 others in turn bring nothing, not 25: in reads of a few hundred bases that
finds the same places (`python -m benchmarks.placing`)."""


@dataclass(frozen=True)
class ReferenceIndex:
    """A reference FASTA file, indexed for short reads; picklable, opened where it is used.

    The index is kept in `cache_dir` under a name made of the file's content and of how it was made: a changed file or
    another version of the aligner gets its own.

    Attributes
    ----------
    fasta : Path
        Plain or gzip-compressed.
    cache_dir : Path or None
        Directory of indexes; None keeps none.
    """

    fasta: Path
    cache_dir: Path | None = None

    @classmethod
    def of(cls, fasta, cache_dir=None):
        """Index of a file, kept where `IONANALYSIS_HOME` says by default.

        Raises
        ------
        InputError
            If the file is missing.
        """
        fasta = Path(fasta)
        if not fasta.is_file():
            raise InputError(f"{fasta}: there is no such file; give the reference as FASTA.")
        home = Path(os.environ.get("IONANALYSIS_HOME") or Path.home() / ".ionanalysis")
        return cls(fasta, home / "indexes" if cache_dir is None else Path(cache_dir))

    @cached_property
    def aligner(self):
        """The aligner of minimap2 (Li 2018, Bioinformatics 34:3094) with the index in it.

        Raises
        ------
        InputError
            If the file is not FASTA or holds no sequence.
        """
        kept = self._kept_path
        if kept is not None and kept.is_file():
            found = _opened(kept, seeding=seeding_for(self.fasta))
            if found is not None:
                return found
        _expect_fasta(self.fasta)
        made = self._made(kept)
        if made is None or not any(made.seq(name, 0, 1) for name in made.seq_names):
            if kept is not None:
                kept.unlink(missing_ok=True)
            raise InputError(f"{self.fasta}: holds no sequence that can be indexed; give the reference as FASTA.")
        return made

    @property
    def contigs(self):
        """Length of each sequence in bases by its name, in the order of the file."""
        aligner = self.aligner
        return {name: len(aligner.seq(name)) for name in aligner.seq_names}

    @cached_property
    def contig_numbers(self):
        """Number of each sequence in the file, from 0, by its name."""
        return {name: number for number, name in enumerate(self.aligner.seq_names)}

    def sequence(self, contig, start, end):
        """Letters of a part of a sequence, upper case."""
        return self.aligner.seq(contig, start, end)

    def __getstate__(self):
        return {"fasta": self.fasta, "cache_dir": self.cache_dir}

    @property
    def _kept_path(self):
        if self.cache_dir is None:
            return None
        import mappy

        digest = blake2b(digest_size=12)
        with self.fasta.open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
        digest.update(repr((mappy.__version__, seeding_for(self.fasta))).encode())
        return self.cache_dir / f"{self.fasta.name}.{digest.hexdigest()}.mmi"

    def _made(self, kept):
        if kept is None:
            return _opened(self.fasta)
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(kept) as temporary:
                return _opened(self.fasta, temporary)
        except (OSError, OutputError):
            # A home that cannot be written costs time, nothing else.
            return _opened(self.fasta)


def seeding_for(fasta):
    """Minimizers for a genome: as short as its size allows, so that reads of 25 bases on small ones have some, too."""
    size = max(fasta.stat().st_size * (4 if fasta.suffix == ".gz" else 1), 1)
    k = int(np.clip(np.ceil(np.log(size) / np.log(4)) + 3, 11, LONGEST_SEED))
    return {"k": k, "w": k // 2}


def _opened(path, index_path=None, seeding=None):
    import mappy

    aligner = mappy.Aligner(
        str(path),
        scoring=list(SCORING),
        fn_idx_out=None if index_path is None else str(index_path),
        n_threads=1,
        **(seeding or seeding_for(path)),
        **CHAINING,
    )
    return aligner if aligner else None


def _expect_fasta(path):
    """The aligner would take any file for a reference without sequences."""
    with path.open("rb") as file:
        first = file.read(2)
    if first != b"\x1f\x8b" and first[:1] != b">":
        raise InputError(f"{path}: is not FASTA; its first line must begin with '>'.")
